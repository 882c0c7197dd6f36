"""docs/answers.md says what is measured for every kind of answer, and this test is what says it.

``make answers`` writes the table anew (it runs this test with SPIKEWRIGHT_WRITE_DOCS=1).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from torch import nn

import spikewright as sw
from brute_force import brute_force
from spikewright.conversion import Neurons, spiking_graph
from spikewright.graph import Array, Graph
from spikewright.nodes import Output
from spikewright.tasks import SCORES

PAGE = Path(__file__).parents[1] / "docs" / "answers.md"
BEGIN, END = "<!-- made by tests/test_answers_table.py -->", "<!-- end -->"
STEPS, SAMPLES = 6, 24
Answers = tuple[Graph, list[Array]]
"""A network as a frontend read it, and what its framework answers to the samples, channels first."""


@dataclass(frozen=True)
class Part:
    """One output.

    Attributes:
        units: how many values, or channels.
        end: its activation.
        scalar: whether its answer has no axes.
        labels: makes labels for so many samples, channels first.
        task: what must be seen in them.
        said: the task where it has to be said.
    """

    units: int
    end: str | None
    labels: Callable[[np.random.Generator, int], Array]
    task: str
    scalar: bool = False
    said: str | None = None


def classes(n: int, *positions: int) -> Callable[[np.random.Generator, int], Array]:
    return lambda random, samples: random.integers(0, n, (samples, *positions))


def floats(*shape: int) -> Callable[[np.random.Generator, int], Array]:
    return lambda random, samples: random.normal(size=(samples, *shape)).astype(np.float32)


def one_hot(random: np.random.Generator, samples: int) -> Array:
    return np.eye(7, dtype=np.float32)[random.integers(0, 7, samples)]


def signs(random: np.random.Generator, samples: int) -> Array:
    return 2 * random.integers(0, 2, (samples, 1)) - 1


KINDS: Mapping[str, tuple[str, tuple[Part, ...]]] = {
    "a row of classes": ("whole numbers", (Part(7, None, classes(7), "classification"),)),
    "a row of classes behind a softmax": ("rows of 0 and 1", (Part(7, "softmax", one_hot, "classification"),)),
    "one logit": ("0 and 1", (Part(1, None, classes(2), "binary"),)),
    "one value behind a sigmoid": ("0 and 1", (Part(1, "sigmoid", classes(2), "binary"),)),
    "one value behind a tanh": ("−1 and 1", (Part(1, "tanh", signs, "binary"),)),
    "several yes or no, sigmoid": ("0 and 1", (Part(4, "sigmoid", classes(2, 4), "binary", said="binary"),)),
    "channels of classes": ("a map of whole numbers", (Part(3, None, classes(3, 5, 5), "dense"),)),
    "one channel behind a sigmoid": ("a map of 0 and 1", (Part(1, "sigmoid", classes(2, 5, 5), "dense"),)),
    "numbers": ("floats", (Part(3, None, floats(3), "regression"),)),
    "numbers behind a ReLU": ("floats", (Part(3, "relu", floats(3), "regression"),)),
    "a picture": ("floats", (Part(2, None, floats(2, 5, 5), "regression"),)),
    "a number without axes": ("floats", (Part(1, None, floats(), "regression", scalar=True),)),
    "two heads": (
        "floats; 0 and 1",
        (Part(1, None, floats(1), "regression"), Part(1, "sigmoid", classes(2), "binary")),
    ),
}


class Network:
    """Weights for one kind: a hidden layer, and a layer for each output."""

    def __init__(self, parts: tuple[Part, ...], seed: int) -> None:
        random = np.random.default_rng(seed)
        self.parts = parts
        self.maps = parts[0].task == "dense" or len(parts[0].labels(random, 1).shape) == 4
        kernel = (3, 3) if self.maps else ()
        self.x = random.random((SAMPLES, 2, 5, 5) if self.maps else (SAMPLES, 6)).astype(np.float32)
        self.hidden = random.normal(size=(8, self.x.shape[1], *kernel)).astype(np.float32) / 2
        self.heads = [random.normal(size=(part.units, 8, *kernel)).astype(np.float32) / 2 for part in parts]
        self.labels = [part.labels(random, SAMPLES) for part in parts]


class Module(nn.Module):
    def __init__(self, network: Network) -> None:
        super().__init__()
        self.parts = network.parts

        def layer(weight: Array) -> nn.Module:
            rows, columns = weight.shape[:2]
            made = nn.Conv2d(columns, rows, 3, padding=1) if weight.ndim == 4 else nn.Linear(columns, rows)
            made.weight.data, made.bias.data = torch.tensor(weight), torch.full((rows,), 0.1)
            return made

        self.hidden = layer(network.hidden)
        self.heads = nn.ModuleList(layer(weight) for weight in network.heads)

    def forward(self, x: torch.Tensor) -> Any:
        hidden = self.hidden(x).relu()
        answers = []
        for part, head in zip(self.parts, self.heads, strict=True):
            y = head(hidden)
            if part.end is not None:
                y = y.softmax(1) if part.end == "softmax" else getattr(torch, part.end)(y)
            answers.append(y.squeeze(1) if part.scalar else y)
        return answers[0] if len(answers) == 1 else tuple(answers)


def torch_answers(network: Network) -> Answers:
    module = Module(network).eval()
    x = torch.tensor(network.x)
    with torch.no_grad():
        found = module(x)
    graph = sw.load(module, example=x[:2])
    return graph, [y.numpy() for y in (found if isinstance(found, tuple) else (found,))]


def keras_answers(network: Network) -> Answers:
    keras = pytest.importorskip("keras")
    x = np.moveaxis(network.x, 1, -1)
    start = keras.Input(x.shape[1:])

    def layer(weight: Array, end: str | None) -> Any:
        rows = len(weight)
        made = keras.layers.Conv2D(rows, 3, padding="same", activation=end) if weight.ndim == 4 else None
        return made or keras.layers.Dense(rows, activation=end)

    layers = [layer(network.hidden, "relu")]
    hidden = layers[0](start)
    ends = []
    for part, weight in zip(network.parts, network.heads, strict=True):
        layers.append(layer(weight, part.end))
        y = layers[-1](hidden)
        ends.append(keras.layers.Reshape(())(y) if part.scalar else y)
    model = keras.Model(start, ends if len(ends) > 1 else ends[0])
    for made, weight in zip(layers, (network.hidden, *network.heads), strict=True):
        made.set_weights([np.moveaxis(weight, (0, 1), (-1, -2)), np.full(len(weight), 0.1, np.float32)])
    found = model.predict(x, verbose=0)
    answers = [np.asarray(y) for y in (found if isinstance(found, list) else [found])]
    return sw.load(model), [np.moveaxis(y, -1, 1) if y.ndim == 4 else y for y in answers]


def onnx_answers(network: Network) -> Answers:
    ends = {"softmax": "Softmax", "sigmoid": "Sigmoid", "tanh": "Tanh", "relu": "Relu"}
    arrays: dict[str, Array] = {"axes": np.array([1])}
    nodes = []

    def add(operator: str, inputs: list[str], output: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(operator, inputs, [output], name=f"make_{output}", **attributes))
        return output

    def layer(source: str, weight: Array, name: str) -> str:
        arrays[f"{name}_w"], arrays[f"{name}_b"] = weight, np.full(len(weight), 0.1, np.float32)
        inputs = [source, f"{name}_w", f"{name}_b"]
        return add("Conv", inputs, name, pads=[1] * 4) if weight.ndim == 4 else add("Gemm", inputs, name, transB=1)

    hidden = add("Relu", [layer("x", network.hidden, "h")], "r")
    outputs = []
    for k, (part, weight) in enumerate(zip(network.parts, network.heads, strict=True)):
        y = layer(hidden, weight, f"head{k}")
        if part.end is not None:
            y = add(ends[part.end], [y], f"end{k}", **({"axis": 1} if part.end == "softmax" else {}))
        outputs.append(add("Squeeze", [y, "axes"], f"flat{k}") if part.scalar else y)
    made = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", *network.x.shape[1:]])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)])
    return sw.load(model), list(ReferenceEvaluator(model).run(None, {"x": network.x}))


def nir_answers(network: Network) -> Answers:
    """The spiking network of the PyTorch module, written as NIR and read again."""
    nir = pytest.importorskip("spikewright.exporters.nir")
    graph, theirs = torch_answers(network)
    spiking = converted(graph, network.x, Neurons(reset="zero", v_init=0.0))
    return sw.load(nir.to_nir(spiking.spiking)), theirs


FRONTENDS = {"PyTorch": torch_answers, "Keras": keras_answers, "ONNX": onnx_answers, "NIR": nir_answers}


def converted(graph: Graph, x: Array, neurons: Neurons | None = None) -> sw.Conversion:
    folded, _ = sw.prepare(graph)
    method = sw.threshold_method("max")
    return sw.convert(graph, sw.calibrate(folded, x, [method]).scales(method), neurons=neurons)


@cache
def measured(name: str, frontend: str) -> str:
    """Measure a network of one kind, and compare all with brute force; in words, what was measured."""
    _, parts = KINDS[name]
    network = Network(parts, seed=len(name))
    graph, theirs = FRONTENDS[frontend](network)
    spiking = graph if graph.populations else converted(graph, network.x)
    names = [node.name for node in spiking_graph(spiking).of_type(Output)]
    labels: Any = dict(zip(names, network.labels, strict=True)) if len(parts) > 1 else network.labels[0]
    said = parts[0].said
    found = sw.measure(spiking, (network.x, labels), STEPS, task=said, batch_size=7, allow_overlap=True)
    run = sw.simulate(spiking, network.x, STEPS, batch_size=7)  # a product's last digit may depend on the batch
    assert list(found.heads) == names
    words = []
    for output, part, y, answer in zip(names, parts, network.labels, theirs, strict=True):
        head = found.heads[output]
        assert head.task.name == part.task
        assert head.answer.shape == answer.shape[1:]
        at_each_step = brute_force(part.task, run.outputs[output], y, part.end)
        same(head.scores, at_each_step)
        if graph.populations:  # from NIR, without the trained network
            assert (head.analog, head.agreement) == ({}, {})
        else:
            same(head.analog, {k: v[0] for k, v in brute_force(part.task, answer[:, None], y, part.end).items()}, 1e-4)
            same(head.agreement, brute_force(part.task, run.outputs[output], answer, part.end, agreement=True), 1e-4)
        words.append(f"{part.task}: {', '.join(SCORES[score].title for score in at_each_step)}")
    return "; ".join(words)


def same(found: Mapping[str, Any], expected: Mapping[str, Any], tolerance: float = 1e-9) -> None:
    assert set(found) == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=tolerance, atol=tolerance, err_msg=name)


def table() -> str:
    header = ["the network answers with", "labels", "task and scores at every timestep", *FRONTENDS]
    rows = []
    for name, (labels, parts) in KINDS.items():
        found = [measured(name, frontend) for frontend in FRONTENDS]
        said = " (said)" if parts[0].said else ""
        rows.append([name, labels, found[0] + said, *("yes" if one == found[0] else one for one in found)])
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join([BEGIN, "", *(f"| {' | '.join(line)} |" for line in lines), "", END])


@pytest.mark.parametrize("frontend", FRONTENDS)
@pytest.mark.parametrize("name", KINDS)
def test_what_is_measured_is_right(name: str, frontend: str) -> None:
    assert measured(name, frontend)


def test_the_page_says_what_is_measured() -> None:
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    found = before + table() + after
    if os.environ.get("SPIKEWRIGHT_WRITE_DOCS"):
        PAGE.write_text(found, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == found, "make answers"
