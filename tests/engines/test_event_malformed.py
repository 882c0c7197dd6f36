"""Graphs that are wrong somewhere: the event engine refuses them with an error of ours, or runs them right."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields
from math import prod
from typing import Any

import numpy as np
import pytest

import spikewright as sw
from random_graphs import anything
from spikewright.engines.event import is_built
from spikewright.errors import GraphError, SettingsError, SpikewrightError
from spikewright.graph import Graph, Node
from spikewright.nodes import IF, AvgPool, Input, Output, Pad, SpikeMaxPool
from spiking_networks import spiking_network

if not is_built():
    pytest.skip("the native core was not built", allow_module_level=True)

WHOLE = (0, -1, 1, 2, 7, 1000, 2**31, -(2**31))
REAL = (0.0, -1.0, float("nan"), float("inf"), 1e-30, 1e30, 0.5)
FILL = (np.nan, np.inf, -np.inf, 0, -1, 1e38)


def wrong(value: Any, random: np.random.Generator) -> Any:
    """Another value for one setting: sizes, signs and numbers that do not belong there."""
    if isinstance(value, np.ndarray):
        changed = (value[..., None], value[:-1] if value.ndim else value[None], value.reshape(-1), value * 0)
        filled = np.full(value.shape, random.choice(FILL))
        return (*changed, filled, np.zeros((0, *value.shape[1:])))[random.integers(6)]
    if isinstance(value, tuple) and value:
        k = int(random.integers(len(value)))
        one_else = (*value[:k], wrong(value[k], random), *value[k + 1 :])
        return (value[:-1], (*value, value[-1]), one_else, one_else)[random.integers(4)]
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return (WHOLE if isinstance(value, int) else REAL)[random.integers(7)]
    return ("subtract", "softmax", "nonsense", None)[random.integers(4)] if isinstance(value, str) else -1.0


def damaged(graph: Graph, random: np.random.Generator) -> list[Node]:
    """One node changed, or wired to what it should not read, or left out."""
    nodes, k = list(graph.nodes), int(random.integers(len(graph)))
    names = [*graph.by_name, "gone"]
    settings = [f.name for f in fields(nodes[k]) if f.name not in ("name", "inputs")]
    how = random.random()
    if how < 0.15 or not settings:
        inputs = tuple(str(name) for name in random.choice(names, int(random.integers(0, 4))))
        return [*nodes[:k], nodes[k].replace(inputs=inputs), *nodes[k + 1 :]]
    if how < 0.2:
        return nodes[:k] + nodes[k + 1 :]
    chosen = str(random.choice(settings))
    other = nodes[k].replace(**{chosen: wrong(getattr(nodes[k], chosen), random)})
    return [*nodes[:k], other, *nodes[k + 1 :]]


def run_both(graph: Graph, random: np.random.Generator) -> None:
    x = random.integers(-4, 5, (2, *graph.sample_shape)).astype(np.float32) / 4
    settings: dict[str, Any] = {
        "encoder": str(random.choice(["constant", "poisson"])),
        "record": ((), ("nonzero",), ("spikes", "potentials"))[random.integers(3)],
    }
    found = sw.simulate(graph, x, 3, engine="event", **settings)
    expected = sw.simulate(graph, x, 3, engine="reference", **settings)
    for name, counts in expected.counts.items():
        np.testing.assert_array_equal(found.counts[name], counts)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_damaged_graphs_are_refused_or_run() -> None:
    outcomes: Counter[str] = Counter()
    for seed in range(500):
        random = np.random.default_rng(seed)
        graph = anything(seed % 40) if seed % 4 == 0 else spiking_network(seed % 60, 8, 1 + seed % 3)[0]
        try:
            changed = Graph(damaged(graph, random))
            largest = max((np.abs(a).max() for node in changed for a in node.arrays.values()), default=0)
            if sum(map(prod, changed.shapes.values())) < 1e5 and largest < 1e6:  # small, and sums are exact
                run_both(changed, random)
                outcomes["run"] += 1
        except SpikewrightError:
            outcomes["refused"] += 1
        except Exception as error:
            raise AssertionError(f"seed {seed}") from error
    assert outcomes["run"] > 50
    assert outcomes["refused"] > 200


X = Input(name="x", shape=(2, 6))
N = IF(name="n", inputs=("x",), threshold=1.0, v_init=0.0)
WINDOW: dict[str, Any] = {"kernel": (2,), "stride": (1,)}


@pytest.mark.parametrize(
    ("made", "kind", "message"),
    [
        (lambda: Pad(name="p", inputs=("n",), padding=((0, 0), (1,))), GraphError, r"\(low, high\) along every axis"),
        (lambda: AvgPool(name="p", inputs=("n",), padding=((1, 1, 1),), **WINDOW), GraphError, "along every axis"),
        (
            lambda: AvgPool(name="p", inputs=("n",), padding=((0, 0),), overhang=(1, 1), **WINDOW),
            GraphError,
            r"overhang \(1, 1\) is not one number for each axis",
        ),
        (lambda: N.replace(name="p", v_reset=float("inf")), SettingsError, "v_reset must be finite, not inf"),
        (lambda: N.replace(name="p", v_min=float("nan")), SettingsError, "v_min must be finite, not nan"),
    ],
)
def test_settings_that_cannot_be(made: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        Graph([X, N, made(), Output(name="y", inputs=("p",))])


def test_what_only_the_event_engine_cannot_run_is_left_to_the_reference_engine() -> None:
    after = IF(name="m", inputs=("y",), threshold=1.0, v_init=0.0)
    graph, x = Graph([X, N, Output(name="y", inputs=("n",)), after]), np.ones((1, 2, 6), np.float32)
    assert sw.simulate(graph, x, 3).engine == "reference"
    with pytest.raises(SettingsError, match="cannot run IF 'm': it reads an output"):
        sw.simulate(graph, x, 3, engine="event")


def test_a_pool_that_would_remember_too_much_is_no_network() -> None:
    long = {"padding": ((0, 0),), "dilation": (1,), "policy": "fir_max", "horizon": 2**30}
    with pytest.raises(SettingsError, match="SpikeMaxPool 'm': horizon must be 65,536 or"):
        Graph([X, N, SpikeMaxPool(name="m", inputs=("n",), **WINDOW, **long), Output(name="y", inputs=("m",))])


def test_pools_that_crop() -> None:
    pool = SpikeMaxPool(name="p", inputs=("n",), **WINDOW, padding=((-1, 2),), dilation=(1,))
    x = np.arange(12, dtype=np.float32).reshape(1, 2, 6) / 8
    with pytest.raises(GraphError, match=r"a window of .* lies wholly in the padding"):
        Graph([X, N, pool, Output(name="y", inputs=("p",))])
    mean = AvgPool(name="p", inputs=("n",), **WINDOW, padding=((-1, 1),), count_padding=False)
    for cropping in (pool.replace(padding=((-1, 1),)), mean):
        graph = Graph([X, N, cropping, Output(name="y", inputs=("p",))])
        runs = [sw.simulate(graph, x, 8, engine=engine).output for engine in ("event", "reference")]
        np.testing.assert_array_equal(*runs)
