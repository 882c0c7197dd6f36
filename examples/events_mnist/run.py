"""From an event camera to spikes: recordings of MNIST, a network trained on frames of them, run on their events.

    SPIKEWRIGHT_DATA=FOLDER python examples/events_mnist/run.py [WORK FOLDER] [--samples TRAIN TEST]

It simulates a camera that looks at 10,000 training pictures and 2,000 test pictures of MNIST (``camera.py``), trains a
small CNN on one frame a recording, converts it, sweeps the gain of the first layer on training recordings that were
held out, measures the recommended network on the events of the test recordings, and asks what a Speck would have to
compute in a second. Without SPIKEWRIGHT_DATA the pictures are fetched once, and their checksums looked at.
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

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[2] / "benchmarks")]

from camera import Camera, write  # noqa: E402

from _data import folder  # noqa: E402

BINNING = "frames=1,sensor=34x34,scale=0.25"
GRIDS = {
    "signed": ["gain=1..10", "spikes=multi", "neurons=signed"],
    "plain": ["gain=1..10", "spikes=multi"],
}
RULE = "fewest synops within 1 points"
DT, EPOCHS, BATCH, SEED, AT_ONCE = 1e-3, 6, 64, 0, 100


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


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("work", nargs="?", default=str(Path.home() / ".cache/spikewright/events-mnist"))
    parser.add_argument("--samples", nargs=2, type=int, default=(10_000, 2_000), metavar=("TRAIN", "TEST"))
    given = parser.parse_args()
    work, started = Path(given.work), time.process_time()
    recordings(work, *given.samples)
    train, test = (sw.load_data(str(work), split=split, binning=BINNING) for split in ("train", "test"))
    print(f"{len(train):,} and {len(test):,} recordings after {time.process_time() - started:.0f} s", flush=True)
    kept = work / "trained.safetensors"
    if not kept.exists():
        sw.save(sw.load(trained(train.frames), shape=(2, 34, 34)), kept)
    graph = sw.load(str(kept))
    print(f"trained after {time.process_time() - started:.0f} s", flush=True)
    some = train.sample(2000, SEED)
    told: dict[str, object] = {"recordings": [len(train), len(test)]}
    for neurons, grid in GRIDS.items():
        tuning = sw.tune(graph, some, grid, rules=RULE, dt=DT)
        print(tuning, flush=True)
        sw.tuning_report(work / f"gain_{neurons}.html", tuning, title=f"Gain on events, {neurons} spikes", force=True)
        measures = sw.measure(tuning.conversion, test, dt=DT)
        (head,) = measures.heads.values()
        print(f"frames, trained network: {100 * head.analog['accuracy']:.2f} % of {len(test):,} test recordings")
        print(f"events, {neurons} spikes: {100 * measures.accuracy[-1]:.2f} % after {measures.timesteps} steps")
        print(f"{measures.synops_per_second:,.0f} synaptic operations/s, {measures.firing_rate_per_second:.3g} Hz")
        every = range(10, measures.timesteps + 1, 10)
        told[neurons] = {
            "trained": head.analog["accuracy"],
            "events": float(measures.accuracy[-1]),
            "accuracy_at_step": {t: float(measures.accuracy[t - 1]) for t in every},
            "synops_per_second": measures.synops_per_second,
            "tuning": tuning.summary(),
        }
        (work / "results.json").write_text(json.dumps(told, indent=1))
        sw.save(tuning.conversion, work / f"{neurons}.safetensors", force=True)
    chip = sw.convert(graph, some, "percentile:99,channels", readout="count", correct="gain:10")
    fit = sw.check(chip, "speck2f", data=test.sample(100, SEED), dt=DT)
    print(fit, *(fit.bandwidth.layers if fit.bandwidth else ()), sep="\n")


if __name__ == "__main__":
    main()
