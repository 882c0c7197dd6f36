"""Arrays from files: what they say is checked before anything is unpacked, and damage is one line."""

from __future__ import annotations

import io
import tracemalloc
import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from spikewright.errors import DataError
from spikewright.npz import npz_headers, read_npy, read_npz

ARRAYS = {
    "x": np.arange(24, dtype=np.uint8).reshape(2, 3, 4),
    "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "big": np.arange(4, dtype=">i4"),
    "none": np.zeros((0, 3), np.float32),
    "one": np.array(7),
    "text": np.array(["a", "bc"]),
    "rate/conv1": np.ones((2, 2)),
}


def header(shape: str, descr: str = "<f4", order: str = "False") -> bytes:
    text = f"{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\1\0" + len(text).to_bytes(2, "little") + text


def archive(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(f"{name}.npy", content)
    return path


@pytest.mark.parametrize("write", [np.savez, np.savez_compressed])
def test_all_that_numpy_writes_is_read_as_numpy_reads_it(tmp_path: Path, write: object) -> None:
    path = tmp_path / "d.npz"
    write(path, **ARRAYS)  # type: ignore[operator]
    found = read_npz(path)
    assert list(found) == list(ARRAYS)
    for name, array in ARRAYS.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)
    assert list(read_npz(path, ["one", "nowhere"])) == ["one"]
    assert npz_headers(path)["x"].shape == (2, 3, 4)


@pytest.mark.parametrize("name", ARRAYS)
def test_npy_files_too(tmp_path: Path, name: str) -> None:
    np.save(tmp_path / "a.npy", ARRAYS[name])
    np.testing.assert_array_equal(read_npy(tmp_path / "a.npy"), ARRAYS[name])


@pytest.mark.parametrize("write", [np.savez, np.savez_compressed])
def test_a_thousand_mutations_are_read_right_or_refused(tmp_path: Path, write: object) -> None:
    random = np.random.default_rng(0)
    stream = io.BytesIO()
    write(stream, **ARRAYS)  # type: ignore[operator]
    good = stream.getvalue()
    path = tmp_path / "d.npz"
    refused = 0
    for _ in range(1000):
        raw = bytearray(good)
        for place in random.integers(0, len(raw), random.integers(1, 4)):
            raw[place] = random.integers(0, 256)
        cut = random.integers(0, len(raw)) if random.random() < 0.1 else len(raw)
        path.write_bytes(raw[:cut])
        try:
            found = read_npz(path)
        except DataError as error:
            refused += 1
            assert len(str(error)) < 300  # noqa: PT017
            continue
        for name in set(found) & set(ARRAYS):  # a name is guarded by nothing; values are by their sum
            np.testing.assert_array_equal(found[name], ARRAYS[name])
    assert refused > 500


def test_a_thousand_mutated_npy_headers(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    np.save(tmp_path / "good.npy", ARRAYS["x"])
    good = (tmp_path / "good.npy").read_bytes()
    for _ in range(1000):
        raw = bytearray(good)
        for place in random.integers(0, 128, random.integers(1, 3)):
            raw[place] = random.integers(0, 256)
        (tmp_path / "d.npy").write_bytes(raw)
        with suppress(DataError):
            assert read_npy(tmp_path / "d.npy").nbytes == 24


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (header("(4,)") + bytes(15), "15 bytes of values where its header says 16"),
        (header("(4,)") + bytes(17), "17 bytes of values where its header says 16"),
        (header("(-4,)"), r"cannot have the shape \(-4,\)"),
        (header("(2,)", "|O") + bytes(16), "it holds pickled objects"),
        (header("(2,)", "<U0"), "cannot have the shape"),
        (header("(99999999999, 99999999999)"), "cannot have the shape"),
        (header("(" * 3000), "header that cannot be read"),
        (header("(4,)", "no type"), "header that cannot be read"),
        (b"\x93NUMPY\2\0" + (2**31).to_bytes(4, "little") + b"{", "a header of 2,147,483,648 bytes"),
        (b"\x93NUMPY\7\0", "it does not start as one"),
        (b"", "it does not start as one"),
        (b"GIF89a", "it does not start as one"),
    ],
)
def test_arrays_that_are_none(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=f"d.npz: damaged or not what its name says .*{message}.*; simulate again$"):
        read_npz(archive(tmp_path / "d.npz", x=content), advice="simulate again")
    (tmp_path / "d.npy").write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_npy(tmp_path / "d.npy")


def test_a_bomb_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spikewright.npz.UNPACKED", 2**23)
    path = archive(tmp_path / "d.npz", x=header(f"({2**24},)", "|u1") + bytes(2**24))
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=r"0.0 MB in it unpack to 0.0 GB, which is not believed; .* np.savez"):
            read_npz(path)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_files_that_are_no_archives(tmp_path: Path) -> None:
    np.savez(tmp_path / "good.npz", x=ARRAYS["x"])
    with zipfile.ZipFile(tmp_path / "lzma.npz", "w", zipfile.ZIP_LZMA) as file:
        file.write(tmp_path / "good.npz", "x.npy")
    (tmp_path / "text.npz").write_text("no zip at all")
    (tmp_path / "folder.npz").mkdir()
    for name, message in {
        "missing.npz": "missing.npz: no such file$",
        "lzma.npz": "packed in an unusual way",
        "text.npz": "File is not a zip file",
        "folder.npz": r"folder.npz: cannot be read \(Is a directory\)$",
    }.items():
        with pytest.raises(DataError, match=message):
            read_npz(tmp_path / name)
