"""Files as they come: damaged, odd, hostile or called something else. Each is read right, or refused in one line."""

from __future__ import annotations

import gzip
import io
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from spikewright.data import Dataset, load_data
from spikewright.errors import DataError

X = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
Y = np.array([1, 0])
SHAPE = (1, 3, 4)


def idx(values: np.ndarray, kind: int = 8) -> bytes:
    return bytes([0, 0, kind, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape) + values.tobytes()


def npz(**arrays: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)
    return stream.getvalue()


def zipped(**members: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        for name, content in members.items():
            file.writestr(name.replace("__", "."), content)
    return stream.getvalue()


def patched(raw: bytes, place: int, value: bytes) -> bytes:
    return raw[:place] + value + raw[place + len(value) :]


GOOD = idx(X)
FILES: dict[str, tuple[str, bytes, str]] = {
    # what it is: (its name, what it holds, what is said; nothing where it is right)
    "x and y": ("d.npz", npz(x=X, y=Y), ""),
    "without labels": ("d.npz", npz(x=X), ""),
    "arrays without names": ("d.npz", npz(arr_0=X, arr_1=Y), ""),
    "a split": ("d.npz", npz(x_test=X, y_test=Y, x_train=X[:1], y_train=Y[:1]), ""),
    "labels in a column": ("d.npz", npz(x=X, y=Y[:, None]), ""),
    "labels as floats": ("d.npz", npz(x=X, y=Y.astype(float)), ""),
    "big-endian": ("d.npz", npz(x=X.astype(">i4"), y=Y.astype(">i2")), ""),
    "Fortran order": ("d.npz", npz(x=np.asfortranarray(X), y=Y), ""),
    "flat rows": ("d.npz", npz(x=X.reshape(2, 12), y=Y), ""),
    "a suffix in capitals": ("D.NPZ", npz(x=X, y=Y), ""),
    "something else beside it": ("d.npz", zipped(x__npy=npy(X), readme__txt=b"hello"), ""),
    "text as labels": ("d.npz", npz(x=X, y=np.array(["cat", "dog"])), "labels are text, such as 'cat'; the index of"),
    "bytes as labels": ("d.npz", npz(x=X, y=np.array([b"cat", b"dog"])), "labels are text, such as 'cat'"),
    "dates as labels": ("d.npz", npz(x=X, y=np.zeros(2, "M8[D]")), r"labels are datetime64\[D\]"),
    "complex labels": ("d.npz", npz(x=X, y=Y * 1j), "labels are complex128"),
    "NaN labels": ("d.npz", npz(x=X, y=Y * np.nan), "the label of sample 0 holds NaN or infinity"),
    "NaN rows of labels": ("d.npz", npz(x=X, y=np.full((2, 3), np.nan)), "the label of sample 0 holds NaN or infinity"),
    "too few labels": ("d.npz", npz(x=X, y=Y[:1]), "2 samples but 1 labels; they must be as many"),
    "too many labels": ("d.npz", npz(x=X, y=np.arange(9)), "2 samples but 9 labels"),
    "a single label": ("d.npz", npz(x=X, y=np.array(3)), "2 samples but no labels"),
    "samples without axes": ("d.npz", npz(x=np.array(3)), r"must have the shape \(samples, ...\); this array has \(\)"),
    "samples with one axis": ("d.npz", npz(x=np.arange(5)), r"this array has \(5,\)"),
    "no samples": ("d.npz", npz(x=X[:0], y=Y[:0]), "the data set is empty"),
    "samples without values": ("d.npz", npz(x=X[:, :0], y=Y), r"samples of the shape \(0, 4\) hold no values"),
    "objects": ("d.npz", zipped(x__npy=npy(np.array([[None]], object))), "it holds pickled objects"),
    "text as samples": ("d.npz", npz(x=np.array([["a", "b"]])), "data must be numbers, not text"),
    "complex samples": ("d.npz", npz(x=X * 1j), "data must be numbers, not complex numbers"),
    "dates as samples": ("d.npz", npz(x=np.zeros((2, 2), "M8[s]")), r"data must be numbers, not datetime64\[s\]"),
    "records": ("d.npz", npz(x=np.zeros((2, 2), "f4,i4")), "data must be numbers"),
    "another shape": ("d.npz", npz(x=np.zeros((2, 5, 5))), r"have the shape \(5, 5\), the network takes \(1, 3, 4\)"),
    "colours for a grey network": ("d.npz", npz(x=np.zeros((2, 3, 4, 3))), r"shape \(3, 4, 3\), the network takes"),
    "other names": ("d.npz", npz(pixels=X), "holds pixels; expected arrays named x and y"),
    "an empty archive": ("d.npz", zipped(), "holds nothing; expected arrays named x and y"),
    "no arrays in it": ("d.npz", zipped(a__txt=b"x"), "holds nothing; expected arrays"),
    "no array where one should be": ("d.npz", zipped(x__npy=b"text"), "no array: it does not start as one"),
    "an empty file": ("d.npz", b"", "File is not a zip file"),
    "text in it": ("d.npz", b"x,y\n1,2\n", "File is not a zip file"),
    "an npy called npz": ("d.npz", npy(X), "File is not a zip file"),
    "half of it": ("d.npz", npz(x=X, y=Y)[:200], "damaged or not what its name says"),
    "all but its last bytes": ("d.npz", npz(x=X, y=Y)[:-8], "damaged or not what its name says"),
    "its first bytes lost": ("d.npz", npz(x=X, y=Y)[3:], "damaged or not what its name says"),
    "a value changed": ("d.npz", npz(x=X).replace(X.tobytes(), bytes(24)), "Bad CRC-32"),
    "an array": ("d.npy", npy(X), ""),
    "an array in Fortran order": ("d.npy", npy(np.asfortranarray(X)), ""),
    "an array without samples": ("d.npy", npy(X[:0]), "the data set is empty"),
    "a number": ("d.npy", npy(np.array(3.0)), r"must have the shape \(samples"),
    "pickled objects": ("d.npy", npy(np.array([{}, {}])), "it holds pickled objects"),
    "an array cut short": ("d.npy", npy(X)[:-1], "23 bytes of values where its header says 24"),
    "an array with more": ("d.npy", npy(X) + b"!", "25 bytes of values where its header says 24"),
    "an npz called npy": ("d.npy", npz(x=X), "no array: it does not start as one"),
    "an empty npy": ("d.npy", b"", "no array: it does not start as one"),
    "an absurd shape": ("d.npy", npy(X).replace(b"(2, 3, 4)", b"(2, 3,9**9)"), "header that cannot be read"),
    "a negative shape": ("d.npy", npy(X).replace(b"(2, 3, 4)", b"(-2, 3, 4)"), "damaged or not what"),
    "text for a header": ("d.npy", npy(X).replace(b"'descr'", b"'d' 'x'"), "header that cannot be read"),
    "NaN in an array": ("d.npy", npy(np.full((2, 3, 4), np.nan)), "sample 0 holds NaN or infinity"),
    "idx": ("a-images-idx3-ubyte", GOOD, ""),
    "idx packed": ("a-images-idx3-ubyte.gz", gzip.compress(GOOD), ""),
    "idx packed under another name": ("a-images-idx3-ubyte", gzip.compress(GOOD), ""),
    "idx not packed, called gz": ("a-images-idx3-ubyte.gz", GOOD, ""),
    "idx of floats": ("a-images-idx3-float", idx(X.astype(">f4"), 13), ""),
    "idx of doubles": ("a-images-idx3-double", idx(X.astype(">f8"), 14), ""),
    "idx of shorts": ("a-images-idx3-short", idx(X.astype(">i2"), 11), ""),
    "idx in two parts": ("a-images-idx3-ubyte.gz", gzip.compress(GOOD[:20]) + gzip.compress(GOOD[20:]), ""),
    "idx too short": (
        "a-images-idx3-ubyte",
        GOOD[:-3],
        "37 bytes where its header says|21 values where its header says",
    ),
    "idx packed too short": ("a-images-idx3-ubyte.gz", gzip.compress(GOOD[:-3]), "21 values where its header says"),
    "idx too long": ("a-images-idx3-ubyte", GOOD + b"!", "more values than its header says"),
    "idx packed too long": ("a-images-idx3-ubyte.gz", gzip.compress(GOOD + b"!"), "more values than its header says"),
    "idx cut while packed": ("a-images-idx3-ubyte.gz", gzip.compress(GOOD)[:-12], "damaged or not what"),
    "idx damaged while packed": ("a-images-idx3-ubyte.gz", patched(gzip.compress(GOOD), 20, b"\xff\xff"), "damaged or"),
    "idx with a wrong sum": ("a-images-idx3-ubyte.gz", patched(gzip.compress(GOOD), -8, b"\0\0\0\0"), "damaged or not"),
    "idx of no known type": ("a-images-idx3-ubyte", patched(GOOD, 2, b"\x07"), "no IDX header"),
    "idx without axes": ("a-images-idx3-ubyte", b"\0\0\x08\0", "no IDX header"),
    "idx with a hundred axes": ("a-images-idx3-ubyte", b"\0\0\x08\x64" + bytes(400), "no IDX header"),
    "idx without a header": ("a-images-idx3-ubyte", b"hello, world", "no IDX header"),
    "an empty idx": ("a-images-idx3-ubyte", b"", "no IDX header"),
    "an empty idx.gz": ("a-images-idx3-ubyte.gz", b"", "no IDX header"),
    "idx without samples": ("a-images-idx3-ubyte", idx(X[:0]), "the data set is empty"),
    "idx of another shape": ("a-images-idx3-ubyte", idx(X.reshape(2, 4, 3)), r"have the shape \(4, 3\), the network"),
    "idx of absurd size": ("a-images-idx3-ubyte", b"\0\0\x08\3" + b"\xff" * 12, "no array has the shape"),
    "a pickle": ("d.pkl", b"\x80\x04K\x01.", "unknown kind of data; give .npz, .npy, idx"),
    "a table": ("d.csv", b"1,2", "unknown kind of data"),
    "no suffix": ("data", b"1,2", "unknown kind of data"),
    "text called a picture": ("d.png", b"1,2", "not a readable picture"),
}


def read(path: Path) -> Dataset:
    data = load_data(str(path), shape=SHAPE)
    for x, _ in data.batches(1):
        assert x.shape == (1, *SHAPE)
        assert x.dtype == np.float32
    return data


@pytest.mark.parametrize("name", FILES)
def test_files(tmp_path: Path, name: str) -> None:
    file, content, message = FILES[name]
    (tmp_path / file).write_bytes(content)
    if not message:
        data = read(tmp_path / file)
        np.testing.assert_array_equal(np.concatenate([x for x, _ in data.batches(1)])[:, 0], X)
        if data.has_labels:
            np.testing.assert_array_equal(np.concatenate([np.ravel(y) for _, y in data.batches(2) if y is not None]), Y)
        return
    with pytest.raises(DataError, match=message) as caught:
        read(tmp_path / file)
    assert len(str(caught.value)) < 400
    assert "\n" not in str(caught.value)


FOLDERS: dict[str, tuple[dict[str, bytes], str]] = {
    "idx": ({"t10k-images-idx3-ubyte": GOOD, "t10k-labels-idx1-ubyte": idx(Y.astype(np.uint8))}, ""),
    "idx, one of them packed": (
        {"t10k-images-idx3-ubyte.gz": gzip.compress(GOOD), "t10k-labels-idx1-ubyte": idx(Y.astype(np.uint8))},
        "",
    ),
    "idx with points": ({"t10k-images.idx3-ubyte": GOOD, "t10k-labels.idx1-ubyte": idx(Y.astype(np.uint8))}, ""),
    "EMNIST": ({"emnist-test-images-idx3-ubyte": GOOD, "emnist-test-labels-idx1-ubyte": idx(Y.astype(np.uint8))}, ""),
    "labels of another set": (
        {"t10k-images-idx3-ubyte": GOOD, "t10k-labels-idx1-ubyte": idx(np.zeros(3, np.uint8))},
        "2 samples but 3 labels",
    ),
    "damaged labels": (
        {"t10k-images-idx3-ubyte": GOOD, "t10k-labels-idx1-ubyte": b"\0\0\x08\1\0\0\0\x05ab"},
        "10 bytes where its header says|values where its header says",
    ),
    "only the training part": (
        {"train-images-idx3-ubyte": GOOD},
        "no test samples, only train-images-idx3-ubyte: give that file to take these",
    ),
    "the toolbox": ({"x_test.npz": npz(a=X, arr_0=X), "y_test.npz": npz(arr_0=Y)}, ""),
    "the toolbox with rows": ({"x_test.npz": npz(arr_0=X), "y_test.npz": npz(arr_0=np.eye(2)[Y])}, ""),
    "the toolbox without labels": ({"x_test.npz": npz(arr_0=X)}, ""),
    "the toolbox with text": (
        {"x_test.npz": npz(arr_0=X), "y_test.npz": npz(arr_0=np.array(["a", "b"]))},
        "labels are text",
    ),
    "the toolbox with an empty file": ({"x_test.npz": npz(arr_0=X), "y_test.npz": zipped()}, ""),
    "the toolbox with damage": ({"x_test.npz": npz(arr_0=X)[:90]}, "damaged or not what its name says"),
    "nothing": ({}, "no data here"),
    "nothing but text": ({"a/readme.txt": b"x", "b/notes.md": b"y"}, "no data here"),
    "hidden pictures only": ({".cache/x.png": b"", "__MACOSX/y.png": b""}, "no data here"),
    "empty class folders": ({"a/.keep": b"", "b/.keep": b""}, "no data here"),
    "pictures that are none": ({"a/x.png": b"", "b/y.png": b"text"}, "x.png: not a readable picture"),
}


@pytest.mark.parametrize("name", FOLDERS)
def test_folders(tmp_path: Path, name: str) -> None:
    files, message = FOLDERS[name]
    for file, content in files.items():
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_bytes(content)
    if not message:
        assert len(read(tmp_path)) == 2
        return
    with pytest.raises(DataError, match=message):
        read(tmp_path)


@pytest.mark.parametrize("kind", ["gz", "npz"])
def test_what_unpacks_to_gigabytes_is_not_unpacked(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Issue 11: 3 MB of idx.gz became 6.3 GB before its shape was looked at."""
    monkeypatch.setattr("spikewright.data.idx.UNPACKED", 2**20)
    monkeypatch.setattr("spikewright.npz.UNPACKED", 2**20)
    big = np.zeros((1000, 3, 4000), np.uint8)
    if kind == "gz":
        path = tmp_path / "a-images-idx3-ubyte.gz"
        path.write_bytes(gzip.compress(idx(big)))
        honest = "would unpack to 0.0 GB, which is not believed; if it is meant, unpack it with gunzip first"
    else:
        path = tmp_path / "d.npz"
        np.savez_compressed(path, x=big)
        honest = "unpack to 0.0 GB, which is not believed; if it is meant, save it with np.savez"
    del big
    tracemalloc.start()
    with pytest.raises(DataError, match=r"samples have the shape \(3, 4000\), the network takes \(1, 3, 4\)"):
        load_data(str(path), shape=SHAPE)
    with pytest.raises(DataError, match=honest):
        load_data(str(path), shape=(1, 3, 4000))
    assert tracemalloc.get_traced_memory()[1] < 2e6
    tracemalloc.stop()


def test_more_than_the_header_says_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a-images-idx3-ubyte.gz"
    path.write_bytes(gzip.compress(GOOD + bytes(50_000_000), 1))
    tracemalloc.start()
    with pytest.raises(DataError, match="more values than its header says"):
        load_data(str(path), shape=SHAPE)
    assert tracemalloc.get_traced_memory()[1] < 2e6
    tracemalloc.stop()


Mutant = tuple[str, Callable[[], bytes]]


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("d.npz", lambda: npz(x=X, y=Y)),
        ("d.npy", lambda: npy(X)),
        ("a-images-idx3-ubyte", lambda: GOOD),
        ("a-images-idx3-ubyte.gz", lambda: gzip.compress(GOOD)),
    ],
)
def test_a_thousand_mutations(tmp_path: Path, name: str, make: Callable[[], bytes]) -> None:
    random = np.random.default_rng(0)
    good = make()
    path = tmp_path / name
    for trial in range(500):
        raw = bytearray(good)
        for place in random.integers(0, len(raw), random.integers(1, 5)):
            raw[place] = random.integers(0, 256)
        path.write_bytes(raw[: random.integers(0, len(raw))] if trial % 5 == 0 else raw)
        try:
            read(path)
        except DataError as error:
            assert len(str(error)) < 400  # noqa: PT017


def test_several_inputs_are_checked_too(tmp_path: Path) -> None:
    inputs = {"a": (1, 3, 4), "b": (2,)}

    def refused(message: str, **arrays: np.ndarray) -> None:
        np.savez(tmp_path / "d.npz", **arrays)
        with pytest.raises(DataError, match=message):
            load_data(str(tmp_path / "d.npz"), inputs=inputs)

    refused("holds a; the network wants a, b", a=X)
    refused(r"'b': data must have the shape", a=X, b=np.array(3))
    refused(r"'b': data must be numbers, not text", a=X, b=np.array([["x"], ["y"]]))
    refused(r"input 'b' takes samples of \(2,\), the data have \(3,\)", a=X, b=np.zeros((2, 3)))
    refused("every input needs as many samples", a=X, b=np.zeros((3, 2)))
    refused("the data set is empty", a=X[:0], b=np.zeros((0, 2)))
    refused("labels are text", a=X, b=np.zeros((2, 2)), y=np.array(["a", "b"]))
    refused("2 samples but 3 labels", a=X, b=np.zeros((2, 2)), y=np.arange(3))
    (tmp_path / "folder").mkdir()
    with pytest.raises(DataError, match=r"a network with several inputs takes an .npz with the arrays a, b"):
        load_data(str(tmp_path / "folder"), inputs=inputs)
