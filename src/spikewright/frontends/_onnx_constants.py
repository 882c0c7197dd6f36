"""ONNX operators that depend on no data are computed while reading: reshaped weights, shapes, constants."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from spikewright.frontends._onnx_call import Call, Refusal

if TYPE_CHECKING:
    from onnx import NodeProto

BATCH = -1
"""Stands for the batch size in shapes: it is never a real length."""


MOVES = ("Cast", "Concat", "Flatten", "Gather", "Identity", "Reshape", "Slice", "Squeeze", "Transpose", "Unsqueeze")
"""What may be done with the batch size: anything else would compute with its stand-in."""


def evaluate(call: Call) -> bool:
    """Compute an operator whose inputs are all constant; False where it must become a node."""
    proto, walk = call.proto, call.walk
    if proto.op_type == "Shape" and call.given(0) in walk.values:
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
    if proto.op_type in ("RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Multinomial"):
        raise Refusal("random numbers have no place in a trained network")
    batched = [k for k, name in enumerate(proto.input) if name in walk.batched]
    if batched and (proto.op_type not in MOVES or (proto.op_type != "Concat" and batched != [0])):
        raise Refusal("it computes with the batch size, which a spiking network leaves open")
    for name, value in zip(proto.output, _run(proto, call), strict=False):
        walk.constants[name] = np.asarray(value)
        if batched and (walk.constants[name] == BATCH).any():
            walk.batched.add(name)
    return True


def _constant(call: Call) -> np.ndarray[tuple[int, ...], np.dtype[np.generic]]:
    from onnx import numpy_helper

    for name, value in call.attributes.items():
        if name == "value":
            return numpy_helper.to_array(value)
        if name in ("value_float", "value_floats"):
            return np.array(value, np.float32)
        if name in ("value_int", "value_ints"):
            return np.array(value, np.int64)
    raise Refusal(f"a constant of the kind {', '.join(call.attributes)} cannot be read")


def _run(proto: NodeProto, call: Call) -> list[np.ndarray[tuple[int, ...], np.dtype[np.generic]]]:
    """One operator through ONNX's own reference."""
    from onnx import helper
    from onnx.reference import ReferenceEvaluator

    inputs = [name for name in proto.input if name]
    infos = [
        helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(call.walk.constants[n].dtype), None)
        for n in inputs
    ]
    outputs = [helper.make_empty_tensor_value_info(name) for name in proto.output if name]
    graph = helper.make_graph([proto], "constant", infos, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", call.walk.opset)])
    try:
        session = ReferenceEvaluator(model)
        results = session.run(None, {n: call.walk.constants[n] for n in inputs})
    except Exception as error:  # the reference raises all kinds
        raise Refusal(f"its constant value cannot be computed ({error})") from error
    return [np.asarray(result) for result in results]
