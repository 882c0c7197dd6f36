"""Akida 1.0 (AKD1000)."""

from spikewright.chips.chip import Akida

SOURCE = "brainchip-inc.github.io/akida_examples_2.4.0-doc-1/user_guide/1.0_hw_constraints.html"
CHIP = Akida(
    name="akida_1_0",
    notes=("inputs of 8 bits, activations of 1, 2 or 4 bits", "padding is 'same'; pools are maxima, or global means"),
    input_side=(5, 256),
    input_channels=(1, 3),
    input_kernels={3: (1, 2, 3), 5: (1, 2, 3), 7: (1, 2, 3)},
    input_filters_max={(1, 3): 512, (1, 5): 192, (1, 7): 96, (3, 3): 192, (3, 5): 64, (3, 7): 32},
    kernels=(1, 3, 5, 7),
    strides=(1, 2),
    strided_kernels=(3,),
    channels_max=None,
    dense_inputs_max=57_334,
    weight_bits=(1, 2, 4),
    sources={
        **dict.fromkeys(
            ("input_side", "input_channels", "input_kernels", "input_filters_max", "kernels", "strides"), SOURCE
        ),
        "strided_kernels": "the same page of 2.3.0",
        "channels_max": "no number is public",
        "dense_inputs_max": SOURCE,
        "weight_bits": SOURCE,
    },
)
