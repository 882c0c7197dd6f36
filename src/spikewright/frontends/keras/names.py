"""What to do about Keras layers and activations that cannot be converted."""

from __future__ import annotations


def _words(text: str) -> list[str]:
    return text.split()


INACTIVE = {
    **dict.fromkeys(
        _words("Dropout AlphaDropout GaussianDropout SpatialDropout1D SpatialDropout2D SpatialDropout3D"), "dropout"
    ),
    **dict.fromkeys(
        _words(
            "GaussianNoise RandomFlip RandomRotation RandomZoom RandomTranslation RandomContrast RandomBrightness "
            "RandomWidth RandomHeight"
        ),
        "noise",
    ),
    **dict.fromkeys(_words("Identity ActivityRegularization"), "identity"),
}
"""Layers that do nothing once training is over."""

_RECTIFY = "use a ReLU in its place and train again: only a rectifier is what a spiking neuron's rate can follow"
_FOLDABLE = "use a batch norm, whose statistics are fixed after training and fold into the weights"
_PRODUCT = "it multiplies activations with each other, which synapses cannot do"
_COMPARES = "it compares activations with each other, which synapses cannot do"
_RECURRENT = "only feed-forward networks can be converted"
_CODE = "it is Python code in a file, and none is run; write it with layers of Keras"

_ADVICE = {
    **dict.fromkeys(
        _words("sigmoid tanh elu selu gelu silu swish softplus softsign exponential hard_sigmoid mish ELU hard_silu"),
        _RECTIFY,
    ),
    **dict.fromkeys(_words("LayerNormalization GroupNormalization UnitNormalization RMSNormalization"), _FOLDABLE),
    **dict.fromkeys(_words("Multiply Dot MultiHeadAttention Attention AdditiveAttention"), _PRODUCT),
    **dict.fromkeys(
        _words("Maximum Minimum AdaptiveMaxPooling1D AdaptiveMaxPooling2D AdaptiveMaxPooling3D"), _COMPARES
    ),
    **dict.fromkeys(_words("LSTM GRU SimpleRNN RNN Bidirectional ConvLSTM1D ConvLSTM2D ConvLSTM3D"), _RECURRENT),
    "Lambda": _CODE,
    "TFOpLambda": "it is a call of a TensorFlow function; write it with layers of Keras",
    "Embedding": "feed the embedded values to a network that starts behind it",
    "Masking": "masks are no part of a fixed network; take it out",
}


def advice(kind: str) -> str:
    """What to do about a layer or activation that has no counterpart here."""
    return _ADVICE.get(kind, "it has no spiking counterpart: take it out, or train with something else in its place")
