"""Scans of a GPU against those of a CPU: in Triton's interpreter, and on a GPU where there is one."""

from collections.abc import Iterator
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spikewright.engines.neurons import NeuronState, Population
from spikewright.nodes import LIF
from spikewright.training import blocks
from spikewright.training.scan import scan
from spikewright.training.slopes import SpikeGradient
from spikewright.training.surrogates import surrogate

pytest.importorskip("triton", "3.7", reason="Triton 3.7 is not here: pip install 'spikewright[cuda]', on Linux")


class Kernels(NamedTuple):
    module: ModuleType
    fused: Any
    device: str


def _interpreted(name: str) -> ModuleType:
    spec = find_spec(name)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module", params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def kernels(request: pytest.FixtureRequest) -> Iterator[Kernels]:
    """For a CPU the files are run once more: a kernel is interpreted if it is defined so."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "cuda":
            if not torch.cuda.is_available():
                pytest.skip("no CUDA device")
            import spikewright.training.kernels as module

            yield Kernels(module, None, "cuda")
            return
        patch.setenv("TRITON_INTERPRET", "1")
        engine = _interpreted("spikewright.engines.cuda.kernels")
        yield Kernels(_interpreted("spikewright.training.kernels"), engine.Fused(), "cpu")


@given(
    reset=st.sampled_from(["subtract", "zero"]),
    spikes=st.sampled_from([1, None, 2]),
    leak=st.sampled_from([1.0, 0.75]),
    v_min=st.sampled_from([None, -0.25]),
    signed=st.booleans(),
    biased=st.booleans(),
    still=st.booleans(),
    seed=st.integers(0, 10**6),
)
@settings(max_examples=40, deadline=None)
def test_kernels(kernels: Kernels, seed: int, still: bool, biased: bool, **given: Any) -> None:
    random = np.random.default_rng(seed)
    shape, samples, steps = (3, 4), 2, 5
    if given["signed"]:
        given |= {"reset": "subtract", "leak": 1.0}
    neuron = LIF(
        name="a",
        inputs=("x",),
        threshold=np.ones(()),
        v_init=np.zeros(()),
        reset=given["reset"],
        max_spikes=given["spikes"],
        leak=given["leak"],
        v_min=given["v_min"],
        signed=given["signed"],
    )

    def put(values: Any) -> torch.Tensor:
        return torch.tensor(np.asarray(values, np.float32), device=kernels.device)

    v_min = None if neuron.v_min is None else put(np.full(shape, neuron.v_min))
    biases = put(random.integers(-2, 3, (2, 3, 1)) / 4) if biased else None
    population = Population(neuron, put(random.choice([0.5, 1.0, 2.0], shape)), v_min, biases)
    v = put(random.integers(-4, 5, (samples, *shape)) / 8)
    current = put(random.integers(-8, 13, (1 if still else steps, samples, *shape)) / 8)
    expected = scan(population, NeuronState(v), current, steps, SpikeGradient(surrogate("atan")))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "BLOCK", 2**20)
        flat = blocks.flat_population(population, torch.Size(shape))
        charges, sent = (v.new_empty(steps, samples, 12) for _ in range(2))
        state = NeuronState(v.flatten(1))
        after = kernels.module.run(flat, state, current.flatten(2), charges, sent, kernels.fused)
    assert torch.equal(sent.view(steps, samples, *shape), expected[0])
    assert torch.equal(after.v.view(v.shape), expected[1].v)
    everything = blocks.Block(flat, state, False, slice(None), slice(None))
    back = everything._run_any if given["signed"] else everything._run_plain
    plain, sent_plain = torch.empty_like(charges), torch.empty_like(sent)
    back(current.flatten(2), plain, sent_plain)
    torch.testing.assert_close(charges, plain, rtol=0, atol=0)


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("decay", [1.0, 0.75])
def test_recurrence(kernels: Kernels, last: bool, decay: float) -> None:
    torch.manual_seed(1)
    delta, reset = (torch.randn(6, 3, 100, device=kernels.device) for _ in range(2))
    u = torch.randn(3, 100, device=kernels.device) if last else None
    expected = delta.double()
    blocks._recurrence(expected, reset.double(), None if u is None else u.double(), decay, False)
    kernels.module.recurrence(delta, reset, u, decay)
    torch.testing.assert_close(delta.double(), expected, rtol=1e-5, atol=1e-5)
