"""Commands killed before and after every rename: what stood there stands, or the new result does, whole.

The long part, every operation and random times, is in tests/torture.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator

import pytest

from faults.commands import COMMANDS, Bench, Command, survive

pytest.importorskip("pyarrow")
pytest.importorskip("nir")
pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="processes fork and end otherwise there")
RENAMES = ["rename", "replace", "exchange"]
QUICK = [c for c in COMMANDS if c.name in ("convert --statistics", "simulate --events", "synapses .parquet")]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    made = Bench.made(tmp_path_factory.mktemp("faults"))
    yield made
    made.zygote.close()


@pytest.mark.parametrize("command", QUICK, ids=lambda command: command.name)
def test_killed_around_every_rename(bench: Bench, command: Command) -> None:
    count = survive(bench, command, 0, 1, only=RENAMES).operations
    assert count > 0
    for at, when in [*((at, "before") for at in range(max(count - 8, 0), count)), (count - 1, "after")]:
        done = survive(bench, command, 0, at % 2, only=RENAMES, at=at, when=when, what="kill")
        assert done.status == -signal.SIGKILL


def test_killed_where_names_cannot_be_exchanged(bench: Bench) -> None:
    """Then a folder is out of its place for a moment; the next run brings back what stood there."""
    command = next(c for c in COMMANDS if c.name == "simulate --events")
    with bench.folder(command, 0) as folder:
        count = bench.zygote.run(folder, command.typed(1), only=RENAMES, exchange=False).operations
    for at in range(1, count):
        with bench.folder(command, 0) as folder:
            done = bench.zygote.run(
                folder, command.typed(1), only=RENAMES, exchange=False, at=at, when="before", what="kill"
            )
            assert done.status == -signal.SIGKILL
            refused = bench.zygote.run(folder, command.typed(1, force=False))
            assert refused.status == 2
            assert "events exists" in refused.err
