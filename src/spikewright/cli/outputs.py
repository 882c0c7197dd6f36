"""What a command writes against what it reads: nothing to two names at once, nothing over what it works from."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from spikewright.errors import SettingsError, StorageError
from spikewright.events import StoredEvents
from spikewright.files import atomic_path, check_destination, check_reachable, shown
from spikewright.parts import Checkpoint
from spikewright.provenance import PROVENANCE, Provenance

ForceOption = Annotated[
    bool, typer.Option("--force", help="Replace results that exist, each only when the new one is whole.")
]

ResumeOption = Annotated[
    bool,
    typer.Option(
        "--resume", help="Go on from what an interrupted run left beside the output, if all settings are the same."
    ),
]


def check_resume(resume: bool, *outputs: Path | None) -> None:
    """Refuse to go on where nothing was kept to go on from.

    Raises:
        SettingsError: for a run without an output, beside which it would be.
    """
    if resume and not any(outputs):
        raise SettingsError("--resume goes on from what an interrupted run left beside its output: give -o too")


def check_outputs(outputs: Mapping[str, Path | None], inputs: Mapping[str, Path | str | None]) -> None:
    """Refuse outputs that are one place, lie in each other, or are what the command reads, before any of it is read.

    Args:
        outputs: by the names of their options.
        inputs: by the names of theirs; what is no file or folder is no matter.

    Raises:
        StorageError: saying which, or why nothing can be written there.
    """
    places = {option: check_reachable(path) for option, path in outputs.items() if path is not None}
    for option, place in places.items():
        for other, second in places.items():
            if option < other and _same(place, second):
                raise StorageError(f"{option} and {other} are both {shown(place.name)}; give each a path of its own")
            if option != other and place in second.parents:
                raise StorageError(f"{other} would be written into {option}; give each a path of its own")
        for name, given in inputs.items():
            if given is not None and _same(place, _file_of(given)):
                raise StorageError(f"{shown(given)} is what {name} reads; choose another path for {option}")


def may_replace(output: Path, force: bool, checkpoint: Checkpoint | None) -> bool:
    """Whether what stands at an output may go: somebody says so, or the interrupted run that goes on wrote it."""
    return force or (checkpoint is not None and checkpoint.wrote(output))


def check_curves(path: Path, force: bool) -> None:
    """Refuse a place that ``write_curves`` cannot write to, before any work is done.

    Raises:
        SettingsError: for another suffix than .npz.
        StorageError: as ``check_destination``.
    """
    if path.suffix.lower() != ".npz":
        raise SettingsError(f"{shown(path)}: curves and rates are written as .npz")
    check_destination(path, force)


def write_curves(arrays: Mapping[str, Any], path: Path, force: bool) -> None:
    """Write the arrays of a run as .npz, with what made them, whole or not at all.

    Raises:
        StorageError: when a file stands there, or it cannot be written.
    """
    told = arrays if PROVENANCE in arrays else {**arrays, PROVENANCE: np.array(str(Provenance.now()))}
    with atomic_path(path, force) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **told)


def written_events(stored: StoredEvents) -> str:
    """``written: FOLDER, 1,200 events of 3 populations``."""
    groups = "1 population" if len(stored) == 1 else f"{len(stored)} populations"
    return f"written: {stored.folder}, {sum(stored.counts.values()):,} events of {groups}"


def _same(one: Path, other: Path) -> bool:
    try:
        return one == Path(os.path.realpath(other)) or one.samefile(other)
    except (OSError, ValueError):
        return False


def _file_of(given: Path | str) -> Path:
    """Of ``FILE.py:FACTORY`` the file."""
    text = os.fspath(given)
    return Path(text[: text.index(".py:") + 3]) if ".py:" in text else Path(text)
