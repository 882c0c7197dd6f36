"""ONNX models beside ONNX Runtime, Keras models beside Keras, and the command line's words for it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import spikewright as sw
from keras_networks import L, chain, keras, randomised, shared
from onnx_models import model, normal
from spikewright.cli.app import run as command
from spikewright.errors import GraphError, ModelFileError, SettingsError, UnsupportedModelError
from spikewright.frontends.keras.operators import RULES as LAYERS
from spikewright.frontends.onnx.operators import RULES as OPERATORS
from spikewright.frontends.verify import verification
from spikewright.nodes import ChannelAffine, Floor, Identity, ReLU


def small(shape: list[Any] | None = None) -> onnx.ModelProto:
    nodes = [("Gemm", ["", "w", "b"], {}), ("Relu", [""], {}), ("Gemm", ["", "v"], {}), ("Softmax", [""], {"axis": 1})]
    return model(nodes, shape or ["N", 5], w=normal(5, 6), b=normal(6), v=normal(6, 3))


def steps(shape: list[Any] | None = None) -> onnx.ModelProto:
    nodes = [
        ("Gemm", ["", "w"], {}),
        ("Clip", ["", "low", "high"], {}),
        ("Mul", ["", "four"], {}),
        ("Add", ["", "half"], {}),
        ("Floor", [""], {}),
        ("Gemm", ["", "v"], {}),
    ]
    numbers = {k: np.float32(v) for k, v in {"low": 0, "high": 2, "four": 4, "half": 0.5}.items()}
    return model(nodes, shape or ["N", 5], w=normal(5, 6), v=normal(6, 3), **numbers)


# ONNX.


def test_a_model_in_memory() -> None:
    known = verification(sw.load(small()))
    assert (known.against, known.samples, known.batches) == ("ONNX Runtime", 22, (2, 3))
    assert known.difference < 1e-5
    fixed = verification(sw.load(small([4, 5])))
    assert (fixed.batches, fixed.notes) == ((4,), ("it is made for batches of 4 only",))
    assert verification(sw.load(steps())).against == "ONNX Runtime"


def test_a_file_is_compared_where_that_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "small.onnx"
    onnx.save(small(), path)
    assert str(verification(sw.load(path))) == "not verified: a file is compared with verify=True (--verify)"
    assert verification(sw.load(path, verify=True)).against == "ONNX Runtime"
    assert verification(sw.load(path, verify=False)).notes == ("verify=False (--no-verify)",)


def test_weights_beside_a_model(tmp_path: Path) -> None:
    path = tmp_path / "small.onnx"
    onnx.save(small(), path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    assert verification(sw.load(path, verify=True)).against == "ONNX Runtime"


def test_a_wrong_rule_of_onnx_is_refused_by_node(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "'Relu_1' (ReLU)"
    monkeypatch.setitem(
        OPERATORS, "Relu", lambda call: call.add(ReLU(name=call.name, inputs=(call.source(),), ceiling=3.0))
    )
    with pytest.raises(GraphError) as caught:
        sw.load(small())
    assert str(caught.value).startswith(f"test: the graph differs from ONNX Runtime at the node {name}, by ")


def test_a_wrong_step_of_onnx_is_refused_by_node(monkeypatch: pytest.MonkeyPatch) -> None:
    def late(call: Any) -> None:
        ones = np.ones(call.shape()[:1])
        call.add(
            Floor(
                name=call.name, inputs=(call.part(ChannelAffine, call.source(), "late", scale=ones, bias=-0.3 * ones),)
            )
        )

    monkeypatch.setitem(OPERATORS, "Floor", late)
    with pytest.raises(GraphError, match=r"at the node 'Floor_4' \(Floor\), by 1 where"):
        sw.load(steps())


def test_an_onnx_model_that_mixes_samples_where_the_graph_does_not() -> None:
    """Its batch is open, but what it reshapes to is one sample: more of them would be one long row."""
    flat = model(
        [("Reshape", ["", "one"], {}), ("Gemm", ["", "w"], {})], ["N", 2, 3], one=np.array([1, -1]), w=normal(6, 2)
    )
    with pytest.raises(UnsupportedModelError, match="samples would mix"):
        sw.load(flat)
    cut = {"starts": np.array([0]), "ends": np.array([6]), "axes": np.array([1])}
    nodes = [("Reshape", ["", "one"], {}), ("Slice", ["", *cut], {}), ("Relu", [""], {})]
    first = model(nodes, ["N", 2, 3], one=np.array([1, -1]), **cut)
    with pytest.raises(UnsupportedModelError, match="samples would mix"):
        sw.load(first)


def test_onnx_runtime_that_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spikewright.frontends.onnx.original.find_spec", lambda _: None)
    said = "comparing with ONNX Runtime needs the package onnxruntime: pip install 'spikewright[verify]'"
    assert str(verification(sw.load(small()))) == f"not verified: {said}"
    with pytest.raises(SettingsError) as caught:
        sw.load(small(), verify=True)
    assert str(caught.value) == said


def test_an_onnx_model_that_the_runtime_refuses() -> None:
    odd = small()
    odd.ir_version = 99
    assert "ONNX Runtime cannot run it on random samples" in str(verification(sw.load(odd)))
    with pytest.raises(GraphError, match=r"test: cannot be verified: ONNX Runtime cannot run it"):
        sw.load(odd, verify=True)


# Keras.


def test_a_keras_model_in_memory() -> None:
    net = randomised(keras.Sequential([L.Input((6, 6, 2)), L.Conv2D(3, 3, activation="relu"), L.Flatten(), L.Dense(3)]))
    known = verification(sw.load(net))
    assert (known.against, known.samples, known.batches, known.notes) == ("Keras", 22, (2, 3), ())
    assert verification(sw.load(shared())).against == "Keras"


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_keras_file_is_compared_where_that_is_asked_for(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"net{suffix}"
    chain(L.Conv2D(3, 3, activation="relu"), L.Flatten(), L.Dense(3)).save(path)
    assert str(verification(sw.load(path))) == "not verified: a file is compared with verify=True (--verify)"
    assert verification(sw.load(path, verify=True)).against == "Keras"


@pytest.mark.parametrize("kind", ["AveragePooling2D", "ReLU"])
def test_a_wrong_rule_of_keras_is_refused_by_node(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    right = LAYERS["AveragePooling2D"]

    def more(call: Any) -> Any:
        value = right(call)
        return call.emit(ChannelAffine, value, part="wrong", scale=np.full(3, 1.01), bias=np.zeros(3))

    wrong = {"AveragePooling2D": more, "ReLU": lambda call: call.emit(Identity, call.x, source="dropout")}
    monkeypatch.setitem(LAYERS, kind, wrong[kind])
    net = chain(L.Conv2D(3, 3, name="conv"), L.ReLU(name="relu"), L.AveragePooling2D(2, name="pool"), L.Flatten())
    with pytest.raises(GraphError) as caught:
        sw.load(net)
    place = {"AveragePooling2D": "'pool.wrong' (ChannelAffine)", "ReLU": "'relu' (Identity)"}[kind]
    assert f"the graph differs from Keras at the node {place}, by " in str(caught.value)


def test_keras_that_is_missing_or_cannot_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "net.keras"
    chain(L.Flatten(), L.Dense(3)).save(path)

    def fails(*_: Any, **__: Any) -> Any:
        raise TypeError("unknown initialiser\nand a stack")

    monkeypatch.setattr(keras.saving, "load_model", fails)
    with pytest.raises(ModelFileError, match=r"cannot load it to compare with \(unknown initialiser\); verify=False"):
        sw.load(path, verify=True)
    monkeypatch.setitem(sys.modules, "keras", None)
    with pytest.raises(SettingsError, match=r"comparing with Keras needs the package keras and a backend for it"):
        sw.load(path, verify=True)


def test_a_keras_model_that_is_not_built() -> None:
    with pytest.raises(ModelFileError) as caught:
        sw.load(keras.Sequential([L.Dense(3)]))
    assert "shape" in str(caught.value)
    with pytest.raises(ModelFileError):
        sw.load(keras.Sequential([L.Dense(3)]), shape=(4,))


# What cannot be compared, and the command line.


def test_nir_has_nothing_to_run_it(tmp_path: Path) -> None:
    graph = sw.load(small())
    method = sw.threshold_method("max")
    folded, _ = sw.prepare(graph)
    scales = sw.calibrate(folded, normal(4, 5), [method]).scales(method)
    sw.export(sw.convert(graph, scales).spiking, tmp_path / "net.nir")
    assert verification(sw.load(tmp_path / "net.nir")) == verification(graph)  # of the network it was converted from
    foreign = graph.with_nodes(graph, verified=None, source="nir")
    assert str(verification(foreign)) == "not verified: NIR comes without a framework that could run it"
    with pytest.raises(SettingsError, match="NIR comes without a framework"):
        sw.load(tmp_path / "net.nir", verify=True)


def test_inspect_and_convert_say_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, data, spiking = tmp_path / "small.onnx", tmp_path / "x.npy", tmp_path / "s.safetensors"
    onnx.save(small(), path)
    np.save(data, normal(20, 5))
    assert command(["inspect", str(path)]) == 0
    assert "not verified: a file is compared with verify=True (--verify)" in capsys.readouterr().out
    assert command(["inspect", str(path), "--verify", "--json"]) == 0
    known = json.loads(capsys.readouterr().out)["verified"]
    assert (known["against"], known["samples"], known["batches"]) == ("ONNX Runtime", 22, [2, 3])
    assert known["text"].startswith("verified against ONNX Runtime: 22 samples, batches of 2 and 3, largest difference")
    assert command(["convert", str(path), "--data", str(data), "-o", str(spiking), "--verify"]) == 0
    assert "verified against ONNX Runtime: 22 samples" in capsys.readouterr().err
    assert command(["inspect", str(spiking)]) == 0
    assert "the network it was converted from: verified against ONNX Runtime" in capsys.readouterr().out
    assert command(["inspect", str(path), "--no-verify"]) == 0
    assert "not verified: verify=False (--no-verify)" in capsys.readouterr().out


def test_a_wrong_rule_ends_the_command_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "small.onnx"
    onnx.save(small(), path)
    monkeypatch.setitem(OPERATORS, "Relu", lambda call: call.walk.alias(call.output, call.input_name(0)))
    assert command(["inspect", str(path), "--verify"]) == 2
    said = capsys.readouterr()
    assert said.err.startswith(f"error: {path}: the graph differs from ONNX Runtime at the node 'Gemm_0' (Linear), by ")
    assert len(said.err.splitlines()) == 1
    assert not said.out
