"""How much a command says beside its results: nothing, the usual, or versions, time and memory too."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from spikewright.cli.terminal import err

NO_ENGINE = (
    "note: the native event engine is not installed, and the reference engine runs everything, slower: installing "
    "spikewright where there is a C++17 compiler builds it (said once)"
)


@contextmanager
def talking(quiet: bool = False, verbose: bool = False) -> Iterator[None]:
    """What a command says on the error stream while it runs.

    Args:
        quiet: nothing but errors.
        verbose: which versions run, and at the end time and memory.
    """
    before, started = err.quiet, time.monotonic()
    err.quiet = quiet
    try:
        if verbose and not quiet:
            from spikewright.provenance import versions

            err.print(", ".join(f"{name} {version}" for name, version in versions().items()))
        yield
        if verbose and not quiet:
            err.print(f"{time.monotonic() - started:.1f} s{_memory()}")
    finally:
        err.quiet = before


def note_missing_engine() -> None:
    """A note where the native engine was not built, the first time that something is run."""
    folder = Path(__file__).parents[1] / "engines" / "event"
    if any(one.suffix in (".so", ".pyd") for one in folder.glob("_native*")):
        return
    marker = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "spikewright" / "engine-noted"
    with suppress(OSError):
        if marker.exists():
            return
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.touch()
    err.print(NO_ENGINE)


def _memory() -> str:
    """``, 512 MB at most``, where the system says so."""
    try:
        import resource
    except ImportError:  # Windows
        return ""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return f", {peak / (2**20 if sys.platform == 'darwin' else 2**10):,.0f} MB at most"
