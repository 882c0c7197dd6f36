"""Thousands of random networks of each framework: refused in words, or exact; never anything else.

``make torture`` runs it, and writes what became of them into ``benchmarks/results/torture/networks.md``.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import traceback
import warnings
from collections import Counter
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "torch")
sys.path.insert(0, str(Path(__file__).parents[1]))

from random_networks import FRAMEWORKS, generator
from random_networks.checking import check

RESULT = Path(__file__).parents[2] / "benchmarks" / "results" / "torture" / "networks.md"
COLUMNS = ("networks", "read", "refused", "converted", "run by both engines", "faults")


def run(framework: str, first: int, count: int, seconds: float) -> Counter[str]:
    """Networks of one framework, seed after seed; a fault is printed with its seed.

    Args:
        framework: one of ``FRAMEWORKS``.
        first: seed.
        count: how many.
        seconds: after which no further network is begun.
    """
    draw, tally, until = generator(framework), Counter[str](), time.monotonic() + seconds
    for seed in range(first, first + count):
        if time.monotonic() > until:
            break
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the framework's own
            network = draw(seed)
        tally["networks"] += 1
        try:
            outcome = check(network, seed)
        except Exception:
            tally["faults"] += 1
            print(f"{framework} {seed}: {network.odd}\n{traceback.format_exc()}", flush=True)
            continue
        tally["refused" if outcome.refused else "read"] += 1
        tally["converted"] += outcome.converted
        tally["run by both engines"] += outcome.ran
        if not network.odd:
            tally["plain"] += 1
            tally["plain and read"] += not outcome.refused
    return tally


Record = dict[str, dict[str, float]]
"""By framework: the first seed, what became of the networks, and how many seconds it took."""


def recorded(place: Path, framework: str, first: int, tally: Counter[str], seconds: float) -> Record:
    """What is known with a run added: to the run before it, where that ended with the seed before ``first``."""
    known: Record = json.loads(place.read_text()) if place.exists() else {}
    before = known.get(framework, {})
    entry: dict[str, float] = {"first": first, "seconds": round(seconds), **tally}
    if before and before["first"] + before["networks"] == first:
        entry = {**before, **{k: before.get(k, 0) + v for k, v in entry.items() if k != "first"}}
    known = {name: entry if name == framework else known[name] for name in FRAMEWORKS if name in {*known, framework}}
    place.write_text(json.dumps(known, indent=1) + "\n")
    return known


def table(record: Record) -> str:
    """The result as Markdown."""
    lines = [
        "# Random networks",
        "",
        "Written by `make torture` (`tests/torture/many_networks.py`). Every network is drawn from its seed,",
        "from ordinary layers and, in two of five, from one or two operators that are odd or forbidden. Read:",
        "what the graph answers equals what the framework answers (1e-4 of the range), in batches of several",
        "sizes; what became of it after folding, scaling and conversion too; both engines send the same",
        "spikes; its file holds the same graph.",
        "",
        f"| | {' | '.join(COLUMNS)} | read, of those without oddities | seeds from | minutes |",
        f"|---|{'---:|' * (len(COLUMNS) + 3)}",
    ]
    whole: Counter[str] = Counter()
    for framework, entry in record.items():
        whole.update({k: int(v) for k, v in entry.items() if k != "first"})
        lines.append(_row(framework, Counter({k: int(v) for k, v in entry.items()}), str(entry["first"])))
    lines += [
        _row("**all**", whole, ""),
        "",
        "On one core, beside other work. A fault is a traceback, a warning, a wrong number or a message that says",
        "nothing; each is printed with its seed.",
        "",
    ]
    return "\n".join(lines)


def _row(name: str, tally: Counter[str], first: str) -> str:
    cells = " | ".join(f"{tally[column]:,}" for column in COLUMNS)
    share = tally["plain and read"] / max(tally["plain"], 1)
    return f"| {name} | {cells} | {share:.1%} | {first} | {tally['seconds'] / 60:.0f} |"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0, help="seed of the first network")
    parser.add_argument("--frameworks", nargs="+", choices=FRAMEWORKS, default=list(FRAMEWORKS))
    parser.add_argument("--seconds", type=float, default=float("inf"), help="for each framework")
    parser.add_argument("--result", type=Path, default=RESULT)
    given = parser.parse_args()
    faults = 0
    for framework in given.frameworks:
        start = time.monotonic()
        tally = run(framework, given.first, given.count, given.seconds)
        faults += tally["faults"]
        place = given.result.with_suffix(".json")
        text = table(recorded(place, framework, given.first, tally, time.monotonic() - start))
        given.result.write_text(text)
        print(text, flush=True)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
