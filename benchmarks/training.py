"""Training: a step beside sinabs and SpikingJelly, and what fine-tuning gains.

    SPIKEWRIGHT_DATA=FOLDER SPIKEWRIGHT_MODELS=FOLDER python benchmarks/training.py speed [cnn vgg] [--rounds 5]
    SPIKEWRIGHT_DATA=FOLDER SPIKEWRIGHT_MODELS=FOLDER python benchmarks/training.py [RUN…] [--held-out N] [--set rate=1]

RUN is one of resnet4, resnet2, cnn_synops, cnn_chip. Speed: T = 8, batch 64, one thread, the same spiking network on
every side; forwards and backwards of all parameters from the mean answer; CPU seconds, in turns; memory is the peak of
a process of its own above what it had before the first step. Peers too compute only once what stands before the first
neurons, as the input is constant. Accuracy: all 10,000 test images; training and calibration images only are learned
from. Recipes were chosen with ``--held-out``, which measures on so many training images instead, learns from the
others, and records nothing. Results go to ``results/training.jsonl``, a line each, and are shown in
``results/training.md``.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault(
    "THP_MEM_ALLOC_ENABLE", "1"
)  # large pages for all sides: page faults are the same for nobody else

import numpy as np
import torch
from torch import Tensor, nn

import spikewright as sw
from accuracy import images, network
from spikewright import training
from spikewright.data import Dataset
from spikewright.training.memory import give_memory_back

TIMESTEPS, BATCH = 8, 64
EVENTS = 2.0
"""How many a white pixel sends in a step to the chip, as ``benchmarks/chip.py`` chose on training images."""
HERE = Path(__file__).parent
RECORD, PAGE = HERE / "results" / "training.jsonl", HERE / "results" / "training.md"
NOTES = {
    "speed, vgg": (
        "The goal is half of the time of sinabs and half of SpikingJelly's memory. It is reached where the C "
        "library gives memory back at once, as `finetune` asks it to, here for all sides; where it keeps memory, "
        "sinabs took 1.87 times our time (1.10 s and 2.05 s, medians 1.20 s and 2.28 s) and SpikingJelly 1.96 "
        "times our memory (473 MB and 926 MB), load 11. Convolutions bound the time: measured alone, oneDNN's of "
        "one step take 0.62 s of CPU time with channels last (0.20 forwards, 0.41 backwards), 0.78 with channels "
        "first, which is what the peers run, of 0.93 to 1.05 s that a step took on a calmer machine. What is left "
        "is neurons, about 0.2 s, pools, and the kernel's clearing of pages. Tried beside what is there: blocks "
        "of 2^13 to 2^19 values (2^16 and more are alike, smaller ones slower), spikes kept as bytes (making "
        "numbers of them takes torch 40 to 130 ms for the largest layer), the garbage collector off (1 %)."
    ),
}
SIDES = ("spikewright", "sinabs", "spikingjelly")
RUNS: dict[str, dict[str, Any]] = {
    "resnet4": {
        "network": "resnet",
        "convert": {"method": "percentile:97,channels", "correct": ["v_init_and_bias:4"]},
        "recipe": {"timesteps": 4, "epochs": 2, "rate": 5e-4, "samples": 50_000},
        "goal": "within 1.5 points of 93.52 %",
    },
    "resnet2": {
        "network": "resnet",
        "convert": {"method": "percentile:97,channels", "correct": ["v_init_and_bias:2"]},
        "recipe": {"timesteps": 2, "epochs": 2, "rate": 5e-4},
        "goal": "within 4 points of 93.52 %",
    },
    "cnn_synops": {
        "network": "cnn",
        "convert": {"method": "percentile:99,channels", "correct": ["v_init_and_bias:8"]},
        "recipe": {"timesteps": 8, "epochs": 2, "rate": 1e-3, "share": 0.55},
        "goal": "40 % fewer operations for at most 0.5 points",
    },
    "cnn_chip": {
        "network": "cnn",
        "convert": {"method": "percentile:99.9,channels", "readout": "count", "correct": ["gain:0.5"]},
        "recipe": {"timesteps": 16, "epochs": 1, "rate": 5e-4, "samples": 20_000, "chip": "speck2f", "clip": True},
        "goal": "chip-exact accuracy within 0.3 points of the float form",
    },
}


def converted(name: str, data: Dataset | None = None, **settings: Any) -> sw.Conversion:
    graph = network(name)
    if graph is None:
        raise SystemExit(f"fashion_{name}.safetensors is missing in SPIKEWRIGHT_MODELS")
    return sw.convert(graph, (data or images("train")).sample(1024, 1), **settings)


def step_of(side: str, conversion: sw.Conversion) -> Callable[[Tensor, Tensor], float]:
    """One step of training: forwards, loss, backwards; the loss."""
    if side == "spikewright":
        net = training.module(conversion)
        forward: Callable[[Tensor], Tensor] = lambda x: net.run(x, TIMESTEPS).answer  # noqa: E731
        module: nn.Module = net
    else:
        module, forward = peer(side, conversion)

    def step(x: Tensor, y: Tensor) -> float:
        module.zero_grad()
        loss = nn.functional.cross_entropy(forward(x), y)
        loss.backward()
        return loss.item()

    return step


def peer(side: str, conversion: sw.Conversion) -> tuple[nn.Module, Callable[[Tensor], Tensor]]:
    """A peer's module of the same network, time in the batch for what knows nothing of time."""
    from _peers import Network

    graph = conversion.spiking
    if side == "sinabs":
        import sinabs.activation as activation
        import sinabs.layers as layers

        def neurons(node: Any) -> nn.Module:
            return layers.IAFSqueeze(
                batch_size=BATCH,
                min_v_mem=None,
                spike_threshold=torch.tensor(float(node.threshold)),
                spike_fn=activation.SingleSpike,
            )
    else:
        from spikingjelly.activation_based import neuron, surrogate

        def neurons(node: Any) -> nn.Module:
            own = neuron.IFNode(float(node.threshold), v_reset=None, surrogate_function=surrogate.ATan(), step_mode="m")
            return InSteps(own)

    net = Network(graph, neurons)
    shapes = {node.name: (BATCH, *graph.shapes[node.name]) for node in graph.populations}
    first = {node.name: float(np.max(node.v_init)) for node in graph.populations}

    def forward(x: Tensor) -> Tensor:
        for name, shape in shapes.items():
            part: Any = net.parts[name.replace(".", "_")]
            if side == "sinabs":
                part.v_mem = torch.full(shape, first[name])
            else:
                part.neuron.v = torch.full(shape, first[name])
        known = net.walk(net.first, {}, x)
        lead = 1 if side == "sinabs" else 0  # samples first, steps first
        repeated = {
            name: value.unsqueeze(lead).expand(*value.shape[:lead], TIMESTEPS, *value.shape[lead:]).flatten(0, 1)
            for name, value in known.items()
        }
        out = net.walk(net.rest, repeated, x)[net.last]
        return out.view(BATCH, TIMESTEPS, -1).mean(1) if side == "sinabs" else out.view(TIMESTEPS, BATCH, -1).mean(0)

    return net, forward


class InSteps(nn.Module):
    """A neuron of SpikingJelly in multi-step mode, behind layers that take time in the batch."""

    def __init__(self, neuron: nn.Module) -> None:
        super().__init__()
        self.neuron = neuron

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.neuron(x.view(TIMESTEPS, BATCH, *x.shape[1:])).flatten(0, 1)
        return found


def batch() -> tuple[Tensor, Tensor]:
    x, y = next(iter(images("train").batches(BATCH)))
    return torch.from_numpy(x), torch.from_numpy(np.asarray(y)).long()


def one_side(side: str, name: str) -> None:
    """A process of its own: prints CPU seconds of a step each time a line comes in, and its peak memory at the end."""
    torch.set_num_threads(1)
    give_memory_back()  # all sides: memory is what tensors take, not what the C library keeps of them
    step, (x, y) = step_of(side, converted(name, method="percentile:99.9,channels")), batch()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    losses = step(x, y)
    print(json.dumps({"loss": losses}), flush=True)
    for _ in sys.stdin:
        begun = time.process_time()
        step(x, y)
        print(json.dumps({"seconds": time.process_time() - begun}), flush=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"megabytes": (peak - before) / 1024}), flush=True)


def speed(name: str, rounds: int) -> dict[str, Any]:
    """All sides in turns."""
    own = [sys.executable, __file__, "--side"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    processes = {side: subprocess.Popen([*own, side, name], **pipes) for side in SIDES}  # type: ignore[call-overload]
    found: dict[str, Any] = {
        side: {"loss": answer(process, "loss"), "seconds": []} for side, process in processes.items()
    }
    for _ in range(rounds):
        for side, process in processes.items():
            process.stdin.write("\n")
            process.stdin.flush()
            found[side]["seconds"].append(answer(process, "seconds"))
    for side, process in processes.items():
        process.stdin.close()
        found[side]["megabytes"] = answer(process, "megabytes")
        process.wait()
    code = torch.backends.cpu.get_cpu_capability()
    return {"key": f"speed, {name}", "sides": found, "rounds": rounds, "load": os.getloadavg()[0], "code": code}


def answer(process: Any, label: str) -> float:
    for line in process.stdout:
        if line.startswith("{"):
            return float(json.loads(line)[label])
    raise SystemExit("a side of the benchmark ended")


def gain(key: str, held_out: int, changed: Mapping[str, Any], state: Path | None) -> dict[str, Any]:
    """A run of fine-tuning, measured before and after on all test images, or on held-out training images."""
    run = RUNS[key]
    train, test = images("train"), images("test")
    if held_out:
        order = np.random.default_rng(7).permutation(len(train))
        train, test = train.subset(order[held_out:]), train.subset(order[:held_out])
    conversion = converted(run["network"], train, **run["convert"])
    recipe = {**run["recipe"], **changed}
    samples, share = recipe.pop("samples", len(train)), recipe.pop("share", None)
    steps = recipe["timesteps"]
    measured = partial(sw.measure, timesteps=steps, explain=False, quiet=True)
    if share is not None:
        own = measured(conversion, train.sample(1000, 2), allow_overlap=True)
        recipe["synops_limit"] = {"total": share * own.total_synops}
    train = train if samples >= len(train) else train.sample(samples, 3)
    if state is not None:
        state.mkdir(parents=True, exist_ok=True)
    place = None if state is None else state / f"{key}{held_out}.safetensors"
    clock = Clock(None if place is None else place.with_suffix(".json"))
    found = training.finetune(conversion, train, progress=clock.told, checkpoint=place, **recipe)
    line: dict[str, Any] = {
        "key": key,
        "goal": run["goal"],
        "samples": len(train),
        "epochs": recipe["epochs"],
        "cpu_minutes": clock.cpu / 60,
        "wall_minutes": clock.wall / 60,
        "threads": torch.get_num_threads(),
        "load": os.getloadavg()[0],
        "history": list(found.history),
    }
    before, after = measured(conversion, test), measured(found.conversion, test)
    for when, one in (("before", before), ("after", after)):
        assert one.accuracy is not None
        line[when] = {
            "accuracy": [round(100 * float(a), 2) for a in one.accuracy],
            "synops": one.total_synops,
            "firing_rate": one.firing_rate,
        }
    line["analog"] = round(100 * float(before.analog_accuracy or 0), 2)
    if recipe.get("chip"):
        line |= on_chip(found.conversion, recipe["chip"], train.sample(1024, 1), test)
    return line


def on_chip(conversion: sw.Conversion, chip: str, calibration: Dataset, test: Dataset) -> dict[str, float]:
    """Accuracies of floats that step and of the chip's integers, event by event, on the very same trains."""
    quantised = sw.quantise(conversion, chip, calibration, rate=EVENTS)
    found = sw.compare_on_chip(quantised, test, beside=conversion)
    curves: dict[str, Any] = {"stepped": found.stepped and found.stepped.accuracy, "chip_exact": found.chip.accuracy}
    return {what: round(100 * float(curve[-1]), 2) for what, curve in curves.items()}


class Clock:
    """The time of a training, over all the programs that went on with it, kept beside its state."""

    def __init__(self, place: Path | None) -> None:
        self.place = place
        before = json.loads(place.read_text()) if place is not None and place.exists() else {"cpu": 0, "wall": 0}
        self.begun = {"cpu": before["cpu"] - time.process_time(), "wall": before["wall"] - time.time()}

    @property
    def cpu(self) -> float:
        return self.begun["cpu"] + time.process_time()

    @property
    def wall(self) -> float:
        return self.begun["wall"] + time.time()

    def told(self, what: str, done: int, total: int) -> None:
        if self.place is not None:
            self.place.write_text(json.dumps({"cpu": self.cpu, "wall": self.wall}))
        if done % max(1, total // 20) == 0:
            print(f"{what}: {done} of {total}", file=sys.stderr, flush=True)


def page() -> str:
    """The latest line of each key as Markdown."""
    lines = {line["key"]: line for line in map(json.loads, RECORD.read_text(encoding="utf-8").splitlines())}
    out = ["# Training", "", "Fashion-MNIST. What each program does: `benchmarks/training.py`.", ""]
    out += [
        "resnet4 was run twice: one epoch over all images gave 91.69 on the test images, before two were taken.",
        "",
    ]
    runs = [line for key, line in lines.items() if key in RUNS]
    if runs:
        out += ["| run | goal | analog | before | after | operations | images × epochs | CPU minutes | load |"]
        out += ["|---|---|---|---|---|---|---|---|---|"]
    for line in runs:
        work = line["after"]["synops"] / line["before"]["synops"]
        exact = f"; T = 64: {line['stepped']:.2f}, chip {line['chip_exact']:.2f}" if "stepped" in line else ""
        out.append(
            f"| {line['key']} | {line['goal']} | {line['analog']:.2f} | {line['before']['accuracy'][-1]:.2f} | "
            f"{line['after']['accuracy'][-1]:.2f}{exact} | {work:.2f} × | {line['samples']:,} × {line['epochs']} | "
            f"{line['cpu_minutes']:.0f} | {line['load']:.1f} |"
        )
    for key, line in lines.items():
        if not key.startswith("speed"):
            continue
        out += ["", f"## A step of the {key.partition(', ')[2]}, T = {TIMESTEPS}, batch {BATCH}", ""]
        out += ["| | CPU seconds, best (median) | against ours | peak memory, MB |", "|---|---|---|---|"]
        ours = line["sides"]["spikewright"]
        for side, one in line["sides"].items():
            best, middle = min(one["seconds"]), float(np.median(one["seconds"]))
            ratio = (
                f"{best / min(ours['seconds']):.2f} × the time, {one['megabytes'] / ours['megabytes']:.2f} × the memory"
            )
            out.append(f"| {side} | {best:.3f} ({middle:.3f}) | {ratio} | {one['megabytes']:.0f} |")
        code = f", {line['code']}" if "code" in line else ""
        out += ["", f"One thread, {len(ours['seconds'])} rounds in turns, load {line['load']:.1f}{code}."]
        if key in NOTES:
            out += ["", *textwrap.wrap(NOTES[key], 120)]
    return "\n".join(out) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="*")
    parser.add_argument("--side", choices=SIDES)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--held-out", type=int, default=0, help="tune: measure on so many training images")
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="tune: other settings of a recipe")
    parser.add_argument("--state", type=Path, help="a folder: where training stands, to go on from if it is stopped")
    given = parser.parse_args()
    changed = {label: json.loads(value) for label, _, value in (text.partition("=") for text in given.set)}
    if changed and not given.held_out:
        parser.error("--set is for tuning, with --held-out: what is recorded is a recipe of this file")
    if given.side:
        one_side(given.side, given.runs[0])
        return
    if given.runs[:1] == ["speed"]:
        lines = (speed(name, given.rounds) for name in given.runs[1:] or ("cnn", "vgg"))
    else:
        lines = (gain(key, given.held_out, changed, given.state) for key in given.runs or RUNS)
    for line in lines:
        if given.held_out:
            print(json.dumps(line), flush=True)
            continue
        with RECORD.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        PAGE.write_text(page(), encoding="utf-8")
        print(json.dumps(line))


if __name__ == "__main__":
    main()
