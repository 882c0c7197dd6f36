"""What of a machine the last digits of its numbers depend on."""

from __future__ import annotations

import os
import platform
from contextlib import suppress
from pathlib import Path


def machine() -> dict[str, str]:
    """The processor, the build of torch and its number of threads: floats are added up in another order by others."""
    import torch

    return {
        "CPU": _processor(),
        "torch": f"{torch.__version__} ({torch.backends.cpu.get_cpu_capability()})",
        "threads": str(torch.get_num_threads()),
    }


def unlike(one: dict[str, str], other: dict[str, str]) -> str:
    """The ways in which two machines differ, in words; empty where they do not."""
    return ", ".join(
        f"{what} {one[what]} and {other.get(what, 'unknown')}" for what in one if one[what] != other.get(what)
    )


def _processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or f"{platform.machine()} with {os.cpu_count()} cores"
