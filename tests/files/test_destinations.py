"""Places where nothing can be written are refused in one line, before any work is done."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from spikewright.errors import StorageError
from spikewright.files import check_destination, write_text

CASES = {
    "": "the path of an output is empty; give it a name",
    ".": ". is a folder; give the name of a file",
    "folder": "folder is a folder; give the name of a file",
    "file/below": "cannot write file/below: {here}/file is a file, not a folder",
    "file/far/below": "cannot write file/far/below: {here}/file is a file, not a folder",
    "line\nbreak": "line\\nbreak: a line break or another control character in a path; choose another name",
    "no\0thing": "no\\x00thing: a line break or another control character in a path; choose another name",
    "\x1b[31mred": "\\x1b[31mred: a line break or another control character in a path; choose another name",
    "bytes\udcff": "bytes\\udcff: a line break or another control character in a path; choose another name",
    "n" * 256: f"cannot write {'n' * 100}…{'n' * 99}: File name too long; nothing was changed there",
    "n" * 17_000: f"cannot write {'n' * 100}…{'n' * 99}: File name too long; nothing was changed there",
    "circle": "cannot write circle: Too many levels of symbolic links; nothing was changed there",
    "pipe": "pipe is a device or a pipe and is not replaced; choose another path",
    "socket": "socket is a device or a pipe and is not replaced; choose another path",
    "/dev/null": "/dev/null is a device or a pipe and is not replaced; choose another path",
}


@pytest.mark.skipif(os.name != "posix", reason="other names, other words")
@pytest.mark.parametrize("path", CASES)
def test_a_place_that_cannot_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    Path("file").write_text("precious")
    Path("circle").symlink_to("circle")
    os.mkfifo("pipe")
    with socket.socket(socket.AF_UNIX) as one:
        one.bind("socket")
        before = sorted(tmp_path.rglob("*"))
        for refused in (lambda: check_destination(path, force=True), lambda: write_text(path, "text", force=True)):
            with pytest.raises(StorageError) as error:
                refused()
            assert str(error.value) == CASES[path].format(here=tmp_path)
    assert sorted(tmp_path.rglob("*")) == before
    assert Path("file").read_text() == "precious"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="modes do not bind the superuser")
def test_as_another_user_without_permission(tmp_path: Path) -> None:
    """In a process of its own that gives up what the superuser may."""
    (tmp_path / "closed").mkdir(mode=0o555)
    for folder in (tmp_path, *tmp_path.parents):
        if not folder.stat().st_mode & 0o001:  # nobody else may pass
            folder.chmod(0o755)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.setuid(65534)
            check_destination(tmp_path / "closed" / "below" / "result", force=False)
        except StorageError as error:
            there = tmp_path / "closed"
            said = f"cannot write {there / 'below' / 'result'}: no permission to write into {there}"
            status = 0 if str(error) == said else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
