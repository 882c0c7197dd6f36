"""Graph files that are damaged, or that somebody made to do harm: a clear answer, and nothing made of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

import spikewright as sw
from networks import pools
from spikewright.errors import ModelFileError, SpikewrightError
from spikewright.forward import run
from spikewright.nodes import Input
from spikewright.storage import load_graph
from spikewright.storage.graphs import KEY

Header = dict[str, Any]


@dataclass
class File:
    """What a graph file holds."""

    header: Header
    arrays: dict[str, np.ndarray]

    def node(self, kind: str) -> Header:
        found: Header = next(entry for entry in self.header["nodes"] if entry["type"] == kind)
        return found


Change = Callable[[File], object]


def rewritten(folder: Path, change: Change) -> Path:
    """A good file with its header and arrays changed."""
    path = folder / "g.safetensors"
    sw.save(pools(1).graph(), path)
    with safe_open(path, "numpy") as file:
        header = json.loads(file.metadata()[KEY])
        arrays = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    header.pop("digest")  # or nothing else would be looked at
    change(File(header, arrays))
    save_file(arrays, path, {KEY: json.dumps(header)})
    return path


def setting(kind: str, label: str, value: Any) -> Change:
    return lambda file: file.node(kind)["settings"].__setitem__(label, value)


def entry(kind: str, label: str, value: Any) -> Change:
    return lambda file: file.node(kind).__setitem__(label, value)


def array(value: np.ndarray | None) -> Change:
    def change(file: File) -> None:
        name = file.node("Linear")["name"] + "/weight"
        file.arrays.pop(name)
        if value is not None:
            file.arrays[name] = value

    return change


DAMAGED: list[tuple[Change, str]] = [
    (lambda file: file.header.pop("format"), "description of its graph is damaged"),
    (lambda file: file.header.update(format=2), "graph format 2, this version reads 1; upgrade spikewright"),
    (lambda file: file.header.update(nodes={}), "its nodes are no list"),
    (lambda file: file.header.update(meta=[1]), "its facts no table"),
    (lambda file: file.header.update(nodes=[7]), "a node has no name"),
    (lambda file: file.header["nodes"].append(file.header["nodes"][0]), "two nodes have the name 'input'"),
    (entry("Linear", "type", "Lambda"), "is a Lambda, which this version does not know"),
    (entry("Linear", "type", "Node"), "is a Node, which this version does not know"),
    (entry("Linear", "type", ["Linear"]), "the graph inside is damaged"),
    (entry("Linear", "inputs", ["nobody"]), "reads 'nobody', which does not exist"),
    (entry("Linear", "inputs", ["output"]), "stands in a cycle"),
    (entry("Linear", "inputs", "input"), "reads what has none"),
    (entry("Linear", "name", 3), "a node has no name"),
    (setting("Conv", "stride", [0, 1]), "stride must be 1 or more along every axis"),
    (setting("Conv", "stride", [1.0, 1.0]), r"stride cannot be \(1.0, 1.0\)"),
    (setting("Conv", "stride", "ab"), "stride cannot be ab"),
    (setting("Conv", "dilation", [2**70, 1]), "dilation must be 1 or more"),
    (setting("Conv", "padding", [[2**40, 0], [0, 0]]), r"more than 2\^31 values for one sample"),
    (setting("Conv", "groups", True), "groups cannot be True"),
    (setting("Conv", "groups", 0), "groups must be 1 or more"),
    (setting("Conv", "weight", [1]), r"weight cannot be \(1,\)"),
    (setting("Conv", "code", "import os"), "code cannot be import os"),
    (setting("Conv", "population", True), "population cannot be True"),
    (setting("Input", "shape", [2**20, 2**20]), r"more than 2\^31 values for one sample"),
    (setting("Input", "shape", [-3, -8, 8]), "its output would be empty"),
    (setting("Input", "shape", []), "a sample needs at least one axis"),
    (setting("ReLU", "ceiling", float("nan")), "NaN is no number"),
    (setting("ReLU", "ceiling", 1e300), "the ceiling must be positive and finite"),
    (setting("Output", "activation", "gelu"), "activation cannot be gelu"),
    (setting("Output", "ceiling", "six"), "ceiling cannot be six"),
    (setting("Output", "ceiling", 6.0), "a ceiling is a positive finite number behind a 'relu', not 6.0 behind None"),
    (setting("Output", "axis", 3), "has no axis 3"),
    (setting("Output", "axis", True), "axis cannot be True"),
    (setting("Output", "scalar", 1), "scalar cannot be 1"),
    (setting("Output", "scalar", True), "an answer without axes is read from one value"),
    (array(None), "Linear '.*': weight is missing"),
    (array(np.ones((3, 3), np.float32)), "takes 3 values, its input has shape"),
    (array(np.ones((4, 4), np.int64)), "weight cannot be"),
    (array(np.ones((4, 4), np.float64)), "weight cannot be"),
    (array(np.full((4, 4), np.nan, np.float32)), "not a finite float32"),
    (array(np.zeros((0,), np.float32)), "do not belong together"),
]


@pytest.mark.parametrize(("change", "message"), DAMAGED, ids=[message[:40] for _, message in DAMAGED])
def test_damaged_graphs(change: Change, message: str, tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=message) as caught:
        load_graph(rewritten(tmp_path, change))
    assert str(tmp_path / "g.safetensors") in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "null", "[" * 10**5])
def test_headers_that_are_no_description(text: str, tmp_path: Path) -> None:
    save_file({"weight": np.zeros(3)}, tmp_path / "g.safetensors", {KEY: text})
    with pytest.raises(ModelFileError, match="description of its graph is damaged"):
        load_graph(tmp_path / "g.safetensors")


def test_damaged_bytes(tmp_path: Path) -> None:
    """A clear error, or a graph that runs: nothing else."""
    sw.save(pools(1).graph(), tmp_path / "g.safetensors")
    whole, random = (tmp_path / "g.safetensors").read_bytes(), np.random.default_rng(0)
    for _ in range(300):
        damaged = np.frombuffer(whole, np.uint8).copy()
        places = random.integers(0, 3000, random.integers(1, 4))
        damaged[places] = random.integers(32, 127, len(places))
        (tmp_path / "g.safetensors").write_bytes(damaged.tobytes())
        with suppress(SpikewrightError):
            graph = load_graph(tmp_path / "g.safetensors")
            run(graph, np.zeros((1, *graph.shapes[graph.of_type(Input)[0].name]), np.float32))
