"""Recordings of event cameras: read lazily, in microseconds, whatever wrote them; and what becomes of them on the way.

"Events" are spikes of a network in this package (``spikewright.events``); what a camera sends comes as a recording.
"""

from spikewright.recordings.columns import Columns
from spikewright.recordings.format import RecordingFormat
from spikewright.recordings.loading import formats, load_recording
from spikewright.recordings.recording import Recording

__all__ = ["Columns", "Recording", "RecordingFormat", "formats", "load_recording"]
