"""One rule for each ONNX operator that depends on data, and why there is none for some."""

from __future__ import annotations

from collections.abc import Callable

from spikewright.causes import Cause
from spikewright.frontends.common.refusals import Refusal
from spikewright.frontends.common.rules import words
from spikewright.frontends.onnx.activations import (
    cast,
    clip,
    floor,
    identity,
    leaky_relu,
    maximum,
    minimum,
    prelu,
    relu,
    sigmoid,
    softmax,
    tanh,
)
from spikewright.frontends.onnx.arithmetic import add, div, gemm, matmul, mul, sub
from spikewright.frontends.onnx.call import Call
from spikewright.frontends.onnx.moves import (
    concat,
    depth_to_space,
    expand,
    flatten,
    pad,
    reshape,
    resize,
    slice_,
    space_to_depth,
    split,
    squeeze,
    transpose,
    unsqueeze,
)
from spikewright.frontends.onnx.reductions import global_average_pool, global_max_pool, reduce
from spikewright.frontends.onnx.windows import average_pool, conv, conv_transpose, max_pool
from spikewright.nodes import BatchNorm


def batch_normalization(call: Call) -> None:
    """BatchNormalization when not training."""
    learning = call.walk.opset < 7 and not call.attributes.get("is_test")
    if learning or call.attributes.get("training_mode") or call.further_outputs:
        raise Refusal(Cause.TRAINING)
    if not call.attributes.get("spatial", 1):
        raise Refusal("spatial=0 is not supported")
    gamma, beta, mean, variance = (call.weights(k) for k in range(1, 5))
    epsilon = float(call.attributes.get("epsilon", 1e-5))
    call.emit(
        BatchNorm,
        mean=mean,
        variance=variance,
        gamma=gamma,
        beta=beta,
        epsilon=epsilon,
    )


RULES: dict[str, Callable[[Call], None]] = {
    "Add": add,
    "AveragePool": average_pool,
    "BatchNormalization": batch_normalization,
    "Cast": cast,
    "Clip": clip,
    "Concat": concat,
    "Conv": conv,
    "ConvTranspose": conv_transpose,
    "DepthToSpace": depth_to_space,
    "Div": div,
    "Dropout": identity,
    "Expand": expand,
    "Flatten": flatten,
    "Floor": floor,
    "Gemm": gemm,
    "GlobalAveragePool": global_average_pool,
    "GlobalMaxPool": global_max_pool,
    "Identity": identity,
    "LeakyRelu": leaky_relu,
    "LogSoftmax": softmax,
    "MatMul": matmul,
    "Max": maximum,
    "MaxPool": max_pool,
    "Min": minimum,
    "Mul": mul,
    "PRelu": prelu,
    "Pad": pad,
    "ReduceMax": reduce,
    "ReduceMean": reduce,
    "ReduceSum": reduce,
    "Relu": relu,
    "Reshape": reshape,
    "Resize": resize,
    "Sigmoid": sigmoid,
    "Slice": slice_,
    "Softmax": softmax,
    "SpaceToDepth": space_to_depth,
    "Split": split,
    "Squeeze": squeeze,
    "Sub": sub,
    "Sum": add,
    "Tanh": tanh,
    "Transpose": transpose,
    "Unsqueeze": unsqueeze,
    "Upsample": resize,
}

AT_THE_END = ("Sigmoid", "Tanh")
"""The operators that are refused, for the reasons below, unless the network ends in them."""

CAUSES = {
    **dict.fromkeys(
        words(
            "Celu Elu Erf Exp Gelu HardSigmoid HardSwish Mish Selu Sigmoid Softplus Softsign Swish Tanh "
            "ThresholdedRelu Abs Sin Cos Log"
        ),
        Cause.CURVED,
    ),
    **dict.fromkeys(words("GRU LSTM RNN Loop Scan"), Cause.RECURRENT),
    **dict.fromkeys(
        words(
            "ConvInteger DequantizeLinear DynamicQuantizeLinear MatMulInteger QLinearConv QLinearMatMul QuantizeLinear"
        ),
        Cause.QUANTISED,
    ),
    **dict.fromkeys(
        words(
            "GlobalLpPool GroupNormalization InstanceNormalization LRN LayerNormalization LpNormalization LpPool "
            "MeanVarianceNormalization RMSNormalization"
        ),
        Cause.NORM_OF_SAMPLE,
    ),
    **dict.fromkeys(words("Attention Einsum Pow Sqrt Reciprocal"), Cause.PRODUCT),
    **dict.fromkeys(
        words("Bernoulli Multinomial RandomNormal RandomNormalLike RandomUniform RandomUniformLike"), Cause.RANDOM
    ),
    "If": Cause.DECISION,
    "Round": Cause.ROUND_TO_EVEN,
    "ArgMax": Cause.POSITIONS,
}
"""Why some operators have no rule."""


def cause_of(operator: str) -> Cause:
    """Why an operator has no counterpart here."""
    return CAUSES.get(operator, Cause.NO_COUNTERPART)
