"""Inputs and outputs have the framework's names; where a layer is called the same, the layer gives way."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

import spikewright as sw
from spikewright.forward import Forward
from spikewright.frontends.common.names import Names
from spikewright.graph import Graph
from spikewright.nodes import Output
from spikewright.text import free_name


def outputs(graph: Graph) -> list[str]:
    return [node.name for node in graph.of_type(Output)]


def test_names_that_are_taken_are_counted() -> None:
    assert [free_name("relu", taken) for taken in ([], ["relu"], ["relu", "relu_2"])] == ["relu", "relu_2", "relu_3"]
    names = Names()
    assert names.inputs(["age"]) == ["age"]
    assert names.outputs(["age", "", ""]) == ["age_2", "output", "output_2"]
    assert [names.unique("output"), names.unique("age"), names.unique("fc")] == ["output_3", "age_3", "fc"]


class Heads(nn.Module):
    def __init__(self, form: Any) -> None:
        super().__init__()
        self.age, self.sex, self.form = nn.Linear(4, 2), nn.Linear(4, 3), form

    def forward(self, x: Tensor) -> Any:
        return self.form(self.age(x), self.sex(x))


class Answer(NamedTuple):
    age: Tensor
    sex: Tensor


@pytest.mark.parametrize(
    ("form", "names"),
    [
        (lambda a, b: {"age": a, "sex": b}, ["age", "sex"]),
        (lambda a, b: {"sex": b, "age": a}, ["sex", "age"]),
        (lambda a, b: Answer(a, b), ["age", "sex"]),
        (lambda a, b: {"heads": {"age": a, "sex": b}}, ["heads.age", "heads.sex"]),
        (lambda a, b: {"heads": [a, b]}, ["heads", "heads_2"]),
        (lambda a, b: (a, b), ["output", "output_2"]),
        (lambda a, _: {"age": a + 1}, ["age"]),
        (lambda a, _: a, ["output"]),
    ],
    ids=[
        "dictionary",
        "turned",
        "named tuple",
        "nested",
        "list in a dictionary",
        "tuple",
        "one in a dictionary",
        "one",
    ],
)
def test_outputs_of_a_module(form: Any, names: list[str]) -> None:
    module = Heads(form).eval()
    graph = sw.load(module, shape=(4,))
    assert outputs(graph) == names
    x = torch.randn(3, 4)
    with torch.no_grad():
        leaves = torch.utils._pytree.tree_leaves(module(x))
    for (name, found), wanted in zip(Forward(graph)({"input": x}).items(), leaves, strict=True):
        torch.testing.assert_close(found, wanted, msg=name)
    layers = [node.name for node in graph if node.type == "Linear"]
    assert layers[0] == ("age_2" if "age" in names else "age")


def test_an_input_of_a_module_keeps_its_name_before_an_output() -> None:
    class Turned(nn.Module):
        def forward(self, age: Tensor, sex: Tensor) -> dict[str, Tensor]:
            return {"sex": age.relu() + sex}

    graph = sw.load(Turned(), example=(torch.rand(2, 4), torch.rand(2, 4)))
    assert list(graph.inputs) == ["age", "sex"]
    assert outputs(graph) == ["sex_2"]


def onnx_heads(names: list[str], node_names: list[str], start: str = "x") -> onnx.ModelProto:
    nodes = [
        helper.make_node("Gemm", [start, "w"], [end], name=name) for end, name in zip(names, node_names, strict=True)
    ]
    first = helper.make_tensor_value_info(start, TensorProto.FLOAT, ["N", 4])
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names]
    weights = [numpy_helper.from_array(np.ones((4, 2), np.float32), "w")]
    graph = helper.make_graph(nodes, "heads", [first], ends, weights)
    made: onnx.ModelProto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    return made


def test_outputs_of_an_onnx_model() -> None:
    graph = sw.load(onnx_heads(["age", "sex"], ["age", ""]))
    assert outputs(graph) == ["age", "sex"]
    assert [node.name for node in graph if node.type == "Linear"] == ["age_2", "sex_2"]
    assert outputs(sw.load(onnx_heads(["age"], ["age"]))) == ["output"]
    assert list(sw.load(onnx_heads(["age"], ["fc"], start="output")).inputs) == ["output"]


def test_outputs_of_a_keras_model() -> None:
    keras = pytest.importorskip("keras")
    start = keras.Input((4,), name="face")
    age = keras.layers.Dense(2, name="age", activation="relu")(start)
    sex = keras.layers.Dense(3, name="sex")(start)
    listed = sw.load(keras.Model(start, [sex, age]))
    assert (list(listed.inputs), outputs(listed)) == (["face"], ["sex", "age"])
    assert {"age_2", "sex_2", "age.relu"} <= {*listed.by_name}
    named = sw.load(keras.Model(start, {"years": age, "sex": sex}))
    assert outputs(named) == ["sex", "years"]
    assert {"age", "sex_2"} <= {*named.by_name}
    assert outputs(sw.load(keras.Model(start, age))) == ["output"]


def test_outputs_of_a_nir_graph() -> None:
    nir = pytest.importorskip("nir")
    shape = np.array([2])
    nodes = {"x": nir.Input(shape), "fc": nir.Linear(np.ones((2, 2), np.float32)), "age": nir.Output(shape)}
    graph = sw.load(nir.NIRGraph(nodes, [("x", "fc"), ("fc", "age")]), dt=1.0)
    assert [node.name for node in graph] == ["x", "fc", "age"]
