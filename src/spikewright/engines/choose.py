"""Which engine runs what."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Literal, Protocol, get_args

from spikewright.encoders import Encoder
from spikewright.engines.event import is_built
from spikewright.engines.reference import BatchRun, Simulation
from spikewright.errors import SettingsError
from spikewright.graph import Graph

if TYPE_CHECKING:
    from torch import Tensor

Engine = Literal["auto", "event", "cuda", "reference"]
ENGINES: tuple[str, ...] = get_args(Engine)
DTYPES = ("float32", "float64", "int16")


class Runner(Protocol):
    """A spiking graph ready to run batch after batch."""

    @property
    def name(self) -> str: ...

    def run(
        self, x: Tensor, timesteps: int, encoder: Encoder, record: Collection[str] = (), first: int = 0
    ) -> BatchRun: ...


def choose_engine(
    graph: Graph, encoder: Encoder, record: Collection[str], engine: Engine, device: str, dtype: str
) -> Runner:
    """The engine that was asked for; for "auto" the device's fast one, or the reference engine where that one cannot.

    Raises:
        SettingsError: for an unknown engine, or what the one that was asked for cannot run, with the reason.
    """
    if engine not in ENGINES:
        raise SettingsError(f"unknown engine '{engine}'; choose one of {', '.join(ENGINES)}")
    if dtype not in DTYPES:
        raise SettingsError(f"unknown dtype '{dtype}'; choose one of {', '.join(DTYPES)}")
    if dtype == "int16" and engine != "cuda":
        if "potentials" in record:
            raise SettingsError("potentials are recorded in float32 or float64, not in int16")
        if engine == "reference":
            raise SettingsError("the reference engine runs in float32 or float64; int16 is the event engine's")
        return _event_engine(graph, encoder, record, device, dtype)
    if engine == "reference":
        return Simulation(graph, device, dtype)
    try:
        if engine == "cuda" or (engine == "auto" and device.startswith("cuda")):
            return _cuda_engine(graph, device, dtype)
        return _event_engine(graph, encoder, record, device, dtype)
    except SettingsError:
        if engine != "auto":
            raise
        return Simulation(graph, device, dtype)


def _cuda_engine(graph: Graph, device: str, dtype: str) -> Runner:
    import torch

    if not torch.cuda.is_available():
        raise SettingsError(
            "the cuda engine needs a CUDA device, and torch finds none here: choose engine='auto' and device='cpu'"
        )
    if not device.startswith("cuda") or dtype != "float32":
        raise SettingsError(
            f"the cuda engine runs on a CUDA device in float32, not on {device} in {dtype}: choose device='cuda', "
            "dtype='float32'"
        )
    from spikewright.engines.cuda.simulation import CudaSimulation

    return CudaSimulation(graph, device)


def _event_engine(graph: Graph, encoder: Encoder, record: Collection[str], device: str, dtype: str) -> Runner:
    if not is_built():
        raise SettingsError("the event engine was not built: install a C++17 compiler, then install Spikewright again")
    if device != "cpu" or dtype not in ("float32", "int16"):
        raise SettingsError(f"the event engine runs on the cpu in float32 or int16, not on {device} in {dtype}")
    from spikewright.engines.event.simulation import EventSimulation

    simulation = EventSimulation(graph, dtype=dtype)
    simulation.prepare(encoder, record)
    return simulation
