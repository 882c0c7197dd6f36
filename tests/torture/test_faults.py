"""Fifty kills of every command that writes, and disks of many sizes that are full: nothing good is ever lost.

``make torture`` runs it, and writes what it found to benchmarks/results/torture/.
"""

from __future__ import annotations

import os
import random
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from faults.commands import COMMANDS, Bench, Command, survive
from faults.disks import on_a_full_disk, small_disk

pytest.importorskip("pyarrow")
pytest.importorskip("nir")
pytestmark = [
    pytest.mark.torture,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="processes fork and end otherwise there"),
]
KILLS, AT_RANDOM = 50, 15
FREE = [0, *(k * 4096 for k in (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 512, 1024, 2048))]
RESULTS = Path(__file__).parents[2] / "benchmarks" / "results" / "torture"
ROWS: dict[str, dict[str, tuple[int, ...]]] = {}
KILLED = ("operations on names", "killed around them", "killed at random")
FULL = ("sizes", "refused", "room enough")
TEXTS = {
    "kills.md": [
        "# Kills",
        "",
        "Every command that writes, on a small network. A good result stands at its place (once in five kills nothing",
        "does). The command that replaces it is ended by SIGKILL right before or after an operation on names (rename,",
        "exchange, unlink, mkdir, rmdir), or at a random time. Then what stands there is the old or the new result,",
        "whole, and a log is of no other graph; and the same command, or the one with another network and other rates,",
        "gives the right bytes and leaves nothing beside them. What is listed passed. `make torture` makes this page.",
    ],
    "full_disks.md": [
        "# Full disks",
        "",
        "Every command that writes, on a small network, where a good result stands on a disk with nothing to 8 MiB",
        "free: one line and exit status 2, the old result as it was or the new one whole, and nothing beside it but",
        "parts of a graph that the line tells of; with room the same command is right. What is listed passed.",
        "`make torture` makes this page.",
    ],
}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    made = Bench.made(tmp_path_factory.mktemp("torture"))
    yield made
    made.zygote.close()


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_fifty_kills(bench: Bench, command: Command) -> None:
    """Around operations on names, and at random times; where a good result stands, and where nothing does.

    Then the same command, or the one with another network and other rates, is right to the byte.
    """
    draw = random.Random(command.name)
    unharmed = survive(bench, command, 0, 1)
    count = unharmed.operations
    places = [(at, when) for at in range(count) for when in ("before", "after")]
    draw.shuffle(places)
    around = at_random = 0
    for k, (at, when) in enumerate(places[: KILLS - AT_RANDOM]):
        done = survive(bench, command, None if k % 5 == 4 else 0, k % 2, at=at, when=when, what="kill")
        around += done.status == -signal.SIGKILL
    tries = 0
    while around + at_random < KILLS:
        tries += 1
        assert tries < 20 * KILLS
        done = survive(bench, command, 0, tries % 2, seconds=draw.uniform(0.001, unharmed.seconds))
        at_random += done.status == -signal.SIGKILL
    record("kills.md", command, KILLED, (count, around, at_random))


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with small_disk(tmp_path_factory.mktemp("disk") / "small") as found:
        if found is None:
            pytest.skip("no disk may be mounted here")
        yield found


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_full_disks(bench: Bench, disk: Path, command: Command) -> None:
    """From nothing free until there is room enough, twice."""
    refused = room = 0
    for free in FREE:
        status = on_a_full_disk(bench, command, disk, free).status
        refused, room = refused + (status == 2), room + (status == 0)
        if room == 2:
            break
    assert refused
    record("full_disks.md", command, FULL, (refused + room, refused, room))


def record(page: str, command: Command, header: tuple[str, ...], numbers: tuple[int, ...]) -> None:
    """What passed, on its page as soon as it did."""
    rows = ROWS.setdefault(page, {})
    rows[command.name] = numbers
    if os.environ.get("SPIKEWRIGHT_TORTURE") != "full":
        return
    lines = [*TEXTS[page], "", "| command | " + " | ".join(header) + " |", "|---|" + "---:|" * len(header)]
    lines += [f"| `{name}` | " + " | ".join(map(str, row)) + " |" for name, row in rows.items()]
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / page).write_text("\n".join([*lines, ""]), encoding="utf-8")
