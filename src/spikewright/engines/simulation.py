"""Simulate a whole data set, batch by batch, with the answer at every timestep."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np

from spikewright.data import Dataset
from spikewright.encoders import Encoder
from spikewright.engines.choose import choose_engine
from spikewright.engines.memory import check_answers, check_kept, side_by_side
from spikewright.engines.readout import WindowReadout
from spikewright.engines.recording import Record, Recording
from spikewright.engines.reference import BatchRun
from spikewright.engines.remarks import RunWatcher
from spikewright.engines.run import Run, RunJoiner
from spikewright.engines.settings import RunSettings
from spikewright.engines.windows import latency_of
from spikewright.errors import DataError, GraphError
from spikewright.events import DamagedPiece, EventWriter, check_pieces, events_folder
from spikewright.forward import tensors_on
from spikewright.graph import Graph, Shape
from spikewright.nodes import Output, ReLU
from spikewright.parts import Stage
from spikewright.provenance import Provenance
from spikewright.recordings import events_in

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
    simulation, reason, weight_error = choose_engine(readout.graph, encoder, recording, settings)
    like = tensors_on(settings.device, settings.float_dtype)(np.zeros(0))
    recording = replace(recording, summed=not observers)  # nobody looks at single samples
    counting = [cast(Counting, one) for one in observers] if stage is not None else []
    joiner, watcher = gone_on(stage, counting), RunWatcher(graph, encoder)
    writer: EventWriter | None = None
    windows = latency_of(graph, 1)
    with ExitStack() as stack:
        stack.enter_context(torch.no_grad())  # a run is numbers; for gradients call Simulation.run
        if record.folder is not None:
            writer = stack.enter_context(folder_of(record, recording, graph, settings, dataset, stage))
            observers = [*observers, writer]
        state = lambda: (joiner, [one.counted() for one in counting], writer and writer.set_aside())  # noqa: E731
        rest = dataset if not joiner.samples else dataset.between(joiner.samples, len(dataset))
        for x, y in rest.batches(size):
            events = events_in(x)
            values: Any = torch.from_numpy(np.ascontiguousarray(x)) if events is None else events
            batch = values.to(like)
            at = first + joiner.samples
            done = simulation.run(batch, timesteps, encoder, recording, first=at)
            readout.read(done)
            _check_finite(done)
            observations = watcher.observe(values, done)
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
                    weight_error=weight_error,
                    dt=dt,
                    observations=observations,
                    windows=windows,
                    total_steps=0 if events is None else int(events.steps_each.sum()),
                )
            )
            if progress is not None:
                progress(joiner.samples, dataset.length or 0)
            if stage is not None:
                stage.keep(state, joiner.samples, dataset.length or 0)
        if stage is not None and stage.done < joiner.samples:
            stage.keep(state, joiner.samples, joiner.samples, now=True)
        if not joiner.samples:
            raise DataError("the data set is empty: there is nothing to simulate")
    return joiner.run()


def gone_on(stage: Stage | None, counting: Sequence[Counting]) -> RunJoiner:
    """The run so far that a stage has kept, empty where it has none; observers take in what theirs have counted."""
    if stage is None or stage.state is None:
        return RunJoiner()
    joiner, counted, _ = stage.state
    for observer, one in zip(counting, counted, strict=True):
        observer.merge(one)
    return cast(RunJoiner, joiner)


@contextmanager
def folder_of(
    record: Record,
    recording: Recording,
    graph: Graph,
    settings: RunSettings,
    dataset: Dataset,
    stage: Stage | None = None,
) -> Iterator[EventWriter]:
    """What writes the events of the populations that are recorded to the folder of a record, and goes on from those
    that a stage has kept; where these are damaged, nothing of the stage is of use."""
    assert record.folder is not None
    first = first_sample(settings, dataset)
    shapes = {node.name: graph.shapes[node.name] for node in graph.populations if recording.has("events", node.name)}
    pieces = kept = None
    if stage is not None:
        pieces = stage.path.with_suffix(".events")
        kept = None if stage.state is None else stage.state[2]
    made = lambda: made_by(graph, settings, dataset)  # noqa: E731
    how = (settings.timesteps, record.force, first, pieces, kept, made)
    try:
        if pieces is not None and kept is not None:
            check_pieces(pieces, kept, shapes)
        with events_folder(record.folder, graph.fingerprint, shapes, *how) as writer:
            yield writer
        if stage is not None:
            stage.checkpoint.note_written(record.folder)
    except DamagedPiece:
        if stage is not None:
            stage.checkpoint.refused = True
        raise


def made_by(graph: Graph, settings: RunSettings, dataset: Dataset) -> Provenance:
    """What reproduces a run, once its samples were read: of data whose digests nobody asked for no fingerprint."""
    return Provenance.now(
        network=graph.fingerprint,
        data=dataset.known_fingerprint,
        timesteps=settings.timesteps,
        encoder=str(settings.chosen_encoder),
        first_sample=first_sample(settings, dataset),
        preprocessing=str(dataset.preprocessing),
        engine=settings.engine,
        dtype=settings.dtype,
    )


def first_sample(settings: RunSettings, dataset: Dataset) -> int:
    """The place of a data set's first sample in the whole: as the settings say, else as the data set does."""
    return dataset.first_sample if settings.first_sample is None else settings.first_sample


def _check_finite(run: BatchRun) -> None:
    for name, value in run.outputs.items():
        if not np.isfinite(value.numpy(force=True)).all():  # of few values: numpy is quicker than torch
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
