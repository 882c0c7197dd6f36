"""The command line: ``spikewright inspect | convert | simulate | synapses | export | demo``."""

from __future__ import annotations

import sys
from io import TextIOWrapper


def main() -> None:
    """Entry point. Everything refused ends in one or two lines and exit status 2."""
    from spikewright.cli.app import run

    for stream in (sys.stdout, sys.stderr):  # a name that the terminal has no letters for is no reason to fail
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    sys.exit(run(sys.argv[1:]))
