"""Damaged files by the thousand, read in processes that may crash, hang or fill the memory: ``make torture``.

``python -m faults.campaign COUNT [FORMAT ...]`` runs it by itself; the result is written where ``write`` says.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Timer

from faults.formats import formats, victim

PATIENCE = 120.0
"""Seconds for one file on a busy machine; reading a good one takes less than one."""
FAULTS = ("traceback", "message", "believed", "memory", "crash", "hang")
SANE = ("right", "other", "refused")
RESULTS = Path(__file__).parents[2] / "benchmarks/results/torture/mutations.md"


@dataclass
class Outcome:
    """What became of the damaged files of one format.

    Attributes:
        counts: by what became of them.
        faults: the seeds of what must not be, and what was said.
        seconds: it took.
    """

    counts: Counter[str] = field(default_factory=Counter)
    faults: list[tuple[int, str, str]] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, seed: int, kind: str, text: str) -> None:
        self.counts[kind] += 1
        if kind in FAULTS:
            self.faults.append((seed, kind, text))


def attack(name: str, first: int, count: int) -> Outcome:
    """Read ``count`` damaged files of one format."""
    outcome, started = Outcome(), time.monotonic()
    with TemporaryDirectory() as place:
        folder = Path(place)
        formats()[name].make(folder)
        (folder / "good").write_bytes(victim(folder, name).read_bytes())
        last = first + count
        while first < last:
            first = _worker(name, folder, first, last - first, outcome)
    outcome.seconds = time.monotonic() - started
    return outcome


def _worker(name: str, folder: Path, first: int, count: int, outcome: Outcome) -> int:
    """One process, as far as it gets; the seed to go on with."""
    where = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "OMP_NUM_THREADS": "1"}
    typed = [sys.executable, "-W", "ignore", "-m", "faults.worker", name, str(folder), str(first), str(count)]
    late: list[bool] = []
    with subprocess.Popen(typed, env=where, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None

        def kill() -> None:
            late.append(True)
            process.kill()

        ready, current = False, first
        while True:
            timer = Timer(PATIENCE, kill)
            timer.start()
            line = process.stdout.readline()
            timer.cancel()
            if not line:
                break
            if line.startswith("ready"):
                ready = True
                continue
            said = json.loads(line)
            current = said["seed"]
            if "kind" in said:
                outcome.add(current, said["kind"], said["text"])
                current += 1
        if not ready:
            raise RuntimeError(f"{name}: the good file cannot be read: {process.stderr.read()[-2000:]}")
        if current < first + count:  # it was lost over this one
            outcome.add(current, "hang" if late else "crash", f"exit status {process.wait()}")
            current += 1
    return current


def report(outcomes: dict[str, Outcome]) -> str:
    """A table, and every fault."""
    header = ("format", "mutations", *SANE, "faults", "ms each")
    lines = ["| " + " | ".join(header) + " |", "|---|" + "--:|" * (len(header) - 1)]
    for name, one in outcomes.items():
        total = sum(one.counts.values())
        cells = (total, *(one.counts[kind] for kind in SANE), len(one.faults), f"{1000 * one.seconds / total:.0f}")
        lines.append(f"| {name} | " + " | ".join(map(str, cells)) + " |")
    total = sum((one.counts for one in outcomes.values()), Counter[str]())
    faults = sum(len(one.faults) for one in outcomes.values())
    lines.append(f"| all | {total.total()} | " + " | ".join(str(total[k]) for k in SANE) + f" | {faults} | |")
    lines += [f"- {name}, seed {s}: {kind}: {text}" for name, one in outcomes.items() for s, kind, text in one.faults]
    return "\n".join(lines) + "\n"


ABOUT = """# Damaged files

`make torture` damages a small good file of every format that is read, by flipped bits, cuts, insertions, swaps, numbers
in the place of lengths, and by edits that leave the format whole (members of zips, JSON, HDF5, ONNX, PNG), and reads it
as the commands do, in a process that is watched. *right* is what the good file says, *other* a sane file that says
something else (edits, and formats without a digest), *refused* is one line. Faults are tracebacks, crashes, hangs, more
than 1 GB of memory above what the good file takes, messages of several lines, and a file with a digest or checksums of
ours that is believed though its bytes were changed.

"""


def write(outcomes: dict[str, Outcome], path: Path = RESULTS) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(ABOUT + report(outcomes), encoding="utf-8")


def shares(count: int, names: Sequence[str] = ()) -> dict[str, int]:
    """How many mutations each format gets; those that take long get fewer."""
    chosen = {name: 1 / form.slow for name, form in formats().items() if not names or name in names}
    return {name: max(round(count * share / sum(chosen.values())), 10) for name, share in chosen.items()}


def main() -> None:
    outcomes = {}
    for name, count in shares(int(sys.argv[1]), sys.argv[2:]).items():
        outcomes[name] = attack(name, 1000, count)
        print(report({name: outcomes[name]}), flush=True)
    write(outcomes)


if __name__ == "__main__":
    main()
