"""The networks that engines are timed on: trained ones, random weights, and how they are converted and timed."""

from __future__ import annotations

import importlib.util
import os
import platform
import time
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

import spikewright as sw
from _data import folder
from _zoo import zoo
from spikewright.encoders import encoder
from spikewright.engines.event.simulation import EventSimulation
from spikewright.graph import Graph
from spikewright.nodes import IF, AvgPool, MaxPool

BATCH = 100
CONSTANT = encoder("constant")
TRAINED = ("mnist", "cnn", "vgg", "resnet", "mobile")
CHANNELS = "percentile:99.9,channels"
OURS = ("float32", "int16", "int8")
COMPILED, HOISTED, DOCUMENTED = "SpikingJelly, compiled", "sinabs, hoisted", "SpikingJelly, documented"
PEERS = (COMPILED, HOISTED, DOCUMENTED)
Run = Callable[[Tensor, int], object]


def samples(name: str, split: str, count: int, scale: float) -> np.ndarray:
    """The first images of a data set."""
    steps = sw.Preprocessing(scale=scale)
    data = sw.load_data(str(folder(name)), split=split, shape=(1, 28, 28), preprocessing=steps).take(count)
    return np.concatenate([x for x, _ in data.batches(count)])


def labelled(name: str, count: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The first test images with their labels, or all."""
    folder_name, scale = ("mnist", 1.0) if name == "mnist" else ("fashion-mnist", 1 / 255)
    steps = sw.Preprocessing(scale=scale)
    whole = sw.load_data(str(folder(folder_name)), split="test", shape=(1, 28, 28), preprocessing=steps)
    data = whole if count is None else whole.take(count)
    ((x, labels),) = data.batches(len(data))
    assert labels is not None
    return x, labels


@cache
def trained(name: str) -> tuple[Graph, np.ndarray, np.ndarray]:
    """A trained network, images to calibrate it, and images to simulate; of the zoo random ones."""
    models = Path(os.environ.get("SPIKEWRIGHT_MODELS", "models"))
    if name not in TRAINED:
        made, shape = zoo(name)
        x = np.random.default_rng(0).random((BATCH, *shape), np.float32)
        return sw.load(made, shape=shape), x, x
    if not models.is_dir():
        raise SystemExit("SPIKEWRIGHT_MODELS must name the folder of the trained networks")
    if name == "mnist":
        graph = sw.load(models / "mnist_cnn.onnx")
        return averaged(graph), samples("mnist", "train", 1000, 1.0), samples("mnist", "test", BATCH, 1.0)
    scale = 1 / 255
    data = samples("fashion-mnist", "train", 1000, scale), samples("fashion-mnist", "test", BATCH, scale)
    if name == "mobile":
        weights = Path(os.environ.get("MOBILE", models)) / "fashion_mobile.safetensors"
        code = Path(__file__).parent.parent / "examples" / "train_mobile.py"
        return sw.load(f"{code}:MobileNet", weights=weights, shape=(1, 28, 28)), *data
    definitions = module_in(models / "definitions.py")
    module: nn.Module = {"cnn": definitions.Cnn, "vgg": definitions.Vgg, "resnet": definitions.ResNet}[name]().eval()
    module.load_state_dict(load_file(models / f"fashion_{name}.safetensors"))
    return sw.load(module, shape=(1, 28, 28)), *data


def module_in(path: Path) -> Any:
    """A file of Python as a module."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def averaged(graph: Graph) -> Graph:
    """Its max pools as average pools, as the peers need it."""
    pools = graph.of_type(MaxPool)
    return graph.replaced(
        *(
            AvgPool(name=p.name, inputs=p.inputs, kernel=p.kernel, stride=p.stride, padding=((0, 0), (0, 0)))
            for p in pools
        )
    )


def spiking(
    graph: Graph, calibration: np.ndarray, method: str = "percentile:99.9", neurons: str = "", *correct: str
) -> Graph:
    """The spiking network by a threshold method, with neurons of some kind, corrected."""
    folded, _ = sw.prepare(graph)
    chosen = sw.threshold_method(method)
    made = sw.convert(graph, sw.calibrate(folded, calibration, [chosen]), chosen, neurons=neurons or None)
    return (sw.correct(made, calibration[:256], correct) if correct else made).spiking


def scaled(graph: Graph, factor: float) -> Graph:
    """Thresholds times a factor: fewer spikes."""
    return graph.replaced(
        *(n.replace(threshold=n.threshold * factor, v_init=n.v_init * factor) for n in graph.of_type(IF))
    )


def wide(width: int, calibration: np.ndarray) -> tuple[Graph, np.ndarray]:
    """An untrained cnn of some width."""
    torch.manual_seed(0)
    layers, channels = [], 1
    for _ in range(3):
        layers += [nn.Conv2d(channels, width, 3), nn.ReLU(), nn.AvgPool2d(2)]
        channels = width
    return sw.load(nn.Sequential(*layers, nn.Flatten(), nn.Linear(width, 10)).eval(), shape=(1, 28, 28)), calibration


def ours(network: Graph, dtype: str) -> Run:
    """The event engine, ready, on one thread."""
    made = EventSimulation(network, threads=1, dtype=dtype)
    return lambda x, t: made.run(x, t, CONSTANT)


def peer(network: Graph, name: str) -> Run:
    """Another tool's way of running a network, ready."""
    from _peers import Sinabs, SpikingJelly

    if name == HOISTED:
        return Sinabs(network).hoisted
    jelly = SpikingJelly(network)
    return jelly.compiled_steps if name == COMPILED else jelly.documented_loop


def taken(run: Callable[[], object]) -> float:
    """Processor seconds of all threads."""
    started = time.process_time()
    run()
    return time.process_time() - started


def least(ways: Mapping[str, Callable[[], object]], rounds: int, per: int = BATCH) -> dict[str, float]:
    """Milliseconds of processor time, the least of some rounds that take turns, by way, a sample of so many."""
    found = dict.fromkeys(ways, float("inf"))
    for _ in range(rounds):
        for name, run in ways.items():
            found[name] = min(found[name], 1000 * taken(run) / per)
    return found


def beside() -> float:
    """How many other threads want to compute right now, the mean over a second: the load without what is over."""
    waiting = []
    for _ in range(20):
        time.sleep(0.05)
        waiting.append(int(Path("/proc/loadavg").read_text().split()[3].partition("/")[0]) - 1)
    return sum(waiting) / len(waiting)


def processor() -> str:
    """Its name, as the system says it."""
    try:
        info = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor()
    return next((line.split(":")[1].strip() for line in info.splitlines() if line.startswith("model name")), "unknown")
