"""The cuda engine against SpikingJelly's multi-step mode on the same GPU, interleaved in one run.

    SPIKEWRIGHT_DATA=FOLDER SPIKEWRIGHT_MODELS=FOLDER python benchmarks/engine_gpu.py [--quick]

The networks, images and thresholds of engine.py. In its multi-step mode SpikingJelly, too, takes all timesteps as one
batch between neurons, and runs these in one kernel: its own where it was built with CUDA, else Triton's, else torch.
It is given the layers before the first neurons once, as they do not change, and some timesteps at a time, so that
large networks fit. All sides multiply in full single precision. Counts of spikes are compared. The GPU must be idle.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections import Counter
from pathlib import Path

import torch
from torch import Tensor

from _networks import BATCH, CONSTANT, Run, processor, spiking, trained
from _peers import Network, key
from spikewright.engines.cuda.memory import stretches
from spikewright.engines.cuda.simulation import CudaSimulation, same_arithmetic
from spikewright.engines.reference import Simulation
from spikewright.graph import Graph
from spikewright.nodes import IF

RESULT = Path(__file__).parent / "results" / "engine_gpu.md"
CHUNK = 32
"""Timesteps that the peer takes at a time."""
WAYS = ("cuda engine", "reference engine", "SpikingJelly")


class MultiStep:
    """A spiking graph in SpikingJelly's multi-step mode."""

    def __init__(self, graph: Graph, device: str) -> None:
        from spikingjelly.activation_based import layer, neuron

        self.graph, self.device = graph, device
        self.network = Network(
            graph, lambda node: neuron.IFNode(v_threshold=float(node.threshold), v_reset=None, step_mode="m")
        )
        self.neurons = {node: self.network.parts[key(node.name)] for node in graph.of_type(IF)}
        for name, part in self.network.parts.items():
            if part not in self.neurons.values():
                self.network.parts[name] = layer.SeqToANNContainer(part)
        self.network.eval().to(device)

    @torch.inference_mode()
    def run(self, x: Tensor, timesteps: int, counts: Counter[str] | None = None) -> Tensor:
        for node, neurons in self.neurons.items():
            neurons.v = torch.full((len(x), *self.graph.shapes[node.name]), float(node.v_init), device=self.device)
        still = self.network.walk(self.network.first, {}, x[None])
        total = torch.zeros((), device=self.device)
        for part in stretches(timesteps, CHUNK):
            known = {name: v.expand(part.stop - part.start, *v.shape[1:]) for name, v in still.items()}
            values = self.network.walk(self.network.rest, known, x)
            total = total + values[self.network.last].sum(dim=0)
            if counts is not None:
                counts.update({node.name: float(values[key(node.name)].double().sum()) for node in self.neurons})
        return total


def way(network: Graph, name: str, device: str) -> Run:
    """One way of running a network, ready."""
    if name == "SpikingJelly":
        return MultiStep(network, device).run
    simulation = (CudaSimulation if name == "cuda engine" else Simulation)(network, device)
    return lambda x, timesteps: simulation.run(x, timesteps, CONSTANT)


def timed(run: Run, x: Tensor, timesteps: int) -> float:
    """Seconds until the device has done all of it."""
    torch.cuda.synchronize()
    started = time.perf_counter()
    run(x, timesteps)
    torch.cuda.synchronize()
    return time.perf_counter() - started


def compare(name: str, steps: tuple[int, ...], rounds: int) -> list[str]:
    graph, calibration, images = trained(name)
    network, x = spiking(graph, calibration), torch.from_numpy(images).cuda()
    differs, lines = difference(network, x[:10], "cuda"), []
    ways = {label: way(network, label, "cuda") for label in WAYS}
    for timesteps in steps:
        taken: dict[str, list[float]] = {label: [] for label in ways}
        for round_ in range(rounds + 1):
            for label, run in ways.items():
                seconds = timed(run, x, timesteps)
                if round_:  # the first compiles and warms up
                    taken[label].append(seconds)
        ms = {label: 1000 * statistics.median(times) / BATCH for label, times in taken.items()}
        ratio = ms["SpikingJelly"] / ms["cuda engine"]
        cells = [name, str(timesteps), *(f"{ms[label]:.3f}" for label in ways), f"**{ratio:.1f}x**", differs]
        lines.append("| " + " | ".join(cells) + " |")
        print(lines[-1], flush=True)
    return lines


def difference(network: Graph, x: Tensor, device: str, timesteps: int = 16) -> str:
    """Spikes of all populations, ours against the peer's."""
    theirs: Counter[str] = Counter()
    MultiStep(network, device).run(x, timesteps, theirs)
    counts = CudaSimulation(network, device).run(x, timesteps, CONSTANT).counts
    own = sum(float(c.double().sum()) for c in counts.values())
    return f"{100 * abs(own / theirs.total() - 1):.4f} %"


def implementation(device: torch.device) -> object:
    """What SpikingJelly runs its neurons in there: "cuda", "triton" or "torch"."""
    from spikingjelly.activation_based.functional.neuron import neuron_implementation

    return neuron_implementation("if", device)["implementation"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one timing of each, at T = 16 and 64")
    parser.add_argument("--output", type=Path, default=RESULT)
    parser.add_argument("--networks", default="mnist,cnn,vgg,resnet")
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        print("this benchmark needs a CUDA device, and torch finds none here", file=sys.stderr)
        raise SystemExit(2)
    steps, rounds = ((16, 64), 1) if arguments.quick else ((16, 64, 256), 5)
    header = ("network", "T", *WAYS, "ratio", "spikes differ by")
    lines = [
        "# The cuda engine and its peer",
        "",
        f"Milliseconds an image, batch {BATCH}, medians of {rounds} round(s) taken in turns after one to warm up.",
        "Ratio: the peer over us. The last column: the difference in the number of spikes at T = 16.",
        "",
        "| " + " | ".join(header) + " |",
        "|---" * len(header) + "|",
    ]
    device = torch.device("cuda")
    with same_arithmetic(device):
        for name in arguments.networks.split(","):
            lines += compare(name, steps, rounds)
    lines += ["", f"{torch.cuda.get_device_name()}, {processor()}, torch {torch.__version__}."]
    lines += [f"SpikingJelly's neurons ran in {implementation(device)}."]
    arguments.output.write_text("\n".join([*lines, ""]), encoding="utf-8")


if __name__ == "__main__":
    main()
