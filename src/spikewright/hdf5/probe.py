"""The helper process: reads all that an HDF5 file holds, and forgets it. A request a line, in JSON; an answer a line.

It runs as a script of its own and imports nothing of Spikewright, so that it starts quickly. Filters of plugins crash
on damaged chunks as the library does, so that those that will read a file are made known here too.
"""

from __future__ import annotations

import importlib
import io
import json
import re
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import h5py

SLACK, RATIO = 1 << 26, 200
"""What unpacks to more than that, in proportion to what is stored, is refused wherever it is read."""
PIECE = 1 << 25
ROOM = 1 << 30
"""Bytes of memory beside those of the file."""


ABSURD = "HDF5 gets lost in it: reading takes absurd amounts of memory"


def _starved(error: Exception) -> bool:
    """Whether the library complains about memory in one of its many ways."""
    return re.search(r"memory|(unable|can't) (to )?allocate|allocation failed", str(error)) is not None


@contextmanager
def _tolerant() -> Iterator[None]:
    """What is wrong with one object does not end the walk, unless memory is."""
    try:
        yield
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, OverflowError, UnicodeError) as error:
        if _starved(error):
            raise MemoryError from error


def main() -> None:
    """Answer requests, one a line of JSON, until there are no more: the helper process."""
    with suppress(ImportError):
        importlib.import_module("hdf5plugin")
    print("ready", flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        _limit(request["seconds"], Path(request["path"]).stat().st_size)
        try:
            _walk(_opened(request["path"], request["member"]))
            verdict = "done"
        except MemoryError:
            verdict = ABSURD
        except Exception as error:  # it will be raised again where the file is read, and said there
            verdict = ABSURD if _starved(error) else "done"
        print(verdict, flush=True)


def _limit(seconds: float, size: int) -> None:
    """End with the time, even in a loop of the library and with nobody left to wait for the answer."""
    with suppress(ImportError, AttributeError, ValueError, OSError):
        import resource
        import signal

        signal.alarm(int(seconds) + 5)
        taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        resource.setrlimit(resource.RLIMIT_AS, (taken + ROOM + 4 * size, hard))


def _opened(path: str, member: str | None) -> Any:
    if member is None:
        return h5py.File(path, "r")
    with zipfile.ZipFile(path) as archive:
        return h5py.File(io.BytesIO(archive.read(member)), "r")


def _walk(file: Any) -> None:
    """Every object that is in the file, once."""
    with file:
        seen: set[Any] = set()
        waiting: list[Any] = [file]
        while waiting:
            thing = waiting.pop()
            with _tolerant():
                info = h5py.h5o.get_info(thing.id)
                if (info.fileno, info.addr) in seen:
                    continue
                seen.add((info.fileno, info.addr))
                for name in thing.attrs:
                    with _tolerant():
                        _ = thing.attrs[name]
                if isinstance(thing, h5py.Group):
                    for name in thing:
                        with _tolerant():
                            if isinstance(thing.get(name, getlink=True), h5py.HardLink):
                                waiting.append(thing[name])
                elif isinstance(thing, h5py.Dataset):
                    _read(thing)


def _read(data: Any) -> None:
    """The values, some at a time."""
    if data.external or data.is_virtual or data.shape is None:
        return
    if not data.shape or data.nbytes <= PIECE:
        if data.nbytes <= SLACK + RATIO * data.id.get_storage_size():
            _ = data[()]
        return
    if data.nbytes > SLACK + RATIO * data.id.get_storage_size():
        return
    rows = max(1, PIECE * data.shape[0] // data.nbytes)
    for start in range(0, data.shape[0], rows):
        _ = data[start : start + rows]


if __name__ == "__main__":
    main()
