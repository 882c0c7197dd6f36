"""Networks of windows at full speed: every window as one step of an engine that knows nothing of windows."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Protocol

import numpy as np

from spikewright.encoders import Encoder
from spikewright.encoders.constant import Constant
from spikewright.engines.recording import Recording, as_recording
from spikewright.engines.reference import BatchRun
from spikewright.engines.windows.layout import check_windows, schedule_of, telling_nodes
from spikewright.engines.windows.one_step import one_step
from spikewright.engines.windows.stepwise import StepwiseWindows
from spikewright.engines.windows.trains import levels_of, number_of_spikes
from spikewright.graph import Graph
from spikewright.nodes import IF, Output

if TYPE_CHECKING:
    from torch import Tensor


MOST_ENGINES = 256
"""Engines, one for each length of windows, that are kept from batch to batch; each has biases of its own."""


class Engine(Protocol):
    """What runs one step of a graph: see ``choose.Simulator``."""

    @property
    def name(self) -> str:
        """The engine."""
        ...

    def run(
        self, x: Tensor, timesteps: int, encoder: Encoder, record: Collection[str] = (), first: int = 0
    ) -> BatchRun:
        """Run one batch."""
        ...


class WindowSimulation:
    """A spiking graph whose populations exchange window by window, ready to run batch after batch.

    The answers of T lengths of windows take T steps of an engine, a tenth of what as many steps of neurons that run
    free take at most: one length takes one.

    Args:
        graph: a spiking graph of one schedule, "layered" or "few_spike".
        engine: makes the engine of a graph that runs free.
        device, dtype: of what is expanded into the steps of a window, where that is recorded.
    """

    def __init__(
        self, graph: Graph, engine: Callable[[Graph], Engine], device: str = "cpu", dtype: str = "float32"
    ) -> None:
        self.graph, self.engine, self.schedule = graph, engine, schedule_of(graph)
        self.stepwise = StepwiseWindows(graph, device, dtype)
        self.telling = telling_nodes(graph)
        self.engines: dict[int, Engine] = {}
        self.name = self._of(1).name

    def _of(self, timesteps: int) -> Engine:
        """The engine for windows of T steps, made once while there are not too many."""
        if timesteps in self.engines:
            return self.engines[timesteps]
        made = self.engine(one_step(self.graph, timesteps))
        if len(self.engines) < MOST_ENGINES:
            self.engines[timesteps] = made
        return made

    def run(
        self,
        x: Tensor,
        timesteps: int,
        encoder: Encoder,
        record: Recording | Collection[str] = (),
        first: int = 0,
    ) -> BatchRun:
        """Simulate one batch; see ``StepwiseWindows.run``, which gives the same."""
        import torch

        wanted = as_recording(record, self.graph, timesteps)
        check_windows(self.graph, wanted, timesteps)
        encoder = encoder.fitted(self.graph)
        outputs = self.graph.of_type(Output)
        answers: dict[str, list[Tensor]] = {node.name: [] for node in outputs}
        total: Tensor | None = None
        for steps in range(1, timesteps + 1):
            if type(encoder) is not Constant:
                now = encoder.at(x, steps - 1, first)
                total = now if total is None else total + now
            units, _ = levels_of(self.schedule, steps)
            given = x * units if total is None else total * units / steps
            done = self._of(steps).run(given, 1, Constant())
            for node in outputs:
                answers[node.name].append(node.answer(done.outputs[node.name][:, 0] / units))
        run = self._recorded(done, x, encoder, wanted, first)
        run.outputs = {name: torch.stack(rows, dim=1) for name, rows in answers.items()}
        return run

    def _recorded(self, done: BatchRun, x: Tensor, encoder: Encoder, wanted: Recording, first: int) -> BatchRun:
        """What is counted and recorded of windows of T steps, from the numbers that neurons told."""
        import torch

        like = self.stepwise.to_tensor(np.zeros(0))
        units, _ = levels_of(self.schedule, wanted.timesteps)
        neurons = {node.name: done.counts[node.name].to(like) for node in self.graph.of_type(IF)}
        with torch.inference_mode():
            run = self.stepwise.window(x.to(like), wanted.timesteps, encoder, wanted, first, neurons).run({})
        steps, few = wanted.timesteps, self.schedule == "few_spike"
        same = units == steps
        run.counts = {name: told if same else told * steps / units for name, told in done.counts.items()}
        run.unweighted = {
            name: number_of_spikes(self.schedule, numbers, steps)
            for name, numbers in done.counts.items()
            if few and name in self.telling
        }
        return run
