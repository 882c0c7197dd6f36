"""docs/layers.md says what becomes of every kind of layer, and this test is what says it.

``make layers`` writes the page anew (it runs this test with SPIKEWRIGHT_WRITE_DOCS=1).
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

import spikewright as sw
from layer_forms import LINEAR, MOVING
from layer_steps import NOTHING, STEPS
from layers import KINDS as USUAL
from layers import Call, Kind, Onnx, weights
from spikewright.calibration import Max
from spikewright.conversion import what_became
from spikewright.errors import SettingsError, UnsupportedModelError
from spikewright.forward import Forward
from spikewright.graph import Graph, Node
from spikewright.nodes import Input, Output

KINDS = (*USUAL, *MOVING, *LINEAR, *STEPS, *NOTHING)
PAGE = Path(__file__).parents[1] / "docs" / "layers.md"
SOON = 1e-3
"""Seconds after which no further samples are compared: one batch shows that a layer is read as what it is."""
ENGINES = ("reference", "event")
WORDS = {
    **{verb: verb for verb in ("kept", "folded", "absorbed")},
    "replaced by ChannelAffine": "kept",
    "applied to the readout": "readout",
}


def torch_module(kind: Kind) -> nn.Module:
    assert kind.torch is not None
    channels, axes = kind.shape[0], len(kind.shape) - 1
    first = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)[axes](channels, channels, *((1,) if axes else ()))
    parts = OrderedDict(first=first, layer=kind.torch())
    if not kind.last:
        parts |= {"tail": Call(lambda x: 2 * x), "act": nn.ReLU(), "flat": nn.Flatten()}
    return nn.Sequential(parts).eval()


def torch_model(kind: Kind) -> Graph:
    return sw.load(torch_module(kind), example=torch.rand(2, *kind.shape))


class Many(nn.Module):
    """Many small networks in one, each with an output of its own: PyTorch takes long to export even the smallest."""

    def __init__(self, kinds: Sequence[Kind]) -> None:
        super().__init__()
        self.shapes = list(dict.fromkeys(kind.shape for kind in kinds))
        self.reads = [self.shapes.index(kind.shape) for kind in kinds]
        self.nets = nn.ModuleList(torch_module(kind) for kind in kinds)

    def forward(self, *inputs: Tensor) -> dict[str, Tensor]:
        return {f"y{k}": net(inputs[read]) for k, (net, read) in enumerate(zip(self.nets, self.reads, strict=True))}


@cache
def torch_graphs() -> dict[str, Graph]:
    """What becomes of every layer that PyTorch has and that is not refused, by the layer's name.

    Those that are expected to be refused are read by themselves: every further reading of all of them takes as long as
    the first, and so does one layer that PyTorch cannot export for batches of any size.
    """
    kinds = [kind for kind in KINDS if kind.torch is not None]
    refused = {row[0] for row in rows() if row[1] == "refused"}
    groups: dict[str, list[Kind]] = {}
    for kind in kinds:
        groups.setdefault(kind.name if kind.one_batch else str(kind.name in refused), []).append(kind)
    return {name: graph for group in groups.values() for name, graph in read_together(group).items()}


def read_together(kinds: list[Kind]) -> dict[str, Graph]:
    """What becomes of some layers, by their names, but for those that are refused."""
    while kinds:
        many = Many(kinds).eval()
        try:
            whole = sw.load(many, example=tuple(torch.rand(2, *shape) for shape in many.shapes), verify_seconds=SOON)
        except UnsupportedModelError as error:
            refused = {int(problem.where.split(".")[1]) for problem in error.problems}
            kinds = [kind for k, kind in enumerate(kinds) if k not in refused]
            continue
        outputs = {node.name: node for node in whole.of_type(Output)}
        others = [node for node in whole if node.name not in outputs]
        return {kind.name: alone(whole, [*others, outputs[f"y{k}"]]) for k, kind in enumerate(kinds)}
    return {}


def alone(whole: Graph, nodes: Sequence[Node]) -> Graph:
    """The part of a graph that leads to the one output among some nodes."""
    part = whole.with_nodes(nodes).needed()
    return part.with_nodes([node for node in part if part.consumers[node.name] or isinstance(node, Output)])


def torch_read(kind: Kind) -> Graph:
    if kind.name not in torch_graphs():
        raise UnsupportedModelError([])
    return torch_graphs()[kind.name]


def keras_model(kind: Kind) -> Graph:
    keras = pytest.importorskip("keras")
    assert kind.keras is not None
    channels, *spatial = kind.shape
    x = start = keras.Input((*spatial, channels))
    first = ("Dense", "Conv1D", "Conv2D", "Conv3D")[len(spatial)]
    x = getattr(keras.layers, first)(channels, *((1,) if spatial else ()), name="first")(x)
    x = kind.keras(keras.layers)(x)
    if not kind.last:
        x = keras.layers.ReLU(name="act")(keras.layers.Rescaling(2.0, name="tail")(x))
        x = keras.layers.Flatten(name="flat")(x)
    model = keras.Model(start, x)
    layer = next((found for found in model.layers if found.name == "layer"), None)
    # Where Keras on PyTorch has another border than TensorFlow, which is what the graph has.
    other = type(layer).__name__.startswith("Average") and getattr(layer, "padding", "") == "same"
    return sw.load(model, verify=False if other else None, verify_seconds=SOON)


def onnx_model(kind: Kind, opset: int = 18) -> Graph:
    what = (kind.onnx,) if isinstance(kind.onnx, Onnx) else kind.onnx or ()
    channels, axes = kind.shape[0], len(kind.shape) - 1
    arrays = {"two": np.full(1, 2, np.float32)}
    if axes < 4:
        arrays["w"] = weights(channels, channels, *(1,) * axes)
    first = helper.make_node("Conv" if axes else "Gemm", ["x", "w"], ["f"], name="first")
    nodes = [first if axes < 4 else helper.make_node("Mul", ["x", "two"], ["f"], name="first")]
    for k, one in enumerate(what):
        arrays |= {f"c{k}_{n}": np.asarray(value) for n, value in enumerate(one.constants)}
        reads = [*(nodes[-1].output[:1] * (1 + one.twice)), *(["f"] if one.again else [])]
        inputs = [*reads, *(f"c{k}_{n}" for n in range(len(one.constants)))]
        outputs = ["l" if one is what[-1] else f"l{k}", *(["rest"] if one.operator == "Split" else [])]
        name = "layer" if one is what[-1] else f"layer{k}"
        inputs = inputs if one.first else inputs[::-1]
        if one.mask is not None:
            arrays[f"m{k}"] = one.mask
            inputs = [f"m{k}", *inputs]
        nodes.append(helper.make_node(one.operator, inputs, outputs, name=name, **one.attributes))
    if kind.last:
        nodes[-1].output[0] = "y"
    else:
        nodes += [
            helper.make_node("Mul", ["l", "two"], ["t"], name="tail"),
            helper.make_node("Relu", ["t"], ["a"], name="act"),
            helper.make_node("Flatten", ["a"], ["y"], name="flat"),
        ]
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in (("x", ["N", *kind.shape]), ("y", None))]
    constants = [numpy_helper.from_array(array, name) for name, array in arrays.items()]
    graph = helper.make_graph(nodes, "one", ends[:1], ends[1:], constants)
    opset = max(opset, *(one.opset for one in what))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    assert isinstance(model, onnx.ModelProto)
    return sw.load(model, verify_seconds=SOON)


def nir_model(kind: Kind) -> Graph:
    nir = pytest.importorskip("nir")
    assert kind.nir is not None
    layer = kind.nir(nir)
    stated = (layer.output_type or {}).get("output")
    halved = (kind.shape[0], *(n // 2 for n in kind.shape[1:]))  # NIR's pools state no shapes
    shape = np.array(halved if stated is None else stated)
    ends = {"input": nir.Input({"input": np.array(kind.shape)}), "output": nir.Output({"output": shape})}
    edges = [("input", "layer"), ("layer", "output")]
    return sw.load(nir.NIRGraph({**ends, "layer": layer}, edges, type_check=False), dt=1.0)


FRONTENDS: dict[str, tuple[str, Callable[[Kind], Graph]]] = {
    "PyTorch": ("torch", torch_model),
    "Keras": ("keras", keras_model),
    "ONNX": ("onnx", onnx_model),
    "NIR": ("nir", nir_model),
}


Spiking = Callable[[], Graph] | None
"""Makes the spiking network, where there is one."""


def cell(kind: Kind, attribute: str, load: Callable[[Kind], Graph]) -> tuple[str, Spiking]:
    """What becomes of the layer in one framework, in a word; and the spiking network."""
    if getattr(kind, attribute) is None:
        return "–", None
    try:
        graph = load(kind)
    except UnsupportedModelError:
        return "refused", None
    if graph.populations or attribute == "nir":
        return ("spikes" if graph.populations else "kept"), lambda: graph
    for leaky, on_request in (("refuse", False), ("split", True)):
        try:
            _, changes = sw.prepare(graph, leaky=leaky)
        except UnsupportedModelError:
            continue
        folded_as_before(graph, leaky)
        found = what_became(graph, changes)
        named = [name for name in found if any(part.startswith("layer") for part in name.split("."))]
        own = named or [node.name for node in graph if not outside(node)]
        words = {found[name] for name in own}
        return ("on request" if on_request else word(words)), lambda: converted(graph, leaky=leaky)  # noqa: B023
    return "refused", None


def outside(node: Node) -> bool:
    """Whether a node is not of the layer in question."""
    return isinstance(node, Input | Output) or not {"first", "tail", "act", "flat"}.isdisjoint(node.name.split("."))


def folded_as_before(graph: Graph, leaky: Any) -> None:
    """Everything is exact: what the passes make of a graph answers as the graph does, but for rounding."""
    folded, _ = sw.prepare(graph, leaky=leaky)
    (name,) = (node.name for node in graph.of_type(Input))
    x = torch.from_numpy(np.random.default_rng(3).uniform(-2, 2, (4, *graph.sample_shape)).astype(np.float32))
    before, after = (next(iter(Forward(g, dtype="float64")({name: x}).values())) for g in (graph, folded))
    assert torch.allclose(before, after, rtol=1e-5, atol=1e-5 * float(before.abs().max()))


def word(found: set[str]) -> str:
    """One word for what became of the nodes of a layer."""
    if any("IF" in verb or "SpikeMaxPool" in verb for verb in found):
        return "spikes"
    for verb in ("kept", "folded", "readout", "absorbed"):
        if any(WORDS.get(v, "kept") == verb for v in found):
            return verb
    return "absorbed"


def converted(graph: Graph, **options: Any) -> Graph:
    folded, _ = sw.prepare(graph, **options)
    x = np.random.default_rng(1).uniform(0, 1, (8, *graph.sample_shape)).astype(np.float32)
    return sw.convert(graph, sw.calibrate(folded, x, [Max()]).scales(Max()), **options).spiking


def runs(spiking: Graph, engine: str) -> str:
    """Whether an engine runs the network, and as the reference engine does."""
    x = np.random.default_rng(2).uniform(0, 1, (2, *spiking.sample_shape)).astype(np.float32)
    expected = sw.simulate(spiking, x, 16, engine="reference")
    assert np.isfinite(expected.output).all()
    if engine == "reference":
        return "yes"
    try:
        found = sw.simulate(spiking, x, 16, engine=engine)
    except SettingsError:
        return "no"
    for name, counts in expected.counts.items():  # spike for spike; a maximum of values that are no spikes is rounded
        assert np.abs(counts - found.counts[name]).max() <= (0 if np.array_equal(counts, np.rint(counts)) else 1e-4)
    return "yes"


def row(kind: Kind) -> str:
    read = {**FRONTENDS, "PyTorch": ("torch", torch_read)}
    cells = {name: cell(kind, *frontend) for name, frontend in read.items()}
    spiking = next((make for _, make in cells.values() if make is not None), None)
    engines = ["" if spiking is None else runs(spiking(), engine) for engine in ENGINES]
    return f"| {' | '.join([kind.name, *(found for found, _ in cells.values()), *engines])} |"


def page() -> str:
    header = ["layer", *FRONTENDS, *(f"{engine} engine" for engine in ENGINES)]
    return "\n".join(
        [
            "# What becomes of each layer",
            "",
            "Made by a test that builds every layer in every framework, converts it and runs it; not written by hand.",
            "",
            f"| {' | '.join(header)} |",
            "|---" * len(header) + "|",
            *map(row, KINDS),
            "",
            "- **kept**: a linear operator of the spiking network, with weights or without;",
            "- **spikes**: it becomes a population of neurons, or pools their spikes;",
            "- **folded**: into the weights beside it;",
            "- **readout**: without spikes, applied to what the output adds up; `--answer drop` leaves it away;",
            "- **absorbed**: it does nothing when a trained network is used, so it goes;",
            "- **on request**: refused, unless `--leaky split` allows two populations for it, one for each sign;",
            "- **refused**: by name, with everything else that is refused, before any data is read;",
            "- **–**: the framework has no such layer.",
            "",
        ]
    )


def rows() -> list[list[str]]:
    """The cells of the page's rows."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    return [line.strip("| ").split(" | ") for line in lines if line.startswith("| ")][1:]


def test_sixty_forms_and_more_are_exact_in_every_framework() -> None:
    """As many rows of the page are kept, folded or spikes wherever a framework has them."""
    exact = [row for row in rows() if "refused" not in row and set(row[1:5]) != {"–"}]
    assert len(exact) >= 60


def test_the_page_says_what_happens() -> None:
    found = page()
    if os.environ.get("SPIKEWRIGHT_WRITE_DOCS"):
        PAGE.write_text(found, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == found, "make layers"
