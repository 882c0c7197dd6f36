"""One verb for every format of recordings."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spikewright.errors import DataError, SettingsError
from spikewright.npz import sane
from spikewright.recordings.columns import NAMES, Columns
from spikewright.recordings.format import RecordingFormat, Size
from spikewright.recordings.named import UNITS, columns_of_array
from spikewright.recordings.recording import Recording
from spikewright.registry import Registry, class_of
from spikewright.settings import check_choices

recording_formats = Registry(
    "spikewright.recordings", "a format of recordings", class_of(RecordingFormat), f"{__package__}.formats"
)
"""Every format of recordings by name."""
HEAD = 512


def load_recording(
    source: Any,
    format: str | None = None,  # noqa: A002 - the word that people know
    sensor: Size | None = None,
    *,
    unit: str | None = None,
    order: str | None = None,
) -> Recording:
    """A recording of an event camera, of which nothing is read before it is asked for.

    Args:
        source: the path of a file; or arrays of x, y, t and p by name, a structured array with these fields, or an
            array ``(E, 4)``.
        format: its name, where a file does not say it by its first bytes or its ending: "nmnist", "evt3", …
        sensor: (columns, rows), where the file does not say it, or in place of what it says.
        unit: of times in plain arrays: "s", "ms", "us" or "ns"; None for seconds of floats, microseconds of whole
            numbers.
        order: of the columns of an array ``(E, 4)``: "txyp", say.

    Raises:
        DataError: for a file that is missing, or of no known format.
        SettingsError: for a format, unit, order or sensor that does not exist.
    """
    check_choices(format=(format, str | None), unit=(unit, str | None), order=(order, str | None))
    if unit is not None and unit not in UNITS:
        raise SettingsError(f"unknown unit '{unit[:40]}' of times; choose one of {', '.join(UNITS)}")
    if order is not None and sorted(order) != sorted(NAMES):
        raise SettingsError(f"the order of columns names each of x, y, t and p once, as in 'txyp', not '{order[:40]}'")
    if not isinstance(source, str | os.PathLike):
        return Recording(_InMemory(columns_of_array(source, order, unit)), "this array", sensor)
    path = Path(source)
    with sane(path):
        with path.open("rb") as file:
            head = file.read(HEAD)
        kind = _named(format) if format is not None else recognised(path, head)
    if kind.says_units and (unit is not None or order is not None):
        raise SettingsError(f"{path}: this format says its units and its order of columns; leave unit and order out")
    return Recording(kind(path, unit, order), str(path), sensor)


def recognised(path: Path, head: bytes) -> type[RecordingFormat]:
    """The format of a file, by its first bytes and its ending.

    Raises:
        DataError: for none of those that are known.
    """
    found = next((kind for kind in recording_formats().values() if kind.recognised(head, path.suffix.lower())), None)
    if found is None:
        known = ", ".join(recording_formats())
        raise DataError(f"{path}: no known format of recordings; name one of {known} (format=...)")
    return found


def _named(name: str) -> type[RecordingFormat]:
    found = recording_formats.own.get(name) or recording_formats().get(name)
    if found is None:
        known = ", ".join(recording_formats())
        raise SettingsError(f"unknown format '{name[:40]}' of recordings; choose one of {known}")
    return found


@dataclass(frozen=True, eq=False)
class _InMemory:
    """Events that somebody has in memory."""

    columns: Columns
    sensor_size: None = None

    def pieces(self, counted: Counter[str]) -> Iterator[Columns]:  # noqa: ARG002 - nothing is left out
        yield self.columns
