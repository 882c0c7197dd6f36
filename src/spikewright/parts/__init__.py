"""Long runs in parts: cut, merged in an order that no cut changes, kept on the disk, and gone on with."""

from spikewright.parts.checkpoint import Checkpoint, Stage, fingerprint_of_run
from spikewright.parts.cutting import Part, cut
from spikewright.parts.fold import Fold, Sums
from spikewright.parts.plain import from_plain, storable, to_plain

__all__ = [
    "Checkpoint",
    "Fold",
    "Part",
    "Stage",
    "Sums",
    "cut",
    "fingerprint_of_run",
    "from_plain",
    "storable",
    "to_plain",
]
