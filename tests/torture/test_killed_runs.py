"""A simulation that is killed at random moments and goes on each time ends in the same bytes."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import spikewright as sw
from networks import plain
from spikewright.cluster import cluster_of
from spikewright.provenance import PROVENANCE

pytestmark = pytest.mark.torture
CODE = """
import sys
from spikewright.cli.app import run
from spikewright.parts import checkpoint
checkpoint.EVERY = 0.0
sys.exit(run(sys.argv[1:]))
"""
TYPED = ("simulate", "net.safetensors", "--data", "data.npz", "-T", "64", "--batch-size", "4", "--allow-overlap")
KILLS = 20
SLOW = 900
"""Seconds for a worker to come back: other work may hold the machine up for minutes."""
PAGE = Path(__file__).parents[2] / "benchmarks" / "results" / "torture" / "long_runs.md"
HEAD = """# Long runs that are killed

A simulation is ended by SIGKILL at random moments, and each time the same command with `--resume` goes on. What it ends
in is equal to what one process gives in one go: byte for byte, and on a cluster every array of it. What is listed
passed; `SPIKEWRIGHT_TORTURE=full pytest -m torture tests/torture/test_killed_runs.py` makes this page.

| run | kills | of whom |
|---|---:|---|
"""


def started(folder: Path, *more: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", CODE, *TYPED, "--engine", "reference", *more], cwd=folder, stderr=subprocess.DEVNULL
    )


def contents(path: Path) -> dict[str, bytes]:
    """The arrays of a result without the command line, which names the cluster."""
    with np.load(path) as found:
        return {name: found[name].tobytes() for name in found.files if name != PROVENANCE}


def kills_wanted() -> int:
    return KILLS if os.environ.get("SPIKEWRIGHT_TORTURE") == "full" else 2


def write_row(run: str, kills: int, of_whom: str) -> None:
    """Put a row on the page, in the place of the one before; short runs are not worth one."""
    if kills < KILLS:
        return
    lines = PAGE.read_text(encoding="utf-8").splitlines() if PAGE.exists() else []
    rows = {line.split(" | ")[0]: line for line in lines if line.startswith("| ") and not line.startswith("| run")}
    rows[f"| {run}"] = f"| {run} | {kills} | {of_whom} |"
    PAGE.write_text(HEAD + "\n".join(sorted(rows.values())) + "\n", encoding="utf-8")


def test_killed_at_random_moments(tmp_path: Path) -> None:
    builder = plain(1)
    graph, x = builder.graph(), builder.samples(400)
    sw.save(sw.convert(graph, x[:8]), str(tmp_path / "net.safetensors"))
    np.savez(tmp_path / "data.npz", x=x, y=np.arange(400) % 4)
    assert started(tmp_path, "-o", "run.npz").wait() == 0
    (tmp_path / "run.npz").rename(tmp_path / "whole.npz")
    draws, kills, left = random.Random(0), 0, 0
    folder = tmp_path / ".run.npz.unfinished"
    while kills < kills_wanted():
        process = started(tmp_path, "-o", "run.npz", "--resume")
        if kills % 3:  # while it counts; else at any moment from the start on
            while process.poll() is None and not any(folder.glob("*.tmp")):
                time.sleep(0.005)
        time.sleep(draws.random() * 2)
        process.send_signal(signal.SIGKILL)
        process.wait()
        kills += 1
        left += folder.is_dir()
        if (tmp_path / "run.npz").exists():
            assert (tmp_path / "run.npz").read_bytes() == (tmp_path / "whole.npz").read_bytes()
            (tmp_path / "run.npz").unlink()
    assert started(tmp_path, "-o", "run.npz", "--resume").wait() == 0
    assert (tmp_path / "run.npz").read_bytes() == (tmp_path / "whole.npz").read_bytes()
    assert not folder.exists()
    assert left, "no kill came while something was kept"
    write_row("in one process", kills, f"the process, {left} times while something was kept")


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_workers_and_clients_are_killed_at_random_moments(tmp_path: Path) -> None:
    """A worker costs its parts, the client the run, which goes on; both end in the numbers of one process."""
    pytest.importorskip("distributed", reason="needs spikewright[dask]")
    builder = plain(1)
    graph, x = builder.graph(), builder.samples(1200)
    sw.save(sw.convert(graph, x[:8]), str(tmp_path / "net.safetensors"))
    np.savez(tmp_path / "data.npz", x=x, y=np.arange(len(x)) % 4)
    assert started(tmp_path, "-o", "whole.npz").wait() == 0
    whole, run = contents(tmp_path / "whole.npz"), tmp_path / "run.npz"
    draws, kills, workers, left = random.Random(1), 0, 0, 0
    with cluster_of("local:2") as cluster:
        while kills < kills_wanted():
            cluster.client.wait_for_workers(2, timeout=SLOW)
            pids = list(cluster.client.run(os.getpid).values())
            process = started(tmp_path, "-o", "run.npz", "--resume", "--cluster", cluster.address)
            time.sleep(2 + draws.random() * 3)
            if kills % 2:
                process.send_signal(signal.SIGKILL)
            else:
                workers += process.poll() is None
                os.kill(draws.choice(pids), signal.SIGKILL)
            assert process.wait() == (-signal.SIGKILL if kills % 2 and not run.exists() else 0)
            left += (tmp_path / ".run.npz.unfinished").is_dir()
            kills += 1
            if run.exists():
                assert contents(run) == whole
                run.unlink()
        cluster.client.wait_for_workers(2, timeout=SLOW)
        assert started(tmp_path, "-o", "run.npz", "--resume", "--cluster", cluster.address).wait() == 0
    assert contents(run) == whole
    said = f"workers ({workers} times while a run went on) and clients (something was kept {left} times) in turn"
    write_row("on two local workers", kills, said)
