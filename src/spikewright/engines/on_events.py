"""Recordings run on their events: what of a network, its data and its settings that changes.

The number of timesteps follows from the recordings and the timestep, biases are spread over the timesteps of a frame,
and the encoder is the one for recordings. Data of other kinds pass through as they are.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from spikewright.conversion import Conversion
from spikewright.conversion.over_steps import conversion_over_steps, over_steps
from spikewright.data import Dataset
from spikewright.data.recordings import EventDataset, Recordings
from spikewright.encoders import Encoder
from spikewright.encoders.constant import Constant
from spikewright.encoders.events import EventFrames
from spikewright.encoders.recordings import RecordedEvents
from spikewright.engines.settings import RunSettings
from spikewright.errors import DataError, SettingsError
from spikewright.graph import Graph

FRAMES = "run their frames as values (data.frames), which Poisson encodes too"


@dataclass(frozen=True)
class Prepared:
    """What runs.

    Attributes:
        network: a conversion or a spiking graph, with biases spread where data are recordings.
        data: events of recordings, or the data as they were.
        settings: with as many timesteps as the recordings have.
    """

    network: Graph | Conversion
    data: Dataset
    settings: RunSettings


def on_events(
    network: Graph | Conversion, data: Dataset, settings: RunSettings, said: bool = False, least: int = 1
) -> Prepared:
    """What runs of a network on data of any kind.

    Args:
        network: a conversion or a spiking graph.
        data: laid out for it.
        settings: of the run.
        said: whether somebody gave a number of timesteps.
        least: how many timesteps a run on events has at least: those of longer recordings that others run on.

    Raises:
        SettingsError: for an encoder that is not for such data, recordings without a timestep, and a number of
            timesteps where it follows from them.
        DataError: for recordings that are cut in another way than those that the network was converted with.
    """
    if isinstance(data, EventDataset):  # prepared already
        return Prepared(network, data, settings)
    if not isinstance(data, Recordings):
        if type(settings.chosen_encoder) is RecordedEvents:
            raise SettingsError(
                "the encoder recordings is for recordings of event cameras, and these are arrays or frames: leave the "
                "encoder away for constant values, or give poisson for random spikes, or events for frames of events"
            )
        return Prepared(network, data, settings)
    _check_encoder(settings.chosen_encoder)
    if settings.dt is None:
        raise SettingsError(
            "recordings run on their events, and nobody said how long a timestep is: give dt=1e-3 (--dt 1ms), or "
            f"{FRAMES}"
        )
    if settings.readout_from:
        raise SettingsError("recordings answer at their own ends; an answer over a window of steps is not read of them")
    if said:
        raise SettingsError(
            "the number of timesteps follows from the recordings and the timestep: leave timesteps (--timesteps) away"
        )
    if settings.engine == "cuda":
        raise SettingsError("the cuda engine runs frames; recordings run on the event or the reference engine")
    if isinstance(network, Conversion) and network.binning not in (None, data.binning):
        raise DataError(
            f"the network was converted with frames by binning {network.binning}, and these recordings are cut by "
            f"{data.binning}: load them with the same (--binning)"
        )
    events = data.events(settings.dt)
    encoder = RecordedEvents(data.binning.scale * events.steps_a_frame)
    steps = events.steps_a_frame
    spread = over_steps(network, steps) if isinstance(network, Graph) else conversion_over_steps(network, steps)
    engine = "reference" if settings.engine == "auto" and settings.device != "cpu" else settings.engine
    return Prepared(
        spread,
        events,
        replace(settings, timesteps=max(events.timesteps, least), encoder=encoder, engine=engine),
    )


def _check_encoder(encoder: Encoder) -> None:
    """Refuse an encoder that somebody chose for data of another kind."""
    if type(encoder) in (Constant, RecordedEvents):
        return
    if type(encoder) is EventFrames:
        raise SettingsError(
            "the encoder events is for arrays (samples, frames, ...), a frame a timestep; recordings run as they are: "
            "leave the encoder away"
        )
    raise SettingsError(
        f"{type(encoder).__name__.lower()} makes spikes of values, and recordings hold events already: leave the "
        f"encoder away, or {FRAMES}"
    )
