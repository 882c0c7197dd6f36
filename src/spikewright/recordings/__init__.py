"""Recordings of event cameras: read lazily, in microseconds, whatever wrote them; and what becomes of them on the way.

"Events" are spikes of a network in this package (``spikewright.events``); what a camera sends comes as a recording.
"""

from spikewright.recordings.batch import EventBatch, events_in
from spikewright.recordings.binning import Binning, binning_of
from spikewright.recordings.columns import Columns
from spikewright.recordings.format import RecordingFormat
from spikewright.recordings.loading import load_recording, recording_formats
from spikewright.recordings.recording import Recording

__all__ = [
    "Binning",
    "Columns",
    "EventBatch",
    "Recording",
    "RecordingFormat",
    "binning_of",
    "events_in",
    "load_recording",
    "recording_formats",
]
