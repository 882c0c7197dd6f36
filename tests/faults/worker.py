"""One process that reads damaged files: ``python -m faults.worker FORMAT FOLDER FIRST COUNT``; a line for each.

What ends it, hangs or fills the memory is seen from outside, by the lines that are missing.
"""

from __future__ import annotations

import json
import resource
import sys
import traceback
from pathlib import Path
from typing import Any

from faults.formats import Format, formats, victim
from spikewright import hdf5
from spikewright.errors import SpikewrightError, UnsupportedModelError

ROOM = 1 << 30
"""Bytes above what the good file needed."""


def verdict(form: Format, folder: Path, expected: Any, sure: bool) -> tuple[str, str]:
    """What became of reading: right, other (a sane file that says something else), refused, or a fault."""
    try:
        found = form.read(folder)
    except SpikewrightError as error:
        said = str(error)
        lists = isinstance(error, UnsupportedModelError)
        if "\n" in said or not said.isprintable() or (len(said) > 620 and not lists):
            return "message", said[:2000]
        return "refused", said
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        ours = [f for f in traceback.extract_tb(error.__traceback__) if "spikewright" in f.filename]
        place = " < ".join(f"{Path(f.filename).name}:{f.lineno}" for f in reversed(ours[-4:]))
        return "traceback", f"{type(error).__name__}: {str(error)[:200]} at {where.filename}:{where.lineno} < {place}"
    if found == expected:
        return "right", ""
    return ("believed", "") if sure else ("other", "")


def peak() -> int:
    """Bytes of memory this process ever had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    hdf5.SECONDS = 4.0
    name, place, first, count = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    form = formats()[name]
    file = victim(place, name)
    good = (place / "good").read_bytes()
    file.write_bytes(good)
    expected = form.read(place)
    assert form.read(place) == expected
    baseline = peak()
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + 4 * ROOM, size + 4 * ROOM))
    print("ready", flush=True)
    for seed in range(first, first + count):
        damaged, sure = form.damaged(good, seed)
        file.write_bytes(damaged)
        print(json.dumps({"seed": seed}), flush=True)
        kind, text = ("right", "") if damaged == good else verdict(form, place, expected, sure)
        if peak() - baseline > ROOM:
            kind, text = "memory", f"{(peak() - baseline) / 1e9:.1f} GB more than for the good file; {kind} {text}"
            baseline = peak()
        print(json.dumps({"seed": seed, "kind": kind, "text": text}), flush=True)


if __name__ == "__main__":
    main()
