"""One rule for each ONNX operator that depends on data, and why there is none for some."""

from __future__ import annotations

from collections.abc import Callable

from spikewright.causes import Cause
from spikewright.frontends.common.refusals import Refusal
from spikewright.frontends.common.rules import words
from spikewright.frontends.onnx.activations import (
    absolute,
    cast,
    clip,
    hard_sigmoid,
    identity,
    leaky_relu,
    maximum,
    minimum,
    prelu,
    rounding,
    sigmoid,
    softmax,
    tanh,
)
from spikewright.frontends.onnx.arithmetic import add, div, einsum, gemm, matmul, mean, mul, neg, sub
from spikewright.frontends.onnx.call import Call
from spikewright.frontends.onnx.choices import (
    SIGNS,
    compare,
    junction,
    negation,
    shrink,
    sign,
    thresholded,
    where,
)
from spikewright.frontends.onnx.gathers import move
from spikewright.frontends.onnx.moves import (
    concat,
    depth_to_space,
    expand,
    flatten,
    pad,
    reshape,
    slice_,
    space_to_depth,
    split,
    squeeze,
    transpose,
    unsqueeze,
)
from spikewright.frontends.onnx.reductions import global_average_pool, global_max_pool, reduce
from spikewright.frontends.onnx.resizing import resize, running_sum
from spikewright.frontends.onnx.steps import dequantize, quantize, relu
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
    "Abs": absolute,
    "Add": add,
    **dict.fromkeys(SIGNS, compare),
    **dict.fromkeys(("And", "Or", "Xor"), junction),
    "AveragePool": average_pool,
    "BatchNormalization": batch_normalization,
    "Cast": cast,
    "Ceil": rounding,
    "Clip": clip,
    "Concat": concat,
    "Conv": conv,
    "ConvTranspose": conv_transpose,
    "CumSum": running_sum,
    "DepthToSpace": depth_to_space,
    "DequantizeLinear": dequantize,
    "Div": div,
    "Dropout": identity,
    "Einsum": einsum,
    "Expand": expand,
    "Flatten": flatten,
    "Floor": rounding,
    "Gather": move,
    "GatherElements": move,
    "Gemm": gemm,
    "GlobalAveragePool": global_average_pool,
    "GlobalMaxPool": global_max_pool,
    "HardSigmoid": hard_sigmoid,
    "Identity": identity,
    "LeakyRelu": leaky_relu,
    "LogSoftmax": softmax,
    "MatMul": matmul,
    "Max": maximum,
    "MaxPool": max_pool,
    "Mean": mean,
    "Min": minimum,
    "Mul": mul,
    "Neg": neg,
    "Not": negation,
    "PRelu": prelu,
    "Pad": pad,
    "QuantizeLinear": quantize,
    "ReduceMax": reduce,
    "ReduceMean": reduce,
    "ReduceSum": reduce,
    "Relu": relu,
    "Reshape": reshape,
    "Resize": resize,
    "ReverseSequence": move,
    "Round": rounding,
    "Shrink": shrink,
    "Sigmoid": sigmoid,
    "Sign": sign,
    "Slice": slice_,
    "Softmax": softmax,
    "SpaceToDepth": space_to_depth,
    "Split": split,
    "Squeeze": squeeze,
    "Sub": sub,
    "Sum": add,
    "Tanh": tanh,
    "ThresholdedRelu": thresholded,
    "Tile": move,
    "Transpose": transpose,
    "Trilu": move,
    "Unsqueeze": unsqueeze,
    "Upsample": resize,
    "Where": where,
}

AT_THE_END = ("Sigmoid", "Tanh")
"""The operators that are refused, for the reasons below, unless the network ends in them."""

CAUSES = {
    **dict.fromkeys(
        words("Celu Elu Erf Exp Gelu HardSwish Mish Selu Sigmoid Softplus Softsign Swish Tanh Sin Cos Log"),
        Cause.CURVED,
    ),
    **dict.fromkeys(words("GRU LSTM RNN Loop Scan"), Cause.RECURRENT),
    **dict.fromkeys(
        words("ConvInteger DynamicQuantizeLinear MatMulInteger QLinearConv QLinearMatMul"),
        Cause.QUANTISED,
    ),
    **dict.fromkeys(
        words(
            "GlobalLpPool GroupNormalization InstanceNormalization LRN LayerNormalization LpNormalization LpPool "
            "MeanVarianceNormalization RMSNormalization"
        ),
        Cause.NORM_OF_SAMPLE,
    ),
    **dict.fromkeys(words("Attention Pow Sqrt Reciprocal"), Cause.PRODUCT),
    **dict.fromkeys(
        words("Bernoulli Multinomial RandomNormal RandomNormalLike RandomUniform RandomUniformLike"), Cause.RANDOM
    ),
    "If": Cause.DECISION,
    "Equal": Cause.EQUALITY,
    "ArgMax": Cause.POSITIONS,
}
"""Why some operators have no rule."""


def cause_of(operator: str) -> Cause:
    """Why an operator has no counterpart here."""
    return CAUSES.get(operator, Cause.NO_COUNTERPART)
