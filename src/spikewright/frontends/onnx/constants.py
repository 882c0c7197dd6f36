"""ONNX operators that depend on no data are computed while reading: reshaped weights, shapes, constants.

Only operators whose result has a size that can be told beforehand are computed: a file of a few bytes must not fill
the memory, and nothing that loops or decodes is ever run.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, prod

import numpy as np

from spikewright.causes import Cause
from spikewright.frontends.common.refusals import Refusal
from spikewright.frontends.onnx.call import Call, whole_numbers
from spikewright.frontends.onnx.quantised import dequantised, quantised
from spikewright.frontends.onnx.weights import stored_array
from spikewright.graph import Array
from spikewright.text import first_line

BATCH = -7654321
"""Stands for the batch size in shapes: it is no length, and no -1, which asks for what is left."""

MOVES = ("Cast", "Concat", "Flatten", "Gather", "Identity", "Reshape", "Slice", "Squeeze", "Transpose", "Unsqueeze")
"""What may be done with the batch size: anything else would compute with its stand-in."""


def _broadcast(call: Call) -> int:
    return prod(np.broadcast_shapes(*(a.shape for a in call.constants)))


def _no_larger(call: Call) -> int:
    return call.constants[0].size


def _joined(call: Call) -> int:
    return sum(a.size for a in call.constants)


def _elements(call: Call) -> int:
    return call.constants[1].size


def _gathered(call: Call) -> int:
    data, indices = call.constants
    return int(data.size // data.shape[call.whole("axis", 0)] * indices.size)


def _product(call: Call) -> int:
    a, b = (np.atleast_2d(m) for m in call.constants[:2])
    rows = a.shape[-1 if call.attributes.get("transA") else -2]
    columns = b.shape[-2 if call.attributes.get("transB") else -1]
    return int(rows * columns) * prod(np.broadcast_shapes(a.shape[:-2], b.shape[:-2]))


def _range(call: Call) -> int:
    start, limit, step = (float(a) for a in call.constants)
    return max(ceil((limit - start) / step), 0)


def _tiled(call: Call) -> int:
    return call.constants[0].size * prod(whole_numbers(call.constants[1]))


def _expanded(call: Call) -> int:
    return prod(np.broadcast_shapes(call.constants[0].shape, whole_numbers(call.constants[1])))


def _filled(call: Call) -> int:
    return prod(whole_numbers(call.constants[0]))


def _padded(call: Call) -> int:
    most = 2 * max(map(abs, call.ints("pads") or whole_numbers(call.constants[1])), default=0)
    return prod(n + most for n in call.constants[0].shape)


SIZES: dict[str, Callable[[Call], int]] = {
    **dict.fromkeys(
        (
            *("Abs", "Add", "And", "Cast", "CastLike", "Ceil", "Clip", "Div", "Equal", "Exp"),
            *("Floor", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Log", "Max", "Mean", "Min", "Mod", "Mul"),
            *("Neg", "Not", "Or", "Pow", "Reciprocal", "Relu", "Round", "Sigmoid", "Sign"),
            *("Sqrt", "Sub", "Sum", "Tanh", "Where", "Xor"),
        ),
        _broadcast,
    ),
    **dict.fromkeys(
        (
            *(
                "ArgMax",
                "ArgMin",
                "DepthToSpace",
                "DequantizeLinear",
                "Flatten",
                "Identity",
                "LpNormalization",
                "QuantizeLinear",
                "ReduceL1",
            ),
            *("ReduceL2", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum", "ReduceSumSquare"),
            *("Reshape", "Shape", "Size", "Slice", "Softmax", "SpaceToDepth", "Split", "Squeeze", "Transpose"),
            *("Trilu", "Unsqueeze"),
        ),
        _no_larger,
    ),
    "Concat": _joined,
    "ConstantOfShape": _filled,
    "Expand": _expanded,
    "Gather": _gathered,
    "GatherElements": _elements,
    "ReverseSequence": _no_larger,
    "Gemm": _product,
    "MatMul": _product,
    "Pad": _padded,
    "Range": _range,
    "Tile": _tiled,
}
"""How many numbers each operator that may be computed makes at most."""


def evaluate(call: Call) -> bool:
    """Compute an operator whose inputs are all constant; False where it depends on data."""
    proto, walk = call.proto, call.walk
    if proto.op_type == "Shape" and call.input_name(0) in walk.values:
        shape = (BATCH, *call.shape())
        start, end = call.attributes.get("start", 0), call.attributes.get("end")
        walk.constants[call.output] = np.array(shape[start:end], np.int64)
        if BATCH in shape[start:end]:
            walk.batched.add(call.output)
        return True
    if not all(name in walk.constants for name in proto.input if name):
        return False
    if proto.op_type == "Constant":
        walk.constants[call.output] = _constant(call)
        return True
    if proto.op_type.startswith("Random") or proto.op_type in ("Bernoulli", "Multinomial"):
        raise Refusal(Cause.RANDOM)
    if proto.op_type not in SIZES:
        raise Refusal("it depends on no data, yet is not computed while reading; fold the model's constants first")
    batched = [k for k, name in enumerate(proto.input) if name in walk.batched]
    if proto.op_type == "ConstantOfShape" and batched and _rows(call):
        return True
    for name in walk.rows.intersection(proto.input):
        call.check_row(name)
    if batched and (proto.op_type not in MOVES or (proto.op_type != "Concat" and batched != [0])):
        raise Refusal(Cause.BATCH_SIZE)
    for name, value in zip(proto.output, _computed(call), strict=False):
        if batched and proto.op_type == "Cast" and (value != call.constants[0]).any():
            raise Refusal(Cause.BATCH_SIZE, "it casts the batch size to numbers that cannot hold it")
        walk.constants[name] = value
        if batched and (value == BATCH).any():
            walk.batched.add(name)
        if not walk.rows.isdisjoint(proto.input):
            walk.rows.add(name)
    return True


def _rows(call: Call) -> bool:
    """Fill a tensor as long as the batch with one number, as the row of one sample; False where it is another."""
    lengths = call.walk.constants[call.input_name(0)]
    if not lengths.size or lengths.flat[0] != BATCH or (lengths.flat[1:] == BATCH).any():
        return False
    call.walk.constants[call.output] = _full(call, (1, *whole_numbers(lengths)[1:]))
    call.walk.rows.add(call.output)
    return True


def _full(call: Call, shape: tuple[int, ...]) -> Array:
    """A tensor full of one number, which takes no memory until it is used."""
    call.walk.budget(prod(shape))
    filled = call.attributes.get("value")
    value = np.zeros(1, np.float32) if filled is None else stored_array(filled, call.walk.folder)
    return np.broadcast_to(value.reshape(()), shape)


def _computed(call: Call) -> list[Array]:
    try:
        size = int(SIZES[call.proto.op_type](call))
    except (ValueError, TypeError, IndexError, OverflowError, ZeroDivisionError) as error:
        raise Refusal(f"its constant value cannot be computed ({first_line(error)})") from error
    if call.proto.op_type == "ConstantOfShape":
        return [_full(call, whole_numbers(call.constants[0]))]
    call.walk.budget(size)
    if call.proto.op_type in ("DequantizeLinear", "QuantizeLinear"):
        return [dequantised(call) if call.proto.op_type == "DequantizeLinear" else quantised(call)]
    return run_on_constants(call)


def _constant(call: Call) -> Array:
    for name, value in call.attributes.items():
        if name == "value":
            return stored_array(value, call.walk.folder)
        if name in ("value_float", "value_floats"):
            return np.array(value, np.float32)
        if name in ("value_int", "value_ints"):
            return np.array(value, np.int64)
    raise Refusal(f"a constant of the kind {', '.join(call.attributes)} cannot be read")


def run_on_constants(call: Call) -> list[Array]:
    """One operator through ONNX's own reference."""
    from onnx import helper
    from onnx.reference import ReferenceEvaluator

    proto = call.proto
    inputs = [name for name in proto.input if name]
    infos = [
        helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(call.walk.constants[n].dtype), None)
        for n in inputs
    ]
    outputs = [helper.make_empty_tensor_value_info(name) for name in proto.output if name]
    graph = helper.make_graph([proto], "constant", infos, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", call.walk.opset)])
    try:
        with np.errstate(all="ignore"):
            results = ReferenceEvaluator(model).run(None, {n: call.walk.constants[n] for n in inputs})
    except Exception as error:  # the reference raises all kinds
        raise Refusal(f"its constant value cannot be computed ({first_line(error)})") from error
    return [np.asarray(result) for result in results]
