"""Data sets of Hugging Face's own package, where it is installed: on disk, in memory, and streamed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spikewright as sw
from spikewright.calibration import calibrate
from spikewright.cli.app import run
from spikewright.data import as_dataset, load_data
from spikewright.graph import Graph
from spikewright.nodes import Flatten, Input, Linear, Output, ReLU

datasets = pytest.importorskip("datasets")
Image = pytest.importorskip("PIL.Image")

INPUTS = {"x": (3, 6, 5)}
X = np.random.default_rng(0).integers(0, 256, (40, 6, 5, 3), np.uint8)
Y = np.arange(40) % 3


def pictures() -> Any:
    """Encoded pictures and labels with names."""
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["a", "b", "c"])})
    rows = {"image": [Image.fromarray(x) for x in X], "label": Y.tolist()}
    return datasets.Dataset.from_dict(rows, features=features)


def arrays() -> Any:
    """Pixels as nested arrays, channels first."""
    features = datasets.Features({"x": datasets.Array3D((3, 6, 5), "float32"), "y": datasets.Value("int64")})
    return datasets.Dataset.from_dict({"x": list(np.moveaxis(X, -1, 1) / 255), "y": Y.tolist()}, features=features)


def graph() -> Graph:
    rng = np.random.default_rng(0)
    return Graph(
        [
            Input(name="x", shape=(3, 6, 5)),
            Flatten(name="f", inputs=("x",)),
            Linear(name="l", inputs=("f",), weight=rng.normal(size=(4, 90)), bias=np.zeros(4)),
            ReLU(name="r", inputs=("l",)),
            Linear(name="m", inputs=("r",), weight=rng.normal(size=(3, 4)), bias=np.zeros(3)),
            Output(name="y", inputs=("m",)),
        ]
    )


def read(data: Any) -> tuple[np.ndarray, np.ndarray]:
    found = as_dataset(data, INPUTS)
    pairs = list(found.batches(7))
    return np.concatenate([x for x, _ in pairs]), np.concatenate([y for _, y in pairs])


@pytest.mark.parametrize("streamed", [False, True], ids=["on disk", "streamed"])
@pytest.mark.parametrize("kind", [pictures, arrays])
def test_samples_and_labels(kind: Any, streamed: bool) -> None:
    data = kind()
    x, y = read(data.to_iterable_dataset(num_shards=2) if streamed else data)
    wanted = np.moveaxis(X, -1, 1).astype(np.float32)
    np.testing.assert_allclose(x, wanted if kind is pictures else wanted / 255, rtol=1e-6)
    np.testing.assert_array_equal(y, Y)


@pytest.mark.parametrize("form", [None, "numpy", "torch"])
@pytest.mark.parametrize("kind", [pictures, arrays])
def test_formats(kind: Any, form: str | None) -> None:
    x, y = read(kind().with_format(form))
    wanted = np.moveaxis(X, -1, 1).astype(np.float32)
    np.testing.assert_allclose(x, wanted if kind is pictures else wanted / 255, rtol=1e-6)
    np.testing.assert_array_equal(y, Y)


def test_calibration_is_that_on_arrays() -> None:
    pixels = np.moveaxis(X, -1, 1).astype(np.float32)
    wanted = calibrate(graph(), (pixels, Y), "percentile:99,channels", batch_size=16)
    keys = set()
    for data in (pictures(), pictures().to_iterable_dataset()):
        found = calibrate(graph(), data, "percentile:99,channels", batch_size=16)
        keys.add(found.key)
        assert (found.samples, found.scores) == (wanted.samples, wanted.scores)
        np.testing.assert_array_equal(
            found.scales("percentile:99,channels")["r"], wanted.scales("percentile:99,channels")["r"]
        )
    assert len(keys) == 1


def test_other_columns_and_selections() -> None:
    data = pictures().rename_columns({"image": "view", "label": "fine"}).select(range(5, 25))
    found = as_dataset(data, INPUTS, columns="view,fine")
    assert len(found) == 20
    np.testing.assert_array_equal(found.targets, Y[5:25])


@pytest.mark.parametrize("kind", [pictures, arrays])
def test_what_save_to_disk_wrote(kind: Any, tmp_path: Path) -> None:
    kind().save_to_disk(str(tmp_path / "set"), num_shards=2)
    found = load_data(str(tmp_path / "set"), inputs=INPUTS, columns=None if kind is pictures else "x,y")
    np.testing.assert_array_equal(found.targets, Y)
    x = np.concatenate([x for x, _ in found.batches(9)])
    wanted = np.moveaxis(X, -1, 1).astype(np.float32)
    np.testing.assert_allclose(x, wanted if kind is pictures else wanted / 255, rtol=1e-6)


def test_on_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    pictures().save_to_disk("set")
    Path("own.py").write_text(
        "import datasets\n\n\ndef some():\n    return datasets.load_from_disk('set')\n\n\n"
        "def stream():\n    return some().to_iterable_dataset()\n"
    )
    sw.save(graph(), "net.safetensors")
    for spec in ("set", "own.py:some", "own.py:stream"):
        assert run(["convert", "net.safetensors", "--data", spec, "-o", "s.safetensors", "--force"]) == 0
        assert "40 of 40" in capsys.readouterr().err
