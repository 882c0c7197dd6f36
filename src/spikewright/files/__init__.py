"""Writing files and folders: whole or not at all, replaced only if that is said, with every error in one line."""

from spikewright.files.destinations import check_destination, check_reachable, exists
from spikewright.files.errors import reason, shown, storage_errors
from spikewright.files.lock import one_at_a_time
from spikewright.files.owners import abandoned, leftovers, stem, this_process, tidy, token
from spikewright.files.record import Written, recording, unfinished
from spikewright.files.writing import (
    atomic_folder,
    atomic_path,
    digest_of,
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
    "check_destination",
    "check_reachable",
    "digest_of",
    "exists",
    "leftovers",
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
    "this_process",
    "tidy",
    "token",
    "unfinished",
    "write_bytes",
    "write_text",
]
