"""Keras layers that do nothing once training is over, and why others cannot be converted."""

from __future__ import annotations

from spikewright.causes import Cause
from spikewright.frontends.common.rules import words

_RANDOM = words(
    "RandomFlip RandomRotation RandomZoom RandomTranslation RandomContrast RandomBrightness RandomWidth RandomHeight "
    "RandomColorDegeneration RandomColorJitter RandomElasticTransform RandomErasing RandomGaussianBlur RandomGrayscale "
    "RandomHue RandomInvert RandomPerspective RandomPosterization RandomSaturation RandomSharpness RandomShear AugMix "
    "CutMix MixUp"
)
PREPROCESSING = frozenset((*_RANDOM, *words("Resizing CenterCrop Rescaling Normalization")))
"""Layers of which Keras 3 writes ``training=True`` down as the default of their calls: it says nothing there."""
INACTIVE = {
    **dict.fromkeys(
        words("Dropout AlphaDropout GaussianDropout SpatialDropout1D SpatialDropout2D SpatialDropout3D"), "dropout"
    ),
    **dict.fromkeys(("GaussianNoise", *_RANDOM), "noise"),
    **dict.fromkeys(words("Identity ActivityRegularization"), "identity"),
}
"""Layers that do nothing once training is over."""

_CAUSES = {
    **dict.fromkeys(
        words(
            "sigmoid tanh elu selu celu gelu silu swish softplus softsign exponential mish ELU hard_silu "
            "hard_swish log_sigmoid sparse_plus squareplus "
            "tanh_shrink Gelu Silu Swish Elu Selu Celu Mish Softplus Softsign HardSilu SparsePlus "
            "Squareplus TanhShrink LogSigmoid Exp"
        ),
        Cause.CURVED,
    ),
    **dict.fromkeys(
        words("LayerNormalization GroupNormalization UnitNormalization RMSNormalization"), Cause.NORM_OF_SAMPLE
    ),
    **dict.fromkeys(
        words(
            "Multiply Dot MultiHeadAttention GroupedQueryAttention Attention AdditiveAttention Power Square Sqrt Rsqrt"
        ),
        Cause.PRODUCT,
    ),
    **dict.fromkeys(words("Equal NotEqual"), Cause.EQUALITY),
    **dict.fromkeys(words("LSTM GRU SimpleRNN RNN Bidirectional ConvLSTM1D ConvLSTM2D ConvLSTM3D"), Cause.RECURRENT),
    **dict.fromkeys(words("Lambda"), Cause.OWN_CODE),
    "FloorDivide": Cause.ROUNDING,
    "Embedding": Cause.EMBEDDING,
    "Masking": Cause.MASK,
}


def cause_of(kind: str) -> Cause:
    """Why a layer or activation has no counterpart here."""
    return _CAUSES.get(kind, Cause.NO_COUNTERPART)
