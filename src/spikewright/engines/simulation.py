"""Simulate a whole data set, batch by batch, with the answer at every timestep."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spikewright.data import Targets, as_dataset
from spikewright.data.labels import joined
from spikewright.encoders import Encoder
from spikewright.encoders import encoder as named_encoder
from spikewright.engines.choose import Engine, choose_engine
from spikewright.engines.reference import RECORDS, BatchRun
from spikewright.engines.remarks import RunWatcher
from spikewright.errors import DataError, GraphError, SettingsError, warn
from spikewright.events import Events, events_folder
from spikewright.forward import tensors_on
from spikewright.graph import Array, Graph, Shape
from spikewright.nodes import Output, ReLU
from spikewright.settings import check_choices, whole

if TYPE_CHECKING:
    from torch import Tensor

Observer = Callable[["Tensor", BatchRun], None]
"""Sees each batch of samples and what it did, before it is forgotten."""


@dataclass(frozen=True, eq=False)
class Run:
    """What a simulation of N samples over T timesteps gave.

    Attributes:
        outputs: by output node, ``(N, T, *shape)``: the answer at every timestep; empty where they were not kept.
        labels: as the data set has them: ``(N, ...)``, by the names of outputs a mapping of such, or None.
        counts: by population, its shape: spikes per neuron, summed over samples and timesteps.
        samples: N.
        timesteps: T.
        spikes: by population, ``(N, T, *shape)``, where recorded.
        events: by population, its spikes one by one, where recorded.
        potentials: by population, ``(N, T, *shape)``, where recorded.
        nonzero: by weighted node, its input's shape: steps in which the value was not zero, summed over samples;
            by Input, of its own values.
        graded: the nodes of ``nonzero`` that received other values than −1, 0 and 1.
        engine: the engine that made it: "event", "event, int16", "cuda" or "reference".
        warnings: what is odd about it, a sentence each.
    """

    outputs: Mapping[str, Array]
    labels: Targets | None
    counts: Mapping[str, NDArray[np.float64]]
    samples: int
    timesteps: int
    spikes: Mapping[str, Array] = field(default_factory=dict)
    events: Mapping[str, Events] = field(default_factory=dict)
    potentials: Mapping[str, Array] = field(default_factory=dict)
    nonzero: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    graded: frozenset[str] = frozenset()
    engine: str = "reference"
    warnings: tuple[str, ...] = ()

    @property
    def output(self) -> Array:
        """The answers of the first output, ``(N, T, *shape)``."""
        if not self.outputs:
            raise SettingsError("this run kept no outputs; simulate with keep_outputs=True")
        return next(iter(self.outputs.values()))


def simulate(
    graph: Graph,
    data: Any,
    timesteps: int = 64,
    *,
    encoder: Encoder | str = "constant",
    record: Collection[str] = (),
    batch_size: int = 100,
    engine: Engine = "auto",
    device: str = "cpu",
    dtype: str = "float32",
    observers: Collection[Observer] = (),
    progress: Callable[[int, int], None] | None = None,
    events_to: Path | str | None = None,
    force: bool = False,
    keep_outputs: bool = True,
    quiet: bool = False,
) -> Run:
    """Run a spiking graph over a data set.

    Args:
        graph: a spiking graph, as ``convert`` makes it.
        data: a Dataset, an array ``(N, *shape)``, for several inputs a mapping of them by name, or a pair of such
            samples and labels ``(N, ...)``.
        timesteps: T, at least 1.
        encoder: an encoder or its name.
        record: any of "spikes" (dense), "events" (the same one by one), "potentials" and "nonzero"; nothing by default,
            since trains grow with N·T.
        batch_size: samples that run side by side; changes nothing but speed and memory.
        engine: "event" (on a CPU), "cuda" (on a GPU), "reference", or "auto": the device's fast one wherever that can
            run what is asked for.
        device: a torch device: "cpu", "cuda".
        dtype: "float32"; "float64" (reference engine); or "int16" (event engine): weights and potentials in 16-bit
            fixed point where a layer allows it, which is faster, and exact only where 16 bits hold every weight.
        observers: called with each batch of samples and its BatchRun.
        progress: called with (samples done, samples in all).
        events_to: a folder, new or empty, where the spikes of every population are written one by one, batch after
            batch, so that memory does not grow with N; ``load_events`` reads it. It is there once all of it is.
        force: whether ``events_to`` may replace the events of an earlier run.
        keep_outputs: whether ``Run.outputs`` holds the answers; without, memory does not grow with N·T, and observers
            see them batch by batch all the same.
        quiet: whether what is odd stands in ``Run.warnings`` only.

    Raises:
        SettingsError: for timesteps below 1, an unknown encoder, record or engine, or what the engine that was asked
            for cannot run.
        GraphError: for a graph that still holds a ReLU, or has no Output.
        DataError: for an empty data set or samples that do not fit the network.
        StorageError: where events cannot be written, or something stands that is not replaced.

    Warns:
        SpikewrightWarning: each of ``Run.warnings``.
    """
    import torch

    timesteps, batch_size = whole("timesteps", timesteps), whole("batch_size", batch_size)
    check_choices(engine=(engine, Engine), dtype=(dtype, str), device=(str(device), str), force=(force, bool))
    record = (record,) if isinstance(record, str) else record
    if not all(isinstance(name, str) for name in record):
        raise SettingsError(f"record takes names: {', '.join(RECORDS)}")
    unknown = sorted(set(record) - set(RECORDS))
    if unknown:
        raise SettingsError(f"cannot record '{unknown[0]}'; choose from {', '.join(RECORDS)}")
    chosen = (encoder if isinstance(encoder, Encoder) else named_encoder(encoder)).fitted(graph)
    dataset = as_dataset(data, graph.inputs)
    _check_spiking(graph)
    _check_shape(graph, chosen.sample_shape(dataset.shape))
    wanted = record if events_to is None else {*record, "events"}
    simulation = choose_engine(graph, chosen, wanted, engine, device, dtype)
    like = tensors_on(device, "float32" if dtype == "int16" else dtype)(np.zeros(0))
    gathered, watcher = _Gathered(simulation.name), RunWatcher(graph, chosen)
    done = 0
    with ExitStack() as stack:
        if events_to is not None:
            observers = [*observers, stack.enter_context(events_folder(events_to, graph, timesteps, force))]
        for x, y in dataset.batches(batch_size):
            batch = torch.from_numpy(np.ascontiguousarray(x)).to(like)
            run = simulation.run(batch, timesteps, chosen, wanted, first=done)
            _check_finite(run)
            watcher(batch, run)
            for observe in observers:
                observe(batch, run)
            if "events" not in record:
                run.events.clear()  # they are on disk
            if not keep_outputs:
                run.outputs.clear()
            gathered.add(run, y)
            done += len(x)
            if progress is not None:
                progress(done, len(dataset))
        if not done:
            raise DataError("the data set is empty: there is nothing to simulate")
    remarks = watcher.remarks(gathered.counts, timesteps)
    if not quiet:
        warn(remarks)
    return gathered.run(done, timesteps, remarks)


def _check_finite(run: BatchRun) -> None:
    for name, value in run.outputs.items():
        if not value.isfinite().all():
            raise GraphError(f"output '{name}': the answers overflow; check the network's weights and the data")


def _check_spiking(graph: Graph) -> None:
    for relu in graph.of_type(ReLU):
        raise GraphError(f"{relu}: has no spikes; convert the graph before simulating it")
    if not graph.of_type(Output):
        raise GraphError("the graph has no Output, so there is nothing to read; add one after its last node")


def _check_shape(graph: Graph, shape: Shape) -> None:
    if graph.sample_shape != shape:
        raise DataError(
            f"the network takes samples of shape {graph.sample_shape}, the data has {shape} (channels first)"
        )


class _Gathered:
    """Batches put together: outputs side by side, everything that would grow with N summed up."""

    def __init__(self, engine: str) -> None:
        self.engine = engine
        self.outputs: dict[str, list[Array]] = {}
        self.spikes: dict[str, list[Array]] = {}
        self.events: dict[str, list[Events]] = {}
        self.potentials: dict[str, list[Array]] = {}
        self.counts: dict[str, NDArray[np.float64]] = {}
        self.nonzero: dict[str, NDArray[np.float64]] = {}
        self.graded: set[str] = set()
        self.labels: list[Targets] = []

    def add(self, run: BatchRun, labels: Targets | None) -> None:
        for kept, new in ((self.outputs, run.outputs), (self.spikes, run.spikes), (self.potentials, run.potentials)):
            for name, value in new.items():
                kept.setdefault(name, []).append(value.cpu().numpy())
        for name, events in run.events.items():
            self.events.setdefault(name, []).append(events)
        for summed, new in ((self.counts, run.counts), (self.nonzero, run.nonzero)):
            for name, value in new.items():
                total = _total(value)
                summed[name] = summed[name] + total if name in summed else total
        self.graded |= run.graded
        if labels is not None:
            self.labels.append(labels)

    def run(self, samples: int, timesteps: int, warnings: tuple[str, ...]) -> Run:
        return Run(
            outputs={name: _joined(parts) for name, parts in self.outputs.items()},
            labels=joined(self.labels),
            counts=self.counts,
            samples=samples,
            timesteps=timesteps,
            spikes={name: _joined(parts) for name, parts in self.spikes.items()},
            events={name: Events.joined(parts[0].shape, parts) for name, parts in self.events.items()},
            potentials={name: _joined(parts) for name, parts in self.potentials.items()},
            nonzero=self.nonzero,
            graded=frozenset(self.graded),
            engine=self.engine,
            warnings=warnings,
        )


def _total(value: Tensor) -> NDArray[np.float64]:
    """The sum over samples, a few of them at a time: a batch in double precision would be large."""
    few = max(1, 2**22 // value[0].numel())
    total = value[:few].double().sum(dim=0)
    for first in range(few, len(value), few):
        total += value[first : first + few].double().sum(dim=0)
    return total.cpu().numpy()


def _joined(parts: list[Array]) -> Array:
    """Batches as one array; each is let go as soon as it is copied."""
    if len(parts) == 1:
        return parts[0]
    whole = np.empty((sum(len(part) for part in parts), *parts[0].shape[1:]), parts[0].dtype)
    first = 0
    while parts:
        part = parts.pop(0)
        whole[first : first + len(part)] = part
        first += len(part)
    return whole
