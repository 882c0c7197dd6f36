"""Peers' own examples and ours, side by side: the same trained network and pictures, each run by its own code.

    python benchmarks/migration.py [WEIGHTS] [--samples 500] [--tensorflow PYTHON] [--output FILE]

WEIGHTS is what ``examples/ann2snn_tutorial.py --weights`` wrote: SpikingJelly's tutorial network, trained on MNIST.

- SpikingJelly: the tutorial, each mode, with its converter and with ours, as whole data set and as moving average;
- sinabs: the conversion guide (normalise, convert, scale the first layer up) with its functions and with ours, on the
  network with its norms folded, which has biases; and the operations that its analyzer counts;
- SNN Toolbox 0.6: its functions on the network of two layers of the tests, and on a trained one; they import
  TensorFlow's Keras, in whose place Keras 3 stands here, which needs another function that walks from layer to layer;
  nothing else of it is changed. With PYTHON its pipeline too, from its INI file on, with TensorFlow.

Runs in the peers' environment, with SPIKEWRIGHT_DATA and SPIKEWRIGHT_MODELS; peers that cannot be imported are left
out, and what was recorded of them stays. PYTHON is that of an environment of its own, whose TensorFlow is as old as SNN
Toolbox (``benchmarks/snntoolbox.txt``).
Its result goes to benchmarks/results/migration.md.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import io
import os
import re
import sys
import tempfile
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

sys.path.append(str(Path(__file__).resolve().parent.parent / "examples"))
os.environ.setdefault("TQDM_DISABLE", "1")

import spikewright as sw
from _snntoolbox import functions, named, of_mnist, of_pipeline, settings_of
from _training import pictures
from ann2snn_tutorial import MODES, T, label, trained
from spikewright.compat import snntoolbox as st
from spikewright.compat.sinabs import from_model as our_sinabs
from spikewright.compat.sinabs import synopcounter, utils
from spikewright.compat.spikingjelly import Converter, reset_net

STEPS = (5, 10, 20, 50)
HEAD = """# Peers' examples, by their own code and by ours

`python benchmarks/migration.py`. The same weights, images and calls on both sides; thresholds from 2,000 training
images of MNIST, disjoint from the test images."""
CHANGED = """Keras 3 stands where these import TensorFlow's, with another function that walks from layer to layer; of
the pipeline nothing is changed but `np.bool`, which NumPy has no more."""
RESULT = Path(__file__).parent / "results" / "migration.md"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path, nargs="?")
    parser.add_argument("--samples", type=int, default=500)
    parser.add_argument("--tensorflow", metavar="PYTHON", help="of the environment of benchmarks/snntoolbox.txt")
    parser.add_argument("--output", type=Path, default=RESULT)
    parser.add_argument("--only", choices=("SpikingJelly", "sinabs", "SNN Toolbox"), help="the others stay as recorded")
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    if asked.weights is None and asked.only != "SNN Toolbox":
        parser.error("WEIGHTS are needed for SpikingJelly and sinabs; --only 'SNN Toolbox' goes without")
    ann = nn.Module() if asked.weights is None else trained(asked.weights)
    calibration = pictures("mnist", "train")[0][:2000]
    x, y = (part[: asked.samples] for part in pictures("mnist", "test"))
    parts: dict[str, Callable[[], list[str]]] = {
        "SpikingJelly": lambda: of_spikingjelly(ann, calibration, x, y),
        "sinabs": lambda: of_sinabs(ann, calibration, x, y),
        "SNN Toolbox": lambda: of_snntoolbox(asked.tensorflow, calibration, x, y),
    }
    text = asked.output.read_text(encoding="utf-8") if asked.output.exists() else ""
    found = {part.split("\n")[0].strip(): part.rstrip() for part in re.split(r"^## ", text, flags=re.MULTILINE)[1:]}
    for peer, part in parts.items():
        if asked.only not in (None, peer):
            continue
        try:
            lines = part()
        except ImportError as error:
            print(f"left out: {error}")
            continue
        found = {heading: kept for heading, kept in found.items() if not heading.startswith(peer)}
        found[lines[0].removeprefix("## ")] = "\n".join(lines).removeprefix("## ")
        ordered = [kept for one in parts for heading, kept in found.items() if heading.startswith(one)]
        asked.output.write_text("\n\n## ".join([HEAD, *ordered]) + "\n", encoding="utf-8")  # each part as it is done
        print(*lines, sep="\n")


def accuracy_of(answers: Tensor, y: Tensor) -> float:
    return float((answers.argmax(1) == y).float().mean())


def shown(steps: Tensor, y: Tensor) -> str:
    """Accuracy at a few timesteps of what came in each step, ``(T, N, classes)``."""
    sums = steps.cumsum(0)
    return " | ".join(f"{accuracy_of(sums[t - 1], y):.2%}" for t in STEPS)


@torch.no_grad()
def of_spikingjelly(ann: nn.Module, calibration: Tensor, x: Tensor, y: Tensor) -> list[str]:
    from spikingjelly.activation_based import ann2snn, functional

    loader = list(calibration.split(100))
    head = " | ".join(f"T={t}" for t in STEPS)
    lines = [
        f"## SpikingJelly {version('spikingjelly')}, the ann2snn tutorial",
        "",
        "`RateCodingRecipe` takes a moving average over batches; ours takes λ over all samples, or with `momentum=0.1`",
        "the same average. The last column: the share of single answers of single steps that are the same.",
        f"The trained network knows {accuracy_of(ann(x), y):.2%} of the first {len(x)} test images.",
        "",
        f"| mode | by | {head} | same |",
        f"|---|---|{'---|' * len(STEPS)}---|",
    ]
    for mode in MODES:
        recipe = ann2snn.RateCodingRecipe(dataloader=loader, mode="Max" if mode == "max" else mode)
        with contextlib.redirect_stderr(io.StringIO()):
            theirs = ann2snn.Converter(recipe=recipe).convert(copy.deepcopy(ann)).eval()
        functional.reset_net(theirs)
        reference = torch.stack([theirs(x) for _ in range(T)])
        lines.append(f"| {label(mode)} | SpikingJelly | {shown(reference, y)} | |")
        for name, momentum in (("ours", None), ("ours, momentum=0.1", 0.1)):
            snn = Converter(loader, mode, momentum=momentum)(ann)
            reset_net(snn)
            steps = torch.stack([snn(x) for _ in range(T)])
            same = float((steps - reference).abs().lt(1e-4).float().mean())
            lines.append(f"| | {name} | {shown(steps, y)} | {same:.4%} |")
        print(*lines[-3:], sep="\n", flush=True)
    return lines


@torch.no_grad()
def of_sinabs(ann: nn.Module, calibration: Tensor, x: Tensor, y: Tensor) -> list[str]:
    import sinabs
    from sinabs.from_torch import from_model
    from sinabs.synopcounter import SNNAnalyzer
    from sinabs.utils import normalize_weights

    plain = without_norms(ann)
    outputs, params = ["1", "4", "7", "11"], ["0", "3", "6", "10"]
    head = " | ".join(f"T={t}" for t in STEPS)
    lines = [
        f"## sinabs {version('sinabs')}, the conversion guide",
        "",
        "Normalised at the 99th percentile, converted, the first layer scaled up; each image is shown T times. Layers",
        "have biases (norms were folded): sinabs divides them as it divides the weights of their layer, ours by λ. The",
        "third column is what the normalised network still knows before it spikes.",
        f"The trained network knows {accuracy_of(ann(x), y):.2%} of the first {len(x)} test images.",
        "",
        f"| first layer | by | normalised network | {head} |",
        f"|---|---|---|{'---|' * len(STEPS)}",
    ]
    raster = x[:, None].expand(-1, T, *x.shape[1:])
    operations = []
    for name, normalise, convert, analyse in (
        ("sinabs", normalize_weights, from_model, SNNAnalyzer),
        ("ours", utils.normalize_weights, our_sinabs.from_torch, synopcounter.SNNAnalyzer),
    ):
        normalised = copy.deepcopy(plain)
        normalise(normalised, calibration, outputs, params, 99)
        kept = accuracy_of(normalised(x), y)
        for factor in (1, 2):
            scaled = copy.deepcopy(normalised)
            for parameter in scaled[0].parameters():
                parameter.mul_(factor)
            net = convert(scaled, input_shape=(1, 28, 28), num_timesteps=T)
            analyzer = analyse(net.spiking_model) if factor == 1 else None
            parts = [net(part.flatten(0, 1)).reshape(len(part), T, -1) for part in raster.split(100) if _begin(net)]
            steps = torch.cat(parts).transpose(0, 1)
            lines.append(f"| × {factor} | {name} | {kept:.2%} | {shown(steps, y)} |")
            print(lines[-1], flush=True)
            if analyzer is not None:
                operations.append((name, analyzer.get_layer_statistics(average=True)["parameter"]))
    lines += ["", "Synaptic operations a sample, of each side's own network, mean over batches:", ""]
    lines += ["| by | layer | synops | SynOps/s at dt = 1 ms |", "|---|---|---|---|"]
    for name, layers in operations:
        for layer, found in layers.items():
            lines.append(f"| {name} | {layer} | {float(found['synops']):,.0f} | {float(found['SynOps/s']):,.0f} |")
    lines += ["", "sinabs counts the values of an analog input as if they were spikes; ours are `macs`, no `synops`."]
    del sinabs
    return lines


def _begin(net: Any) -> bool:
    """Reset before a batch, as both sides have it."""
    net.reset_states()
    return True


def without_norms(ann: nn.Module) -> nn.Sequential:
    """The same network with norms folded into the convolutions in front of them."""
    from torch.nn.utils.fusion import fuse_conv_bn_eval

    found: list[nn.Module] = []
    for part in copy.deepcopy(ann).network:  # type: ignore[union-attr]
        if isinstance(part, nn.BatchNorm2d):
            found[-1] = fuse_conv_bn_eval(found[-1], part)  # type: ignore[arg-type, type-var]
        else:
            found.append(part)
    return nn.Sequential(*found).eval()


def of_snntoolbox(python: str | None, calibration: Tensor, x: Tensor, y: Tensor) -> list[str]:
    """Its functions and ours on the network of the tests and on a trained one; its pipeline, if there is a python."""
    with functions() as (theirs, keras):
        lines = [f"## {named()}, its functions", "", *CHANGED.splitlines(), "", *of_functions(theirs, keras)]
    path = Path(os.environ.get("SPIKEWRIGHT_MODELS", "")) / "mnist_cnn.onnx"
    if not path.exists():
        raise SystemExit(f"{path} is not there; SPIKEWRIGHT_MODELS says where it is")
    graph, arrays = sw.load(path), [part.numpy() for part in (calibration, x, y)]
    lines += of_mnist(graph, *arrays)
    if python is not None:
        lines += of_pipeline(python, graph, *arrays, T)
    return lines


def of_functions(theirs: Any, keras: Any) -> list[str]:
    """Rows for the network of two layers of tests/compat/test_snntoolbox_functions.py."""
    start = keras.Input((2,), name="x")
    hidden = keras.layers.Dense(2, activation="relu", name="l1")(start)
    model = keras.Model(start, keras.layers.Dense(2, activation="relu", name="l2")(hidden))
    model.layers[1].set_weights([np.array([[2, -1], [1, 3.0]]), np.array([0.5, -0.5])])
    model.layers[2].set_weights([np.array([[1, 0.5], [0.25, -1]]), np.array([0, 0.2])])
    x = np.array([[1, 0], [0, 1], [0.5, 0.5], [1, 1], [0, 0]], np.float32)
    lines = ["| what | SNN Toolbox | ours |", "|---|---|---|"]

    def row(what: str, there: Any, here: Any) -> None:
        there, here = (np.round(np.asarray(value, np.float64), 4).tolist() for value in (there, here))
        lines.append(f"| {what} | {there} | {here} |")

    with contextlib.redirect_stdout(io.StringIO()):
        for index, layer in enumerate(("l1", "l2"), 1):
            found = theirs.get_activations_layer(model.input, model.layers[index].output, x, 5)
            ours = st.get_activations_layer(model.input, model.layers[index].output, x, 5)
            row(f"`get_activations_layer`, {layer}: largest", found.max(), ours.max())
            for percentile in (100, 99.9, 50):
                pair = (module.get_scale_fac(a[a != 0], percentile) for module, a in ((theirs, found), (st, ours)))
                row(f"`get_scale_fac`, {layer}, {percentile}", *pair)
        left = theirs.get_activations_layer(model.input, model.layers[1].output, x, 2)
        row(
            "`get_activations_layer` of 5 samples in batches of 2: samples",
            len(left),
            len(st.get_activations_layer(model, "l1", x, 2)),
        )
        for index in (0, 46):
            row(
                f"`apply_normalization_schedule(99.9, {index})`",
                theirs.apply_normalization_schedule(99.9, index),
                st.apply_normalization_schedule(99.9, index),
            )
            row(
                "the same, `truncate=True`",
                theirs.apply_normalization_schedule(99.9, index),
                st.apply_normalization_schedule(99.9, index, truncate=True),
            )
        row(
            "`get_scale_fac([-3, -1], 99.9)`",
            theirs.get_scale_fac(np.array([-3.0, -1]), 99.9),
            st.get_scale_fac([-3, -1], 99.9),
        )
        config = settings_of("100", 5)
        here = st.normalize_parameters(model, config, x_norm=x)
        with tempfile.TemporaryDirectory() as place:
            theirs.normalize_parameters(model, config, x_norm=x, path=place)
    for index, layer in enumerate(("l1", "l2"), 1):
        weights, biases = model.layers[index].get_weights()
        row(f"`normalize_parameters`, weights of {layer}", weights, here[layer].arrays["weight"].T)
        row(f"`normalize_parameters`, biases of {layer}", biases, here[layer].arrays["bias"])
    return lines


if __name__ == "__main__":
    main()
