"""Digests of raw samples: equal where the samples are, whatever their type, batch and preprocessing."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from spikewright.data import ArrayDataset, Dataset, PictureDataset, Preprocessing, as_dataset, load_data, sample_digests
from spikewright.data.dataset import Batch
from spikewright.errors import DataError

PICTURES = np.random.default_rng(0).integers(0, 256, (7, 3, 5, 4), np.uint8)


class Streamed(Dataset):
    """A data set of one's own that counts how often it is read."""

    reads = 0

    def __len__(self) -> int:
        return len(PICTURES)

    @property
    def shape(self) -> tuple[int, ...]:
        return PICTURES.shape[1:]

    @property
    def has_labels(self) -> bool:
        return False

    def batches(self, size: int) -> Iterator[Batch]:
        self.reads += 1
        for start in range(0, len(self), size):
            yield PICTURES[start : start + size].astype(np.float32), None

    def subset(self, rows: np.ndarray) -> Dataset:
        return ArrayDataset(PICTURES[rows])

    @property
    def fingerprint(self) -> str:
        return "streamed"


def test_a_digest_is_blake2b_of_the_values() -> None:
    found = sample_digests(ArrayDataset(PICTURES))
    assert (found.shape, found.dtype) == ((7,), np.dtype(np.uint64))
    expected = [blake2b(p.astype("<f4").tobytes(), digest_size=8).digest() for p in PICTURES]
    assert [int(value).to_bytes(8, "little") for value in found] == expected
    assert len(set(found.tolist())) == 7


@pytest.mark.parametrize("kind", ["u1", "<i8", ">i4", "<f4", ">f8", "<f2"])
def test_types_preprocessing_and_order_in_memory_do_not_matter(kind: str) -> None:
    expected = sample_digests(ArrayDataset(PICTURES))
    turned = np.asfortranarray(PICTURES.astype(kind))
    for data in (ArrayDataset(turned), ArrayDataset(turned, preprocessing=Preprocessing(scale=1 / 255, mean=(0.5,)))):
        np.testing.assert_array_equal(sample_digests(data), expected)
    last = as_dataset(np.moveaxis(turned, 1, -1), {"x": (3, 5, 4)})
    np.testing.assert_array_equal(sample_digests(last), expected)
    np.testing.assert_array_equal(sample_digests(ArrayDataset(turned.reshape(7, -1))), expected)


def test_minus_zero_is_zero_and_what_no_float32_holds_is_none_of_our_business() -> None:
    zero, minus = (sample_digests(ArrayDataset(np.array([[x, 1.0]]))) for x in (0.0, -0.0))
    assert zero == minus
    assert len(sample_digests(ArrayDataset(np.array([[1e300], [np.nan]])))) == 2


def test_parts_have_the_digests_of_the_whole_in_their_order() -> None:
    data = ArrayDataset(PICTURES)
    whole = sample_digests(data)
    rows = np.array([5, 0, 3])
    np.testing.assert_array_equal(sample_digests(data.subset(rows)), whole[rows])
    np.testing.assert_array_equal(sample_digests(data.take(4)), whole[:4])
    changed = PICTURES.copy()
    changed[2, 0, 0, 0] ^= 1
    np.testing.assert_array_equal(sample_digests(ArrayDataset(changed)) == whole, np.arange(7) != 2)


def test_pictures_have_those_of_their_files(tmp_path: Path) -> None:
    for k, picture in enumerate(PICTURES):
        Image.fromarray(np.moveaxis(picture, 0, -1)).save(tmp_path / f"{k}.png")
    (tmp_path / "8.png").write_bytes((tmp_path / "0.png").read_bytes())
    data = load_data(str(tmp_path), preprocessing=Preprocessing(range=1.0, resize=(9, 9)))
    assert isinstance(data, PictureDataset)
    found = sample_digests(data)
    contents = [(tmp_path / f"{k}.png").read_bytes() for k in (*range(7), 8)]
    assert [int(v).to_bytes(8, "little") for v in found] == [blake2b(c, digest_size=8).digest() for c in contents]
    assert found[0] == found[7]
    (tmp_path / "3.png").unlink()
    np.testing.assert_array_equal(sample_digests(data), found)
    with pytest.raises(DataError, match=r"3\.png"):
        sample_digests(data.take(7))


def test_a_data_set_of_ones_own_is_read_once() -> None:
    data = Streamed()
    np.testing.assert_array_equal(sample_digests(data), sample_digests(ArrayDataset(PICTURES)))
    assert sample_digests(data) is sample_digests(data)
    assert data.reads == 1
    with pytest.raises(ValueError, match="read-only"):
        sample_digests(data)[0] = 0


def test_memory_is_that_of_a_batch() -> None:
    data = ArrayDataset(np.zeros((4000, 64, 64), np.uint8))
    tracemalloc.start()
    sample_digests(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4_000_000  # as float32 all of them are 65 MB
