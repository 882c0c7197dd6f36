"""Bad input gets one or two clear lines, exit status 2, and leaves nothing half-written."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper, save_model

from spikewright.cli.app import run


class Cli:
    """Runs commands in a folder and looks at what they said."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.capsys = folder, capsys

    def refused(self, *arguments: str, status: int = 2) -> str:
        before = sorted(self.folder.rglob("*"))
        assert run(arguments) == status
        said = self.capsys.readouterr()
        assert said.out == ""
        message = said.err[said.err.find("error: ") :] if "error: " in said.err else said.err  # behind what was seen
        many = " operators cannot be " in message  # a line for each kind
        assert many or 1 <= len(message.strip().splitlines()) <= 2, said.err
        assert sorted(self.folder.rglob("*")) == before, "something was written"
        return said.err


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    np.savez("data.npz", x=random.random((20, 1, 6, 6), np.float32), y=random.integers(0, 3, 20))
    write_network("net.onnx")
    return Cli(tmp_path, capsys)


def write_network(path: str, extra: tuple[str, ...] = (), nan: bool = False) -> None:
    random = np.random.default_rng(1)
    weight = random.normal(size=(4, 1, 3, 3)).astype(np.float32)
    if nan:
        weight[2, 0, 1, 1] = np.nan
    arrays = {"w": weight, "v": random.normal(size=(3, 64)).astype(np.float32)}
    nodes = [helper.make_node("Conv", ["x", "w"], ["c"], name="conv"), helper.make_node("Relu", ["c"], ["r"])]
    last = "r"
    for k, operator in enumerate(extra):
        nodes.append(helper.make_node(operator, [last], [f"e{k}"], name=f"extra{k}"))
        last = f"e{k}"
    nodes += [
        helper.make_node("Flatten", [last], ["f"]),
        helper.make_node("Gemm", ["f", "v"], ["y"], name="fc", transB=1),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 1, 6, 6])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 3])],
        [numpy_helper.from_array(a, n) for n, a in arrays.items()],
    )
    save_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)


def test_good_input_works(cli: Cli) -> None:
    assert run(["convert", "net.onnx", "--data", "data.npz"]) == 0
    assert "written: spiking.safetensors" in cli.capsys.readouterr().out
    assert run(["simulate", "spiking.safetensors", "--data", "data.npz", "-T", "8", "--allow-overlap"]) == 0
    assert "T=8" in cli.capsys.readouterr().out
    assert run(["inspect", "spiking.safetensors"]) == 0


def test_missing_model(cli: Cli) -> None:
    assert "nowhere.onnx: no such file" in cli.refused("inspect", "nowhere.onnx")


def test_missing_data(cli: Cli) -> None:
    assert "nowhere.npz: no such file or folder" in cli.refused("convert", "net.onnx", "--data", "nowhere.npz")


def test_truncated_onnx(cli: Cli) -> None:
    Path("cut.onnx").write_bytes(Path("net.onnx").read_bytes()[:500])
    assert "cut.onnx: damaged or not an ONNX file" in cli.refused("inspect", "cut.onnx")


def test_networks_go_out_to_nir_and_come_back(cli: Cli) -> None:
    pytest.importorskip("nir")
    assert run(["convert", "net.onnx", "--data", "data.npz"]) == 0
    assert run(["export", "spiking.safetensors", "-o", "net.nir"]) == 0
    assert "written: net.nir" in cli.capsys.readouterr().out
    assert run(["inspect", "net.nir"]) == 0
    assert "spiking already" in cli.capsys.readouterr().out
    said = []
    for name in ("spiking.safetensors", "net.nir"):
        assert run(["simulate", name, "--data", "data.npz", "-T", "8", "--json", "--allow-overlap"]) == 0
        said.append(json.loads(cli.capsys.readouterr().out))
        assert said[-1].pop("model") == name
        assert said[-1].pop("provenance")["words"][:2] == ["simulate", name]
    alone = said[1]  # without the trained network there is nothing to compare with
    assert len(alone.pop("notes")) == 1
    assert said[0].pop("notes") == []
    compared = ("analog_accuracy", "agreement", "energy_analog_nj", "errors", "protocol")
    assert all(alone.pop(label) is None is not said[0].pop(label) for label in compared)
    for one in said:
        for head in one["heads"].values():
            assert bool(head.pop("analog")) == bool(head.pop("agreement")) == (one is said[0])
            assert bool(head.pop("quantised")) == (one is said[0])
            assert all(bool(ends.pop("above_analog")) == (one is said[0]) for ends in head["intervals"].values())
        for layer in one["layers"].values():
            layer.pop("correlation")
            layer.pop("rms_error")
        known = ("calibration too", "near chance")  # of what only a conversion remembers
        one["warnings"] = [text for text in one["warnings"] if not any(words in text for words in known)]
    assert said[0] == said[1]
    assert run(["export", "net.nir", "-o", "again.nir", "--dt", "0.001", "--json"]) == 0
    assert json.loads(cli.capsys.readouterr().out)["dt"] == 0.001


def test_exports_that_cannot_be(cli: Cli) -> None:
    pytest.importorskip("nir")
    said = cli.refused("export", "net.onnx", "-o", "net.nir")
    assert "1 operator cannot be written as NIR: ReLU" in said
    assert "NIR has no node for it; convert the network first" in said
    assert "no format is written under the suffix '.txt'; give one of .nir" in cli.refused(
        "export", "net.onnx", "-o", "net.txt"
    )
    assert "nowhere.nir: no such file" in cli.refused("inspect", "nowhere.nir")
    Path("junk.nir").write_bytes(b"junk")
    assert "junk.nir: damaged or not a NIR file" in cli.refused("simulate", "junk.nir", "--data", "data.npz")
    assert "has no spiking populations" in cli.refused("simulate", "net.onnx", "--data", "data.npz")


def test_pickle_posing_as_weights(cli: Cli) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
            return Path("trap").touch, ()  # type: ignore[return-value]

    Path("net.py").write_text("from torch import nn\n\ndef net():\n    return nn.Linear(3, 3)\n")
    Path("weights.pt").write_bytes(pickle.dumps(Trap()))
    said = cli.refused("inspect", "net.py:net", "--weights", "weights.pt", "--shape", "3")
    assert "weights.pt" in said
    assert not Path("trap").exists()


def test_unsupported_operators_are_all_named(cli: Cli) -> None:
    write_network("deep.onnx", ("Sigmoid", "Relu", "Tanh"))
    said = cli.refused("convert", "deep.onnx", "--data", "nowhere.npz")  # reported before the data are read
    assert "2 operators" in said
    assert "Sigmoid at 'extra0'" in said
    assert "Tanh at 'extra2'" in said


def test_nan_weights(cli: Cli) -> None:
    write_network("nan.onnx", nan=True)
    assert "Conv 'conv': weight[2, 0, 1, 1] is nan" in cli.refused("inspect", "nan.onnx")


def test_data_of_the_wrong_shape(cli: Cli) -> None:
    np.savez("wide.npz", x=np.zeros((5, 1, 7, 7), np.float32))
    said = cli.refused("convert", "net.onnx", "--data", "wide.npz")
    assert "(1, 7, 7)" in said
    assert "(1, 6, 6)" in said


def test_labels_out_of_range(cli: Cli) -> None:
    run(["convert", "net.onnx", "--data", "data.npz"])
    cli.capsys.readouterr()
    np.savez("odd.npz", x=np.zeros((5, 1, 6, 6), np.float32), y=np.array([0, 1, 2, 7, 0]))
    said = cli.refused("simulate", "spiking.safetensors", "--data", "odd.npz", "-T", "2")
    assert "label 7 does not exist: the network has 3 classes" in said


def test_empty_data(cli: Cli) -> None:
    np.savez("none.npz", x=np.zeros((0, 1, 6, 6), np.float32))
    assert "the data set is empty" in cli.refused("convert", "net.onnx", "--data", "none.npz")


def test_no_timesteps(cli: Cli) -> None:
    run(["convert", "net.onnx", "--data", "data.npz"])
    cli.capsys.readouterr()
    said = cli.refused("simulate", "spiking.safetensors", "--data", "data.npz", "-T", "0")
    assert "timesteps must be 1 or more, not 0" in said


def test_unknown_method(cli: Cli) -> None:
    said = cli.refused("convert", "net.onnx", "--data", "data.npz", "--method", "magic")
    every = "auto, gauss, ltb, max, mmse, percentile, scale"
    assert f"unknown threshold method 'magic'; choose one of {every}, for example" in said


def test_unknown_encoder(cli: Cli) -> None:
    said = cli.refused("simulate", "net.onnx", "--data", "data.npz", "--encoder", "morse")
    assert "unknown encoder 'morse'; choose one of constant, events, poisson" in said


def test_full_disk_leaves_the_old_result(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    run(["convert", "net.onnx", "--data", "data.npz"])
    cli.capsys.readouterr()
    good = Path("spiking.safetensors").read_bytes()

    def full(arrays: object, path: Path, metadata: object) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("safetensors.numpy.save_file", full)
    said = cli.refused("convert", "net.onnx", "--data", "data.npz", "--method", "max", "--force")
    assert "cannot write spiking.safetensors: No space left on device" in said
    assert Path("spiking.safetensors").read_bytes() == good


def test_interrupted(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("spikewright.forward.Forward.__call__", stop)
    assert "interrupted; nothing was written" in cli.refused("convert", "net.onnx", "--data", "data.npz", status=130)


def test_events_where_something_stands(cli: Cli) -> None:
    pytest.importorskip("pyarrow")
    assert run(["convert", "net.onnx", "--data", "data.npz"]) == 0
    Path("notes").mkdir()
    Path("notes/diary.txt").write_text("precious", encoding="utf-8")
    cli.capsys.readouterr()
    for place in ("notes", "net.onnx"):
        typed = [
            "simulate",
            "spiking.safetensors",
            "--data",
            "data.npz",
            "-T",
            "8",
            "--force",
            "--allow-overlap",
            "--events",
            place,
        ]
        assert f"{place} is not a folder of events and is not replaced" in cli.refused(*typed)


def test_interrupted_while_writing_events(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pyarrow")
    assert run(["convert", "net.onnx", "--data", "data.npz"]) == 0
    cli.capsys.readouterr()
    seen: list[object] = []

    def stop(*_: object) -> None:
        seen.append(list(cli.folder.glob(".events.*/*.parquet")))
        raise KeyboardInterrupt

    monkeypatch.setattr("spikewright.rates.InputSums.__call__", stop)
    typed = [
        "simulate",
        "spiking.safetensors",
        "--data",
        "data.npz",
        "-T",
        "8",
        "--allow-overlap",
        "--events",
        "events",
    ]
    assert "interrupted; nothing was written" in cli.refused(*typed, status=130)
    assert seen[0]


def test_usage_errors_exit_with_2(cli: Cli) -> None:
    assert run(["convert", "net.onnx"]) == 2
    assert "--data" in cli.capsys.readouterr().err
