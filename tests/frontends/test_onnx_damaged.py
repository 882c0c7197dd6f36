"""ONNX functions that never end, and files with bytes missing or changed: a clear answer or a right graph."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from onnx_models import Nodes, ints, model, normal
from spikewright.errors import ModelFileError, SpikewrightError
from spikewright.forward import run
from spikewright.frontends.onnx import from_onnx

pytestmark = pytest.mark.usefixtures("little_memory")


# Functions.


def functions(bodies: dict[str, list[str]]) -> onnx.ModelProto:
    """A model that calls the function "f"; each function is a chain of calls."""
    made = []
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    for name, calls in bodies.items():
        nodes = [
            helper.make_node(c, [f"v{k}"], [f"v{k + 1}"], domain="own" if c in bodies else "")
            for k, c in enumerate(calls)
        ]
        made.append(helper.make_function("own", name, ["v0"], [f"v{len(calls)}"], nodes, imports))
    proto = model([("Identity", [""], {})], ["N", 4])
    proto.graph.node[0].op_type, proto.graph.node[0].domain = "f", "own"
    proto.opset_import.append(helper.make_opsetid("own", 1))
    proto.functions.extend(made)
    return proto


def test_functions_are_written_out() -> None:
    x = normal(2, 4)
    graph = from_onnx(functions({"f": ["g", "g"], "g": ["Relu"]}))
    np.testing.assert_array_equal(run(graph, x)["output"], np.maximum(x, 0))


@pytest.mark.parametrize(
    "bodies", [{"f": ["f"]}, {"f": ["g"], "g": ["Relu", "f"]}, {"f": ["Relu"], "g": ["g"]}], ids=str
)
def test_functions_that_call_themselves(bodies: dict[str, list[str]]) -> None:
    with pytest.raises(ModelFileError, match="calls itself"):
        from_onnx(functions(bodies))


def test_functions_that_double_again_and_again() -> None:
    names = ["f", *(f"f{k}" for k in range(60))]
    bodies = {a: [b, b] for a, b in pairwise(names)} | {names[-1]: ["Relu"]}
    with pytest.raises(ModelFileError, match="functions come to more than 1000000 operators"):
        from_onnx(functions(bodies))


# Damaged files.


def small() -> bytes:
    """A model with most kinds of fields in it."""
    nodes: Nodes = [
        ("Conv", ["", "w", "b"], {"pads": [1, 1, 1, 1], "strides": [2, 2]}),
        ("BatchNormalization", ["", "b", "b", "b", "v"], {}),
        ("Clip", ["", "zero", "six"], {}),
        ("MaxPool", [""], {"kernel_shape": [2, 2]}),
        ("Constant", [], {"value": numpy_helper.from_array(ints(0, -1))}),
        ("Reshape", ["n3", ""], {}),
        ("Gemm", ["", "m"], {"transB": 1}),
    ]
    constants = {"w": normal(2, 1, 3, 3), "b": normal(2), "v": normal(2) ** 2, "m": normal(3, 18)}
    return model(nodes, ["N", 1, 8, 8], zero=np.float32(0), six=np.float32(6), **constants).SerializeToString()


def attempt(path: Path, content: bytes) -> bool:
    """Whether a file is read and its graph runs; anything but a clear error fails the test."""
    path.write_bytes(content)
    try:
        graph = from_onnx(path)
    except SpikewrightError:
        return False
    inputs = [node for node in graph if not node.inputs]
    if len(inputs) == 1 and np.prod(graph.shapes[inputs[0].name]) < 10**5:
        run(graph, np.zeros((1, *graph.shapes[inputs[0].name]), np.float32))
    return True


def test_truncated_files(tmp_path: Path) -> None:
    whole = small()
    assert attempt(tmp_path / "m.onnx", whole)
    for length in range(0, len(whole), 7):
        assert not attempt(tmp_path / "m.onnx", whole[:length])


@pytest.mark.parametrize("seed", range(4))
def test_damaged_bytes(seed: int, tmp_path: Path) -> None:
    whole, random = small(), np.random.default_rng(seed)
    for _ in range(100):
        damaged = np.frombuffer(whole, np.uint8).copy()
        places = random.integers(0, len(damaged), random.integers(1, 4))
        damaged[places] = random.integers(0, 256, len(places))
        attempt(tmp_path / "m.onnx", damaged.tobytes())
