"""Spike trains as lists of events: in memory, and on disk while a simulation runs."""

from spikewright.events.pieces import DamagedPiece
from spikewright.events.reading import StoredEvents, load_events
from spikewright.events.trains import Events, Step
from spikewright.events.writing import EventWriter, check_destination, check_pieces, events_folder

__all__ = [
    "DamagedPiece",
    "EventWriter",
    "Events",
    "Step",
    "StoredEvents",
    "check_destination",
    "check_pieces",
    "events_folder",
    "load_events",
]
