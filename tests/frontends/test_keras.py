"""Keras architectures: the graph, its normalised form and its spikes; activations that stay where they were written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import spikewright as sw
from keras_networks import (
    ARCHITECTURES,
    INPUT,
    L,
    chain,
    first,
    graph_outputs,
    keras,
    keras_outputs,
    randomised,
    same,
    samples,
    saved,
    shared,
)
from spikewright.calibration import Max
from spikewright.errors import DataError, ModelFileError, UnsupportedModelError
from spikewright.forward import run
from spikewright.graph import Graph
from spikewright.nodes import LeakyReLU, Permute, ReLU


@pytest.mark.parametrize("network", ARCHITECTURES, ids=lambda f: f.__name__)
def test_architectures(network: Callable[[], Any]) -> None:
    """Graph = Keras, normalised = Keras, and spikes that approach both."""
    model = network()
    graph = same(model)
    assert len(graph.of_type(Permute)) <= 1
    xs = samples(model, 6)
    x = first(xs[0])
    folded, _ = sw.prepare(graph)
    assert not folded.of_type(Permute)
    scales = sw.calibrate(folded, x, [Max()]).scales(Max())
    normalised = sw.normalise(folded, scales)
    for name, theirs in zip([n.name for n in graph if n.type == "Output"], keras_outputs(model, xs), strict=True):
        ours = run(normalised, x, dtype="float64")[name]
        assert np.abs(ours - theirs).max() <= 1e-4 * max(np.abs(theirs).max(), 1)
    spiking = sw.convert(graph, scales)
    expected = run(spiking.normalised, x)
    found = sw.simulate(spiking, x, 1024)
    name = next(iter(expected))
    early, late = (np.abs(found.output[:, t - 1] - expected[name]).mean() for t in (64, 1024))
    assert late <= early / 4


def test_shared_layers_and_several_inputs() -> None:
    graph = same(shared())
    assert [n.name for n in graph.of_type(ReLU)] == ["eye.relu", "eye.relu_2"]
    assert [n.name for n in graph if not n.inputs] == ["left", "right"]


def test_nested_names_are_paths() -> None:
    graph = sw.load(next(f for f in ARCHITECTURES if f.__name__ == "nested")())
    assert {"encoder/conv1", "encoder/conv1.relu", "encoder/norm", "head/mix", "encoder/conv1_2"} <= {*graph.by_name}


def test_several_outputs() -> None:
    start = L.Input((4,))
    one, two = L.Dense(3)(start), L.Dense(2)(start)
    plain = same(randomised(keras.Model(start, [two, one])))
    assert [n.name for n in plain if n.type == "Output"] == ["output", "output_2"]
    named = same(randomised(keras.Model(start, {"b": one, "a": two})))
    assert [n.name for n in named if n.type == "Output"] == ["a", "b"]


def test_models_called_with_a_dictionary() -> None:
    ins = {name: L.Input((4,), name=name) for name in ("b", "a")}
    inner = keras.Model(ins, L.Subtract()([ins["a"], ins["b"]]), name="inner")
    start = L.Input((4,))
    same(randomised(keras.Model(start, inner({"a": L.Dense(4)(start), "b": start}))))


def test_models_in_models_in_models() -> None:
    """Called more than once, at calls of which the outermost outputs take some and other layers the rest."""
    inner_in = L.Input((5,))
    inner = keras.Model(inner_in, L.Dense(5, activation="relu", name="d")(inner_in), name="inner")
    middle_in = L.Input((5,))
    middle = keras.Model(middle_in, [inner(inner(middle_in)), L.Dense(5, name="d")(middle_in)], name="middle")
    start = L.Input((5,))
    one, two = middle(start)
    three, four = middle(two)
    five = inner(one)
    model = randomised(keras.Model(start, [four, L.Add()([one, three]), five, L.Dense(2)(three)]))
    same(model, files=False)
    with pytest.raises(ModelFileError, match=r"'inner/d' has 2 weights \(kernel, bias\), the model holds 0 for it"):
        saved(model, ".keras")  # Keras writes what stands in two models once, and then misses it itself


def test_functional_models_that_are_part_of_others() -> None:
    """Layers that were called elsewhere too are counted from their first call in this network."""
    start = L.Input((4,))
    layer = L.Dense(4, activation="relu", name="again")
    layer(layer(start))
    part = keras.Model(start, layer(L.Dense(4)(start)))
    same(randomised(part))
    feature = keras.Model(part.input, part.layers[1].output)
    same(feature)


# What a look ahead gets wrong: an activation belongs to where it was written.


def types(graph: Graph) -> list[str]:
    return [node.type for node in graph][1:-1]


def test_a_softmax_after_pooling_stays_there() -> None:
    graph = same(chain(L.Conv2D(3, 3), L.MaxPooling2D(2), L.Flatten(), L.Dense(4), L.Activation("softmax")))
    assert types(graph) == ["Conv", "MaxPool", "Permute", "Flatten", "Linear", "Softmax"]
    pooled = same(chain(L.Conv2D(4, 3), L.GlobalAveragePooling2D(), L.Softmax()))
    assert types(pooled) == ["Conv", "GlobalAvgPool", "Flatten", "Softmax"]


def test_a_softmax_in_a_layer_stays_in_that_layer() -> None:
    graph = same(chain(L.Conv2D(3, 3, activation="softmax"), L.Conv2D(2, 2)))
    assert types(graph) == ["Conv", "Softmax", "Conv"]
    with pytest.raises(UnsupportedModelError, match="only the end of a network may have one"):
        sw.prepare(graph)


def test_a_relu_after_pooling_does_not_cross_it() -> None:
    for pool in (L.AveragePooling2D(2), L.MaxPooling2D(2), L.GlobalAveragePooling2D(keepdims=True)):
        model = chain(L.Conv2D(3, 3), pool, L.ReLU(), L.Flatten(), L.Dense(2))
        graph = same(model)
        assert types(graph)[:3] == ["Conv", graph.nodes[2].type, "ReLU"]
        xs = samples(model)
        ours = run(sw.prepare(graph)[0], first(xs[0]))["output"]
        assert np.abs(ours - keras_outputs(model, xs)[0]).max() < 1e-4


def test_an_activation_after_add_is_of_the_sum() -> None:
    start = L.Input(INPUT)
    one, two = L.Conv2D(3, 3, padding="same")(start), L.Conv2D(3, 1)(start)
    graph = same(randomised(keras.Model(start, L.Activation("relu")(L.Add()([one, two])))))
    assert types(graph) == ["Conv", "Conv", "Add", "ReLU"]


def test_two_readers_of_a_linear_output() -> None:
    start = L.Input(INPUT)
    linear = L.Conv2D(3, 3, name="linear")(start)
    both = L.Concatenate()([L.ReLU()(linear), linear])
    model = randomised(keras.Model(start, L.Dense(2)(L.Flatten()(both))))
    graph = same(model)
    assert graph.consumers["linear"] == (graph.of_type(ReLU)[0].name, graph.nodes[3].name)
    xs = samples(model)
    ours = run(sw.prepare(graph)[0], first(xs[0]))["output"]
    assert np.abs(ours - keras_outputs(model, xs)[0]).max() < 1e-4


def test_leaky_rectifiers_split() -> None:
    model = chain(L.Conv2D(3, 3), L.LeakyReLU(), L.PReLU(shared_axes=[1, 2]), L.Flatten(), L.Dense(2))
    graph = same(model)
    assert len(graph.of_type(LeakyReLU)) == 2
    with pytest.raises(UnsupportedModelError, match="leaky"):
        sw.prepare(graph)
    xs = samples(model)
    ours = run(sw.prepare(graph, leaky="split")[0], first(xs[0]))["output"]
    assert np.abs(ours - keras_outputs(model, xs)[0]).max() < 1e-4


# The same network in PyTorch.


def test_the_same_synapses_as_in_pytorch() -> None:
    model = chain(
        L.Conv2D(4, 3, padding="same", activation="relu"),
        L.MaxPooling2D(2),
        L.DepthwiseConv2D(3, use_bias=False),
        L.BatchNormalization(),
        L.ReLU(),
        L.Conv2D(5, 2, strides=2, padding="same", activation="relu"),
        L.ZeroPadding2D(((0, 0), (0, 2))),
        L.AveragePooling2D((1, 3)),
        L.Flatten(),
        L.Dense(6, activation="relu"),
        L.Dense(3),
        shape=(8, 8, 3),
    )
    module = nn.Sequential(
        *(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(4, 4, 3, groups=4, bias=False), nn.BatchNorm2d(4), nn.ReLU()),
        *(nn.Conv2d(4, 5, 2, 2), nn.ReLU(), nn.ZeroPad2d((0, 2, 0, 0)), nn.AvgPool2d((1, 3)), nn.Flatten()),
        *(nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 3)),
    )
    ours, theirs = (sw.prepare(sw.load(m, shape=s))[0] for m, s in ((model, None), (module, (3, 8, 8))))
    assert [node.type for node in ours] == [node.type for node in theirs]
    assert [sums(ours, node) for node in ours] == [sums(theirs, node) for node in theirs]


def sums(graph: Graph, node: Any) -> list[int]:
    """Synapses of a node, and what it computes."""
    return [*(int(counts.sum()) for counts in node.fan_out(*graph.input_shapes(node))), graph.macs(node)]


# Shapes and data.


def test_open_shapes_are_asked_for() -> None:
    model = chain(L.Conv2D(3, 3), L.GlobalAveragePooling2D(), shape=(None, None, 2))
    with pytest.raises(ModelFileError, match=r"open shape \(None, None, 2\); give the shape of one sample"):
        sw.load(model)
    graph = sw.load(model, shape=(2, 6, 5))
    x = np.random.default_rng(0).normal(size=(3, 6, 5, 2)).astype(np.float32)
    assert np.abs(graph_outputs(graph, [x])[0] - keras_outputs(model, [x])[0]).max() < 1e-4
    with pytest.raises(ModelFileError, match=r"which .*, channels first, is not"):
        sw.load(model, shape=(6, 5, 2))


def test_samples_with_channels_last_are_turned_or_get_advice() -> None:
    graph = sw.load(chain(L.Conv2D(3, 3), L.ReLU()))
    x = np.random.default_rng(0).random((2, *INPUT), np.float32)
    with pytest.raises(DataError, match=r"np.moveaxis\(x, -1, 1\)"):
        run(graph, x)
    folded, _ = sw.prepare(graph)
    first, last = (sw.calibrate(folded, data, [Max()]).scales(Max()) for data in (np.moveaxis(x, -1, 1), x))
    assert first == last


# What is refused, all at once.


def problems(model: Any) -> list[tuple[str, str]]:
    with pytest.raises(UnsupportedModelError) as caught:
        sw.load(model)
    return [(p.operator, p.where) for p in caught.value.problems]


class Twice(L.Layer):
    def call(self, x: Any) -> Any:
        return 2 * x


class Closed(L.Layer):
    def __init__(self, thing: object, **options: Any) -> None:
        super().__init__(**options)
        self.thing = thing

    def call(self, x: Any) -> Any:
        return x


def test_everything_unsupported_is_named_at_once() -> None:
    inner = keras.Sequential([L.Conv2D(3, 3, activation="tanh", name="conv1"), Twice(name="own")], name="encoder")
    start = L.Input((9, 9, 3))
    at = inner(start)
    at = L.LayerNormalization(name="norm")(at)
    at = L.Lambda(lambda x: x + 1, name="code")(at)
    at = L.Multiply(name="gate")([at, at])
    at = L.UpSampling2D(interpolation="bicubic", name="grow")(at)
    at = L.Activation("mish", name="cut")(at)
    at = L.LSTM(4, name="memory")(L.Reshape((-1, 3))(at))
    model = keras.Model(start, L.Dense(2, activation="sigmoid", name="end")(at))
    found = [
        ("tanh", "'encoder/conv1'"),
        ("Twice", "'encoder/own'"),
        ("LayerNormalization", "'norm'"),
        ("Lambda", "'code'"),
        ("Multiply", "'gate'"),
        ("bicubic interpolation", "'grow'"),
        ("mish", "'cut'"),
        ("LSTM", "'memory'"),
    ]  # and not the sigmoid, which stands at the end
    assert problems(model) == found


def test_layers_that_cannot_describe_themselves() -> None:
    start = L.Input((4,))
    inner = keras.Sequential([L.Dense(3), Closed(object(), name="deep")], name="inner")
    assert problems(keras.Model(start, Closed(object(), name="top")(inner(start)))) == [
        ("Closed", "'inner/deep'"),
        ("Closed", "'top'"),
    ]


def test_subclassed_models_are_refused() -> None:
    class Own(keras.Model):
        def call(self, x: Any) -> Any:
            return x

    with pytest.raises(UnsupportedModelError, match=r"Own at the model itself: a subclass of Model says only in code"):
        sw.load(Own())
    with pytest.raises(UnsupportedModelError, match="Dense at the model itself"):
        sw.load(L.Dense(3))


@pytest.mark.parametrize(
    ("layer", "advice"),
    [
        (L.Softmax(axis=(1, 2)), "only one is supported"),
        (L.Activation("swish"), "use a ReLU in its place"),
        (L.Activation(Twice(name="inside")), "code of its own"),
        (L.Masking(), "masks are no part"),
        (L.TimeDistributed(L.Dense(2)), "no spiking counterpart"),
        (L.UpSampling2D(interpolation="bicubic"), "use bilinear or nearest"),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_refusals_say_why(layer: Any, advice: str) -> None:
    start = L.Input((4, 4, 3))
    with pytest.raises(UnsupportedModelError, match=advice):
        sw.load(keras.Model(start, layer(start)))


def test_layers_that_never_rest_are_refused() -> None:
    start = L.Input((4,))
    model = keras.Model(start, L.BatchNormalization()(L.Dropout(0.5, name="always")(start, training=True)))
    assert problems(model) == [("Dropout", "'always'")]


def test_keras_models_are_not_taken_for_torch_modules() -> None:
    model = chain(L.Dense(2), shape=(3,))
    assert isinstance(model, torch.nn.Module)
    assert sw.load(model).meta["source"] == "keras"
