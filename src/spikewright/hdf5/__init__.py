"""HDF5 files from anywhere, tried in a process of their own before they are opened in this one.

The HDF5 library loops without end, or crashes, on some damaged files, and nothing can stop it from within. So a helper
process (``probe.py``) reads all that is in a file first. It is started once, stays, and is replaced when it is lost.
"""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
from pathlib import Path
from threading import Lock, Timer

SECONDS, BYTES_A_SECOND = 10.0, 5e6
"""A file may take so long, and as much longer as its size asks for on a slow disk."""
_STARTING = 60.0


def check_readable(path: Path, member: str | None = None) -> None:
    """Find out whether HDF5 gets through a file.

    Args:
        path: an HDF5 file, or a zip that holds one.
        member: its name in the zip.

    Raises:
        OSError: where reading does not end, crashes, or takes absurd amounts of memory. Everything else that is wrong
            with a file shows when it is opened.
    """
    seconds = SECONDS + path.stat().st_size / BYTES_A_SECOND
    with _lock:
        helper = _helper()
        if helper is None:  # no process can be started here
            return
        answer = _asked(helper, {"path": str(path.resolve()), "member": member, "seconds": seconds}, seconds)
    if answer == "":
        raise OSError(
            "HDF5 gets lost in it: reading crashes or has no end"
            if helper.timely
            else f"HDF5 gets lost in it: no end after {seconds:.0f} s"
        )
    if answer != "done":
        raise OSError(answer)


class _Helper:
    """The process, and whose it is: a fork must not share it."""

    def __init__(self) -> None:
        self.owner = os.getpid()
        self.timely = True
        script = str(Path(__file__).with_name("probe.py"))
        self.process = subprocess.Popen(
            [sys.executable, "-P", script],  # -P: the script's folder is no place to import from
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def stop(self) -> None:
        if self.owner == os.getpid():
            self.process.kill()
            self.process.communicate()


_lock = Lock()
_running: list[_Helper] = []


def _helper() -> _Helper | None:
    if _running and _running[0].owner == os.getpid() and _running[0].process.poll() is None:
        return _running[0]
    _forget()
    if not sys.executable:
        return None
    try:
        made = _Helper()
    except OSError:
        return None
    if _answer(made, _STARTING) != "ready":
        made.stop()
        return None
    _running.append(made)
    return made


def _asked(helper: _Helper, request: object, seconds: float) -> str:
    """What the helper says, or nothing if it was lost."""
    assert helper.process.stdin is not None
    try:
        helper.process.stdin.write(json.dumps(request) + "\n")
        helper.process.stdin.flush()
        answer = _answer(helper, seconds)
    except OSError:
        answer = ""
    except BaseException:  # Ctrl-C: its next answer would be to this question
        _forget()
        raise
    if not answer:
        _forget()
    return answer


def _answer(helper: _Helper, seconds: float) -> str:
    def late() -> None:
        helper.timely = False
        helper.process.kill()

    assert helper.process.stdout is not None
    timer = Timer(seconds, late)
    timer.daemon = True
    timer.start()
    try:
        return helper.process.stdout.readline().strip()
    finally:
        timer.cancel()


@atexit.register
def _forget() -> None:
    while _running:
        _running.pop().stop()
