"""Keras files: old ones, half ones, and hostile ones. Nothing in them is run, and none blows up."""

from __future__ import annotations

import copy
import io
import json
import stat
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from typer.testing import CliRunner

import spikewright as sw
from keras_networks import INPUT, L, chain, first, graph_outputs, keras, keras_outputs, randomised, samples
from spikewright.cli.app import app
from spikewright.errors import GraphError, ModelFileError, SpikewrightError, UnsupportedModelError
from spikewright.forward import run

Change = Callable[[dict[str, Any]], object]


@pytest.fixture
def model() -> Any:
    return chain(L.Conv2D(3, 3, name="conv"), L.BatchNormalization(name="norm"), L.Flatten(), L.Dense(2, name="end"))


@pytest.fixture
def archive(model: Any, tmp_path: Path) -> Path:
    model.save(tmp_path / "whole.keras")
    return tmp_path / "whole.keras"


@pytest.fixture
def legacy(model: Any, tmp_path: Path) -> Path:
    model.save(tmp_path / "whole.h5")
    return tmp_path / "whole.h5"


def entries(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as file:
        return {name: file.read(name) for name in file.namelist()}


def archived(path: Path, parts: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        for name, content in parts.items():
            file.writestr(name, content)
    return path


def with_config(path: Path, change: Change) -> Path:
    """A copy of an archive or legacy file with another description."""
    changed = path.with_name(f"changed{path.suffix}")
    if path.suffix == ".keras":
        parts = entries(path)
        config = json.loads(parts["config.json"])
        change(config)
        return archived(changed, {**parts, "config.json": json.dumps(config).encode()})
    changed.write_bytes(path.read_bytes())
    with h5py.File(changed, "a") as file:
        config = json.loads(file.attrs["model_config"])
        change(config)
        file.attrs["model_config"] = json.dumps(config)
    return changed


def with_weights(path: Path, change: Callable[[h5py.File], object]) -> Path:
    """A copy of an archive with other weights."""
    parts = entries(path)
    raw = io.BytesIO(parts["model.weights.h5"])
    with h5py.File(raw, "a") as file:
        change(file)
    return archived(path.with_name("changed.keras"), {**parts, "model.weights.h5": raw.getvalue()})


def layer(config: dict[str, Any], name: str) -> dict[str, Any]:
    return next(entry for entry in config["config"]["layers"] if entry["name"] == name)


def refused(path: Path, message: str, error: type[SpikewrightError] = ModelFileError) -> None:
    with pytest.raises(error, match=message):
        sw.load(path)


# Files people have.


def keras_2(entry: dict[str, Any]) -> None:
    """A description as Keras 2 wrote it."""
    entry.pop("module", None), entry.pop("registered_name", None), entry.pop("build_config", None)
    config = entry["config"]
    if "batch_shape" in config:
        config["batch_input_shape"] = config.pop("batch_shape")
    if isinstance(config.get("dtype"), dict):
        config["dtype"] = "float32"
    if "kernel_initializer" in config:
        config["kernel_initializer"] = {
            "class_name": "VarianceScaling",
            "config": {"scale": 1.0, "mode": "fan_avg", "distribution": "uniform", "seed": None, "dtype": "float32"},
        }
    if entry["class_name"] == "BatchNormalization":
        config["axis"] = [3]
    if entry["class_name"] == "DepthwiseConv2D":
        config["groups"] = 1
    if entry["class_name"] == "LeakyReLU":
        config["alpha"] = config.pop("negative_slope")
    calls = []
    for node in entry.get("inbound_nodes", ()):
        given = node["args"][0]
        tensors = given if isinstance(given, list) else [given]
        calls.append([[*tensor["config"]["keras_history"], {}] for tensor in tensors])
    entry["inbound_nodes"] = calls


@pytest.mark.parametrize("kind", ["Functional", "Model"])
def test_what_keras_2_wrote(kind: str, tmp_path: Path) -> None:
    start = L.Input(INPUT, name="input_1")
    at = L.DepthwiseConv2D(3, activation="relu")(start)
    at = L.BatchNormalization()(L.Add()([at, L.Conv2D(3, 3)(start)]))
    model = randomised(keras.Model(start, L.Dense(3, activation="softmax")(L.Flatten()(L.LeakyReLU()(at)))))
    model.save(tmp_path / "new.h5")

    def older(data: dict[str, Any]) -> None:
        data["class_name"] = kind
        for entry in data["config"]["layers"]:
            keras_2(entry)
        data["config"]["input_layers"] = [["input_1", 0, 0]]

    path = with_config(tmp_path / "new.h5", older)
    with h5py.File(path, "a") as file:
        file.attrs["training_config"] = json.dumps({"optimizer_config": {"class_name": "Custom>Own", "lr": 0.1}})
        for group in file["model_weights"].values():
            new = list(group.attrs.get("weight_names", ()))
            names = [f"{name.replace('conv2d/kernel', 'conv2d/depthwise_kernel')}:0" for name in new]
            names = [name if "depthwise_conv2d/" in name else f"{old}:0" for name, old in zip(names, new, strict=True)]
            for name, old in zip(names, new, strict=True):
                group.move(old, name)
            group.attrs["weight_names"] = [name.encode() for name in names]
    xs = samples(model)
    assert np.abs(graph_outputs(sw.load(path), xs)[0] - keras_outputs(model, xs)[0]).max() < 1e-4


def test_a_sequential_model_without_its_input_layer(tmp_path: Path) -> None:
    model = randomised(keras.Sequential([L.Input(INPUT), L.Conv2D(2, 3, name="conv"), L.Flatten(), L.Dense(2)]))
    model.save(tmp_path / "new.h5")

    def older(data: dict[str, Any]) -> None:
        data["config"]["layers"] = data["config"]["layers"][1:]
        data["config"].pop("build_input_shape", None)
        data["config"]["layers"][0]["config"]["batch_input_shape"] = [None, *INPUT]

    def oldest(data: dict[str, Any]) -> None:
        older(data)
        data["config"] = data["config"]["layers"]

    xs = samples(model)
    for change in (older, oldest):
        graph = sw.load(with_config(tmp_path / "new.h5", change))
        assert np.abs(graph_outputs(graph, xs)[0] - keras_outputs(model, xs)[0]).max() < 1e-4


def test_archives_without_names_go_by_rank(tmp_path: Path) -> None:
    parts = [L.Conv2D(2, 3), L.Conv2DTranspose(3, 2), L.BatchNormalization(), *(L.Conv2D(3, 1) for _ in range(11))]
    model = chain(*parts, L.PReLU(), L.Conv2D(2, 2))
    model.save(tmp_path / "new.keras")

    def nameless(file: h5py.File) -> None:
        file.visititems(lambda _, found: found.attrs.pop("name", None) and None)

    def moved(file: h5py.File) -> None:
        nameless(file)
        file.move("layers", "_layer_checkpoint_dependencies")

    xs = samples(model)
    for change in (nameless, moved):
        graph = sw.load(with_weights(tmp_path / "new.keras", change))
        assert np.abs(graph_outputs(graph, xs)[0] - first(keras_outputs(model, xs)[0])).max() < 1e-4


def test_legacy_files_that_nest_models(tmp_path: Path) -> None:
    """Layers of one name in two of them are told apart by their paths; frozen layers stand elsewhere in the list."""
    parts = []
    for name in ("one", "two"):
        inside = [L.Conv2D(3, 1, name="conv"), L.BatchNormalization(name="norm"), L.Conv2D(3, 1, name="last")]
        parts.append(keras.Sequential(inside, name=name))
    parts[0].layers[0].trainable = False
    outer = keras.Sequential([*parts, L.ReLU()], name="outer")
    model = chain(outer, L.Flatten(), L.Dense(2), shape=(4, 4, 3))
    model.save(tmp_path / "nested.h5")
    xs = samples(model)
    found = graph_outputs(sw.load(tmp_path / "nested.h5"), xs)[0]
    assert np.abs(found - keras_outputs(model, xs)[0]).max() < 1e-4


def test_either_name_for_either_kind(archive: Path, legacy: Path, model: Any) -> None:
    xs = samples(model)
    for path, name in ((archive, "other.h5"), (legacy, "other.keras"), (legacy, "other.hdf5")):
        other = path.rename(path.with_name(name)) if name != "other.keras" else path.with_name(name)
        other.write_bytes(other.read_bytes() if other.exists() else path.read_bytes())
        assert np.abs(graph_outputs(sw.load(other), xs)[0] - keras_outputs(model, xs)[0]).max() < 1e-4


@pytest.mark.parametrize("policy", ["float16", "bfloat16", "mixed_float16"])
@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_narrow_floats(policy: str, suffix: str, tmp_path: Path) -> None:
    start = L.Input((4,))
    model = randomised(keras.Model(start, L.Dense(3, dtype=policy, name="end")(start)))
    try:
        model.save(tmp_path / f"narrow{suffix}")
    except TypeError:
        pytest.skip("Keras cannot write these weights itself")
    weight = keras.ops.convert_to_numpy(keras.ops.cast(model.get_layer("end").kernel, "float32"))
    np.testing.assert_array_equal(sw.load(tmp_path / f"narrow{suffix}")["end"].weight, weight.T)
    np.testing.assert_array_equal(sw.load(model)["end"].weight, weight.T)


def test_keras_is_not_needed_and_not_imported(archive: Path, legacy: Path) -> None:
    code = (
        "import sys; sys.modules['keras'] = None\n"
        "import spikewright as sw\n"
        f"print(len(sw.load({str(archive)!r})), len(sw.load({str(legacy)!r})))\n"
        "assert not any(name.startswith(('keras.', 'tensorflow')) for name in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["7", "7"]


# Code in files.


def test_a_lambda_is_refused_and_not_run(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    keras.config.enable_unsafe_deserialization()
    start = L.Input((4,))
    code = f"lambda x: (__import__('pathlib').Path({str(trace)!r}).touch(), x)[1]"
    bad = L.Lambda(eval(code), output_shape=(4,), name="evil")
    model = keras.Model(start, L.Dense(2)(bad(start)))
    for suffix in (".keras", ".h5"):
        model.save(tmp_path / f"evil{suffix}")
        trace.unlink(missing_ok=True)
        refused(
            tmp_path / f"evil{suffix}",
            "Lambda at 'evil': it is code of its own, and none is run",
            UnsupportedModelError,
        )
        assert not trace.exists()
    with pytest.raises(UnsupportedModelError, match="Lambda at 'evil'"):
        sw.load(model)
    assert not trace.exists()
    keras.models.load_model(tmp_path / "evil.keras", safe_mode=False)(np.zeros((1, 4)))
    assert trace.exists()  # so the file would have done it


def test_custom_objects_are_refused_and_not_imported(archive: Path, tmp_path: Path) -> None:
    (tmp_path / "evil_module.py").write_text(f"open({str(tmp_path / 'trace')!r}, 'w').close()\nclass Dense: pass\n")
    sys.path.insert(0, str(tmp_path))
    try:
        for change in (
            {"module": "evil_module", "registered_name": "Evil>Dense"},
            {"module": "evil_module"},
            {"module": None, "registered_name": "Dense"},
            {"class_name": "Evil>Dense"},
        ):
            path = with_config(archive, lambda config, change=change: layer(config, "end").update(change))
            refused(path, "at 'end': its class is of .*; it is code of its own", UnsupportedModelError)

        def activation(config: dict[str, Any]) -> None:
            function = {"module": "evil_module", "class_name": "function", "config": "run", "registered_name": "run"}
            layer(config, "conv")["config"]["activation"] = function

        refused(with_config(archive, activation), "run at 'conv': it is code of its own", UnsupportedModelError)
    finally:
        sys.path.remove(str(tmp_path))
    assert not (tmp_path / "trace").exists()
    assert "evil_module" not in sys.modules


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

    refused(with_config(tmp_path / "m.keras", grown), "more than 2^31 values for one sample", UnsupportedModelError)


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
    x = np.random.default_rng(0).uniform(size=(20, *INPUT)).astype(np.float32)
    np.savez(tmp_path / "nhwc.npz", x=x, y=keras_outputs(model, [x])[0].argmax(1))
    files = [str(tmp_path / name) for name in ("m.keras", "nhwc.npz", "s.safetensors")]
    done = CliRunner().invoke(app, ["convert", files[0], "--data", files[1], "-o", files[2]])
    assert done.exit_code == 0, done.output
    done = CliRunner().invoke(app, ["simulate", files[2], "--data", files[1], "-T", "64", "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["accuracy"][-1] >= 0.9
