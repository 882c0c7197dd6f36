"""What people have in hand: each thing becomes the right data set, or one clear line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, IterableDataset, TensorDataset
from torch.utils.data import Dataset as TorchDataset

from spikewright.data import as_dataset
from spikewright.errors import DataError

X = np.arange(24, dtype=np.float32).reshape(4, 1, 2, 3)
Y = np.array([0, 2, 1, 0])
PICTURES = [Image.fromarray(np.full((2, 3), k, np.uint8)) for k in range(4)]


class Items(TorchDataset):
    """A map-style data set that gives what a function makes of an index."""

    def __init__(self, make: Callable[[int], Any], count: int = 4) -> None:
        self.make, self.count = make, count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, k: int) -> Any:
        return self.make(k)


class Stream(IterableDataset):
    def __iter__(self) -> Iterator[Any]:
        return iter(zip(X, Y, strict=True))


def table() -> Any:
    import pandas

    return pandas.DataFrame({"a": [1, 2], "b": [3, 4]})


def raising(k: int) -> Any:
    raise KeyError("image not found")


T = torch.from_numpy(X.copy())
RIGHT: dict[str, Callable[[], Any]] = {
    "a pair of arrays": lambda: (X, Y),
    "a list of two": lambda: [X, Y],
    "a pair of tensors": lambda: (T, torch.from_numpy(Y)),
    "tensors that need gradients": lambda: (T.clone().requires_grad_(), Y),
    "bfloat16": lambda: (T.to(torch.bfloat16), Y),
    "float16": lambda: (T.half(), Y),
    "eight-bit floats": lambda: ((T / 2).to(torch.float8_e5m2).float() * 0 + T, Y),
    "sparse": lambda: (T.to_sparse(), Y),
    "nested lists": lambda: (X.tolist(), Y.tolist()),
    "labels in a column": lambda: (X, Y[:, None]),
    "labels as booleans and numbers": lambda: (X, Y.astype(np.uint8)),
    "a TensorDataset": lambda: TensorDataset(T, torch.from_numpy(Y)),
    "bfloat16 items": lambda: TensorDataset(T.to(torch.bfloat16), torch.from_numpy(Y)),
    "a DataLoader": lambda: DataLoader(TensorDataset(T, torch.from_numpy(Y)), batch_size=3),
    "a list of pairs": lambda: list(zip(X, Y, strict=True)),
    "a list of lists": lambda: [[x, y] for x, y in zip(X, Y, strict=True)],
    "two pairs are two items": lambda: Items(lambda k: (X[k], int(Y[k]))),
    "numpy labels": lambda: Items(lambda k: (X[k], Y[k])),
    "tensor labels": lambda: Items(lambda k: (T[k], torch.tensor(Y[k]))),
    "dictionaries": lambda: Items(lambda k: {"image": X[k], "label": int(Y[k])}),
    "dictionaries with more": lambda: Items(lambda k: {"pixel_values": T[k], "labels": int(Y[k]), "path": "x.png"}),
    "masked arrays without a mask": lambda: (np.ma.masked_array(X), Y),
    "a read-only array": lambda: (np.broadcast_to(X, X.shape), Y),
    "big-endian": lambda: (X.astype(">f4"), Y.astype(">i8")),
    "Fortran order": lambda: (np.asfortranarray(X), Y),
    "double precision": lambda: (X.astype(np.float64), Y),
    "whole numbers": lambda: (X.astype(np.int64), Y),
}


@pytest.mark.parametrize("name", RIGHT)
def test_what_is_right(name: str) -> None:
    data = as_dataset(RIGHT[name](), {"x": (1, 2, 3)})
    batches = list(data.batches(3))
    np.testing.assert_array_equal(np.concatenate([x for x, _ in batches]), X)
    assert all(x.dtype == np.float32 for x, _ in batches)
    np.testing.assert_array_equal(np.concatenate([np.ravel(y) for _, y in batches if y is not None]), Y)


UNLABELLED: dict[str, Callable[[], Any]] = {
    "an array": lambda: X,
    "a tensor": lambda: T,
    "a pair with None": lambda: (X, None),
    "items": lambda: Items(lambda k: X[k]),
    "items of one": lambda: Items(lambda k: (X[k],)),
    "items with None": lambda: Items(lambda k: (X[k], None)),
    "a list of arrays": lambda: list(X),
    "a list of tensors": lambda: list(T),
    "a tuple of tensors": lambda: tuple(T),
    "a loader of bare tensors": lambda: DataLoader(T, batch_size=3),
    "a dictionary an item": lambda: Items(lambda k: {"x": X[k]}),
}


@pytest.mark.parametrize("name", UNLABELLED)
def test_without_labels(name: str) -> None:
    data = as_dataset(UNLABELLED[name](), {"x": (1, 2, 3)})
    assert not data.has_labels
    ((x, y),) = data.batches(9)
    np.testing.assert_array_equal(x, X)
    assert y is None


def test_pictures_of_pillow() -> None:
    for data in (PICTURES, list(zip(PICTURES, Y, strict=True)), Items(lambda k: (PICTURES[k], int(Y[k])))):
        ((x, _),) = as_dataset(data, {"x": (1, 2, 3)}).batches(9)
        np.testing.assert_array_equal(x[:, 0, 1, 2], [0, 1, 2, 3])


def text(k: int) -> Any:
    return X[k], ("cat", "dog")[k % 2]


WRONG: dict[str, tuple[Callable[[], Any], str]] = {
    "text labels": (lambda: Items(text), r"labels are text, such as 'cat'; the index of each sample's class is wanted"),
    "text labels in an array": (lambda: (X, np.array(["a", "b", "a", "b"])), "labels are text, such as 'a'"),
    "bytes": (lambda: (X, np.array([b"cat"] * 4)), "labels are text, such as 'cat'"),
    "objects": (lambda: (X, np.array([None, 1, 2, 3], object)), "labels are NoneType objects, such as 'None'"),
    "complex labels": (lambda: (X, Y * 1j), "labels are complex128"),
    "dates": (lambda: (X, np.array(["2020-01-01"] * 4, "M8[D]")), r"labels are datetime64\[D\]"),
    "NaN labels": (lambda: (X, Y * np.nan), "the label of sample 0 holds NaN or infinity"),
    "one NaN among rows": (lambda: (X, np.where(np.eye(4) > 0, np.nan, 0)), "the label of sample 0 holds NaN"),
    "infinite labels": (lambda: (X, np.array([0, 1, np.inf, 0])), "the label of sample 2 holds NaN or infinity"),
    "one label": (lambda: (X, 3), "labels are a single number; one is wanted for each sample"),
    "too few labels": (lambda: (X, Y[:3]), "4 samples but 3 labels"),
    "too many labels": (lambda: (X, np.arange(5)), "4 samples but 5 labels"),
    "ragged labels": (lambda: (X, [[1], [2, 3], [4], [5]]), r"labels: cannot be read from a list \(setting an array"),
    "labels of two shapes": (
        lambda: Items(lambda k: (X[k], np.zeros(2 + (k == 3)))),
        r"the label of sample 3 has the shape \(3,\), that of the first \(2,\)",
    ),
    "some without a label": (lambda: Items(lambda k: (X[k], None if k == 2 else 1)), "sample 2 has no label, others"),
    "two sizes": (
        lambda: Items(lambda k: (X[k, :, : 1 + k % 2], 0)),
        r"item 1 has the shape \(1, 2, 3\), the first \(1, 1, 3\); make them one size",
    ),
    "two sizes of pictures": (
        lambda: [PICTURES[0], PICTURES[0].resize((5, 5)), PICTURES[1]],
        r"item 1 has the shape \(1, 5, 5\)",
    ),
    "items of three": (lambda: Items(lambda k: (X[k], 1, k)), "item 0 has 3 parts; samples and labels are wanted"),
    "None among items": (lambda: Items(lambda k: None if k == 1 else (X[k], 1)), "item 1 is None; leave it out"),
    "dictionaries of something": (
        lambda: Items(lambda k: {"a": X[k], "b": 1}),
        "item 0 is a dictionary of a, b; which is the sample cannot be seen",
    ),
    "dictionaries with two samples": (lambda: Items(lambda k: {"x": X[k], "image": X[k]}), "a dictionary of x, image"),
    "items that fail": (lambda: Items(raising), "item 0 of the Items cannot be read: 'image not found'"),
    "a loader that fails": (lambda: DataLoader(Items(raising)), "the DataLoader fails: KeyError"),
    "a loader of two sizes": (
        lambda: DataLoader(Items(lambda k: X[k, :, : 1 + k % 2]), batch_size=1),
        "batches hold samples of different shapes",
    ),
    "a loader of triples": (lambda: DataLoader(Items(lambda k: (X[k], 1, k))), "batch 0 has 3 parts"),
    "a stream of nothing": (lambda: iter([]), "the data set is empty"),
    "a map": (lambda: map(float, X.ravel()), "item 0 is a single number; samples are arrays"),
    "a set": (lambda: {1}, "cannot read data from a set"),
    "a number": (lambda: 3.5, "cannot read data from a float"),
    "None": (lambda: None, "cannot read data from a NoneType"),
    "a path": (lambda: "data.npz", "cannot read data from a str; load_data reads paths"),
    "a function": (lambda: len, "cannot read data from a builtin_function_or_method"),
    "a DataFrame": (table, r"a DataFrame has columns of its own; give arrays, such as table\[columns\].to_numpy\(\)"),
    "a DataFrame with labels": (lambda: (table(), [0, 1]), "a DataFrame has columns of its own"),
    "a column": (lambda: (X, table()["a"]), "labels: a Series has columns of its own"),
    "an empty list": (list, "the data set is empty"),
    "an empty data set": (lambda: Items(lambda k: X[k], 0), "the data set is empty"),
    "no axes": (lambda: np.float32(3), r"data must have the shape \(samples, ...\); this array has \(\)"),
    "one axis": (lambda: np.zeros(7), r"this array has \(7,\)"),
    "samples without values": (lambda: np.zeros((4, 0, 3)), r"samples of the shape \(0, 3\) hold no values"),
    "text": (lambda: np.array([["a", "b"]]), "data must be numbers, not text"),
    "objects as samples": (lambda: np.array([[None, 1]], object), "data must be numbers, not objects"),
    "complex samples": (lambda: X * 1j, "data must be numbers, not complex numbers"),
    "dates as samples": (lambda: np.zeros((2, 2), "M8[s]"), r"data must be numbers, not datetime64\[s\]"),
    "records": (lambda: np.zeros((2, 2), "f4,i4"), "data must be numbers"),
    "ragged lists": (lambda: ([[1, 2], [3]], [0, 1]), r"data: cannot be read from a list"),
    "a masked array": (lambda: np.ma.masked_array(X, X > 3), "a masked array with values that are masked"),
    "a tensor without values": (lambda: torch.zeros(4, 1, 2, 3, device="meta"), "data: cannot be read from a Tensor"),
    "a transparent picture": (
        lambda: [Image.new("RGBA", (3, 2), (1, 2, 3, 4))] * 3 + PICTURES[:1],
        r"item 3 has the shape \(1, 2, 3\), the first \(4, 2, 3\)",
    ),
    "samples of another input": (lambda: {"a": X}, "the network has the inputs x; the data are for a"),
    "samples and labels by name": (
        lambda: {"x": X, "y": Y},
        r"the network has the inputs x; the data are for x, y; samples and labels are given as \(x, y\)",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_refused(name: str) -> None:
    make, message = WRONG[name]
    with pytest.raises(DataError, match=message) as caught:
        list(as_dataset(make(), {"x": (1, 2, 3)}).batches(9))
    assert len(str(caught.value)) < 300
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e300])
def test_values_that_are_none(bad: float) -> None:
    x = X.astype(np.float64)
    x[2, 0, 1, 1] = bad
    with pytest.raises(DataError, match="sample 2 holds NaN or infinity; remove or repair it"):
        list(as_dataset((x, Y)).batches(9))


def test_a_selection_names_samples_by_their_place_in_the_whole() -> None:
    x = np.zeros((12, 3), np.float32)
    x[9, 1] = np.nan
    data = as_dataset((x, np.arange(12)))
    parts = (
        data.subset(np.array([2, 9, 4])),
        data.subset(np.array([2, 4, 9, 7])).subset(np.array([3, 2])).take(2),
        data.part(1, 2).subset(np.array([0, 3])),
        data.subset(np.array([0, 1, 8, 9])).part(1, 2),
        data.sample(11, seed=1),
    )
    for part in parts:
        with pytest.raises(DataError, match=r"^sample 9 holds NaN or infinity"):
            list(part.batches(2))


@pytest.mark.parametrize(
    "two",
    [
        [X[0], X[1]],
        [T[0], T[1]],
        [(X[0], 0), (X[1], 2)],
        ((X[0], 0), (X[1], 2)),
        [{"x": X[0], "y": 0}, {"x": X[1], "y": 2}],
        [[X[0], 0], [X[1], 2]],
    ],
)
def test_two_samples_are_two(two: Any) -> None:
    ((x, y),) = as_dataset(two, {"x": (1, 2, 3)}).batches(9)
    np.testing.assert_array_equal(x, X[:2])
    assert y is None or np.ravel(y).tolist() == [0, 2]


def test_samples_by_name_with_targets() -> None:
    inputs = {"image": (1, 2, 3), "row": (2,)}
    data = as_dataset(({"image": X, "row": np.zeros((4, 2))}, Y), inputs)
    assert (len(data), data.shape) == (4, (8,))
    np.testing.assert_array_equal(data.labels, Y)


def test_two_pictures_are_two() -> None:
    for two in (PICTURES[:2], tuple(PICTURES[:2]), list(zip(PICTURES[:2], (0, 2), strict=True))):
        assert len(as_dataset(two, {"x": (1, 2, 3)})) == 2


def test_names_of_classes() -> None:
    data = Items(lambda k: (X[k], int(Y[k])))
    data.classes = ["ant", "bee", "cow"]  # type: ignore[attr-defined]
    assert as_dataset(data).classes == ("ant", "bee", "cow")
    assert as_dataset(data).sample(3).classes == ("ant", "bee", "cow")


def test_a_mapping_is_taken_for_one_input_too() -> None:
    x = np.arange(24, dtype=np.float32).reshape(2, 3, 4, 1)  # channels last, as the network was trained
    for data, has_labels in (({"picture": x}, False), (({"picture": x}, np.array([0, 1])), True)):
        found = as_dataset(data, {"picture": (1, 3, 4)})
        assert found.shape == (1, 3, 4)
        assert found.has_labels == has_labels


def test_several_outputs_have_targets_by_name() -> None:
    with pytest.raises(DataError, match="labels of output 'b' are text, such as 'cat'"):
        as_dataset(Items(lambda k: (X[k], {"a": 1, "b": "cat"})))
    with pytest.raises(DataError, match="the samples have labels by different names"):
        list(as_dataset(Items(lambda k: (X[k], {"ab"[k % 2]: 1}))).batches(9))
