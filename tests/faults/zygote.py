"""Runs commands with faults in them: a process that has imported everything, and forks for each command.

It reads requests as lines of JSON, {"folder", "arguments", "fault"}, and answers each with the status of the command's
process (negative: the signal that ended it), what it printed, and how many operations on names it did. What is done to
the command is done here, from outside; the product knows nothing of it.
"""

from __future__ import annotations

import errno
import gc
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

NAMES = ("rename", "replace", "unlink", "remove", "rmdir", "mkdir", "link")
"""What changes names, in ``os``."""


IMPORTED = (
    "h5py",
    "nir",
    "pyarrow.parquet",
    "safetensors.numpy",
    "spikewright.cli.app",
    "spikewright.exporters.nir",
    "spikewright.frontends.nir",
    "spikewright.frontends.torch",
    "spikewright.reports.synapses",
)
"""So that a forked process need not."""


class Fault:
    """Counts operations on names, and at one of them does what it was told.

    ``{"at": 3, "when": "before", "what": "kill"}``: before the fourth, SIGKILL; "interrupt" raises KeyboardInterrupt,
    "full" an OSError. ``{"seconds": 0.2}`` kills by time.
    """

    def __init__(self, plan: dict[str, Any]) -> None:
        self.plan, self.count = plan, 0
        self.only = plan.get("only", NAMES)

    def install(self) -> None:
        from spikewright.files import swap

        for name in NAMES:
            if name in self.only:
                setattr(os, name, self.wrapped(getattr(os, name)))
        if "exchange" in self.only or self.only is NAMES:
            swap._renamed = self.wrapped(swap._renamed)
        if self.plan.get("exchange") is False:
            swap._renamed = lambda *_: False
        if "seconds" in self.plan:
            signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGKILL))
            signal.setitimer(signal.ITIMER_REAL, self.plan["seconds"])

    def wrapped(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            mine, self.count = self.count, self.count + 1
            if mine == self.plan.get("at") and self.plan["when"] == "before":
                self.strike()
            try:
                return function(*arguments, **options)
            finally:
                if mine == self.plan.get("at") and self.plan["when"] == "after":
                    self.strike()

        return call

    def strike(self) -> None:
        what = self.plan["what"]
        if what == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(60)
        if what == "interrupt":
            raise KeyboardInterrupt
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def command(request: dict[str, Any]) -> None:
    """In the forked process: run it, and say how many operations there were."""
    folder = Path(request["folder"])
    streams = [os.open(request["said"] + name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) for name in (".out", ".err")]
    os.dup2(streams[0], 1)
    os.dup2(streams[1], 2)
    os.chdir(folder)
    status = 99
    try:
        from spikewright.cli.app import run

        fault = Fault(request["fault"])
        fault.install()
        status = run(request["arguments"])
        signal.setitimer(signal.ITIMER_REAL, 0)
        Path(request["said"] + ".count").write_text(str(fault.count), encoding="utf-8")
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def main() -> None:
    for name in IMPORTED:
        import_module(name)
    import pyarrow
    import torch

    import_module("spikewright.synapse_graph.writers").formats()
    pyarrow.set_cpu_count(1)
    pyarrow.set_io_thread_count(1)
    torch.set_num_threads(1)
    gc.collect()
    gc.freeze()  # so that a fork shares its memory
    gc.disable()
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    for line in sys.stdin:
        request = json.loads(line)
        child = os.fork()
        if child == 0:
            command(request)
        _, status = os.waitpid(child, 0)
        answers.write(json.dumps(os.waitstatus_to_exitcode(status)) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
