"""Formats of mappers: how fast .hgr is written, in how much memory, and what readers of each format make of it.

    python benchmarks/mapping.py --readers PYTHON

PYTHON is that of an environment of its own with ``sanafe``, ``libsonata`` and ``mtkahypar``, which is only ever run as
another process; without it the readers are left out. SPIKEWRIGHT_MODELS as for ``synapses.py``. Networks for the
readers are trained here, on the pictures of the demo.

Pins are a hyperedge's neurons: its source and all that it reaches. Each run is a process of its own on one thread,
whose peak memory is the operating system's; of VGG16 some pieces of every group are written, each removed again.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

import spikewright as sw
from spikewright.demo import demo_data
from spikewright.graph import Graph
from spikewright.nodes import Conv, Flatten, Output
from spikewright.synapse_graph.fan_outs import fan_out_sizes
from spikewright.synapse_graph.writers.hgr import Hgr
from synapses import Layers, in_process, resnet, vgg16, with_rates

ROUNDS = 3
PREFIX = 100_000_000
"""Synapses of a large network that are written."""
RESULT = Path(__file__).parent / "results" / "mapping.md"
STEPS = 64


def mobile() -> Graph:
    """Depthwise and pointwise layers in turn, as MobileNet has them, for 112×112 pictures."""
    b = Layers((32, 112, 112))
    for k, (width, stride) in enumerate(((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1))):
        channels, source = b.channels, b.at
        weight = b.weights(channels, 1, 3, 3)
        b.add(
            Conv(
                name=f"depthwise{k}",
                inputs=(source,),
                weight=weight,
                bias=np.zeros(channels),
                stride=(stride, stride),
                padding=((1, 1), (1, 1)),
                dilation=(1, 1),
                groups=channels,
            )
        )
        b.neurons(f"depthwise{k}_relu")
        b.conv(f"pointwise{k}", width, 1)
        b.neurons(f"pointwise{k}_relu")
    b.add(Flatten(name="flatten", inputs=(b.at,)))
    b.dense("fc", 512 * 14 * 14, 10)
    return Graph([*b.nodes, Output(name="output", inputs=(b.at,))])


def _written(graph: Graph, folder: Path, most: float) -> dict[str, float]:
    made, hgr = with_rates(graph), Hgr()
    _ = made.mean_values
    found = {"synapses": float(len(made)), "rows": 0.0, "bytes": 0.0, "seconds": 0.0, "cpu": 0.0}
    share: dict[str, float] = {}
    sizes = list(fan_out_sizes(made).values())
    path = folder / "piece.hgr"
    for piece in hgr.pieces(made):
        group = piece.name.split("-")[1]
        if group in share and share[group] + piece.rows > most * sizes[int(group)].sum() / len(made):
            continue
        share[group] = share.get(group, 0) + piece.rows
        begun, worked = time.perf_counter(), time.process_time()
        piece.write(path)
        found["seconds"] += time.perf_counter() - begun
        found["cpu"] += time.process_time() - worked
        found["bytes"] += path.stat().st_size
        with path.open("rb") as file:  # a blank stands before each pin, behind the weight
            found["rows"] += sum(chunk.count(b" ") for chunk in iter(lambda: file.read(1 << 22), b""))
        path.unlink()
    return found


def whole_resnet(folder: Path) -> dict[str, float]:
    return _written(resnet(), folder, np.inf)


def some_vgg16(folder: Path) -> dict[str, float]:
    return _written(vgg16(), folder, PREFIX)


def whole_mobile(folder: Path) -> dict[str, float]:
    return _written(mobile(), folder, PREFIX)


def speeds() -> list[str]:
    jobs = {
        "ResNet-20, all of it": whole_resnet,
        "VGG16, 224×224, some of every group": some_vgg16,
        "depthwise layers as in MobileNet, 112×112, some of every group": whole_mobile,
    }
    lines = [
        "| network | synapses in all | pins written | million a second of a core | by the clock | MB/s of a core | "
        "peak memory, MB |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, job in jobs.items():
        found = [in_process(job) for _ in range(ROUNDS)]
        core, clock = (statistics.median(one["rows"] / one[of] / 1e6 for one in found) for of in ("cpu", "seconds"))
        speed = statistics.median(one["bytes"] / one["cpu"] / 1e6 for one in found)
        peak = max(one["peak"] for one in found)
        lines.append(
            f"| {name} | {found[0]['synapses']:,.0f} | {found[0]['rows']:,.0f} | {core:.0f} | {clock:.0f} | "
            f"{speed:.0f} | {peak:.0f} |"
        )
    return lines


def networks() -> dict[str, nn.Module]:
    return {
        "784-100-10": nn.Sequential(nn.Flatten(), nn.Linear(784, 100), nn.ReLU(), nn.Linear(100, 10)),
        "conv 8 and 16, strides of 2": nn.Sequential(
            nn.Conv2d(1, 8, 5, 2, 2),
            nn.ReLU(),
            nn.Conv2d(8, 16, 3, 2, 1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(784, 10),
        ),
    }


def trained(module: nn.Module, x: torch.Tensor, y: torch.Tensor) -> nn.Module:
    torch.manual_seed(0)
    optimiser = torch.optim.Adam(module.parameters(), 2e-3)
    for _ in range(8):
        for some in torch.randperm(len(x)).split(64):
            optimiser.zero_grad()
            nn.functional.cross_entropy(module(x[some]), y[some]).backward()
            optimiser.step()
    return module.eval()


SANAFE = """
import json, sys, sanafe
arch = sanafe.load_loihi()
chip = sanafe.SpikingChip(arch)
chip.load(sanafe.load_net(sys.argv[1], arch))
found = chip.sim(int(sys.argv[2]))
print(json.dumps({key: found[key] for key in ("energy", "sim_time", "packets_sent", "spikes", "neurons_fired")}))
"""
SONATA = """
import json, sys, libsonata
config = libsonata.CircuitConfig.from_file(sys.argv[1] + "/circuit_config.json")
found = {"nodes": sum(config.node_population(n).size for n in config.node_populations), "edges": 0, "weight": 0.0}
for name in config.edge_populations:
    edges = config.edge_population(name)
    found["edges"] += edges.size
    found["weight"] += float(edges.get_attribute("syn_weight", edges.select_all()).astype(float).sum())
print(json.dumps(found))
"""
MTKAHYPAR = """
import json, sys, mtkahypar
kit = mtkahypar.initialize(1)
context = kit.context_from_preset(mtkahypar.PresetType.DEFAULT)
context.set_partitioning_parameters(8, 0.05, mtkahypar.Objective.KM1)
context.logging = False
graph = kit.hypergraph_from_file(sys.argv[1], context, mtkahypar.FileFormat.HMETIS)
parts = graph.partition(context)
open(sys.argv[2], "w").write("".join(f"{part}\\n" for part in parts.get_partition()))
print(json.dumps({"pins": graph.num_pins(), "km1": parts.km1(), "cut": parts.cut()}))
"""


def asked(python: str, code: str, *arguments: Any) -> dict[str, Any]:
    """The last line that another process prints."""
    done = subprocess.run([python, "-c", code, *map(str, arguments)], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def read(python: str) -> list[str]:
    (batch,) = demo_data()[1].batches(1 << 20)
    x, y = np.asarray(batch[0]), np.asarray(batch[1])
    held = len(x) * 4 // 5  # all behind are never trained, nor calibrated with
    chip = [
        "| network | accuracy, ours | neurons | synapses | cores | spikes a picture, ours | SANA-FE | energy, µJ | "
        "of it synapses, somata, network | latency, µs |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    others = ["| network | reader | what it said | ours |", "|---|---|---|---|"]
    for name, module in networks().items():
        graph = sw.load(trained(module, torch.tensor(x[:held]), torch.tensor(y[:held]).long()), shape=(1, 28, 28))
        conversion = sw.convert(graph, x[:held], "percentile:99.9")
        one = x[held : held + 1]
        rates = sw.simulated_rates(conversion, one, STEPS)
        made = sw.synapses(conversion, rates)
        accuracy = sw.measure(conversion, (x[held:], y[held:]), STEPS).accuracy
        assert accuracy is not None
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder)
            made.write(path / "net.sonata")
            made.write(path / "net.hgr")
            ours = sum(float(np.sum(values)) for values in rates.values.values()) * STEPS
            for held_by_core in (1024, 64):
                made.write(path / "net.yaml", f"sanafe:neurons={held_by_core}", force=True)
                found = asked(python, SANAFE, path / "net.yaml", STEPS + len(made.groups))
                energy = {key: value * 1e6 for key, value in found["energy"].items()}
                cores = -(-(made.summary().neurons + 1) // held_by_core)
                chip.append(
                    f"| {name} | {float(accuracy[-1]):.1%} | {made.summary().neurons:,} | {len(made):,} | {cores} | "
                    f"{ours:,.0f} | {found['neurons_fired']:,} | {energy['total']:.2f} | "
                    f"{energy['synapse']:.2f}, {energy['soma']:.2f}, {energy['network']:.2f} | "
                    f"{found['sim_time'] * 1e6:,.0f} |"
                )
            found = asked(python, SONATA, path / "net.sonata")
            total = sum(float(b.column("weight").to_numpy().astype(float).sum()) for b in made)
            others.append(
                f"| {name} | libsonata | {found['nodes']:,} nodes, {found['edges']:,} edges, weights add up to "
                f"{found['weight']:.4f} | {made.summary().neurons:,}, {len(made):,}, {total:.4f} |"
            )
            found = asked(python, MTKAHYPAR, path / "net.hgr", path / "parts")
            cut = made.summary(path / "parts").cut
            assert cut is not None
            others.append(
                f"| {name} | Mt-KaHyPar, 8 parts | {found['pins']:,} pins, connectivity {found['km1']:,} | "
                f"multicast cut {cut.multicast:,}, in 1,000 timesteps {1000 * (cut.multicast_events or 0):,.0f}; "
                f"edge cut {cut.edges:,}, {1000 * (cut.edge_events or 0):,.0f} |"
            )
    return [
        "## Read by others",
        "",
        "Networks trained on the demo's pictures. On SANA-FE's Loihi: one picture, "
        f"{STEPS} timesteps and one more for each layer; spikes are those of inputs and populations.",
        "",
        *chip,
        "",
        *others,
        "",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--readers", help="the python of an environment with sanafe, libsonata and mtkahypar")
    parser.add_argument("--only", choices=("speed", "readers"), help="one half, printed and not recorded")
    options = parser.parse_args()
    load = os.getloadavg()
    lines = ["# Formats of mappers", ""]
    if options.only != "readers":
        lines += [f"`.hgr` with rates, on one thread. Medians of {ROUNDS} runs.", "", *speeds(), ""]
    if options.readers and options.only != "speed":
        lines += read(options.readers)
    shown = ", ".join(f"{x:.1f}" for x in load)
    lines += [f"{platform.machine()}, {os.cpu_count()} cores, numpy {np.__version__}, load average {shown}.", ""]
    print("\n".join(lines))
    if options.only is None:
        RESULT.write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
