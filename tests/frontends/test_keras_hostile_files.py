"""Files of Keras that reach out, blow up, do not fit or make no sense: one clear error each."""

from __future__ import annotations

import copy
import json
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from typer.testing import CliRunner

import spikewright as sw
from keras_archives import archived, entries, layer, refused, with_config, with_weights
from keras_networks import INPUT, L, chain, first, keras, keras_outputs, randomised
from spikewright.cli.app import app
from spikewright.errors import GraphError, SpikewrightError, UnsupportedModelError
from spikewright.forward import run

# Archives that reach out, or blow up.


@pytest.mark.parametrize("name", ["../out", "/tmp/out", "a/../../out", "..\\out", "C:\\out"])
def test_entries_that_lead_out_of_the_archive(name: str, archive: Path) -> None:
    refused(archived(archive, {**entries(archive), name: b"x"}), "leads out of the archive; nothing was read")


def test_symbolic_links_in_archives(archive: Path) -> None:
    with zipfile.ZipFile(archive, "a") as file:
        link = zipfile.ZipInfo("link")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        file.writestr(link, "/etc/passwd")
    refused(archive, "its entry 'link' leads out of the archive")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_entries_of_one_name(archive: Path) -> None:
    with zipfile.ZipFile(archive, "a") as file:
        file.writestr("config.json", b"{}")
    refused(archive, r"two of its entries are called 'config\.json'")


@pytest.mark.parametrize("entry", ["config.json", "model.weights.h5"])
def test_zip_bombs(entry: str, archive: Path) -> None:
    parts = entries(archive)
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in parts.items():
            file.writestr(name, bytes(200 << 20) if name == entry else content)
    refused(archive, "would unpack to 209,715,200 bytes from .*; nothing was read")


def test_shapes_without_end(archive: Path) -> None:
    """2^40 values, declared in the description, in the weights, or in both."""

    def wide(config: dict[str, Any]) -> None:
        layer(config, "x")["config"]["batch_shape"] = [None, 1 << 20, 1 << 20, 3]

    def grown(config: dict[str, Any]) -> None:
        layer(config, "end")["config"]["units"] = 1 << 40

    def sparse(file: h5py.File) -> None:
        del file["layers/dense/vars/0"]
        file.create_dataset("layers/dense/vars/0", (90, 1 << 34), "f4", chunks=(1, 1 << 20), compression="gzip")
        del file["layers/dense/vars/1"]
        file.create_dataset("layers/dense/vars/1", (1 << 34,), "f4", chunks=(1 << 20,), compression="gzip")

    def both(config: dict[str, Any]) -> None:
        layer(config, "end")["config"]["units"] = 1 << 34

    refused(with_config(archive, wide), "no network takes samples like that")
    refused(with_config(archive, grown), r"kernel: has the shape \(90, 2\) where the layer needs \(90, 1099511627776\)")
    refused(with_weights(archive, sparse), r"has the shape \(90, 17179869184\) where the layer needs \(90, 2\)")
    hollow = with_weights(archive, sparse).rename(archive.with_name("hollow.keras"))
    refused(with_config(hollow, both), "say they hold 6,184,752,906,240 bytes, the file has 0")


def test_upsampling_without_end(tmp_path: Path) -> None:
    model = chain(L.UpSampling2D(2, name="grow"))
    model.save(tmp_path / "m.keras")

    def grown(config: dict[str, Any]) -> None:
        layer(config, "grow")["config"]["size"] = [1 << 20, 1 << 20]

    refused(with_config(tmp_path / "m.keras", grown), r"more than 2\^31 values for one sample", UnsupportedModelError)


def test_models_that_call_models_without_end(tmp_path: Path) -> None:
    """Thirty models, each of which calls the next one twice: a thousand million layers in a few kilobytes."""
    start = L.Input((2,), name="start")
    keras.Model(start, L.ReLU(name="core")(start), name="m0").save(tmp_path / "m.keras")
    parts = entries(tmp_path / "m.keras")
    config = json.loads(parts["config.json"])
    for depth in range(30):
        inside = copy.deepcopy(config)
        name, node = (
            inside["config"]["name"],
            layer(config, "core" if not depth else f"m{depth - 1}")["inbound_nodes"][0],
        )
        second = json.loads(json.dumps(node).replace('"start"', f'"{name}"'))
        inside |= {"name": name, "inbound_nodes": [node, second]}
        config["config"] |= {"name": f"m{depth + 1}", "layers": [layer(config, "start"), inside]}
        config["config"]["output_layers"] = [[name, 2, 0]]
    path = archived(tmp_path / "m.keras", {**parts, "config.json": json.dumps(config).encode()})
    refused(path, "calls more than 20,000 layers")


def test_descriptions_nested_without_end(archive: Path) -> None:
    deep = b'{"class_name": "Sequential", "config": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    refused(archived(archive, {**entries(archive), "config.json": deep}), "damaged")


# HDF5 that reaches out.


def test_links_and_storage_outside_of_the_file(archive: Path, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "secret.h5", "w") as other:
        other["values"] = np.zeros((90, 2), np.float32)

    def replaced(make: Callable[[h5py.Group], object]) -> Callable[[h5py.File], object]:
        def change(file: h5py.File) -> None:
            group = file["layers/dense/vars"]
            del group["0"]
            make(group)

        return change

    def external(group: h5py.Group) -> None:
        group["0"] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "values")

    def soft(group: h5py.Group) -> None:
        group["0"] = h5py.SoftLink("/layers/conv2d/vars/0")

    def outside(group: h5py.Group) -> None:
        group.create_dataset("0", (90, 2), "f4", external=[(str(tmp_path / "raw"), 0, 720)])

    def virtual(group: h5py.Group) -> None:
        layout = h5py.VirtualLayout((90, 2), "f4")
        layout[:] = h5py.VirtualSource(str(tmp_path / "secret.h5"), "values", (90, 2))
        group.create_virtual_dataset("0", layout)

    (tmp_path / "raw").write_bytes(bytes(720))
    for make in (external, soft):
        refused(with_weights(archive, replaced(make)), "are a link to somewhere else, and were not read")
    for make in (outside, virtual):
        refused(with_weights(archive, replaced(make)), "lie in another file, and were not read")

    def folder(file: h5py.File) -> None:
        del file["layers/dense"]
        file["layers/dense"] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "/")

    refused(with_weights(archive, folder), "are a link to somewhere else")


def test_links_in_legacy_files(legacy: Path) -> None:
    with h5py.File(legacy, "a") as file:
        del file["model_weights/end"]
        file["model_weights/end"] = h5py.SoftLink("/model_weights/conv")
    refused(legacy, "are a link to somewhere else")


# Weights that do not fit.


def test_missing_and_superfluous_weights(archive: Path, legacy: Path) -> None:
    for gone in ("layers/dense", "layers/dense/vars/1"):

        def change(file: h5py.File, gone: str = gone) -> None:
            del file[gone]

        refused(with_weights(archive, change), r"'end' has 2 weights \(kernel, bias\), the model holds [01] for it")

    def more(file: h5py.File) -> None:
        file["layers/dense/vars/2"] = np.zeros(3)

    def stranger(file: h5py.File) -> None:
        file["layers/other/vars/0"] = np.zeros(3)
        file["layers/other/vars"].attrs["name"] = "other"

    refused(with_weights(archive, more), "the model holds 3 for it")
    refused(with_weights(archive, stranger), "holds weights for 'other', which the network does not have")

    def idle(file: h5py.File) -> None:
        file["layers/flatten/vars/0"] = np.zeros(3)

    refused(with_weights(archive, idle), "'flatten.*' has 0 weights, the model holds 1 for it")
    with h5py.File(legacy, "a") as file:
        file["model_weights"].move("end", "strange")
        names = [str(n).replace("end", "strange").encode() for n in file["model_weights"].attrs["layer_names"]]
        file["model_weights"].attrs["layer_names"] = names
    refused(legacy, "holds weights for 'strange', which the network does not have")


def test_other_shapes_and_kinds(archive: Path) -> None:
    def put(value: np.ndarray) -> Path:
        def change(file: h5py.File) -> None:
            del file["layers/dense/vars/0"]
            file["layers/dense/vars/0"] = value

        return with_weights(archive, change)

    refused(put(np.zeros((2, 90), np.float32)), r"'end', kernel: has the shape \(2, 90\) where .* needs \(90, 2\)")
    refused(put(np.zeros((90, 2), np.int8)), "'end', kernel: is int8; give the network as it was before")
    refused(put(np.full((90, 2), b"x")), "is |S1, not floats")
    refused(put(np.full((90, 2), np.nan, np.float32)), r"Linear 'end': weight\[0, 0\] is nan", GraphError)
    assert run(sw.load(put(np.ones((90, 2), np.float64))), first(np.ones((1, *INPUT), np.float32)))


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_quantised_layers(tmp_path: Path) -> None:
    model = chain(L.Dense(4, name="end"), shape=(6,))
    model.quantize("int8")
    model.save(tmp_path / "int8.keras")
    refused(tmp_path / "int8.keras", "Dense at 'end': its weights are quantised", UnsupportedModelError)


# Descriptions that make no sense.


def test_files_that_are_no_models(archive: Path, legacy: Path, tmp_path: Path, model: Any) -> None:
    refused(tmp_path / "nothing.keras", "no such file")
    for path in (archive, legacy):
        whole = path.read_bytes()
        for size in (0, 3, 100, len(whole) // 2, len(whole) - 30):
            (tmp_path / f"cut{path.suffix}").write_bytes(whole[:size])
            refused(tmp_path / f"cut{path.suffix}", "damaged")
    model.save_weights(tmp_path / "only.weights.h5")
    refused(tmp_path / "only.weights.h5", "holds weights without the network; save the whole model")
    refused(archived(tmp_path / "empty.keras", {"a": b""}), "not a Keras archive")
    refused(archived(tmp_path / "half.keras", {"config.json": b"{}"}), r"holds no model\.weights\.h5")
    for config in (b"[]", b"1", b"\xff", b'{"class_name": "Sequential"}', b'{"class_name": "Functional", "config": 3}'):
        path = archived(tmp_path / "odd.keras", {**entries(archive), "config.json": config})
        with pytest.raises(SpikewrightError):
            sw.load(path)


def reference(config: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = layer(config, name)["inbound_nodes"][0]["args"][0]["config"]
    return found


def test_cycles_dangling_inputs_and_names_used_twice(archive: Path) -> None:
    def cycle(config: dict[str, Any]) -> None:
        reference(config, "conv")["keras_history"] = ["norm", 0, 0]

    def dangling(config: dict[str, Any]) -> None:
        reference(config, "norm")["keras_history"] = ["ghost", 0, 0]

    def no_call(config: dict[str, Any]) -> None:
        reference(config, "norm")["keras_history"] = ["conv", 7, 0]

    def no_tensor(config: dict[str, Any]) -> None:
        reference(config, "norm")["keras_history"] = ["conv", 0, 7]

    def no_output(config: dict[str, Any]) -> None:
        config["config"]["output_layers"] = [["ghost", 0, 0]]

    def no_input(config: dict[str, Any]) -> None:
        config["config"]["input_layers"] = [["ghost", 0, 0]]

    def twice(config: dict[str, Any]) -> None:
        layer(config, "norm")["name"] = "conv"

    for change, message in (
        (cycle, "'conv', 'norm', .* wait for each other; only feed-forward"),
        (dangling, r"'norm' reads 'ghost' \(call 0\), which does not exist"),
        (no_call, r"'norm' reads 'conv' \(call 7\), which does not exist"),
        (no_tensor, "'conv' has no tensor 7"),
        (no_output, "'ghost' has no tensor 0"),
        (no_input, "an input of 'functional.*' is 'ghost', which does not exist"),
        (twice, "two layers of 'functional.*' are called 'conv'"),
    ):
        refused(with_config(archive, change), message)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("filters", -1),
        ("filters", "many"),
        ("filters", 0),
        ("strides", [0, 1]),
        ("kernel_size", [3]),
        ("kernel_size", None),
        ("padding", "reflect"),
        ("dilation_rate", [1, 2, 3]),
        ("groups", 0),
        ("activation", {"class_name": 3}),
        ("data_format", 7),
    ],
)
def test_settings_that_make_no_sense(setting: str, value: Any, archive: Path) -> None:
    def change(config: dict[str, Any]) -> None:
        layer(config, "conv")["config"][setting] = value

    path = with_config(archive, change)
    if setting == "data_format":
        sw.load(path)
        return
    with pytest.raises(UnsupportedModelError, match="at 'conv'"):
        sw.load(path)


def test_the_command_line_takes_channels_last_data(tmp_path: Path) -> None:
    start = L.Input(INPUT)
    model = randomised(keras.Model(start, L.Dense(2)(L.Flatten()(L.Conv2D(3, 3, activation="relu")(start)))))
    model.save(tmp_path / "m.keras")
    for seed, name in enumerate(("nhwc.npz", "others.npz")):
        x = np.random.default_rng(seed).uniform(size=(20, *INPUT)).astype(np.float32)
        np.savez(tmp_path / name, x=x, y=keras_outputs(model, [x])[0].argmax(1))
    files = [str(tmp_path / name) for name in ("m.keras", "nhwc.npz", "s.safetensors", "others.npz")]
    done = CliRunner().invoke(app, ["convert", files[0], "--data", files[1], "-o", files[2]])
    assert done.exit_code == 0, done.output
    done = CliRunner().invoke(app, ["simulate", files[2], "--data", files[3], "-T", "64", "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["accuracy"][-1] >= 0.9
