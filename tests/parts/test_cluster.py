"""Runs on the workers of a cluster: the same numbers, bit for bit, however many parts, and whichever worker is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spikewright as sw
from networks import plain
from spikewright.cluster import Cluster, cluster_of, for_worker, workers
from spikewright.conversion import Conversion
from spikewright.data import ArrayDataset, as_dataset, load_data
from spikewright.errors import ClusterError, DataError, SettingsError
from spikewright.parts import Checkpoint, checkpoint, cut

pytest.importorskip("distributed", reason="needs spikewright[dask]")
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
RUN: dict[str, Any] = {"batch_size": 4, "quiet": True}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with cluster_of("local:2") as made:
        yield made


@pytest.fixture(scope="module")
def network() -> tuple[Conversion, np.ndarray]:
    builder = plain(1)
    graph, x = builder.graph(), builder.samples(30)
    return sw.convert(graph, x[:8]), x


def test_measures_are_the_same(
    cluster: Cluster, network: tuple[Conversion, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    conversion, x = network
    data, how = (x, np.arange(30) % 4), {**RUN, "allow_overlap": True, "encoder": "poisson"}
    alone = sw.measure(conversion, data, 6, **how)
    told: list[tuple[int, ...]] = []
    for parts in (1, 2, 3, 7):
        monkeypatch.setattr(
            "spikewright.engines.in_parts.cut", lambda n, size, start=0, p=parts: cut(n, size, p, start)
        )
        shared = sw.measure(conversion, data, 6, cluster=cluster, progress=lambda *done: told.append(done), **how)
        assert shared.summary() == alone.summary()
        for name, value in alone.rates.values.items():
            np.testing.assert_array_equal(shared.rates.values[name], value)
        assert told[-1] == (30, 30)


def test_weights_of_8_bits_are_the_same(cluster: Cluster, network: tuple[Conversion, np.ndarray]) -> None:
    conversion, x = network
    how = {**RUN, "allow_overlap": True, "dtype": "int8"}
    alone, shared = (sw.measure(conversion, x, 6, cluster=where, **how) for where in (None, cluster))
    assert shared.summary() == alone.summary()
    assert (shared.engine, shared.run.weight_error) == ("event, int8", alone.run.weight_error)
    assert shared.run.weight_error > 0


def test_statistics_are_the_same(cluster: Cluster, network: tuple[Conversion, np.ndarray]) -> None:
    folded, x = network[0].folded, network[1]
    methods = ["max", "percentile:99", "percentile:90,channels"]
    alone = sw.calibrate(folded, x, methods, batch_size=4)
    shared = sw.calibrate(folded, as_dataset(x.copy(), folded.inputs), methods, batch_size=4, cluster=cluster)
    assert shared.key == alone.key
    assert shared.inputs == alone.inputs
    for method in methods:
        for name, value in alone.scales(method).items():
            np.testing.assert_array_equal(shared.scales(method)[name], value)


def test_events_are_written_to_the_same_bytes(
    cluster: Cluster, network: tuple[Conversion, np.ndarray], tmp_path: Path
) -> None:
    pytest.importorskip("pyarrow")
    sw.simulate(network[0], network[1], 6, events_to=tmp_path / "alone", **RUN)
    sw.simulate(network[0], network[1], 6, events_to=tmp_path / "shared", cluster=cluster, **RUN)
    for one in (tmp_path / "alone").iterdir():
        assert (tmp_path / "shared" / one.name).read_bytes() == one.read_bytes(), one.name


def test_events_of_an_interrupted_run_go_on(
    cluster: Cluster, network: tuple[Conversion, np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a cluster, and then on this machine alone."""
    pytest.importorskip("pyarrow")
    monkeypatch.setattr(checkpoint, "EVERY", 0.0)
    monkeypatch.setattr(checkpoint, "SHARE", 0)
    monkeypatch.setattr(checkpoint, "LOST", 0.0)
    data, how = (network[1], np.arange(30) % 4), {**RUN, "allow_overlap": True, "force": True}
    alone = sw.measure(network[0], data, 6, events_to=tmp_path / "alone", **how)
    original, sent = checkpoint.Stage.keep, tmp_path / "sent"

    def keep(stage: Any, state: Any, done: int, *more: Any, **options: Any) -> None:
        original(stage, state, done, *more, **options)
        raise KeyboardInterrupt

    for where in (cluster, None):
        monkeypatch.setattr(checkpoint.Stage, "keep", keep)
        with pytest.raises(KeyboardInterrupt):
            sw.measure(network[0], data, 6, events_to=sent, checkpoint=Checkpoint(sent), cluster=cluster, **how)
        monkeypatch.setattr(checkpoint.Stage, "keep", original)
        going_on = Checkpoint(sent, resume=True)
        found = sw.measure(network[0], data, 6, events_to=sent, checkpoint=going_on, cluster=where, **how)
        going_on.clear()
        assert found.summary() == alone.summary()
        for one in (tmp_path / "alone").iterdir():
            assert (sent / one.name).read_bytes() == one.read_bytes(), one.name


def test_files_are_read_where_they_are(
    cluster: Cluster, network: tuple[Conversion, np.ndarray], tmp_path: Path
) -> None:
    np.save(tmp_path / "x.npy", network[1])
    stored = load_data(str(tmp_path / "x.npy"), inputs=network[0].spiking.inputs)
    alone = sw.simulate(network[0], network[1], 6, **RUN)
    shared = sw.simulate(network[0], stored, 6, cluster=cluster, **RUN)
    np.testing.assert_array_equal(shared.output, alone.output)
    items = as_dataset([(x, 0) for x in network[1]], network[0].spiking.inputs)
    assert isinstance(for_worker(items.between(4, 8), 4), ArrayDataset)
    found = sw.simulate(network[0], items, 6, cluster=cluster, **RUN)
    np.testing.assert_array_equal(found.output, alone.output)


def _end(folder: str, number: int) -> int:
    """Kill the process that this runs in, once."""
    mark = Path(folder) / str(number)
    with suppress(FileExistsError):
        mark.touch(exist_ok=False)
        if number == 3:
            os.kill(os.getpid(), signal.SIGKILL)
    return number


def ended(shared: str, number: int) -> int:
    return _end(shared, number)


def refused(shared: str, number: int) -> int:
    time.sleep(0.3 * (number == 0))
    raise DataError(f"{shared} {number}")


def slow(_: str, number: int) -> int:
    time.sleep(0.2)
    return number


def calls(count: int) -> list[Any]:
    return [lambda n=number: (n,) for number in range(count)]


def test_a_worker_that_is_killed_costs_its_parts(cluster: Cluster, tmp_path: Path) -> None:
    assert list(cluster.each(ended, str(tmp_path), calls(8))) == list(range(8))


def test_errors_of_workers_are_errors_here(cluster: Cluster) -> None:
    """The first of them, whichever comes first."""
    with pytest.raises(DataError, match=r"^what 0$"):
        list(cluster.each(refused, "what", calls(3)))


def test_clusters_that_cannot_be(monkeypatch: pytest.MonkeyPatch, cluster: Cluster) -> None:
    for text in ("local:", "local:0", "nowhere"):
        with pytest.raises(SettingsError, match=r"^cluster: "), cluster_of(text):
            pass
    monkeypatch.setattr("spikewright.cluster.cluster.SECONDS", 1)
    with (
        pytest.raises(ClusterError, match=r"no scheduler answers at tcp://127\.0\.0\.1:9"),
        cluster_of("tcp://127.0.0.1:9"),
    ):
        pass
    monkeypatch.setattr("spikewright.cluster.cluster.version", lambda _: "9.9")
    with pytest.raises(ClusterError, match=r"has spikewright .*, here is 9.9: install the same on both"):
        Cluster(cluster.client)


def test_a_cluster_without_workers_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    from distributed import Client, LocalCluster

    from spikewright.cluster import cluster as module

    monkeypatch.setattr(module, "DESERTED", 0.2)
    with (
        LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address="127.0.0.1:0", processes=False) as local,
        Client(local) as client,
    ):
        results = Cluster(client).each(slow, "", calls(30))
        next(results)
        local.scale(0)
        with pytest.raises(ClusterError, match="has lost all its workers: start some and run it again"):
            list(results)


def test_workers_that_do_not_start_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    import distributed

    def never(**_: Any) -> None:
        raise TimeoutError("Only 1/2 workers arrived after 60")

    monkeypatch.setattr(distributed, "LocalCluster", never)
    with pytest.raises(ClusterError, match=r"workers on this machine did not start \(Only 1/2"), cluster_of("local:2"):
        pass


def test_a_script_that_starts_workers_without_a_guard_is_told_of_it(tmp_path: Path) -> None:
    """Each worker runs it from its top, and would start workers of its own."""
    script = tmp_path / "script.py"
    script.write_text("from spikewright.cluster import cluster_of\nwith cluster_of('local:1'):\n    pass\n")
    ended = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1].endswith("a script must start them below if __name__ == '__main__':")
    assert ended.stderr.startswith("a worker came to where workers are started: put that below if __name__")


def test_workers_say_what_they_are() -> None:
    assert workers.facts().keys() == {"spikewright", "CPU", "torch", "threads"}


def test_tuning_is_the_same(cluster: Cluster) -> None:
    builder = plain(1)
    graph, x = builder.graph(), builder.samples(60)
    how: dict[str, Any] = {"rules": "best", "timesteps": "4..8", "trials": 4, "batch_size": 8, "hold_out": 30}
    grid = ["method=max", "method=percentile:99", "gain=1..2"]
    alone, shared = (
        sw.tune(graph, x, grid, test=x[:20], allow_overlap=True, cluster=workers, **how) for workers in (None, cluster)
    )
    for one, other in zip(alone.tried, shared.tried, strict=True):
        assert one.point == other.point
        np.testing.assert_array_equal(one.scored.lost, other.scored.lost)
        assert one.scored.synops == other.scored.synops
    assert shared.summary() == alone.summary()
