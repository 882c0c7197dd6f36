"""Simulate a spiking network over a data set: what people call."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any, Unpack

from spikewright.cluster import ClusterChoice, cluster_of
from spikewright.conversion import Conversion, spiking_graph
from spikewright.conversion.tuned import far_from_tuned
from spikewright.data import as_dataset
from spikewright.engines.in_parts import Simulated, run_on
from spikewright.engines.on_events import on_events
from spikewright.engines.recording import Record
from spikewright.engines.run import Run
from spikewright.engines.settings import TIMESTEPS, RunKeywords, RunSettings, given_settings
from spikewright.engines.simulation import Observer, run_over
from spikewright.errors import SettingsError, warn
from spikewright.graph import Graph
from spikewright.registry import file_name


def simulate(
    graph: Graph | Conversion,
    data: Any,
    timesteps: int = TIMESTEPS,
    *,
    settings: RunSettings | None = None,
    record: Record | Collection[str] = (),
    observers: Collection[Observer] = (),
    progress: Callable[[int, int], None] | None = None,
    quiet: bool = False,
    cluster: ClusterChoice = None,
    **keywords: Unpack[RunKeywords],
) -> Run:
    """Run a spiking graph over a data set.

    ``simulate(graph, data, timesteps=32, engine="event", record="spikes")`` is short for
    ``simulate(graph, data, settings=RunSettings(timesteps=32, engine="event"), record=Record("spikes"))``.

    Args:
        graph: a conversion, or a spiking graph.
        data: a Dataset, an array ``(N, *shape)``, for several inputs a mapping of them by name, or a pair of such
            samples and labels ``(N, ...)``.
        timesteps: T, at least 1; 64 by default.
        settings: how it runs, in place of ``timesteps`` and the keywords of the same names.
        record: what to record, of which nodes, at which steps, to where; or names: any of "spikes" (dense), "events"
            (the same one by one), "potentials" and "nonzero".
        observers: called with each batch of samples and its BatchRun.
        progress: called with (samples done, samples in all).
        quiet: whether what is odd stands in ``Run.warnings`` only.
        cluster: workers that share the samples, to the same numbers: ``"local:4"``, the address of a Dask scheduler, or
            a ``distributed.Client``; None for none.
        keywords: the fields of ``RunSettings``: encoder, batch_size, engine, device, dtype, seed, first_sample, dt,
            readout_from, step; and those of ``Record``, where ``record`` is names: ``events_to`` (its folder),
            ``force``, and ``keep_outputs`` (its outputs).

    Raises:
        SettingsError: for settings that cannot be, both forms of them at once, nodes or steps that cannot be recorded,
            what the engine that was asked for cannot run, or more to keep than fits in memory.
        GraphError: for a graph that still holds a ReLU, or has no Output.
        DataError: for an empty data set or samples that do not fit the network.
        StorageError: where events cannot be written, or something stands that is not replaced.

    Warns:
        SpikewrightWarning: each of ``Run.warnings``.
    """
    corrections = graph.corrections if isinstance(graph, Conversion) else ()
    chosen, wanted = given_settings(settings, timesteps, record, keywords)
    dataset = as_dataset(data, spiking_graph(graph).inputs)
    prepared = on_events(graph, dataset, chosen, said=timesteps is not TIMESTEPS)
    graph, dataset, chosen = spiking_graph(prepared.network), prepared.data, prepared.settings
    recording = wanted.fitted(graph, chosen.timesteps)
    if cluster is None:
        run = run_over(graph, dataset, chosen, wanted, recording, observers, progress)
    else:
        if observers:
            raise SettingsError("observers see batches, and a cluster has these on other machines: leave one of both")
        with cluster_of(cluster) as workers:
            run = run_on(workers, Simulated(graph, chosen, wanted), dataset, wanted, progress=progress)
    far = far_from_tuned(corrections, chosen.timesteps, file_name(type(chosen.chosen_encoder)))
    run = replace(run, warnings=(*run.warnings, *far)) if far else run
    if not quiet:
        warn(run.warnings)
    return run
