"""The command line: ``spikewright inspect | convert | simulate | synapses | export | demo``."""

from __future__ import annotations

import sys


def main() -> None:
    """Entry point. Everything refused ends in one or two lines and exit status 2."""
    from spikewright.cli.app import run

    sys.exit(run(sys.argv[1:]))
