"""Parquet and Arrow files: encoded pictures and lists of numbers with labels beside them, read row by row."""

from __future__ import annotations

import io
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from spikewright.data import (
    Columns,
    PictureDataset,
    Preprocessing,
    StreamedDataset,
    as_dataset,
    load_data,
    sample_digests,
)
from spikewright.errors import DataError, SettingsError

pa = pytest.importorskip("pyarrow")
N = 37
X = np.random.default_rng(0).integers(0, 256, (N, 4, 5, 3), np.uint8)
Y = np.arange(N) % 3
NAMES = ["ant", "bee", "cow"]


def png(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


FILES = [png(x) for x in X]


def hugging_face() -> Any:
    """As Hugging Face has pictures: a struct of bytes and a path, and names of classes beside the schema."""
    image = pa.array([{"bytes": one, "path": f"{k}.png"} for k, one in enumerate(FILES)])
    info = {"info": {"features": {"label": {"names": NAMES, "_type": "ClassLabel"}, "image": {"_type": "Image"}}}}
    table = pa.table({"image": image, "label": pa.array(Y)})
    return table.replace_schema_metadata({"huggingface": json.dumps(info)})


def parquet(path: Path, table: Any, rows: int = 10) -> Path:
    from pyarrow import parquet as pq

    pq.write_table(table, path, row_group_size=rows)
    return path


def arrow_file(path: Path, table: Any) -> Path:
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as out:
        out.write_table(table, max_chunksize=8)
    return path


def arrow_stream(path: Path, table: Any) -> Path:
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as out:
        out.write_table(table, max_chunksize=8)
    return path


def saved_to_disk(path: Path, table: Any) -> Path:
    folder = path.with_suffix("") / "test"
    folder.mkdir(parents=True)
    arrow_stream(folder / "data-00000-of-00002.arrow", table.slice(0, 20))
    arrow_stream(folder / "data-00001-of-00002.arrow", table.slice(20))
    files = [{"filename": f"data-0000{k}-of-00002.arrow"} for k in range(2)]
    (folder / "state.json").write_text(json.dumps({"_data_files": files, "_split": "test"}))
    (folder.parent / "dataset_dict.json").write_text(json.dumps({"splits": ["test"]}))
    return folder.parent


WRITTEN: dict[str, Callable[[Path, Any], Path]] = {
    "a.parquet": parquet,
    "a.pq": lambda path, table: parquet(path, table, 1000),
    "a.arrow": arrow_file,
    "b.arrow": arrow_stream,
    "saved.x": saved_to_disk,
}


@pytest.mark.parametrize("name", WRITTEN)
def test_encoded_pictures(tmp_path: Path, name: str) -> None:
    path = WRITTEN[name](tmp_path / name, hugging_face())
    data = load_data(str(path), shape=(3, 4, 5))
    assert isinstance(data, PictureDataset)
    assert (len(data), data.shape, data.classes) == (N, (3, 4, 5), tuple(NAMES))
    for size in (1, 8, 100):
        x = np.concatenate([x for x, _ in data.batches(size)])
        np.testing.assert_array_equal(x, X.transpose(0, 3, 1, 2))
    np.testing.assert_array_equal(data.targets, Y)
    rows = np.random.default_rng(1).permutation(N)[:20]
    for part in (data.subset(rows), data.subset(np.sort(rows)), pickle.loads(pickle.dumps(data.subset(rows)))):
        wanted = rows if part.targets.tolist() == Y[rows].tolist() else np.sort(rows)  # type: ignore[union-attr]
        x = np.concatenate([x for x, _ in part.batches(7)])
        np.testing.assert_array_equal(x, X[wanted].transpose(0, 3, 1, 2))
    np.testing.assert_array_equal(data.part(1, 3).targets, Y[12:24])
    for k, one in enumerate(FILES):
        (tmp_path / f"{k:02}.png").write_bytes(one)
    wanted = sample_digests(as_dataset(load_data(str(tmp_path / "00.png")), {"x": (3, 4, 5)}))
    assert sample_digests(data)[0] == wanted[0]  # those of the files themselves
    noted = load_data(str(path), shape=(3, 4, 5))
    list(noted.noting_batches(9))
    assert noted.fingerprint == data.fingerprint


@pytest.mark.parametrize("name", WRITTEN)
def test_lists_of_numbers(tmp_path: Path, name: str) -> None:
    table = pa.table(
        {"features": pa.array(X.astype(np.float32).tolist(), pa.list_(pa.list_(pa.list_(pa.float32())))), "class": Y}
    )
    data = load_data(str(WRITTEN[name](tmp_path / name, table)), shape=(3, 4, 5), preprocessing="scale=1/255")
    assert isinstance(data, StreamedDataset)
    (x, y), *_ = data.batches(100)
    np.testing.assert_allclose(x, X.transpose(0, 3, 1, 2) / np.float32(255), rtol=1e-6)
    np.testing.assert_array_equal(y, Y)
    rows = np.array([30, 2, 11])
    (x, y), *_ = data.subset(rows).batches(100)
    np.testing.assert_allclose(x, X[rows].transpose(0, 3, 1, 2) / np.float32(255), rtol=1e-6)
    (x, _), *_ = data.between(9, 12).batches(2)
    np.testing.assert_allclose(x, X[9:11].transpose(0, 3, 1, 2) / np.float32(255), rtol=1e-6)


def test_tensors_and_binary_columns(tmp_path: Path) -> None:
    tensors = pa.FixedShapeTensorArray.from_numpy_ndarray(X.astype(np.float32))
    data = load_data(str(parquet(tmp_path / "t.parquet", pa.table({"x": tensors}))), shape=(3, 4, 5))
    np.testing.assert_array_equal(next(data.batches(50))[0], X.transpose(0, 3, 1, 2))
    data = load_data(str(parquet(tmp_path / "b.parquet", pa.table({"photo": FILES, "y": Y}))), shape=(3, 4, 5))
    np.testing.assert_array_equal(next(data.batches(50))[0], X.transpose(0, 3, 1, 2))
    np.testing.assert_array_equal(data.targets, Y)


def test_labels_by_name_keep_the_numbers_of_the_network(tmp_path: Path) -> None:
    names = pa.array([NAMES[2 - k] for k in Y]).dictionary_encode()
    path = parquet(tmp_path / "d.parquet", pa.table({"image": FILES, "label": names}))
    assert load_data(str(path)).classes == ("cow", "bee", "ant")  # as they come
    data = load_data(str(path), classes=NAMES)
    assert data.classes == tuple(NAMES)
    np.testing.assert_array_equal(data.targets, 2 - Y)
    with pytest.raises(DataError, match="'ant' is no class that the network was converted with"):
        load_data(str(path), classes=["bee", "cow"])


def test_columns_are_chosen(tmp_path: Path) -> None:
    table = pa.table({"front": FILES, "back": FILES[::-1], "make": Y, "year": Y + 1, "text": ["a"] * N})
    path = str(parquet(tmp_path / "c.parquet", table))
    with pytest.raises(DataError, match=r"is a dictionary of front, back, make, year, text; .*--columns image,label"):
        load_data(path)
    data = load_data(path, columns="back,year")
    np.testing.assert_array_equal(data.targets, Y + 1)
    np.testing.assert_array_equal(next(data.batches(1))[0][0], X[-1].transpose(2, 0, 1))
    assert not load_data(path, columns="back,").has_labels
    for columns, message in (
        ("side", "no 'side' among front"),
        ("back,who", "no 'who' among"),
        ("text", "holds string"),
    ):
        with pytest.raises(DataError, match=message):
            load_data(path, columns=columns)
    with pytest.raises(DataError, match="labels are text"):
        load_data(path, columns="back,text")
    items = [{"front": x, "make": y} for x, y in zip(X, Y, strict=True)]
    found = as_dataset(items, columns=Columns("front", "make"))
    np.testing.assert_array_equal(found.targets, Y)
    np.savez(tmp_path / "d.npz", x=X)
    with pytest.raises(DataError, match="has no columns to choose from"):
        load_data(str(tmp_path / "d.npz"), columns="x")


@pytest.mark.parametrize("text", ["", "image", "image,label", "image,"])
def test_columns_as_typed(text: str) -> None:
    assert str(Columns.parse(text)) == text


def test_columns_that_are_none() -> None:
    for text in ("a,b,c", ",label"):
        with pytest.raises(SettingsError, match=r"columns are 'image' or 'image,label'"):
            Columns.parse(text)


def test_what_is_refused(tmp_path: Path) -> None:
    def refused(message: str, table: Any, **how: Any) -> None:
        path = parquet(tmp_path / "x.parquet", table)
        with pytest.raises(DataError, match=message) as caught:
            list(load_data(str(path), **how).batches(50))
        assert "\n" not in str(caught.value)

    refused("the data set is empty", pa.table({"image": pa.array([], pa.binary())}))
    refused("row 3: holds no picture in 'image'", pa.table({"image": [*FILES[:3], None]}))
    refused("row 1: not a readable picture", pa.table({"image": [FILES[0], b"text"]}))
    refused("lists of different lengths in 'x'", pa.table({"x": [[1.0, 2.0], [3.0]]}))
    refused("values are missing in 'x'", pa.table({"x": [[1.0, 2.0], [3.0, None]]}))
    refused("1 rows have no 'y'", pa.table({"x": [[1.0], [3.0]], "y": [1, None]}))
    refused(r"have the shape \(2,\), the network takes \(3,\)", pa.table({"x": [[1.0, 2.0]]}), shape=(3,))
    small = png(X[0, :2])
    refused(r"row 1: is \(2, 5\), the first picture \(4, 5\)", pa.table({"image": [FILES[0], small]}))
    for name in ("d.parquet", "d.arrow"):
        (tmp_path / name).write_bytes(b"PAR1 this is none")
        with pytest.raises(DataError, match=rf"{name}: damaged or not what its name says"):
            load_data(str(tmp_path / name))


def test_files_of_splits(tmp_path: Path) -> None:
    for name, part in (("train-00000-of-00001", slice(0, 30)), ("test-00000-of-00001", slice(30, 37))):
        parquet(tmp_path / f"{name}.parquet", pa.table({"image": FILES[part], "label": Y[part]}))
    assert [len(load_data(str(tmp_path), split=s)) for s in ("train", "test")] == [30, 7]
    (tmp_path / "test-00000-of-00001.parquet").unlink()
    with pytest.raises(DataError, match="no file to test with, by their names"):
        load_data(str(tmp_path))


def test_pictures_of_tables_are_preprocessed(tmp_path: Path) -> None:
    path = parquet(tmp_path / "p.parquet", pa.table({"image": [png(X[0]), png(X[1, :3])], "label": [0, 1]}))
    data = load_data(str(path), shape=(1, 3, 3), preprocessing=Preprocessing.parse("channels=1,resize=3x3,range=1"))
    (x, _), *_ = data.batches(4)
    assert x.shape == (2, 1, 3, 3)
