"""Everything worth knowing of a spiking network, from one simulation over a data set."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, Unpack

import numpy as np

from spikewright.calibration import AnalogScore
from spikewright.cluster import ClusterChoice, cluster_of
from spikewright.conversion import Conversion, spiking_graph
from spikewright.conversion.tuned import far_from_tuned
from spikewright.data import Dataset, as_dataset
from spikewright.data.recordings import EventDataset, frames_in
from spikewright.encoders import Encoder
from spikewright.engines import Record, Run, RunSettings
from spikewright.engines.in_parts import Simulated, run_on
from spikewright.engines.on_events import Prepared, on_events
from spikewright.engines.settings import TIMESTEPS, RunKeywords, given_settings
from spikewright.engines.simulation import first_sample, run_over
from spikewright.engines.windows import schedule_of
from spikewright.errors import warn
from spikewright.graph import Array, Graph
from spikewright.measures.advice import Had
from spikewright.measures.early_exit import EarlyExit, check_margins
from spikewright.measures.energy import Energy
from spikewright.measures.firing_rate import firing_rates
from spikewright.measures.intervals import SEED
from spikewright.measures.operations import operations
from spikewright.measures.protocol import Overlap, Protocol, check_overlap, drawn_seeds, overlap_of
from spikewright.measures.quantised import quantised_scores
from spikewright.measures.scores import HeadMeasures
from spikewright.measures.splitting import SEED as SPLIT_SEED
from spikewright.measures.splitting import split_errors
from spikewright.measures.value import LayerMeasures, Measures
from spikewright.measures.watching import Watching, WatchingParts
from spikewright.measures.work import work_of
from spikewright.parts import Checkpoint, Stage, fingerprint_of_run
from spikewright.rates import Rates
from spikewright.registry import file_name
from spikewright.tasks import Head, TaskChoice, heads
from spikewright.text import steps_to_show

RASTER = 1024
"""Timesteps of which single spikes are shown, the first of a run."""


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
    explain: bool = True,
    allow_overlap: bool = False,
    early_exit: EarlyExit | None = None,
    checkpoint: Checkpoint | None = None,
    stage_name: str = "simulating",
    cluster: ClusterChoice = None,
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
        explain: whether to find out why the answers of a conversion are not those of its trained network: what that
            scores rounded to as many levels, and what the errors of each population come from.
        allow_overlap: whether to measure on samples that were calibrated on, more of them than may be by nature.
        early_exit: when a sample would be stopped, as ``choose_exit`` gives it: what that would give is measured too.
        checkpoint: where what was counted is kept, so that an interrupted measurement can go on: see ``Checkpoint``.
        stage_name: what it is called there.
        cluster: workers that share the simulation: see ``simulate``.
        keywords: encoder, batch_size, engine, device, dtype, seed, first_sample, dt, readout_from, step, events_to,
            force, keep_outputs: see ``simulate``.

    Raises:
        SpikewrightError: as ``simulate``; DataError for labels that do not fit the task, and for samples that were
            calibrated on, before anything is simulated.

    Warns:
        SpikewrightWarning: each of ``Measures.warnings``, and what is odd about the labels.
    """
    dataset = as_dataset(data, spiking_graph(graph).inputs)
    constants = energy or Energy()
    without_outputs = {} if isinstance(record, Record) else {"keep_outputs": False}
    chosen, wanted = given_settings(settings, timesteps, record, {**without_outputs, **keywords})
    overlapping = frames_in(dataset)
    prepared = on_events(graph, dataset, chosen, said=timesteps is not TIMESTEPS)
    given, dataset, chosen = spiking_graph(graph), prepared.data, prepared.settings
    conversion = prepared.network if isinstance(prepared.network, Conversion) else None
    graph = spiking_graph(prepared.network)
    explain = explain and not isinstance(dataset, EventDataset)  # of values that are the same at every timestep
    remembered = None if conversion is None else conversion.tasks or None
    asked = heads(graph, dataset.targets, remembered if task is None else task)
    overlap = _overlap(conversion, early_exit, overlapping)
    if overlap is not None:
        check_overlap(overlap, allow_overlap)
    encoder, timesteps = chosen.chosen_encoder.fitted(graph), chosen.timesteps
    steps = steps_to_show(timesteps)
    exits, first = early_exit is not None, first_sample(chosen, dataset)
    watching = Watching(conversion, graph, encoder, chosen, asked, len(dataset), first, exits=exits)
    if exits:
        check_margins(len(dataset), timesteps)
    recording = wanted.fitted(graph, timesteps).also("nonzero", graph)
    stage = None if checkpoint is None else _stage(checkpoint, stage_name, prepared, wanted, asked, early_exit)
    if cluster is None:
        run = run_over(graph, dataset, chosen, wanted, recording, (watching,), progress, stage)
    else:
        bare = {name: replace(head, targets=None) for name, head in asked.items()}
        labels = {name: head.targets for name, head in asked.items() if head.targets is not None}
        watch = WatchingParts(conversion, bare, len(dataset), exits)
        shared = Simulated(graph, chosen, wanted, ("nonzero",), watch)
        with cluster_of(cluster) as workers:
            run = run_on(workers, shared, dataset, wanted, labels, watching, progress, stage)
    rates = Rates.of(given, run, watching.sums, dataset, chosen)
    raster, over_time = _raster(graph, dataset.take(1), chosen)
    frames = dataset.mean_frames if isinstance(dataset, EventDataset) else 1.0
    measures = _measures(graph, conversion, run, watching, constants, raster, encoder, rates, frames)
    measures = replace(measures, rate_over_time=over_time)
    if watching.margins is not None and early_exit is not None:
        targets = next(iter(asked.values())).targets
        measures = replace(measures, early_exit=watching.margins.measure(early_exit, targets))
    if conversion is not None and overlap is not None:
        measures = replace(measures, protocol=_protocol(measures, conversion, chosen, overlap, explain))
        if not overlap.natural:
            measures = replace(measures, warnings=(str(overlap), *measures.warnings))
        if explain:
            measures = _explained(measures, conversion, dataset, chosen, asked, steps)
        name = file_name(type(chosen.chosen_encoder))
        remarks = far_from_tuned(conversion.corrections, timesteps, name)
        measures = replace(measures, warnings=(*measures.warnings, *remarks))
    if not quiet:
        warn([*measures.warnings, *(head.remark for head in measures.heads.values() if head.remark is not None)])
    return measures


def _overlap(conversion: Conversion | None, early_exit: EarlyExit | None, data: Dataset) -> Overlap | None:
    """How many samples the network was calibrated on, or the margin of an early exit was chosen on; None where there is
    nothing that they could have been used for."""
    calibrated = None if conversion is None else conversion.calibration.seen
    margin = None if early_exit is None else early_exit.seen
    if margin is None or not len(margin):
        return None if calibrated is None else overlap_of(calibrated, data)
    both = overlap_of(margin if calibrated is None else np.concatenate([calibrated, margin]), data)
    unknown = calibrated is not None and not len(calibrated)  # of the network nobody knows
    return replace(both, known=False) if unknown and not both.shared else both


def _stage(
    checkpoint: Checkpoint,
    name: str,
    prepared: Prepared,
    record: Record,
    asked: Mapping[str, Head],
    early_exit: EarlyExit | None,
) -> Stage:
    """Where a simulation is kept, and gone on from if it was this one.

    Raises:
        SettingsError: as ``Checkpoint.stage``.
    """
    network, settings = prepared.network, prepared.settings
    key = network.key if isinstance(network, Conversion) else network.fingerprint
    recorded = replace(record, folder=None, force=False)  # events may go to another folder than was said before
    told = {"run": settings, "record": recorded, "events": record.folder is not None, "early exit": early_exit}
    tasks = {label: (str(head.task), head.targets is not None) for label, head in asked.items()}
    return checkpoint.stage(name, fingerprint_of_run(key, prepared.data.fingerprint, tasks=tasks, **told))


def _protocol(
    measures: Measures, conversion: Conversion, settings: RunSettings, overlap: Overlap, explain: bool
) -> Protocol:
    """How a measurement came about."""
    facts = conversion.calibration
    selected = [*map(str, conversion.corrections), *(["the margin of the early exit"] if measures.early_exit else [])]
    seeds = _seeds(conversion, settings, explain)
    return Protocol(str(replace(facts, chosen="")), tuple(selected), overlap, seeds, facts.chosen)


def _explained(
    measures: Measures,
    conversion: Conversion,
    dataset: Dataset,
    settings: RunSettings,
    asked: Mapping[str, Head],
    steps: Sequence[int],
) -> Measures:
    """The same with why the answers are not those of the trained network."""
    scores = quantised_scores(conversion, dataset, steps, asked, measures.heads, settings)
    judged = {name: replace(head, quantised=scores[name]) for name, head in measures.heads.items()}
    errors = split_errors(conversion, dataset, settings, steps)
    return replace(measures, heads=judged, errors=errors, had=Had.of(conversion, settings.readout_from))


def _seeds(conversion: Conversion, settings: RunSettings, explain: bool) -> dict[str, int]:
    """The seeds of all that was drawn, as far as they are known, by what it was drawn for."""
    found = drawn_seeds(conversion)
    drawn = getattr(settings.chosen_encoder, "seed", None)
    found |= {"encoder": drawn} if isinstance(drawn, int) else {}
    found["intervals"] = SEED
    return {**found, "samples and neurons that reasons come from": SPLIT_SEED} if explain else found


def _measures(
    graph: Graph,
    conversion: Conversion | None,
    run: Run,
    watching: Watching,
    energy: Energy,
    raster: dict[str, Array],
    encoder: Encoder,
    rates: Rates,
    frames: float = 1.0,
) -> Measures:
    correlations = {} if watching.correlation is None else watching.correlation.results()
    firing = firing_rates(run)
    layers, judged = work_of(graph, run, encoder).synops, watching.scoring.results()
    others = watching.found.results(run)
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
        energy_spiking=energy.spiking(layers, run.mean_steps),
        energy_analog=None if conversion is None else frames * energy.analog(conversion.reference),
        energy=energy,
        rates=rates,
        run=run,
        raster=raster,
        others=others,
        warnings=(*run.warnings, *watching.found.warnings, *near_chance(judged, run.samples)),
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


def _raster(
    graph: Graph, first: Dataset, settings: RunSettings, neurons: int = 40
) -> tuple[dict[str, Array], dict[str, Array]]:
    """The spikes of some neurons of each population, spread evenly over those that fired, and the rate of all of them
    in each timestep.

    Args:
        graph: the spiking graph.
        first: the sample.
        settings: how it runs; of a long run the first ``RASTER`` timesteps are shown.
        neurons: how many of each population.
    """
    steps = min(settings.timesteps, RASTER)
    if schedule_of(graph) == "free":  # what is sent at first does not depend on how long the run is
        settings = replace(settings, timesteps=steps, readout_from=0)
    record = Record("spikes", steps="all" if steps == settings.timesteps else f"0:{steps}", outputs=False)
    run = run_over(graph, first, settings, record, record.fitted(graph, settings.timesteps))
    found, over_time = {}, {}
    for name, train in run.spikes.items():
        flat = train[0].reshape(len(train[0]), -1)
        over_time[name] = np.abs(flat).mean(axis=1)
        active = np.flatnonzero(flat.any(axis=0))
        if len(active):
            active = active[np.linspace(0, len(active) - 1, min(neurons, len(active)), dtype=int)]
        found[name] = flat[:, active]
    return found, over_time
