"""The event engine against the fastest CPU simulation of its peers, interleaved in one run.

    SPIKEWRIGHT_DATA=FOLDER SPIKEWRIGHT_MODELS=FOLDER python benchmarks/engine.py [--quick]

SPIKEWRIGHT_MODELS holds ``fashion_{cnn,vgg,resnet}.safetensors``, their ``definitions.py``, and ``mnist_cnn.onnx``,
whose max pooling is replaced by average pooling, as the peers need it. Batch 100, real images, thresholds at the
99.9th percentile of each layer. Every side runs the same spiking network; counts of spikes are compared. The event
engine runs twice: in single precision, as it does by itself, and in 16-bit fixed point, as it does when asked to.
"""

from __future__ import annotations

import argparse
import gc
import importlib.util
import os
import platform
import statistics
import subprocess
import sys
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
from _picture import bars
from spikewright.encoders import encoder
from spikewright.engines.event.simulation import EventSimulation
from spikewright.graph import Graph
from spikewright.measures.synops import synops
from spikewright.nodes import IF, AvgPool, MaxPool

BATCH = 100
RESULT = Path(__file__).parent / "results" / "engine.md"
CONSTANT = encoder("constant")
Run = Callable[[Tensor, int], object]


def samples(name: str, split: str, count: int, scale: float) -> np.ndarray:
    steps = sw.Preprocessing(scale=scale)
    data = sw.load_data(str(folder(name)), split=split, shape=(1, 28, 28), preprocessing=steps).take(count)
    return np.concatenate([x for x, _ in data.batches(count)])


def labelled(name: str, count: int) -> tuple[np.ndarray, np.ndarray]:
    folder_name, scale = ("mnist", 1.0) if name == "mnist" else ("fashion-mnist", 1 / 255)
    steps = sw.Preprocessing(scale=scale)
    data = sw.load_data(str(folder(folder_name)), split="test", shape=(1, 28, 28), preprocessing=steps).take(count)
    ((x, labels),) = data.batches(count)
    assert labels is not None
    return x, labels


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
    return sw.convert(graph, sw.calibrate(folded, calibration, [method]).scales(method)).spiking


def timed(run: Run, x: Tensor, timesteps: int) -> float:
    started = time.perf_counter()
    run(x, timesteps)
    return time.perf_counter() - started


OURS = ("float32", "int16")
PEERS = ("SpikingJelly, compiled", "sinabs, hoisted", "SpikingJelly, documented")


def way(network: Graph, name: str) -> Run:
    """One way of running a network, ready."""
    if name in OURS:
        simulation = EventSimulation(network, dtype=name)
        return lambda x, t: simulation.run(x, t, CONSTANT)
    if name == "sinabs, hoisted":
        return Sinabs(network).hoisted
    jelly = SpikingJelly(network)
    return jelly.compiled_steps if name == "SpikingJelly, compiled" else jelly.documented_loop


def compare(name: str, steps: tuple[int, ...], rounds: int) -> list[str]:
    graph, calibration, images = trained(name)
    network, x = spiking(graph, calibration), torch.from_numpy(images)
    ways = {label: way(network, label) for label in (*OURS, *PEERS)}
    for run in ways.values():
        run(x, 2)  # compiled, prepared, warm
    differing = differences(network, x)
    lines = []
    for timesteps in steps:
        taken: dict[str, list[float]] = {label: [] for label in ways}
        for round_ in range(rounds):
            for label, run in ways.items():
                if label != PEERS[2] or round_ == 0:
                    taken[label].append(timed(run, x, timesteps))
        ms = {label: 1000 * statistics.median(times) / BATCH for label, times in taken.items()}
        best = min(ms[peer] for peer in PEERS)
        cells = [name, str(timesteps), *(f"{ms[label]:.2f}" for label in ways)]
        cells += [f"**{best / ms[own]:.1f}x**" for own in OURS] + differing
        lines.append("| " + " | ".join(cells) + " |")
        print(lines[-1], flush=True)
    return lines


def picture(lines: list[str], timesteps: int = 64) -> str:
    """The times of a table's rows for one T."""
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line.startswith("|")]
    ways = ("event engine", "event engine, int16", *PEERS)
    times = {row[0]: [float(cell) for cell in row[2 : 2 + len(ways)]] for row in rows if row[1] == str(timesteps)}
    return bars(f"Time an image, T = {timesteps}, batch {BATCH}, {os.cpu_count()} cores", ways, times)


def differences(network: Graph, x: Tensor, timesteps: int = 16) -> list[str]:
    """Spikes of all populations, ours against the peer's, on ten samples."""
    theirs = sum(SpikingJelly(network).counts(x[:10], timesteps).values())
    found = []
    for dtype in OURS:
        counts = EventSimulation(network, dtype=dtype).run(x[:10], timesteps, CONSTANT).counts
        own = sum(float(c.double().sum()) for c in counts.values())
        found.append(f"{100 * abs(own - theirs) / theirs:.4f} %")
    return found


def precision(names: tuple[str, ...], count: int = 1000, timesteps: int = 64) -> list[str]:
    """What 16 bits change on test images: accuracy and spikes."""
    lines = [
        "",
        "## What 16 bits change",
        "",
        f"The first {count} test images, T = {timesteps}: accuracy at the last step, the largest difference of",
        "accuracy at any step, the difference in all spikes and in those of the layer where it is largest.",
        "",
        "| network | float32 | int16 | at any step | spikes | of a layer |",
        "|---|---|---|---|---|---|",
    ]
    for name in names:
        graph, calibration, _ = trained(name)
        network = spiking(graph, calibration)
        x, labels = labelled(name, count)
        runs = {dtype: sw.simulate(network, (x, labels), timesteps, dtype=dtype) for dtype in OURS}
        right = {dtype: (run.output.argmax(axis=-1) == labels[:, None]).mean(axis=0) for dtype, run in runs.items()}
        counts = [{k: float(c.sum()) for k, c in run.counts.items()} for run in runs.values()]
        layers = max(abs(counts[1][k] / counts[0][k] - 1) for k in counts[0])
        total = abs(sum(counts[1].values()) / sum(counts[0].values()) - 1)
        apart = np.abs(right["float32"] - right["int16"]).max()
        cells = [name, *(f"{100 * right[dtype][-1]:.1f} %" for dtype in OURS), f"{100 * apart:.1f} %"]
        lines.append("| " + " | ".join([*cells, f"{100 * total:.3f} %", f"{100 * layers:.3f} %"]) + " |")
        print(lines[-1], flush=True)
    return lines


def memory(names: tuple[str, ...], timesteps: int = 64) -> list[str]:
    """How much each way's process grows in a run, each in a process of its own."""
    lines = [
        "",
        "## Memory",
        "",
        f"MB by which a process grows at most in one run, batch {BATCH}, T = {timesteps}, over its size after a run of",
        "two timesteps (Linux only).",
        "",
        "| network | " + " | ".join(("event engine", "in int16", *PEERS)) + " |",
        "|---" * (1 + len(OURS) + len(PEERS)) + "|",
    ]
    for name in names:
        cells = [name]
        for label in (*OURS, *PEERS):
            command = [sys.executable, "-W", "ignore", __file__, "--grow", label, "--networks", name]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            cells.append(done.stdout.split()[-1])
        lines.append("| " + " | ".join(cells) + " |")
        print(lines[-1], flush=True)
    return lines


def grow(label: str, name: str, timesteps: int = 64) -> None:
    graph, calibration, images = trained(name)
    network, x = spiking(graph, calibration), torch.from_numpy(images)
    run = way(network, label)
    run(x, 2)
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # the largest size so far is forgotten
    before = resident("VmRSS")
    run(x, timesteps)
    print(round((resident("VmHWM") - before) / 1024))


def resident(what: str) -> int:
    """In kB: the size of this process in memory, or its largest."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(what))
    return int(line.split()[1])


def growth(rounds: int) -> list[str]:
    """How the time of one network grows with T, with the firing rate and with its width."""
    graph, calibration, images = trained("cnn")
    network, x = spiking(graph, calibration), torch.from_numpy(images)
    lines = [
        "",
        "## How time grows",
        "",
        "| network | T | spikes per neuron and step | ms an image | in int16 |",
        "|---|---|---|---|---|",
    ]
    variants = [
        (f"cnn, thresholds times {k}", scaled(network, k), t) for k, t in ((1, 32), (1, 64), (1, 128), (2, 64), (4, 64))
    ]
    variants += [(f"untrained cnn of width {w}", spiking(*wide(w, calibration)), 64) for w in (16, 32, 64, 128)]
    for label, variant, timesteps in variants:
        simulation = EventSimulation(variant)
        counts = simulation.run(x, timesteps, CONSTANT).counts
        rate = sum(float(c.sum()) for c in counts.values()) / sum(c.numel() for c in counts.values()) / timesteps
        ms = []
        for dtype in OURS:
            run = way(variant, dtype)
            run(x, 2)
            ms.append(1000 * statistics.median(timed(run, x, timesteps) for _ in range(max(5, rounds))) / BATCH)
        lines.append(f"| {label} | {timesteps} | {rate:.4f} | {ms[0]:.2f} | {ms[1]:.2f} |")
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
        f"matrix product on the same core, {adds / 1e9:.0f} thousand million a second. The engine does",
        "fewer, since spikes that arrive together share them.",
        "",
        "| network | additions an image | floor, ms | ms | times the floor | ms in int16 | times the floor |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in names:
        graph, calibration, images = trained(name)
        network, x = spiking(graph, calibration), torch.from_numpy(images[:20])
        counts = {
            k: c.double().mean(dim=0).numpy() for k, c in EventSimulation(network).run(x, 64, CONSTANT).counts.items()
        }
        additions = sum(layer.spikes for layer in synops(network, counts).values())
        least, cells = additions / adds, []
        for dtype in OURS:
            simulation = EventSimulation(network, threads=1, dtype=dtype)
            simulation.run(x, 64, CONSTANT)
            seconds = statistics.median(
                timed(lambda x, t, s=simulation: s.run(x, t, CONSTANT), x, 64) for _ in range(max(5, rounds))
            )
            cells += [f"{1000 * seconds / len(x):.2f}", f"{seconds / len(x) / least:.1f}"]
        lines.append(f"| {name} | {additions / 1e6:.1f} M | {1000 * least:.2f} | " + " | ".join(cells) + " |")
        print(lines[-1], flush=True)
    torch.set_num_threads(os.cpu_count() or 1)
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one timing of each, at T = 16 and 64")
    parser.add_argument("--output", type=Path, default=RESULT)
    parser.add_argument("--networks", default="mnist,cnn,vgg,resnet")
    parser.add_argument("--grow", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    names = tuple(arguments.networks.split(","))
    if arguments.grow:
        grow(arguments.grow, *names)
        return
    steps, rounds = ((16, 64), 1) if arguments.quick else ((16, 64, 256), 5)
    header = ("network", "T", "event engine", "in int16", *PEERS, "ratio", "in int16", "spikes differ by", "in int16")
    lines = [
        "# The event engine and its peers",
        "",
        *(["One round of each (`--quick`).", ""] if arguments.quick else []),
        f"Milliseconds an image, batch {BATCH}, medians of {rounds} rounds taken in turns (the documented loop once).",
        "Ratio: the fastest peer over us. The last columns: the difference in the number of spikes at T = 16.",
        "",
        "| " + " | ".join(header) + " |",
        "|---" * len(header) + "|",
    ]
    before = os.getloadavg()[0]
    for name in names:
        lines += compare(name, steps, rounds)
    arguments.output.with_suffix(".svg").write_text(picture(lines), encoding="utf-8")
    lines += growth(rounds)
    lines += floor(names, rounds)
    lines += precision(names)
    lines += memory(names)
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
