"""Writing files and folders: whole or not at all, replaced only if that is said, with every error in one line."""

from spikewright.files.errors import reason, shown, storage_errors
from spikewright.files.lock import one_at_a_time
from spikewright.files.owners import abandoned, leftovers, mine, stem, tidy, token
from spikewright.files.places import check_place, check_reachable, exists
from spikewright.files.record import Written, recording
from spikewright.files.writing import (
    atomic_folder,
    atomic_path,
    parents,
    put_file,
    put_folder,
    sync,
    write_bytes,
    write_text,
)

__all__ = [
    "Written",
    "abandoned",
    "atomic_folder",
    "atomic_path",
    "check_place",
    "check_reachable",
    "exists",
    "leftovers",
    "mine",
    "one_at_a_time",
    "parents",
    "put_file",
    "put_folder",
    "reason",
    "recording",
    "shown",
    "stem",
    "storage_errors",
    "sync",
    "tidy",
    "token",
    "write_bytes",
    "write_text",
]
