"""Reset by subtraction in NIR's own primitives: the same spikes here, in other simulators, and without our notes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spikewright as sw
from networks import plain, residual
from nir_in_spikingjelly import same_spikes
from spikewright.conversion import Neurons
from spikewright.errors import UnsupportedModelError
from spikewright.graph import Array, Graph
from spikewright.nodes import IF, LIF, Input, Output

nir = pytest.importorskip("nir")

from spikewright.exporters.nir import to_nir  # noqa: E402
from spikewright.frontends.nir import from_nir  # noqa: E402

NEURONS = (Neurons(), Neurons(v_init=0.0), Neurons(v_init=0.25), Neurons(v_init=0.0, leak=0.9))


def spiking(graph: Graph, x: Array, neurons: Neurons, method: str, view: str) -> Graph:
    chosen = sw.threshold_method(method)
    scales = sw.calibrate(sw.prepare(graph, leaky="split")[0], x, [chosen]).scales(chosen)
    return sw.convert(graph, scales, neurons=neurons, leaky="split", view=view).spiking


def trains(graph: Any, x: Array, steps: int = 20) -> dict[str, Array]:
    found = sw.simulate(graph, x, steps, record="spikes", engine="reference")
    assert sum(train.sum() for train in found.spikes.values()) > 0
    return {**found.spikes, "output": found.output}


@pytest.mark.parametrize("network", [plain, residual])
@pytest.mark.parametrize("neurons", NEURONS, ids=str)
@pytest.mark.parametrize(("method", "view"), [("percentile:99", "weights"), ("percentile:99:channels", "thresholds")])
def test_it_comes_back(network: Any, neurons: Neurons, method: str, view: str, tmp_path: Path) -> None:
    b = network(3)
    x = b.samples()
    graph = spiking(b.graph(), x, neurons, method, view)
    sw.export(graph, tmp_path / "n.nir", feedback=True)
    found = sw.load(tmp_path / "n.nir")
    assert [str(node) for node in found] == [str(node) for node in graph]
    assert [node.inputs for node in found] == [node.inputs for node in graph]
    for node in graph.of_type(IF):
        np.testing.assert_array_equal(found[node.name].threshold, node.threshold)
        np.testing.assert_array_equal(found[node.name].v_init, node.v_init)
    for name, train in trains(graph, x).items():
        np.testing.assert_array_equal(trains(found, x)[name], train)


def test_without_our_notes_nir_says_the_same(tmp_path: Path) -> None:
    """All but what stands in metadata: the sums are the same, so that only potentials at a threshold could differ."""
    b = residual(4)
    x = b.samples()
    graph = spiking(b.graph(), x, Neurons(), "percentile:99", "weights")
    written = to_nir(graph, feedback=True)
    for node in [written, *written.nodes.values()]:
        node.metadata = {}
    found = from_nir(written)
    assert len(found.of_type(IF)) == len(graph.of_type(IF))
    ours, theirs = trains(graph, x), trains(found, x)
    for name in ours.keys() - {"output"}:
        np.testing.assert_array_equal(theirs[name.replace(".", "_")], ours[name])


def test_what_nir_says() -> None:
    b = plain(1)
    graph = to_nir(spiking(b.graph(), b.samples(), Neurons(), "max", "weights"), feedback=True, dt=0.5)
    kinds = {type(node).__name__ for node in graph.nodes.values()}
    assert kinds == {"Input", "Conv2d", "CubaLIF", "AvgPool2d", "Flatten", "Affine", "Output"}
    (name, cuba), *_ = ((name, node) for name, node in graph.nodes.items() if isinstance(node, nir.CubaLIF))
    assert (cuba.v_threshold == 0.5).all()  # our threshold is 1, and half of it is there from the start
    assert (cuba.tau_mem == 0.5).all()
    assert (1 - 0.5 / cuba.tau_syn == 1).all()
    assert (cuba.w_in * 0.5 / cuba.tau_syn == 1).all()
    assert [(one, other) for one, other in graph.edges if name in (one, other) and "back" in one + other] == [
        (name, f"{name}_back"),
        (f"{name}_back", name),
    ]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_spikes": 3}, "it may send several spikes a step, which no NIR neuron does; convert with max_spikes=1"),
        ({"v_min": -1.0}, "its potential has a lower bound, which no NIR neuron has; convert without v_min"),
        ({"v_init": 1.0}, "its potential starts at the threshold or above it; NIR has no threshold below zero"),
        ({"leak": 0.5, "v_init": 0.5}, "its potential leaks and does not start at 0, where those of NIR do; convert"),
        ({"no_debt": True}, "its potentials end at zero until the first spike"),
    ],
)
def test_what_it_cannot_say(settings: dict[str, Any], message: str, tmp_path: Path) -> None:
    kind: type[IF] = LIF if "leak" in settings else IF
    fields = {"threshold": np.ones(()), "v_init": np.zeros(()), **settings}
    fields["v_init"] = np.asarray(fields["v_init"])
    graph = Graph(
        [Input(name="x", shape=(3,)), kind(name="n", inputs=("x",), **fields), Output(name="y", inputs=("n",))]
    )
    with pytest.raises(UnsupportedModelError) as caught:
        sw.export(graph, tmp_path / "n.nir", feedback=True)
    assert message in str(caught.value)
    assert not any(tmp_path.iterdir())


def test_other_resets_stay_as_they_are() -> None:
    b = plain(1)
    for neurons in (Neurons(reset="zero", v_init=0.0), Neurons(reset="zero", v_init=0.0, leak=0.5)):
        graph = spiking(b.graph(), b.samples(), neurons, "max", "weights")
        one, other = (to_nir(graph, feedback=feedback) for feedback in (True, False))
        assert [type(node) for node in one.nodes.values()] == [type(node) for node in other.nodes.values()]


def test_neurons_that_differ_come_back_through_a_scale() -> None:
    fields = {"threshold": np.arange(1, 5, dtype=np.float32).reshape(1, 2, 2), "v_init": np.zeros(())}
    graph = Graph(
        [Input(name="x", shape=(1, 2, 2)), IF(name="n", inputs=("x",), **fields), Output(name="y", inputs=("n",))]
    )
    written = to_nir(graph, feedback=True)
    assert isinstance(written.nodes["n_back"], nir.Scale)
    np.testing.assert_array_equal(from_nir(written)["n"].threshold, fields["threshold"])


@pytest.mark.parametrize("neurons", NEURONS, ids=str)
def test_the_same_spikes_in_spikingjelly(neurons: Neurons, tmp_path: Path) -> None:
    """More of it, and snnTorch: benchmarks/nir_exchange.py."""
    b = residual(2)
    x = b.samples()
    graph = spiking(b.graph(), x, neurons, "percentile:99", "weights")
    sw.export(graph, tmp_path / "n.nir", feedback=True)
    same_spikes(graph, x, tmp_path / "n.nir")
