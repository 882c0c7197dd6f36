"""Two versions of Spikewright side by side: the event engine's speed, and how long it takes to set up.

    python benchmarks/versions.py BEFORE [AFTER] [--rounds 7] [--seconds 240]

BEFORE and AFTER are checkouts (folders) or what git calls a commit; AFTER is this checkout unless given. A checkout
whose native engine is built is used as it is; anything else is installed by pip into a folder that goes afterwards.

Each version runs in processes of its own, one that may use one core and one that may use two, and they take turns:
one measurement of one version, then the same of the other. Networks are untrained, with weights from a seed, thresholds
at the 99.9th percentile, random images. What is timed is what users call, ``simulate(..., engine="event")``: with one
sample for one timestep, which is the set-up, and with a batch for T timesteps.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RESULT = Path(__file__).parent / "results" / "versions.md"
SAMPLES, TIMESTEPS = 8, 64
NETWORKS = ("cnn", "vgg", "resnet", "mobilenet", "unet", "decoder")
"""``decoder`` is the first layer of a U-Net's decoder at full size, ``unet`` a small whole one."""


PAGE = f"""# Two versions of the event engine

{{before}} (before) and {{after}} (after), in turns, each in processes of its own, by `benchmarks/versions.py`.
{{machine}}; load of the machine {{loads}}.

Medians of up to {{rounds}} rounds. The set-up is `simulate` with one sample for one timestep; the run is with {SAMPLES}
samples for {TIMESTEPS} timesteps, its time that of one sample. Ratios are medians of the rounds' ratios, after over
before, with their quartiles: below 1 the later version is faster. The second ones are of processor time, which other
work on the machine disturbs less.

| network | cores | set-up, ms | after | ratio | processor | run, ms | after | ratio | processor | same answers |
|---|---|---|---|---|---|---|---|---|---|---|
{{rows}}
"""


def network(name: str) -> tuple[Any, tuple[int, ...]]:
    """A torch module by its name, and the shape of its samples."""
    from torch import cat, manual_seed, nn

    def conv(inputs: int, outputs: int, stride: int = 1, groups: int = 1, kernel: int = 3) -> nn.Sequential:
        layer = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups)
        return nn.Sequential(layer, nn.BatchNorm2d(outputs), nn.ReLU())

    class Residual(nn.Module):
        def __init__(self, inputs: int, outputs: int, stride: int) -> None:
            super().__init__()
            self.body = nn.Sequential(conv(inputs, outputs, stride), nn.Conv2d(outputs, outputs, 3, 1, 1))
            self.shortcut = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1, stride)
            self.relu = nn.ReLU()

        def forward(self, x: Any) -> Any:
            return self.relu(self.body(x) + self.shortcut(x))

    class UNet(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.down, self.bottom, self.pool = conv(1, 8), conv(8, 16), nn.MaxPool2d(2)
            self.up, self.last, self.head = nn.ConvTranspose2d(16, 8, 2, 2), conv(16, 8), nn.Conv2d(8, 2, 1)

        def forward(self, x: Any) -> Any:
            fine = self.down(x)
            coarse = self.up(self.bottom(self.pool(fine))).relu()
            return self.head(self.last(cat([fine, coarse], 1)))

    manual_seed(0)
    if name == "cnn":
        body = [conv(1, 16), nn.AvgPool2d(2), conv(16, 32), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(32 * 49, 10)]
        return nn.Sequential(*body).eval(), (1, 28, 28)
    if name == "vgg":
        body = [conv(3, 32), conv(32, 32), nn.MaxPool2d(2), conv(32, 64), conv(64, 64), nn.MaxPool2d(2), conv(64, 128)]
        return nn.Sequential(*body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, 10)).eval(), (3, 32, 32)
    if name == "resnet":
        body = [conv(3, 16), Residual(16, 16, 1), Residual(16, 32, 2), Residual(32, 32, 1), Residual(32, 64, 2)]
        return nn.Sequential(*body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)).eval(), (3, 32, 32)
    if name == "mobilenet":
        body = [conv(3, 16, 2)]
        for inputs, outputs, stride in ((16, 32, 1), (32, 64, 2), (64, 64, 1)):
            body += [conv(inputs, inputs, stride, groups=inputs), conv(inputs, outputs, kernel=1)]
        return nn.Sequential(*body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)).eval(), (3, 32, 32)
    if name == "unet":
        return UNet().eval(), (1, 28, 28)
    body = [conv(4, 64), nn.ConvTranspose2d(64, 32, 2, 2), nn.ReLU(), nn.Conv2d(32, 2, 1)]
    return nn.Sequential(*body).eval(), (4, 28, 28)


def spiking(module: Any, images: Any) -> Any:
    """The spiking network of a module, in the words of whichever version this is."""
    import spikewright as sw

    graph = sw.load(module, shape=images.shape[1:])
    text = "percentile:99.9"
    try:
        method = sw.threshold_method(text)
        return sw.convert(graph, sw.calibrate(sw.prepare(graph)[0], images, [method]).scales(method))
    except (AttributeError, TypeError):  # names of steps changed; later versions do it at once
        return sw.convert(graph, images, text)


def work(cores: int) -> None:
    """Answer measurements, one a line: the name of a network, samples and timesteps."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    import numpy as np
    import torch

    import spikewright as sw

    warnings.simplefilter("ignore")
    torch.set_num_threads(1)  # what waits for a second core would disturb the engine's threads
    ready: dict[str, tuple[Any, Any]] = {}
    for line in sys.stdin:
        name, samples, timesteps = line.split()
        try:
            if name not in ready:
                module, shape = network(name)
                images = np.random.default_rng(0).random((64, *shape), dtype=np.float32)
                ready[name] = spiking(module, images), images
            made, images = ready[name]
            started = time.perf_counter(), time.process_time()
            run = sw.simulate(
                made, images[: int(samples)], timesteps=int(timesteps), engine="event", batch_size=int(samples)
            )
            seconds, processor = time.perf_counter() - started[0], time.process_time() - started[1]
            outputs = run.outputs if isinstance(run.outputs, dict) else {"": run.outputs}
            digest = hashlib.sha256(b"".join(np.ascontiguousarray(y).tobytes() for y in outputs.values())).hexdigest()
            print(json.dumps({"seconds": seconds, "processor": processor, "answers": digest[:12]}), flush=True)
        except sw.SpikewrightError as error:
            print(json.dumps({"refused": str(error)}), flush=True)


class Worker:
    """A process that runs one version on some cores.

    Args:
        package: the folder that ``spikewright`` is imported from.
        cores: that it may use.
    """

    def __init__(self, package: Path, cores: int) -> None:
        environment = {**os.environ, "PYTHONPATH": str(package), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, __file__, "--work", str(cores)]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment, cwd=package)

    def measure(self, name: str, samples: int, timesteps: int) -> dict[str, Any]:
        """Seconds and a digest of the answers, or why the network is refused."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(f"{name} {samples} {timesteps}\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{name}: the process of a version ended; its error stands above")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait()


@dataclass(frozen=True)
class Version:
    """A version that can be imported.

    Attributes:
        name: of its commit.
        package: the folder that ``spikewright`` is imported from.
    """

    name: str
    package: Path


@contextlib.contextmanager
def version(text: str) -> Iterator[Version]:
    """A folder or commit as something to import; what was made for it goes when the block ends."""

    def git(*words: str, folder: Path = ROOT) -> str:
        return subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()

    with tempfile.TemporaryDirectory(prefix="spikewright-version-") as made:
        folder = Path(text).resolve()
        if not folder.is_dir():
            commit = git("rev-parse", "--verify", f"{text}^{{commit}}")
            folder = Path(made) / "checkout"
            git("clone", "--quiet", "--shared", "--no-checkout", str(ROOT), str(folder))
            git("checkout", "--quiet", "--detach", commit, folder=folder)
        changed = " with changes" if git("status", "--porcelain", "--untracked-files=no", folder=folder) else ""
        name = git("rev-parse", "--short", "HEAD", folder=folder) + changed
        package = folder / "src"
        if not any((package / "spikewright/engines/event").glob("_native*")):
            package = Path(made) / "installed"
            print(f"building {name}", flush=True)
            command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(package)]
            subprocess.run([*command, str(folder)], check=True)
        yield Version(name, package)


def compared(name: str, pair: tuple[Worker, Worker], rounds: int, until: float) -> list[str]:
    """Cells of the table for one network: set-up and run, before and after, and whether answers are the same."""
    firsts = [worker.measure(name, SAMPLES, TIMESTEPS) for worker in pair]
    if any("refused" in first for first in firsts):
        runs = [[worker.measure(name, 1, 1) for worker in pair] for _ in range(2)][-1]
        cells = ["refused" if "refused" in run else f"{1000 * run['seconds']:.1f}" for run in runs]
        speed = ["refused" if "refused" in run else f"{1000 * run['seconds'] / SAMPLES:.2f}" for run in firsts]
        return [*cells, "", "", *speed, "", "", ""]
    cells = []
    for samples, timesteps, digits in ((1, 1, 1), (SAMPLES, TIMESTEPS, 2)):
        taken: list[tuple[dict[str, Any], dict[str, Any]]] = []
        for round_ in range(rounds):
            if round_ > 2 and time.monotonic() > until:
                break
            first = round_ % 2
            one, other = (pair[side].measure(name, samples, timesteps) for side in (first, 1 - first))
            taken.append((other, one) if first else (one, other))
        for side in (0, 1):
            cells.append(f"{1000 * statistics.median(both[side]['seconds'] for both in taken) / samples:.{digits}f}")
        for clock in ("seconds", "processor"):
            ratios = sorted(after[clock] / before[clock] for before, after in taken)
            quarter = len(ratios) // 4
            cells.append(f"{statistics.median(ratios):.2f} ({ratios[quarter]:.2f} to {ratios[-1 - quarter]:.2f})")
    return [*cells, "yes" if firsts[0]["answers"] == firsts[1]["answers"] else "no"]


def machine() -> str:
    """The processor, and the instruction set that the engine chooses on it."""
    from spikewright.engines.event import _native

    model = platform.processor() or platform.machine()
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return f"{model}, {os.cpu_count()} cores, {_native.instruction_sets()[0]}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("before", nargs="?", default="HEAD")
    parser.add_argument("after", nargs="?", default=str(ROOT))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=240, help="after which three rounds have to do")
    parser.add_argument("--networks", default=",".join(NETWORKS))
    parser.add_argument("--work", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.work:
        return work(given.work)
    load = os.getloadavg()
    rows = []
    with version(given.before) as before, version(given.after) as after:
        until = time.monotonic() + given.seconds
        for cores in (1, 2):
            pair = Worker(before.package, cores), Worker(after.package, cores)
            for name in given.networks.split(","):
                cells = compared(name, pair, given.rounds, until)
                rows.append("| " + " | ".join([name, str(cores), *cells]) + " |")
                print(rows[-1], flush=True)
            for worker in pair:
                worker.close()
    loads = f"{load[0]:.1f} before and {os.getloadavg()[0]:.1f} after"
    text = PAGE.format(
        before=before.name, after=after.name, machine=machine(), loads=loads, rounds=given.rounds, rows="\n".join(rows)
    )
    RESULT.write_text(text)
    return None


if __name__ == "__main__":
    main()
