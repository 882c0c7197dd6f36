"""Samples that are read where they are needed: the same as those of an array, whatever they come from."""

from __future__ import annotations

import gzip
import os
import pickle
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch.utils.data import DataLoader, IterableDataset
from torch.utils.data import Dataset as TorchDataset

from spikewright.data import (
    ArrayDataset,
    Dataset,
    Preprocessing,
    StreamedDataset,
    as_dataset,
    load_data,
    sample_digests,
)
from spikewright.data.streamed import StreamedDataset as Streamed
from spikewright.errors import DataError

N = 23
X = np.random.default_rng(0).integers(0, 256, (N, 5, 4, 3), np.uint8)  # channels last
Y = np.arange(N) % 4
INPUTS = {"x": (3, 5, 4)}
HOW: dict[str, Any] = {"inputs": INPUTS, "preprocessing": Preprocessing(scale=1 / 255)}


class Items(TorchDataset):
    reads = 0

    def __len__(self) -> int:
        return N

    def __getitem__(self, k: int) -> Any:
        self.reads += 1
        if not 0 <= k < N:
            raise IndexError(k)
        return X[k], int(Y[k])


class Stream(IterableDataset):
    reads = 0

    def __iter__(self) -> Iterator[Any]:
        self.reads += 1
        return iter(zip(X, Y, strict=True))


def generated() -> Iterator[Any]:
    yield from zip(X, Y, strict=True)


def in_batches() -> Iterator[Any]:
    for start in range(0, N, 6):
        yield X[start : start + 6], Y[start : start + 6]


def keras_batches() -> Any:
    class PyDataset:  # as keras.utils.PyDataset, by its name
        def __len__(self) -> int:
            return -(-N // 6)

        num_batches = property(__len__)

        def __getitem__(self, k: int) -> Any:
            return X[6 * k : 6 * k + 6], Y[6 * k : 6 * k + 6]

    return PyDataset()


def idx(values: np.ndarray) -> bytes:
    return bytes([0, 0, 8, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape) + values.tobytes()


def file(name: str) -> Callable[[Path], Any]:
    def write(path: Path) -> Any:
        if name == "stored.npz":
            np.savez(path / name, x=X, y=Y)
        elif name == "packed.npz":
            np.savez_compressed(path / name, x=X, y=Y)
        elif name == "fortran.npz":
            np.savez_compressed(path / name, x=np.asfortranarray(X), y=Y)
        elif name == "fortran-stored.npz":
            np.savez(path / name, x=np.asfortranarray(X), y=Y)
        elif name == "a.npy":
            np.save(path / name, X)
        else:
            pack = gzip.compress if name.endswith(".gz") else bytes
            (path / name).write_bytes(pack(idx(X)))
            (path / name.replace("images-idx3", "labels-idx1")).write_bytes(pack(idx(Y.astype(np.uint8))))
        return str(path / name)

    return write


KINDS: dict[str, Callable[[Path], Any]] = {
    "items": lambda _: Items(),
    "an iterable data set": lambda _: Stream(),
    "a loader": lambda _: DataLoader(Items(), batch_size=7),
    "a loader of an iterable data set": lambda _: DataLoader(Stream(), batch_size=7),
    "a loader of single samples": lambda _: DataLoader(Items(), batch_size=None),
    "a generator function": lambda _: generated,
    "a generator function of batches": lambda _: in_batches,
    "a generator": lambda _: generated(),
    "a generator of batches": lambda _: in_batches(),
    "batches of Keras": lambda _: keras_batches(),
    "a list": lambda _: list(zip(X, Y, strict=True)),
    **{
        name: file(name)
        for name in (
            "stored.npz",
            "packed.npz",
            "fortran.npz",
            "fortran-stored.npz",
            "a.npy",
            "a-images-idx3-ubyte",
            "b-images-idx3-ubyte.gz",
        )
    },
}
WITHOUT_LENGTH = {
    "an iterable data set",
    "a loader of an iterable data set",
    "a generator function",
    "a generator function of batches",
    "a generator",
    "a generator of batches",
}
ONCE = {"a generator", "a generator of batches"}
BY_NUMBER = {"items", "a list", "a.npy"}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def made(kind: str, path: Path, monkeypatch: pytest.MonkeyPatch) -> StreamedDataset:
    monkeypatch.setattr("spikewright.data.load.SMALL", 0)
    found = KINDS[kind](path)
    if isinstance(found, str):
        data = load_data(found, **HOW)
    else:
        given = as_dataset(found)
        assert isinstance(given, StreamedDataset)
        data = Streamed(given.source, HOW["preprocessing"]).with_axes_for(INPUTS)
    assert isinstance(data, StreamedDataset)
    return data


def whole(labelled: bool = True) -> ArrayDataset:
    data = as_dataset((X, Y) if labelled else X, INPUTS)
    assert isinstance(data, ArrayDataset)
    return ArrayDataset(data.x, data.y, HOW["preprocessing"], data.axis)


def assert_same(data: Dataset, wanted: Dataset, size: int = 5) -> None:
    batches = zip(data.batches(size), wanted.batches(size), strict=True)
    for (x, y), (expected, labels) in batches:
        np.testing.assert_array_equal(x, expected)
        assert x.dtype == np.float32
        np.testing.assert_array_equal(y, labels)


@pytest.mark.parametrize("size", [1, 5, 6, 23, 100])
def test_batches_are_those_of_the_array(kind: str, size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = made(kind, tmp_path, monkeypatch)
    assert data.shape == (3, 5, 4)
    assert (data.length is None) == (
        kind in WITHOUT_LENGTH or kind in ("a loader", "batches of Keras") or "loader" in kind
    )
    assert_same(data, whole(data.has_labels), size)
    assert data.length == len(data) == N  # a reading tells
    if kind not in ONCE:
        assert_same(data, whole(data.has_labels), 4)


def test_parts_by_range_and_the_first(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for start, stop in ((0, 5), (7, 19), (19, 23), (20, 30)):
        data = made(kind, tmp_path, monkeypatch)
        part = data.between(start, stop)
        assert part.first_sample == start
        assert_same(part, whole(data.has_labels).between(start, min(stop, N)), 4)
        assert len(part) == min(stop, N) - start
    assert_same(made(kind, tmp_path, monkeypatch).take(9), whole(data.has_labels).take(9))
    inner = made(kind, tmp_path, monkeypatch).between(4, 20).between(3, 9)
    assert inner.first_sample == 7
    assert_same(inner, whole(data.has_labels).between(7, 13))


def test_selections(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = made(kind, tmp_path, monkeypatch)
    rows = np.array([2, 3, 11, 22])
    wanted = whole(data.has_labels)
    assert_same(data.subset(rows), wanted.subset(rows), 3)
    if kind in ONCE:
        return
    assert_same(data.subset(rows).subset(np.array([1, 3])), wanted.subset(rows[[1, 3]]), 3)
    shuffled = np.random.default_rng(0).permutation(N)
    if data.source.steady or data.source.by_place:
        assert_same(data.subset(shuffled), wanted.subset(shuffled), 3)
        assert_same(data.between(3, 9).subset(np.array([4, 0])), wanted.subset(np.array([7, 3])), 3)
    else:
        with pytest.raises(DataError, match=r"come one after the other, .* sample\(N\) \(--samples N\)"):
            data.subset(shuffled)


def test_digests_targets_and_fingerprint_are_noted_on_the_way(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = made(kind, tmp_path, monkeypatch)
    wanted = whole(data.has_labels)
    found, expected = (np.concatenate([x for x, _ in one.noting_batches(4)]) for one in (data, wanted))
    np.testing.assert_array_equal(found, expected)
    monkeypatch.setattr(type(data.source), "read", lambda *_: pytest.fail("read again"))
    np.testing.assert_array_equal(sample_digests(data), sample_digests(wanted))
    assert data.fingerprint == wanted.fingerprint
    np.testing.assert_array_equal(data.targets, wanted.targets)
    np.testing.assert_array_equal(data.labels, wanted.labels)
    assert len(data) == N


def test_what_needs_a_length_is_refused_where_nobody_knows_it(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = made(kind, tmp_path, monkeypatch)
    if kind not in WITHOUT_LENGTH:
        assert len(data) == N
        np.testing.assert_array_equal(data.part(1, 2).targets, whole(data.has_labels).part(1, 2).targets)
        return
    with pytest.raises(DataError, match=r"does not say how many samples it has.*sample\(N\) \(--samples N\)"):
        len(data)
    with pytest.raises(DataError, match="does not say how many samples it has"):
        data.part(0, 2)
    with pytest.raises(DataError, match=r"labels of all samples are needed before: draw some with sample\(N\)"):
        _ = data.targets
    with pytest.raises(DataError, match="digests of all samples are needed before"):
        sample_digests(data)
    assert "an unknown number of samples of 3×5×4" in repr(data)
    if kind in ONCE:
        assert len(list(data.batches(5))) == 5
        with pytest.raises(DataError, match="can be read once only, and it has been"):
            list(data.batches(5))


def test_a_draw_of_what_has_no_length_is_a_reservoir(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, same, other = (made(kind, tmp_path, monkeypatch) for _ in range(3))
    drawn = data.sample(7, seed=3)
    assert len(drawn) == 7
    (x, y), *_ = drawn.batches(7)
    again, *_ = same.sample(7, seed=3).batches(7)
    np.testing.assert_array_equal(x, again[0])
    assert not np.array_equal(x, next(other.sample(7, seed=4).batches(7))[0])
    rows = [int(np.flatnonzero((X.transpose(0, 3, 1, 2) == one).all((1, 2, 3)))[0]) for one in np.rint(255 * x)]
    assert rows == sorted(set(rows))
    assert y is None or y.tolist() == Y[rows].tolist()
    if kind in WITHOUT_LENGTH:
        assert isinstance(drawn, ArrayDataset)
        assert str(drawn.choice(data)) == "7 of 23"


def test_every_sample_is_as_likely_in_a_reservoir() -> None:
    counts = np.zeros(6)
    for seed in range(600):
        drawn = as_dataset(numbers).sample(2, seed)
        for x, _ in drawn.batches(2):
            counts[x[:, 0].astype(int)] += 1
    assert counts.sum() == 1200
    assert (np.abs(counts - 200) < 60).all()  # five standard deviations


def numbers() -> Iterator[Any]:
    for k in range(6):
        yield np.array([k, 0.0])


def test_a_loader_that_shuffles_gives_one_order() -> None:
    data = as_dataset(DataLoader(Items(), batch_size=5, shuffle=True))
    first, second = (np.concatenate([x for x, _ in data.batches(4)]) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, X)
    np.testing.assert_array_equal(data.targets, np.concatenate([y for _, y in data.batches(9) if y is not None]))


def test_what_gives_other_samples_every_time_is_refused() -> None:
    class Random(Items):
        def __getitem__(self, k: int) -> Any:
            return X[k] + np.random.default_rng().random(X[k].shape), int(Y[k])

    data = as_dataset(Random())
    list(data.noting_batches(8))
    with pytest.raises(DataError, match=r"this Random gives other samples each time .*\(sample 0 has changed\)"):
        list(data.batches(8))


def test_items_are_read_once_for_all_that_is_asked_of_them() -> None:
    items = Items()
    data = as_dataset(items, INPUTS)
    assert items.reads == 1  # its shape
    np.testing.assert_array_equal(data.targets, Y)
    _ = data.fingerprint, sample_digests(data), len(data), data.labels
    assert items.reads == N + 1
    items = Items()
    data = as_dataset(items, INPUTS)
    part = data.sample(4)
    assert items.reads == 1
    list(part.noting_batches(9))
    _ = part.fingerprint, part.targets
    assert items.reads == 5


def test_labels_beside_the_items_serve_draws() -> None:
    items = Items()
    items.targets = Y.tolist()  # type: ignore[attr-defined]
    part = as_dataset(items).sample(8)
    assert sorted(part.labels.tolist()) == [0, 0, 1, 1, 2, 2, 3, 3]  # type: ignore[union-attr]
    assert items.reads == 1


def test_a_changed_file_and_a_full_disk_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = made("packed.npz", tmp_path, monkeypatch)
    np.savez_compressed(tmp_path / "packed.npz", x=X[:9], y=Y[:9])
    with pytest.raises(DataError, match=r"packed.npz: damaged .*it has changed since it was opened"):
        list(data.batches(3))
    data = made("packed.npz", tmp_path, monkeypatch)

    def full(*_: Any, **__: Any) -> Any:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr("tempfile.TemporaryFile", full)
    with pytest.raises(
        DataError, match=r"is packed, and for samples out of their order .* say in TMPDIR where there is"
    ):
        data.subset(np.array([3, 1]))


def test_a_value_changed_in_a_streamed_file_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spikewright.data.load.SMALL", 0)
    np.savez(tmp_path / "d.npz", x=X)
    raw = (tmp_path / "d.npz").read_bytes()
    at = raw.index(X[3].tobytes())
    (tmp_path / "d.npz").write_bytes(raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :])
    with pytest.raises(DataError, match="Bad CRC-32"):
        list(load_data(str(tmp_path / "d.npz")).batches(8))


def test_several_inputs_are_streamed_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image, row = np.random.default_rng(0).random((N, 5, 6, 2)), np.random.default_rng(1).random((N, 3))
    np.savez_compressed(tmp_path / "two.npz", image=image, row=row, y=Y)
    inputs = {"image": (2, 5, 6), "row": (3,)}
    wanted = load_data(str(tmp_path / "two.npz"), inputs=inputs)
    monkeypatch.setattr("spikewright.data.load.SMALL", 0)
    data = load_data(str(tmp_path / "two.npz"), inputs=inputs)
    assert isinstance(wanted, ArrayDataset)
    assert isinstance(data, StreamedDataset)
    assert_same(data, wanted)
    rows = np.array([4, 1, 9])
    assert_same(data.subset(rows), wanted.subset(rows))
    assert data.fingerprint == wanted.fingerprint


def test_files_can_be_sent_to_other_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in ("packed.npz", "b-images-idx3-ubyte.gz", "a.npy"):
        data = made(kind, tmp_path, monkeypatch)
        part = pickle.loads(pickle.dumps(data.between(3, 11)))
        assert part.first_sample == 3
        assert_same(part, whole(data.has_labels).between(3, 11))
