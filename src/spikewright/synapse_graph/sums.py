"""What the finished parts of a graph hold, noted beside them: one that was damaged since is found, and written anew."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

from spikewright.files import digest_of, this_process, token

SUMS = "sums"
"""The folder of the notes, beside that of the parts."""


def note_sum(hidden: Path, name: str, part: Path) -> None:
    """Note what a part holds, before it gets its name.

    Args:
        hidden: the folder that the graph gathers in.
        name: of the part.
        part: the file that is about to get it.

    Raises:
        OSError: when the disk refuses; FileNotFoundError where the folder is gone.
    """
    temporary = hidden / f"{name}.sum.{this_process()}.{token()}.tmp"
    try:
        temporary.write_text(json.dumps({"sha256": digest_of(part), "spikewright": version("spikewright")}))
        temporary.replace(_noted(hidden, name))
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def trouble_of(hidden: Path, name: str, part: Path) -> str:
    """What is wrong with a finished part, in words; empty for one that holds what was noted of it.

    Args:
        hidden: the folder that the graph gathers in.
        name: of the part.
        part: the file.
    """
    try:
        noted = json.loads(_noted(hidden, name).read_text(encoding="utf-8"))
        by, digest = noted["spikewright"], noted["sha256"]
    except (OSError, ValueError, LookupError, TypeError):
        return "nothing says what it should hold"
    if by != version("spikewright"):
        return f"written by version {by!s:.20} of spikewright"
    try:
        return "" if digest_of(part) == digest else "damaged"
    except OSError:
        return "not readable"


def _noted(hidden: Path, name: str) -> Path:
    return hidden / SUMS / f"{name}.json"
