"""From an event camera to spikes: recordings of MNIST, a network trained on frames of them, run on their events.

    SPIKEWRIGHT_DATA=FOLDER python examples/events_mnist/run.py [WORK FOLDER] [--samples TRAIN TEST] [--stages STAGE …]

It simulates a camera (``spikewright.demo.camera``) that looks at 10,000 training pictures and 2,000 test pictures of
MNIST, and trains a small CNN on one frame a recording. Then, stage by stage:

- ``sweep``: converts it, sweeps the gain of the first layer on training recordings that were held out, and measures the
  recommended network on the events of the test recordings, with signed spikes and with plain ones;
- ``finetune``: trains the network of plain spikes on, on the events of training recordings, and measures it again;
- ``chip``: asks what a Speck would have to compute in a second.

What an earlier run left in the work folder stays and is gone on from; numbers are in ``results.json``. Without
SPIKEWRIGHT_DATA the pictures are fetched once, and their checksums looked at.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

import spikewright as sw
from spikewright.demo.camera import Camera, write

sys.path[:0] = [str(Path(__file__).parents[2] / "benchmarks")]

from _data import folder  # noqa: E402

BINNING = "frames=1,sensor=34x34,scale=0.25"
GRIDS = {
    "signed": ["gain=1..10", "spikes=multi", "neurons=signed"],
    "plain": ["gain=1..10", "spikes=multi"],
}
RULE = "fewest synops within 1 points"
DT, EPOCHS, BATCH, SEED, AT_ONCE = 1e-3, 6, 64, 0, 100
STAGES = ("sweep", "finetune", "chip")
LEARNING_DT, LEARNING_EPOCHS, HELD_OUT = 5e-3, 2, 1000
"""Fine-tuning: a timestep longer than that of the runs takes less time; so many recordings are kept from it."""


def recordings(work: Path, train: int, test: int) -> None:
    """The recordings, in class folders of ``Train`` and ``Test`` as N-MNIST has them; those that are there stay."""
    for part, split, count, place in (("Train", "train", train, 0), ("Test", "test", test, 1_000_000)):
        pictures = sw.load_data(str(folder("mnist")), split=split)
        labels = np.asarray(pictures.targets)
        for start in range(0, count, AT_ONCE):
            rows = np.arange(start, min(start + AT_ONCE, count))
            paths = [work / part / str(labels[row]) / f"{row:05}.bin" for row in rows]
            if all(path.exists() for path in paths):
                continue
            (x, _), *_ = pictures.subset(rows).batches(AT_ONCE)
            for path, events in zip(paths, Camera().record(x.reshape(-1, 28, 28), place + start), strict=True):
                write(path, events)


def trained(frames: sw.Dataset) -> nn.Module:
    """A small CNN, trained on frames; its biases are what ``b/S`` is about."""
    torch.manual_seed(SEED)
    x = torch.from_numpy(np.concatenate([x for x, _ in frames.batches(500)]))
    y = torch.from_numpy(np.asarray(frames.targets))
    network = nn.Sequential(
        nn.Conv2d(2, 8, 5, stride=2), nn.ReLU(), nn.Conv2d(8, 16, 3, stride=2), nn.ReLU(),
        nn.Conv2d(16, 32, 3), nn.ReLU(), nn.Flatten(), nn.Linear(800, 10),
    )  # fmt: skip
    optimiser = torch.optim.AdamW(network.parameters(), weight_decay=1e-3)
    steps = EPOCHS * (len(x) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=1e-2, total_steps=steps)
    for epoch in range(EPOCHS):
        for rows in torch.randperm(len(x))[: len(x) // BATCH * BATCH].split(BATCH):
            loss = nn.functional.cross_entropy(network(x[rows]), y[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
        print(f"epoch {epoch + 1}: loss {loss.item():.3f}", flush=True)
    return network.eval()


def sweep(graph: sw.Graph, train: sw.Dataset, test: sw.Dataset, work: Path) -> dict[str, object]:
    """The gain of the first layer for each kind of neurons, and the recommended network on the test recordings."""
    some, told = train.sample(2000, SEED), {}
    for neurons, grid in GRIDS.items():
        tuning = sw.tune(graph, some, grid, rules=RULE, dt=DT)
        print(tuning, flush=True)
        sw.tuning_report(work / f"gain_{neurons}.html", tuning, title=f"Gain on events, {neurons} spikes", force=True)
        sw.save(tuning.conversion, work / f"{neurons}.safetensors", force=True)
        told[neurons] = tested(tuning.conversion, test, f"{neurons} spikes") | {"tuning": tuning.summary()}
    return told


def finetune(train: sw.Dataset, test: sw.Dataset, work: Path) -> dict[str, object]:
    """The recommended network of plain spikes trained on, on the events of training recordings."""
    plain = sw.load(str(work / "plain.safetensors"))
    order = np.random.default_rng(SEED).permutation(len(train))
    count = min(HELD_OUT, len(train) // 10)
    kept, learning = train.subset(np.sort(order[:count])), train.subset(np.sort(order[count:]))
    started = time.process_time()
    found = sw.training.finetune(plain, learning, dt=LEARNING_DT, epochs=LEARNING_EPOCHS, seed=SEED)
    seconds = time.process_time() - started
    print(f"fine-tuned on {len(learning):,} training recordings in {seconds:.0f} s of CPU time", flush=True)
    sw.save(found.conversion, work / "finetuned.safetensors", force=True)
    # some of the recordings that are kept were calibrated on, none of them was fine-tuned on
    before, after = (
        float(sw.measure(one, kept, dt=DT, allow_overlap=True).accuracy[-1]) for one in (plain, found.conversion)
    )
    print(f"{len(kept):,} training recordings kept from it: {100 * before:.2f} % before, {100 * after:.2f} % after")
    own = {"seconds": seconds, "history": list(found.history), "kept": {"before": before, "after": after}}
    return {"finetuned": tested(found.conversion, test, "plain spikes, fine-tuned") | own}


def chip(graph: sw.Graph, train: sw.Dataset, test: sw.Dataset) -> None:
    """What a Speck would have to compute in a second."""
    network = sw.convert(graph, train.sample(2000, SEED), "percentile:99,channels", readout="count", correct="gain:10")
    fit = sw.check(network, "speck2f", data=test.sample(100, SEED), dt=DT)
    print(fit)


def tested(network: sw.Conversion, test: sw.Dataset, what: str) -> dict[str, object]:
    """A network on the events of the test recordings, as numbers."""
    measures = sw.measure(network, test, dt=DT)
    (head,) = measures.heads.values()
    print(f"frames, trained network: {100 * head.analog['accuracy']:.2f} % of {len(test):,} test recordings")
    print(f"events, {what}: {100 * measures.accuracy[-1]:.2f} % after {measures.timesteps} steps")
    print(f"{measures.synops_per_second:,.0f} synaptic operations/s, {measures.firing_rate_per_second:.3g} Hz")
    every, span = range(10, measures.timesteps + 1, 10), head.interval(measures.timesteps)
    return {
        "trained": head.analog["accuracy"],
        "events": float(measures.accuracy[-1]),
        "interval": None if span is None else [span.low, span.high],
        "accuracy_at_step": {t: float(measures.accuracy[t - 1]) for t in every},
        "synops_per_second": measures.synops_per_second,
        "firing_rate_per_second": measures.firing_rate_per_second,
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("work", nargs="?", default=str(Path.home() / ".cache/spikewright/events-mnist"))
    parser.add_argument("--samples", nargs=2, type=int, default=(10_000, 2_000), metavar=("TRAIN", "TEST"))
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=STAGES)
    given = parser.parse_args()
    work, started = Path(given.work), time.process_time()
    recordings(work, *given.samples)
    train, test = (sw.load_data(str(work), split=split, binning=BINNING) for split in ("train", "test"))
    print(f"{len(train):,} and {len(test):,} recordings after {time.process_time() - started:.0f} s", flush=True)
    kept, results = work / "trained.safetensors", work / "results.json"
    if not kept.exists():
        sw.save(sw.load(trained(train.frames), shape=(2, 34, 34)), kept)
    graph = sw.load(str(kept))
    print(f"trained after {time.process_time() - started:.0f} s", flush=True)
    told = json.loads(results.read_text()) if results.exists() else {}
    told["recordings"] = [len(train), len(test)]
    if "sweep" in given.stages:
        told |= sweep(graph, train, test, work)
    if "finetune" in given.stages:
        told |= finetune(train, test, work)
    results.write_text(json.dumps(told, indent=1))
    if "chip" in given.stages:
        chip(graph, train, test)


if __name__ == "__main__":
    main()
