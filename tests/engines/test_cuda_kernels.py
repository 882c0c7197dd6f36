"""The fused kernels against plain torch, in Triton's interpreter and on a GPU, and what they are compiled to."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec, module_from_spec

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runs import same, sender
from spikewright.engines.cuda.scan import Scan, Stepwise
from spikewright.engines.cuda.simulation import CudaSimulation, scan_on
from spikewright.engines.neurons import NeuronState
from spikewright.engines.reference import RECORDS, Simulation
from spikewright.graph import Graph
from spikewright.nodes import LIF, Input
from spiking_networks import spiking_network

torch = pytest.importorskip("torch")
pytest.importorskip("triton", "3.7", reason="Triton 3.7 is not here: pip install 'spikewright[cuda]', on Linux")
FLAGS = ("STILL", "CAPPED", "SUBTRACT", "CLAMPED", "SIGNED", "NO_DEBT", "BIASED", "ONCE_FIRED", "POTENTIALS")
Kernels = tuple[Scan, str]


@pytest.fixture(scope="module", params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def kernels(request: pytest.FixtureRequest) -> Iterator[Kernels]:
    """The kernels and a device. For a CPU the file is run once more: a kernel is interpreted if it is defined so."""
    if request.param == "cuda":
        if not torch.cuda.is_available():
            pytest.skip("no CUDA device")
        yield scan_on(torch.device("cuda")), "cuda"
        return
    spec = find_spec("spikewright.engines.cuda.kernels")
    assert spec is not None
    assert spec.loader is not None
    interpreted = module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRITON_INTERPRET", "1")
        spec.loader.exec_module(interpreted)
        yield interpreted.Fused(), "cpu"


def equal(found: torch.Tensor, expected: torch.Tensor) -> None:
    np.testing.assert_array_equal(found.cpu().numpy(), expected.numpy())


def values(random: np.random.Generator, drawn: str, *shape: int) -> torch.Tensor:
    """On a grid, so that potentials touch thresholds; on none, so that everything rounds; or with what is no number."""
    numbers = random.integers(-12, 20, shape) / 8 if drawn == "grid" else random.normal(0.3, 2, shape)
    if drawn == "wild":
        numbers = np.where(random.random(shape) < 0.1, random.choice([np.inf, -np.inf, np.nan, 1e30], shape), numbers)
    return torch.from_numpy(numbers.astype(np.float32))


@settings(max_examples=200, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    drawn=st.sampled_from(["grid", "rough", "wild"]),
    shape=st.sampled_from([(1,), (5,), (2, 3), (3, 4, 5), (300,)]),
    samples=st.integers(1, 5),
    steps=st.integers(1, 9),
    still=st.booleans(),
    leak=st.sampled_from([1.0, 0.5, 0.9, 0.0]),
    reset=st.sampled_from(["subtract", "zero"]),
    max_spikes=st.sampled_from([1, 2, 3, None]),
    v_min=st.sampled_from([None, "one", "channel", "neuron"]),
    threshold=st.sampled_from(["one", "channel", "neuron"]),
    potentials=st.booleans(),
    signed=st.booleans(),
    no_debt=st.booleans(),
    rows=st.sampled_from([0, 0, 3, 20]),
    once_fired=st.booleans(),
    begun=st.booleans(),
)
def test_neurons(
    kernels: Kernels,
    seed: int,
    drawn: str,
    shape: tuple[int, ...],
    samples: int,
    steps: int,
    still: bool,
    leak: float,
    reset: str,
    max_spikes: int | None,
    v_min: str | None,
    threshold: str,
    potentials: bool,
    signed: bool,
    no_debt: bool,
    rows: int,
    once_fired: bool,
    begun: bool,
) -> None:
    random = np.random.default_rng(seed)
    size = {"one": (), "channel": shape[:1], "neuron": shape}
    theta = np.array(random.choice([0.5, 1.0, 2.0] if drawn == "grid" else [0.3, 0.7, 1.1], size[threshold]))
    lowest = None if v_min is None else -np.array(random.choice([0.0, 0.5, 0.7], size[v_min]))
    settings = {
        "reset": reset,
        "v_reset": 0.3,
        "max_spikes": max_spikes,
        "v_min": lowest,
        "leak": leak,
        "no_debt": no_debt,
    }
    if signed:
        settings |= {"signed": True, "reset": "subtract", "leak": 1.0}
    if rows:
        biases = values(random, "grid" if drawn == "grid" else "rough", rows + 1, shape[0]).numpy()
        settings |= {"step_bias": biases[1:], **({"fired_bias": biases[0]} if once_fired else {})}
    neuron = LIF(name="n", inputs=("x",), threshold=theta, v_init=0.0, **settings)
    v = values(random, "rough" if drawn == "wild" else drawn, samples, *shape)
    current = values(random, drawn, 1 if still else steps, samples, *shape)
    graph = Graph([Input(name="x", shape=shape), neuron])
    sent = torch.from_numpy(random.integers(0, 4, v.shape).astype(np.float32))
    before = NeuronState(v, t=2, sent=sent, fired=(sent > 0).float()) if begun else NeuronState(v)
    scan, device = kernels
    expected = Stepwise().fire(Simulation(graph).neurons["n"], before, current, steps, potentials)
    placed = {f: a.to(device) for f in ("v", "sent", "fired") if (a := getattr(before, f)) is not None}
    population = Simulation(graph, device).neurons["n"]
    with np.errstate(invalid="ignore", over="ignore"):  # the interpreter computes with numpy
        found = scan.fire(population, replace(before, **placed), current.to(device), steps, potentials)
    assert found.state.t == expected.state.t
    memories = [[one.state.v, one.state.sent, one.state.fired] for one in (found, expected)]
    several = zip((*found[:2], found[3], *memories[0]), (*expected[:2], expected[3], *memories[1]), strict=True)
    for got, wanted in several:
        assert (got is None) == (wanted is None)
        if wanted is not None:
            equal(got, wanted)


@settings(max_examples=50, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    shape=st.sampled_from([(1,), (2, 3), (300,)]),
    steps=st.integers(1, 9),
    still=st.booleans(),
)
def test_running_sums(kernels: Kernels, seed: int, shape: tuple[int, ...], steps: int, still: bool) -> None:
    """In the order of time, so that even sums that round are the same; whatever order the values lie in."""
    scan, device = kernels
    random = np.random.default_rng(seed)
    start, added = values(random, "rough", 3, *shape), values(random, "rough", *shape, 1 if still else steps, 3)
    added = added.movedim((-2, -1), (0, 1))
    expected = Stepwise().add_up(start, added, steps)
    equal(scan.add_up(start.to(device), added.to(device), steps), expected)


def test_whole_networks(kernels: Kernels) -> None:
    scan, device = kernels
    with torch.backends.cudnn.flags(enabled=False):  # its sums may be exact on no grid: see test_cuda.py
        for seed in range(12):
            graph, x = spiking_network(seed, blocks=6, memory=seed % 3 > 0)
            batch, encoder = torch.from_numpy(x), sender("constant" if seed % 2 else "poisson")
            expected = Simulation(graph).run(batch, 7, encoder, RECORDS)
            same(graph, expected, CudaSimulation(graph, device, 2**14, scan).run(batch, 7, encoder, RECORDS))


@pytest.mark.parametrize("single", [True, False])
@pytest.mark.parametrize("capability", [75, 80, 90])
def test_what_they_are_compiled_to(
    single: bool, capability: int, tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For GPUs that need not be here: products and sums round each on their own, and divisions are exact."""
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource
    from triton.compiler import compile as compiled

    from spikewright.engines.cuda.kernels import BLOCK, OPTIONS, fire_kernel

    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    flags = dict.fromkeys(FLAGS, True)
    fixed = {**flags, "SINGLE": single, "BLOCK": BLOCK}
    whole = ("steps", "first", "rows", "cells", "neurons", "channels")
    numbers = dict.fromkeys(whole, "i32") | dict.fromkeys(("decay", "v_reset", "cap"), "fp32")
    names = fire_kernel.arg_names
    signature = {name: "constexpr" if name in fixed else numbers.get(name, "*fp32") for name in names}
    source = ASTSource(fire_kernel, signature, {(names.index(name),): value for name, value in fixed.items()})

    def operations(**options: bool) -> set[str]:
        made = compiled(source, target=GPUTarget("cuda", capability, 32), options=options)
        assert made.asm["cubin"]
        return set(re.findall(r"^\s+([a-z]+[.\w]*f32)\b", made.asm["ptx"], re.MULTILINE))

    found = operations(**OPTIONS)
    assert {"mul.rn.f32", "add.rn.f32", "sub.rn.f32"} <= found
    assert [name for name in found if name.startswith("div")] == ([] if single else ["div.rn.f32"])
    assert not [name for name in found if name.startswith("fma")]
    assert "fma.rn.f32" in operations()  # what the options are there for
