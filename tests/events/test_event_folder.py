"""Events on disk: written batch by batch, there whole or not at all, and read back only if they can be believed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import spikewright as sw
from event_folders import COLUMNS, PATHS, SAMPLES, bytes_of, network, same, write
from owners import dead_owner
from spikewright.engines.event import is_built
from spikewright.errors import DataError, SettingsError, StorageError
from spikewright.events import check_destination, load_events
from spikewright.files import this_process
from spiking_networks import spiking_network

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

ENGINES = ("reference", "event") if is_built() else ("reference",)


@pytest.mark.parametrize("engine", ENGINES)
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), batch_size=st.integers(1, 3))
def test_what_is_read_is_what_was_recorded(
    tmp_path_factory: pytest.TempPathFactory, engine: sw.engines.Engine, seed: int, batch_size: int
) -> None:
    graph, x = spiking_network(seed)
    folder = tmp_path_factory.mktemp("run") / "events"
    how = {"batch_size": batch_size, "engine": engine}
    run = sw.simulate(graph, x, 9, record="events", events_to=folder, **how)  # type: ignore[arg-type]
    stored = load_events(folder)
    assert (stored.network, stored.samples, stored.timesteps) == (graph.fingerprint, 3, 9)
    assert list(stored) == [node.name for node in graph.populations]
    for name, events in run.events.items():
        assert same(stored[name], events)
        assert stored.counts[name] == len(events)
        for batch in stored.batches(name):
            assert len(np.unique(batch.sample // batch_size)) == 1


def test_only_what_was_asked_for_stays_in_memory(tmp_path: Path) -> None:
    seen = []
    run = write(tmp_path / "events", observers=[lambda _, batch: seen.append(dict(batch.events))])
    assert not run.events
    assert not run.spikes
    assert len(seen) == 3  # observers saw every batch
    stored = load_events(tmp_path / "events")
    assert {name: int(counts.sum()) for name, counts in run.counts.items()} == stored.counts


def test_any_reader_of_parquet_reads_it(tmp_path: Path) -> None:
    write(tmp_path / "events")
    assert sorted(bytes_of(tmp_path / "events")) == ["000-n_1.parquet", "001-n_1.parquet", "events.json"]
    table = pq.read_table(tmp_path / "events" / "000-n_1.parquet")
    assert {field.name: str(field.type) for field in table.schema} == {
        "sample": "int64",
        "timestep": "int32",
        "neuron": "int32",
        "value": "float",
    }
    expected = sw.simulate(network(), SAMPLES, 12, record="events").events["n/1"]
    for name in COLUMNS:
        np.testing.assert_array_equal(table[name].to_numpy(), getattr(expected, name))
    described = pq.ParquetFile(tmp_path / "events" / "000-n_1.parquet").metadata
    assert described.num_row_groups == 3  # batches
    assert described.row_group(0).column(0).compression == "ZSTD"
    facts = json.loads((tmp_path / "events" / "events.json").read_text(encoding="utf-8"))
    assert facts["network"] == network().fingerprint
    assert (facts["samples"], facts["timesteps"]) == (7, 12)
    assert [(one["name"], one["file"], one["shape"]) for one in facts["populations"]] == [
        ("n/1", "000-n_1.parquet", [6]),
        ("n 1", "001-n_1.parquet", [6]),
    ]


def test_other_tools_read_it(tmp_path: Path) -> None:
    duckdb, polars = pytest.importorskip("duckdb"), pytest.importorskip("polars")
    write(tmp_path / "events")
    file, events = tmp_path / "events" / "000-n_1.parquet", load_events(tmp_path / "events")["n/1"]
    query = f"select count(*), sum(sample), sum(timestep), sum(neuron), sum(value) from '{file}'"
    sums = (len(events), *(int(getattr(events, name).sum()) for name in COLUMNS))
    assert duckdb.sql(query).fetchall() == [sums]
    assert polars.read_parquet(file)["neuron"].to_list() == events.neuron.tolist()


def test_nothing_but_silence(tmp_path: Path) -> None:
    write(tmp_path / "events", SAMPLES * 0)
    stored = load_events(tmp_path / "events")
    assert set(stored.counts.values()) == {0}
    assert not stored["n/1"].dense(7, 12).any()


def test_an_empty_folder_is_taken_and_a_missing_one_is_made(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    write(tmp_path / "empty")
    write(tmp_path / "some" / "where")
    assert bytes_of(tmp_path / "empty") == bytes_of(tmp_path / "some" / "where")


def test_a_result_is_replaced_only_if_that_is_said(tmp_path: Path) -> None:
    folder = tmp_path / "events"
    write(folder)
    before = bytes_of(folder)
    with pytest.raises(StorageError, match=r"events exists; choose another path, or give --force \(force=True\)"):
        write(folder, SAMPLES[:2])
    assert bytes_of(folder) == before
    write(folder, SAMPLES[:2], force=True)
    assert load_events(folder).samples == 2
    assert list(tmp_path.iterdir()) == [folder]


def test_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "there")
    write(tmp_path / "link")
    write(tmp_path / "link", force=True)
    assert (tmp_path / "link").is_symlink()
    assert load_events(tmp_path / "there").samples == 7


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("what", ["a file", "a broken link", "a stranger's folder", "their Parquet", "events and more"])
def test_what_is_not_events_is_never_replaced(tmp_path: Path, force: bool, what: str) -> None:
    folder = tmp_path / "mine"
    if what == "a file":
        folder.write_text("precious", encoding="utf-8")
    elif what == "events and more":
        write(folder)
        (folder / "notes.txt").write_text("precious", encoding="utf-8")
    elif what == "a broken link":
        folder.symlink_to(folder)
    else:
        folder.mkdir()
        (folder / ("photo.jpg" if "stranger" in what else "table.parquet")).write_text("precious", encoding="utf-8")
    before = kept(folder)
    with pytest.raises(StorageError, match="mine is not a folder of events and is not replaced; choose another path"):
        write(folder, force=force)
    assert kept(folder) == before
    assert list(tmp_path.iterdir()) == [folder]


def kept(place: Path) -> object:
    if place.is_symlink():
        return place.readlink()
    return place.read_bytes() if place.is_file() else bytes_of(place)


def stop(*_: object) -> None:
    raise KeyboardInterrupt


def full(*_: object, **__: object) -> None:
    raise OSError(28, "No space left on device")


def test_an_interrupted_run_leaves_what_was_there(tmp_path: Path) -> None:
    folder = tmp_path / "events"
    with pytest.raises(KeyboardInterrupt):
        write(folder, observers=[stop])
    assert list(tmp_path.iterdir()) == []
    write(folder)
    before = bytes_of(folder)
    with pytest.raises(KeyboardInterrupt):
        write(folder, observers=[stop], force=True)
    with pytest.raises(DataError, match="the data set is empty"):
        write(folder, SAMPLES[:0], force=True)
    assert bytes_of(folder) == before
    assert list(tmp_path.iterdir()) == [folder]


@pytest.mark.parametrize("method", ["__init__", "write_table"])
def test_a_full_disk_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    folder = tmp_path / "events"
    write(folder)
    before = bytes_of(folder)
    monkeypatch.setattr(pq.ParquetWriter, method, full)
    with pytest.raises(StorageError) as refused:
        write(folder, force=True)
    assert str(refused.value) == f"cannot write {folder}: No space left on device; nothing was changed there"
    assert bytes_of(folder) == before
    assert list(tmp_path.iterdir()) == [folder]


@contextmanager
def files_end_at(size: int) -> Iterator[None]:
    """No file that this process writes can grow beyond so many bytes."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such limits there")
@pytest.mark.parametrize("missing", [1, 300, "all"])
def test_files_that_cannot_grow(tmp_path: Path, missing: int | str) -> None:
    """The system itself refuses: at the end of a file, where its tables stand, or before."""
    write(tmp_path / "whole")
    size = max(len(data) for data in bytes_of(tmp_path / "whole").values())
    limit = 1 if missing == "all" else size - int(missing)
    folder = tmp_path / "events"
    with pytest.raises(StorageError) as refused, files_end_at(limit):
        write(folder)
    assert str(refused.value).startswith(f"cannot write {folder}: ")
    assert str(refused.value).endswith("; nothing was changed there")
    assert "File too large" in str(refused.value)
    assert list(tmp_path.iterdir()) == [tmp_path / "whole"]


def test_a_folder_that_cannot_be_put_in_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "events"
    write(folder)
    before = bytes_of(folder)
    rename = Path.rename

    def once(path: Path, target: Path) -> Path:
        return full() if path.suffix == ".part" else rename(path, target)  # type: ignore[func-returns-value, return-value]

    monkeypatch.setattr(Path, "rename", once)
    with pytest.raises(StorageError, match="No space left on device; nothing was changed there"):
        write(folder, force=True)
    assert bytes_of(folder) == before
    assert list(tmp_path.iterdir()) == [folder]


def test_what_came_there_in_the_meantime_stays(tmp_path: Path) -> None:
    folder = tmp_path / "events"

    def another(*_: object) -> None:
        if not folder.exists():
            write(folder, SAMPLES[:1])

    with pytest.raises(StorageError, match="events exists"):
        write(folder, observers=[another])
    assert load_events(folder).samples == 1
    assert list(tmp_path.iterdir()) == [folder]


SLOW = """
import sys, time
sys.path[:0] = {paths!r}
from pathlib import Path
from event_folders import write
write(Path({folder!r}), observers=[lambda *_: time.sleep(60)])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="processes end otherwise there")
def test_what_a_killed_run_left_goes_with_the_next(tmp_path: Path) -> None:
    folder = tmp_path / "events"
    child = subprocess.Popen([sys.executable, "-c", SLOW.format(paths=PATHS, folder=str(folder))])
    until = time.monotonic() + 60
    while not list(tmp_path.glob(".events.*/*.parquet")) and time.monotonic() < until:
        time.sleep(0.02)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert not folder.exists()
    assert len(list(tmp_path.iterdir())) == 1
    write(folder)
    assert list(tmp_path.iterdir()) == [folder]


@pytest.mark.skipif(sys.platform == "win32", reason="processes end otherwise there")
def test_a_result_that_was_set_aside_comes_back(tmp_path: Path) -> None:
    """As when a process was killed between the two renames that replace a folder."""
    folder = tmp_path / "events"
    write(folder)
    before = bytes_of(folder)
    folder.rename(tmp_path / f".events.{dead_owner()}.abcd.old")
    (tmp_path / f".events.{this_process()}.abcd.part").mkdir()  # of one that still runs
    with pytest.raises(StorageError, match="events exists"):
        write(folder)
    assert bytes_of(folder) == before
    assert len(list(tmp_path.iterdir())) == 2


def test_without_pyarrow_one_line_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(SettingsError, match="this needs pyarrow: pip install"):
        check_destination(tmp_path / "events", force=False)


def test_more_populations_than_files_may_be_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr("spikewright.events.writing.EventWriter._open", full)
    with pytest.raises(StorageError, match=r"2 populations need as many open files at once, .* 'ulimit -n 202'"):
        sw.simulate(network(), np.ones((1, *network().sample_shape), np.float32), 2, events_to=tmp_path / "events")
    assert not list(tmp_path.iterdir())
