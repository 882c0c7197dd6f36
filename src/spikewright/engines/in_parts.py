"""A simulation cut into parts that run on the workers of a cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any, Protocol

import numpy as np

from spikewright.cluster import Cluster, each_part
from spikewright.data import Dataset
from spikewright.engines.memory import side_by_side
from spikewright.engines.recording import Record
from spikewright.engines.run import Run
from spikewright.engines.settings import RunSettings
from spikewright.engines.simulation import Counting, first_sample, folder_of, gone_on, run_over
from spikewright.errors import DataError
from spikewright.events import Events, EventWriter
from spikewright.graph import Graph
from spikewright.parts import Part, Stage, cut


class Watch(Protocol):
    """Makes what looks at the parts of a run; a value that can be sent."""

    def made(self, graph: Graph, settings: RunSettings, batch: int, labels: Mapping[str, Any]) -> Counting:
        """The observer of a part whose first batch has such a number, and whose samples have such labels."""


@dataclass(frozen=True)
class Simulated:
    """What all parts of a simulation share.

    Attributes:
        graph: a spiking graph.
        settings: how it runs, with the place of the first sample of the whole run.
        record: what is recorded, nothing of it to a folder.
        also: what is recorded of all nodes that have it, beside.
        watch: makes what looks at each part.
    """

    graph: Graph
    settings: RunSettings
    record: Record
    also: tuple[str, ...] = ()
    watch: Watch | None = None


def simulated_part(task: Simulated, data: Dataset, start: int, labels: Mapping[str, Any]) -> tuple[Run, Any]:
    """Run a part on a worker.

    Args:
        task: what all parts share.
        data: the samples of the part.
        start: the place of the first one in the whole run.
        labels: of these samples, by output, for what looks at them.

    Returns:
        its run, and what the observer has counted.
    """
    settings = replace(task.settings, first_sample=(task.settings.first_sample or 0) + start)
    size = side_by_side(settings.batch_size, settings.timesteps)
    recording = task.record.fitted(task.graph, settings.timesteps)
    for kind in task.also:
        recording = recording.also(kind, task.graph)
    seen = None if task.watch is None else task.watch.made(task.graph, settings, start // size, labels)
    run = run_over(task.graph, data, settings, task.record, recording, () if seen is None else (seen,))
    return replace(run, warnings=()), None if seen is None else seen.counted()


def run_on(
    cluster: Cluster,
    task: Simulated,
    dataset: Dataset,
    record: Record,
    labels: Mapping[str, Any] | None = None,
    observer: Counting | None = None,
    progress: Callable[[int, int], None] | None = None,
    stage: Stage | None = None,
) -> Run:
    """``run_over`` on the workers of a cluster: the same numbers, bit for bit.

    Args:
        cluster: the workers.
        task: what runs.
        dataset: laid out for it.
        record: what is to be recorded; events may go to a folder, which is written here.
        labels: of all samples, by output, for what looks at the parts.
        observer: takes in what these have counted.
        progress: called with (samples done, samples in all).
        stage: where what was counted is kept now and then, and gone on from.

    Raises:
        SpikewrightError: as ``simulate``; ClusterError for a cluster that is gone.
    """
    settings, samples = task.settings, len(dataset)
    if not samples:
        raise DataError("the data set is empty: there is nothing to simulate")
    first = first_sample(settings, dataset)
    to_folder = record.folder is not None
    sent = replace(record, folder=None, what=tuple(dict.fromkeys([*record.what, *(["events"] if to_folder else [])])))
    task = replace(task, settings=replace(settings, first_sample=first), record=sent)
    size = side_by_side(settings.batch_size, settings.timesteps)
    counting = [] if observer is None else [observer]
    joiner = gone_on(stage, counting)
    parts = cut(samples, size, start=joiner.samples)

    def labelled(part: Part) -> tuple[dict[str, Any]]:
        return ({name: rows[part.start : part.stop] for name, rows in (labels or {}).items()},)

    found = each_part(cluster, simulated_part, task, dataset, parts, size, labelled, progress)
    with _written(task, record, dataset, stage) as write:

        def state() -> Any:
            return joiner, [one.counted() for one in counting], write and write.set_aside()

        for part, (run, counted) in zip(parts, found, strict=True):
            if write is not None:
                _write(write, run, len(part), size, first + part.start)
                run = run if "events" in record.what else replace(run, events={})
            joiner.add(run)
            for one in counting:
                one.merge(counted)
            if stage is not None:
                stage.keep(state, joiner.samples, samples, now=joiner.samples == samples)
    return joiner.run()


@contextmanager
def _written(task: Simulated, record: Record, dataset: Dataset, stage: Stage | None) -> Iterator[EventWriter | None]:
    """What writes events to the folder of a record; None where there is none."""
    if record.folder is None:
        yield None
        return
    recording = record.fitted(task.graph, task.settings.timesteps)
    with folder_of(record, recording, task.graph, task.settings, dataset, stage) as folder:
        yield folder


def _write(writer: EventWriter, run: Run, samples: int, size: int, first: int) -> None:
    """Write the events of a part batch by batch, as one process would."""
    for start in range(0, samples, size):
        stop = min(start + size, samples)
        some = {}
        for name, events in run.events.items():
            low, high = np.searchsorted(events.sample, (first + start, first + stop))
            some[name] = Events(
                events.shape,
                events.sample[low:high],
                events.timestep[low:high],
                events.neuron[low:high],
                events.value[low:high],
            )
        writer(range(start, stop), SimpleNamespace(events=some))
