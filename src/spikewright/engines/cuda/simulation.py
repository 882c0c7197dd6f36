"""The cuda engine: the semantics of the reference, one node after the other through all timesteps of a chunk."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np

from spikewright.encoders import Encoder
from spikewright.encoders.constant import Constant
from spikewright.engines.cuda.memory import BUDGET, chunk_sizes, stretches
from spikewright.engines.cuda.scan import Scan, Stepwise
from spikewright.engines.cuda.sub_batch import SubBatch
from spikewright.engines.recording import Recording, as_recording
from spikewright.engines.reference import BatchRun, Simulation
from spikewright.engines.units import event_units
from spikewright.errors import SettingsError
from spikewright.events import Events
from spikewright.graph import Graph
from spikewright.nodes import MaxPool, Output, SpikeMaxPool

if TYPE_CHECKING:
    import torch
    from torch import Tensor


def scan_on(device: torch.device) -> Scan:
    """The fused kernels where they can run, else plain torch."""
    if device.type != "cuda" or find_spec("triton") is None:
        return Stepwise()
    from spikewright.engines.cuda.kernels import Fused

    return Fused()


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
        self.windows = {pool.name: MaxPool.bind(pool, self.to_tensor) for pool in graph.of_type(SpikeMaxPool)}

    def run(
        self,
        x: Tensor,
        timesteps: int,
        encoder: Encoder,
        record: Recording | Collection[str] = (),
        first: int = 0,
    ) -> BatchRun:
        """Simulate one batch; see ``reference.Simulation.run``. Recorded spikes and potentials are in host memory.

        Raises:
            SettingsError: where the memory of the device does not do.
        """
        import torch

        wanted = as_recording(record, self.graph, timesteps)
        x = x.to(self.to_tensor(np.zeros(0)))
        encoder = encoder.fitted(self.graph)
        units = event_units(self.graph, encoder)
        resting = resting_nodes(self.graph) if type(encoder) is Constant else frozenset()
        samples, steps = chunk_sizes(self.graph, resting, len(x), timesteps, self.budget)
        sent: dict[str, list[Events]] = {}
        try:
            with torch.inference_mode(), same_arithmetic(self.device):
                run = self._room(len(x), wanted)
                for some in stretches(len(x), samples):
                    sub_batch = SubBatch(self, self.scan, self.windows, run, wanted, some, resting, units)
                    if resting:
                        sub_batch.rest(x[some], timesteps)
                    for time in stretches(timesteps, steps):
                        sub_batch.advance(time, encoder, x[some], first + some.start)
                    for name, events in sub_batch.events(first + some.start).items():
                        sent.setdefault(name, []).append(events)
        except torch.OutOfMemoryError as error:
            raise SettingsError(
                f"a batch of {len(x)} over {timesteps} timesteps does not fit in the memory of {self.device}: "
                "take a smaller batch size, or record less"
            ) from error
        run.events = {name: Events.joined(self.graph.shapes[name], trains) for name, trains in sent.items()}
        return run

    def _room(self, samples: int, wanted: Recording) -> BatchRun:
        """Zeros for all that a batch gives."""
        import torch

        run = BatchRun({}, {})
        for node in self.graph:
            name, shape = node.name, self.graph.shapes[node.name]
            recorded = (samples, len(wanted.steps), *shape)
            if isinstance(node, Output):
                run.outputs[name] = torch.zeros(samples, wanted.timesteps, *shape, device=self.device)
            elif node.population:
                run.counts[name] = torch.zeros(samples, *shape, device=self.device)
                if name in self.signed:
                    run.negative[name] = torch.zeros(samples, *shape, device=self.device)
                if wanted.has("spikes", name):
                    run.spikes[name] = torch.zeros(recorded)
                if wanted.has("potentials", name):
                    run.potentials[name] = torch.zeros(recorded)
            elif wanted.has("nonzero", name):
                read = self.graph.input_shapes(node)[0] if node.inputs else shape
                run.nonzero[name] = torch.zeros(samples, *read, device=self.device)
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
