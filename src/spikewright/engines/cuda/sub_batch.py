"""Some samples of a batch on their way through time.

Every value is ``(steps, samples, *shape)``. Between populations nothing knows of time, so there the steps of a chunk
are just more samples. What stays the same over time has one step, and is computed once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from spikewright.encoders import Encoder
from spikewright.engines.cuda.memory import done_after
from spikewright.engines.cuda.scan import Scan
from spikewright.engines.neurons import NeuronState
from spikewright.engines.over_time import by_step, over_time, pooled
from spikewright.engines.recording import Recording
from spikewright.engines.reference import BatchRun, PoolState, Simulation, sent_at
from spikewright.events import Events, Step
from spikewright.forward import split_inputs
from spikewright.graph import Node
from spikewright.nodes import IF, Output, SpikeMaxPool

if TYPE_CHECKING:
    from torch import Tensor

Values = dict[str, "Tensor"]


class SubBatch:
    """Puts what its samples do into the BatchRun of all.

    Args:
        simulation: the network.
        scan: how to go through time.
        windows: the largest value of each window, by the max pool.
        run: with room for the whole batch.
        wanted: what is recorded.
        samples: which of the batch these are.
        resting: the nodes that stay the same over time.
        units: by node, what one event of it stands for.
    """

    def __init__(
        self,
        simulation: Simulation,
        scan: Scan,
        windows: Mapping[str, Callable[..., Tensor]],
        run: BatchRun,
        wanted: Recording,
        samples: slice,
        resting: Collection[str],
        units: Mapping[str, float],
    ) -> None:
        self.simulation, self.graph, self.scan, self.windows = simulation, simulation.graph, scan, windows
        self.run, self.wanted, self.samples, self.units = run, wanted, samples, units
        self.still = [node for node in self.graph if node.name in resting]
        self.moving = [node for node in self.graph if node.name not in resting]
        self.done = {**done_after(self.graph, self.still), **done_after(self.graph, self.moving)}
        self.state = simulation.start(samples.stop - samples.start)
        self.totals = {
            name: answers.new_zeros(samples.stop - samples.start, *self.graph.input_shapes(name)[0])
            for name, answers in run.outputs.items()
        }
        self.known: Mapping[str, Tensor] = {}
        self.sent: dict[str, list[Step]] = {}

    def rest(self, x: Tensor, timesteps: int) -> None:
        """Compute what stays the same over all timesteps."""
        self.known = self._walk(self.still, self._inputs([x]), slice(0, timesteps))

    def advance(self, time: slice, encoder: Encoder, x: Tensor, first: int) -> None:
        """Run one chunk of timesteps; ``first`` is the place of the first sample in its data set."""
        changing = () if self.still else range(time.start, time.stop)
        values = {**self.known, **self._inputs([encoder.at(x, t, first) for t in changing])}
        self._walk(self.moving, values, time)

    def events(self, first: int) -> dict[str, Events]:
        """What was sent in all chunks."""
        return {
            name: Events.of_steps(self.graph.shapes[name], steps, first, self.wanted.steps)
            for name, steps in self.sent.items()
        }

    def _inputs(self, frames: Sequence[Tensor]) -> Values:
        """By input, what it gives at each of some steps."""
        import torch

        if not frames:
            return {}
        rows = split_inputs(self.graph, torch.cat(list(frames)))
        return {name: by_step(value, len(frames)) for name, value in rows.items()}

    def _walk(self, nodes: Sequence[Node], values: Values, time: slice) -> Values:
        """Run some nodes. A value goes out of ``values`` as soon as nobody needs it; what other nodes read is left."""
        for node in nodes:
            given = [values[name] for name in node.inputs]
            if isinstance(node, IF):
                value = self._fire(node, given[0], time)
            elif isinstance(node, SpikeMaxPool):
                value = self._pool(node, given[0], time)
            elif isinstance(node, Output):
                value = self._answer(node, given[0], time)
            else:
                value = over_time(self.simulation.linear[node.name], *given) if given else values[node.name]
                if node.name in self.run.nonzero:
                    source = node.inputs[0] if given else node.name
                    self._note_activity(node.name, given[0] if given else value, time, self.units[source])
            values[node.name] = value
            for name in self.done[node.name]:
                del values[name]
        return values

    def _fire(self, node: IF, current: Tensor, time: slice) -> Tensor:
        name, steps = node.name, time.stop - time.start
        rows, kept = self.wanted.within(time)
        wanted = self.wanted.has("potentials", name) and len(kept) > 0
        fired = self.scan.fire(self.simulation.neurons[name], self._of_neurons(node), current, steps, wanted)
        self.state[name] = fired.state
        self._send(name, fired.spikes, fired.counts, time)
        if fired.potentials is not None:
            self.run.potentials[name][self.samples, rows] = _chosen(fired.potentials, kept).transpose(0, 1)
        return fired.spikes

    def _pool(self, pool: SpikeMaxPool, spikes: Tensor, time: slice) -> Tensor:
        own, spikes = self._of_pool(pool), spikes.expand(time.stop - time.start, *spikes.shape[1:])
        add_up = partial(self.scan.add_up, steps=len(spikes))
        passed = pooled(pool, self.windows[pool.name], own, spikes, time.start, add_up)
        self._send(pool.name, passed, passed.sum(dim=0), time)
        return passed

    def _of_neurons(self, node: IF) -> NeuronState:
        state = self.state[node.name]
        if not isinstance(state, NeuronState):
            raise TypeError(f"expected the state of neurons, not {state!r:.60}")
        return state

    def _of_pool(self, pool: SpikeMaxPool) -> PoolState:
        state = self.state[pool.name]
        if not isinstance(state, PoolState):
            raise TypeError(f"expected the state of a pool, not {state!r:.60}")
        return state

    def _send(self, name: str, spikes: Tensor, counts: Tensor, time: slice) -> None:
        self.run.counts[name][self.samples] += counts
        if name in self.run.negative:
            self.run.negative[name][self.samples] += (-spikes).clamp(min=0).sum(dim=0)
        rows, kept = self.wanted.within(time)
        if self.wanted.has("spikes", name):
            self.run.spikes[name][self.samples, rows] = _chosen(spikes, kept).transpose(0, 1)
        if self.wanted.has("events", name):
            self.sent.setdefault(name, []).extend(sent_at(now) for now in _chosen(spikes, kept))

    def _answer(self, output: Output, value: Tensor, time: slice) -> Tensor:
        import torch

        name = output.name
        totals = self.scan.add_up(self.totals[name], value, time.stop - time.start)
        self.totals[name] = totals[-1].clone()
        passed = torch.arange(time.start + 1, time.stop + 1, device=totals.device)
        mean = totals / passed.view(-1, *(1 for _ in totals.shape[1:]))
        self.run.outputs[name][self.samples, time] = over_time(output.answer, mean).transpose(0, 1)
        return value

    def _note_activity(self, name: str, value: Tensor, time: slice, unit: float) -> None:
        repeated = (time.stop - time.start) // len(value)
        self.run.nonzero[name][self.samples] += (value != 0).sum(dim=0) * repeated
        if name not in self.run.graded and bool(((value != 0) & (value.abs() != unit)).any()):
            self.run.graded.add(name)


def _chosen(values: Tensor, kept: NDArray[np.int64]) -> Tensor:
    """Some of the steps of a chunk."""
    return values if len(kept) == len(values) else values[kept.tolist()]
