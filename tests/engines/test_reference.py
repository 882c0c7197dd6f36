"""The reference engine against the facts, and against the same five lines written plainly in numpy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import spikewright as sw
from spikewright.encoders.events import EventFrames
from spikewright.encoders.poisson import Poisson
from spikewright.errors import DataError, SettingsError
from spikewright.graph import Graph
from spikewright.nodes import IF, LIF, Input, Linear, Output, SpikeMaxPool


def neuron(**settings: object) -> Graph:
    """One neuron that takes the input as its current."""
    kind = LIF if "leak" in settings else IF
    chosen = {"threshold": 1.0, "v_init": 0.0, **settings}
    return Graph(
        [Input(name="x", shape=(1,)), kind(name="n", inputs=("x",), **chosen), Output(name="y", inputs=("n",))]
    )


def train(graph: Graph, current: list[float]) -> tuple[list[int], float]:
    """Spikes at each step and the last potential, for a current that changes with time."""
    x = np.array(current, np.float32).reshape(1, -1, 1)
    run = sw.simulate(graph, x, len(current), encoder=EventFrames(), record=("spikes", "potentials"))
    return run.spikes["n"].ravel().astype(int).tolist(), float(run.potentials["n"].ravel()[-1])


def times(spikes: list[int]) -> list[int]:
    return [t + 1 for t, n in enumerate(spikes) if n]


@pytest.mark.parametrize(
    ("settings", "x", "steps", "spikes_at", "v_final"),
    [
        ({}, 0.375, 8, [3, 6, 8], 0.0),
        ({"reset": "zero"}, 0.375, 8, [3, 6], 0.75),
        ({"threshold": 2.0}, 0.375, 16, [6, 11, 16], 0.0),
        ({}, 2.5, 8, [1, 2, 3, 4, 5, 6, 7, 8], 12.0),
        ({"reset": "zero"}, 2.5, 8, [1, 2, 3, 4, 5, 6, 7, 8], 0.0),
    ],
)
def test_facts_of_one_neuron(
    settings: dict[str, object], x: float, steps: int, spikes_at: list[int], v_final: float
) -> None:
    spikes, v = train(neuron(**settings), [x] * steps)
    assert times(spikes) == spikes_at
    assert v == v_final


@pytest.mark.parametrize(("cap", "expected"), [(None, [3, 4, 3]), (1, [1, 1, 1]), (2, [2, 2, 2])])
def test_facts_of_several_spikes_a_step(cap: int | None, expected: list[int]) -> None:
    assert train(neuron(max_spikes=cap), [3.6] * 3)[0] == expected


def test_two_layers_fire_in_the_same_step() -> None:
    def layer(name: str, source: str, weight: list[float]) -> Linear:
        return Linear(name=name, inputs=(source,), weight=np.diag(weight), bias=np.zeros(2))

    def population(name: str, source: str) -> IF:
        return IF(name=name, inputs=(source,), threshold=np.ones(()), v_init=np.zeros(()))

    graph = Graph(
        [
            Input(name="x", shape=(2,)),
            layer("w1", "x", [1, 0.5]),
            population("n1", "w1"),
            layer("w2", "n1", [1, 1]),
            population("n2", "w2"),
            Output(name="y", inputs=("n2",)),
        ]
    )
    run = sw.simulate(graph, np.full((1, 2), 0.5, np.float32), 8, record=("spikes",))
    for name in ("n1", "n2"):
        spikes = run.spikes[name][0]
        assert [times(spikes[:, k].tolist()) for k in (0, 1)] == [[2, 4, 6, 8], [4, 8]]


def plainly(settings: dict[str, object], current: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The five lines of the semantics for one neuron, in Python numbers."""
    v, spikes, potentials = settings["v_init"], [], []
    threshold, cap, leak = settings["threshold"], settings["max_spikes"], settings.get("leak", 1.0)
    for i in current:
        v = leak * v + i
        n = max(0, int(np.floor(v / threshold)))
        n = n if cap is None else min(n, cap)
        if settings["reset"] == "subtract":
            v -= n * threshold
        elif n > 0:
            v = settings["v_reset"]
        if settings["v_min"] is not None:
            v = max(v, settings["v_min"])
        spikes.append(n)
        potentials.append(v)
    return np.array(spikes), np.array(potentials)


@settings(max_examples=60, deadline=None)
@given(
    current=st.lists(st.integers(-40, 60), min_size=1, max_size=20),
    threshold=st.sampled_from([0.5, 1.0, 2.0]),
    v_init=st.sampled_from([0.0, 0.25, 0.5]),
    reset=st.sampled_from(["subtract", "zero"]),
    cap=st.sampled_from([None, 1, 2, 5]),
    v_min=st.sampled_from([None, -1.0, 0.0]),
    leak=st.sampled_from([1.0, 0.5]),
)
def test_spike_for_spike_against_plain_numbers(
    current: list[int], threshold: float, v_init: float, reset: str, cap: int | None, v_min: float | None, leak: float
) -> None:
    """Currents on a grid of 1/16, so that nothing rounds (a leak of 1/2 keeps double precision exact for 20 steps)."""
    chosen = {
        "threshold": threshold,
        "v_init": v_init,
        "reset": reset,
        "v_reset": 0.0,
        "max_spikes": cap,
        "v_min": v_min,
        "leak": leak,
    }
    x = np.array(current, np.float32) / 16
    spikes, potentials = plainly(chosen, x.astype(float))
    run = sw.simulate(
        neuron(**chosen),
        x.reshape(1, -1, 1),
        len(x),
        encoder="events",
        record=("spikes", "potentials"),
        dtype="float64",
    )
    np.testing.assert_array_equal(run.spikes["n"].ravel(), spikes)
    np.testing.assert_array_equal(run.potentials["n"].ravel(), potentials)


def pooled(policy: str, rates: np.ndarray, steps: int, **window: object) -> tuple[np.ndarray, np.ndarray]:
    """Neurons that fire at given rates, and the pool over them: both trains ``(T, 1, H, W)``."""
    settings = {"kernel": (2, 2), "stride": (2, 2), "padding": ((0, 0), (0, 0)), "dilation": (1, 1), **window}
    graph = Graph(
        [
            Input(name="x", shape=rates.shape),
            IF(name="n", inputs=("x",), threshold=np.ones(()), v_init=np.zeros(()), max_spikes=None),
            SpikeMaxPool(name="p", inputs=("n",), policy=policy, horizon=4, **settings),
            Output(name="y", inputs=("p",)),
        ]
    )
    run = sw.simulate(graph, rates[None].astype(np.float32), steps, record=("spikes",))
    return run.spikes["n"][0], run.spikes["p"][0]


def test_facts_of_max_pooling() -> None:
    rates = np.array([[[0.375, 0.5], [0, 0]]])
    assert pooled("avg_max", rates, 16)[1].sum() == 9
    assert pooled("count_max", rates, 16)[1].sum() == 8


def brute_pool(policy: str, spikes: np.ndarray, kernel: int, stride: int, padding: int, horizon: int) -> np.ndarray:
    """Window by window, step by step."""
    steps, channels, height, width = spikes.shape
    size = [(n + 2 * padding - kernel) // stride + 1 for n in (height, width)]
    out = np.zeros((steps, channels, *size))
    for c, i, j in np.ndindex(channels, *size):
        rows = range(i * stride - padding, i * stride - padding + kernel)
        columns = range(j * stride - padding, j * stride - padding + kernel)
        cells = [(r, q) for r in rows for q in columns if 0 <= r < height and 0 <= q < width]
        mean, largest = np.zeros(len(cells)), 0
        for t in range(steps):
            past = np.array([spikes[: t + 1, c, r, q] for r, q in cells])
            if policy == "count_max":
                count = past.sum(axis=1).max()
                out[t, c, i, j], largest = count - largest, count
                continue
            mean = mean + (past[:, -1] - mean) / horizon
            estimate = {"avg_max": past.sum(1), "exp_max": mean, "fir_max": past[:, -horizon:].sum(1)}[policy]
            out[t, c, i, j] = past[estimate.argmax(), -1]
    return out


@pytest.mark.parametrize("policy", ["count_max", "avg_max", "exp_max", "fir_max"])
@pytest.mark.parametrize(("kernel", "stride", "padding"), [(2, 2, 0), (3, 2, 1), (3, 1, 0), (2, 1, 1)])
def test_pools_against_brute_force(policy: str, kernel: int, stride: int, padding: int) -> None:
    rates = np.round(np.random.default_rng(0).uniform(0, 1.2, (2, 5, 5)) * 16) / 16
    window = {"kernel": (kernel,) * 2, "stride": (stride,) * 2, "padding": ((padding,) * 2,) * 2}
    spikes, pooled_train = pooled(policy, rates, 20, **window)
    np.testing.assert_array_equal(pooled_train, brute_pool(policy, spikes, kernel, stride, padding, 4))


def small() -> tuple[Graph, np.ndarray]:
    from networks import pools

    b = pools(3)
    x = b.samples(7)
    folded, _ = sw.prepare(b.graph())
    method = sw.threshold_method("max")
    return sw.convert(b.graph(), sw.calibrate(folded, x, [method]).scales(method)).spiking, x


@pytest.mark.parametrize("encoder", ["constant", "poisson"])
def test_batches_and_time_do_not_matter(encoder: str) -> None:
    graph, x = small()
    whole = sw.simulate(graph, x, 12, encoder=encoder, record=("spikes",))
    single = sw.simulate(graph, x, 12, encoder=encoder, record=("spikes",), batch_size=1)
    shorter = sw.simulate(graph, x, 5, encoder=encoder)
    for name, spikes in whole.spikes.items():
        np.testing.assert_array_equal(spikes, single.spikes[name])
        np.testing.assert_array_equal(spikes.sum(axis=(0, 1)), whole.counts[name])
    np.testing.assert_allclose(whole.output[:, :5], shorter.output, atol=1e-6)


def test_poisson_rates_are_the_values() -> None:
    x = np.array([[0.0, 0.1, 0.5, 1.0, -0.3]], np.float32).repeat(50, axis=0)
    graph = Graph([Input(name="x", shape=(5,)), Output(name="y", inputs=("x",))])
    mean = sw.simulate(graph, x, 200, encoder=Poisson(seed=1)).output[:, -1].mean(axis=0)
    np.testing.assert_allclose(mean, x[0], atol=0.02)
    other = sw.simulate(graph, x, 200, encoder=Poisson(seed=2)).output[:, -1].mean(axis=0)
    assert (mean != other).any()


def test_refusals() -> None:
    graph, x = small()
    with pytest.raises(SettingsError, match="timesteps must be 1 or more, not 0"):
        sw.simulate(graph, x, 0)
    with pytest.raises(SettingsError, match="cannot record 'voltage'; choose from spikes, events, potentials, nonzero"):
        sw.simulate(graph, x, 1, record=("voltage",))
    with pytest.raises(SettingsError, match="unknown encoder 'morse'; choose one of constant, events, poisson"):
        sw.simulate(graph, x, 1, encoder="morse")
    with pytest.raises(DataError, match=r"takes samples of shape \(3, 8, 8\), the data has \(3, 7, 8\)"):
        sw.simulate(graph, x[:, :, 1:], 1)
    with pytest.raises(DataError, match="empty"):
        sw.simulate(graph, x[:0], 1)
    with pytest.raises(SettingsError, match="device 'tpu9' cannot be used here"):
        sw.simulate(graph, x, 1, device="tpu9")


@pytest.mark.gpu
def test_gpu_spikes_like_the_cpu() -> None:
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    graph, x = small()
    runs = [sw.simulate(graph, x, 12, record=("spikes",), device=d, dtype="float64") for d in ("cpu", "cuda")]
    for name, spikes in runs[0].spikes.items():
        assert (spikes != runs[1].spikes[name]).mean() < 1e-3
