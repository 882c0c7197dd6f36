"""What a PyTorch module may not hold: all of it is named at once, with its place and what to do."""

# ruff: noqa: ARG005

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spikewright.errors import ModelFileError, UnsupportedModelError
from spikewright.frontends.torch import from_exported, from_torch


class Functional(nn.Module):
    def __init__(self, function: Callable[..., Any], **parts: Any) -> None:
        super().__init__()
        self.function = function
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x: Tensor) -> Any:
        return self.function(self, x)


def problems(module: nn.Module, example: Any) -> list[tuple[str, str]]:
    with pytest.raises(UnsupportedModelError) as caught:
        from_torch(module, example)
    assert all(problem.advice for problem in caught.value.problems)
    return [(problem.operator, problem.where) for problem in caught.value.problems]


def test_every_operator_is_named_at_once() -> None:
    module = nn.Sequential(
        nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.Hardswish()),
        nn.Sequential(nn.Sigmoid(), nn.GroupNorm(2, 4), nn.ReLU()),
        nn.GELU(),
    )
    with pytest.raises(UnsupportedModelError) as caught:
        from_torch(module, torch.zeros(1, 2, 5, 5))
    assert str(caught.value) == (
        "4 operators cannot be converted to spikes: "
        "hardswish at 0.1: use a ReLU in its place and train again: only a rectifier is what a spiking neuron's rate "
        "can follow; "
        "sigmoid at 1.0: use a ReLU in its place and train again: only a rectifier is what a spiking neuron's rate "
        "can follow; "
        "group_norm at 1.1: use a batch norm, whose statistics are fixed after training and fold into the weights; "
        "gelu at 2: use a ReLU in its place and train again: only a rectifier is what a spiking neuron's rate "
        "can follow"
    )


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.LSTM(5, 6, batch_first=True)
        self.attention = nn.MultiheadAttention(6, 2, batch_first=True)
        self.norm = nn.LayerNorm(6)
        self.fc = nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        y, _ = self.rnn(x)
        y, _ = self.attention(y, y, y)
        return torch.sigmoid(self.fc(self.norm(y).flatten(1)[:, :6]))


def test_a_recurrent_network_is_refused_module_by_module() -> None:
    assert problems(Recurrent(), torch.zeros(2, 4, 5)) == [
        ("LSTM", "rnn"),
        ("MultiheadAttention", "attention"),
        ("layer_norm", "norm"),
    ]  # and not the sigmoid, which stands at the end


REFUSED: dict[str, tuple[Callable[[Any, Tensor], Any], str]] = {
    "attention": (lambda m, x: F.scaled_dot_product_attention(x, x, x), "scaled_dot_product_attention"),
    "tanh": (lambda m, x: x.tanh() + 1, "tanh"),
    "a final sigmoid behind what is refused": (lambda m, x: F.silu(x).sigmoid(), "silu"),
    "silu in place": (lambda m, x: F.silu(x + 1, inplace=True), "silu"),
    "layer norm": (lambda m, x: F.layer_norm(x, (4,)), "layer_norm"),
    "instance norm": (lambda m, x: F.instance_norm(x), "instance_norm"),
    "product": (lambda m, x: x * x.relu(), "mul"),
    "matrix product": (lambda m, x: x @ x.transpose(2, 3), "matmul"),
    "quotient": (lambda m, x: x / (x.relu() + 1), "div"),
    "rounding": (lambda m, x: x.long().float(), "to_copy"),
    "noise": (lambda m, x: x + torch.randn(4), "randn"),
    "batch mean": (lambda m, x: x - x.mean(0), "mean"),
    "batch join": (lambda m, x: torch.cat([x, x]), "concat"),
    "batch swap": (lambda m, x: x.transpose(0, 1), "transpose"),
    "batch merge": (lambda m, x: x.reshape(-1, 16), "view"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_by_name(name: str) -> None:
    function, operator = REFUSED[name]
    assert problems(Functional(function), torch.rand(3, 2, 4, 4)) == [(operator, "forward of Functional")]


def test_embeddings() -> None:
    module = nn.Sequential(nn.Embedding(5, 3), nn.Flatten())
    assert problems(module, torch.zeros(2, 4, dtype=torch.long)) == [("embedding", "0")]


def test_a_batch_norm_without_statistics() -> None:
    with pytest.raises(UnsupportedModelError, match=r"batch_norm at 0: it has no running statistics"):
        from_torch(nn.Sequential(nn.BatchNorm1d(3, track_running_stats=False)), torch.rand(4, 3))


def test_a_program_exported_in_training_mode() -> None:
    program = torch.export.export(nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3)), (torch.rand(4, 3),), strict=False)
    with pytest.raises(UnsupportedModelError, match=r"batch_norm at 1: it does what it does in training"):
        from_exported(program)


def test_control_flow_that_depends_on_values() -> None:
    with pytest.raises(ModelFileError) as caught:
        from_torch(Functional(lambda m, x: x if x.sum() > 0 else -x), torch.zeros(1, 3))
    assert str(caught.value) == (
        "Functional: forward() decides by the values of a tensor (if, while, .item() or indexing by values); "
        "only one fixed network can be converted: take that decision out of it"
    )


def test_an_example_of_the_wrong_shape() -> None:
    with pytest.raises(ModelFileError, match=r"Linear: fails on an example of shape \(2, 5\): .*; check the shape of"):
        from_torch(nn.Linear(4, 3), torch.zeros(2, 5))


@pytest.mark.parametrize(
    ("example", "message"),
    [
        (torch.tensor(1.0), r"the example of shape \(\) is no batch"),
        (np.zeros((0, 4)), r"the example of shape \(0, 4\) is no batch"),
        ("zeros", "an example must be a tensor or an array, not a str"),
    ],
)
def test_an_example_that_is_no_batch(example: Any, message: str) -> None:
    with pytest.raises(ModelFileError, match=message):
        from_torch(nn.Linear(4, 3), example)


def test_an_output_that_does_not_depend_on_the_input() -> None:
    with pytest.raises(ModelFileError, match="its output does not depend on any input tensor"):
        from_torch(Functional(lambda m, x: torch.ones(3)), torch.zeros(1, 3))
