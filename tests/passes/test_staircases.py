"""Activations that round become a ReLU with levels, which computes the same."""

from __future__ import annotations

import numpy as np
import pytest

from networks import Builder
from spikewright import passes
from spikewright.errors import UnsupportedModelError
from spikewright.forward import run
from spikewright.graph import Graph
from spikewright.nodes import ChannelAffine, Floor, Input, Output, ReLU, Round
from spikewright.preparation import prepare


def samples(graph: Graph) -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 1, (3, *graph.shapes["input"])).astype(np.float32)


def same(before: Graph, after: Graph, x: np.ndarray) -> None:
    old, new = (run(graph, x, dtype="float64")["output"] for graph in (before, after))
    np.testing.assert_allclose(new, old, rtol=0, atol=1e-5 * max(np.abs(old).max(), 1))


def staircase(*, clip_first: bool, scale: float = 4.0, shift: float = 0.5, top: float = 1.5) -> Graph:
    """conv, then floor(scale · x + shift) with a clip from 0 to ``top`` before or behind it, then a factor."""
    b = Builder(3)
    b.conv(4)
    if clip_first:
        b.relu(top)
    for factor, addend in ((scale, 0.0), (1.0, shift)):
        b.affine()
        b.nodes[-1] = b.nodes[-1].replace(scale=np.full(4, factor), bias=np.full(4, addend))
    b.add(Floor(name="floor", inputs=(b.at,)))
    if not clip_first:
        b.relu(top)
    b.affine()
    b.conv(2)
    return b.graph()


@pytest.mark.parametrize(("clip_first", "top", "ceiling"), [(True, 1.5, 1.5), (False, 6.0, 1.5)])
@pytest.mark.parametrize("shift", [0.0, 0.5])
def test_quantised_activations_become_a_relu_with_levels(
    clip_first: bool, top: float, ceiling: float, shift: float
) -> None:
    graph = staircase(clip_first=clip_first, shift=shift, top=top)
    after = passes.quantised_activations(graph)
    same(graph, after, samples(graph))
    (relu,) = after.of_type(ReLU)
    assert (relu.ceiling, relu.levels, relu.shift) == (ceiling, 6, shift)
    assert not after.of_type(Floor)
    same(graph, prepare(graph)[0], samples(graph))


@pytest.mark.parametrize(
    "settings", [{"shift": 1.25}, {"shift": -2.25}, {"scale": -4.0, "shift": 0.25}, {"scale": -2.0, "shift": 3.75}]
)
@pytest.mark.parametrize("clip_first", [True, False])
@pytest.mark.parametrize("kind", [Floor, Round])
def test_what_is_whole_in_a_shift_moves_out_of_a_step(
    settings: dict[str, float], clip_first: bool, kind: type[Floor | Round]
) -> None:
    """Steps that fall, and halves that go to the even number, too."""
    graph = staircase(clip_first=clip_first, top=1.5 if clip_first else 6.0, **settings)
    graph = graph.replaced(kind(name="floor", inputs=graph["floor"].inputs))
    after = passes.quantised_activations(graph)
    same(graph, after, samples(graph))
    assert not after.of_type(Floor, Round)
    assert [relu.levels for relu in after.of_type(ReLU)] == [
        round(abs(settings.get("scale", 4.0)) * 1.5)
    ] or not clip_first


@pytest.mark.parametrize("start", [0.0, 1.0, -2.5])
def test_halves_go_where_the_network_rounds_them(start: float) -> None:
    graph = Graph(
        [
            Input(name="x", shape=(9,)),
            ReLU(name="clip", inputs=("x",), ceiling=4.0),
            ChannelAffine(name="moved", inputs=("clip",), scale=np.ones(9), bias=np.full(9, start)),
            Round(name="round", inputs=("moved",)),
            Output(name="output", inputs=("round",)),
        ]
    )
    x = np.arange(9, dtype=np.float32)[None] / 2
    after = passes.quantised_activations(graph)
    assert [type(node) for node in after.of_type(Round)] == []
    np.testing.assert_array_equal(run(after, x)["output"], np.round(np.clip(x, 0, 4) + start))


def test_roundings_that_are_no_staircase_are_refused() -> None:
    """Nor is a round that saturates halfway between two numbers, of which the even one is another step."""
    graph = staircase(clip_first=True, shift=0.5)
    graph = graph.replaced(Round(name="floor", inputs=graph["floor"].inputs))
    with pytest.raises(UnsupportedModelError, match=r"Round at 'floor': rounding is only known beside a clip"):
        prepare(graph)
    with pytest.raises(UnsupportedModelError, match=r"Floor at 'floor': rounding is only known beside a clip"):
        prepare(staircase(clip_first=True, top=1.3))


@pytest.mark.parametrize("factor", [3.99995, 4.00005, 3.5])
def test_steps_that_do_not_make_up_the_ceiling_are_no_staircase(factor: float) -> None:
    """The network never reaches its fourth step with 3.99995; a ReLU with four levels would."""
    graph = Graph(
        [
            Input(name="x", shape=(1,)),
            ReLU(name="clip", inputs=("x",), ceiling=1.0),
            ChannelAffine(name="scale", inputs=("clip",), scale=np.full(1, factor), bias=np.zeros(1)),
            Floor(name="floor", inputs=("scale",)),
            Output(name="output", inputs=("floor",)),
        ]
    )
    with pytest.raises(UnsupportedModelError, match="rounding is only known beside a clip"):
        prepare(graph)
