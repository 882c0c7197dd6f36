"""Every Keras layer with its settings gives what Keras gives, from memory and from both kinds of file."""

from __future__ import annotations

from itertools import product
from math import prod
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import spikewright as sw
from keras_networks import INPUT, L, chain, first, graph_outputs, keras, keras_outputs, randomised, same, samples
from spikewright.errors import GraphError
from spikewright.forward import run
from spikewright.frontends.keras.windows import same_padding
from spikewright.nodes import AdaptiveAvgPool, BatchNorm, ChannelAffine, Identity, LeakyReLU, Permute, ReLU

SHAPES = {1: (11, 3), 2: INPUT, 3: (6, 5, 4, 2)}
"""Of samples with one, two and three axes and channels last."""


def form(kind: str, axes: int) -> Any:
    return getattr(L, kind.replace("#", f"{axes}D"))


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"padding": "same", "strides": 2},
        {"padding": "same", "dilation_rate": 2},
        {"use_bias": False, "activation": "relu"},
    ],
    ids=str,
)
def test_convolutions(axes: int, options: dict[str, Any]) -> None:
    graph = same(chain(form("Conv#", axes)(4, 2, **options), shape=SHAPES[axes]))
    assert not graph.of_type(Permute)


def test_convolutions_with_groups_and_causal_padding() -> None:
    same(chain(L.Conv2D(6, (3, 2), groups=3, padding="same")))
    same(chain(L.Conv1D(4, 3, padding="causal", dilation_rate=2), shape=SHAPES[1]))


@settings(max_examples=25, deadline=None)
@given(
    size=st.tuples(st.integers(3, 9), st.integers(3, 9)),
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    stride=st.integers(1, 3),
    dilation=st.integers(1, 2),
    padding=st.sampled_from(["same", "valid"]),
)
def test_any_convolution(
    size: tuple[int, int], kernel: tuple[int, int], stride: int, dilation: int, padding: str
) -> None:
    if stride > 1 and dilation > 1:
        dilation = 1  # Keras refuses both
    if padding == "valid" and any((k - 1) * dilation >= n for k, n in zip(kernel, size, strict=True)):
        padding = "same"
    layer = L.Conv2D(2, kernel, strides=stride, dilation_rate=dilation, padding=padding)
    same(chain(layer, shape=(*size, 2)), files=False)


@pytest.mark.parametrize("axes", [1, 2])
@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("kind", ["DepthwiseConv#", "SeparableConv#"])
def test_depthwise_and_separable(kind: str, padding: str, axes: int) -> None:
    filters = (5,) if kind.startswith("Sep") else ()
    for options in ({"strides": 2, "activation": "relu"}, {"use_bias": False}):
        layer = form(kind, axes)(*filters, 3, depth_multiplier=2, padding=padding, **options)
        assert not same(chain(layer, shape=SHAPES[axes])).of_type(Permute)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize(("kernel", "stride", "padding"), list(product((2, 3), (1, 2, 3), ("same", "valid"))))
def test_transposed_convolutions(axes: int, kernel: int, stride: int, padding: str) -> None:
    layer = form("Conv#Transpose", axes)(2, kernel, strides=stride, padding=padding)
    same(chain(layer, shape=(*(3, 4, 2)[:axes], 3)), files=axes == 2)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("padding", ["same", "valid"])
def test_transposed_convolutions_of_a_chosen_length(padding: str) -> None:
    same(chain(L.Conv2DTranspose(2, 3, strides=2, padding=padding, output_padding=1, activation="relu")))
    same(chain(L.Conv2DTranspose(2, (3, 4), strides=(3, 2), padding=padding, output_padding=(2, 0))))
    same(chain(L.Conv1DTranspose(2, 3, dilation_rate=2, padding=padding), shape=SHAPES[1]))


@pytest.mark.parametrize("shape", [(5,), (4, 5), (2, 4, 5), (2, 3, 4, 5)])
def test_dense(shape: tuple[int, ...]) -> None:
    same(chain(L.Dense(4, activation="relu"), L.Dense(3, use_bias=False), shape=shape), last=len(shape) != 2)


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize(("size", "strides"), [(2, None), (2, 1), (3, 2)])
@pytest.mark.parametrize("padding", ["same", "valid"])
def test_max_pooling(axes: int, size: int, strides: int | None, padding: str) -> None:
    layer = form("MaxPooling#", axes)(size, strides=strides, padding=padding)
    assert not same(chain(layer, shape=SHAPES[axes])).of_type(Permute)


def mean_of_real_values(x: np.ndarray, size: int, stride: int, padding: str) -> np.ndarray:
    """TensorFlow's rule, written out: padding is no value. Keras' torch backend repeats the border instead."""
    windows = []
    for n in x.shape[1:-1]:
        low, high = same_padding(n, size, stride) if padding == "same" else (0, 0)
        starts = range(-low, n + high - size + 1, stride)
        windows.append([slice(max(start, 0), start + size) for start in starts])
    out = np.empty((len(x), *map(len, windows), x.shape[-1]), np.float32)
    for place in product(*(range(len(axis)) for axis in windows)):
        part = x[(slice(None), *(windows[k][i] for k, i in enumerate(place)))]
        out[(slice(None), *place)] = part.mean(axis=tuple(range(1, x.ndim - 1)))
    return out


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize(("size", "stride"), [(2, 2), (2, 1), (3, 2)])
@pytest.mark.parametrize("padding", ["same", "valid"])
def test_average_pooling_counts_real_values_only(axes: int, size: int, stride: int, padding: str) -> None:
    model = chain(form("AveragePooling#", axes)(size, strides=stride, padding=padding), shape=SHAPES[axes])
    x = samples(model)
    expected = first(mean_of_real_values(x[0], size, stride, padding))
    (theirs,) = keras_outputs(model, x)
    agrees = np.allclose(first(theirs), expected, atol=1e-5)
    if padding == "valid" or all(len(set(same_padding(n, size, stride))) == 1 for n in SHAPES[axes][:-1]):
        assert agrees
    if not agrees:
        with pytest.raises(
            GraphError, match=r"\(AvgPool\).*with uneven 'same' padding Keras on PyTorch repeats the border"
        ):
            sw.load(model)
    (found,) = graph_outputs(sw.load(model, verify=agrees), x)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("keepdims", [False, True])
def test_global_pooling(axes: int, keepdims: bool) -> None:
    for kind in ("GlobalAveragePooling#", "GlobalMaxPooling#"):
        same(chain(form(kind, axes)(keepdims=keepdims), shape=SHAPES[axes]))


@pytest.mark.skipif(not hasattr(L, "AdaptiveAveragePooling2D"), reason="this Keras has none")
def test_adaptive_pooling() -> None:
    assert same(chain(L.AdaptiveAveragePooling2D((3, 2)))).of_type(AdaptiveAvgPool)
    same(chain(L.AdaptiveAveragePooling1D(4), shape=SHAPES[1]))


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_padding_cropping_upsampling(axes: int) -> None:
    sides = [(1, 2), (0, 1), (1, 1)][:axes]
    given = sides[0] if axes == 1 else sides
    padded, cropped = form("ZeroPadding#", axes)(given), form("Cropping#", axes)(given)
    grown = form("UpSampling#", axes)(2 if axes == 1 else (2, 1, 3)[:axes])
    assert not same(chain(padded, form("Conv#", axes)(2, 2), cropped, grown, shape=SHAPES[axes])).of_type(Permute)
    same(chain(form("ZeroPadding#", axes)(1), form("Cropping#", axes)(1), shape=SHAPES[axes]))


def test_moving_axes() -> None:
    same(chain(L.Flatten()))
    same(chain(L.Reshape((7, -1))))
    same(chain(L.Reshape((-1,))))
    same(chain(L.Permute((2, 1, 3)), L.Conv2D(3, 3), L.Permute((3, 1, 2)), L.Flatten(), L.Dense(3)))
    same(chain(L.Permute((3, 2, 1)), L.Dense(4), L.Reshape((4, 7, 3)), L.Conv2D(2, 2), L.Flatten()))
    same(chain(L.RepeatVector(4), L.Conv1D(3, 2), shape=(5,)))
    same(chain(L.Dense(24), L.Reshape((2, 3, 4)), L.Conv2DTranspose(2, 3, strides=2, padding="same"), shape=(5,)))


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_any_order_of_axes(data: st.DataObject) -> None:
    """Layers that need axes in some order, between layers that change it."""
    parts: list[Any] = []
    for _ in range(data.draw(st.integers(2, 4))):
        parts.append(L.Permute(data.draw(st.permutations([1, 2, 3]))))
        axis = data.draw(st.sampled_from([1, 2, 3, -1]))
        reshaped = L.Reshape(data.draw(st.permutations([2, 3, 4])))
        parts.append(
            data.draw(
                st.sampled_from(
                    [L.BatchNormalization(axis=axis), L.Dense(4), L.Activation("relu"), L.MaxPooling2D(1), reshaped]
                )
            )
        )
    if any(isinstance(part, L.Reshape) for part in parts):
        parts = [part for part in parts if not isinstance(part, L.Dense)]
    same(chain(*parts, L.Flatten(), L.Dense(2), shape=(2, 3, 4)), files=False)


def test_nothing_moves_between_layers_that_agree() -> None:
    parts = [
        *(L.Conv2D(4, 3), L.BatchNormalization(), L.ReLU(), L.MaxPooling2D(2), L.ZeroPadding2D(1)),
        *(L.SeparableConv2D(3, 2), L.Dense(4), L.Dropout(0.2), L.Conv2D(5, 1), L.GlobalMaxPooling2D(), L.Dense(3)),
    ]
    assert not same(chain(*parts)).of_type(Permute)
    flat = same(chain(L.Conv2D(4, 3), L.ReLU(), L.Flatten(), L.Dense(3)))
    assert len(flat.of_type(Permute)) == 1
    assert not sw.prepare(flat)[0].of_type(Permute)
    assert not same(chain(L.Conv2D(4, (8, 7)), L.Flatten(), L.Dense(3))).of_type(Permute)


@pytest.mark.parametrize("axis", [-1, 1, 2, 3])
@pytest.mark.parametrize(("center", "scale"), [(True, True), (False, True), (True, False), (False, False)])
def test_batch_norm(axis: int, center: bool, scale: bool) -> None:
    layer = L.BatchNormalization(axis=axis, center=center, scale=scale, epsilon=0.01)
    assert same(chain(layer)).of_type(BatchNorm)


def test_batch_norm_of_vectors() -> None:
    same(chain(L.Dense(4), L.BatchNormalization(), shape=(3,)))


INACTIVE = [
    *(L.Dropout(0.5), L.SpatialDropout2D(0.5), L.GaussianNoise(1.0), L.GaussianDropout(0.5), L.AlphaDropout(0.5)),
    *(L.ActivityRegularization(0.1), L.Identity(), L.Activation("linear")),
]


@pytest.mark.parametrize("layer", INACTIVE, ids=lambda layer: type(layer).__name__)
def test_what_rests_after_training(layer: Any) -> None:
    assert same(chain(L.Conv2D(2, 2), layer)).of_type(Identity)


@pytest.mark.parametrize("name", ["relu", "relu6", "softmax", "leaky_relu", "linear", "log_softmax"])
def test_activations(name: str) -> None:
    graph = same(chain(L.Conv2D(4, 2, activation=name, name="conv1"), L.Activation(name, name="then")))
    if name != "linear":
        assert graph[f"conv1.{name}"].type == graph["then"].type
    same(chain(L.Dense(4, activation=name), shape=(5,)))


@pytest.mark.parametrize(
    ("layer", "node"),
    [
        (L.ReLU(), ReLU),
        (L.ReLU(max_value=0.4), ReLU),
        (L.ReLU(negative_slope=0.3), LeakyReLU),
        (L.LeakyReLU(negative_slope=0.1), LeakyReLU),
        (L.PReLU(), LeakyReLU),
        (L.PReLU(shared_axes=[1, 2]), LeakyReLU),
    ],
    ids=str,
)
def test_rectifiers(layer: Any, node: type) -> None:
    assert same(chain(L.Conv2D(3, 2), layer)).of_type(node)
    same(chain(L.Dense(4, activation=L.ReLU(max_value=0.5)), shape=(3,)))


def test_softmax_as_a_layer() -> None:
    same(chain(L.Dense(4), L.Softmax(), shape=(5,)))
    same(chain(L.Softmax(axis=1)))


def test_branches() -> None:
    start = L.Input(INPUT)
    one, two, three = L.Conv2D(3, 1)(start), L.Permute((2, 1, 3))(L.Permute((2, 1, 3))(start)), L.ReLU()(start)
    for joined in (
        L.Add()([one, two, three]),
        L.Subtract()([one, two]),
        L.Average()([one, two, three]),
        L.Concatenate()([one, two]),
        L.Concatenate(axis=1)([one, two, three]),
        L.Concatenate(axis=-2)([one, two]),
        one + two,
        one - two,
        2 * one - 1,
        (1 - one) / 4,
        -one,
    ):
        same(randomised(keras.Model(start, joined)))


def test_branches_of_different_layouts() -> None:
    start = L.Input((4, 4, 4))
    turned = L.Permute((3, 1, 2))(start)
    for joined in (L.Add()([start, turned]), L.Concatenate(axis=2)([start, turned])):
        same(randomised(keras.Model(start, L.Conv2D(2, 2)(joined))))


@pytest.mark.parametrize(
    "layer",
    [
        L.Rescaling(1 / 127.5, offset=-1),
        L.Rescaling([0.5, 1.0, 2.0], offset=[0.1, 0.2, 0.3]),
        L.Normalization(mean=[0.1, 0.2, 0.3], variance=[1.0, 2.0, 3.0]),
        L.Normalization(axis=None, mean=0.4, variance=2.5),
        L.Normalization(mean=0.5, variance=0.25, invert=True),
    ],
    ids=lambda layer: layer.name,
)
def test_scaling_at_the_input(layer: Any) -> None:
    assert same(chain(layer, L.Conv2D(2, 3))).of_type(ChannelAffine)


@pytest.mark.parametrize("axis", [-1, 1, (1, 3), None])
def test_normalization_that_was_adapted(axis: Any) -> None:
    layer = L.Normalization(axis=axis)
    layer.adapt(np.random.default_rng(0).normal(size=(50, *INPUT)))
    start = L.Input(INPUT)
    assert same(keras.Model(start, layer(start))).of_type(ChannelAffine)


@pytest.mark.parametrize("axes", [1, 2])
def test_channels_first(axes: int) -> None:
    order = {"data_format": "channels_first"}
    shape = (SHAPES[axes][-1], *SHAPES[axes][:-1])
    parts = [
        form("Conv#", axes)(4, 3, padding="same", **order),
        L.BatchNormalization(axis=1),
        L.ReLU(),
        form("MaxPooling#", axes)(2, **order),
        form("SeparableConv#", axes)(3, 2, **order),
        form("ZeroPadding#", axes)(1, **order),
    ]
    if axes > 1:  # with one axis Keras always upsamples the first
        parts.append(form("UpSampling#", axes)(2, **order))
    graph = same(chain(*parts, L.Flatten(), L.Dense(3), shape=shape), last=False)
    assert not graph.of_type(Permute)
    assert graph.meta["layout"] == "channels_first"
    same(chain(*parts[:1], form("GlobalAveragePooling#", axes)(**order), shape=shape), last=False)


def test_flatten_of_channels_first() -> None:
    order = {"data_format": "channels_first"}
    same(chain(L.Conv2D(2, 2, **order), L.Flatten(**order), L.Dense(3), shape=(3, 5, 4)), last=False)


def test_images_without_channels_are_flattened_as_they_are() -> None:
    graph = same(chain(L.Flatten(), L.Dense(3), shape=(6, 5)), last=False)
    assert graph.shapes["x"] == (6, 5)
    assert not graph.of_type(Permute)


def test_order_of_the_flattened_neurons() -> None:
    """Neuron k of Flatten is (row, column, channel) of the layer before, as Keras counts them."""
    model = chain(L.Conv2D(2, 1, name="conv"), L.Flatten(), shape=(3, 4, 2))
    graph = sw.load(model)
    x = samples(model)
    (ours,) = graph_outputs(graph, x)
    conv = run(graph, first(x[0]), keep=["conv"])["conv"]
    rows, columns, channels = 3, 4, 2
    for k in range(prod((rows, columns, channels))):
        row, column, channel = np.unravel_index(k, (rows, columns, channels))
        np.testing.assert_allclose(ours[:, k], conv[:, channel, row, column], rtol=1e-6)


def test_names_are_those_of_the_layers() -> None:
    graph = sw.load(chain(L.Conv2D(2, 3, activation="relu", name="first"), L.Dense(2, name="output")))
    assert [node.name for node in graph] == ["x", "first", "first.relu", "output_2", "output"]
