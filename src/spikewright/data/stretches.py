"""Labelled stretches of long recordings: the tables of DVS128 Gesture, and the split that lies beside them.

Beside ``user01_led.aedat`` lies ``user01_led_labels.csv`` with the columns class, startTime_usec and endTime_usec, and
beside all recordings ``trials_to_train.txt`` and ``trials_to_test.txt`` with the names of files, one a line. A class is
a number or a name; numbers are labels as they are, less the smallest where none is 0.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from spikewright.data.folders import RECORDINGS, Split
from spikewright.data.sampling import Rows
from spikewright.errors import DataError
from spikewright.recordings import Recording, load_recording
from spikewright.recordings.format import Size
from spikewright.settings import digits

CLASS = ("class", "label")
START = ("starttime_usec", "start", "start_us", "start_usec")
END = ("endtime_usec", "end", "end_us", "end_usec", "stop")
LARGEST, MOST = 2**26, 2**20
"""Bytes of a table, and stretches of one recording, that are believed."""


def table_of(path: Path) -> Path | None:
    """The table beside a recording; None where there is none."""
    names = (f"{path.stem}_labels.csv", f"{path.stem}.csv")
    return next((path.with_name(name) for name in names if path.with_name(name).is_file()), None)


def recordings_with_tables(path: Path, split: Split) -> list[Path]:
    """The recordings of a folder beside which a table lies; of a split, where a list of its files lies there too."""
    files = sorted(file for file in path.iterdir() if file.is_file() and RECORDINGS.fits(file) and table_of(file))
    listed = path / f"trials_to_{split}.txt"
    if not files or not listed.is_file():
        return files
    wanted = {line.strip() for line in listed.read_text("utf-8", "replace").splitlines() if line.strip()}
    found = [file for file in files if file.name in wanted]
    if not found:
        raise DataError(f"{listed}: names no recording that lies beside it")
    return found


def stretches(files: Sequence[Path], sensor: Size | None) -> tuple[tuple[Recording, ...], Rows, tuple[str, ...]]:
    """The labelled stretches of recordings, in their order.

    Args:
        files: recordings with a table each.
        sensor: see ``load_recording``.

    Returns:
        The stretches, their labels ``(N,)``, and the names of the classes; none where these are numbers.

    Raises:
        DataError: for a table without the columns, or lines that are no stretches.
    """
    found: list[Recording] = []
    told: list[str] = []
    for file in files:
        table = table_of(file)
        assert table is not None
        whole = load_recording(file, sensor=sensor)
        for label, start, stop in _rows(table):
            found.append(whole.between(start, stop))
            told.append(label)
    if not found:
        raise DataError(f"{files[0]}: the tables beside the recordings hold no stretches")
    numbers = [digits(label) for label in told]
    if None not in numbers:
        labels = np.array(numbers, np.int64)
        return tuple(found), labels - (labels.min() if labels.min() > 0 else 0), ()
    names = tuple(sorted(set(told)))
    return tuple(found), np.array([names.index(label) for label in told], np.int64), names


def _rows(table: Path) -> list[tuple[str, int, int]]:
    """The class, first microsecond and last of each line."""
    if table.stat().st_size > LARGEST:
        raise DataError(f"{table}: larger than {LARGEST:,} bytes, which no table of stretches is")
    try:
        lines = list(csv.reader(table.read_text("utf-8-sig", "replace").splitlines()))
    except csv.Error as error:
        raise DataError(f"{table}: no table of labelled stretches ({error})") from error
    head = [word.strip().lower() for word in lines[0]] if lines else []
    places = [next((head.index(name) for name in names if name in head), None) for names in (CLASS, START, END)]
    if None in places or len(lines) > MOST:
        raise DataError(
            f"{table}: a table of labelled stretches begins with class,startTime_usec,endTime_usec, not "
            f"'{','.join(head)[:60]}'"
        )
    found = []
    for number, line in enumerate(lines[1:], 2):
        if not any(word.strip() for word in line):
            continue
        words = [line[place].strip() if place is not None and place < len(line) else "" for place in places]
        if not words[0] or not all(word.isascii() and word.isdigit() and len(word) < 19 for word in words[1:]):
            raise DataError(f"{table}: line {number}: {','.join(line)[:60]!r} is no class with its first and last µs")
        start, stop = int(words[1]), int(words[2])
        if stop <= start:
            raise DataError(f"{table}: line {number}: a stretch that ends at {stop} before it begins at {start}")
        found.append((words[0], start, stop))
    return found
