"""The same layer gets the same advice at every door, whatever framework it was written in."""

# ruff: noqa: ARG005

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import spikewright as sw
from layer_forms import ops
from layers import IMAGE, ROW, SEQUENCE, Call, Kind, Onnx
from spikewright.causes import Cause
from spikewright.errors import Problem, UnsupportedModelError
from test_layers_table import keras_model, nir_model, onnx_model, torch_model


@dataclass(frozen=True)
class Refused:
    """A layer in the middle of a network, as frameworks write it, and why it is refused."""

    cause: Cause
    kind: Kind
    opset: int = 18


def same(cause: Cause, name: str, shape: tuple[int, ...], opset: int = 18, **written: Any) -> Refused:
    return Refused(cause, Kind(name, shape, **written), opset)


def ones(*shape: int) -> np.ndarray[Any, Any]:
    return np.ones(shape, np.float32)


class First(nn.Module):
    """The first result of a module that gives several."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.module(x)[0]
        return found


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.module = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.module(x, x, x)[0]
        return found


def curved(name: str, module: Callable[[], nn.Module], activation: str, operator: str, opset: int = 18) -> Refused:
    def keras(k: Any) -> Any:
        return k.Activation(activation, name="layer")

    return same(Cause.CURVED, name, IMAGE, opset, torch=module, keras=keras, onnx=Onnx(operator))


LAYERS = (
    curved("GELU", nn.GELU, "gelu", "Gelu", 20),
    curved("ELU", nn.ELU, "elu", "Elu"),
    curved("SELU", nn.SELU, "selu", "Selu"),
    curved("Mish", nn.Mish, "mish", "Mish"),
    curved("softplus", nn.Softplus, "softplus", "Softplus"),
    curved("softsign", nn.Softsign, "softsign", "Softsign"),
    curved("sigmoid in the middle", nn.Sigmoid, "sigmoid", "Sigmoid"),
    curved("tanh in the middle", nn.Tanh, "tanh", "Tanh"),
    same(
        Cause.NOT_AT_THE_END,
        "softmax in the middle",
        ROW,
        torch=lambda: nn.Softmax(1),
        keras=lambda k: k.Softmax(name="layer"),
        onnx=Onnx("Softmax", (), {"axis": -1}),
    ),
    same(
        Cause.NEGATIVE_SLOPE,
        "leaky ReLU",
        IMAGE,
        torch=lambda: nn.LeakyReLU(0.1),
        keras=lambda k: k.LeakyReLU(negative_slope=0.1, name="layer"),
        onnx=Onnx("LeakyRelu", (), {"alpha": 0.1}),
    ),
    same(
        Cause.EQUALITY,
        "equality",
        IMAGE,
        torch=lambda: Call(lambda x: (x == 1).float()),
        keras=lambda k: lambda x: ops().cast(ops().equal(x, 1), "float32"),
        onnx=(Onnx("Equal", (np.float32(1),)), Onnx("Cast", (), {"to": 1})),
    ),
    same(
        Cause.PRODUCT,
        "choice by other values",
        IMAGE,
        torch=lambda: Call(lambda x: torch.where(x.flip(2) > 0, x, 0.0)),
        keras=lambda k: lambda x: ops().where(ops().flip(x, 1) > 0, x, 0.0),
        onnx=(
            Onnx("ReduceMax", (np.array([1]),)),
            Onnx("Greater", (np.float32(0),)),
            Onnx("Where", (np.float32(0),), again=True),
        ),
    ),
    same(
        Cause.NORM_OF_SAMPLE,
        "layer norm",
        ROW,
        torch=lambda: nn.LayerNorm(8),
        keras=lambda k: k.LayerNormalization(name="layer"),
        onnx=Onnx("LayerNormalization", (ones(8),)),
    ),
    same(
        Cause.NORM_OF_SAMPLE,
        "group norm",
        IMAGE,
        torch=lambda: nn.GroupNorm(2, 4),
        keras=lambda k: k.GroupNormalization(2, name="layer"),
        onnx=Onnx("GroupNormalization", (ones(2), ones(2)), {"num_groups": 2}),
    ),
    same(
        Cause.NORM_OF_SAMPLE,
        "instance norm",
        IMAGE,
        torch=lambda: nn.InstanceNorm2d(4),
        onnx=Onnx("InstanceNormalization", (ones(4), ones(4))),
    ),
    same(
        Cause.NORM_OF_SAMPLE,
        "local response norm",
        IMAGE,
        torch=lambda: nn.LocalResponseNorm(3),
        onnx=Onnx("LRN", (), {"size": 3}),
    ),
    same(
        Cause.RECURRENT,
        "LSTM",
        SEQUENCE,
        torch=lambda: First(nn.LSTM(8, 8, batch_first=True)),
        keras=lambda k: k.LSTM(4, return_sequences=True, name="layer"),
        onnx=Onnx("LSTM", (ones(1, 16, 8), ones(1, 16, 4)), {"hidden_size": 4}),
    ),
    same(
        Cause.RECURRENT,
        "GRU",
        SEQUENCE,
        torch=lambda: First(nn.GRU(8, 8, batch_first=True)),
        keras=lambda k: k.GRU(4, return_sequences=True, name="layer"),
        onnx=Onnx("GRU", (ones(1, 12, 8), ones(1, 12, 4)), {"hidden_size": 4}),
    ),
    same(
        Cause.PRODUCT,
        "product of branches",
        IMAGE,
        torch=lambda: Call(lambda x: x * x),
        keras=lambda k: lambda x: k.Multiply(name="layer")([x, x]),
        onnx=Onnx("Mul", twice=True),
    ),
    same(
        Cause.PRODUCT,
        "attention",
        SEQUENCE,
        torch=Attention,
        keras=lambda k: lambda x: k.MultiHeadAttention(2, 4, name="layer")(x, x),
        onnx=Onnx("MatMul", twice=True),
    ),
    same(
        Cause.QUOTIENT,
        "quotient of branches",
        IMAGE,
        torch=lambda: Call(lambda x: x / (x + 1)),
        keras=lambda k: lambda x: x / x,
        onnx=Onnx("Div", twice=True),
    ),
    same(
        Cause.ZERO_DIVISOR,
        "division by zero",
        IMAGE,
        torch=lambda: Call(lambda x: x / 0),
        keras=lambda k: lambda x: x / 0.0,
        onnx=Onnx("Div", (ones(1) * 0,)),
    ),
    same(
        Cause.NOT_FINITE,
        "a constant that is infinite",
        IMAGE,
        torch=lambda: Call(lambda x: x + float("inf")),
        keras=lambda k: lambda x: x + np.float32("inf"),
        onnx=Onnx("Add", (ones(1) * np.inf,)),
    ),
    same(
        Cause.ROUNDING,
        "rounding to whole numbers",
        ROW,
        torch=lambda: Call(lambda x: x.to(torch.int32).float()),
        onnx=Onnx("Cast", (), {"to": 6}),
    ),
    same(
        Cause.BATCH_AXIS,
        "a mean over the batch",
        ROW,
        torch=lambda: Call(lambda x: x.mean(0, keepdim=True).expand(x.shape)),
        onnx=Onnx("ReduceMean", (np.array([0]),)),
    ),
    same(
        Cause.TRAINING,
        "dropout that goes on",
        ROW,
        torch=lambda: Call(lambda x: F.dropout(x, 0.5, training=True)),
        keras=lambda k: lambda x: k.Dropout(0.5, name="layer")(x, training=True),
        onnx=Onnx("Dropout", (np.float32(0.5), np.array(True))),
    ),
    same(
        Cause.NO_COUNTERPART,
        "what nobody has a word for",
        ROW,
        torch=lambda: Call(lambda x: x.cumprod(1)),
        keras=lambda k: lambda x: k.TimeDistributed(k.Dense(2), name="layer")(k.Reshape((8, 1))(x)),
        onnx=Onnx("Hardmax"),
        nir=lambda n: type("Novel", (n.Scale,), {})(ones(8)),
    ),
)


def problems(kind: Kind, load: Callable[..., Any], **options: Any) -> list[Problem]:
    with pytest.raises(UnsupportedModelError) as caught:
        sw.prepare(load(kind, **options))
    return list(caught.value.problems)


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.kind.name)
def test_the_same_layer_gets_the_same_advice_at_every_door(layer: Refused) -> None:
    doors: dict[str, list[Problem]] = {}
    if layer.kind.torch is not None:
        doors["torch"] = problems(layer.kind, torch_model)
    if layer.kind.keras is not None:
        doors["keras"] = problems(layer.kind, keras_model)
    if layer.kind.onnx is not None:
        doors["onnx"] = problems(layer.kind, onnx_model, opset=layer.opset)
    if layer.kind.nir is not None:
        doors["nir"] = problems(layer.kind, nir_model)
    assert len(doors) > 1
    for door, found in doors.items():
        assert {problem.cause for problem in found} == {layer.cause}, door
        assert all(problem.advice.endswith(layer.cause.advice) for problem in found), door
    bare = {problem.advice.rpartition("; ")[2] for found in doors.values() for problem in found}
    assert all(layer.cause.advice.endswith(advice) for advice in bare)


def test_recurrence_among_nir_nodes_is_recurrence() -> None:
    nir = pytest.importorskip("nir")
    shape = np.array([2])
    nodes = {
        "input": nir.Input(shape),
        "there": nir.Linear(ones(2, 2)),
        "back": nir.Linear(ones(2, 2)),
        "output": nir.Output(shape),
    }
    edges = [("input", "there"), ("there", "back"), ("back", "there"), ("there", "output")]
    with pytest.raises(UnsupportedModelError) as caught:
        sw.load(nir.NIRGraph(nodes, edges, type_check=False), dt=1.0)
    assert [(p.cause, p.advice) for p in caught.value.problems] == [(Cause.RECURRENT, Cause.RECURRENT.advice)]


def test_every_cause_has_an_advice_of_its_own_that_fits_in_a_message() -> None:
    assert len({cause.value for cause in Cause}) == len(Cause)
    assert all(10 < len(cause.advice) <= 150 for cause in Cause)
