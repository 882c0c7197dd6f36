"""Disks that are full while a good result stands: one line, exit status 2, and the result stands still.

The long part, every command at many sizes, is in tests/torture.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from faults.commands import COMMANDS, Bench
from faults.disks import on_a_full_disk, small_disk

pytest.importorskip("pyarrow")
pytest.importorskip("nir")


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    made = Bench.made(tmp_path_factory.mktemp("full"))
    yield made
    made.zygote.close()


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with small_disk(tmp_path_factory.mktemp("disk") / "small") as found:
        if found is None:
            pytest.skip("no disk may be mounted here")
        yield found


QUICK = [
    ("convert", 0),
    ("convert", 4096),
    ("convert --report", 64 << 10),
    ("convert --statistics", 8192),
    ("export", 4096),
    ("simulate -o", 4096),
    ("simulate --events", 8192),
    ("synapses .parquet", 65536),
    ("synapses .csv", 700_000),
    ("synapses .scipy", 8192),
    ("synapses .hgr", 8192),
    ("synapses .sonata", 8192),
]


@pytest.mark.parametrize(("name", "free"), QUICK)
def test_a_full_disk(bench: Bench, disk: Path, name: str, free: int) -> None:
    command = next(c for c in COMMANDS if c.name == name)
    assert on_a_full_disk(bench, command, disk, free).status == 2
