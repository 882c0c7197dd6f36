"""Run the network over the data and gather statistics, in memory that does not grow with the data."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from spikewright.calibration.inputs import InputWatcher, input_scale_text, parse_input_scale
from spikewright.calibration.population import Population, populations
from spikewright.calibration.requests import Counted, InOrder, Quantile, Request
from spikewright.calibration.requests.request import Arrays
from spikewright.calibration.room import MEMORY, checked_memory, share_out
from spikewright.calibration.score import AnalogScoring, StreamScoring, scored_heads
from spikewright.calibration.statistics import NodeStatistics, Statistics
from spikewright.calibration.thresholds import Method, parse_all
from spikewright.data import Dataset, as_dataset
from spikewright.errors import CalibrationError, DataError
from spikewright.forward import Forward, InPlace
from spikewright.graph import Graph, Node
from spikewright.nodes import Output
from spikewright.provenance import history
from spikewright.tasks import TaskChoice

if TYPE_CHECKING:
    from torch import Tensor

Progress = Callable[[int, int], None]


class Calibration:
    """Calibration in steps: passes over the data until nothing needs another one.

    Each pass may be cut into parts that are gathered apart, on other machines too, and merged; the statistics are those
    of the whole data set to the bit. (Torch may round activations otherwise in batches of another size: let each part
    begin at a multiple of the batch size.) ::

        calibration = Calibration(graph, data, methods)
        while calibration.needs_pass:
            parts = [calibration.data.part(k, 4) for k in range(4)]
            firsts = [part.first_sample for part in parts]
            counts = [calibration.counts(first, len(part)) for first, part in zip(firsts, parts)]
            merge_parts(calibration, [gather_part(one, graph, part) for one, part in zip(counts, parts)])
        statistics = calibration.statistics()

    Args:
        graph, data, methods, input_scale, task, requests, one_pass, memory: as for ``calibrate``; the memory is for
            each part that is counted, and for what is merged.

    Attributes:
        data: with its axes as the network has them.
        passes: how many are over.
        merged: what all passes have counted so far.
        in_order: what cannot be counted in parts: ``statistics`` finds it by runs of its own over all data.

    Raises:
        DataError: for an empty data set.
        SettingsError: for a method or input scale that is none.
    """

    def __init__(
        self,
        graph: Graph,
        data: Any,
        methods: Sequence[Method | str] | Method | str = "percentile:99.9",
        *,
        input_scale: Method | str | float = "max",
        task: TaskChoice = None,
        requests: Collection[Request[Any]] = (),
        one_pass: bool = False,
        memory: int = MEMORY,
    ) -> None:
        chosen, self.input_scale = parse_all(methods), parse_input_scale(input_scale)
        self.graph, self.one_pass, self.passes = graph, one_pass, 0
        self.data: Dataset = as_dataset(data, graph.inputs)
        if self.data.length == 0:
            raise DataError("the calibration set is empty; give at least one sample")

        in_order: dict[str, InOrder[Any]] = {}

        def asked(node: Node, layer: int) -> set[Counted[Any]]:
            if not node.inputs:
                found = self.input_scale.requests(0) if isinstance(self.input_scale, Method) else ()
            else:
                found = (*requests, *(request for method in chosen for request in method.requests(layer)))
            in_order.update({request.key: request for request in found if isinstance(request, InOrder)})
            return {request for request in found if isinstance(request, Counted)}

        if self.data.knows_targets:
            heads, self.remarks = scored_heads(graph, self.data.targets, task)
            scoring: AnalogScoring = AnalogScoring(heads, graph.of_type(Output))
        else:
            scoring, self.remarks = StreamScoring(graph, task), ()
        memory = checked_memory(memory)
        watched = populations(graph, asked, one_pass, self.data.length, memory)
        self.merged = Counts(
            {population.name: population for population in watched},
            {name: InputWatcher() for name in graph.inputs},
            scoring,
            self.data.length,
            memory,
        )
        self.in_order = tuple(in_order.values())

    @property
    def needs_pass(self) -> bool:
        """Whether another pass over the data is needed."""
        return self.passes_left > 0

    @property
    def passes_left(self) -> int:
        """How many passes are known to come: at least 1 while one is needed."""
        return max(population.passes_left for population in self.merged.populations.values())

    def forward(self, device: str = "cpu") -> Forward:
        """The network ready to run, with outputs that give what they read: a scale is one of that.

        Raises:
            SettingsError: for a device that is none.
        """
        return Forward(bare(self.graph), device)

    def counts(self, first: int = 0, samples: int | None = None) -> Counts:
        """What is to be counted in this pass of some samples, empty yet; it can be sent to another machine and back.

        Args:
            first: index of the first of these samples in the data set.
            samples: how many; None for all from there on.
        """
        end = None if samples is None else first + samples
        return self.merged.fresh(slice(first, end), with_inputs=not self.passes)

    def merge(self, counts: Counts) -> None:
        """Take in what was counted in this pass of other samples."""
        self.merged.merge(counts)

    def finish_pass(self) -> None:
        """After every sample was counted once in this pass.

        Raises:
            CalibrationError: where more or fewer samples were counted.
        """
        seen = self.merged.samples
        if not seen:
            raise DataError("the calibration set is empty; give at least one sample")
        if seen != len(self.data):
            raise CalibrationError(
                f"{seen:,} samples were counted in this pass, the data set has {len(self.data):,}; "
                "count and merge each once"
            )
        self.passes += 1
        self.merged.finish_pass()

    def statistics(self, device: str = "cpu", progress: Progress | None = None) -> Statistics:
        """What was found.

        Args:
            device: a torch device, for what is found ``in_order``.
            progress: called with (samples done, all samples) of that.

        Raises:
            CalibrationError: while a pass is needed.
        """
        if self.needs_pass:
            raise CalibrationError("calibration needs another pass over the data before it has statistics")
        results = {name: population.result() for name, population in self.merged.populations.items()}
        for name, found in self._found_in_order(device, progress).items():
            results[name] = replace(results[name], results={**results[name].results, **found})
        inputs = self.merged.inputs
        return Statistics(
            nodes={name: found for name, found in results.items() if name not in inputs},
            key=statistics_key(self.graph, self.data),
            samples=len(self.data),
            exact=not self.one_pass,
            inputs={name: watcher.result(_percentiles(results[name])) for name, watcher in inputs.items()},
            input_scale=input_scale_text(self.input_scale),
            scores=self.merged.scoring.results(),
            remarks=self.remarks + self.merged.scoring.remarks,
            provenance=history(
                network=self.graph.fingerprint,
                data=self.data.fingerprint,
                samples=len(self.data),
                preprocessing=str(self.data.preprocessing),
                input_scale=input_scale_text(self.input_scale),
            ),
        )

    def _found_in_order(self, device: str, progress: Progress | None) -> dict[str, dict[str, Arrays]]:
        """What runs of their own found, by name of a node and key of a request."""
        found: dict[str, dict[str, Arrays]] = {}
        before, total = 0, sum(request.samples for request in self.in_order)
        for request in self.in_order:

            def move(done: int, before: int = before) -> None:
                if progress is not None:
                    progress(before + done, total)

            for name, arrays in request.gather(self.forward(device), self.data, move).items():
                found.setdefault(name, {})[request.key] = arrays
            before += request.samples
        return found


class Counts:
    """What one pass counts of some samples: it adds batches and merges.

    Args:
        populations: by name, those that take part in the pass.
        inputs: by name, what is seen of inputs in the first pass; empty in others.
        scoring: of the analog network in the first pass.
        length: of the whole data set; None where nobody knows.
        memory: MiB for the largest values.
    """

    def __init__(
        self,
        populations: dict[str, Population],
        inputs: dict[str, InputWatcher],
        scoring: AnalogScoring,
        length: int | None,
        memory: int,
    ) -> None:
        self.populations, self.inputs, self.scoring = populations, inputs, scoring
        self.length, self.memory, self.samples = length, memory, 0
        self._share_out()

    def fresh(self, samples: slice, with_inputs: bool) -> Counts:
        """One for the same pass that has seen nothing yet."""
        return Counts(
            {name: population.fresh() for name, population in self.populations.items() if population.passes_left},
            {name: InputWatcher() for name in self.inputs} if with_inputs else {},
            self.scoring.fresh(samples) if with_inputs else AnalogScoring({}, ()),
            self.length,
            self.memory,
        )

    def _share_out(self) -> None:
        """Say how many of its largest values each population may keep."""
        to_come = None if self.length is None else max(self.length - self.samples, 0)
        kept = [one for population in self.populations.values() for one in population.largest(to_come)]
        if kept:
            share_out(kept, self.memory)

    def add(self, forward: Forward, data: Dataset, batch_size: int = 256, progress: Progress | None = None) -> None:
        """Run the network over samples and count.

        Args:
            forward: from ``Calibration.forward``.
            data: the samples, in their order.
            batch_size: how many run side by side.
            progress: called with (samples done, all of these).

        Raises:
            DataError: for samples of another shape, or values that are not finite.
        """
        import torch

        threads = torch.get_num_threads()
        score = self.scoring.bound(forward.to_tensor)
        before = self.samples
        with ThreadPoolExecutor(threads) as several:
            watch = self._hooks(several if threads > 1 else None, threads)
            for x, y in data.noting_batches(batch_size):
                score(forward(torch.from_numpy(np.ascontiguousarray(x)), watch), y, len(x))
                self.samples += len(x)
                self._share_out()
                if progress is not None:
                    progress(self.samples - before, data.length or 0)

    def _hooks(self, pool: ThreadPoolExecutor | None, threads: int) -> dict[str, Callable[[Tensor], None]]:
        """What to call with the values of which node."""
        hooks: dict[str, list[Callable[[Tensor], None]]] = {name: [watcher] for name, watcher in self.inputs.items()}
        for population in self.populations.values():
            for name, hook in population.hooks(pool, threads):
                hooks.setdefault(name, []).append(hook)
        return {name: _all_of(some) for name, some in hooks.items()}

    def merge(self, other: Counts) -> None:
        """Take in what another one has counted of other samples in this pass."""
        self.samples += other.samples
        for name, population in other.populations.items():
            self.populations[name].merge(population)
        self._share_out()
        for name, watcher in other.inputs.items():
            self.inputs[name].merge(watcher)
        self.scoring.merge(other.scoring)

    def finish_pass(self) -> None:
        """After a pass over all samples."""
        self.samples = 0
        for population in self.populations.values():
            population.finish_pass()


def bare(graph: Graph) -> Graph:
    """A graph whose outputs give what they read: a scale is one of that."""
    return graph.replaced(*(Output(name=one.name, inputs=one.inputs) for one in graph.of_type(Output)))


def statistics_key(graph: Graph, data: Any) -> str:
    """A fingerprint of a graph's structure and weights and of a data set."""
    data_key = as_dataset(data, graph.inputs).fingerprint
    return hashlib.sha256(f"{graph.fingerprint} {data_key}".encode()).hexdigest()


def _percentiles(found: NodeStatistics) -> dict[str, float]:
    """Those of a whole population, by key."""
    return {key: float(arrays["values"]) for key, arrays in found.results.items() if Quantile.parse(key)}


def _all_of(hooks: Sequence[Callable[[Tensor], None]]) -> Callable[[Tensor], None]:
    if isinstance(hooks[0], InPlace):  # of several one at most: a node's own comes before those of what reads it
        return _InPlaceFirst(hooks[0], hooks[1:])

    def call(x: Tensor) -> None:
        for hook in hooks:
            hook(x)

    return call


@dataclass(frozen=True)
class _InPlaceFirst(InPlace):
    """An ``InPlace`` watcher and others."""

    first: InPlace
    others: Sequence[Callable[[Tensor], None]]

    def __call__(self, value: Tensor) -> None:
        self.first(value)
        for hook in self.others:
            hook(value)

    def overwrite(self, x: Tensor) -> bool:
        done = self.first.overwrite(x)
        for hook in self.others if done else ():
            hook(x)
        return done
