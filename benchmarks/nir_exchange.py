"""The same network here and in other simulators, by way of a NIR file: are their spikes the same?

    python benchmarks/nir_exchange.py

Each simulator reads NIR's neurons by its own rules (see docs/nir.md), so each is given a network whose neurons it can
be true to: the trained one of the demo, with its residual block and average pools; a random one with a residual block;
or, for those that read neither pools nor branches, a random chain. The file is written, read by the other side's own
reader, and run for T steps of constant input; then the spikes of every neuron, and the sums at the output, are
compared.

Needs any of: spikingjelly, snntorch, sinabs, norse (with nirtorch); rows of those that cannot be imported stay as
recorded. SpikingJelly and sinabs are in the environment that ``make bench`` makes (``benchmarks/peers.txt``).
"""

from __future__ import annotations

import contextlib
import io
import tempfile
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch

import spikewright as sw
from spikewright.conversion import Neurons
from spikewright.demo import demo_data, demo_graph
from spikewright.frontends.torch import from_torch
from spikewright.graph import Array, Graph

STEPS, SAMPLES = 64, 16
RESULT = Path(__file__).parent / "results" / "nir_exchange.md"
Counts = dict[str, Array]


class Watch:
    """Adds up what some modules put out, ``(samples, *shape)`` by the module's name."""

    def __init__(self, module: torch.nn.Module, names: tuple[str, ...]) -> None:
        self.counts: Counts = {}
        for name, child in module.named_modules():
            if name in names:
                child.register_forward_hook(lambda _m, _i, out, name=name: self.add(name, out))

    def add(self, name: str, out: Any) -> None:
        spikes = (out[0] if isinstance(out, tuple) else out).numpy().astype(np.float64)
        self.counts[name] = self.counts.get(name, 0) + spikes


def stepwise(module: torch.nn.Module, x: Array, populations: tuple[str, ...]) -> tuple[Counts, Array]:
    """A module of NIRTorch, which takes and gives its state, run step by step."""
    watch = Watch(module, populations)
    total, state = 0, None
    for _ in range(STEPS):
        out, state = module(torch.from_numpy(x), state)
        total = total + out.numpy().astype(np.float64)
    return watch.counts, total


def one_by_one(make: Callable[[], torch.nn.Module], x: Array, populations: tuple[str, ...]) -> tuple[Counts, Array]:
    """Samples without a batch, for readers that let a flatten count axes as NIR does; a new module for each."""
    found = [stepwise(make(), sample, populations) for sample in x]
    counts = {name: np.stack([one[name] for one, _ in found]) for name in found[0][0]}
    return counts, np.stack([total for _, total in found])


def in_spikingjelly(path: Path, x: Array, populations: tuple[str, ...]) -> tuple[Counts, Array]:
    from spikingjelly.activation_based.nir_exchange import import_from_nir

    return stepwise(import_from_nir(path), x, populations)


def in_snntorch(path: Path, x: Array, populations: tuple[str, ...]) -> tuple[Counts, Array]:
    import nir
    from snntorch.import_nir import import_from_nir

    with contextlib.redirect_stdout(io.StringIO()):
        return one_by_one(lambda: import_from_nir(nir.read(path)), x, populations)


def in_norse(path: Path, x: Array, populations: tuple[str, ...]) -> tuple[Counts, Array]:
    import nir
    from norse.torch.utils.import_nir import from_nir

    return one_by_one(lambda: from_nir(nir.read(path)), x, populations)


def in_sinabs(path: Path, x: Array, populations: tuple[str, ...]) -> tuple[Counts, Array]:
    """All steps at once, one after the other along the batch."""
    import nir
    from sinabs.nir import from_nir

    module = from_nir(nir.read(path), batch_size=len(x))
    watch = Watch(module, populations)
    out = module(torch.from_numpy(np.repeat(x, STEPS, axis=0)))[0].numpy().astype(np.float64)

    def summed(values: Array) -> Array:
        return values.reshape(len(x), STEPS, *values.shape[1:]).sum(axis=1)

    return {name: summed(counts) for name, counts in watch.counts.items()}, summed(out)


@dataclass(frozen=True)
class Peer:
    """A simulator, and neurons that it reads as they are meant.

    Attributes:
        package: its name.
        neurons: what it can be true to.
        dt: the timestep to write the file with.
        run: the path of a file and samples in; spikes of each neuron, and sums at the output, out.
        network: which of ``NETWORKS`` it is given.
        feedback: whether reset by subtraction is written with NIR's own primitives.
        batch: how many samples it runs side by side.
    """

    package: str
    neurons: Neurons
    dt: float
    run: Callable[[Path, Array, tuple[str, ...]], tuple[Counts, Array]]
    network: str
    batch: int = SAMPLES
    feedback: bool = False


HARD = Neurons(reset="zero", v_init=0.0)
LEAKY = Neurons(reset="zero", v_init=0.0, leak=0.9)
HALF = Neurons()
LEAKY_SUBTRACT = Neurons(v_init=0.0, leak=0.9)
SUBTRACT = Neurons(max_spikes=None, v_init=0.0, v_min=-1.0)
PEERS = (
    Peer("spikingjelly", HARD, 1e-4, in_spikingjelly, "demo"),
    Peer("spikingjelly", LEAKY, 1e-4, in_spikingjelly, "demo"),
    Peer("spikingjelly", HARD, 1e-4, in_spikingjelly, "residual"),
    Peer("snntorch", LEAKY, 1e-4, in_snntorch, "demo", 1),
    Peer("snntorch", LEAKY, 1e-4, in_snntorch, "residual", 1),
    *(
        Peer(package, neurons, 1e-4, run, network, batch, feedback=True)
        for package, run, batch in (("spikingjelly", in_spikingjelly, SAMPLES), ("snntorch", in_snntorch, 1))
        for neurons, network in ((HALF, "demo"), (HALF, "residual"), (LEAKY_SUBTRACT, "residual"))
    ),
    Peer("sinabs", SUBTRACT, 1.0, in_sinabs, "chain"),
    Peer("norse", HARD, 1.0, in_norse, "chain", 1),
)


def demo() -> tuple[Graph, Array, Array]:
    train, test = demo_data()
    return demo_graph(), next(iter(train.batches(500)))[0], next(iter(test.batches(SAMPLES)))[0]


def random(residual: bool) -> tuple[Graph, Array, Array]:
    """Strided convolutions, one padded on one side only, with random weights."""

    class Random(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = torch.nn.Conv2d(2, 8, 3, stride=2, padding=1)
            self.second = torch.nn.Conv2d(8, 8, 2, padding="same")  # one row and column of zeros, behind
            self.third = torch.nn.Conv2d(8, 12, 3, stride=2)
            self.last = torch.nn.Linear(12 * 16, 5)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.first(x).relu()
            x = (self.second(x) + x).relu() if residual else self.second(x).relu()
            x = self.third(x).relu()
            return self.last(x.flatten(1))

    torch.manual_seed(1)
    samples = np.random.default_rng(1).uniform(0, 1, (200, 2, 18, 18)).astype(np.float32)
    return from_torch(Random().eval(), torch.zeros(1, 2, 18, 18)), samples, samples[:SAMPLES]


NETWORKS: Mapping[str, Callable[[], tuple[Graph, Array, Array]]] = {
    "demo": demo,
    "residual": partial(random, True),
    "chain": partial(random, False),
}


def compare(peer: Peer, folder: Path) -> str:
    """A row of the result."""
    graph, train, x = NETWORKS[peer.network]()
    method = sw.threshold_method("percentile:99.9")
    scales = sw.calibrate(sw.prepare(graph)[0], train, [method]).scales(method)
    spiking = sw.convert(graph, scales, neurons=peer.neurons).spiking
    path = folder / f"{peer.package}.nir"
    sw.export(spiking, path, dt=peer.dt, feedback=peer.feedback, force=True)
    # as many side by side as there, since a convolution's rounding depends on it, and once otherwise, to see how much
    ours, again = (sw.simulate(spiking, x, STEPS, record="spikes", batch_size=n) for n in (peer.batch, SAMPLES // 2))
    populations = {name.replace(".", "_"): trains.sum(axis=1) for name, trains in ours.spikes.items()}
    rounding = sum((trains.sum(axis=1) != again.spikes[name].sum(axis=1)).sum() for name, trains in ours.spikes.items())
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs, output = peer.run(path, x, tuple(populations))
    if theirs.keys() != populations.keys():
        raise SystemExit(f"{peer.package} has the populations {sorted(theirs)}, not {sorted(populations)}")
    neurons = sum(counts.size for counts in populations.values())
    spikes = sum(counts.sum() for counts in populations.values())
    other = sum((populations[name] != theirs[name]).sum() for name in populations)
    mean = output / STEPS
    error = np.abs(mean - ours.output[:, -1]).max() / np.abs(mean).max()
    same = (mean.argmax(1) == ours.output[:, -1].argmax(1)).mean()
    neuron = f"reset {peer.neurons.reset}, leak {peer.neurons.leak:g}, " + (
        "one spike" if peer.neurons.max_spikes == 1 else "several spikes, v ≥ −threshold"
    )
    if peer.feedback:
        neuron += f", v_init {'half' if peer.neurons is HALF else '0'}, by feedback"
    return (
        f"| {peer.package} {_version(peer.package)} | {peer.network} | {neuron} | {len(populations)} | "
        f"{neurons:,} | {spikes:,.0f} | {other:,} | {rounding:,} | {error:.0e} | {same:.0%} |"
    )


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "(from source)"


def main() -> None:
    rows = []
    before = RESULT.read_text(encoding="utf-8").splitlines() if RESULT.exists() else []
    with tempfile.TemporaryDirectory() as folder:
        for peer in PEERS:
            try:
                import_module(peer.package)
            except ImportError as error:
                print(f"{peer.package}: left out ({error})")
                rows += [row for row in before if row.startswith(f"| {peer.package} ") and row not in rows]
                continue
            rows.append(compare(peer, Path(folder)))
            print(rows[-1], flush=True)
    if not rows:
        raise SystemExit("none of the simulators is installed")
    head = [
        "# The same network in other simulators, by way of NIR",
        "",
        f"Written by `benchmarks/nir_exchange.py`: {SAMPLES} samples, {STEPS} steps of constant input, float32, "
        f"nir {version('nir')}, nirtorch {version('nirtorch')}, torch {version('torch')}.",
        "Neurons are counted once for each sample. Another count there: neurons that sent another number of spikes in "
        "the other simulator. Another count here: the same between two runs of ours, with samples side by side or "
        "not, where only the rounding of sums differs. Output: largest difference of its mean over time, relative.",
        "",
        "| simulator | network | neurons are | populations | neurons | spikes | another count there | "
        "another count here | output | same class |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    RESULT.write_text("\n".join([*head, *rows, ""]), encoding="utf-8")


if __name__ == "__main__":
    main()
