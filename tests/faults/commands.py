"""The commands that write, on a small network, and what each leaves: what faults are tried on."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import spikewright as sw
from networks import plain
from spikewright.calibration import Max

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Command:
    """A command with two sets of arguments that give two results at the same places.

    Attributes:
        name: of the case.
        outputs: what it writes, in the folder it runs in: the first is the one with a log beside it, if any has.
        arguments: what is typed, for the one result and for the other: ``NET`` and ``RATES`` stand for one of two.
    """

    name: str
    outputs: tuple[str, ...]
    arguments: tuple[str, ...]

    def typed(self, which: int, force: bool = True) -> list[str]:
        words = [word.replace("?", str(which)) for word in self.arguments]
        return [*words, *(["--force"] if force else [])]


def synapses(suffix: str, *more: str) -> Command:
    path = f"graph.{suffix}"
    logs = (f"{path}.json", f"{path}.txt")
    typed = ("synapses", "net?.safetensors", "--rates", "rates?.npz", "-o", path, *more)
    return Command(f"synapses .{suffix}{' '.join(('', *more[:1]))}", (path, *logs, *more[1:]), typed)


CONVERT = ("convert", "trained?.safetensors", "--data", "data?.npz", "-o", "spiking.safetensors")
REPORT = ("--test", "data?.npz", "--allow-overlap", "--report", "report.html", "-T", "4")
ON_REFERENCE = ("-T", "4", "--engine", "reference")
SIMULATE = ("simulate", "net?.safetensors", "--data", "data?.npz", "--allow-overlap", *ON_REFERENCE)
COMMANDS = (
    Command("convert", ("spiking.safetensors",), CONVERT),
    Command("convert --report", ("spiking.safetensors", "report.html"), (*CONVERT, *REPORT)),
    Command(
        "convert --statistics",
        ("spiking.safetensors", "found.safetensors"),
        (*CONVERT, "--statistics", "found.safetensors"),
    ),
    Command("simulate -o", ("run.npz",), (*SIMULATE, "-o", "run.npz")),
    Command("simulate --events", ("events",), (*SIMULATE, "--events", "events")),
    Command("export", ("net.nir",), ("export", "net?.safetensors", "-o", "net.nir")),
    Command("inspect --picture", ("net.svg",), ("inspect", "net?.safetensors", "--picture", "net.svg")),
    synapses("parquet"),
    synapses("csv"),
    synapses("scipy"),
    synapses("graphml"),
    synapses("edges"),
    synapses("pickle"),
    synapses("metis"),
    synapses("hgr"),
    synapses("hysmap"),
    synapses("spinemap"),
    synapses("sonata"),
    synapses("csv", "--report", "page.html"),
)


def make_world(folder: Path) -> None:
    """Two trained networks, their conversions, data and rates for each: the inputs of every command."""
    folder.mkdir()
    for which in (0, 1):
        builder = plain(which + 1)
        graph, x = builder.graph(), builder.samples(8)
        sw.save(graph, folder / f"trained{which}.safetensors")
        found = sw.convert(graph, x, Max())
        sw.save(found, folder / f"net{which}.safetensors")
        np.savez(folder / f"data{which}.npz", x=x, y=np.arange(8) % 3)
        rates = sw.simulated_rates(found, x, 4)
        np.savez(folder / f"rates{which}.npz", timestep=np.arange(1, 5), **rates.arrays())


@dataclass
class Outcome:
    """What came of a command: its status, its words, how many operations on names, and how long it took."""

    status: int
    out: str
    err: str
    operations: int
    seconds: float


class Zygote:
    """The process that forks for every command."""

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch
        paths = [str(HERE), str(HERE.parent), str(Path(sw.__file__).parents[1])]
        code = f"import sys; sys.path[:0] = {paths!r}; import zygote; zygote.main()"
        self.process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def run(self, folder: Path, arguments: Sequence[str], **fault: Any) -> Outcome:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        said = self.scratch / "said"
        said.with_suffix(".count").unlink(missing_ok=True)
        request = {"folder": str(folder), "arguments": list(arguments), "fault": fault, "said": str(said)}
        started = time.monotonic()
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        status = json.loads(self.process.stdout.readline())
        seconds = time.monotonic() - started
        texts = [said.with_suffix(ending).read_text(encoding="utf-8") for ending in (".out", ".err")]
        count = said.with_suffix(".count")
        return Outcome(status, *texts, int(count.read_text()) if count.exists() else -1, seconds)

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


def content(path: Path) -> str | None:
    """What stands at a place; None for nothing. What differs in what does not count is the same."""
    if path.is_dir():
        return str({file.name: content(file) for file in sorted(path.iterdir())})
    if not path.exists():
        return None
    if path.suffix == ".nir":
        return sw.load(path).fingerprint
    raw = path.read_bytes()
    if path.suffix == ".html":
        raw = raw.replace(b" --force", b"")  # it says how it was made
    return hashlib.sha256(raw).hexdigest()


def hidden(folder: Path) -> list[str]:
    return sorted(one.name for one in folder.iterdir() if one.name.startswith("."))


@dataclass(frozen=True)
class Bench:
    """Where faults are tried: the inputs, and what every command makes of them when nothing goes wrong."""

    world: Path
    zygote: Zygote
    scratch: Path
    good: dict[tuple[str, int], Path] = field(default_factory=dict)

    @classmethod
    def made(cls, folder: Path) -> Bench:
        make_world(folder / "world")
        return cls(folder / "world", Zygote(folder), folder)

    def result(self, command: Command, which: int) -> Path:
        """A folder with what a command writes."""
        key = command.name, which
        if key not in self.good:
            folder = self.scratch / f"good{len(self.good)}"
            self.link_world(folder)
            done = self.zygote.run(folder, command.typed(which, force=False))
            assert done.status == 0, done.err
            assert not hidden(folder)
            assert {one.name for one in folder.iterdir()} == self.inputs | set(command.outputs)
            self.good[key] = folder
        return self.good[key]

    def contents(self, command: Command, which: int) -> dict[str, str | None]:
        folder = self.result(command, which)
        return {name: content(folder / name) for name in command.outputs}

    @property
    def inputs(self) -> set[str]:
        return {one.name for one in self.world.iterdir()}

    def link_world(self, folder: Path) -> None:
        """The inputs, in the folder where a command runs."""
        folder.mkdir(exist_ok=True)
        for file in self.world.iterdir():
            (folder / file.name).symlink_to(file)

    @contextmanager
    def folder(self, command: Command, first: int | None, at: Path | None = None) -> Iterator[Path]:
        """A new folder with the inputs, and the result of a command where it goes."""
        folder = (at or self.scratch) / "here"
        try:
            self.link_world(folder)
            for name in command.outputs if first is not None else ():
                stands = self.result(command, first or 0) / name
                shutil.copytree(stands, folder / name) if stands.is_dir() else shutil.copyfile(stands, folder / name)
            yield folder
        finally:
            shutil.rmtree(folder)


def assert_nothing_lost(bench: Bench, command: Command, folder: Path, first: int | None) -> list[str]:
    """Each result is the one that stood there or the new one, whole; a log is never that of another graph.

    Returns:
        the outputs that are new.
    """
    old = {} if first is None else bench.contents(command, first)
    new = bench.contents(command, 1)
    found = {name: content(folder / name) for name in command.outputs}
    is_new = {name for name, value in found.items() if value == new[name] and value != old.get(name)}
    logs = {name for name in command.outputs if name.removesuffix(".json").removesuffix(".txt") in command.outputs[:1]}
    for name, value in found.items():
        if name in logs - set(command.outputs[:1]):
            graph = command.outputs[0] in is_new
            assert value in (None, new[name] if graph else old.get(name)), f"{name} is of another graph"
        else:
            assert value in (old.get(name), new[name]), f"{name} is neither the old nor the new one"
    assert {one.name for one in folder.iterdir() if not one.name.startswith(".")} <= bench.inputs | set(command.outputs)
    return sorted(is_new)


def assert_next_run_is_right(bench: Bench, command: Command, folder: Path, which: int) -> None:
    """The same command, or the one with other inputs, after a fault: right to the byte, and nothing is left over."""
    done = bench.zygote.run(folder, command.typed(which))
    assert done.status == 0, done.err
    assert {name: content(folder / name) for name in command.outputs} == bench.contents(command, which)
    assert not hidden(folder)


def survive(bench: Bench, command: Command, first: int | None, after: int, **fault: Any) -> Outcome:
    """Run a command with a fault where a good result stands (or none); then the same or another without a fault."""
    with bench.folder(command, first) as folder:
        done = bench.zygote.run(folder, command.typed(1), **fault)
        assert_nothing_lost(bench, command, folder, first)
        assert "Traceback" not in done.err, done.err
        assert_next_run_is_right(bench, command, folder, after)
    return done
