"""docs/layers.md says what becomes of every kind of layer, and this test is what says it.

``make layers`` writes the page anew (it runs this test with SPIKEWRIGHT_WRITE_DOCS=1).
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

import spikewright as sw
from layers import KINDS, Call, Kind, Onnx, weights
from spikewright.calibration import Max
from spikewright.conversion import what_became
from spikewright.errors import SettingsError, UnsupportedModelError
from spikewright.graph import Graph

PAGE = Path(__file__).parents[1] / "docs" / "layers.md"
ENGINES = ("reference", "event")
WORDS = {
    **{verb: verb for verb in ("kept", "folded", "absorbed")},
    "replaced by ChannelAffine": "kept",
    "applied to the readout": "readout",
}


def torch_model(kind: Kind) -> Graph:
    assert kind.torch is not None
    channels, axes = kind.shape[0], len(kind.shape) - 1
    first = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)[axes](channels, channels, *((1,) if axes else ()))
    parts = OrderedDict(first=first, layer=kind.torch())
    if not kind.last:
        parts |= {"tail": Call(lambda x: 2 * x), "act": nn.ReLU(), "flat": nn.Flatten()}
    return sw.load(nn.Sequential(parts).eval(), example=torch.rand(2, *kind.shape))


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
    return sw.load(model, verify=False if other else None)


def onnx_model(kind: Kind, opset: int = 18) -> Graph:
    what = kind.onnx
    assert isinstance(what, Onnx)
    channels, axes = kind.shape[0], len(kind.shape) - 1
    arrays = {"w": weights(channels, channels, *(1,) * axes), "two": np.full(1, 2, np.float32)}
    arrays |= {f"c{k}": np.asarray(value) for k, value in enumerate(what.constants)}
    inputs = [*("f" for _ in range(1 + what.twice)), *(f"c{k}" for k in range(len(what.constants)))]
    behind = [
        helper.make_node("Mul", ["l", "two"], ["t"], name="tail"),
        helper.make_node("Relu", ["t"], ["a"], name="act"),
        helper.make_node("Flatten", ["a"], ["y"], name="flat"),
    ]
    nodes = [
        helper.make_node("Conv" if axes else "Gemm", ["x", "w"], ["f"], name="first"),
        helper.make_node(what.operator, inputs, ["y" if kind.last else "l"], name="layer", **what.attributes),
        *([] if kind.last else behind),
    ]
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in (("x", ["N", *kind.shape]), ("y", None))]
    constants = [numpy_helper.from_array(array, name) for name, array in arrays.items()]
    graph = helper.make_graph(nodes, "one", ends[:1], ends[1:], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    assert isinstance(model, onnx.ModelProto)
    return sw.load(model)


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
        found = what_became(graph, changes)
        words = {found[node.name] for node in graph if node.name == "layer" or node.name.startswith("layer.")}
        return ("on request" if on_request else word(words)), lambda: converted(graph, leaky=leaky)  # noqa: B023
    return "refused", None


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
    for name, counts in expected.counts.items():
        assert np.abs(counts - found.counts[name]).sum() <= 1e-3 * counts.sum() + 1
    return "yes"


def row(kind: Kind) -> str:
    cells = {name: cell(kind, *frontend) for name, frontend in FRONTENDS.items()}
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


def test_the_page_says_what_happens() -> None:
    found = page()
    if os.environ.get("SPIKEWRIGHT_WRITE_DOCS"):
        PAGE.write_text(found, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == found, "make layers"
