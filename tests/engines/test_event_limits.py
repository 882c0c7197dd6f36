"""The event engine stops when it is told to, and refuses what would not fit in memory."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import spikewright as sw
from spikewright.encoders import encoder as named_encoder
from spikewright.engines import Record
from spikewright.engines.event import is_built
from spikewright.engines.event import memory as memory_of_runs
from spikewright.engines.event.memory import sample_bytes
from spikewright.errors import SettingsError
from spiking_networks import spiking_network

if not is_built():
    pytest.skip("the native core was not built", allow_module_level=True)
from spikewright.engines.event.simulation import EventSimulation, cores

LONG = """
import numpy as np, spikewright as sw, torch
from spikewright.graph import Graph
from spikewright.nodes import IF, Conv, Input, Linear, Output

def random(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32) / 8

def conv(name, read, inputs, outputs, kernel):
    weight, around = random(outputs, inputs, kernel, kernel), ((kernel // 2, kernel // 2),) * 2
    more = {"stride": (1, 1), "padding": around, "dilation": (1, 1), "groups": 1}
    return Conv(name=name, inputs=(read,), weight=weight, bias=random(outputs), **more)

def neurons(name, read, most=1):
    return IF(name=name, inputs=(read,), threshold=1.0, v_init=0.5, max_spikes=most)

def constant_currents():
    return [Input(name="x", shape=(16, 64, 64)), conv("c", "x", 16, 16, 15), neurons("n", "c")], 1000, 2

def long_steps():
    nodes = [Input(name="x", shape=(64, 128, 128)), neurons("many", "x", None), conv("c", "many", 64, 64, 15)]
    return [*nodes, neurons("n", "c")], 1, 16

def many_samples():
    nodes, weight = [Input(name="x", shape=(2000,))], random(2000, 2000)
    for k in range(4):
        nodes.append(Linear(name=f"w{k}", inputs=(nodes[-1].name,), weight=weight, bias=weight[0]))
        nodes.append(neurons(f"n{k}", f"w{k}"))
    return nodes, 400, 2000

for make in (constant_currents, long_steps, many_samples):
    nodes, samples, timesteps = make()
    graph = Graph([*nodes, Output(name="y", inputs=(nodes[-1].name,))])
    x = np.ones((samples, *nodes[0].shape), np.float32)
    print(make.__name__, flush=True)
    try:
        sw.simulate(graph, x, timesteps, engine="event", batch_size=samples)
        print("finished", flush=True)
    except KeyboardInterrupt:
        print("stopped", flush=True)
"""
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
LIMIT = 2.0 if "ASAN_OPTIONS" in os.environ else 1.0


def worked(pid: int) -> float:
    """Seconds that the cores have worked for a process: on Linux; elsewhere those that passed.

    Where others keep the cores busy, the seconds that pass say more about them.
    """
    if sys.platform == "linux":
        return time.clock_gettime((~pid << 3) | 2)  # the processor clock of a process, see clock_getcpuclockid(3)
    return time.monotonic() * CORES


@pytest.mark.skipif(sys.platform == "win32", reason="signals work otherwise there")
def test_interrupted_within_a_second() -> None:
    """Each run would take tens of seconds of all cores; they stop in torch, within a step, and between steps."""
    took = {}
    with subprocess.Popen([sys.executable, "-c", LONG], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        timer = threading.Timer(60, child.kill)
        timer.start()
        while running := child.stdout.readline().strip():
            time.sleep(1)
            sent = worked(child.pid)
            child.send_signal(signal.SIGINT)
            assert child.stdout.readline() == "stopped\n", running
            took[running] = (worked(child.pid) - sent) / CORES
        timer.cancel()
    assert list(took) == ["constant_currents", "long_steps", "many_samples"]
    assert max(took.values()) < LIMIT, took


def test_memory_is_foreseen(monkeypatch: pytest.MonkeyPatch) -> None:
    graph, x = spiking_network(3)
    monkeypatch.setattr(memory_of_runs, "available", lambda: 40 * 2**20)
    with pytest.raises(
        SettingsError, match=r"a batch of 4096 over 64 timesteps needs about .* a batch size of \d+ fits"
    ):
        sw.simulate(graph, np.resize(x, (9000, *x.shape[1:])), 64, batch_size=9000, record=("spikes",), engine="event")
    prepared = EventSimulation(graph).prepare(named_encoder("constant"))
    needs = [
        sample_bytes(graph, prepared.compiled, record.fitted(graph, 64), prepared.sampled)
        for record in (Record(), Record("events"), Record("spikes", steps="last:32"), Record("spikes"))
    ]
    assert needs[0] < needs[1] < needs[3]
    assert needs[0] < needs[2] < needs[3]
    monkeypatch.setattr(memory_of_runs, "available", lambda: 1000)
    with pytest.raises(SettingsError, match="record less, or run fewer timesteps or threads"):
        sw.simulate(graph, x, 64, engine="event")


MEASURED = """
import sys
from pathlib import Path
import numpy as np, torch
from spikewright.encoders import encoder
from spikewright.engines.event import memory, simulation
from spikewright.graph import Graph
from spikewright.nodes import IF, Conv, Flatten, Input, Linear, Output, SpikeMaxPool

random = np.random.default_rng(0)
nodes = []

def add(kind, **settings):
    nodes.append(kind(name=f"n{len(nodes)}", inputs=(nodes[-1].name,) if nodes else (), **settings))

def weight(*shape):
    return {"weight": random.normal(size=shape) / np.prod(shape[1:]) ** 0.5, "bias": np.full(shape[0], 0.05)}

def conv(inputs, outputs):
    around = {"stride": (1, 1), "padding": ((1, 1), (1, 1)), "dilation": (1, 1), "groups": 1}
    add(Conv, **weight(outputs, inputs, 3, 3), **around)
    add(IF, threshold=1.0, v_init=0.5)

def pool():
    add(SpikeMaxPool, kernel=(2, 2), stride=(2, 2), padding=((0, 0), (0, 0)), dilation=(1, 1))

def pictures():
    add(Input, shape=(3, 32, 32))
    for inputs, outputs in ((3, 64), (64, 64), (64, 128)):
        conv(inputs, outputs)
        pool()
    add(Flatten)
    add(Linear, **weight(10, 2048))

def rows():
    add(Input, shape=(784,))
    add(Linear, **weight(500, 784))
    add(IF, threshold=1.0, v_init=0.5)
    add(Linear, **weight(100, 500))

make, samples, timesteps, record, threads, name = eval(sys.argv[1])
make()
graph = Graph([*nodes, Output(name="y", inputs=(nodes[-1].name,))])
x, chosen = torch.from_numpy(random.random((samples, *nodes[0].shape), np.float32)), encoder(name)
engine = simulation.EventSimulation(graph, threads=threads)
engine.prepare(chosen, record)
estimates = []
simulation.check_memory = lambda fixed, each, batch, timesteps: estimates.append(fixed + batch * each)

def kilobytes(what):
    return next(int(line.split()[1]) for line in Path("/proc/self/status").read_text().splitlines() if what in line)

try:
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
except OSError:
    sys.exit(77)
before = kilobytes("VmRSS")
engine.run(x, timesteps, chosen, record)
print(estimates[0] / 1024 / (kilobytes("VmHWM") - before))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="peaks of memory are read from /proc")
@pytest.mark.skipif("ASAN_OPTIONS" in os.environ, reason="sanitizers keep memory of their own")
@pytest.mark.parametrize(
    "case",
    [
        "(pictures, 16, 16, (), 16, 'constant')",
        "(pictures, 16, 32, ('spikes',), 1, 'constant')",
        "(pictures, 64, 8, ('nonzero',), 2, 'constant')",
        "(rows, 100, 500, (), 2, 'poisson')",
    ],
)
def test_the_estimate_of_memory_is_near_what_is_used(case: str) -> None:
    child = subprocess.run([sys.executable, "-c", MEASURED, case], capture_output=True, text=True, check=False)
    if child.returncode == 77:
        pytest.skip("the peak of memory cannot be set back here")
    assert child.returncode == 0, child.stderr
    assert 0.6 < float(child.stdout) < 1.7


def test_the_environment_says_how_many_threads_there_are_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2}, raising=False)
    for said, expected in (("", 3), ("2", 2), ("7", 3)):
        monkeypatch.setenv("SPIKEWRIGHT_THREADS", said)
        assert cores() == expected
    for wrong in ("0", "two", "-1"):
        monkeypatch.setenv("SPIKEWRIGHT_THREADS", wrong)
        with pytest.raises(SettingsError, match="SPIKEWRIGHT_THREADS takes a number of threads from 1 up"):
            cores()
