"""The cuda engine against the reference engine: the same spikes, the same answers, to the last bit.

Everything but the kernels is the same on any device: here it runs on a CPU, and on a GPU where there is one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from weakref import finalize

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import spikewright as sw
from gathering_networks import residual
from networks import ALL
from runs import same, sender
from spikewright.cli.app import run
from spikewright.encoders import encoder as named_encoder
from spikewright.encoders.encoder import Encoder
from spikewright.encoders.events import EventFrames
from spikewright.engines import Record, RunSettings, round_weights
from spikewright.engines.choose import choose_engine
from spikewright.engines.cuda.memory import chunk_sizes
from spikewright.engines.cuda.scan import Stepwise
from spikewright.engines.cuda.simulation import CudaSimulation, resting_nodes
from spikewright.engines.reference import RECORDS, Simulation
from spikewright.errors import SettingsError
from spikewright.graph import Graph
from spikewright.nodes import IF, Add, Concat, Conv, GlobalAvgPool, Input, Linear, Output, Softmax, SpikeMaxPool
from spiking_networks import spiking_network

torch = pytest.importorskip("torch")
from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402

STEPS = 11
CONSTANT = named_encoder("constant")


@pytest.fixture(scope="module", params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request: pytest.FixtureRequest) -> Iterator[str]:
    """On a GPU without cuDNN: it may choose Winograd's algorithm, whose sums are exact on no grid."""
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    with nullcontext() if request.param == "cpu" else torch.backends.cudnn.flags(enabled=False):
        yield request.param


def budget_for(graph: Graph, cut: str, encoder: str = "constant") -> int:
    """Bytes for a batch as a whole, for all samples a few steps at a time, or for single samples and steps."""
    if cut == "steps":
        resting = resting_nodes(graph) if encoder == "constant" else frozenset()
        return next(b for b in (2**k for k in range(40)) if chunk_sizes(graph, resting, 3, STEPS, b)[1] >= 3)
    return {"whole": 2**30, "single": 1}[cut]


@settings(max_examples=100, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    encoder=st.sampled_from(["constant", "poisson"]),
    record=st.sampled_from([(), ("events",), ("spikes", "nonzero"), RECORDS]),
    cut=st.sampled_from(["whole", "steps", "single"]),
    scale=st.sampled_from([0.5, 1.0, 2.0, 4.0]),
    inputs=st.sampled_from([1, 1, 2, 3]),
    first=st.sampled_from([0, 5]),
    memory=st.booleans(),
)
def test_spike_for_spike(
    device: str,
    seed: int,
    encoder: str,
    record: tuple[str, ...],
    cut: str,
    scale: float,
    inputs: int,
    first: int,
    memory: bool,
) -> None:
    graph, x = spiking_network(seed, inputs=inputs, memory=memory)
    batch, chosen = torch.from_numpy(x), sender(encoder, scale)
    expected = Simulation(graph).run(batch, STEPS, chosen, record, first)
    simulation = CudaSimulation(graph, device, budget_for(graph, cut, encoder))
    same(graph, expected, simulation.run(batch, STEPS, chosen, record, first))


def test_recorded_events_and_what_comes_after_them(device: str) -> None:
    for seed in range(10):
        graph, x = spiking_network(seed, inputs=1 + seed % 3)
        frames = torch.from_numpy(np.stack([x, x * 0, -x, x > 0], axis=1).astype(np.float32))
        expected = Simulation(graph).run(frames, 7, EventFrames(), RECORDS)
        found = CudaSimulation(graph, device, budget_for(graph, "steps", "events")).run(
            frames, 7, EventFrames(), RECORDS
        )
        same(graph, expected, found)


@pytest.mark.parametrize("policy", ["count_max", "avg_max", "exp_max", "fir_max"])
@pytest.mark.parametrize("budget", [2**30, 1])
def test_every_pool_policy_over_chunks(device: str, policy: str, budget: int) -> None:
    window = {"kernel": (3, 2), "stride": (2, 1), "padding": ((1, 1), (0, 1)), "dilation": (1, 1)}
    graph = Graph(
        [
            Input(name="x", shape=(2, 6, 5)),
            IF(name="n", inputs=("x",), threshold=1.0, v_init=0.5, max_spikes=None),
            SpikeMaxPool(name="p", inputs=("n",), policy=policy, horizon=3, **window),
            SpikeMaxPool(name="of_input", inputs=("x",), policy=policy, horizon=3, **window),
            Output(name="y", inputs=("p",)),
            Output(name="z", inputs=("of_input",)),
        ]
    )
    x = torch.from_numpy(np.random.default_rng(0).integers(-4, 16, (4, 2, 6, 5)).astype(np.float32) / 8)
    for encoder in ("constant", "poisson"):
        expected = Simulation(graph).run(x, 20, sender(encoder), RECORDS)
        same(graph, expected, CudaSimulation(graph, device, budget).run(x, 20, sender(encoder), RECORDS))


def test_what_the_event_engine_cannot_run(device: str) -> None:
    """A softmax inside, beside a pool whose first window is half padding."""
    pool = {"kernel": (2,), "stride": (1,), "padding": ((1, 0),), "dilation": (1,)}
    graph = Graph(
        [
            Input(name="x", shape=(2, 4)),
            IF(name="n", inputs=("x",), threshold=1.0, v_init=0.0),
            SpikeMaxPool(name="p", inputs=("n",), **pool),
            IF(name="m", inputs=("p",), threshold=1.0, v_init=0.0, max_spikes=None, v_min=-1.0),
            Softmax(name="s", inputs=("n",), axis=1),
            Output(name="y", inputs=("m",)),
            Output(name="z", inputs=("s",), activation="softmax"),
        ]
    )
    x = torch.from_numpy(np.random.default_rng(0).integers(-4, 16, (3, 2, 4)).astype(np.float32) / 8)
    record = ("spikes", "events", "potentials")
    expected = Simulation(graph).run(x, 9, CONSTANT, record)
    same(graph, expected, CudaSimulation(graph, device).run(x, 9, CONSTANT, record))


def test_shared_nodes_and_values_that_rest_for_some_readers_only(device: str) -> None:
    """A value that rests is read before, between and after neurons; an output reads what rests."""
    eye = np.eye(3, dtype=np.float32)
    graph = Graph(
        [
            Input(name="x", shape=(3,)),
            IF(name="n", inputs=("x",), threshold=1.0, v_init=0.5),
            Linear(name="early", inputs=("x",), weight=eye / 2, bias=eye[0]),
            Add(name="both", inputs=("early", "n")),
            Add(name="twice", inputs=("early", "early")),
            IF(name="m", inputs=("twice",), threshold=2.0, v_init=0.0),
            Concat(name="all", inputs=("both", "m", "x")),
            Output(name="y", inputs=("all",)),
            Output(name="still", inputs=("early",)),
            IF(name="after", inputs=("y",), threshold=1.0, v_init=0.0),
        ]
    )
    x = torch.tensor([[0.25, 1.0, -0.5], [0.75, 0.0, 0.125]])
    expected = Simulation(graph).run(x, 9, CONSTANT, RECORDS)
    for budget in (1, 300, 2**30):
        same(graph, expected, CudaSimulation(graph, device, budget).run(x, 9, CONSTANT, RECORDS))


def converted(make: object) -> tuple[Graph, np.ndarray]:
    b = make(5)  # type: ignore[operator]
    x = b.samples(9)
    folded, _ = sw.prepare(b.graph())
    method = sw.threshold_method("percentile:99")
    return sw.convert(b.graph(), sw.calibrate(folded, x, [method]).scales(method)).spiking, x


@pytest.mark.parametrize("make", ALL)
def test_converted_networks(make: object, device: str) -> None:
    """Weights that are on no grid round differently where torch takes sums in another order: hardly ever seen."""
    graph, x = converted(make)
    expected = Simulation(graph).run(torch.from_numpy(x), 32, CONSTANT)
    found = CudaSimulation(graph, device).run(torch.from_numpy(x), 32, CONSTANT)
    for name, counts in expected.counts.items():
        assert abs(counts.sum() - found.counts[name].sum()) <= max(2, 1e-3 * counts.sum())
    for name, answers in expected.outputs.items():
        np.testing.assert_allclose(found.outputs[name].cpu(), answers, atol=0.2)


def deep(width: int = 8) -> Graph:
    """Convolutions, one after the other, and a pool."""
    nodes, random = [Input(name="x", shape=(width, 12, 12))], np.random.default_rng(0)
    window = {"stride": (1, 1), "padding": ((1, 1), (1, 1)), "dilation": (1, 1)}
    for k in range(4):
        weight = random.integers(-4, 5, (width, width, 3, 3)) / 8
        conv = Conv(name=f"c{k}", inputs=(nodes[-1].name,), weight=weight, bias=np.ones(width) / 8, **window)
        nodes += [conv, IF(name=f"n{k}", inputs=(conv.name,), threshold=1.0, v_init=0.5)]
    pool = SpikeMaxPool(name="p", inputs=("n3",), policy="fir_max", horizon=4, kernel=(3, 3), **window)
    return Graph([*nodes, pool, GlobalAvgPool(name="g", inputs=("p",)), Output(name="y", inputs=("g",))])


class Peak(TorchDispatchMode):
    """The most bytes that tensors made meanwhile have at one time."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.most = 0
        self.alive: set[int] = set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        made = function(*args, **(kwargs or {}))
        for tensor in made if isinstance(made, tuple | list) else (made,):
            if isinstance(tensor, torch.Tensor):
                self._note(tensor.untyped_storage())
        return made

    def _note(self, storage: torch.UntypedStorage) -> None:
        place, size = storage.data_ptr(), storage.nbytes()
        if size and place not in self.alive:
            self.alive.add(place)
            self.now += size
            self.most = max(self.most, self.now)
            finalize(storage, self._gone, place, size)

    def _gone(self, place: int, size: int) -> None:
        self.alive.discard(place)
        self.now -= size


@pytest.mark.parametrize("encoder", ["constant", "poisson"])
@pytest.mark.parametrize("timesteps", [8, 64, 200])
@pytest.mark.parametrize("budget", [2**19, 2**21, 2**23])
def test_memory_stays_within_the_budget(encoder: str, timesteps: int, budget: int) -> None:
    """More samples and timesteps than fit at a time."""
    samples = 12 if budget == 2**23 else 5
    simulation, x = CudaSimulation(deep(), "cpu", budget), torch.rand(samples, 8, 12, 12)
    with Peak() as peak:
        run = simulation.run(x, timesteps, named_encoder(encoder))
    results = sum(t.nbytes for t in (*run.outputs.values(), *run.counts.values()))
    needed = peak.most - results
    assert needed <= budget
    assert needed > budget / 4 or budget == 2**23  # for which all is little


def test_how_much_is_worked_on_at_a_time() -> None:
    graph = deep()
    resting = resting_nodes(graph)
    assert resting == {"x", "c0"}
    assert chunk_sizes(graph, resting, 100, 64, 1) == (1, 1)
    assert chunk_sizes(graph, resting, 100, 64, 2**40) == (100, 64)
    assert chunk_sizes(graph, resting, 100, 2000, 2**40) == (100, 286)  # 32,768 rows at most, in equal parts
    sizes = [chunk_sizes(graph, resting, 100, 64, 2**k) for k in range(16, 32)]
    assert sizes == sorted(sizes)


def test_what_does_not_change_is_computed_once_and_the_rest_for_all_steps_of_a_chunk() -> None:
    simulation, rows = CudaSimulation(deep(), "cpu", 2**22), {"c0": [], "c1": []}
    samples, steps = chunk_sizes(simulation.graph, resting_nodes(simulation.graph), 4, 40, 2**22)
    assert samples == 4
    assert 1 < steps < 40
    for name, seen in rows.items():
        forward = simulation.linear[name]
        simulation.linear[name] = lambda x, f=forward, s=seen: (s.append(len(x)), f(x))[1]
    simulation.run(torch.rand(4, 8, 12, 12), 40, CONSTANT)
    assert rows["c0"] == [4]
    assert sum(rows["c1"]) == 4 * 40
    assert len(rows["c1"]) == -(-40 // steps)


class Watching(Encoder):
    """Constant input; remembers torch's flags, and may fail."""

    def __init__(self, fails: bool = False) -> None:
        self.fails, self.flags = fails, []

    def at(self, x: torch.Tensor, _t: int, _first: int) -> torch.Tensor:
        self.flags = flags()
        if self.fails:
            raise ZeroDivisionError
        return x


def flags() -> list[object]:
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    if hasattr(cudnn, "conv"):
        return [cudnn.benchmark, cudnn.deterministic, matmul.fp32_precision, cudnn.conv.fp32_precision]
    return [cudnn.benchmark, cudnn.deterministic, matmul.allow_tf32, cudnn.allow_tf32]


@pytest.mark.parametrize("fails", [False, True])
def test_arithmetic_is_exact_while_it_runs_and_flags_come_back(fails: bool) -> None:
    graph, x = spiking_network(3)
    before, encoder = flags(), Watching(fails)
    torch.backends.cudnn.benchmark = torch.backends.cuda.matmul.allow_tf32 = True
    try:
        faster = flags()
        with pytest.raises(ZeroDivisionError) if fails else nullcontext():
            CudaSimulation(graph, "cpu").run(torch.from_numpy(x), 2, encoder)
        assert flags() == faster
        assert faster != before
    finally:
        torch.backends.cudnn.benchmark = torch.backends.cuda.matmul.allow_tf32 = False
    assert encoder.flags[:2] == [False, True]
    assert set(encoder.flags[2:]) <= {False, "ieee"}


def test_weights_of_8_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    """The network with rounded weights, asked for and by itself: on a CPU in the place of a device."""
    graph, x = residual(0, 1e-6)
    monkeypatch.setattr("spikewright.engines.choose._cuda_engine", lambda own, *_: CudaSimulation(own, "cpu"))
    recording = Record().fitted(graph, 5)
    batch, expected = torch.from_numpy(x), round_weights(graph).graph
    for engine in ("cuda", "auto"):
        settings = RunSettings(5, device="cuda", engine=engine, dtype="int8")
        found = choose_engine(graph, CONSTANT, recording, settings)
        assert (found.simulator.name, found.weight_error) == ("cuda, int8", round_weights(graph).error)
        own = found.simulator.run(batch, 5, CONSTANT, recording)
        assert torch.equal(own.outputs["y"], CudaSimulation(expected, "cpu").run(batch, 5, CONSTANT).outputs["y"])


def test_refusals(monkeypatch: pytest.MonkeyPatch) -> None:
    graph, x = spiking_network(3)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for device in ("cpu", "cuda"):
        with pytest.raises(
            SettingsError, match="needs a CUDA device, and torch finds none here: choose engine='auto' and "
        ):
            sw.simulate(graph, x, 3, engine="cuda", device=device)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    for where in ({}, {"dtype": "float64", "device": "cuda"}, {"dtype": "int16"}):
        with pytest.raises(SettingsError, match=r"on a CUDA device in float32 or int8, not on \w+ in \w+: choose"):
            sw.simulate(graph, x, 3, engine="cuda", **where)


def test_the_command_line_refuses_it_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    graph, x = converted(ALL[0])
    sw.save(graph, tmp_path / "net.safetensors")
    np.save(tmp_path / "x.npy", x)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    place, data = str(tmp_path / "net.safetensors"), str(tmp_path / "x.npy")
    assert run(("simulate", place, "--data", data, "-T", "4", "--engine", "cuda")) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "the cuda engine needs a CUDA device, and torch finds none here" in said


def test_too_little_memory_is_said_in_a_line() -> None:
    class Full(Stepwise):
        def fire(self, *_: object) -> object:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 3.00 GiB.")

    graph, x = spiking_network(3)
    with pytest.raises(SettingsError, match="a batch of 3 over 5 timesteps does not fit in the memory of cpu: take a "):
        CudaSimulation(graph, "cpu", scan=Full()).run(torch.from_numpy(x), 5, CONSTANT)


def test_the_engine_of_a_device(monkeypatch: pytest.MonkeyPatch) -> None:
    graph, _ = spiking_network(3)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr("spikewright.engines.cuda.simulation.CudaSimulation", lambda *given: given)
    monkeypatch.setattr("spikewright.engines.choose.Simulation", lambda *given: given)

    def chosen(**settings: str) -> object:
        return choose_engine(graph, CONSTANT, Record().fitted(graph, 64), RunSettings(**settings)).simulator

    for engine in ("auto", "cuda"):
        assert chosen(engine=engine, device="cuda:1") == (graph, "cuda:1")
    assert chosen(device="cuda", dtype="float64") == (graph, "cuda", "float64")
    assert chosen().name in ("event", "reference")


@pytest.mark.gpu
def test_a_gpu_takes_the_cuda_engine() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    graph, x = spiking_network(3)
    runs = [sw.simulate(graph, x, 12, device="cuda", engine=engine) for engine in ("auto", "reference")]
    assert [run.engine for run in runs] == ["cuda", "reference"]
