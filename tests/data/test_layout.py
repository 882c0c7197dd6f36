"""Axes: whatever order samples come in, the network gets the one it was trained with, or a refusal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import spikewright as sw
from keras_networks import L, chain, keras_outputs
from onnx_models import model as onnx_model
from spikewright.data import Preprocessing, as_dataset, load_data
from spikewright.data.layout import fit_axes, fit_picture_axes
from spikewright.errors import DataError
from spikewright.forward import Forward
from spikewright.graph import Graph
from spikewright.nodes import Input
from spikewright.storage import load_graph, save

RANDOM = np.random.default_rng(0)


def answers(graph: Graph, data: Any) -> np.ndarray:
    ((x, _),) = as_dataset(data, graph.inputs).batches(100)
    return next(iter(Forward(graph)(torch.from_numpy(np.ascontiguousarray(x))).values())).numpy()


def keras_model(shape: tuple[int, ...]) -> Any:
    return chain(L.Conv2D(4, 2, activation="relu"), L.Flatten(), L.Dense(5), shape=shape)


@pytest.mark.parametrize("shape", [(8, 7, 3), (6, 6, 6), (3, 3, 3), (28, 28, 28), (5, 4, 1), (4, 4, 1)])
def test_keras_takes_every_order_that_can_be_told_and_its_own_where_none_can(shape: tuple[int, ...]) -> None:
    model = keras_model(shape)
    graph = sw.load(model)
    assert graph.of_type(Input)[0].channels == "moved"
    x = RANDOM.uniform(-1, 1, (4, *shape)).astype(np.float32)
    (expected,) = keras_outputs(model, [x])

    def right(data: np.ndarray) -> None:
        np.testing.assert_allclose(answers(graph, data), expected, atol=1e-5)

    right(x)
    right(x.reshape(4, -1))  # the flat rows of issue 11: an error of 0.94 where they were taken as channels first
    if shape[-1] == 1:
        right(x[..., 0])
    if len(set(shape)) > 1:
        right(np.moveaxis(x, -1, 1))


def test_keras_with_channels_first_takes_flat_rows_in_that_order() -> None:
    graph = Graph([Input(name="x", shape=(3, 8, 7))])
    x = RANDOM.uniform(size=(4, 3, 8, 7)).astype(np.float32)
    ((found, _),) = as_dataset(x.reshape(4, -1), graph.inputs).batches(9)
    np.testing.assert_array_equal(found, x)


@pytest.mark.parametrize("shape", [(12, 4), (5, 5)])
def test_sequences_of_keras(shape: tuple[int, int]) -> None:
    model = chain(L.Conv1D(4, 2, activation="relu"), L.Flatten(), L.Dense(5), shape=shape)
    graph = sw.load(model)
    x = RANDOM.uniform(-1, 1, (4, *shape)).astype(np.float32)
    (expected,) = keras_outputs(model, [x])
    np.testing.assert_allclose(answers(graph, x), expected, atol=1e-5)


def test_several_inputs_of_keras_that_come_flat() -> None:
    a, b = L.Input((6, 5, 2), name="a"), L.Input((3,), name="b")
    import keras

    flat = L.Flatten()(L.Conv2D(3, 2, activation="relu")(a))
    model = keras.Model([a, b], L.Dense(4)(L.Concatenate()([flat, b])))
    graph = sw.load(model)
    x, row = (RANDOM.uniform(-1, 1, (4, *s)).astype(np.float32) for s in ((6, 5, 2), (3,)))
    (expected,) = keras_outputs(model, [x, row])
    found = answers(graph, {"a": x.reshape(4, -1), "b": row})
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("shape", [(8, 7, 3), (3, 3, 3)])
def test_where_channels_are_survives_conversion_and_a_file(tmp_path: Path, shape: tuple[int, ...]) -> None:
    graph = sw.load(keras_model(shape))
    x = RANDOM.uniform(0, 1, (10, *shape)).astype(np.float32)
    method = sw.threshold_method("max")
    folded, _ = sw.prepare(graph)
    spiking = sw.convert(graph, sw.calibrate(folded, x.reshape(10, -1), [method]).scales(method)).spiking
    save(spiking, tmp_path / "s.safetensors")
    again = load_graph(tmp_path / "s.safetensors")
    assert again.of_type(Input)[0].channels == "moved"
    np.save(tmp_path / "x.npy", x)
    loaded = load_data(str(tmp_path / "x.npy"), inputs=again.inputs)
    one = as_dataset(as_dataset(x, again.inputs), again.inputs)  # the axes that fit both ways are turned once
    runs = [sw.simulate(again, data, 8).output for data in (x, x.reshape(10, -1), loaded, one, loaded.sample(10))]
    for other in runs[1:]:
        np.testing.assert_array_equal(runs[0], other)
    ((given, _),) = loaded.batches(10)
    np.testing.assert_array_equal(given, np.moveaxis(x, -1, 1))


class Last(nn.Module):
    """Takes its channels last, as what was exported from TensorFlow does."""

    def __init__(self, scaled: bool = False) -> None:
        super().__init__()
        self.conv, self.scaled = nn.Conv2d(3, 4, 3), scaled

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x / 2 - 1 if self.scaled else x
        return torch.relu(self.conv(x.permute(0, 3, 1, 2))).flatten(1)


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("size", [(8, 7), (3, 3)])
def test_networks_whose_own_input_has_channels_last(tmp_path: Path, size: tuple[int, int], scaled: bool) -> None:
    torch.manual_seed(0)
    module = Last(scaled)
    graph = sw.load(module, shape=(*size, 3))
    assert graph.of_type(Input)[0].channels == "last"
    pixels = RANDOM.integers(0, 256, (4, *size, 3), np.uint8)
    with torch.no_grad():
        expected = module(torch.from_numpy(pixels).float()).numpy()
    for data in [pixels, pixels.reshape(4, -1), *([np.moveaxis(pixels, -1, 1)] if size != (3, 3) else [])]:
        np.testing.assert_allclose(answers(graph, data), expected, atol=1e-3)
    for k, picture in enumerate(pixels):
        Image.fromarray(picture).save(tmp_path / f"{k}.png")
    pictures = load_data(str(tmp_path), inputs=graph.inputs)
    assert pictures.shape == (*size, 3)
    np.testing.assert_allclose(answers(graph, pictures), expected, atol=1e-3)
    mean = Preprocessing.parse("scale=1/255,mean=0.1:0.2:0.3,order=bgr")
    np.savez(tmp_path / "x.npz", x=np.moveaxis(pixels, -1, 1) if size != (3, 3) else pixels)
    for source in (str(tmp_path / "x.npz"), str(tmp_path)):
        ((x, _),) = load_data(source, inputs=graph.inputs, preprocessing=mean).batches(9)
        np.testing.assert_allclose(x, pixels[..., ::-1] / 255 - np.array([0.1, 0.2, 0.3]), atol=1e-6)


def test_onnx_with_channels_last_takes_pictures(tmp_path: Path) -> None:
    weight = RANDOM.normal(size=(2, 3, 3, 3)).astype(np.float32)
    nodes = [("Transpose", [""], {"perm": [0, 3, 1, 2]}), ("Conv", ["", "w"], {})]
    graph = sw.load(onnx_model(nodes, ["N", 6, 5, 3], w=weight))
    assert graph.inputs == {"x": (6, 5, 3)}
    assert graph.inputs.channels == {"x": "last"}
    picture = RANDOM.integers(0, 256, (6, 5, 3), np.uint8)
    Image.fromarray(picture).save(tmp_path / "one.png")
    ((x, _),) = load_data(str(tmp_path), inputs=graph.inputs).batches(1)
    np.testing.assert_array_equal(x[0], picture)


@pytest.mark.parametrize(
    ("given", "wanted", "channels", "found"),
    [
        ((2, 3, 8, 9), (3, 8, 9), "first", (2, 3, 8, 9)),
        ((2, 8, 9, 3), (3, 8, 9), "first", (2, 3, 8, 9)),
        ((2, 8, 9), (1, 8, 9), "first", (2, 1, 8, 9)),
        ((2, 8, 9), (8, 9, 1), "last", (2, 8, 9, 1)),
        ((2, 3, 8, 9), (8, 9, 3), "last", (2, 8, 9, 3)),
        ((2, 216), (3, 8, 9), "moved", (2, 3, 8, 9)),
        ((2, 5, 3, 8, 9), (3, 8, 9), "first", (2, 5, 3, 8, 9)),  # event frames
        ((2, 5, 8, 9, 3), (3, 8, 9), "moved", (2, 5, 3, 8, 9)),
        ((2, 4, 6), (24,), "first", (2, 24)),
        ((2, 4, 6), (4, 6), "first", (2, 4, 6)),
        ((2, 6, 4), (4, 6), "first", (2, 4, 6)),
        ((2, 3, 9, 8), (3, 8, 9), "first", None),
        ((2, 9, 8), (1, 8, 9), "first", None),
        ((2, 215), (3, 8, 9), "first", None),
        ((2, 3, 8, 9), (1, 8, 9), "first", None),
        ((0, 216), (3, 8, 9), "moved", (0, 3, 8, 9)),
    ],
)
def test_every_reading(
    given: tuple[int, ...], wanted: tuple[int, ...], channels: str, found: tuple[int, ...] | None
) -> None:
    made = fit_axes(np.zeros(given), wanted, channels)
    assert (None if made is None else made.shape) == found


def test_pictures_of_any_size() -> None:
    assert fit_picture_axes(np.zeros((2, 5, 6)), 1).shape == (2, 1, 5, 6)
    assert fit_picture_axes(np.zeros((2, 5, 6, 3)), 3).shape == (2, 3, 5, 6)
    assert fit_picture_axes(np.zeros((2, 3, 6, 3)), 3, "moved").shape == (2, 3, 3, 6)
    assert fit_picture_axes(np.zeros((2, 3, 6, 3)), 3, "first").shape == (2, 3, 6, 3)
    assert fit_picture_axes(np.zeros((2, 3, 6, 5)), 3, "last").shape == (2, 6, 5, 3)
    assert fit_picture_axes(np.zeros((2, 4, 6, 5)), 3) is None


def test_means_of_event_frames_are_of_channels_and_not_of_frames(tmp_path: Path) -> None:
    frames = RANDOM.uniform(size=(2, 7, 3, 4, 5)).astype(np.float32)
    np.savez(tmp_path / "f.npz", x=frames)
    steps = Preprocessing(mean=(0.1, 0.2, 0.3))
    ((x, _),) = load_data(str(tmp_path / "f.npz"), shape=(3, 4, 5), preprocessing=steps).batches(9)
    np.testing.assert_allclose(x, frames - np.array([0.1, 0.2, 0.3], np.float32)[:, None, None], rtol=1e-6)


def test_what_does_not_fit_is_refused_before_it_is_read(tmp_path: Path) -> None:
    np.savez(tmp_path / "f.npz", x=np.zeros((2, 4, 4, 3)))
    with pytest.raises(DataError, match=r"shape \(4, 4, 3\), the network takes \(8, 8, 3\) \(channels last\)"):
        load_data(str(tmp_path / "f.npz"), inputs=Graph([Input(name="x", shape=(8, 8, 3), channels="last")]).inputs)
