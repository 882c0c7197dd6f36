"""Everything worth knowing of a spiking network, from one simulation over a data set."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, Unpack

import numpy as np

from spikewright.calibration import AnalogScore
from spikewright.conversion import Conversion, spiking_graph
from spikewright.data import Dataset, as_dataset, sample_digests
from spikewright.encoders import Encoder
from spikewright.engines import Record, Run, RunSettings
from spikewright.engines.settings import TIMESTEPS, RunKeywords, given_settings
from spikewright.engines.simulation import first_sample, run_over
from spikewright.errors import warn
from spikewright.graph import Array, Graph
from spikewright.measures.base import RegisteredMeasures
from spikewright.measures.correlation import CorrelationObserver
from spikewright.measures.energy import Energy
from spikewright.measures.firing_rate import firing_rates
from spikewright.measures.operations import operations
from spikewright.measures.scores import HeadMeasures, Scoring
from spikewright.measures.value import LayerMeasures, Measures
from spikewright.measures.work import work_of
from spikewright.rates import InputSums, Rates
from spikewright.tasks import TaskChoice, heads


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
    rates = Rates.of(graph, run, sums)
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
    layers, judged = work_of(graph, run, encoder).synops, scoring.results()
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
        synops=dict(layers),
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
