"""Data from every source, and the message for each way it can be wrong."""

from __future__ import annotations

import gzip
import pickle
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from spikewright.data import ArrayDataset, Dataset, Preprocessing, as_dataset, load_data
from spikewright.demo import CLASSES, demo_data
from spikewright.errors import DataError, SettingsError

X = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
Y = np.array([1, 0])


def idx(values: np.ndarray) -> bytes:
    return bytes([0, 0, 8, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape) + values.tobytes()


def test_npz_with_x_and_y(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", x=X, y=Y)
    data = load_data(str(tmp_path / "d.npz"), shape=(1, 3, 4))
    assert (len(data), data.shape) == (2, (1, 3, 4))
    (x, y), *rest = data.batches(10)
    assert not rest
    assert x.dtype == np.float32
    np.testing.assert_array_equal(x[:, 0], X)
    np.testing.assert_array_equal(y, Y)


def test_an_npz_names_its_classes(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", x=X, y=Y, classes=["cat", "dog"])
    data = load_data(str(tmp_path / "d.npz"), shape=(1, 3, 4))
    assert data.classes == ("cat", "dog")
    turned = load_data(str(tmp_path / "d.npz"), shape=(1, 3, 4), classes=("dog", "cat"))  # as a network was converted
    assert turned.classes == ("dog", "cat")
    np.testing.assert_array_equal(next(turned.batches(5))[1], 1 - Y)
    with pytest.raises(DataError, match="'cat' is no class that the network was converted with"):
        load_data(str(tmp_path / "d.npz"), shape=(1, 3, 4), classes=("dog", "fox"))
    np.savez(tmp_path / "e.npz", x=X, y=Y + 1, classes=["cat", "dog"])
    with pytest.raises(DataError, match="labels up to 2, and names of 2 classes"):
        load_data(str(tmp_path / "e.npz"), shape=(1, 3, 4))


def test_the_data_of_the_demo_name_their_classes() -> None:
    train, test = demo_data()
    assert train.classes == test.classes == CLASSES
    assert len(CLASSES) == 10


def test_a_whole_data_set_as_arrays() -> None:
    """More than one batch of them, with what is done to samples."""
    x = np.arange(5000, dtype=np.uint8).reshape(-1, 1)
    samples, targets = as_dataset((x, np.arange(5000))).arrays()
    np.testing.assert_array_equal(samples, x.astype(np.float32))
    np.testing.assert_array_equal(targets, np.arange(5000))
    data = ArrayDataset(X[:, None], None, Preprocessing(scale=0.5))
    np.testing.assert_array_equal(data.arrays()[0], X[:, None] * np.float32(0.5))
    assert data.arrays()[1] is None
    with pytest.raises(DataError, match="there are no samples"):
        data.take(0).arrays()


def test_a_folder_of_snn_toolbox(tmp_path: Path) -> None:
    np.savez(tmp_path / "x_norm.npz", X[:1])
    np.savez(tmp_path / "x_test.npz", X)
    np.savez(tmp_path / "y_test.npz", np.eye(2)[Y])
    test, train = (load_data(str(tmp_path), split=s, shape=(1, 3, 4)) for s in ("test", "train"))
    assert [len(train), len(test)] == [1, 2]
    np.testing.assert_array_equal(next(test.batches(5))[1], np.eye(2)[Y])  # rows; its task says what they mean
    assert not train.has_labels


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_idx_pairs(tmp_path: Path, suffix: str) -> None:
    pack = gzip.compress if suffix else bytes
    for prefix, part in (("t10k", slice(None)), ("train", slice(1))):
        (tmp_path / f"{prefix}-images-idx3-ubyte{suffix}").write_bytes(pack(idx(X[part])))
        (tmp_path / f"{prefix}-labels-idx1-ubyte{suffix}").write_bytes(pack(idx(Y[part].astype(np.uint8))))
    assert len(load_data(str(tmp_path), split="train")) == 1
    data = load_data(str(tmp_path / f"t10k-images-idx3-ubyte{suffix}"), shape=(12,))
    np.testing.assert_array_equal(next(data.batches(2))[0], X.reshape(2, 12))
    assert data.has_labels


def test_folders_of_pictures(tmp_path: Path) -> None:
    for k, name in enumerate(("cat", "dog")):
        (tmp_path / name).mkdir()
        picture = np.full((4, 5, 3), 10 * k, np.uint8)
        Image.fromarray(picture).save(tmp_path / name / "one.png")
    colour, grey = (load_data(str(tmp_path), shape=(c, 4, 5)) for c in (3, 1))
    assert (colour.shape, grey.shape) == ((3, 4, 5), (1, 4, 5))
    np.testing.assert_array_equal(next(colour.batches(2))[1], [0, 1])
    Image.fromarray(np.zeros((3, 3), np.uint8)).save(tmp_path / "dog" / "small.png")
    with pytest.raises(DataError, match=r"small.png: is \(3, 3\), the first picture \(4, 5\)"):
        load_data(str(tmp_path))


def test_functions_that_return_data(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "import torch\nfrom torch.utils.data import TensorDataset\n\n"
        "def data():\n    return TensorDataset(torch.ones(3, 1, 2, 2), torch.tensor([0, 1, 2]))\n"
    )
    data = load_data(f"{tmp_path / 'mine.py'}:data", shape=(1, 2, 2), preprocessing=Preprocessing(scale=2))
    (x, y), *_ = data.batches(3)
    assert x.max() == 2
    np.testing.assert_array_equal(y, [0, 1, 2])
    with pytest.raises(DataError, match="has no function 'other'"):
        load_data(f"{tmp_path / 'mine.py'}:other")
    with pytest.raises(DataError, match="neither a file nor an importable module"):
        load_data("no.such.module:data")


def test_modules_of_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As under ``python -m``: a console script has its own folder in the path, and not this one."""
    (tmp_path / "data_that_is_here").mkdir()
    (tmp_path / "data_that_is_here" / "made.py").write_text("def four():\n    return [[1.0, 2.0]] * 4\n")
    (tmp_path / "json.py").write_text("def four():\n    raise AssertionError\n")  # hides nothing
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [entry for entry in sys.path if entry])
    monkeypatch.delitem(sys.modules, "json")
    before = list(sys.path)
    assert len(load_data("data_that_is_here.made:four", shape=(2,))) == 4
    with pytest.raises(DataError, match="json: has no function 'four'"):
        load_data("json:four")
    assert sys.path == before


def test_channels_are_put_first() -> None:
    last = np.zeros((2, 8, 9, 3), np.uint8)
    assert _loaded(last, (3, 8, 9)).shape == (3, 8, 9)
    assert _loaded(last[..., 0], (1, 8, 9)).shape == (1, 8, 9)
    assert _loaded(last.reshape(2, -1), (3, 8, 9)).shape == (3, 8, 9)


def _loaded(x: np.ndarray, shape: tuple[int, ...]) -> Dataset:
    return as_dataset(x, {"input": shape})


def test_preprocessing_as_typed() -> None:
    steps = Preprocessing.parse("scale=1/255, mean=0.5:0.25:0, std=2")
    assert steps == Preprocessing(1 / 255, (0.5, 0.25, 0.0), (2.0,))
    assert Preprocessing.parse(str(steps)) == steps
    assert Preprocessing.parse("") == Preprocessing()
    x = np.full((1, 3, 2, 2), 255, np.uint8)
    np.testing.assert_allclose(steps(x)[0, :, 0, 0], [0.25, 0.375, 0.5])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gamma=2", "unknown 'gamma=2'; write scale=..., mean=..., std=..."),
        ("scale=__import__('os')", "scale takes numbers like 0.5 or 1/255"),
        ("scale=1/0", "scale takes numbers"),
        ("std=0", "std must be positive"),
    ],
)
def test_preprocessing_that_is_none(text: str, message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Preprocessing.parse(text)
    assert message in str(caught.value)


def test_preprocessing_for_other_channels() -> None:
    with pytest.raises(DataError, match="preprocessing has 3 channels, the data 1"):
        Preprocessing(mean=(0.1, 0.2, 0.3))(np.zeros((1, 1, 2, 2)))


class Trap:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("unpickled",)


def test_files_that_are_no_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = tmp_path / "good.npz"
    np.savez(good, x=X)
    (tmp_path / "cut.npz").write_bytes(good.read_bytes()[:60])
    np.savez(tmp_path / "objects.npz", x=np.array([Trap()], dtype=object))
    np.savez(tmp_path / "names.npz", pixels=X)
    np.savez(tmp_path / "none.npz", x=X[:0])
    (tmp_path / "cut-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(X))[:20])
    (tmp_path / "short-images-idx3-ubyte").write_bytes(idx(X)[:-3])
    (tmp_path / "data.pkl").write_bytes(pickle.dumps(X))
    (tmp_path / "empty").mkdir()
    for name, message in {
        "missing.npz": "no such file or folder",
        "cut.npz": "damaged or not what its name says",
        "objects.npz": "it holds pickled objects",
        "names.npz": "holds pixels; expected arrays named x and y",
        "none.npz": "the data set is empty",
        "cut-images-idx3-ubyte.gz": "damaged or not what its name says",
        "short-images-idx3-ubyte": r"21 values where its header says \(2, 3, 4\)",
        "data.pkl": "unknown kind of data",
        "empty": "no data here",
    }.items():
        with pytest.raises(DataError, match=message):
            load_data(str(tmp_path / name))
    with pytest.raises(DataError, match=r"have the shape \(3, 4\), the network takes \(3, 32, 32\)"):
        load_data(str(good), shape=(3, 32, 32))
    assert capsys.readouterr().out == ""


def test_labels() -> None:
    with pytest.raises(DataError, match="2 samples but 3 labels; they must be as many"):
        as_dataset((X, np.array([0, 1, 2])))
    with pytest.raises(DataError, match=r"labels are text, such as 'cat'"):
        as_dataset((X, np.array(["cat", "dog"])))
    kept = as_dataset((X, np.array([0.5, 1], np.float32))).targets
    assert kept.dtype == np.float32


def test_batches_do_not_lose_the_rest_and_fingerprints_see_changes() -> None:
    data = as_dataset((np.arange(10.0).reshape(5, 2), np.arange(5)))
    assert [len(x) for x, _ in data.batches(2)] == [2, 2, 1]
    assert data.take(3).fingerprint != data.fingerprint
    assert as_dataset((np.arange(10.0).reshape(5, 2), np.arange(5))).fingerprint == data.fingerprint


def test_what_is_no_data_at_all() -> None:
    with pytest.raises(DataError, match="cannot read data from a set"):
        as_dataset({1})
    with pytest.raises(DataError, match="data must be numbers"):
        as_dataset(np.array([["a", "b"]]))


def test_several_inputs_from_one_file(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    image, row = random.random((4, 5, 6, 2)), random.random((4, 3))
    np.savez(tmp_path / "two.npz", image=image, row=row, y=np.arange(4))
    inputs = {"image": (2, 5, 6), "row": (3,)}
    data = load_data(str(tmp_path / "two.npz"), inputs=inputs)
    ((x, y),) = data.batches(10)
    np.testing.assert_array_equal(y, np.arange(4))
    np.testing.assert_allclose(x, np.concatenate([np.moveaxis(image, -1, 1).reshape(4, -1), row], 1), rtol=1e-6)
    with pytest.raises(DataError, match="holds image, row, y; the network wants image, other"):
        load_data(str(tmp_path / "two.npz"), inputs={"image": (2, 5, 6), "other": (3,)})
    np.save(tmp_path / "one.npy", row)
    with pytest.raises(DataError, match=r"a network with several inputs takes an .npz with the arrays image, row"):
        load_data(str(tmp_path / "one.npy"), inputs=inputs)


def test_a_folder_without_the_part_that_is_wanted_names_what_it_has(tmp_path: Path) -> None:
    head = bytes((0, 0, 8, 3)) + np.array((4, 3, 4), ">u4").tobytes()
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(head + bytes(48))
    with pytest.raises(DataError, match="no training samples, only t10k-images-idx3-ubyte: give that file"):
        load_data(str(tmp_path), split="train", shape=(12,))
    np.savez(tmp_path / "x_norm.npz", X)
    assert len(load_data(str(tmp_path), split="train", shape=X.shape[1:])) == len(X)
