"""What a neuron does in one step, handed to the reference simulation as a policy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import spikewright as sw
from runs import same
from spikewright.encoders.constant import Constant
from spikewright.encoders.events import EventFrames
from spikewright.engines import IntegrateAndFire, NeuronState, NeuronStep, Population, RunSettings, Simulation
from spikewright.errors import SettingsError
from spikewright.graph import Graph
from spikewright.nodes import IF, Conv, Flatten, Input, Linear, Output
from spiking_networks import spiking_network

torch = pytest.importorskip("torch")


@dataclass(frozen=True)
class Saturating(NeuronStep):
    """Integrate-and-fire with potentials that end at a highest value."""

    highest: float

    def step(self, population: Population, state: NeuronState, current: Any) -> tuple[Any, NeuronState]:
        spikes, state = IntegrateAndFire().step(population, state, current)
        return spikes, state.with_potential(state.v.clamp(max=self.highest))


@dataclass(frozen=True)
class Signed(NeuronStep):
    """+1 at the threshold; −1 at or below 0 where more +1 than −1 were sent; reset by subtraction either way."""

    def start(self, population: Population, v: Any) -> NeuronState:  # noqa: ARG002
        return NeuronState(v, (torch.zeros_like(v),))

    def step(self, population: Population, state: NeuronState, current: Any) -> tuple[Any, NeuronState]:
        v, (sent,) = state.v + current, state.memory
        up, down = v >= population.threshold, (v <= 0) & (sent > 0)
        n = up.to(v.dtype) - down.to(v.dtype)
        return n, NeuronState(v - n * population.threshold, (sent + n,))


class _Rectangle(torch.autograd.Function):
    """A step whose gradient is one over the width around it (Neftci et al., IEEE Signal Processing Magazine 2019)."""

    @staticmethod
    def forward(ctx: Any, distance: Any) -> Any:
        ctx.save_for_backward(distance)
        return (distance >= 0).to(distance.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: Any) -> Any:
        (distance,) = ctx.saved_tensors
        return gradient * (distance.abs() < 0.5).to(gradient.dtype)


@dataclass(frozen=True)
class Surrogate(NeuronStep):
    """Single spikes, with a gradient in the place of the step's own."""

    differentiable = True

    def step(self, population: Population, state: NeuronState, current: Any) -> tuple[Any, NeuronState]:
        v = population.neuron.decay * state.v + current
        n = _Rectangle.apply(v - population.threshold)
        return n, NeuronState(v - n * population.threshold)


def neuron(**settings: Any) -> Graph:
    chosen = {"threshold": 1.0, "v_init": 0.0, **settings}
    return Graph([Input(name="x", shape=(1,)), IF(name="n", inputs=("x",), **chosen), Output(name="y", inputs=("n",))])


def trains(step: NeuronStep, current: list[float]) -> tuple[list[int], list[float]]:
    x = np.array(current, np.float32).reshape(1, -1, 1)
    run = sw.simulate(neuron(), x, len(current), encoder=EventFrames(), step=step, record=("spikes", "potentials"))
    return run.spikes["n"].ravel().astype(int).tolist(), run.potentials["n"].ravel().tolist()


def test_a_saturating_neuron() -> None:
    """After a strong input the plain neuron goes on firing, the saturating one stops."""
    current = [3.0, 0, 0, 0]
    assert trains(IntegrateAndFire(), current) == ([1, 1, 1, 0], [2.0, 1.0, 0.0, 0.0])
    assert trains(Saturating(0.75), current) == ([1, 0, 0, 0], [0.75, 0.75, 0.75, 0.75])


def test_a_signed_neuron_takes_back_what_it_sent_too_early() -> None:
    """What arrives sums to 1, and so does what is sent; a neuron that has sent nothing sends no −1."""
    assert trains(Signed(), [1.5, 0.5, -1.25, 0.25, 0.0]) == ([1, 1, -1, -1, 1], [0.5, 0.0, -0.25, 1.0, 0.0])
    assert trains(Signed(), [-2.0, 1.0, 1.0, 1.0]) == ([0, 0, 0, 1], [-2.0, -1.0, 0.0, 0.0])


def test_the_default_policy_changes_nothing() -> None:
    for seed in range(12):
        graph, x = spiking_network(seed)
        batch, record = torch.from_numpy(x), ("spikes", "events", "potentials", "nonzero")
        expected = Simulation(graph).run(batch, 7, Constant(), record)
        same(graph, expected, Simulation(graph, step=IntegrateAndFire()).run(batch, 7, Constant(), record))


def small() -> Graph:
    random = np.random.default_rng(0)
    around = {"stride": (1, 1), "padding": ((1, 1), (1, 1)), "dilation": (1, 1), "groups": 1}
    return Graph(
        [
            Input(name="x", shape=(1, 4, 4)),
            Conv(name="conv", inputs=("x",), weight=random.normal(size=(2, 1, 3, 3)), bias=np.full(2, 0.1), **around),
            IF(name="n", inputs=("conv",), threshold=1.0, v_init=0.5),
            Flatten(name="flat", inputs=("n",)),
            Linear(name="last", inputs=("flat",), weight=random.normal(size=(3, 32)), bias=np.zeros(3)),
            IF(name="m", inputs=("last",), threshold=1.0, v_init=0.5),
            Output(name="y", inputs=("m",)),
        ]
    )


def test_gradients_through_spikes_and_a_step_downhill() -> None:
    graph, x = small(), torch.rand(5, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    simulation = Simulation(graph, step=Surrogate())
    assert set(simulation.parameters) == {(name, label) for name in ("conv", "last") for label in ("weight", "bias")}
    weights = [tensor.requires_grad_() for tensor in simulation.parameters.values()]
    wanted = torch.full((5, 3), 0.25)

    def loss() -> Any:
        return ((simulation.run(x, 8, Constant()).outputs["y"][:, -1] - wanted) ** 2).mean()

    before = loss()
    before.backward()
    assert all(weight.grad is not None and bool(weight.grad.abs().sum() > 0) for weight in weights)
    with torch.no_grad():
        for weight in weights:
            weight -= 0.2 * weight.grad
    assert loss().item() < before.item()


def test_gradients_only_where_they_are_wanted() -> None:
    graph, x = small(), torch.rand(2, 1, 4, 4)
    for step in (Surrogate(), IntegrateAndFire()):
        simulation = Simulation(graph, step=step)
        for tensor in simulation.parameters.values():
            tensor.requires_grad_()
        with torch.no_grad():
            assert not simulation.run(x, 4, Constant(), ("spikes", "events")).outputs["y"].requires_grad
        wanted = isinstance(step, Surrogate)
        assert simulation.run(x, 4, Constant(), ("events",)).outputs["y"].requires_grad is wanted
    run = sw.simulate(graph, x.numpy(), 4, step=Surrogate(), record="spikes")  # numbers, and those of plain neurons
    for name, spikes in sw.simulate(graph, x.numpy(), 4, engine="reference", record="spikes").spikes.items():
        np.testing.assert_array_equal(run.spikes[name], spikes)


def test_other_engines_refuse_it_and_auto_takes_the_reference() -> None:
    graph, x = neuron(), np.ones((2, 1), np.float32)
    assert sw.simulate(graph, x, 3, step=Signed()).engine == "reference"
    for engine in ("event", "cuda"):
        with pytest.raises(
            SettingsError, match=rf"the {engine} engine runs integrate-and-fire neurons, not Signed\(\)"
        ):
            sw.simulate(graph, x, settings=RunSettings(3, engine=engine, step=Signed()))
    with pytest.raises(SettingsError, match="int16 is the event engine's"):
        sw.simulate(graph, x, 3, step=Signed(), dtype="int16")
