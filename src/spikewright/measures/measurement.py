"""Everything worth knowing of a spiking network, from one simulation over a data set."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikewright.calibration import AnalogScore
from spikewright.data import as_dataset
from spikewright.encoders import Encoder
from spikewright.encoders import encoder as named_encoder
from spikewright.encoders.constant import Constant
from spikewright.engines import Engine, Run, simulate
from spikewright.errors import warn
from spikewright.graph import Array, Graph, Shape
from spikewright.measures.correlation import Correlation, CorrelationObserver
from spikewright.measures.energy import Energy
from spikewright.measures.firing_rate import FiringRate, firing_rates
from spikewright.measures.found import FoundMeasures, Reading
from spikewright.measures.operations import Operations, operations
from spikewright.measures.scores import HeadMeasures, Scoring, agreement_name
from spikewright.measures.synops import SynOps, synops
from spikewright.nodes import Input
from spikewright.rates import InputSums, Rates
from spikewright.settings import whole
from spikewright.tasks import TaskChoice, heads


@dataclass(frozen=True, eq=False)
class LayerMeasures:
    """What one population did.

    Attributes:
        name: of the population.
        kind: its node type.
        shape: of the population.
        firing: its firing rates.
        correlation: with the analog activations.
    """

    name: str
    kind: str
    shape: Shape
    firing: FiringRate
    correlation: Correlation | None


@dataclass(frozen=True, eq=False)
class Measures:
    """What a spiking network did on N samples over T timesteps.

    Attributes:
        samples, timesteps: N and T.
        engine: that simulated them.
        heads: by output: its task, its scores at every timestep, and its agreement with the analog network.
        layers: by population.
        synops: by layer, per sample over all timesteps.
        operations: by layer, per sample over all timesteps.
        energy_spiking, energy_analog: estimates, nanojoules per sample.
        energy: the constants of the estimate.
        rates: of every neuron.
        raster: by population, ``(T, up to 40)``: the spikes of some neurons for the first sample.
        others: by name, what the measures found that nobody lists: those of files of their own, and of other packages.
        warnings: what is odd, a sentence each; of the labels see ``HeadMeasures.remark``.
    """

    samples: int
    timesteps: int
    engine: str
    heads: dict[str, HeadMeasures]
    layers: dict[str, LayerMeasures]
    synops: dict[str, SynOps]
    operations: dict[str, Operations]
    energy_spiking: float
    energy_analog: float
    energy: Energy
    rates: Rates
    raster: dict[str, Array] = field(default_factory=dict)
    others: Mapping[str, Reading] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def head(self) -> HeadMeasures:
        """Of the first output: for most networks the only one."""
        return next(iter(self.heads.values()))

    @property
    def accuracy(self) -> NDArray[np.float64] | None:
        """``(T,)`` in 0..1, of the first output; None without labels, and for regression."""
        return self.head.scores.get("accuracy")

    @property
    def top5(self) -> NDArray[np.float64] | None:
        """``(T,)`` in 0..1, of the first output; None without labels, and below 6 classes."""
        return self.head.scores.get("top5")

    @property
    def analog_accuracy(self) -> float | None:
        """Of the analog network on the same samples, of the first output; None as ``accuracy``."""
        return self.head.analog.get("accuracy")

    @property
    def agreement(self) -> NDArray[np.float64] | None:
        """``(T,)`` in 0..1: what the first output answers as the analog network does; None for regression."""
        return self.head.agreement.get("accuracy")

    @property
    def curve(self) -> NDArray[np.float64]:
        """``(T,)``: the main score of the first output, or what stands for it in agreement where no labels are."""
        return self.head.curves[self.head.task.main]

    @property
    def firing_rate(self) -> float:
        """Spikes per neuron and timestep over the whole network."""
        sizes = {name: int(np.prod(layer.shape)) for name, layer in self.layers.items()}
        spikes = sum(layer.firing.mean * sizes[name] for name, layer in self.layers.items())
        return spikes / max(sum(sizes.values()), 1)

    @property
    def total_synops(self) -> float:
        """Synaptic operations per sample: of spikes, and of values handed on without neurons between."""
        return sum(layer.total for layer in self.synops.values())

    def summary(self) -> dict[str, Any]:
        """The numbers as plain JSON-like values."""
        return {
            "engine": self.engine,
            "samples": self.samples,
            "timesteps": self.timesteps,
            **(self._of_one_output() if len(self.heads) == 1 else {}),
            "heads": {name: head.summary() for name, head in self.heads.items()},
            "warnings": list(self.warnings),
            "firing_rate": self.firing_rate,
            "synops_per_sample": self.total_synops,
            "relayed_synops_per_sample": sum(layer.relayed for layer in self.synops.values()),
            "effective_acs_per_sample": sum(o.acs for o in self.operations.values()),
            "effective_macs_per_sample": sum(o.macs for o in self.operations.values()),
            "energy_spiking_nj": self.energy_spiking,
            "energy_analog_nj": self.energy_analog,
            "energy_constants_pj": {"mac": self.energy.mac, "ac": self.energy.ac},
            "layers": {
                name: {
                    "firing_rate": layer.firing.mean,
                    "silent": layer.firing.silent,
                    "correlation": None if layer.correlation is None else layer.correlation.pearson,
                    "rms_error": None if layer.correlation is None else layer.correlation.rms,
                }
                for name, layer in self.layers.items()
            },
            "synops": {name: layer.total for name, layer in self.synops.items()},
            "others": {name: reading.summary() for name, reading in self.others.items()},
        }

    def _of_one_output(self) -> dict[str, Any]:
        """What a network with one output is read by, by short names; of a regression no accuracy."""
        head = self.head.summary()
        found = {**head["scores"], **{f"analog_{name}": value for name, value in head["analog"].items()}}
        agreement = {agreement_name(name): curve for name, curve in head["agreement"].items()}
        missing = {"accuracy": None, "analog_accuracy": None, "top5": None} if "accuracy" in head["agreement"] else {}
        return {"task": head["task"], **missing, **found, **agreement}


def measure(
    graph: Graph,
    analog: Graph,
    data: Any,
    timesteps: int = 64,
    *,
    task: TaskChoice = None,
    encoder: Encoder | str = "constant",
    batch_size: int = 100,
    engine: Engine = "auto",
    device: str = "cpu",
    dtype: str = "float32",
    energy: Energy | None = None,
    progress: Callable[[int, int], None] | None = None,
    events_to: Path | str | None = None,
    force: bool = False,
) -> Measures:
    """Simulate a spiking graph and compare it with the analog one.

    Args:
        graph: the spiking graph.
        analog: the normalised analog graph, from ``normalise``.
        data: a Dataset, an array, or a pair of samples and labels; labels of several outputs by their names.
        timesteps: T.
        task: "classification", "binary", "dense", "regression", a Task, or a mapping from the names of outputs to
            such; None finds it in the answer's shape and the labels.
        encoder: an encoder or its name.
        batch_size: samples side by side.
        engine: "event", "cuda", "reference" or "auto".
        device: a torch device.
        dtype: of the spiking network: "float32", "float64" or "int16"; see ``simulate``.
        energy: the constants of the estimate.
        progress: called with (samples done, samples in all).
        events_to: a folder where the spikes of every population are written one by one: see ``simulate``.
        force: whether it may replace the events of an earlier run.

    Raises:
        SpikewrightError: as ``simulate``; DataError for labels that do not fit the task, before anything is simulated.

    Warns:
        SpikewrightWarning: each of ``Measures.warnings``, and what is odd about the labels.
    """
    dataset = as_dataset(data, graph.inputs)
    constants = energy or Energy()
    scoring = Scoring(heads(graph, dataset.targets, task))
    timesteps = whole("timesteps", timesteps)
    chosen = (encoder if isinstance(encoder, Encoder) else named_encoder(encoder)).fitted(graph)
    observer = CorrelationObserver(analog, timesteps, len(dataset), device=device, encoder=chosen, answers=scoring)
    sums = InputSums(graph, chosen, timesteps)
    found = FoundMeasures(graph, timesteps)
    run = simulate(
        graph,
        dataset,
        timesteps,
        encoder=chosen,
        record=("nonzero",),
        batch_size=batch_size,
        engine=engine,
        device=device,
        dtype=dtype,
        observers=(observer, sums, found),
        progress=progress,
        events_to=events_to,
        force=force,
        keep_outputs=False,
        quiet=True,
    )
    one = dataset.take(1)
    first = simulate(
        graph, one, timesteps, encoder=chosen, record=("spikes",), engine=engine, device=device, dtype=dtype, quiet=True
    )
    rates = Rates.of(graph, run, sums.sums)
    measures = _measures(graph, analog, run, observer, scoring, constants, _raster(first), chosen, rates, found)
    warn([*measures.warnings, *(head.remark for head in measures.heads.values() if head.remark is not None)])
    return measures


def _measures(
    graph: Graph,
    analog: Graph,
    run: Run,
    observer: CorrelationObserver,
    scoring: Scoring,
    energy: Energy,
    raster: dict[str, Array],
    encoder: Encoder,
    rates: Rates,
    found: FoundMeasures,
) -> Measures:
    correlations = observer.results()
    firing = firing_rates(run)
    counts = {name: total / run.samples for name, total in run.counts.items()}
    if not isinstance(encoder, Constant):  # every other encoder sends events
        counts |= {node.name: run.nonzero[node.name] / run.samples for node in graph.of_type(Input)}
    active = {name: steps / run.samples for name, steps in run.nonzero.items()}
    layers, judged = synops(graph, counts, active, run.timesteps), scoring.results()
    others = found.readings(run)
    return Measures(
        samples=run.samples,
        timesteps=run.timesteps,
        engine=run.engine,
        heads=judged,
        layers={
            name: LayerMeasures(name, graph[name].type, graph.shapes[name], rate, correlations.get(name))
            for name, rate in firing.items()
        },
        synops=layers,
        operations=operations(graph, run),
        energy_spiking=energy.spiking(layers, run.timesteps),
        energy_analog=energy.analog(analog),
        energy=energy,
        rates=rates,
        raster=raster,
        others=others,
        warnings=(*run.warnings, *found.warnings, *_near_chance(judged, run.samples)),
    )


def _near_chance(heads: Mapping[str, HeadMeasures], samples: int) -> list[str]:
    """A sentence for each output whose analog network knows little of these samples."""
    found = []
    for name, head in heads.items():
        main = head.task.main
        if main in head.analog:
            score = AnalogScore.of(head.task, head.analog[main], head.chance[main], samples)
            if score.near_chance:
                which = "" if len(heads) == 1 else f" '{name}'"
                found.append(f"analog network{which} near chance, {score}: are data and preprocessing the right ones?")
    return found


def _raster(run: Run, neurons: int = 40) -> dict[str, Array]:
    """The spikes of some neurons of each population, spread evenly over those that fired."""
    found = {}
    for name, train in run.spikes.items():
        flat = train[0].reshape(run.timesteps, -1)
        active = np.flatnonzero(flat.any(axis=0))
        if len(active):
            active = active[np.linspace(0, len(active) - 1, min(neurons, len(active)), dtype=int)]
        found[name] = flat[:, active]
    return found
