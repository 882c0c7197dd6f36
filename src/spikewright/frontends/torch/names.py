"""Names of ATen operators as people know them, and why some of them cannot be converted."""

from __future__ import annotations

from spikewright.causes import Cause
from spikewright.frontends.common.rules import words

NO_OPERATION = frozenset(words("alias clone contiguous detach lift_fresh lift_fresh_copy sym_size _to_copy to type_as"))
"""Operators that leave the values of a float tensor as they are."""

REARRANGING = frozenset(
    words("_unsafe_view expand flatten permute reshape squeeze t transpose unflatten unsqueeze view")
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
    **{f"__{kind}_": f"logical_{kind}" for kind in ("and", "or", "xor")},
}

_CAUSES = {
    **dict.fromkeys(
        words("sigmoid tanh gelu silu mish elu selu celu softplus softsign hardswish log_sigmoid glu exp erf sin cos"),
        Cause.CURVED,
    ),
    **dict.fromkeys(
        words("layer_norm group_norm instance_norm rms_norm fused_rms_norm linalg_vector_norm var std"),
        Cause.NORM_OF_SAMPLE,
    ),
    **dict.fromkeys(
        words("mul matmul bmm scaled_dot_product_attention einsum baddbmm pow sqrt rsqrt reciprocal"), Cause.PRODUCT
    ),
    **dict.fromkeys(
        words("lstm gru rnn_tanh rnn_relu lstm_cell gru_cell rnn_tanh_cell rnn_relu_cell"), Cause.RECURRENT
    ),
    **dict.fromkeys(words("eq ne not_equal isclose"), Cause.EQUALITY),
    **dict.fromkeys(
        words("rand randn randint rand_like randn_like randint_like bernoulli normal uniform multinomial poisson"),
        Cause.RANDOM,
    ),
    "embedding": Cause.EMBEDDING,
}

COMPOSITES = {
    **dict.fromkeys(words("LSTM GRU RNN LSTMCell GRUCell RNNCell"), Cause.RECURRENT),
    **dict.fromkeys(
        words(
            "MultiheadAttention Transformer TransformerEncoder TransformerEncoderLayer TransformerDecoder "
            "TransformerDecoderLayer"
        ),
        Cause.PRODUCT,
    ),
    **dict.fromkeys(words("Softsign Tanhshrink"), Cause.CURVED),
    "LocalResponseNorm": Cause.NORM_OF_SAMPLE,
}
"""Modules of torch.nn that are refused whole: a list of what they are made of would help nobody."""


def cause_of(operator: str) -> Cause:
    """Why an operator, by its readable name, has no counterpart here."""
    return _CAUSES.get(operator, Cause.NO_COUNTERPART)


def readable(name: str) -> str:
    """``aten::_softmax`` -> ``softmax``."""
    base = name.rpartition("::")[2].removesuffix("_")
    return _KNOWN_AS.get(base, base.removeprefix("_").removesuffix("_with_indices"))
