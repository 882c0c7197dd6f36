"""Choices by comparison: which nodes they become, where cuts belong, and what their neurons do."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import spikewright as sw
from layers import Call
from spikewright.calibration import Max
from spikewright.errors import UnsupportedModelError
from spikewright.forward import Forward
from spikewright.frontends.common.pieces import (
    SAME,
    Cut,
    Line,
    Pieces,
    added,
    chosen,
    combined,
    compared,
    rectifier,
    stepped,
    threshold,
    through,
)
from spikewright.graph import Graph
from spikewright.nodes import Floor, LeakyReLU, ReLU

Function = Callable[[Tensor], Tensor]


def loaded(function: Function | nn.Module) -> Graph:
    module = function if isinstance(function, nn.Module) else Call(function)
    return sw.load(nn.Sequential(module), shape=(6,))


def values(graph: Graph, x: Tensor) -> Tensor:
    (name,) = graph.inputs
    (found,) = Forward(graph)({name: x}).values()
    return found


@pytest.mark.parametrize(
    ("function", "rectifiers", "steps"),
    [
        (lambda x: torch.where(x > 0, x, 0.0), 1, 0),
        (lambda x: x * (x >= 0), 1, 0),
        (lambda x: torch.where(x < 0.5, 0.5, x), 1, 0),
        (lambda x: torch.where(x > 1, 1.0, torch.where(x < -1, -1.0, x)), 1, 0),
        (lambda x: torch.where((x > -1) & (x < 1), x, x.sign()), 1, 0),
        (lambda x: x.sign() * (x.abs() - 0.25).relu(), 1, 0),
        (lambda x: (x > 0.25).float(), 1, 1),
        (lambda x: (x >= 0.25).float() - (x > 0.25).float(), 2, 2),
        (lambda x: torch.where(x >= 0.25, 2 * x, 1 - x), 2, 1),
        (torch.sign, 2, 2),
        (nn.Hardshrink(0.25), 3, 2),
        (nn.Softshrink(0.25), 1, 0),
        (nn.Threshold(0.25, 0.25), 1, 0),
        (nn.Threshold(0.25, -1.0), 2, 1),
        (lambda x: torch.heaviside(x, torch.tensor(0.25)), 2, 2),
    ],
)
def test_choices_are_as_few_rectifiers_and_steps_as_there_must_be(
    function: Function | nn.Module, rectifiers: int, steps: int
) -> None:
    """At the cuts too, where a value belongs to one side."""
    graph = loaded(function)
    assert (len(graph.of_type(ReLU)), len(graph.of_type(Floor))) == (rectifiers, steps)
    x = torch.tensor([[-1.0, -0.25, 0.0, 0.25, 0.5, 1.0], [-0.3, 0.26, 0.24, -2.0, 2.0, 1e-6]])
    assert torch.allclose(values(graph, x), function(x), atol=1e-6)
    folded, _ = sw.prepare(graph)
    assert not folded.of_type(Floor)
    assert sum(relu.levels == 1 for relu in folded.of_type(ReLU)) == steps


def test_a_leaky_choice_is_a_leaky_rectifier() -> None:
    graph = loaded(lambda x: torch.where(x > 0, x, 0.1 * x))
    (leaky,) = graph.of_type(LeakyReLU)
    assert leaky.slope == pytest.approx(0.1)
    slopes = torch.arange(6.0) / 10
    graph = loaded(lambda x: torch.where(x > 0, x, slopes * x))
    assert len(graph.of_type(LeakyReLU)) == 1
    x = torch.randn(4, 6)
    assert torch.allclose(values(graph, x), torch.where(x > 0, x, slopes * x), atol=1e-6)


def test_a_step_is_decided_by_the_neuron_at_any_time() -> None:
    """In one timestep and in many, for values that are not next to the cut."""
    module = nn.Sequential(Call(lambda x: (x > 0.5).float()), nn.Linear(6, 3, bias=False))
    graph = sw.load(module, shape=(6,))
    folded, _ = sw.prepare(graph)
    x = np.random.default_rng(0).uniform(0, 1, (64, 6)).astype(np.float32)
    x = np.where(np.abs(x - 0.5) < 0.01, 0.3, x).astype(np.float32)
    spiking = sw.convert(graph, sw.calibrate(folded, x, [Max()]).scales(Max()))
    expected = module(torch.from_numpy(x)).detach().numpy()
    for timesteps in (1, 4, 64):
        found = sw.simulate(spiking, x, timesteps).output[:, -1]
        np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (lambda x: torch.where(x.flip(1) > 0, x, 0.0), "it picks values by a comparison of others"),
        (lambda x: x * x, "it multiplies activations with each other"),
        (lambda x: torch.where(x > 0, x, x * x), "it multiplies activations with each other"),
        (lambda x: (x == 0).float(), "compare with < or >"),
        (lambda x: torch.where(x > 0, x, float("-inf")), "its constant is infinite"),
    ],
)
def test_what_is_no_function_of_one_value_is_refused(function: Function, why: str) -> None:
    with pytest.raises(UnsupportedModelError) as caught:
        loaded(function)
    assert why in str(caught.value)


def test_a_network_of_signs_is_exact_in_one_step() -> None:
    """A network with binary activations."""
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(1, 4, 3), Call(torch.sign), nn.Flatten(), nn.Linear(64, 5)).eval()
    graph = sw.load(module, shape=(1, 6, 6))
    folded, _ = sw.prepare(graph)
    x = np.random.default_rng(0).uniform(0, 1, (32, 1, 6, 6)).astype(np.float32)
    spiking = sw.convert(graph, sw.calibrate(folded, x, [Max()]).scales(Max()))
    expected = module(torch.from_numpy(x)).detach().numpy()
    for engine in ("reference", "event"):
        np.testing.assert_allclose(sw.simulate(spiking, x, 1, engine=engine).output[:, -1], expected, atol=1e-4)


# Functions with cuts.


def at(pieces: Pieces, x: float) -> float:
    return float(pieces.line_at(x).at(x))


def test_functions_of_functions() -> None:
    """Random ones, at random places and at their cuts."""
    random = np.random.default_rng(0)
    for _ in range(200):
        low, high = sorted(random.choice([-1.0, -0.5, 0.0, 0.5, 1.0], 2, replace=False))
        outer = combined(chosen, compared(random.choice([">", ">=", "<", "<="]), low), SAME, stepped(high, -1, 0, 2))
        inner = random.choice(np.array([rectifier(0.5), rectifier(0, 1.0), threshold(0.5, 0.25)], dtype=object))
        line = Pieces((Line.of(random.choice([-2.0, -1.0, 0.5]), random.choice([0.0, 0.5])),))
        assert outer is not None
        both = through(inner, line)
        assert both is not None
        whole = through(outer, both)
        assert whole is not None
        for x in np.linspace(-2, 2, 33):
            assert at(whole, x) == pytest.approx(at(outer, at(inner, at(line, x))))
        total = combined(added, whole, outer)
        assert total is not None
        assert at(total, 0.3) == pytest.approx(at(whole, 0.3) + at(outer, 0.3))


def test_points_belong_where_they_lie() -> None:
    assert stepped(1.0, 0, 0, 1).cuts == (Cut(1.0, 1),)
    assert stepped(1.0, 0, 1, 1).cuts == (Cut(1.0),)
    assert stepped(1.0, 0, 0.5, 1).cuts == (Cut(1.0), Cut(1.0, 1))
