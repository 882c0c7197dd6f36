"""The native core without Python, on this machine and, under an emulator, on 64-bit ARM: bit for bit what Python saw.

Random networks run in the event engine, which is compared with the reference engine; what the core was told, and all
that came of it, is written to a file. A program that links the core (native/tests/replay.cpp) does the same again with
every instruction set that it has. ``make venv`` builds it for this machine, ``make neon`` for 64-bit ARM.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from gathering_networks import KINDS, Bottlenecks, many_spikes, residual
from random_chips import random_chip, random_trains
from runs import same
from spikewright.chips.simulation.rules import ChipRules
from spikewright.chips.simulation.timeline import timeline
from spikewright.encoders import Encoder, encoder
from spikewright.encoders.events import EventFrames
from spikewright.encoders.poisson import Poisson
from spikewright.engines.event import is_built
from spikewright.engines.reference import RECORDS, Simulation
from spikewright.graph import Array, Graph
from spiking_networks import spiking_network

if not is_built():
    pytest.skip("the native core was not built", allow_module_level=True)
from replays import ReplayWriter
from spikewright.chips.simulation.native import ChipSimulation
from spikewright.engines.event.simulation import EventSimulation

ROOT = Path(__file__).parents[2]
CONSTANT = encoder("constant")
ENCODERS = (CONSTANT, Poisson(scale=0.5), Poisson(scale=2.0))
RECORDED: tuple[tuple[str, ...], ...] = ((), ("events", "potentials"), ("spikes", "nonzero"))
CHUNKS = (64, 3, 16, 32, 8)
STEPS = (11, 9, 5, 33, 70)


def wanted_of(graph: Graph, x: Array, steps: int, of: Encoder, record: tuple[str, ...], **ways: object) -> None:
    """The event engine and the reference engine agree; what the core did is written down meanwhile."""
    batch = torch.from_numpy(x)
    expected = Simulation(graph).run(batch, steps, of, record)
    same(graph, expected, EventSimulation(graph, threads=2, **ways).run(batch, steps, of, record))  # type: ignore[arg-type]


def write_networks(writer: ReplayWriter) -> None:
    """Every kind of layer, of neuron and of what is recorded, at every length of words."""
    for seed in range(40):
        graph, x = spiking_network(seed, inputs=1 + seed % 3 // 2, memory=seed % 2 == 1)
        record, chunk = RECORDED[seed % 3], CHUNKS[seed % 5]
        writer.case(f"random network {seed}")
        wanted_of(graph, x, STEPS[seed % 5], ENCODERS[seed % 4 % 3], record, chunk=chunk)
    for seed in range(40, 46):
        graph, x = spiking_network(seed, memory=seed % 2 == 1)
        writer.case(f"scattering network {seed}")
        wanted_of(graph, x, 7, CONSTANT, RECORDS, gather=seed % 3 == 0)
    for seed in range(3):
        graph, x = spiking_network(seed)
        writer.case(f"network {seed} of events")
        wanted_of(graph, np.stack([x, x * 0, -x, x > 0], axis=1).astype(np.float32), 7, EventFrames(), ("events",))


def write_many_spikes(writer: ReplayWriter) -> None:
    """Bursts, signed spikes, graded values, channels with a filter each, numbers that trains do not hold."""
    for number, kind in enumerate(KINDS):
        for seed in range(3):
            graph, x = Bottlenecks(seed, kind, 1.0).network()
            writer.case(f"{kind}, bottlenecks {seed}")
            wanted_of(graph, x, (9, 33, 17)[seed], CONSTANT, RECORDED[seed], chunk=CHUNKS[(number + seed) % 5])
        for seed in range(2):
            graph, x = many_spikes(seed, kind)
            writer.case(f"{kind}, many spikes {seed}")
            wanted_of(graph, x, 5, CONSTANT, ("events", "nonzero", "spikes"), chunk=2)


def write_narrow(writer: ReplayWriter) -> None:
    """16-bit integers where these hold every weight, so that sums do not depend on their order."""
    for seed in range(8):
        graph, x = residual(seed, 1 / 64)
        batch = torch.from_numpy(x)
        writer.case(f"16 bits {seed}")
        narrow = EventSimulation(graph, threads=2, chunk=CHUNKS[seed % 5], dtype="int16")
        found, expected = narrow.run(batch, 35, CONSTANT), Simulation(graph).run(batch, 35, CONSTANT)
        np.testing.assert_array_equal(found.counts["n0"].numpy(), expected.counts["n0"].numpy())
    for seed in range(4):
        graph, x = Bottlenecks(seed, "single", 1.0).network()
        writer.case(f"16 bits, bottlenecks {seed}")
        EventSimulation(graph, threads=2, dtype="int16").run(torch.from_numpy(x), 9, CONSTANT, ("events",))


def write_chips(writer: ReplayWriter) -> None:
    """Chips of small and of wide layers; tests/chips/test_chip_native.py compares the same with the reference."""
    for seed in range(24):
        random = np.random.default_rng(seed)
        network = random_chip(random, channels=4 if seed % 4 else 40)
        shapes, names = {s.name: s.shape for s in network.inputs}, [layer.name for layer in network.layers]
        rules = ChipRules(
            ("at", "above")[seed % 2],
            ("core", "neuron")[seed // 2 % 2],
            ("fire", "add")[seed % 3 % 2],
            (None, 7)[seed % 2],
        )
        samples = [random_trains(random, network, 60, 12) for _ in range(2)]
        lines = [timeline(trains, shapes, [3, 8], rules.permute is not None) for trains in samples]
        writer.case(f"chip {seed}")
        chip = ChipSimulation(network, rules, threads=2)
        chip.run(lines, first=5, record=names, potentials=names, window=4, windows=3)


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> ReplayWriter:
    writer = ReplayWriter(tmp_path_factory.mktemp("replays") / "cases")
    with writer.in_use():
        write_networks(writer)
        write_many_spikes(writer)
        write_narrow(writer)
        write_chips(writer)
    assert writer.runs == 40 + 6 + 3 + 8 * 5 + 8 + 4 + 24
    return writer


def program_for(machine: str) -> list[str]:
    """How the program is started; the test is skipped where it cannot be."""
    tag = f"cp{sys.version_info.major}{sys.version_info.minor}-*"
    found = [*(ROOT / "build").glob(f"{'aarch64' if machine == 'aarch64' else tag}/replay")]
    if not found:
        made_by = {"aarch64": "neon", "here": "venv"}[machine]
        pytest.skip(f"the program was not built: make {made_by} builds it where there is a compiler")
    newest = max(path.stat().st_mtime for path in (ROOT / "native").rglob("*.[ch]pp"))
    if found[0].stat().st_mtime < newest:
        pytest.skip(f"{found[0]} is older than native/")
    if machine == "here":
        return [str(found[0])]
    emulator = shutil.which("qemu-aarch64")
    if emulator is None:
        pytest.skip("no qemu-aarch64 (Debian's qemu-user) to run programs for 64-bit ARM")
    return [emulator, str(found[0])]


# Under an emulator, what is there for other machines would take minutes.
@pytest.mark.parametrize(("machine", "sets"), [("here", ()), ("aarch64", ("neon", "portable"))])
def test_every_instruction_set_replays_every_run(machine: str, sets: tuple[str, ...], cases: ReplayWriter) -> None:
    command = [*program_for(machine), str(cases.path), *sets]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = dict(line.split(": ") for line in done.stdout.splitlines())
    assert set(found) >= set(sets or ("portable", "wide"))
    assert set(found.values()) == {f"{cases.runs} runs agree"}


@pytest.mark.parametrize("machine", ["here", "aarch64"])
def test_a_wrong_value_is_noticed(machine: str, cases: ReplayWriter, tmp_path: Path) -> None:
    """The last value of the file is the potential of a neuron of a chip."""
    program = program_for(machine)
    told = bytearray(cases.path.read_bytes())
    told[-2] ^= 1
    wrong = tmp_path / "wrong"
    wrong.write_bytes(told)
    done = subprocess.run([*program, str(wrong), "portable"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "potentials of a chip of layer" in done.stderr
