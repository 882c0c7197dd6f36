"""Every primitive that NIR has: read, with what it then computes, or refused for a reason."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Iterator
from importlib import import_module
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import spikewright as sw
from spikewright.errors import UnsupportedModelError
from spikewright.graph import Array
from spikewright.nodes import IF, LIF, Input

nir = pytest.importorskip("nir")

from nir_networks import RANDOM, answer, conv, network, neuron, values  # noqa: E402
from spikewright.frontends.nir import from_nir  # noqa: E402


def primitives() -> set[str]:
    """All node types of the installed nir, those that its own reader does not name too."""
    for module in pkgutil.iter_modules(nir.ir.__path__):
        import_module(f"nir.ir.{module.name}")

    def below(kind: type) -> Iterator[type]:
        for child in kind.__subclasses__():
            yield child
            yield from below(child)

    return {kind.__name__ for kind in below(nir.NIRNode) if kind.__module__.startswith("nir.")}


def _identity() -> Any:
    from nir.ir.graph import Identity

    return network((4,), Identity({"input": np.array([4])}), nir.Linear(np.ones((1, 4))))


two = np.ones(2)
READ: dict[str, tuple[Callable[[], Any], list[str]]] = {
    "Affine": (lambda: network((4,), nir.Affine(np.ones((2, 4)), np.ones(2))), ["Linear"]),
    "AvgPool2d": (lambda: network((2, 4, 4), nir.AvgPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0]))), []),
    "Conv1d": (lambda: network((2, 9), conv(np.ones((3, 2, 3)))), ["Conv"]),
    "Conv2d": (lambda: network((2, 9, 9), conv(np.ones((3, 2, 3, 3)))), ["Conv"]),
    "Flatten": (lambda: network((2, 9), nir.Flatten(None, 0, -1)), ["Flatten"]),
    "I": (lambda: network((2,), nir.I(np.full(2, 2e4))), ["ChannelAffine"]),
    "IF": (lambda: network((2,), neuron((2,))), ["IF"]),
    "Identity": (_identity, ["Linear"]),
    "Input": (lambda: network((2,), neuron((2,))), ["IF"]),
    "LIF": (lambda: network((2,), neuron((2,), "LIF")), ["LIF"]),
    "Linear": (lambda: network((4,), nir.Linear(np.ones((2, 4)))), ["Linear"]),
    "NIRGraph": (lambda: network((2,), network((2,), neuron((2,)))), ["IF"]),
    "Output": (lambda: network((2,), neuron((2,))), ["IF"]),
    "Scale": (lambda: network((2,), nir.Scale(two)), ["ChannelAffine"]),
    "SumPool2d": (lambda: network((2, 4, 4), nir.SumPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0]))), []),
    "Threshold": (lambda: network((2,), nir.Threshold(two)), ["LIF"]),
}
REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "CubaLI": (lambda: nir.CubaLI(two, two, two, two), "its synaptic current is a second state"),
    "CubaLIF": (lambda: nir.CubaLIF(two, two, two, two, two, two), "its synaptic current is a second state"),
    "Delay": (lambda: nir.Delay(two), "spikes arrive in the step in which they are sent"),
    "LI": (lambda: nir.LI(two, two, two), "an output adds up what arrives and does not leak"),
}


def test_no_primitive_is_forgotten() -> None:
    """A newer nir that has more fails here: give the new one a rule, or a reason."""
    assert primitives() == READ.keys() | REFUSED.keys()


@pytest.mark.parametrize("kind", READ)
def test_read(kind: str) -> None:
    make, nodes = READ[kind]
    graph = from_nir(make())
    assert [node.type for node in graph][1:-1] == (nodes or [kind.removesuffix("2d")])


@pytest.mark.parametrize("kind", REFUSED)
def test_refused_for_a_reason(kind: str) -> None:
    make, reason = REFUSED[kind]
    with pytest.raises(UnsupportedModelError) as caught:
        from_nir(network((2,), make()))
    assert str(caught.value).startswith(f"1 operator cannot be read: {kind} at 'n0': {reason}")


def test_a_delay_of_nothing_is_nothing() -> None:
    x, w = values(3, 2), values(3, 2)
    np.testing.assert_allclose(
        answer(network((2,), nir.Delay(np.zeros(2)), nir.Linear(w)), x), x @ w.T, rtol=1e-5, atol=1e-6
    )


# Where potentials rest


def spikes(graph: Any, currents: Array, dt: float | None = None) -> Array:
    """Spikes ``(T, neurons)`` of the only population, for currents ``(T, neurons)``."""
    run = sw.simulate(from_nir(graph, dt=dt), currents[None], len(currents), encoder="events", record="spikes")
    return next(iter(run.spikes.values()))[0]


@pytest.mark.parametrize("reset", [0.0, -0.25, 0.125])
def test_potentials_rest_and_begin_at_v_leak(reset: float) -> None:
    """Powers of two throughout, so that both orders of adding round alike: none."""
    currents = RANDOM.integers(-8, 16, (100, 6)) / 8
    rest, v, expected = 0.125, np.full(6, 0.125), []
    for current in currents:
        v = v + (rest - v + 4.0 * current) / 4
        z = v > 1
        v = np.where(z, reset, v)
        expected.append(z)
    assert 50 < np.sum(expected) < 550
    lif = neuron((6,), "LIF", tau=4e-4, r=4.0, v_leak=rest, v_reset=reset)
    np.testing.assert_array_equal(spikes(network((6,), lif), currents), expected)


# Neurons whose own spikes come back to them


def integrated(shape: tuple[int, ...], back: float, limit: float, *way: Any, kind: str = "I", **changes: Any) -> Any:
    """An integrator and a threshold, or a CubaLIF, whose spikes come back through a Scale, or what is given."""
    dt, steps = 1e-4, 2.0**60
    if kind == "I":
        parts = {"sum": nir.I(np.full(shape, 1e4)), "spikes": nir.Threshold(np.full(shape, limit))}
    else:
        fields = {"tau_syn": steps * dt, "tau_mem": dt, "r": 1.0, "v_leak": 0.0, "v_threshold": limit, "v_reset": 0.0}
        fields |= {"w_in": steps, **changes}
        parts = {"spikes": nir.CubaLIF(**{label: np.full(shape, value) for label, value in fields.items()})}
    way = way or (nir.Scale(np.full(shape, -back)),)
    names = ["input", *parts]
    nodes = {"input": nir.Input(np.array(shape)), **parts, **{f"back{k}": part for k, part in enumerate(way)}}
    loop = ["spikes", *(f"back{k}" for k in range(len(way))), names[1]]
    return nir.NIRGraph(
        {**nodes, "output": nir.Output(None)},
        [*pairwise(names), *pairwise(loop), ("spikes", "output")],
        type_check=False,
    )


def subtracting(currents: Array, back: float, limit: float, leak: float = 1.0) -> Array:
    v, before, trains = np.zeros(currents.shape[1]), np.zeros(currents.shape[1]), []
    for current in currents:
        v = leak * v + current - back * before
        before = (v > limit).astype(float)
        trains.append(before)
    return np.array(trains)


@pytest.mark.parametrize("kind", ["I", "CubaLIF"])
@pytest.mark.parametrize(("back", "limit"), [(1.0, 1.0), (1.0, 0.5), (0.75, 1.25)])
def test_what_a_spike_takes_off_is_a_reset_by_subtraction(kind: str, back: float, limit: float) -> None:
    currents = RANDOM.integers(-8, 16, (100, 6)) / 16
    graph = from_nir(integrated((6,), back, limit, kind=kind))
    assert [node.type for node in graph] == ["Input", "IF", "Output"]
    (found,) = graph.of_type(IF)
    assert (found.reset, found.max_spikes) == ("subtract", 1)
    assert found.threshold == np.nextafter(np.float32(back), np.float32(9))  # NIR fires above, we at it
    assert found.v_init == back - limit
    expected = subtracting(currents, back, limit)
    assert 50 < expected.sum() < 550
    np.testing.assert_array_equal(spikes(integrated((6,), back, limit, kind=kind), currents), expected)


def test_with_a_leak() -> None:
    currents = RANDOM.integers(-8, 16, (100, 6)) / 16
    leaky = integrated((6,), 0.75, 1.0, kind="CubaLIF", tau_syn=4e-4, w_in=4.0)
    (found,) = from_nir(leaky).of_type(LIF)
    assert (found.leak, found.reset) == (0.75, "subtract")
    np.testing.assert_array_equal(spikes(leaky, currents), subtracting(currents, 0.75, 1.0, 0.75))
    with pytest.raises(UnsupportedModelError, match="its threshold is not what a spike takes off, and its potential"):
        from_nir(integrated((6,), 0.5, 1.0, kind="CubaLIF", tau_syn=4e-4, w_in=4.0))


@pytest.mark.parametrize(
    ("shape", "way"),
    [
        ((4,), (nir.Linear(np.eye(4)), nir.Linear(-np.eye(4)))),
        ((4,), (nir.Affine(-np.eye(4), np.zeros(4)),)),
        ((2, 5), (conv(-np.eye(2)[:, :, None], bias=np.zeros(2)),)),
        ((2, 3, 3), (conv(-np.eye(2)[:, :, None, None], bias=np.zeros(2)), nir.Scale(np.ones((2, 3, 3))))),
        ((2, 3, 3), (conv(-np.ones((2, 1, 1, 1)), bias=np.zeros(2), groups=2, padding="same"),)),
    ],
)
@pytest.mark.parametrize("kind", ["I", "CubaLIF"])
def test_every_way_back(shape: tuple[int, ...], way: tuple[Any, ...], kind: str) -> None:
    (found,) = from_nir(integrated(shape, 1.0, 1.0, *way, kind=kind)).of_type(IF)
    assert (found.threshold.shape, float(found.threshold)) == ((), pytest.approx(1.0))


@pytest.mark.parametrize(
    ("way", "message"),
    [
        ((nir.Linear(-np.ones((4, 4))),), "recurrence at 'sum', 'spikes', 'back0'"),
        ((nir.Affine(-np.eye(4), np.ones(4)),), "recurrence at"),
        ((nir.Scale(np.ones(4)),), "what its spikes bring back to it adds to its potential; a reset takes off"),
        ((nir.Scale(-np.ones(3)),), "what comes back to it has the shape (3,), its input (4,)"),
        ((nir.Scale(np.array(["a"])),), "recurrence at"),
        ((neuron((4,)),), "recurrence at"),
    ],
)
def test_other_recurrence_stays_what_it_is(way: tuple[Any, ...], message: str) -> None:
    with pytest.raises(UnsupportedModelError) as caught:
        from_nir(integrated((4,), 1.0, 1.0, *way))
    assert message in str(caught.value)


def test_a_current_that_is_a_second_state() -> None:
    with pytest.raises(UnsupportedModelError, match=r"second state.*unless its tau_mem is the timestep of 0\.0001 s"):
        from_nir(integrated((4,), 1.0, 1.0, kind="CubaLIF", tau_mem=1e-3))
    with pytest.raises(UnsupportedModelError, match=r"its w_in must be positive, not -1\.0"):
        from_nir(integrated((4,), 1.0, 1.0, kind="CubaLIF", w_in=-1.0))


# Shapes that count the batch


def batched(batch: tuple[int, ...], flatten: Any, out: tuple[int, ...], population: tuple[int, ...]) -> Any:
    rng = np.random.default_rng(3)
    nodes = {
        "input": nir.Input(np.array((*batch, 1, 8, 8))),
        "conv": conv(rng.normal(size=(4, 1, 3, 3)), bias=np.zeros(4)),
        "neurons": nir.IF(np.full(population, 1e4), np.full(population, 0.5)),
        "scale": nir.Scale(np.ones(population)),
        "flat": flatten,
        "last": nir.Affine(rng.normal(size=(3, 144)), np.zeros(3)),
        "output": nir.Output(np.array(out)),
    }
    return nir.NIRGraph(nodes, list(pairwise(nodes)), type_check=False)


@pytest.mark.parametrize(
    ("batch", "flatten"),
    [
        ((1,), nir.Flatten({"input": np.array([1, 4, 6, 6])}, 1, -1)),
        ((1,), nir.Flatten({"input": np.array([4, 6, 6])}, 0, -1)),
        ((1,), nir.Flatten(None, 0, -1)),  # as snnTorch's
        ((7,), nir.Flatten(None, 1, 3)),
        ((7,), nir.Flatten(None, 0, 2)),
    ],
)
@pytest.mark.parametrize("everywhere", [True, False])
def test_shapes_that_count_the_batch(batch: tuple[int, ...], flatten: Any, everywhere: bool) -> None:
    x = values(3, 1, 8, 8)
    plain = from_nir(batched((), nir.Flatten(None, 0, -1), (3,), (4, 6, 6)))
    found = from_nir(batched(batch, flatten, (*batch, 3), (*(batch if everywhere else ()), 4, 6, 6)))
    assert [node.shape for node in found.of_type(Input)] == [(1, 8, 8)]
    assert [str(node) for node in found] == [str(node) for node in plain]
    runs = [sw.simulate(graph, x, 6, record="spikes") for graph in (plain, found)]
    np.testing.assert_array_equal(runs[0].output, runs[1].output)
    np.testing.assert_array_equal(runs[0].spikes["neurons"], runs[1].spikes["neurons"])


@pytest.mark.parametrize(
    "graph",
    [
        lambda: batched((7,), nir.Flatten(None, 0, -1), (9, 3), ()),
        lambda: batched((7,), nir.Flatten(None, 0, -1), (3,), ()),
        lambda: batched((2,), nir.Flatten(None, 0, -1), (2, 3), (2, 4, 5, 6)),
    ],
)
def test_sizes_must_agree(graph: Callable[[], Any]) -> None:
    with pytest.raises(UnsupportedModelError, match=r"Conv2d at 'conv': .* does not fit an input of shape"):
        from_nir(graph())


def test_what_differs_from_sample_to_sample_is_no_network() -> None:
    graph = batched((2,), nir.Flatten(None, 0, -1), (2, 3), (2, 4, 6, 6))
    graph.nodes["neurons"].v_threshold = RANDOM.uniform(0.5, 1, (2, 4, 6, 6))
    with pytest.raises(UnsupportedModelError, match="does not fit an input of shape"):
        from_nir(graph)


def test_many_of_them_in_a_row_take_no_longer_each() -> None:
    """A file may hold as many as it likes: readers of nodes are found once."""
    shape, count = (2,), 400
    nodes: dict[str, Any] = {"input": nir.Input(np.array(shape))}
    edges, before = [], "input"
    for k in range(count):
        nodes[f"sum{k}"] = nir.I(np.full(shape, 1e4))
        nodes[f"spikes{k}"] = nir.Threshold(np.ones(shape))
        nodes[f"back{k}"] = nir.Scale(-np.ones(shape))
        edges += [(before, f"sum{k}"), (f"sum{k}", f"spikes{k}"), (f"spikes{k}", f"back{k}"), (f"back{k}", f"sum{k}")]
        before = f"spikes{k}"
    nodes["output"] = nir.Output(None)
    graph = from_nir(nir.NIRGraph(nodes, [*edges, (before, "output")], type_check=False))
    assert [node.name for node in graph] == ["input", *(f"spikes{k}" for k in range(count)), "output"]
