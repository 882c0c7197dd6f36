"""What the frontends share: windows, constants and reductions, each against a plain count."""

from __future__ import annotations

from itertools import chain, combinations, product
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from spikewright.causes import Cause
from spikewright.errors import GraphError, NotFiniteError, Problem
from spikewright.forward import Forward
from spikewright.frontends.common import moves
from spikewright.frontends.common.activations import clipped, leaky
from spikewright.frontends.common.constants import factor_and_shift, one_a_channel, one_for_all
from spikewright.frontends.common.reductions import reduced
from spikewright.frontends.common.refusals import Problems, Refusal, problem_of
from spikewright.frontends.common.windows import overhang, same_padding
from spikewright.graph import Graph, Node
from spikewright.nodes import Input, LeakyReLU, Linear, Output, ReLU, Sigmoid


def test_what_hangs_over_is_what_torch_makes_of_ceil_mode() -> None:
    tried = 0
    for n, kernel, stride, padding, dilation in product(range(4, 10), (1, 2, 3, 4), (1, 2, 3), (0, 1, 2), (1, 2)):
        if padding > kernel // 2 or dilation * (kernel - 1) + 1 > n + 2 * padding:
            continue
        x = torch.zeros(1, 1, n)
        windows = F.max_pool1d(x, kernel, stride, padding, dilation, ceil_mode=True).shape[-1]
        over = overhang(n, kernel, stride, (padding, padding), dilation)
        assert (n + 2 * padding + over - dilation * (kernel - 1) - 1) // stride + 1 == windows
        tried += 1
    assert tried > 200


def test_same_padding_gives_as_many_windows_as_strides_fit() -> None:
    for n, kernel, stride, dilation in product(range(1, 12), (1, 2, 3, 5), (1, 2, 3), (1, 2)):
        low, high = same_padding(n, kernel, stride, dilation)
        assert 0 <= high - low <= 1
        assert max(n + low + high - dilation * (kernel - 1) - 1, 0) // stride + 1 == -(-n // stride)


@pytest.mark.parametrize(
    ("values", "found"),
    [
        (np.float64(2), [2, 2, 2]),
        (np.array([[1], [2], [3]]), [1, 2, 3]),
        (np.array([[1, 1], [2, 2], [3, 3]]), [1, 2, 3]),
        (np.array([4, 4]), [4, 4, 4]),
        (np.array([4, 5]), [[4, 5], [4, 5], [4, 5]]),
    ],
)
def test_one_a_channel(values: Any, found: list[Any]) -> None:
    np.testing.assert_array_equal(one_a_channel(np.asarray(values), (3, 2)), found)


def test_constants_that_do_not_fit() -> None:
    for values, shape in ((np.ones(3), (3, 2)), (np.ones((1, 3, 2)), (3, 2)), (np.ones(2), ())):
        with pytest.raises(Refusal, match="does not fit samples of"):
            one_a_channel(values, shape)
    with pytest.raises(Refusal) as caught:
        factor_and_shift(1e300, 0, (2,))
    assert caught.value.cause is Cause.NOT_FINITE
    assert one_for_all(np.full((3, 2), 7.0), (3, 2)).shape == ()


def test_a_large_sample_with_one_constant_takes_no_memory() -> None:
    fields = factor_and_shift(2.0, 1.0, (3, 2**14, 2**14))
    assert [array.shape for array in fields.values()] == [(3,), (3,)]


@pytest.mark.parametrize("kind", ["mean", "sum", "max"])
@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("rank", [1, 2, 3, 4, 5])
def test_reductions_over_any_axes(kind: Any, keep: bool, rank: int) -> None:
    shape = (2, 3, 4, 2, 3)[:rank]
    x = torch.randn(2, *shape)
    for gone in chain.from_iterable(combinations(range(rank), n) for n in range(1, rank + 1)):
        nodes: list[Node] = [Input(name="x", shape=shape)]
        for k, plan in enumerate(reduced(shape, set(gone), kind, keep=keep)):
            nodes.append(plan.kind(name=f"n{k}", inputs=(nodes[-1].name,), **plan.fields))
        found = Forward(Graph([*nodes, Output(name="y", inputs=(nodes[-1].name,))]))({"x": x})["y"]
        reduce = {"mean": torch.mean, "sum": torch.sum, "max": torch.amax}[kind]
        torch.testing.assert_close(found, reduce(x, [axis + 1 for axis in gone], keepdim=keep))


@pytest.mark.parametrize(
    ("target", "count", "found"),
    [((2, -1), 6, (2, 3)), ((6,), 6, (6,)), ((), 1, ()), ((4, -1), 6, None), ((-1, -1), 6, None), ((2,), 6, None)],
)
def test_open_lengths(target: tuple[int, ...], count: int, found: Any) -> None:
    assert moves.filled_in(target, count) == found


def test_clips_that_are_rectifiers() -> None:
    shape = (3, 2)
    assert [plan.fields for plan in clipped(0, None, shape)] == [{}]
    assert [plan.fields for plan in clipped(0, 6, shape)] == [{"ceiling": 6.0}]
    assert [plan.fields for plan in clipped(None, 6, shape, positive=True)] == [{"ceiling": 6.0}]
    assert [plan.fields for plan in clipped(-np.inf, np.inf, shape, positive=True)] == [{}]
    for low, high in ((0, 0), (2, 1)):
        with pytest.raises(Refusal, match="is not below"):
            clipped(low, high, shape)
    assert [leaky(slope)[0] for slope in (0.0, 0.1, np.zeros(3))] == [ReLU, LeakyReLU, ReLU]


def test_what_a_rule_raises_becomes_a_problem() -> None:
    told = problem_of(Refusal(Cause.PRODUCT, "of two"), "mul", "'a'")
    assert told == Problem("mul", "'a'", f"of two; {Cause.PRODUCT.advice}", Cause.PRODUCT)
    assert problem_of(GraphError("too wide"), "add", "'a'").advice == "too wide"
    assert problem_of(KeyError("k"), "add", "'a'", "fields").advice == "its fields do not make sense ('k')"
    with pytest.raises(NotFiniteError, match=r"weight\[0, 0\] is nan"):
        Linear(name="fc", inputs=("x",), weight=np.full((1, 1), np.nan), bias=np.zeros(1))
    with pytest.raises(NotFiniteError):
        problem_of(NotFiniteError("damaged"), "add", "'a'")


def test_problems_are_told_once_and_those_at_the_end_not_at_all() -> None:
    nodes = [Input(name="x", shape=(2,)), Sigmoid(name="s", inputs=("x",)), Output(name="y", inputs=("s",))]
    problems = Problems()
    problems.reserve("s", Problem.of("sigmoid", "'s'", Cause.CURVED))
    problems.check(nodes)
    for _ in range(2):
        problems.add(Problem.of("mul", "'m'", Cause.PRODUCT))
    with pytest.raises(Exception, match="1 operator cannot be read: mul at 'm'") as caught:
        problems.check(nodes, "read")
    assert len(caught.value.problems) == 1  # type: ignore[attr-defined]
