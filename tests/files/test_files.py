"""Files and folders are there whole or not at all, whoever writes at the same time and whatever was left before."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import spikewright as sw
from networks import plain
from owners import dead_owner
from spikewright.errors import StorageError
from spikewright.files import (
    abandoned,
    atomic_folder,
    atomic_path,
    check_destination,
    recording,
    swap,
    this_process,
    write_bytes,
    write_text,
)

EXISTS = r"exists; choose another path, or give --force \(force=True\) to replace it"


def test_a_file_is_replaced_only_if_that_is_said(tmp_path: Path) -> None:
    path = tmp_path / "result.txt"
    write_text(path, "old")
    with pytest.raises(StorageError, match=EXISTS):
        write_text(path, "new")
    assert path.read_text() == "old"
    write_text(path, "new", force=True)
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("exchange", [True, False])
def test_what_came_there_in_the_meantime_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exchange: bool
) -> None:
    if not exchange:
        monkeypatch.setattr(swap, "_renamed", lambda *_: False)
    path = tmp_path / "result.txt"

    def write() -> None:
        with atomic_path(path) as temporary:
            temporary.write_text("mine")
            path.write_text("theirs")

    with pytest.raises(StorageError, match=EXISTS):
        write()
    assert path.read_text() == "theirs"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(os.name != "posix", reason="there is no umask")
@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_modes_follow_the_umask(tmp_path: Path, umask: int, mode: int) -> None:
    """Whoever writes: safetensors itself writes 0600. A file that takes another's place is a new file."""
    path = tmp_path / "net.safetensors"
    graph = plain(1).graph()
    before = os.umask(umask)
    try:
        sw.save(graph, path)
        write_text(tmp_path / "text.txt", "text")
        assert {stat.S_IMODE(one.stat().st_mode) for one in tmp_path.iterdir()} == {mode}
        path.chmod(0o400)
        sw.save(graph, path, force=True)
        assert stat.S_IMODE(path.stat().st_mode) == mode
    finally:
        os.umask(before)


def test_threads_that_save_to_one_path_all_succeed(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    graphs = [plain(seed).graph() for seed in range(4)]
    prints = {graph.fingerprint for graph in graphs}
    for _ in range(10):
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda graph: sw.save(graph, path, force=True), graphs))
        assert sw.load(path).fingerprint in prints
    assert list(tmp_path.iterdir()) == [path]


def test_there_is_no_moment_without_a_folder(tmp_path: Path) -> None:
    """Two folders change their names in one step."""
    folder = tmp_path / "result"
    if not (Path("/proc").exists() and can_exchange(tmp_path)):
        pytest.skip("names cannot be exchanged here")
    done = threading.Event()
    seen: list[object] = []

    def look() -> None:
        while not done.is_set():
            try:
                folder.stat()
            except OSError as error:
                seen.append(error)

    make(folder, "first")
    reader = threading.Thread(target=look)
    reader.start()
    for k in range(60):
        make(folder, str(k))
    done.set()
    reader.join()
    assert not seen
    assert (folder / "a").read_text() == "59"
    assert list(tmp_path.iterdir()) == [folder]


def make(folder: Path, text: str) -> None:
    with atomic_folder(folder, force=True) as temporary:
        for name in "abc":
            (temporary / name).write_text(text)


def can_exchange(folder: Path) -> bool:
    for name in ("one", "two"):
        (folder / name).mkdir()
    found = swap.exchange(folder / "one", folder / "two")
    for name in ("one", "two"):
        (folder / name).rmdir()
    return found


def test_without_exchange_a_folder_that_cannot_be_placed_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(swap, "_renamed", lambda *_: False)
    folder = tmp_path / "result"
    make(folder, "old")
    make(folder, "newer")
    assert (folder / "a").read_text() == "newer"
    rename, count = Path.rename, [0]

    def third_fails(path: Path, target: Path) -> Path:
        count[0] += 1
        if count[0] == 3:
            raise OSError(28, "No space left on device")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", third_fails)
    with pytest.raises(StorageError, match="No space left on device; nothing was changed there"):
        make(folder, "newest")
    assert count == [4]
    assert (folder / "a").read_text() == "newer"
    assert list(tmp_path.iterdir()) == [folder]


def test_a_folder_is_replaced_only_if_that_is_said(tmp_path: Path) -> None:
    folder = tmp_path / "result"
    make(folder, "old")

    def write() -> None:
        with atomic_folder(folder) as temporary:
            (temporary / "a").write_text("new")

    with pytest.raises(StorageError, match=EXISTS):
        write()
    assert (folder / "a").read_text() == "old"
    assert list(tmp_path.iterdir()) == [folder]


def test_what_a_dead_process_left_goes_and_what_a_living_one_writes_stays(tmp_path: Path) -> None:
    path = tmp_path / "result.txt"
    dead, alive, reused = dead_owner(), this_process(), f"{this_process().rpartition('-')[0]}-1"
    for owner in (dead, alive, reused, "elsewhere-1-1"):
        (tmp_path / f".result.txt.{owner}.abcd.part").mkdir()
        (tmp_path / f".result.txt.{owner}.abcd.part" / "whole.txt").write_text("half")
    (tmp_path / f".result.txt.{dead}.efgh.part").write_text("half")
    (tmp_path / f".other.txt.{dead}.abcd.part").write_text("half")
    assert [abandoned(owner) for owner in (dead, alive, reused, "elsewhere-1-1", "", "a-b-c")] == [
        True,
        False,
        Path("/proc/self/stat").exists(),  # a number that another process has now
        False,
        False,
        False,
    ]
    check_destination(path)  # before anything is written
    left = sorted(one.name for one in tmp_path.iterdir())
    expected = [f".result.txt.{alive}.abcd.part", ".result.txt.elsewhere-1-1.abcd.part"]
    expected += [f".other.txt.{dead}.abcd.part"]
    expected += [] if abandoned(reused) else [f".result.txt.{reused}.abcd.part"]
    assert left == sorted(expected)


def test_a_link_stays_one_and_what_it_points_to_is_written(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    link, target = tmp_path / "link.txt", tmp_path / "there" / "result.txt"
    link.symlink_to(target)
    write_text(link, "first")  # it led nowhere
    assert (link.is_symlink(), target.read_text()) == (True, "first")
    with pytest.raises(StorageError, match=f"link.txt {EXISTS}"):
        write_text(link, "second")
    write_text(link, "second", force=True)
    assert (link.is_symlink(), target.read_text()) == (True, "second")
    (tmp_path / "folder").symlink_to(tmp_path / "there", target_is_directory=True)
    write_text(tmp_path / "folder" / "more.txt", "more")
    assert (tmp_path / "there" / "more.txt").read_text() == "more"
    assert sorted(one.name for one in tmp_path.rglob("*")) == ["folder", "link.txt", "more.txt", "result.txt", "there"]


def full(*_: object, **__: object) -> None:
    raise OSError(28, "No space left on device")


def test_folders_made_on_the_way_go_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(StorageError, match="No space left on device; nothing was changed there"):
        write_bytes(tmp_path / "some" / "where" / "result", b"")
    assert not list(tmp_path.iterdir())
    monkeypatch.undo()
    write_bytes(tmp_path / "some" / "where" / "result", b"")
    assert (tmp_path / "some" / "where" / "result").exists()


def errors_of_libraries() -> dict[str, BaseException]:
    import zipfile

    import pyarrow
    from safetensors import SafetensorError

    return {
        "safetensors": SafetensorError("I/O error: No space left on device (os error 28)"),
        "pyarrow": pyarrow.ArrowInvalid("half\na file"),
        "zipfile": zipfile.LargeZipFile("too large"),
        "numpy": OSError("28 requested and 0 written"),
        "the system": PermissionError(13, "Permission denied"),
    }


@pytest.mark.parametrize("library", ["safetensors", "pyarrow", "zipfile", "numpy", "the system"])
def test_whatever_a_library_says_is_one_line(tmp_path: Path, library: str) -> None:
    pytest.importorskip("pyarrow")
    path, failure = tmp_path / "result", errors_of_libraries()[library]
    write_text(path, "good")

    def write() -> None:
        with atomic_path(path, force=True) as temporary:
            temporary.write_text("half")
            (temporary.parent / "litter").write_text("of the library")
            raise failure

    with pytest.raises(StorageError) as refused:
        write()
    said = str(refused.value)
    assert said.startswith(f"cannot write {path}: ")
    assert said.endswith("; nothing was changed there")
    assert len(said.splitlines()) == 1
    assert path.read_text() == "good"
    assert list(tmp_path.iterdir()) == [path]


def test_text_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"surrogates not allowed; nothing was changed there"):
        write_text(tmp_path / "result.txt", "half a character: \ud800")
    assert not list(tmp_path.iterdir())


def test_what_is_no_fault_of_the_disk_stays_what_it_is(tmp_path: Path) -> None:
    def write() -> None:
        with atomic_path(tmp_path / "result"):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write()
    assert not list(tmp_path.iterdir())


STEPS: list[Callable[[Path], None]] = [
    lambda path: write_text(path, "text", force=True),
    lambda path: make(path, "text"),
]


@pytest.mark.parametrize("step", range(len(STEPS)))
@pytest.mark.parametrize("when", ["before", "after"])
def test_the_record_says_what_stands_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int, when: str
) -> None:
    """An interruption right before and right after the rename."""
    place = tmp_path / "place"

    def stopped(function: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object, **options: object) -> object:
            if when == "before":
                raise KeyboardInterrupt
            function(*arguments, **options)
            raise KeyboardInterrupt

        return call

    for name in ("rename", "replace"):
        monkeypatch.setattr(os, name, stopped(getattr(os, name)))
    with recording() as written, pytest.raises(KeyboardInterrupt):
        STEPS[step](place)
    monkeypatch.undo()
    assert written.paths == ([str(place)] if when == "after" else [])
    assert place.exists() == (when == "after")
    assert len(list(tmp_path.iterdir())) == (when == "after")


def test_a_long_name_leaves_room_for_what_is_made_of_it(tmp_path: Path) -> None:
    for name in ("n" * 255, "ü" * 127, "n" * 250 + ".json"):
        write_text(tmp_path / name, "first")
        write_text(tmp_path / name, "second", force=True)
        assert (tmp_path / name).read_text() == "second"
    assert len(list(tmp_path.iterdir())) == 3
    left = tmp_path / f".{'n' * 119}"
    assert not left.exists()
