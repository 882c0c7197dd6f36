"""Numbers of pairs and synapses that follow from the frameworks' own padding rules."""

from __future__ import annotations

import numpy as np
import pytest

from listing import between, columns, rows
from spikewright.nodes import AvgPool, Conv
from spikewright.rates import Rates
from spikewright.synapse_graph import synapses


def conv(kernel: int, stride: int, padding: tuple[int, int], dilation: int = 1, axes: int = 1) -> Conv:
    return Conv(
        name="conv",
        inputs=("input",),
        weight=np.ones((1, 1, *(kernel,) * axes)),
        bias=np.zeros(1),
        stride=(stride,) * axes,
        padding=(padding,) * axes,
        dilation=(dilation,) * axes,
    )


def pool(kernel: int, stride: int) -> AvgPool:
    return AvgPool(name="pool", inputs=("input",), kernel=(kernel,), stride=(stride,), padding=((0, 0),))


@pytest.mark.parametrize(
    ("n", "kernel", "stride", "outputs", "pairs", "unused"),
    [(5, 3, 2, 2, 6, []), (4, 2, 1, 3, 6, []), (6, 2, 3, 2, 4, [2, 5]), (5, 2, 2, 2, 4, [4])],
)
def test_pairs_of_pools(n: int, kernel: int, stride: int, outputs: int, pairs: int, unused: list[int]) -> None:
    made = synapses(between(pool(kernel, stride), shape=(1, n)))
    found = rows(made, "pool")
    assert len({dest for _, dest, _ in found}) == outputs
    assert len(found) == pairs == made["input > pool"].synapses
    assert sorted(set(range(n)) - {source[0] for source, _, _ in found}) == unused


def starts(made: object) -> list[int]:
    """Where the window of each output starts, padding counted."""
    found = rows(made)
    firsts = {}
    for source, dest, _ in found:
        firsts.setdefault(dest[0], []).append(source[0])
    return [min(found) for _, found in sorted(firsts.items())]


def test_same_padding_of_tensorflow_and_of_pytorch_differ() -> None:
    """n = 4, k = 3, s = 2: TensorFlow pads (0, 1) and starts at 0 and 2; PyTorch's 1 on both sides at −1 and 1."""
    assert starts(synapses(between(conv(3, 2, (0, 1)), shape=(1, 4)))) == [0, 2]
    torch_like = synapses(between(conv(3, 2, (1, 1)), shape=(1, 4)))
    assert starts(torch_like) == [0, 1]  # −1 lies outside
    assert [int(n) for n in torch_like["input > conv > neurons"].fan_in()] == [2, 3]
    assert len(synapses(between(conv(3, 2, (0, 1), axes=2), shape=(1, 4, 4)))) - 4 == 25  # 4: neurons to output


def test_dilation_reaches_far() -> None:
    made = synapses(between(conv(3, 1, (0, 0), dilation=2), shape=(1, 5)))
    assert [source[0] for source, _, _ in rows(made)] == [0, 2, 4]


@pytest.mark.parametrize(("n", "k", "s"), [(n, k, s) for n in range(2, 9) for k in range(1, 6) for s in range(1, 4)])
def test_same_padding_by_tensorflows_rule_gives_its_size(n: int, k: int, s: int) -> None:
    """Even kernels and unequal sides are fine: the outputs are ceil(n / s), and no window is empty."""
    total = max(k - s, 0) if n % s == 0 else max(k - n % s, 0)
    one = synapses(between(conv(k, s, (total // 2, total - total // 2)), shape=(1, n)))["input > conv > neurons"]
    assert one.path.dest.shape == (1, -(-n // s))
    assert one.fan_in().min() >= 1


def test_four_rates_of_a_half_drive_a_half() -> None:
    window = AvgPool(name="pool", inputs=("input",), kernel=(2, 2), stride=(2, 2), padding=((0, 0),) * 2)
    graph = between(window, shape=(1, 2, 2))
    rates = {"input": np.full((1, 2, 2), 0.5), "neurons": np.zeros((1, 1, 1))}
    for weight, edges in (("mean", [0.125] * 4), (1, [0.5] * 4)):
        made = synapses(graph, Rates(rates, graph.fingerprint), pool_weight=weight)
        assert columns(made, [made["input > pool"]])["edge"].tolist() == edges
