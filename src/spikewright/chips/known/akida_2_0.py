"""Akida 2.0."""

from spikewright.chips.chip import Akida

SOURCE = "doc.brainchipinc.com/user_guide/hardware/2.0.html"
CHIP = Akida(
    name="akida_2_0",
    notes=("inputs of 8 bits, activations of 4 or 8 bits", "padding is 'same'; pools are maxima"),
    input_side=(5, 384),
    input_channels=(1, 3),
    input_kernels={3: (1, 2, 3), 4: (1, 2, 3, 4), 5: (1, 2, 3, 4, 5), 7: (1, 2, 3, 4, 5, 6)},
    input_filters_max={},
    kernels=(1, 3, 5, 7),
    strides=(1, 2),
    strided_kernels=(1, 3, 5, 7),
    channels_max=2048,
    dense_inputs_max=2048,
    weight_bits=(4, 8),
    sources={
        **dict.fromkeys(("input_side", "input_channels", "input_kernels", "kernels", "strides"), SOURCE),
        **dict.fromkeys(("strided_kernels", "channels_max", "dense_inputs_max", "weight_bits"), SOURCE),
        "input_filters_max": "no number is public",
    },
)
