"""Thousands of random networks of each framework: refused in words, or exact; never anything else.

``make torture`` runs it, and writes what became of them into ``benchmarks/results/torture-networks.md``.
"""

from __future__ import annotations

import argparse
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

RESULT = Path(__file__).parents[2] / "benchmarks" / "results" / "torture-networks.md"
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


def table(tallies: dict[str, Counter[str]], first: int, seconds: float) -> str:
    """The result as Markdown."""
    lines = [
        "# Random networks",
        "",
        "Written by `make torture` (`tests/torture/networks.py`). Every network is drawn from its seed, from ordinary",
        "layers and, in two of five, from one or two operators that are odd or forbidden. Read: what the graph answers",
        "equals what the framework answers (1e-4 of the range), in batches of several sizes; what became of it after",
        "folding, scaling and conversion too; both engines send the same spikes; its file holds the same graph.",
        "",
        f"| | {' | '.join(COLUMNS)} | read, of those without oddities |",
        f"|---|{'---:|' * (len(COLUMNS) + 1)}",
    ]
    for framework, tally in tallies.items():
        share = tally["plain and read"] / max(tally["plain"], 1)
        cells = " | ".join(f"{tally[column]:,}" for column in COLUMNS)
        lines.append(f"| {framework} | {cells} | {share:.1%} |")
    whole = sum(tallies.values(), Counter())
    cells = " | ".join(f"{whole[column]:,}" for column in COLUMNS)
    lines += [
        f"| **all** | {cells} | {whole['plain and read'] / max(whole['plain'], 1):.1%} |",
        "",
        f"Seeds from {first}; {seconds / 60:.0f} minutes on one core. A fault is a traceback, a warning, a wrong",
        "number or a message that says nothing; each is printed with its seed.",
        "",
    ]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=int(os.environ.get("SPIKEWRIGHT_TORTURE", 3000)) // 3)
    parser.add_argument("--first", type=int, default=0, help="seed of the first network")
    parser.add_argument("--frameworks", nargs="+", choices=FRAMEWORKS, default=list(FRAMEWORKS))
    parser.add_argument("--seconds", type=float, default=float("inf"), help="for each framework")
    parser.add_argument("--result", type=Path, default=RESULT)
    given = parser.parse_args()
    start = time.monotonic()
    tallies = {name: run(name, given.first, given.count, given.seconds) for name in given.frameworks}
    text = table(tallies, given.first, time.monotonic() - start)
    given.result.write_text(text)
    print(text)
    return 1 if any(tally["faults"] for tally in tallies.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
