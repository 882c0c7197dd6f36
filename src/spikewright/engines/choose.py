"""Which engine runs what."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple, Protocol

from spikewright.encoders import Encoder
from spikewright.encoders.constant import Constant
from spikewright.encoders.recordings import RecordedEvents
from spikewright.engines.cost import EVENT, REFERENCE, seconds
from spikewright.engines.eight_bits import round_weights
from spikewright.engines.event import is_built
from spikewright.engines.memory import side_by_side
from spikewright.engines.neurons import IntegrateAndFire
from spikewright.engines.recording import Recording, as_recording
from spikewright.engines.reference import BatchRun, Simulation
from spikewright.engines.settings import RunSettings
from spikewright.engines.windows import DenseStep, StepwiseWindows, WindowSimulation, schedule_of
from spikewright.engines.work import event_work, reference_work
from spikewright.errors import SettingsError
from spikewright.graph import Graph

if TYPE_CHECKING:
    from torch import Tensor

    from spikewright.engines.event.simulation import EventSimulation


class Simulator(Protocol):
    """A spiking graph ready to run batch after batch."""

    @property
    def name(self) -> str:
        """The engine, and its dtype where that is not the usual one."""
        ...

    def run(
        self,
        x: Tensor,
        timesteps: int,
        encoder: Encoder,
        record: Recording | Collection[str] = (),
        first: int = 0,
    ) -> BatchRun:
        """Run one batch ``(B, *sample shape)``, whose first sample stands at ``first`` in its data set."""
        ...


class Choice(NamedTuple):
    """An engine, and why it is that one.

    Attributes:
        simulator: the engine, ready.
        reason: a few words: that it was asked for, what times were foreseen, or what another one cannot do.
        weight_error: how far weights of 8 bits are from the network's, as ``EightBits.error``; None where its own run.
    """

    simulator: Simulator
    reason: str
    weight_error: float | None = None


@dataclass(frozen=True, eq=False)
class InEightBits:
    """An engine that runs a network whose weights were rounded to 8 bits: it does what it does, and its name says so.

    Attributes:
        simulator: of the network with these weights.
    """

    simulator: Simulator

    @property
    def name(self) -> str:
        """That of the engine, and "int8"."""
        return f"{self.simulator.name}, int8"

    def run(
        self,
        x: Tensor,
        timesteps: int,
        encoder: Encoder,
        record: Recording | Collection[str] = (),
        first: int = 0,
    ) -> BatchRun:
        """Run one batch; see ``Simulator``."""
        return self.simulator.run(x, timesteps, encoder, record, first)


ASKED = "asked for"


def choose_engine(graph: Graph, encoder: Encoder, recording: Recording, settings: RunSettings) -> Choice:
    """The engine that was asked for; for "auto" the one that is foreseen to be faster.

    On a CPU that is the event or the reference engine by ``cost.py``, for recordings the event engine; on a CUDA device
    the cuda engine; in windows a dense step for each; for weights of 8 bits the event engine where it runs the network,
    else whatever would run it in float32. The choice depends on what is given here, not on the data, the
    machine's load or its cores, so that parts of a run make the same one.

    Args:
        graph: a spiking graph.
        encoder: fitted to it.
        recording: what is recorded, of how many timesteps.
        settings: engine, device, dtype, batch size and the neurons' step are looked at.

    Raises:
        SettingsError: for what the one that was asked for cannot run, with the reason.
    """
    if settings.dtype == "int8":
        return _in_eight_bits(graph, encoder, recording, settings)
    schedule = schedule_of(graph)
    if schedule != "free":
        dense = settings.engine == "auto" and not settings.device.startswith("cuda")
        return Choice(_windows(graph, schedule, settings), "a window is a dense step" if dense else ASKED)
    engine, step = settings.engine, settings.step
    if engine != "auto":
        return Choice(_asked_for(graph, encoder, recording, settings), ASKED)
    if type(step) is not IntegrateAndFire:
        return Choice(_with_step(graph, settings), "neurons take another step than integrate-and-fire")
    if settings.dtype == "int16":
        return Choice(_asked_for(graph, encoder, recording, settings), "int16 is the event engine's")
    try:
        if settings.device.startswith("cuda"):
            return Choice(_cuda_engine(graph, settings.device, settings.dtype), "a CUDA device")
        event = _event_engine(graph, encoder, recording, settings.device, settings.dtype)
    except SettingsError as error:
        return Choice(Simulation(graph, settings.device, settings.dtype), str(error))
    if isinstance(encoder, RecordedEvents):
        return Choice(event, "lists of events go in as they are")
    return _faster(event, graph, encoder, recording, settings.batch_size)


def _in_eight_bits(graph: Graph, encoder: Encoder, recording: Recording, settings: RunSettings) -> Choice:
    """The network with weights of 8 bits, on the engine that was asked for; for "auto" on the event engine where that
    runs it, since it alone gains by them."""
    rounded = round_weights(graph, encoder)
    own = replace(settings, dtype="float32")
    if (
        settings.engine == "auto"
        and type(settings.step) is IntegrateAndFire
        and settings.device == "cpu"
        and schedule_of(graph) == "free"
    ):
        try:
            choice = Choice(
                _event_engine(rounded.graph, encoder, recording, "cpu", "float32"), "the event engine is made for int8"
            )
        except SettingsError as error:
            choice = Choice(Simulation(rounded.graph), str(error))
    else:
        choice = choose_engine(rounded.graph, encoder, recording, own)
    return Choice(InEightBits(choice.simulator), choice.reason, rounded.error)


def _faster(event: EventSimulation, graph: Graph, encoder: Encoder, recording: Recording, batch: int) -> Choice:
    """The event or the reference engine: the one that the cost model foresees to be faster."""
    size = side_by_side(batch, recording.timesteps)
    work = event_work(graph, event.prepare(encoder, recording), recording, size)
    own = seconds(work, EVENT) / size
    other = seconds(reference_work(graph, encoder, recording, size), REFERENCE) / size
    reason = f"foreseen for a sample on one thread: event {1000 * own:.2g} ms, reference {1000 * other:.2g} ms"
    return Choice(event if own <= other else Simulation(graph), reason)


def _asked_for(graph: Graph, encoder: Encoder, recording: Recording, settings: RunSettings) -> Simulator:
    """The one engine that was asked for, or that alone has the number format."""
    engine, device, dtype, step = settings.engine, settings.device, settings.dtype, settings.step
    if type(step) is not IntegrateAndFire:
        return _with_step(graph, settings)
    if dtype == "int16" and engine != "cuda":
        if recording.any("potentials"):
            raise SettingsError("potentials are recorded in float32, float64 or int8, not in int16")
        if engine == "reference":
            raise SettingsError("the reference engine runs in float32, float64 or int8; int16 is the event engine's")
        return _event_engine(graph, encoder, recording, device, dtype)
    if engine == "reference":
        return Simulation(graph, device, dtype)
    if engine == "cuda":
        return _cuda_engine(graph, device, dtype)
    return _event_engine(graph, encoder, recording, device, dtype)


def _windows(graph: Graph, schedule: str, settings: RunSettings) -> Simulator:
    """A network that exchanges window by window: a window is one step of an engine; the reference engine walks.

    In a whole window most neurons send something, so that on a CPU a dense step is faster than lists of events.
    """
    if type(settings.step) is not IntegrateAndFire:
        raise SettingsError(f"{schedule} neurons add up a window and send: they take no step {settings.step!r:.60}")
    if settings.dtype == "int16":
        raise SettingsError(
            f"{schedule} networks run in float32 or int8, or float64 on the reference engine, not in int16"
        )
    if settings.engine == "reference":
        return StepwiseWindows(graph, settings.device, settings.dtype)
    dense = settings.engine == "auto" and not settings.device.startswith("cuda")

    def engine(stepped: Graph) -> Simulator:
        if dense:
            return DenseStep(stepped, settings.device, settings.dtype)
        return choose_engine(stepped, Constant(), as_recording((), stepped, 1), settings).simulator

    return WindowSimulation(graph, engine, settings.device, settings.dtype)


def _with_step(graph: Graph, settings: RunSettings) -> Simulator:
    """Neurons that do something else than integrate and fire."""
    if settings.engine not in ("auto", "reference"):
        raise SettingsError(
            f"the {settings.engine} engine runs integrate-and-fire neurons, not {settings.step!r:.60}: "
            "choose engine='reference'"
        )
    if settings.dtype == "int16":
        raise SettingsError(
            "int16 is the event engine's, which runs integrate-and-fire neurons: choose dtype='float32' or 'int8'"
        )
    return Simulation(graph, settings.device, settings.dtype, settings.step)


def _cuda_engine(graph: Graph, device: str, dtype: str) -> Simulator:
    import torch

    if not torch.cuda.is_available():
        raise SettingsError(
            "the cuda engine needs a CUDA device, and torch finds none here: choose engine='auto' and device='cpu'"
        )
    if not device.startswith("cuda") or dtype != "float32":
        raise SettingsError(
            f"the cuda engine runs on a CUDA device in float32 or int8, not on {device} in {dtype}: choose "
            "device='cuda', dtype='float32'"
        )
    from spikewright.engines.cuda.simulation import CudaSimulation

    return CudaSimulation(graph, device)


def _event_engine(graph: Graph, encoder: Encoder, recording: Recording, device: str, dtype: str) -> EventSimulation:
    if not is_built():
        raise SettingsError("the event engine was not built: install a C++17 compiler, then install Spikewright again")
    if device != "cpu" or dtype not in ("float32", "int16"):
        raise SettingsError(f"the event engine runs on the cpu in float32, int16 or int8, not on {device} in {dtype}")
    from spikewright.engines.event.simulation import EventSimulation

    simulation = EventSimulation(graph, dtype=dtype)
    simulation.prepare(encoder, recording)
    return simulation
