"""SNN Toolbox 0.6, by its own code: functions with Keras 3 where it imports TensorFlow, its pipeline with TensorFlow.

The functions run in this process. A TensorFlow as old as SNN Toolbox needs other packages than ours, so the pipeline
runs in an environment of its own (``benchmarks/snntoolbox.txt``), as another process.
"""

from __future__ import annotations

import configparser
import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
import types
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

import spikewright as sw
from spikewright.compat import snntoolbox as st
from spikewright.graph import Array, Graph
from spikewright.nodes import Conv, Flatten, Linear, MaxPool

TESTED = {"functions": 2000, "pipeline": 500}
"""Images: that activations are taken of, and that the pipeline is tested on."""
PERCENTILES = ("99.9", "100")

BUILD = '''
def build(keras, layers, arrays):
    """A network of Keras from a list of layers and their arrays, by the names that the list gives."""
    L = keras.layers
    start = x = keras.Input((28, 28, 1))
    weighted = [layer for layer in layers if layer[0] in ("conv", "dense")]
    for kind, name, *settings in layers:
        if kind == "conv":
            x = L.Conv2D(*settings, padding="same", activation="relu", name=name)(x)
        elif kind == "pool":
            x = L.MaxPooling2D(*settings, name=name)(x)
        elif kind == "flatten":
            x = L.Flatten(name=name)(x)
        else:
            x = L.Dense(*settings, activation="softmax", name=name)(x)
    model = keras.Model(start, x)
    for _, name, *_ in weighted:
        model.get_layer(name).set_weights([arrays[name + "_w"], arrays[name + "_b"]])
    model.compile("sgd", "categorical_crossentropy", ["accuracy"])
    return model
'''
PIPELINE = (
    BUILD
    + """
import json, os, sys
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import numpy as np
np.bool, np.int, np.float = bool, int, float  # the names that NumPy had then
from tensorflow import keras
folder = sys.argv[1]
build(keras, json.load(open(folder + "/layers.json")), np.load(folder + "/weights.npz")).save(folder + "/mnist_cnn.h5")
from snntoolbox.bin.utils import run_pipeline, update_setup
sys.stdin.close()
run_pipeline(update_setup(folder + "/config.ini"))
import tensorflow
print(json.dumps({"tensorflow": tensorflow.__version__}))
"""
)
CONFIG = """[paths]
path_wd = {folder}
dataset_path = {folder}
filename_ann = mnist_cnn

[tools]
evaluate_ann = True
normalize = True

[normalization]
percentile = 99.9

[simulation]
simulator = INI
duration = {steps}
num_to_test = {samples}
batch_size = 50
keras_backend = tensorflow

[output]
log_vars = {{}}
plot_vars = {{}}
overwrite = True
"""


def described(graph: Graph) -> tuple[list[list[Any]], dict[str, Array]]:
    """A chain of layers in Keras' words, channels last, for pixels from 0 to 1 in place of 0 to 255."""
    layers: list[list[Any]] = []
    arrays: dict[str, Array] = {}
    for node in sw.prepare(graph)[0]:
        shape = graph.shapes.get(node.inputs[0]) if node.inputs else None
        name = f"layer{len(layers)}"
        if isinstance(node, Conv):
            factor = 255.0 if not arrays else 1.0
            layers.append(["conv", name, len(node.weight), list(node.kernel)])
            arrays |= {f"{name}_w": factor * node.weight.transpose(2, 3, 1, 0), f"{name}_b": node.bias}
        elif isinstance(node, MaxPool):
            layers.append(["pool", name, list(node.kernel), list(node.stride)])
        elif isinstance(node, Flatten):
            assert shape is not None
            layers.append(["flatten", name])
            flattened = shape
        elif isinstance(node, Linear):
            places = np.arange(node.weight.shape[1]).reshape(flattened).transpose(1, 2, 0).ravel()
            layers.append(["dense", name, len(node.weight)])
            arrays |= {f"{name}_w": node.weight.T[places], f"{name}_b": node.bias}
    return layers, arrays


@contextlib.contextmanager
def functions() -> Iterator[tuple[Any, Any]]:
    """``snntoolbox.conversion.utils`` and Keras 3, which it takes for TensorFlow's.

    Raises:
        ImportError: where SNN Toolbox or Keras is not installed.
    """
    os.environ["KERAS_BACKEND"] = "torch"
    import keras

    stand_in = types.ModuleType("tensorflow")
    stand_in.keras = keras  # type: ignore[attr-defined]
    names = {"tensorflow": stand_in, "tensorflow.keras": keras, "tensorflow.keras.models": keras.models}
    sys.modules |= names
    keras.Layer.output_shape = property(lambda layer: layer.output.shape)
    try:
        from snntoolbox.conversion import utils as theirs
    finally:
        for name in names:
            del sys.modules[name]  # Keras itself would take it for TensorFlow
    plain_dump = json.dump
    theirs.json.dump = lambda held, file: plain_dump(held, file, default=float)  # NumPy 2's numbers are no floats
    parsing = types.ModuleType("snntoolbox.parsing.utils")
    parsing.get_inbound_layers_with_params = _inbound  # type: ignore[attr-defined]
    asking = types.ModuleType("snntoolbox.utils.utils")  # both import all of TensorFlow for one function each
    asking.confirm_overwrite = lambda _path: True  # type: ignore[attr-defined]
    sys.modules |= {"snntoolbox.parsing.utils": parsing, "snntoolbox.utils.utils": asking}
    try:
        yield theirs, keras
    finally:
        theirs.json.dump = plain_dump


def _inbound(layer: Any) -> list[Any]:
    """The layers with weights that a layer reads, in Keras 3's words: SNN Toolbox asks for those of Keras 2."""
    found: list[Any] = []
    waiting = [tensor._keras_history[0] for tensor in layer._inbound_nodes[0].input_tensors]
    while waiting:
        before = waiting.pop(0)
        if before.weights:
            found.append(before)
        else:
            waiting += [t._keras_history[0] for node in before._inbound_nodes[:1] for t in node.input_tensors]
    return found


def settings_of(percentile: str, batch: int) -> configparser.ConfigParser:
    """What ``normalize_parameters`` asks of a configuration."""
    config = configparser.ConfigParser()
    config.read_dict(
        {
            "normalization": {"percentile": percentile, "normalization_schedule": "False"},
            "simulation": {"batch_size": str(batch)},
            "output": {"overwrite": "True", "plot_vars": "{}"},
            "paths": {},
        }
    )
    return config


def of_mnist(graph: Graph, calibration: Array, x: Array, y: Array) -> list[str]:
    """A trained network, normalised by its functions and by ours: factors, weights, and what it still knows.

    Args:
        graph: of ``mnist_cnn.onnx``.
        calibration: images ``(N, 1, 28, 28)`` from 0 to 1.
        x: images that it is tested on.
        y: their classes.
    """
    layers, arrays = described(graph)
    calibration, x = (images.transpose(0, 2, 3, 1) for images in (calibration[: TESTED["functions"]], x))
    namespace: dict[str, Any] = {}
    exec(BUILD, namespace)  # the same text that the other process runs
    lines = [
        "",
        f"A trained network, `mnist_cnn.onnx` of the ONNX model zoo, and {len(calibration):,} images of MNIST:",
        "",
        "| percentile | layer | scale factor, SNN Toolbox | ours | weights differ by | biases by |",
        "|---|---|---|---|---|---|",
    ]
    known = []
    shape = graph.shapes[next(node for node in graph if isinstance(node, Flatten)).inputs[0]]
    places = np.arange(np.prod(shape)).reshape(shape).transpose(1, 2, 0).ravel()  # Keras flattens channels last
    with functions() as (theirs, keras), contextlib.redirect_stdout(io.StringIO()):
        before = namespace["build"](keras, layers, arrays)
        known.append(("as it was trained", _knows(before, x, y)))
        for percentile in PERCENTILES:
            config = settings_of(percentile, 100)
            model = namespace["build"](keras, layers, arrays)
            here = st.normalize_parameters(model, config, x_norm=calibration)
            with tempfile.TemporaryDirectory() as place:
                theirs.normalize_parameters(model, config, x_norm=calibration, path=place)
                factors = json.loads((Path(place) / f"{percentile}.json").read_text(encoding="utf-8"))
            known.append((f"normalised at {percentile}, SNN Toolbox", _knows(model, x, y)))
            for name in (name for kind, name, *_ in layers if kind in ("conv", "dense")):
                weights, biases = model.get_layer(name).get_weights()
                ours = here[name].arrays
                moved = ours["weight"].transpose(2, 3, 1, 0) if weights.ndim == 4 else ours["weight"].T[places]
                values = st.get_activations_layer(before, name, calibration, 100)
                own = st.get_scale_fac(values[values != 0], float(percentile))
                lines.append(
                    f"| {percentile} | {name} | {factors[name]:.5g} | {own:.5g} | "
                    f"{_apart(moved, weights):.0e} | {_apart(ours['bias'], biases):.0e} |"
                )
            answers = _answers(here, x)
            known.append((f"normalised at {percentile}, ours", float((answers.argmax(1) == y).mean())))
    lines += ["", "Differences are parts of the largest weight, or bias, of the layer."]
    lines += ["", f"What it knows of {len(x):,} test images: " + "; ".join(f"{who} {s:.2%}" for who, s in known) + "."]
    return lines


def _apart(ours: Array, theirs: Array) -> float:
    """The largest difference, as a part of the largest value."""
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())


def _knows(model: Any, x: Array, y: Array) -> float:
    return float((model.predict(x, batch_size=100, verbose=0).argmax(1) == y).mean())


def _answers(graph: Graph, x: Array) -> Array:
    from spikewright.forward import run

    (name,) = (node.name for node in graph if node.type == "Output")
    return run(graph, np.ascontiguousarray(x.transpose(0, 3, 1, 2)))[name]


def of_pipeline(python: str, graph: Graph, calibration: Array, x: Array, y: Array, steps: int) -> list[str]:
    """Its MNIST example from the INI file to accuracy over time: by its code in another process, and by ours.

    Args:
        python: of the environment of ``benchmarks/snntoolbox.txt``.
        graph: as for ``of_mnist``.
        calibration: as there.
        x: as there.
        y: as there.
        steps: simulated.

    Raises:
        SystemExit: with the end of what it said, where the other process fails.
    """
    layers, arrays = described(graph)
    samples = min(TESTED["pipeline"], len(x))
    errors: dict[str, Array] = {}
    with tempfile.TemporaryDirectory() as place:
        for who in ("theirs", "ours"):
            folder = Path(place) / who
            folder.mkdir()
            (folder / "config.ini").write_text(CONFIG.format(folder=folder, steps=steps, samples=samples), "utf-8")
            np.savez(folder / "x_norm.npz", calibration.transpose(0, 2, 3, 1)[: TESTED["functions"]])
            np.savez(folder / "x_test.npz", x[:samples].transpose(0, 2, 3, 1))
            np.savez(folder / "y_test.npz", np.eye(10)[y[:samples]])
        theirs, ours = Path(place) / "theirs", Path(place) / "ours"
        (theirs / "layers.json").write_text(json.dumps(layers), "utf-8")
        np.savez(theirs / "weights.npz", **arrays)
        said = _process([python, "-c", PIPELINE, str(theirs)])
        (ours / "mnist_cnn.h5").write_bytes((theirs / "mnist_cnn.h5").read_bytes())
        _process([sys.executable, "-m", "spikewright.compat.snntoolbox", str(ours / "config.ini")])
        for who, folder in (("SNN Toolbox", theirs), ("ours", ours)):
            logs = sorted(folder.rglob("log_vars/*.npz"), key=lambda path: int(path.stem))
            errors[who] = np.concatenate([np.load(path, allow_pickle=False)["top1err_b_t"] for path in logs])
    at = [t for t in (5, 10, 20, 30, 50) if t <= steps]
    rows = (
        f"| {who} | " + " | ".join(f"{1 - np.mean(error[:, t - 1]):.2%}" for t in at) + " |"
        for who, error in errors.items()
    )
    lines = [
        "",
        f"Its MNIST example from the INI file on, simulator INI, with that network, {samples} test images, its own "
        f"code with TensorFlow {json.loads(said.splitlines()[-1])['tensorflow']}:",
        "",
        "| by | " + " | ".join(f"T={t}" for t in at) + " |",
        f"|---|{'---|' * len(at)}",
        *rows,
    ]
    one, other = errors.values()
    same = f"{np.mean((one > 0) == (other > 0)):.2%}"
    return [*lines, "", f"Of all images at all timesteps both are right, or both wrong, in {same}."]


def _process(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command[:2])} failed:\n{(done.stdout + done.stderr)[-3000:]}")
    return done.stdout


def named() -> str:
    """SNN Toolbox and its version."""
    return f"SNN Toolbox {version('snntoolbox')}"
