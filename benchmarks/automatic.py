"""How long ``auto`` takes to choose: the whole command, from its start to the file that it writes.

    SPIKEWRIGHT_DATA=FOLDER SPIKEWRIGHT_MODELS=FOLDER python benchmarks/automatic.py [auto:4 auto:16 …] [--rounds 1]

The trained ResNet-20 of SPIKEWRIGHT_MODELS is loaded, verified, calibrated on Fashion-MNIST's training images and
corrected by each method in turn. Rounds are kept in `results/automatic.jsonl`; the page shows the median of those of
the same machine and version of torch.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from _data import folder
from _networks import beside, processor

METHODS = ("auto:4", "auto:16", "auto:4..32")
RESULT = Path(__file__).parent / "results" / "automatic.md"
ROWS = RESULT.with_suffix(".jsonl")


def seconds(method: str) -> tuple[float, str]:
    """How long a command takes, and what it chose."""
    models = Path(os.environ.get("SPIKEWRIGHT_MODELS", "models"))
    with tempfile.TemporaryDirectory() as kept:
        command = [
            *(sys.executable, "-m", "spikewright", "convert", f"{models / 'definitions.py'}:ResNet"),
            *("--weights", str(models / "fashion_resnet.safetensors"), "--shape", "1,28,28"),
            *("--preprocess", "scale=1/255", "--data", str(folder("fashion-mnist")), "--method", method),
            *("-o", str(Path(kept) / "spiking.safetensors")),
        ]
        started = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        taken = time.perf_counter() - started
    if done.returncode:
        raise SystemExit(done.stderr)
    said = next(line for line in (done.stdout + done.stderr).splitlines() if f"{method} chose" in line)
    return taken, said.partition(" chose ")[2].partition(", 500 of")[0]


def page(rows: list[dict[str, Any]]) -> str:
    machine = rows[-1]["machine"]
    lines = [
        "# How long `auto` takes",
        "",
        "By `benchmarks/automatic.py`. The whole command `spikewright convert`, as a process of its own: loading the",
        "trained ResNet-20, verifying it against PyTorch, drawing what is held out, the search, calibrating",
        "on 5,000 of 60,000 Fashion-MNIST training images, correcting with 256, writing. Seconds by the clock, the",
        "median of all rounds, and each of them. The goal is 60.",
        "",
        "| method | seconds | rounds | what it chose, and what that loses on the 500 images held out |",
        "|---|---|---|---|",
    ]
    others = []
    for method in dict.fromkeys(row["method"] for row in rows):
        some = [row for row in rows if row["method"] == method and row["machine"] == machine]
        if some:
            every = [row["seconds"] for row in some]
            others += [row["beside"] for row in some]
            shown = ", ".join(f"{one:.1f}" for one in every)
            lines.append(f"| `{method}` | {statistics.median(every):.1f} | {shown} | {some[-1]['chose']} |")
    return "\n".join(
        [
            *lines,
            "",
            f"{machine}; threads that computed beside it, before each: {min(others):.1f} to {max(others):.1f}.",
            "",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("methods", nargs="*", default=METHODS)
    parser.add_argument("--rounds", type=int, default=1)
    options = parser.parse_args()
    machine = f"{processor()}, {os.cpu_count()} cores, torch {torch.__version__}"
    for _ in range(options.rounds):
        for method in options.methods:
            others = beside()
            taken, chose = seconds(method)
            print(f"{method}: {taken:.1f} s", flush=True)
            row = {"method": method, "seconds": taken, "chose": chose, "beside": others, "machine": machine}
            with ROWS.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
    rows = [json.loads(line) for line in ROWS.read_text(encoding="utf-8").splitlines()]
    RESULT.write_text(page(rows), encoding="utf-8")


if __name__ == "__main__":
    main()
