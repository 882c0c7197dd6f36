"""Keras files: old ones, half ones, and hostile ones. Nothing in them is run, and none blows up."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import spikewright as sw
from keras_archives import layer, refused, with_config, with_weights
from keras_networks import INPUT, L, chain, first, graph_outputs, keras, keras_outputs, randomised, samples
from spikewright.errors import UnsupportedModelError

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
