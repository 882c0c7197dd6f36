"""Random networks against chips: memory, limits and the best cores, beside an independent trial of everything.

``python benchmarks/chip_networks.py 5000`` writes ``results/chip_networks.md``. The brute force stands in
``tests/chips/brute_chip.py``, and says nothing by the product's code but the layers that it draws.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent / "tests"), str(HERE.parent / "tests" / "chips")]


def main(count: int) -> None:
    """Check so many random networks, and write down what was found."""
    from test_mapping import checked

    start = time.process_time()
    found = [checked(seed) for seed in range(count)]
    seconds = time.process_time() - start
    mapped, kept = (sum(column) for column in zip(*found, strict=True))
    lines = [
        "# Random networks against a brute force",
        "",
        f"`python benchmarks/chip_networks.py {count}`: {count:,} networks of 1 to 6 layers on speck2f (70 %) and",
        "speck2cmini. Memory words, synaptic operations, limits, the cores that hold each layer, and the best",
        "assignment were equal to those of a trial of everything, in all of them.",
        "",
        f"- {mapped:,} have an assignment, and got the best one; {count - mapped:,} have none, and none was found.",
        f"- {kept:,} keep all limits other than memory; of the others the same layers were named.",
        f"- {seconds:.0f} s of one core, nearly all of it the brute force.",
        "",
    ]
    (HERE / "results" / "chip_networks.md").write_text("\n".join(lines))
    print("\n".join(lines))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5000)
