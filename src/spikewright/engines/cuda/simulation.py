"""The cuda engine: the semantics of the reference, one node after the other through all timesteps of a chunk."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from spikewright.encoders import Encoder
from spikewright.encoders.constant import Constant
from spikewright.engines.cuda.memory import BUDGET, in_pieces, pieces
from spikewright.engines.cuda.piece import Piece
from spikewright.engines.cuda.scan import Population, Scan, scan_on
from spikewright.engines.reference import BatchRun, Simulation
from spikewright.engines.units import event_units
from spikewright.errors import SettingsError
from spikewright.events import Events
from spikewright.graph import Graph
from spikewright.nodes import IF, MaxPool, Output, SpikeMaxPool

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class CudaSimulation(Simulation):
    """A spiking graph ready to run batch after batch, in single precision.

    Args:
        graph: a spiking graph.
        device: a torch device. Where it is no CUDA device, or Triton is missing, plain torch takes the kernels' place.
        budget: bytes for values on their way through the network. It changes nothing but speed and memory.
        scan: how to go through time; by default the fastest way that the device has.
    """

    name = "cuda"

    def __init__(self, graph: Graph, device: str = "cuda", budget: int = BUDGET, scan: Scan | None = None) -> None:
        super().__init__(graph, device)
        self.budget = budget
        self.device = self.to_tensor(np.zeros(0)).device
        self.scan = scan or scan_on(self.device)
        self.neurons = {
            node.name: Population(node, self.thresholds[node.name], self.floors.get(node.name))
            for node in graph.of_type(IF)
        }
        self.windows = {pool.name: MaxPool.bind(pool, self.to_tensor) for pool in graph.of_type(SpikeMaxPool)}

    def run(
        self, x: Tensor, timesteps: int, encoder: Encoder, record: Collection[str] = (), first: int = 0
    ) -> BatchRun:
        """Simulate one batch; see ``reference.Simulation.run``. Recorded spikes and potentials are in host memory.

        Raises:
            SettingsError: where the memory of the device does not do.
        """
        import torch

        x = x.to(self.to_tensor(np.zeros(0)))
        encoder = encoder.fitted(self.graph)
        units = event_units(self.graph, encoder)
        resting = resting_nodes(self.graph) if type(encoder) is Constant else frozenset()
        samples, steps = in_pieces(self.graph, resting, len(x), timesteps, self.budget)
        sent: dict[str, list[Events]] = {}
        try:
            with torch.inference_mode(), same_arithmetic(self.device):
                run = self._room(len(x), timesteps, record)
                for part in pieces(len(x), samples):
                    piece = Piece(self, run, record, part, resting, units)
                    if resting:
                        piece.rest(x[part], timesteps)
                    for time in pieces(timesteps, steps):
                        piece.advance(time, encoder, x[part], first + part.start)
                    for name, events in piece.events(first + part.start).items():
                        sent.setdefault(name, []).append(events)
        except torch.OutOfMemoryError as error:
            raise SettingsError(
                f"a batch of {len(x)} over {timesteps} timesteps does not fit in the memory of {self.device}: "
                "take a smaller batch size, or record less"
            ) from error
        run.events = {name: Events.joined(self.graph.shapes[name], parts) for name, parts in sent.items()}
        return run

    def _room(self, samples: int, timesteps: int, record: Collection[str]) -> BatchRun:
        """Zeros for all that a batch gives."""
        import torch

        run = BatchRun({}, {})
        for node in self.graph:
            shape = self.graph.shapes[node.name]
            by_step = (samples, timesteps, *shape)
            if isinstance(node, Output):
                run.outputs[node.name] = torch.zeros(by_step, device=self.device)
            elif node.population:
                run.counts[node.name] = torch.zeros(samples, *shape, device=self.device)
                if "spikes" in record:
                    run.spikes[node.name] = torch.zeros(by_step)
                if "potentials" in record and isinstance(node, IF):
                    run.potentials[node.name] = torch.zeros(by_step)
            elif "nonzero" in record and (node.weighted or not node.inputs):
                read = self.graph.input_shapes(node)[0] if node.inputs else shape
                run.nonzero[node.name] = torch.zeros(samples, *read, device=self.device)
        return run


def resting_nodes(graph: Graph) -> frozenset[str]:
    """What stays the same over time where the input does: all that neither is nor reads a population."""
    resting: set[str] = set()
    for node in graph:
        if resting.issuperset(node.inputs) and not node.population and not isinstance(node, Output):
            resting.add(node.name)
    return frozenset(resting)


@contextmanager
def same_arithmetic(device: torch.device) -> Iterator[None]:
    """Products in full single precision, by the same algorithms every time; torch's flags are put back afterwards."""
    import torch

    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    flags: list[tuple[object, str, object]] = [(cudnn, "benchmark", False), (cudnn, "deterministic", True)]
    if hasattr(cudnn, "conv"):  # torch 2.9 or later; the older flags cannot even be read once somebody set these
        flags += [(matmul, "fp32_precision", "ieee"), (cudnn.conv, "fp32_precision", "ieee")]
    else:
        flags += [(matmul, "allow_tf32", False), (cudnn, "allow_tf32", False)]
    before = [getattr(owner, flag) for owner, flag, _ in flags]
    try:
        for owner, flag, value in flags:
            setattr(owner, flag, value)
        with torch.cuda.device(device if device.type == "cuda" else -1):  # Triton runs on the current one
            yield
    finally:
        for (owner, flag, _), value in zip(flags, before, strict=True):
            setattr(owner, flag, value)
