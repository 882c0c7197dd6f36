"""The event engine against the fastest CPU simulation of its peers, interleaved in one run.

    SPIKEWRIGHT_DATA=FOLDER SPIKEWRIGHT_MODELS=FOLDER python benchmarks/engine.py [--quick]

SPIKEWRIGHT_MODELS holds ``fashion_{cnn,vgg,resnet}.safetensors``, their ``definitions.py``, and ``mnist_cnn.onnx``,
whose max pooling is replaced by average pooling, as the peers need it. Batch 100, real images, thresholds at the
99.9th percentile of each layer. Every side runs the same spiking network; counts of spikes are compared.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

import spikewright as sw
from _data import folder
from _peers import Sinabs, SpikingJelly
from spikewright.encoders import encoder
from spikewright.engines.event.simulation import EventSimulation
from spikewright.graph import Graph
from spikewright.measure.synops import synops
from spikewright.nodes import IF, AvgPool, MaxPool

BATCH = 100
RESULT = Path(__file__).parent / "results" / "engine.md"
CONSTANT = encoder("constant")
Run = Callable[[Tensor, int], object]


def samples(name: str, split: str, count: int, scale: float) -> np.ndarray:
    steps = sw.Preprocessing(scale=scale)
    data = sw.load_data(str(folder(name)), split=split, shape=(1, 28, 28), preprocessing=steps).take(count)
    return np.concatenate([x for x, _ in data.batches(count)])


def trained(name: str) -> tuple[Graph, np.ndarray, np.ndarray]:
    """A trained network, images to calibrate it, and images to simulate."""
    models = Path(os.environ.get("SPIKEWRIGHT_MODELS", "models"))
    if not models.is_dir():
        raise SystemExit("SPIKEWRIGHT_MODELS must name the folder of the trained networks")
    if name == "mnist":
        graph = sw.load(models / "mnist_cnn.onnx")
        return averaged(graph), samples("mnist", "train", 1000, 1.0), samples("mnist", "test", BATCH, 1.0)
    spec = importlib.util.spec_from_file_location("definitions", models / "definitions.py")
    assert spec is not None
    assert spec.loader is not None
    definitions = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(definitions)
    module: nn.Module = {"cnn": definitions.Cnn, "vgg": definitions.Vgg, "resnet": definitions.ResNet}[name]().eval()
    module.load_state_dict(load_file(models / f"fashion_{name}.safetensors"))
    scale = 1 / 255
    data = samples("fashion-mnist", "train", 1000, scale), samples("fashion-mnist", "test", BATCH, scale)
    return sw.load(module, shape=(1, 28, 28)), *data


def averaged(graph: Graph) -> Graph:
    pools = graph.of_type(MaxPool)
    return graph.replaced(
        *(
            AvgPool(name=p.name, inputs=p.inputs, kernel=p.kernel, stride=p.stride, padding=((0, 0), (0, 0)))
            for p in pools
        )
    )


def spiking(graph: Graph, calibration: np.ndarray) -> Graph:
    folded, _ = sw.prepare(graph)
    method = sw.threshold_method("percentile:99.9")
    return sw.convert(graph, sw.calibrate(folded, calibration, [method]).scales(method))


def timed(run: Run, x: Tensor, timesteps: int) -> float:
    started = time.perf_counter()
    run(x, timesteps)
    return time.perf_counter() - started


def compare(name: str, steps: tuple[int, ...], rounds: int) -> list[str]:
    graph, calibration, images = trained(name)
    network, x = spiking(graph, calibration), torch.from_numpy(images)
    ours, jelly, sinabs = EventSimulation(network), SpikingJelly(network), Sinabs(network)
    ways: dict[str, Run] = {
        "event engine": lambda x, t: ours.run(x, t, CONSTANT),
        "SpikingJelly, compiled": jelly.compiled_steps,
        "sinabs, hoisted": sinabs.hoisted,
        "SpikingJelly, documented": jelly.documented_loop,
    }
    for run in ways.values():
        run(x, 2)  # compiled, prepared, warm
    lines = []
    for timesteps in steps:
        taken: dict[str, list[float]] = {way: [] for way in ways}
        for round_ in range(rounds):
            for way, run in ways.items():
                if way != "SpikingJelly, documented" or round_ == 0:
                    taken[way].append(timed(run, x, timesteps))
        seconds = {way: statistics.median(times) for way, times in taken.items()}
        own = seconds.pop("event engine")
        cells = [f"{1000 * own / BATCH:.2f}", *(f"{1000 * s / BATCH:.2f} ({s / own:.1f}x)" for s in seconds.values())]
        best = min(seconds.values()) / own
        lines.append(
            f"| {name} | {timesteps} | " + " | ".join(cells) + f" | **{best:.1f}x** | {difference(ours, jelly, x)} |"
        )
        print(lines[-1], flush=True)
    return lines


def difference(ours: EventSimulation, jelly: SpikingJelly, x: Tensor, timesteps: int = 16) -> str:
    """Spikes of all populations, ours against the peer's, on ten samples."""
    counts = ours.run(x[:10], timesteps, CONSTANT).counts
    own, theirs = sum(float(c.double().sum()) for c in counts.values()), sum(jelly.counts(x[:10], timesteps).values())
    return f"{100 * abs(own - theirs) / theirs:.4f} %"


def growth(rounds: int) -> list[str]:
    """How the time of one network grows with T, with the firing rate and with its width."""
    graph, calibration, images = trained("cnn")
    network, x = spiking(graph, calibration), torch.from_numpy(images)
    lines = [
        "",
        "## How time grows",
        "",
        "| network | T | spikes per neuron and step | ms an image |",
        "|---|---|---|---|",
    ]
    variants = [
        (f"cnn, thresholds times {k}", scaled(network, k), t) for k, t in ((1, 32), (1, 64), (1, 128), (2, 64), (4, 64))
    ]
    variants += [(f"untrained cnn of width {w}", spiking(*wide(w, calibration)), 64) for w in (16, 32, 64, 128)]
    for label, variant, timesteps in variants:
        simulation = EventSimulation(variant)
        counts = simulation.run(x, timesteps, CONSTANT).counts
        rate = sum(float(c.sum()) for c in counts.values()) / sum(c.numel() for c in counts.values()) / timesteps
        seconds = statistics.median(
            timed(lambda x, t, s=simulation: s.run(x, t, CONSTANT), x, timesteps) for _ in range(rounds)
        )
        lines.append(f"| {label} | {timesteps} | {rate:.4f} | {1000 * seconds / BATCH:.2f} |")
        print(lines[-1], flush=True)
    return lines


def scaled(graph: Graph, factor: float) -> Graph:
    return graph.replaced(
        *(n.replace(threshold=n.threshold * factor, v_init=n.v_init * factor) for n in graph.of_type(IF))
    )


def wide(width: int, calibration: np.ndarray) -> tuple[Graph, np.ndarray]:
    torch.manual_seed(0)
    layers, channels = [], 1
    for _ in range(3):
        layers += [nn.Conv2d(channels, width, 3), nn.ReLU(), nn.AvgPool2d(2)]
        channels = width
    return sw.load(nn.Sequential(*layers, nn.Flatten(), nn.Linear(width, 10)).eval(), shape=(1, 28, 28)), calibration


def floor(names: tuple[str, ...], rounds: int) -> list[str]:
    """Time on one thread against the additions that spikes ask for, at the speed at which this core can add."""
    torch.set_num_threads(1)
    a = torch.rand(1024, 1024)
    product = min(timed(lambda x, _: x @ x, a, 0) for _ in range(20))
    adds = 1024**3 / product
    lines = [
        "",
        "## Distance from the floor",
        "",
        "One thread, T = 64. Floor: the additions that spikes ask for, each as fast as a multiply-add of a large",
        f"matrix product on the same core, {adds / 1e9:.0f} thousand million a second.",
        "",
        "| network | additions an image | floor, ms | ms | times the floor |",
        "|---|---|---|---|---|",
    ]
    for name in names:
        graph, calibration, images = trained(name)
        network, x = spiking(graph, calibration), torch.from_numpy(images[:20])
        simulation = EventSimulation(network, threads=1)
        run = simulation.run(x, 64, CONSTANT)
        counts = {k: c.double().mean(dim=0).numpy() for k, c in run.counts.items()}
        additions = sum(layer.spikes for layer in synops(network, counts).values())
        seconds = statistics.median(
            timed(lambda x, t, s=simulation: s.run(x, t, CONSTANT), x, 64) for _ in range(rounds)
        )
        least, taken = additions / adds, seconds / len(x)
        lines.append(
            f"| {name} | {additions / 1e6:.1f} M | {1000 * least:.2f} | {1000 * taken:.2f} | {taken / least:.1f} |"
        )
        print(lines[-1], flush=True)
    torch.set_num_threads(os.cpu_count() or 1)
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one timing of each, at T = 16 and 64")
    parser.add_argument("--output", type=Path, default=RESULT)
    parser.add_argument("--networks", default="mnist,cnn,vgg,resnet")
    arguments = parser.parse_args()
    names = tuple(arguments.networks.split(","))
    steps, rounds = ((16, 64), 1) if arguments.quick else ((16, 64, 256), 5)
    header = ("network", "T", "event engine", "SpikingJelly, compiled", "sinabs, hoisted", "SpikingJelly, documented")
    lines = [
        "# The event engine and its peers",
        "",
        *(["One round of each (`--quick`).", ""] if arguments.quick else []),
        f"Milliseconds an image, batch {BATCH}, medians of {rounds} rounds taken in turns (the documented loop once);",
        "in brackets how many times longer than the event engine. The last columns: the faster peer over us, and the",
        "difference in the number of spikes.",
        "",
        "| " + " | ".join((*header, "ratio", "spikes differ by")) + " |",
        "|---" * 8 + "|",
    ]
    before = os.getloadavg()[0]
    for name in names:
        lines += compare(name, steps, rounds)
    lines += growth(rounds)
    lines += floor(names, rounds)
    load = ", ".join(f"{x:.1f}" for x in os.getloadavg())
    lines += ["", f"{platform.machine()}, {processor()}, {os.cpu_count()} cores, torch {torch.__version__}."]
    lines += [f"Load average before: {before:.1f}; after: {load}.", ""]
    arguments.output.write_text("\n".join(lines), encoding="utf-8")


def processor() -> str:
    try:
        info = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor()
    return next((line.split(":")[1].strip() for line in info.splitlines() if line.startswith("model name")), "unknown")


if __name__ == "__main__":
    main()
