"""Functions with steps are compared before and behind them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from spikewright.frontends.torch import from_torch
from spikewright.frontends.torch.activations import ACTIVATIONS
from spikewright.frontends.torch.operators import OPERATORS
from spikewright.frontends.verify import verification
from spikewright.nodes import ChannelAffine, Floor
from verified_modules import Functional, Staircase, deep, refusal, replace_rule


def test_steps_are_compared_before_and_behind() -> None:
    graph = from_torch(deep(), torch.zeros(1, 1, 8, 8))
    assert len(graph.of_type(Floor)) == 2
    known = verification(graph)
    assert known.batches == (2, 3)
    assert known.difference < 1e-5


def test_rounding_at_a_step_is_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    """The graph is made a little off before every step, as another order of adding would: many values then jump."""
    right = ACTIVATIONS["floor"]

    def nudged(call: Any) -> Any:
        ones = np.ones(call.x.sample[0])
        before = call.emit(ChannelAffine, call.x, part="nudged", scale=ones, bias=3e-6 * ones)
        return call.emit(Floor, before)

    exact = Functional(lambda m, x: m.b(m.step(m.a(x))), a=nn.Linear(4, 6), b=nn.Linear(6, 3), step=Staircase(4, 1.0))
    # Every value of these is a multiple of 1/8: half of them lie on a step, and the nudge carries them over it.
    for part in (exact.a, exact.b):
        part.weight.data = torch.round(part.weight.data * 8) / 8
        part.bias.data = torch.round(part.bias.data * 8) / 8 - 1e-6
    example = torch.randint(-3, 4, (3, 4)).float()
    replace_rule(monkeypatch, "floor", nudged)
    assert verification(from_torch(exact, example)).against == "PyTorch"
    replace_rule(monkeypatch, "floor", right)
    assert verification(from_torch(exact, example)).difference < 1e-6


@pytest.mark.parametrize("error", [2e-3, 1.0])
def test_a_wrong_step_is_refused_by_name(error: float, monkeypatch: pytest.MonkeyPatch) -> None:
    def shifted(call: Any) -> Any:
        ones = np.ones(call.x.sample[0])
        before = call.emit(ChannelAffine, call.x, part="shifted", scale=ones, bias=error * ones)
        return call.emit(Floor, before)

    replace_rule(monkeypatch, "floor", shifted)
    assert "(Floor), by 1 where" in refusal(deep(), torch.zeros(1, 1, 8, 8))


def test_a_wrong_rule_behind_a_step_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    right = OPERATORS["linear"]

    def shifted(call: Any) -> Any:
        value = right(call)
        ones = np.ones(value.sample[0])
        return call.emit(ChannelAffine, value, part="shifted", scale=ones, bias=0.01 * ones)

    replace_rule(monkeypatch, "linear", shifted)
    assert "at the node '3.shifted' (ChannelAffine)" in refusal(deep(), torch.zeros(1, 1, 8, 8))


def test_steps_and_code_for_one_batch_size() -> None:
    module = Functional(lambda m, x: m.step(m.fc(x.view(1, -1))), fc=nn.Linear(12, 2), step=Staircase())
    assert verification(from_torch(module, torch.randn(1, 3, 4))).batches == (1,)
