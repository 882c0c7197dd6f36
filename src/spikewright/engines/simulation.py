"""Simulate a whole data set, batch by batch, with the answer at every timestep."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol, Unpack, cast

import numpy as np

from spikewright.cluster import ClusterChoice, cluster_of
from spikewright.conversion import Conversion, spiking_graph
from spikewright.conversion.tuned import far_from_tuned
from spikewright.data import Dataset, as_dataset
from spikewright.encoders import Encoder
from spikewright.engines.choose import choose_engine
from spikewright.engines.memory import check_answers, check_kept, side_by_side
from spikewright.engines.on_events import on_events
from spikewright.engines.readout import WindowReadout
from spikewright.engines.recording import Record, Recording
from spikewright.engines.reference import BatchRun
from spikewright.engines.remarks import RunWatcher
from spikewright.engines.run import Run, RunJoiner
from spikewright.engines.settings import TIMESTEPS, RunKeywords, RunSettings, given_settings
from spikewright.engines.windows import latency_of
from spikewright.errors import DataError, GraphError, SettingsError, warn
from spikewright.events import events_folder
from spikewright.forward import tensors_on
from spikewright.graph import Graph, Shape
from spikewright.nodes import Output, ReLU
from spikewright.parts import Stage
from spikewright.recordings import events_in
from spikewright.registry import file_name

if TYPE_CHECKING:
    from torch import Tensor

Observer = Callable[["Tensor", BatchRun], None]
"""Sees each batch of samples and what it did, before it is forgotten."""


class Counting(Protocol):
    """An observer whose counts can be kept and put together."""

    def __call__(self, x: Tensor, run: BatchRun, /) -> None:
        """See a batch."""

    def counted(self) -> Any:
        """What was counted so far: what ``to_plain`` takes."""

    def merge(self, counted: Any) -> None:
        """Take in what another one of the kind has counted of the samples that follow."""


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
        from spikewright.engines.in_parts import Simulated, run_on

        if observers:
            raise SettingsError("observers see batches, and a cluster has these on other machines: leave one of both")
        with cluster_of(cluster) as workers:
            run = run_on(workers, Simulated(graph, chosen, wanted), dataset, wanted, progress=progress)
    far = far_from_tuned(corrections, chosen.timesteps, file_name(type(chosen.chosen_encoder)))
    run = replace(run, warnings=(*run.warnings, *far)) if far else run
    if not quiet:
        warn(run.warnings)
    return run


def run_over(
    graph: Graph,
    dataset: Dataset,
    settings: RunSettings,
    record: Record,
    recording: Recording,
    observers: Collection[Observer] = (),
    progress: Callable[[int, int], None] | None = None,
    stage: Stage | None = None,
) -> Run:
    """``simulate`` from values alone, without a word about what is odd.

    Args:
        graph: a spiking graph.
        dataset: laid out for it.
        settings: how it runs.
        record: what to record.
        recording: the same for this network, and what whoever calls needs beside.
        observers: as for ``simulate``.
        progress: as for ``simulate``.
        stage: where what was counted is kept now and then, and gone on from; observers are ``Counting`` ones then.

    Raises:
        SpikewrightError: as ``simulate``.
    """
    import torch

    _check_spiking(graph)
    timesteps, dt = settings.timesteps, settings.seconds(graph)
    encoder = settings.chosen_encoder.fitted(graph)
    check_shape(graph, encoder, dataset.shape)
    size = side_by_side(settings.batch_size, timesteps)
    check_kept(graph, record, recording, dataset.length or size)
    check_answers(graph, min(size, dataset.length or size), timesteps)
    first = first_sample(settings, dataset)
    readout = WindowReadout(graph, settings.readout_from, timesteps)
    simulation, reason = choose_engine(readout.graph, encoder, recording, settings)
    like = tensors_on(settings.device, "float32" if settings.dtype == "int16" else settings.dtype)(np.zeros(0))
    recording = replace(recording, summed=not observers)  # nobody looks at single samples
    joiner, watcher = RunJoiner(), RunWatcher(graph, encoder)
    counting = [cast(Counting, one) for one in observers] if stage is not None else []
    if stage is not None and stage.state is not None:
        joiner, counted = stage.state
        for observer, one in zip(counting, counted, strict=True):
            observer.merge(one)
    windows = latency_of(graph, 1)
    with ExitStack() as stack:
        stack.enter_context(torch.no_grad())  # a run is numbers; for gradients call Simulation.run
        if record.folder is not None:
            populations = [node.name for node in graph.populations if recording.has("events", node.name)]
            shapes = {name: graph.shapes[name] for name in populations}
            folder = events_folder(record.folder, graph.fingerprint, shapes, timesteps, record.force, first)
            observers = [*observers, stack.enter_context(folder)]
        rest = dataset if not joiner.samples else dataset.between(joiner.samples, len(dataset))
        for x, y in rest.batches(size):
            events = events_in(x)
            values: Any = torch.from_numpy(np.ascontiguousarray(x)) if events is None else events
            batch = values.to(like)
            at = first + joiner.samples
            done = simulation.run(batch, timesteps, encoder, recording, first=at)
            readout.read(done)
            _check_finite(done)
            observations = watcher.observe(batch, done)
            for observe in observers:
                observe(batch, done)
            if "events" not in record.what:
                done.events.clear()  # they are on disk
            if not record.outputs:
                done.outputs.clear()
            joiner.add(
                Run.of_batch(
                    done,
                    y,
                    timesteps=timesteps,
                    steps=recording.steps,
                    first_sample=at,
                    engine=simulation.name,
                    engine_reason=reason,
                    dt=dt,
                    observations=observations,
                    windows=windows,
                    total_steps=0 if events is None else int(events.steps_each.sum()),
                )
            )
            if progress is not None:
                progress(joiner.samples, dataset.length or 0)
            if stage is not None:
                stage.keep(lambda: (joiner, [one.counted() for one in counting]), joiner.samples, dataset.length or 0)
        if stage is not None and stage.done < joiner.samples:
            stage.keep(lambda: (joiner, [one.counted() for one in counting]), joiner.samples, joiner.samples, now=True)
        if not joiner.samples:
            raise DataError("the data set is empty: there is nothing to simulate")
    return joiner.run()


def first_sample(settings: RunSettings, dataset: Dataset) -> int:
    """The place of a data set's first sample in the whole: as the settings say, else as the data set does."""
    return dataset.first_sample if settings.first_sample is None else settings.first_sample


def _check_finite(run: BatchRun) -> None:
    for name, value in run.outputs.items():
        if not value.isfinite().all():
            raise GraphError(f"output '{name}': the answers overflow; check the network's weights and the data")


def _check_spiking(graph: Graph) -> None:
    for relu in graph.of_type(ReLU):
        raise GraphError(f"{relu}: has no spikes; convert the graph before simulating it")
    if not graph.of_type(Output):
        raise GraphError("the graph has no Output, so there is nothing to read; add one after its last node")


def check_shape(graph: Graph, encoder: Encoder, shape: Shape) -> None:
    """Refuse samples that a network does not take by way of an encoder.

    Args:
        graph: the network.
        encoder: of the run.
        shape: of one sample.

    Raises:
        DataError: saying what is taken.
    """
    if graph.sample_shape != encoder.sample_shape(shape):
        raise DataError(
            f"the network takes {encoder.wanted(graph.sample_shape)}, the data has {shape} (channels first)"
        )
