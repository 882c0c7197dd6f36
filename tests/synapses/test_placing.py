"""Parts are bound to their settings, and a log never says otherwise than the graph it lies beside."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from test_writing import ROWS, bytes_of, made, network

from owners import dead_owner
from spikewright.errors import StorageError
from spikewright.files import this_process
from spikewright.synapse_graph import Synapses, synapses
from spikewright.synapse_graph.settings import KEY, digest
from spikewright.synapse_graph.writers import writer

pq = pytest.importorskip("pyarrow.parquet")


def weights_only() -> Synapses:
    return synapses(network(), part_rows=ROWS)


def hidden(folder: Path) -> list[Path]:
    return sorted(folder.glob(".*"))


def test_every_part_says_by_which_settings_it_was_made(tmp_path: Path) -> None:
    one, other = made(), weights_only()
    for graph, name in ((one, "one"), (other, "other")):
        path = graph.write(tmp_path / f"{name}.parquet")
        found = {pq.read_metadata(part).metadata[KEY.encode()].decode() for part in path.iterdir()}
        assert found == {digest(graph, writer(path))}
        log = json.loads((tmp_path / f"{name}.parquet.json").read_text())
        assert {log["digest"]} == found
    assert digest(one, writer(Path("a.parquet"))) != digest(other, writer(Path("a.parquet")))


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_parts_of_other_rates_are_never_adopted(tmp_path: Path, suffix: str) -> None:
    """Whatever is missing of what was left: its settings, its name, parts of it."""
    whole = bytes_of(weights_only().write(tmp_path / f"whole.{suffix}"))
    target = tmp_path / f"graph.{suffix}"
    made().write(target, shard=(1, 2))
    (left,) = hidden(tmp_path)
    (left / "settings.json").unlink()
    with pytest.raises(StorageError, match="beginning of another graph"):
        weights_only().write(target)
    weights_only().write(target, force=True)
    assert bytes_of(target) == whole
    assert not hidden(tmp_path)


@pytest.mark.parametrize("name", [".graph.parquet.parts", "its own"])
@pytest.mark.parametrize("settings", [None, "{}", "not json"])
def test_parts_without_settings_are_never_adopted(tmp_path: Path, name: str, settings: str | None) -> None:
    graph, target = made(), tmp_path / "graph.parquet"
    folder = tmp_path / (f".graph.parquet.{digest(graph, writer(target))}.parts" if name == "its own" else name)
    (folder / "parts").mkdir(parents=True)
    for where in (folder, folder / "parts"):
        (where / "0000-00000.parquet").write_text("half of another")
    if settings is not None:
        (folder / "settings.json").write_text(settings)
    with pytest.raises(StorageError, match="beginning of another graph"):
        graph.write(target)
    graph.write(target, force=True)
    assert bytes_of(target) == bytes_of(graph.write(tmp_path / "whole.parquet"))
    assert not hidden(tmp_path)


def test_what_another_process_is_writing_is_not_removed(tmp_path: Path) -> None:
    target = tmp_path / "graph.parquet"
    made().write(target, shard=(1, 2))
    (left,) = hidden(tmp_path)
    (left / f"0000-00009.parquet.{this_process()}.abcd.tmp").write_text("half")
    with pytest.raises(StorageError, match="is being written by another process; wait for it, or choose another path"):
        weights_only().write(target, force=True)
    assert hidden(tmp_path) == [left]
    (left / f"0000-00009.parquet.{this_process()}.abcd.tmp").rename(
        left / f"0000-00009.parquet.{dead_owner()}.abcd.tmp"
    )
    weights_only().write(target, force=True)
    assert not hidden(tmp_path)


class Stopped(BaseException):
    """As if the process ended: nothing is cleaned up."""


@pytest.mark.parametrize(("suffix", "last"), [*(("csv", k) for k in range(12)), *(("scipy", k) for k in range(3, 9))])
def test_a_log_never_says_otherwise_than_its_graph(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, last: int
) -> None:
    """Stopped at each of the last operations on names, as if killed; then the next call puts in order what was left."""
    target = tmp_path / f"graph.{suffix}"
    old, new = weights_only(), made()
    old.write(target)
    before = bytes_of(target)
    with dying_at(monkeypatch, operations(suffix, tmp_path, monkeypatch) - 1 - last) as count:
        new.write(target, force=True)
    assert count[0]
    now = bytes_of(target)
    assert_consistent(target, old if now == before else new)
    owned_by_the_dead(tmp_path)
    with pytest.raises(StorageError, match=r"exists; choose another path"):
        old.write(target)  # refused, and yet it tidies
    assert bytes_of(target) == now
    stands = old if now == before else new
    for ending in (".json", ".txt"):
        assert target.with_name(target.name + ending).exists()
    assert_consistent(target, stands)
    new.write(target, force=True)
    assert_consistent(target, new)
    assert bytes_of(target) == bytes_of(new.write(tmp_path / f"whole.{suffix}"))
    assert not hidden(tmp_path)


COUNTED: dict[str, int] = {}


def operations(suffix: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many there are when a graph is replaced by another."""
    if suffix not in COUNTED:
        (folder / "count").mkdir()
        weights_only().write(folder / "count" / f"graph.{suffix}")
        with dying_at(monkeypatch, 1 << 30) as count:
            made().write(folder / "count" / f"graph.{suffix}", force=True)
        COUNTED[suffix] = count[0]
        shutil.rmtree(folder / "count")
    return COUNTED[suffix]


def assert_consistent(target: Path, graph: Synapses) -> None:
    log = target.with_name(f"{target.name}.json")
    if log.exists():
        assert json.loads(log.read_text())["digest"] == digest(graph, writer(target))
    text = target.with_name(f"{target.name}.txt")
    if text.exists():
        assert ("rates: none" in text.read_text()) == (graph.rates is None)


class dying_at:
    """From some operation on names on, every operation fails: what is cleaned up after a fault is not after a kill."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
        self.patch, self.step, self.count = monkeypatch, step, [0]

    def __enter__(self) -> list[int]:
        def wrapped(function: Callable[..., object]) -> Callable[..., object]:
            def call(*arguments: object, **options: object) -> object:
                self.count[0] += 1
                if self.count[0] > self.step:
                    raise Stopped
                return function(*arguments, **options)

            return call

        from spikewright.files import swap

        for name in ("rename", "replace", "unlink", "rmdir", "mkdir"):
            self.patch.setattr(os, name, wrapped(getattr(os, name)))
        self.patch.setattr(swap, "_renamed", wrapped(swap._renamed))
        return self.count

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        self.patch.undo()
        return kind is Stopped


def owned_by_the_dead(folder: Path) -> None:
    for left in hidden(folder):
        if this_process() in left.name:
            left.rename(folder / left.name.replace(this_process(), dead_owner()))
    for left in folder.glob(".*/*.tmp"):
        left.rename(left.with_name(left.name.replace(this_process(), dead_owner())))


@pytest.mark.parametrize("suffix", ["parquet", "csv", "graphml"])
def test_threads_that_write_one_graph_all_succeed(tmp_path: Path, suffix: str) -> None:
    graph, target = made(), tmp_path / f"graph.{suffix}"
    whole = bytes_of(graph.write(tmp_path / f"whole.{suffix}"))
    for _ in range(3):
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda _: graph.write(target, force=True), range(4)))
        assert found == [target] * 4
        assert bytes_of(target) == whole
        assert not hidden(tmp_path)
        shutil.rmtree(target) if target.is_dir() else target.unlink()
        for ending in (".json", ".txt"):
            target.with_name(target.name + ending).unlink()


@pytest.mark.parametrize("suffix", ["parquet", "csv", "scipy"])
def test_threads_that_write_different_graphs_leave_one_and_its_log(tmp_path: Path, suffix: str) -> None:
    graphs = [weights_only(), made()] if suffix == "scipy" else [made(), synapses(made().graph, part_rows=1 << 20)]
    target = tmp_path / f"graph.{suffix}"
    whole = [bytes_of(graph.write(tmp_path / f"whole{k}.{suffix}")) for k, graph in enumerate(graphs)]
    for _ in range(3):
        with ThreadPoolExecutor(2) as pool:
            waiting = [pool.submit(graph.write, target, force=True) for graph in graphs]
        for one in waiting:
            try:
                one.result()
            except StorageError as error:  # the other was still gathering its parts
                assert "being written by another process" in str(error)  # noqa: PT017
        now = bytes_of(target)
        assert now in whole
        assert_consistent(target, graphs[whole.index(now)])
    for left in hidden(tmp_path):
        shutil.rmtree(left)


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    (tmp_path / "graph.parquet").mkdir()
    made().write(tmp_path / "graph.parquet")
    assert list((tmp_path / "graph.parquet").iterdir())


def test_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    for suffix in ("parquet", "csv"):
        link = tmp_path / f"graph.{suffix}"
        link.symlink_to(tmp_path / "disk" / f"real.{suffix}")
        made().write(link)
        weights_only().write(link, force=True)
        assert link.is_symlink()
        assert (tmp_path / "disk" / f"real.{suffix}.json").exists()
    assert sorted(one.name for one in tmp_path.iterdir()) == ["disk", "graph.csv", "graph.parquet"]
    assert not hidden(tmp_path / "disk")


def test_a_log_that_cannot_be_put_there_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replace = os.replace

    def not_the_log(source: Path, target: Path) -> None:
        if str(target).endswith("graph.csv.json"):
            raise OSError(5, "Input/output error")
        replace(source, target)

    monkeypatch.setattr(os, "replace", not_the_log)
    with pytest.raises(StorageError, match=r"graph.csv is written, but not its log: Input/output error"):
        made().write(tmp_path / "graph.csv")
    monkeypatch.undo()
    assert bytes_of(tmp_path / "graph.csv") == bytes_of(made().write(tmp_path / "whole.csv"))
    owned_by_the_dead(tmp_path)
    with pytest.raises(StorageError, match="exists"):
        made().write(tmp_path / "graph.csv")
    assert_consistent(tmp_path / "graph.csv", made())
    assert (tmp_path / "graph.csv.json").exists()
