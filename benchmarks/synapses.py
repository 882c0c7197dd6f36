"""Synapses a second to Parquet, and in how much memory; VGG16 at 224×224 counted whole and written in part.

    SPIKEWRIGHT_MODELS=FOLDER python benchmarks/synapses.py

FOLDER holds ``definitions.py`` and ``fashion_resnet.safetensors``, a trained ResNet-20; without it one with the same
layers and random weights takes its place. Everything is written with rates (random ones, a third of the neurons
silent), to a folder beside the system's temporary files that is removed again. Each run is a process of its own, whose
peak memory is the operating system's. The baseline is the nested loops over positions, kernel, channels and filters
that tools of this kind have, appending to a list, over a layer of the same ResNet.
"""

from __future__ import annotations

import importlib.util
import multiprocessing
import os
import platform
import resource
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from spikewright.graph import Graph, Node
from spikewright.nodes import IF, Add, ChannelAffine, Conv, Flatten, Input, Linear, Output, SpikeMaxPool, SumPool
from spikewright.rates import Rates
from spikewright.synapse_graph import Synapses, synapses
from spikewright.synapse_graph.writers import formats
from spikewright.synapse_graph.writing import write

ROUNDS = 3
PREFIX = 400_000_000
"""Synapses of VGG16 that are written: some of every projection, as many as its share."""
RESULT = Path(__file__).parent / "results" / "synapses.md"
VGG16 = (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0)


class Layers:
    """Adds layers with random weights one behind the other."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.random = np.random.default_rng(0)
        self.nodes: list[Node] = [Input(name="input", shape=shape)]
        self.channels = shape[0]

    @property
    def at(self) -> str:
        return self.nodes[-1].name

    def add(self, node: Node) -> str:
        self.nodes.append(node)
        return node.name

    def conv(self, name: str, outputs: int, kernel: int = 3, stride: int = 1, source: str | None = None) -> str:
        inputs = self.channels if source is None else self.width(source)
        weight = self.weights(outputs, inputs, kernel, kernel)
        low = kernel // 2
        self.channels = outputs
        return self.add(
            Conv(
                name=name,
                inputs=(source or self.at,),
                weight=weight,
                bias=np.zeros(outputs),
                stride=(stride, stride),
                padding=((low, low), (low, low)),
                dilation=(1, 1),
            )
        )

    def weights(self, *shape: int) -> Any:
        """Read-only, so that the node takes them without a copy."""
        made = self.random.standard_normal(shape, np.float32)
        made.setflags(write=False)
        return made

    def width(self, name: str) -> int:
        return Graph(self.nodes).shapes[name][0]

    def neurons(self, name: str) -> str:
        return self.add(IF(name=name, inputs=(self.at,), threshold=1.0, v_init=0.5))

    def dense(self, name: str, inputs: int, outputs: int) -> str:
        weight = self.weights(outputs, inputs)
        return self.add(Linear(name=name, inputs=(self.at,), weight=weight, bias=np.zeros(outputs)))


def vgg16() -> Graph:
    """VGG16 for 224×224 pictures of three colours and a thousand classes, as spikes."""
    b = Layers((3, 224, 224))
    for k, width in enumerate(VGG16):
        if width:
            b.conv(f"conv{k}", width)
            b.neurons(f"relu{k}")
        else:
            window = {"kernel": (2, 2), "stride": (2, 2), "padding": ((0, 0),) * 2, "dilation": (1, 1)}
            b.add(SpikeMaxPool(name=f"pool{k}", inputs=(b.at,), **window))
    b.add(Flatten(name="flatten", inputs=(b.at,)))
    for k, (inputs, outputs) in enumerate(((25088, 4096), (4096, 4096))):
        b.dense(f"fc{k}", inputs, outputs)
        b.neurons(f"fc{k}_relu")
    b.dense("fc2", 4096, 1000)
    return Graph([*b.nodes, Output(name="output", inputs=(b.at,))])


def random_resnet() -> Graph:
    """ResNet-20 for 28×28 pictures, as spikes."""
    b = Layers((1, 28, 28))
    b.conv("conv", 16)
    last = b.neurons("relu")
    for stage, width in enumerate((16, 32, 64)):
        for block in range(3):
            name, stride = f"blocks{3 * stage + block}", 2 if stage and not block else 1
            b.conv(f"{name}.conv1", width, stride=stride, source=last)
            b.neurons(f"{name}.relu1")
            branch = b.conv(f"{name}.conv2", width)
            if stride == 2:
                shortcut = b.conv(f"{name}.down", width, 1, stride, source=last)
            else:
                shortcut = b.add(
                    ChannelAffine(name=f"{name}.keep", inputs=(last,), scale=np.ones(width), bias=np.zeros(width))
                )
            b.add(Add(name=f"{name}.add", inputs=(branch, shortcut)))
            last = b.neurons(f"{name}.relu2")
    b.add(SumPool(name="pool", inputs=(last,), kernel=(7, 7), stride=(7, 7), padding=((0, 0),) * 2))
    b.add(Flatten(name="flatten", inputs=(b.at,)))
    b.dense("fc", 64, 10)
    return Graph([*b.nodes, Output(name="output", inputs=(b.at,))])


def resnet() -> Graph:
    """The trained one where there is one."""
    folder = os.environ.get("SPIKEWRIGHT_MODELS")
    if not folder:
        return random_resnet()
    import torch
    from safetensors.torch import load_file

    import spikewright as sw

    spec = importlib.util.spec_from_file_location("definitions", Path(folder, "definitions.py"))
    if spec is None or spec.loader is None:
        raise SystemExit(f"{folder}: has no definitions.py; unset SPIKEWRIGHT_MODELS to go without")
    code = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(code)
    module = code.ResNet()
    module.load_state_dict(load_file(Path(folder, "fashion_resnet.safetensors")))
    graph = sw.load(module.eval(), example=torch.zeros(1, 1, 28, 28))
    folded, _ = sw.prepare(graph)
    method = sw.threshold_method("max")
    images = np.random.default_rng(0).random((64, 1, 28, 28), np.float32)
    return sw.convert(graph, sw.calibrate(folded, images, [method]).scales(method)).spiking


def with_rates(graph: Graph) -> Synapses:
    random = np.random.default_rng(1)
    rates = {}
    for node in graph:
        if node.population or not node.inputs:
            shape = graph.shapes[node.name]
            rates[node.name] = random.random(shape) * (random.random(shape) < 0.66)
    return synapses(graph, Rates(rates, graph.fingerprint))


def some_parts(made: Synapses, rows: int) -> list[tuple[Any, Any]]:
    """The first parts of every projection, so many that each has about its share of the rows, and at least one."""
    found = []
    for one in made.projections:
        share, taken = rows * one.synapses / len(made), 0
        for part in made.parts(one):
            if taken and taken + part.rows > share:
                break
            found.append((one, part))
            taken += part.rows
    return found


def whole(folder: Path) -> dict[str, float]:
    """The ResNet in full, the way users write it."""
    made = with_rates(resnet())
    _ = made.schema, made.mean_values  # what is imported for them is not what is measured
    started, worked = time.perf_counter(), time.process_time()
    path = write(made, folder / "resnet.parquet")
    seconds, cpu = time.perf_counter() - started, time.process_time() - worked
    size = sum(file.stat().st_size for file in path.iterdir())
    return {"rows": len(made), "seconds": seconds, "cpu": cpu, "bytes": size, "total": len(made)}


def prefix(folder: Path) -> dict[str, float]:
    """Some of VGG16: by the same writer on as many threads, each file removed when it is whole."""
    from concurrent.futures import ThreadPoolExecutor

    made = with_rates(vgg16())
    started = time.perf_counter()
    total = len(made)
    counting = time.perf_counter() - started
    _ = made.mean_values
    parts = some_parts(made, PREFIX)
    writer: Any = formats()["parquet"]

    def one(numbered: tuple[int, tuple[Any, Any]]) -> int:
        k, (projection, part) = numbered
        path = folder / f"{k}.parquet"
        writer.part(made, projection, part, path)
        size = path.stat().st_size
        path.unlink()
        return size

    started, worked = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(2) as pool:
        size = sum(pool.map(one, enumerate(parts)))
    seconds, cpu = time.perf_counter() - started, time.process_time() - worked
    rows = sum(part.rows for _, part in parts)
    return {
        "rows": rows,
        "seconds": seconds,
        "cpu": cpu,
        "bytes": size,
        "total": total,
        "projections": len(made.projections),
        "counting": counting,
    }


def loops(_folder: Path) -> dict[str, float]:
    """The nested loops, over one layer of the ResNet: 16 channels to 16 over 28×28."""
    weight = np.random.default_rng(0).normal(size=(3, 3, 16, 16)).tolist()
    rates = np.random.default_rng(0).random((28, 28, 16)).tolist()
    found: list[dict[str, Any]] = []
    started = time.perf_counter()
    for row in range(28):
        for column in range(28):
            for i in range(3):
                for j in range(3):
                    r, c = row + i - 1, column + j - 1
                    if not (0 <= r < 28 and 0 <= c < 28):
                        continue
                    for channel in range(16):
                        for filter_ in range(16):
                            found.append(  # noqa: PERF401 (it is the baseline)
                                {
                                    "source_group": "relu",
                                    "source_neuron": (r, c, channel),
                                    "dest_group": "relu1",
                                    "dest_neuron": (row, column, filter_),
                                    "edge": rates[r][c][channel] * weight[i][j][channel][filter_],
                                }
                            )
    return {"rows": len(found), "seconds": time.perf_counter() - started}


def measured(job: Callable[[Path], dict[str, float]], folder: Path, answer: Any) -> None:
    """A job in a process of its own; memory that it takes before it starts, and at most."""
    found = job(folder)
    found["peak"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    answer.send(found)


def in_process(job: Callable[[Path], dict[str, float]]) -> dict[str, float]:
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    folder = Path(tempfile.mkdtemp(prefix="spikewright-"))
    try:
        process = context.Process(target=measured, args=(job, folder, there))
        process.start()
        there.close()
        found: dict[str, float] = here.recv()
        process.join()
    finally:
        shutil.rmtree(folder)
    return found


def bare_disk(megabytes: int = 1024) -> float:
    """What the disk takes, in MB a second: the same bytes again and again, without asking it to be done."""
    block = np.random.default_rng(0).bytes(1 << 20)
    with tempfile.NamedTemporaryFile() as file:
        started = time.perf_counter()
        for _ in range(megabytes):
            file.write(block)
        file.flush()
        return megabytes / (time.perf_counter() - started)


def main() -> None:
    trained = "trained" if os.environ.get("SPIKEWRIGHT_MODELS") else "random weights"
    jobs = {f"ResNet-20, {trained}, in full": whole, "VGG16, 224×224, some of every projection": prefix}
    load = os.getloadavg()
    rounds: dict[str, list[dict[str, float]]] = {name: [] for name in jobs}
    baseline: list[dict[str, float]] = []
    for _ in range(ROUNDS):
        baseline.append(in_process(loops))
        for name, job in jobs.items():
            rounds[name].append(in_process(job))
    slow = statistics.median(one["rows"] / one["seconds"] for one in baseline)
    lines = [
        "# Synapses to Parquet",
        "",
        f"Medians of {ROUNDS} runs, each a process of its own, two threads, with rates and weights. By the clock; in "
        "brackets by the time that the threads worked, so for one core.",
        "",
        "| network | synapses in all | written | million a second (a core) | bytes each | peak memory, MB | "
        "times the loops |",
        "|---|---|---|---|---|---|---|",
    ]
    notes = []
    for name, found in rounds.items():
        speed, core = (statistics.median(one["rows"] / one[clock] for one in found) for clock in ("seconds", "cpu"))
        peak = max(one["peak"] for one in found)
        first = found[0]
        lines.append(
            f"| {name} | {first['total']:,} | {first['rows']:,} | {speed / 1e6:.1f} ({core / 1e6:.1f}) | "
            f"{first['bytes'] / first['rows']:.2f} | {peak:.0f} | {speed / slow:.0f} |"
        )
        if first["rows"] < first["total"]:
            seconds = first["total"] / speed
            size = first["bytes"] / first["rows"] * first["total"] / 1e9
            notes.append(
                f"{name.split(',')[0]}: exact counts of all {first['projections']:.0f} projections in "
                f"{first['counting']:.2f} s; at this speed all of it takes {seconds:.0f} s and {size:.0f} GB. "
                "Its weights alone are 553 MB of the memory. Without borders, so with every kernel wholly inside the "
                "map, it would have 15.5 billion synapses; what padding cuts off is not there."
            )
    lines += [f"| nested loops in Python, into a list | | {baseline[0]['rows']:,} | {slow / 1e6:.2f} | | | 1 |"]
    shown = ", ".join(f"{x:.1f}" for x in load)
    lines += ["", *notes, "", f"Bare writing to the same disk: {bare_disk():.0f} MB a second."]
    lines += ["", f"{platform.machine()}, {os.cpu_count()} cores, numpy {np.__version__}, load average {shown}.", ""]
    text = "\n".join(lines)
    print(text)
    RESULT.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
