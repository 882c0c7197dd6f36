"""Names of processes, as files that are not whole yet carry them."""

from __future__ import annotations

import subprocess
import sys
from functools import cache


@cache
def dead_owner() -> str:
    """Of one that has ended."""
    code = "from spikewright.files import this_process; print(this_process())"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
