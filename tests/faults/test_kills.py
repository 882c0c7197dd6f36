"""Commands killed before and after every rename: what stood there stands, or the new result does, whole.

The long part, every operation and random times, is in tests/torture.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator

import pytest

from faults.commands import COMMANDS, Bench, Command, survive
from spikewright.reports.network.write import BROWSERS

pytest.importorskip("pyarrow")
pytest.importorskip("nir")
pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="processes fork and end otherwise there")
RENAMES = ["rename", "replace", "exchange"]
DRAWN = Command("inspect --picture .png", ("net.png",), ("inspect", "net?.safetensors", "--picture", "net.png"))
QUICK = [c for c in COMMANDS if c.name in ("convert --statistics", "simulate --events", "synapses .parquet")] + [DRAWN]


BROWSER = """#!/bin/sh
for word in "$@"; do case "$word" in --screenshot=*) shot="${word#*=}";; file://*) page="${word#file://}";; esac; done
cat "$page" > "$shot"
"""
"""Stands in for Chromium: what it draws is the page that it is given."""


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    browser = tmp_path_factory.mktemp("browser") / BROWSERS[0]
    browser.write_text(BROWSER)
    browser.chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(browser.parent), prepend=os.pathsep)
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
