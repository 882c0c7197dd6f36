"""Everything worth knowing of a spiking network, from one simulation over a data set."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from spikewright.calibration import AnalogScore
from spikewright.conversion import Conversion, spiking_graph
from spikewright.data import Dataset, as_dataset, sample_digests
from spikewright.encoders import Encoder
from spikewright.encoders.constant import Constant
from spikewright.engines import Record, Run, RunSettings
from spikewright.engines.settings import TIMESTEPS, RunKeywords, given_settings
from spikewright.engines.simulation import first_sample, run_over
from spikewright.errors import warn
from spikewright.graph import Array, Graph, Shape
from spikewright.measures.base import MeasureResult, RegisteredMeasures
from spikewright.measures.correlation import Correlation, CorrelationObserver
from spikewright.measures.energy import Energy
from spikewright.measures.firing_rate import FiringRate, firing_rates
from spikewright.measures.operations import Operations, operations
from spikewright.measures.scores import HeadMeasures, Scoring, agreement_name
from spikewright.measures.synops import SynOps, synops
from spikewright.nodes import Input
from spikewright.rates import InputSums, Rates
from spikewright.tasks import TaskChoice, heads
from spikewright.text import short


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
        energy_spiking, energy_analog: estimates, nanojoules per sample; None without the trained network.
        energy: the constants of the estimate.
        rates: of every neuron.
        run: what was simulated: counts, and what was recorded.
        raster: by population, ``(T, up to 40)``: the spikes of some neurons for the first sample.
        others: by name, what the measures found that nobody lists: those of files of their own, and of other packages.
        warnings: what is odd, a sentence each; of the labels see ``HeadMeasures.remark``.
        compared: whether there was a trained network to compare with: of a conversion there is one, of a bare spiking
            graph not, and then there is no correlation, no agreement and no score of the analog network.
    """

    samples: int
    timesteps: int
    engine: str
    heads: dict[str, HeadMeasures]
    layers: dict[str, LayerMeasures]
    synops: dict[str, SynOps]
    operations: dict[str, Operations]
    energy_spiking: float
    energy_analog: float | None
    energy: Energy
    rates: Rates
    run: Run
    raster: dict[str, Array] = field(default_factory=dict)
    others: Mapping[str, MeasureResult] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    compared: bool = True

    def __repr__(self) -> str:
        trained = "" if self.energy_analog is None else f", of the trained network {short(self.energy_analog)} nJ"
        lines = [
            f"Measures of {self.samples:,} samples at T={self.timesteps}",
            *(repr(head) for head in self.heads.values()),
            f"firing rate {self.firing_rate:.4f}, {short(self.total_synops)} synaptic operations a sample",
            f"energy, estimated: {short(self.energy_spiking)} nJ{trained}",
            *(f"{reading.title}: {reading.text()}" for reading in self.others.values()),
            *(f"warning: {line}" for line in self.warnings),
            *(f"note: {line}" for line in self.notes),
        ]
        return "\n  ".join(lines)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the numbers should know, a sentence each."""
        return () if self.compared else (NOT_COMPARED,)

    @property
    def head(self) -> HeadMeasures:
        """Measures of the first output: for most networks the only one."""
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
        """Accuracy of the analog network on the same samples, at the first output; None as ``accuracy``."""
        return self.head.analog.get("accuracy")

    @property
    def agreement(self) -> NDArray[np.float64] | None:
        """``(T,)`` in 0..1: what the first output answers as the analog network does; None for regression, and where
        there is no network to compare with."""
        return self.head.agreement.get("accuracy")

    @property
    def curve(self) -> NDArray[np.float64] | None:
        """``(T,)``: the main score of the first output, or what stands for it in agreement where no labels are; None
        where there is neither."""
        return self.head.curves.get(self.head.task.main)

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

    @property
    def dt(self) -> float | None:
        """The length of a timestep in seconds; None where nobody said. With it go all numbers per second."""
        return self.run.dt

    @property
    def seconds(self) -> float | None:
        """How long a sample takes: T timesteps."""
        return None if self.dt is None else self.timesteps * self.dt

    @property
    def firing_rate_per_second(self) -> float | None:
        """Spikes per neuron and second over the whole network, in hertz."""
        return None if self.dt is None else self.firing_rate / self.dt

    @property
    def synops_per_second(self) -> float | None:
        """Synaptic operations per second while samples follow one another without a pause."""
        return None if self.seconds is None else self.total_synops / self.seconds

    @property
    def power_spiking(self) -> float | None:
        """``energy_spiking`` over the time of a sample, in milliwatts."""
        return None if self.seconds is None else self.energy_spiking / self.seconds * 1e-6

    @property
    def power_analog(self) -> float | None:
        """``energy_analog`` over the time of a sample, in milliwatts: at as many samples a second."""
        if self.seconds is None or self.energy_analog is None:
            return None
        return self.energy_analog / self.seconds * 1e-6

    def summary(self) -> dict[str, Any]:
        """The numbers as plain JSON-like values; those per second where the length of a timestep is known."""
        return {
            "engine": self.engine,
            "samples": self.samples,
            "timesteps": self.timesteps,
            **(self._of_one_output() if len(self.heads) == 1 else {}),
            "heads": {name: head.summary() for name, head in self.heads.items()},
            "warnings": list(self.warnings),
            "notes": list(self.notes),
            "firing_rate": self.firing_rate,
            "synops_per_sample": self.total_synops,
            "relayed_synops_per_sample": sum(layer.relayed for layer in self.synops.values()),
            "effective_acs_per_sample": sum(o.acs for o in self.operations.values()),
            "effective_macs_per_sample": sum(o.macs for o in self.operations.values()),
            "energy_spiking_nj": self.energy_spiking,
            "energy_analog_nj": self.energy_analog,
            **self._per_second(),
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
            "others": {name: result.summary() for name, result in self.others.items()},
        }

    def _per_second(self) -> dict[str, Any]:
        if self.dt is None:
            return {}
        return {
            "dt": self.dt,
            "firing_rate_hz": self.firing_rate_per_second,
            "synops_per_second": self.synops_per_second,
            "power_spiking_mw": self.power_spiking,
            "power_analog_mw": self.power_analog,
        }

    def _of_one_output(self) -> dict[str, Any]:
        """What a network with one output is read by, by short names; of a regression no accuracy."""
        head = self.head.summary()
        found = {**head["scores"], **{f"analog_{name}": value for name, value in head["analog"].items()}}
        agreement = {agreement_name(name): curve for name, curve in head["agreement"].items()}
        missing = (
            {"accuracy": None, "analog_accuracy": None, "top5": None} if "accuracy" in self.head.task.agreed else {}
        )
        if not self.compared:
            missing |= dict.fromkeys(map(agreement_name, self.head.task.agreed))
        return {"task": head["task"], **missing, **found, **agreement}


NOT_COMPARED = (
    "this spiking network comes without the trained one, so there is nothing to compare it with: no correlation, no "
    "agreement, no analog score"
)


def measure(
    graph: Graph | Conversion,
    data: Any,
    timesteps: int = TIMESTEPS,
    *,
    settings: RunSettings | None = None,
    record: Record | Collection[str] = (),
    task: TaskChoice = None,
    energy: Energy | None = None,
    progress: Callable[[int, int], None] | None = None,
    quiet: bool = False,
    **keywords: Unpack[RunKeywords],
) -> Measures:
    """Simulate a spiking network and compare it with the trained one.

    Args:
        graph: a conversion; or a spiking graph alone, which is measured without the comparison.
        data: a Dataset, an array, or a pair of samples and labels; labels of several outputs by their names.
        timesteps: T; 64 by default.
        settings: how it runs, in place of ``timesteps`` and the keywords of the same names: see ``simulate``.
        record: what is recorded beside, as for ``simulate``; ``Measures.run`` holds it. Answers are kept only where
            ``keep_outputs=True`` or a Record says so.
        task: "classification", "binary", "dense", "regression", a Task, or a mapping from the names of outputs to
            such; None takes what the conversion was made with, or finds it in the answer's shape and the labels.
        energy: the constants of the estimate.
        progress: called with (samples done, samples in all).
        quiet: whether what is odd stands in ``Measures.warnings`` only.
        keywords: encoder, batch_size, engine, device, dtype, seed, first_sample, dt, step, events_to, force,
            keep_outputs: see ``simulate``.

    Raises:
        SpikewrightError: as ``simulate``; DataError for labels that do not fit the task, before anything is simulated.

    Warns:
        SpikewrightWarning: each of ``Measures.warnings``, and what is odd about the labels.
    """
    conversion = graph if isinstance(graph, Conversion) else None
    graph = spiking_graph(graph)
    dataset = as_dataset(data, graph.inputs)
    constants = energy or Energy()
    without_outputs = {} if isinstance(record, Record) else {"keep_outputs": False}
    chosen, wanted = given_settings(settings, timesteps, record, {**without_outputs, **keywords})
    remembered = None if conversion is None else conversion.tasks or None
    scoring = Scoring(heads(graph, dataset.targets, remembered if task is None else task))
    encoder, timesteps = chosen.chosen_encoder.fitted(graph), chosen.timesteps
    observer = _observer(conversion, timesteps, len(dataset), chosen.device, encoder, scoring)
    sums = InputSums(graph, encoder, timesteps, first_sample(chosen, dataset))
    found = RegisteredMeasures(graph, timesteps)
    observers = (scoring.alone if observer is None else observer, sums, found)
    recording = wanted.fitted(graph, timesteps).also("nonzero", graph)
    run = run_over(graph, dataset, chosen, wanted, recording, observers, progress)
    spikes = Record("spikes", outputs=False)
    first = run_over(graph, dataset.take(1), chosen, spikes, spikes.fitted(graph, timesteps))
    rates = Rates.of(graph, run, sums.sums)
    seen = () if conversion is None else _seen_before(conversion, dataset)
    measures = _measures(
        graph, conversion, run, observer, scoring, constants, _raster(first), encoder, rates, found, seen
    )
    if not quiet:
        warn([*measures.warnings, *(head.remark for head in measures.heads.values() if head.remark is not None)])
    return measures


def _observer(
    conversion: Conversion | None, timesteps: int, samples: int, device: str, encoder: Encoder, scoring: Scoring
) -> CorrelationObserver | None:
    """What runs the trained network beside the spiking one; None where there is none."""
    if conversion is None:
        return None
    reference, units = conversion.reference, conversion.units
    return CorrelationObserver(reference, units, timesteps, samples, device=device, encoder=encoder, answers=scoring)


def _seen_before(conversion: Conversion, dataset: Dataset) -> tuple[str, ...]:
    """A sentence where samples were calibrated on, so that what is measured on them flatters."""
    if not len(conversion.calibration.seen):
        return ()
    shared = conversion.calibration.shared_with(sample_digests(dataset))
    if not shared:
        return ()
    which = "1 of these samples was" if shared == 1 else f"{shared:,} of these {len(dataset):,} samples were"
    return (f"{which} used for calibration too: scores on others may be lower",)


def _measures(
    graph: Graph,
    conversion: Conversion | None,
    run: Run,
    observer: CorrelationObserver | None,
    scoring: Scoring,
    energy: Energy,
    raster: dict[str, Array],
    encoder: Encoder,
    rates: Rates,
    found: RegisteredMeasures,
    seen: tuple[str, ...],
) -> Measures:
    correlations = {} if observer is None else observer.results()
    firing = firing_rates(run)
    counts = {name: total / run.samples for name, total in run.counts.items()}
    if not isinstance(encoder, Constant):  # every other encoder sends events
        counts |= {node.name: run.nonzero[node.name] / run.samples for node in graph.of_type(Input)}
    active = {name: steps / run.samples for name, steps in run.nonzero.items()}
    layers, judged = synops(graph, counts, active, run.timesteps), scoring.results()
    others = found.results(run)
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
        energy_analog=None if conversion is None else energy.analog(conversion.reference),
        energy=energy,
        rates=rates,
        run=run,
        raster=raster,
        others=others,
        warnings=(*run.warnings, *seen, *found.warnings, *near_chance(judged, run.samples)),
        compared=conversion is not None,
    )


def near_chance(heads: Mapping[str, HeadMeasures], samples: int) -> list[str]:
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
