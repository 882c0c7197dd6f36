"""Splits the errors of a network on some samples, batch by batch: what ``error_split.py`` defines."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from spikewright.conversion import Conversion
from spikewright.data import Dataset
from spikewright.encoders import Encoder
from spikewright.encoders.constant import Constant
from spikewright.engines import IntegrateAndFire, Record, RunSettings, Simulation
from spikewright.engines.choose import choose_engine
from spikewright.engines.eight_bits import round_weights
from spikewright.engines.memory import side_by_side
from spikewright.engines.simulation import first_sample
from spikewright.forward import Forward, split_inputs
from spikewright.graph import Array, Graph
from spikewright.measures.error_split import OWN, PARTS, ErrorSplit, PopulationError
from spikewright.measures.quantised import levels_of
from spikewright.measures.steady import is_plain, steady_count
from spikewright.nodes import IF, Output, ReLU

if TYPE_CHECKING:
    from torch import Tensor

SAMPLES = 32
"""How many samples are looked at."""
PAIRS = 2**17
"""The most pairs of a sample and a neuron that are looked at in a population; the neurons are drawn."""
SEED = 0
"""The seed of the draws of samples and neurons that are looked at."""
VALUES = 2**24
"""Values of a batch that are kept side by side."""


def split_errors(
    conversion: Conversion,
    data: Dataset,
    settings: RunSettings,
    steps: Sequence[int],
    samples: int = SAMPLES,
    seed: int = SEED,
) -> ErrorSplit:
    """Split the errors of every population of neurons into their causes.

    Each number of steps is a run of its own, and so is half of it, unless it is among the numbers. Memory does not grow
    with the samples.

    Args:
        conversion: the trained and the spiking network.
        data: samples, laid out for it.
        settings: how it runs; their timesteps are not looked at.
        steps: the numbers of steps, T.
        samples: at most so many are looked at, a draw in proportion to the classes.
        seed: of the draws of samples, and of neurons where there are more than are looked at.

    Raises:
        SpikewrightError: as ``simulate``.
    """
    import torch

    chosen = data.sample(samples, seed)
    splitter = Splitter(conversion, settings, first_sample(settings, chosen), max(1, PAIRS // len(chosen)), seed)
    neurons = sum(prod(conversion.spiking.shapes[node.name]) for node in conversion.spiking.populations)
    batch = side_by_side(int(np.clip(VALUES // max(neurons, 1), 1, settings.batch_size)), max(steps))
    with torch.no_grad():
        for x, _ in chosen.batches(batch):
            splitter.add(torch.from_numpy(np.ascontiguousarray(x)), steps)
    return ErrorSplit(len(chosen), splitter.results(steps), len(data))


class Splitter:
    """Adds up the parts of errors, batch by batch.

    Args:
        conversion: the trained and the spiking network.
        settings: how it runs.
        first: the place of the first sample in its data set.
        neurons: how many neurons of a population are looked at.
        seed: of their draw.
    """

    def __init__(self, conversion: Conversion, settings: RunSettings, first: int, neurons: int, seed: int) -> None:
        given, self.first = conversion.spiking, first
        self.encoder: Encoder = settings.chosen_encoder.fitted(given)
        self.engine = choose_engine(given, self.encoder, Record().fitted(given, settings.timesteps), settings).simulator
        self.graph = round_weights(given, self.encoder).graph if settings.dtype == "int8" else given
        stepwise = _stepwise(self.graph)
        self.simulation = Simulation(stepwise, settings.device, "float64")
        self.linear = Simulation(stepwise, settings.device, "float32").linear  # as engines have it, and far quicker
        self.trained = Forward(conversion.reference, settings.device)
        normalised, units = conversion.normalised.by_name, conversion.units
        random = np.random.default_rng(seed)
        self.populations: dict[str, _Population] = {}
        for node in self.graph.of_type(IF):
            relu = normalised.get(node.name)
            if node.name in units and isinstance(relu, ReLU):
                size = prod(self.graph.shapes[node.name])
                drawn = np.sort(random.choice(size, min(size, neurons), replace=False))
                self.populations[node.name] = _Population(self.simulation, node, relu, units[node.name], drawn)
        self.windows = any(node.schedule != "free" for node in self.graph.of_type(IF))
        self.sums: dict[tuple[int, str], _Sums] = {}

    def add(self, x: Tensor, steps: Sequence[int]) -> None:
        """Look at one batch ``(B, *shape)`` after each of some numbers of steps."""
        x = x.to(self.trained.to_tensor(np.zeros(0)))
        before: dict[int, dict[str, tuple[Tensor, Tensor]]] = {}  # numbers of steps that double are each other's halves
        activations: dict[str, Tensor] = {}
        watch = {name: _keeper(activations, name, one) for name, one in self.populations.items()}
        for t in steps:
            if not (activations and isinstance(self.encoder, Constant)):  # of others the mean depends on T
                self.trained(self.encoder.mean(x, t), watch)
            whole = self._counts_and_currents(x, t)
            half = whole if t == 1 or self.windows else before.get(t // 2) or self._counts_and_currents(x, t // 2)
            before = {t: whole}
            for name, one in self.populations.items():
                count, current = whole[name]
                parts = one.parts(t, activations[name], count, current, half[name][1])
                self.sums.setdefault((t, name), _Sums()).add(parts, activations[name])
        self.first += len(x)

    def results(self, steps: Sequence[int]) -> dict[int, dict[str, PopulationError]]:
        """The errors by number of steps and population."""
        return {t: {name: self.sums[t, name].result(name, t) for name in self.populations} for t in steps}

    def _counts_and_currents(self, x: Tensor, timesteps: int) -> dict[str, tuple[Tensor, Tensor]]:
        """Of the neurons that are looked at, what they sent in so many steps, and the mean of their current, in double
        precision.

        The means follow from what was sent: linear layers keep means.
        """
        run = self.engine.run(x, timesteps, self.encoder, (), self.first)
        inputs = split_inputs(self.graph, self._mean_input(x, timesteps))
        values: dict[str, Tensor] = {}
        found = {}
        for node in self.graph:
            given = [values[name] for name in node.inputs]
            if not node.inputs:
                values[node.name] = inputs[node.name]
            elif node.population:
                count = run.counts[node.name].float()
                values[node.name] = count / timesteps
                if node.name in self.populations:
                    one = self.populations[node.name]
                    found[node.name] = one.picked(count), one.picked(given[0]) + one.step_bias(timesteps)
            elif not isinstance(node, Output):
                values[node.name] = self.linear[node.name](*given)
        return found

    def _mean_input(self, x: Tensor, timesteps: int) -> Tensor:
        """What the inputs were given over so many steps, of a random encoder what it drew."""
        if isinstance(self.encoder, Constant):
            return x.float()
        total = self.encoder.at(x, 0, self.first).double()
        for t in range(1, timesteps):
            total = total + self.encoder.at(x, t, self.first)
        return (total / timesteps).float()


def _keeper(kept: dict[str, Tensor], name: str, population: _Population) -> Callable[[Tensor], None]:
    def keep(value: Tensor) -> None:
        kept[name] = population.picked(value) / population.units

    return keep


class _Population:
    """Neurons of one population, some of which are looked at.

    Args:
        simulation: of the spiking network, in double precision.
        node: the neurons.
        relu: the rectifier they stand for, in units of λ.
        unit: λ.
        drawn: which of them are looked at, by their places in C order.
    """

    def __init__(self, simulation: Simulation, node: IF, relu: ReLU, unit: Array, drawn: NDArray[np.int64]) -> None:
        import torch

        self.node, self.put, self.shape = node, simulation.to_tensor, simulation.graph.shapes[node.name]
        own = simulation.neurons[node.name]
        self.drawn = torch.from_numpy(drawn).to(own.threshold.device)
        self.threshold = self.picked(own.threshold[None])[0]
        self.units = self._spread(unit)
        self.activation = relu.bind(self.put)
        if isinstance(relu.ceiling, np.ndarray):
            ceiling = node.spread(relu.ceiling, self.shape).reshape(-1)[drawn]
            self.activation = relu.replace(ceiling=ceiling).bind(self.put)
        self.shift = 0.5 if relu.levels is None else relu.shift
        self.start = self._spread(node.v_init) / self.threshold
        self.neurons = replace(
            own,
            neuron=node.replace(step_bias=None, fired_bias=None, schedule="free"),
            threshold=self.threshold,
            v_min=None if own.v_min is None else self.picked(own.v_min[None])[0],
            step_bias=None,
            fired_bias=None,
        )

    def _spread(self, values: Array) -> Tensor:
        """``(drawn,)`` of what is one number, one a channel, or one a neuron."""
        return self.picked(self.put(self.node.spread(values, self.shape))[None])[0]

    def picked(self, values: Tensor) -> Tensor:
        """``(B, drawn)``, in double precision, of what there is for every neuron, ``(B, *shape)``."""
        return values.flatten(1)[:, self.drawn].double()

    def parts(self, timesteps: int, activation: Tensor, count: Tensor, current: Tensor, half: Tensor) -> Tensor:
        """The parts of the errors ``(5, pairs)`` after T steps, given values ``(B, drawn)``.

        Args:
            timesteps: T.
            activation: trained, in units of λ.
            count: what was sent.
            current: the mean over T steps.
            half: the mean over the first half of them.
        """
        import torch

        early, late = timesteps // 2, timesteps - timesteps // 2
        rate, z, z_early = count / timesteps, current / self.threshold, half / self.threshold
        answered = self.activation(z)
        z_late = (timesteps * z - early * z_early) / late
        cap = self.node.max_spikes
        reached = answered if cap is None else answered.clamp(max=cap)
        counted, most = levels_of(self.node, timesteps)
        if self.node.decay == 1.0 and self.node.reset == "subtract":
            rounded = (counted * z + self.shift).floor().clamp(0, most) / counted
        else:  # what they lose at a constant current is not rounding alone
            rounded = self._sent(torch.full_like(z, self.shift), [(z, timesteps)]) / timesteps
        if self.node.schedule == "free":
            drifted = self._sent(self.start.expand_as(z), [(z_early, early), (z_late, late)]) / timesteps
        else:  # what is sent behind a window depends on no order
            drifted = (counted * z + self.start).floor().clamp(0, most) / counted
        parts = (answered - activation, reached - answered, rounded - reached, drifted - rounded, rate - drifted)
        return torch.stack([part.flatten() for part in parts])

    def step_bias(self, timesteps: int) -> Tensor:
        """The mean over some steps of a bias per step, which no layer before the population adds."""
        table = self.node.step_bias
        mean = np.zeros(()) if table is None else table[:timesteps].sum(axis=0, dtype=np.float64) / timesteps
        return self._spread(mean)

    def _sent(self, v: Tensor, stretches: Sequence[tuple[Tensor, int]]) -> Tensor:
        """What the neurons send for currents that each stay the same for some steps; all in units of the threshold."""
        total = v.new_zeros(v.shape)
        if is_plain(self.node):
            for current, steps in stretches:
                count = steady_count(v, current, steps, self.node.max_spikes)
                v, total = v + steps * current - count, total + count
            return total
        policy, threshold = IntegrateAndFire(), self.neurons.threshold
        state = policy.start(self.neurons, v * threshold)
        for current, steps in stretches:
            for _ in range(steps):
                count, state = policy.step(self.neurons, state, current * threshold)
                total = total + count
        return total


def _stepwise(graph: Graph) -> Graph:
    """A graph whose neurons send as they go, whatever they do: its linear layers and settings are the same."""
    return graph.replaced(*(node.replace(schedule="free") for node in graph.of_type(IF)))


class _Sums:
    """Sums over pairs of a sample and a neuron."""

    def __init__(self) -> None:
        self.products, self.totals = np.zeros((len(PARTS), len(PARTS))), np.zeros(len(PARTS))
        self.signal, self.pairs = 0.0, 0

    def add(self, parts: Tensor, activations: Tensor) -> None:
        """Parts ``(5, M)`` and as many trained activations."""
        self.products += (parts @ parts.T).cpu().numpy()
        self.totals += parts.sum(dim=1).cpu().numpy()
        self.signal += float((activations**2).sum())
        self.pairs += parts.shape[1]

    def result(self, name: str, timesteps: int) -> PopulationError:
        products, totals = self.products / self.pairs, self.totals / self.pairs
        return PopulationError(
            name,
            timesteps,
            shares=_named(PARTS, products.sum(axis=1)),
            own=_named(OWN, products[1:, 1:].sum(axis=1)),
            means=_named(PARTS, totals),
            signal=self.signal / self.pairs,
        )


def _named(names: Sequence[str], values: NDArray[np.float64]) -> Mapping[str, float]:
    return dict(zip(names, values.tolist(), strict=True))
