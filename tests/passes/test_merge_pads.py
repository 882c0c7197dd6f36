"""Padding written as a layer of its own becomes the padding of what follows: as if it had been written inside."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import spikewright as sw
from networks import Builder
from spikewright.conversion import what_became
from spikewright.forward import run
from spikewright.nodes import AvgPool, Conv, Pad, ReLU
from spikewright.passes import merge_pads, pads_behind_rectifiers
from spikewright.preparation import prepare

Zeros = tuple[tuple[int, int], ...]
BOTTOM: Zeros = ((0, 0), (0, 1), (2, 1))


def pad(b: Builder, padding: Zeros = BOTTOM) -> None:
    b.add(Pad(name=b.name("pad"), inputs=(b.at,), padding=padding))


def conv(b: Builder, padding: tuple[tuple[int, int], ...] = ((0, 0), (0, 0)), stride: int = 1) -> None:
    b.conv(4, padding=padding, stride=stride)


def merged(b: Builder) -> tuple[sw.Graph, bool]:
    """The folded network, which computes what it did, and whether a Pad is left in it."""
    graph = b.graph()
    folded, _ = prepare(graph)
    x = b.samples()
    before, after = (run(g, x, dtype="float64")["output"] for g in (graph, folded))
    assert np.abs(before - after).max() <= 1e-5 * np.abs(before).max()
    return folded, bool(folded.of_type(Pad))


def test_a_convolution_takes_the_zeros_in() -> None:
    b = Builder(0)
    pad(b)
    conv(b, ((1, 0), (0, 2)), stride=2)
    folded, left = merged(b)
    assert not left
    assert folded.of_type(Conv)[0].padding == ((1, 1), (2, 3))


def test_all_pads_of_a_chain_are_one() -> None:
    b = Builder(0)
    pad(b)
    pad(b, ((0, 0), (3, 0), (0, 0)))
    conv(b)
    folded, left = merged(b)
    assert not left
    assert folded.of_type(Conv)[0].padding == ((3, 1), (2, 1))


def test_norms_fold_across() -> None:
    """Behind the zeros or in front of them: one convolution is left of each, and its border's own bias."""
    b = Builder(0)
    conv(b)
    b.relu()
    b.norm()
    pad(b)
    conv(b)
    b.relu()
    pad(b)
    b.norm()
    conv(b)
    folded, left = merged(b)
    assert not left
    assert [node.type for node in folded] == ["Input", *("Conv", "ReLU") * 2, "Conv", "Output"]


@pytest.mark.parametrize("ceiling", [None, 0.5])
def test_no_neuron_stands_for_a_zero(ceiling: float | None) -> None:
    b = Builder(0)
    conv(b)
    inside = b.shape
    pad(b)
    b.relu(ceiling)
    conv(b)
    folded, left = merged(b)
    assert not left
    assert folded.shapes[folded.of_type(ReLU)[0].name] == inside


@pytest.mark.parametrize(
    ("pool", "taken"),
    [
        (lambda b: b.avg_pool(kernel=3, padding=1, count=True), True),
        (lambda b: b.avg_pool(kernel=3, padding=0, count=False, overhang=1), True),
        (lambda b: b.avg_pool(kernel=3, padding=0, count=True, overhang=1), True),
        (lambda b: b.avg_pool(kernel=3, padding=1, count=False), False),  # counts these zeros, not its own
        (lambda b: b.max_pool(kernel=3, padding=(1, 0)), True),
    ],
    ids=["counted", "uncounted without its own", "overhang", "uncounted", "max"],
)
def test_pools_behind_a_rectifier_take_zeros_where_they_are_worth_the_same(
    pool: Callable[[Builder], str], taken: bool
) -> None:
    b = Builder(0, (2, 8, 9))
    conv(b)
    b.relu()
    pad(b, ((0, 0), (1, 0), (1, 1)))
    pool(b)
    conv(b)
    folded, left = merged(b)
    assert left != taken
    assert all(p.count_padding for p in folded.of_type(AvgPool)) == taken


def test_zeros_stay_in_front_of_a_max_pool_where_they_could_win() -> None:
    """Of values below zero, and in a window of zeros alone, which has no largest value."""
    negative = Builder(0)
    conv(negative)
    pad(negative)
    negative.max_pool(kernel=3)
    conv(negative)
    assert merged(negative)[1]
    alone = Builder(0)
    conv(alone)
    alone.relu()
    pad(alone, ((0, 0), (2, 2), (2, 2)))
    alone.max_pool(kernel=2)
    conv(alone)
    assert merged(alone)[1]


@pytest.mark.parametrize("padding", [((1, 0), (0, 0), (0, 0)), ((0, 0), (-1, 1), (0, 0))], ids=["channels", "crop"])
def test_other_zeros_stay(padding: Zeros) -> None:
    b = Builder(0)
    conv(b)
    pad(b, padding)
    conv(b)
    assert merged(b)[1]


def test_each_reader_takes_what_it_can() -> None:
    """A convolution reads past the Pad, which stays for the one that could not."""
    b = Builder(0)
    conv(b)
    source = b.at
    pad(b)
    zeros = b.at
    conv(b)
    reader, graph = b.at, b.graph()
    crop = Pad(name="crop", inputs=(zeros,), padding=((0, 0), (-1, -1), (-1, -1)))
    graph = graph.with_nodes([*graph, crop, graph["output"].replace(name="other", inputs=("crop",))])
    after = merge_pads(graph)
    assert after[reader].inputs == (source,)
    assert after["crop"].inputs == (zeros,)


def test_it_is_said_what_became_of_a_pad() -> None:
    b = Builder(0)
    conv(b)
    b.relu()
    pad(b)
    zeros = b.at
    conv(b)
    _, changes = prepare(b.graph())
    assert what_became(b.graph(), changes)[zeros] == "absorbed"
    assert [change.into for change in changes if change.node == zeros] == [(b.at,)]


def test_a_pad_with_other_readers_stays_in_front_of_the_rectifier() -> None:
    b = Builder(0)
    conv(b)
    pad(b)
    before = b.at
    b.relu()
    graph = b.graph()
    graph = graph.with_nodes([*graph, graph["output"].replace(name="other", inputs=(before,))])
    assert [n.inputs for n in pads_behind_rectifiers(graph)] == [n.inputs for n in graph]


def test_a_crop_reaches_into_the_zeros_of_the_other_side() -> None:
    """Two values are cropped where there is one, which leaves two of three zeros."""
    node = Pad(name="pad", inputs=("input",), padding=((0, 0), (-2, 3), (1, -1)))
    graph = sw.Graph([sw.nodes.Input(name="input", shape=(1, 1, 4)), node])
    numbers = np.arange(4).reshape(1, 1, 4)
    assert graph.shapes["pad"] == node.moves(numbers).shape == (1, 2, 4)
    assert (node.moves(numbers) < 0).all()
    assert not run(graph, np.ones((2, 1, 1, 4), np.float32), keep=["pad"])["pad"].any()
