"""Names of ATen operators as people know them, and what to do about those that cannot be converted."""

from __future__ import annotations


def _words(text: str) -> list[str]:
    return text.split()


NO_OPERATION = frozenset(
    _words("alias clone contiguous detach lift_fresh lift_fresh_copy sym_size _to_copy to type_as")
)
"""Operators that leave the values of a float tensor as they are."""

REARRANGING = frozenset(
    _words("_unsafe_view expand flatten permute reshape squeeze t transpose unflatten unsqueeze view")
)
"""Operators that move values without changing them; a module is named after its other operator if it has one."""

_KNOWN_AS = {
    "_native_batch_norm_legit_no_training": "batch_norm",
    "_native_batch_norm_legit": "batch_norm",
    "_native_batch_norm_legit_functional": "batch_norm",
    "native_batch_norm": "batch_norm",
    "cudnn_batch_norm": "batch_norm",
    "convolution": "conv",
    "addmm": "linear",
    "mm": "linear",
    "constant_pad_nd": "pad",
    "native_layer_norm": "layer_norm",
    "native_group_norm": "group_norm",
    "cat": "concat",
    "special_expit": "sigmoid",
}

_RECTIFY = "use a ReLU in its place and train again: only a rectifier is what a spiking neuron's rate can follow"
_FOLDABLE = "use a batch norm, whose statistics are fixed after training and fold into the weights"
_PRODUCT = "it multiplies activations with each other, which synapses cannot do"
_RECURRENT = "only feed-forward networks can be converted"
_NONE = "it has no spiking counterpart: take it out of the network, or train with something else in its place"
_RANDOM = "its answer is random: it draws anew each time; take that out of what the network does when it is not trained"
_NEAREST = "use nearest-neighbour upsampling"

_ADVICE = {
    **dict.fromkeys(
        _words(
            "sigmoid tanh gelu silu mish elu selu celu softplus softsign "
            "hardsigmoid hardswish log_sigmoid glu exp erf sin cos abs"
        ),
        _RECTIFY,
    ),
    **dict.fromkeys(
        _words("layer_norm group_norm instance_norm rms_norm fused_rms_norm linalg_vector_norm var std"), _FOLDABLE
    ),
    **dict.fromkeys(
        _words("mul matmul bmm scaled_dot_product_attention einsum baddbmm pow sqrt rsqrt reciprocal"), _PRODUCT
    ),
    **dict.fromkeys(_words("lstm gru rnn_tanh rnn_relu lstm_cell gru_cell rnn_tanh_cell rnn_relu_cell"), _RECURRENT),
    **dict.fromkeys(_words("upsample_linear1d upsample_bilinear2d upsample_bicubic2d upsample_trilinear3d"), _NEAREST),
    **dict.fromkeys(
        _words("rand randn randint rand_like randn_like randint_like bernoulli normal uniform multinomial poisson"),
        _RANDOM,
    ),
    "round": "use floor(x + 0.5): a neuron's count rounds down",
    "embedding": "feed the embedded values to a network that starts behind it",
}

COMPOSITES = {
    **dict.fromkeys(_words("LSTM GRU RNN LSTMCell GRUCell RNNCell"), _RECURRENT),
    **dict.fromkeys(
        _words(
            "MultiheadAttention Transformer TransformerEncoder TransformerEncoderLayer TransformerDecoder "
            "TransformerDecoderLayer"
        ),
        _PRODUCT,
    ),
}
"""Modules of torch.nn that are refused whole: a list of what they are made of would help nobody."""


def advice(operator: str) -> str:
    """What to do about an operator, by its readable name, that has no counterpart here."""
    return _ADVICE.get(operator, _NONE)


def readable(name: str) -> str:
    """``aten::_softmax`` -> ``softmax``."""
    base = name.rpartition("::")[2].removesuffix("_")
    return _KNOWN_AS.get(base, base.removeprefix("_").removesuffix("_with_indices"))
