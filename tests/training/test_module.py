"""A torch module of a spiking network: what the engines make of it, and back; its gradients; its memory."""

import copy
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import spikewright as sw
from spikewright import training
from spikewright.encoders.constant import Constant
from spikewright.engines.reference import Simulation
from spikewright.errors import DataError, NotFiniteError, SettingsError, UnsupportedModelError
from spikewright.training import spiking_module
from spikewright.training.memory import kept_values, parts_within
from spiking_networks import spiking_network


@cache
def trained() -> sw.Graph:
    torch.manual_seed(0)
    net = nn.Sequential(
        *(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 6, 3), nn.ReLU(), nn.AvgPool2d(2)),
        *(nn.Flatten(), nn.Linear(6, 3)),
    )
    return sw.load(net, shape=(1, 8, 8))


def small(**neurons: Any) -> sw.Conversion:
    x = np.random.default_rng(0).random((40, 1, 8, 8), np.float32)
    return sw.convert(trained(), x, "max", neurons=sw.Neurons(**neurons))


@given(seed=st.integers(0, 10**6), memory=st.booleans())
@settings(max_examples=40, deadline=None)
def test_it_answers_as_the_reference_does(seed: int, memory: bool) -> None:
    """Over random networks whose arithmetic is exact: every answer and count, in one go and step by step."""
    graph, samples = spiking_network(seed, memory=memory)
    if not any(spiking_module.trained_arrays(graph, node, True, False) for node in graph):
        return
    x = torch.from_numpy(samples)
    expected = Simulation(graph).run(x, 6, Constant())
    module = training.module(graph)
    with torch.no_grad():
        found = module.run(x, 6, counts=True)
        state, last = None, {}
        for _ in range(6):
            last, state = module.step(x, state)
    for name, answers in expected.outputs.items():
        torch.testing.assert_close(found.outputs[name], answers, msg=name)  # a sigmoid rounds by where it stands
        torch.testing.assert_close(last[name], answers[:, -1], msg=name)
    for name, counts in expected.sent.items():
        assert torch.equal(found.counts[name], counts), name


NEURONS = [{}, {"max_spikes": None}, {"max_spikes": 2, "leak": 0.9}, {"reset": "zero", "v_min": -0.5}]


@pytest.mark.parametrize("neurons", [*NEURONS, {"signed": True}, {"no_debt": True}, {"max_pool": "exp_max"}])
def test_all_parameters_learn(neurons: dict[str, Any]) -> None:
    module = training.module(small(**neurons), thresholds=True)
    module(torch.rand(5, 1, 8, 8), timesteps=6)[:, -1].square().sum().backward()
    for place, parameter in module.trained.items():
        assert parameter.grad is not None, place
        assert torch.isfinite(parameter.grad).all(), place
        assert parameter.grad.abs().sum() > 0, place


def test_back_and_forth() -> None:
    conversion = small(max_spikes=None)
    module = training.module(conversion, "periodic_exponential:width=0.3")
    assert training.conversion(module) == conversion
    optimiser = torch.optim.SGD(module.parameters(), 0.01)
    x = torch.rand(16, 1, 8, 8)
    for _ in range(3):
        optimiser.zero_grad()
        module(x, timesteps=4)[:, -1].square().mean().backward()
        optimiser.step()
    better = training.conversion(module)
    assert set(better.changed) == {node.name for node in conversion.spiking if node.weighted}
    assert better.folded is conversion.folded
    with torch.no_grad():
        counts = module.run(x, 4, counts=True).counts
        answers = module(x, timesteps=4)
    run = sw.simulate(better, x.numpy(), timesteps=4, engine="reference", quiet=True)
    for name in counts:
        np.testing.assert_array_equal(counts[name].sum(0), run.sent[name])
    np.testing.assert_allclose(answers, run.outputs["output"], atol=1e-6)  # sums of a batch in another order
    assert training.conversion(training.module(better)) == better


def test_spike_for_spike_in_every_engine() -> None:
    """What was learned on a grid of 1/64, so that no engine rounds."""
    module = training.module(small())
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_((parameter * 64).round() / 64)
        x = (torch.rand(8, 1, 8, 8) * 16).round() / 16
        counts = module.run(x, 7, counts=True).counts
    better = training.conversion(module)
    for engine in ("reference", "event"):
        run = sw.simulate(better, x.numpy(), timesteps=7, engine=engine, quiet=True)
        for name in counts:
            np.testing.assert_array_equal(counts[name].sum(0), run.sent[name])


def test_it_is_saved_with_what_it_learned(tmp_path: Any) -> None:
    module = training.module(small())
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.mul_(1.25)
    better = training.conversion(module)
    sw.save(better, tmp_path / "better.safetensors")
    assert sw.load(tmp_path / "better.safetensors") == better


def test_sequences_and_truncation() -> None:
    module = training.module(small())
    frames = torch.rand(6, 2, 1, 8, 8)
    whole = module(frames)
    first = module.run(frames[:2])
    second = module.run(frames[2:], state=first.state.detached())
    torch.testing.assert_close(torch.cat([first.outputs["output"], second.outputs["output"]], 1), whole)
    second.answer.sum().backward()


def test_what_torch_does_to_modules() -> None:
    module = training.module(small())
    x = torch.rand(2, 1, 8, 8)
    twin = copy.deepcopy(module)
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.zero_()
    assert not torch.equal(module(x, 3), twin(x, 3))
    twin.load_state_dict(module.state_dict())
    assert torch.equal(module(x, 3), twin(x, 3))
    assert twin.double()(x, 3).dtype == torch.float64
    assert training.conversion(nn.DataParallel(module)) == training.conversion(module)
    zeros = {name: torch.zeros_like(value) for name, value in module.named_parameters()}
    assert not torch.func.functional_call(module, zeros, (x, 3)).any()


@pytest.mark.parametrize("budget", [1, 150_000, 2**30])
def test_gradients_do_not_depend_on_what_is_computed_again(budget: int) -> None:
    conversion = small()
    plain, tight = training.module(conversion), training.module(conversion, budget=budget)
    x = torch.rand(7, 1, 8, 8)
    for module in (plain, tight):
        done = module.run(x, 5, counts=True)
        (done.answer.square().sum() + sum(count.sum() for count in done.counts.values())).backward()
    for place, parameter in plain.trained.items():
        torch.testing.assert_close(tight.trained[place].grad, parameter.grad)


def test_spikes_are_not_kept() -> None:
    """Of 0 and 1 only, where a layer reads them itself; gradients stay what they are."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(6, 9), nn.ReLU(), nn.Linear(9, 4), nn.ReLU(), nn.Linear(4, 2))
    graph = sw.load(net, shape=(6,))
    x = torch.rand(5, 6)
    for neurons, budget in (("spikes=1", 2**30), ("spikes=multi", 2**30), ("spikes=1", 1)):
        module = training.module(sw.convert(graph, x.numpy(), "max", neurons=neurons), budget=budget)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(spiking_module, "sends_single", lambda _: False)
            module(x, 4)[:, -1].square().sum().backward()
        expected = [parameter.grad for parameter in module.parameters()]
        module.zero_grad()
        answers = module(x, 4)
        answers[:, -1].square().sum().backward()
        for one, other in zip(expected, module.parameters(), strict=True):
            assert torch.equal(one, other.grad)


def test_parts_keep_less() -> None:
    graph = small().spiking
    most = kept_values(graph, tuple(graph))
    assert parts_within(graph, most) == (tuple(graph),)
    parts = parts_within(graph, most - 1)
    assert len(parts) > 1
    assert [node for part in parts for node in part] == list(graph)
    assert all(any(node.population for node in part) for part in parts[:-1])


def test_only_weights() -> None:
    module = training.module(small(), biases=False)
    assert {label for _, label in module.trained} == {"weight"}


@pytest.mark.parametrize("schedule", ["layered", "few_spike"])
def test_windows_are_refused(schedule: Any) -> None:
    with pytest.raises(UnsupportedModelError, match="add up a window and send in the next"):
        training.module(small(schedule=schedule))


def test_bad_input() -> None:
    conversion = small()
    module = training.module(conversion)
    x = torch.rand(2, 1, 8, 8)
    with pytest.raises(DataError) as caught:
        module(x)
    assert str(caught.value) == (
        "the network takes (steps, samples, 1, 8, 8), the batch is (2, 1, 8, 8); say how many steps a batch of "
        "pictures is shown: timesteps=8"
    )
    with pytest.raises(DataError, match=r"takes \(samples, 1, 8, 8\), the batch is \(2, 8, 8\)"):
        module(x[:, 0], timesteps=3)
    with pytest.raises(DataError, match="the batch is"):
        module(x[:0], timesteps=3)
    with pytest.raises(SettingsError, match="timesteps must be"):
        module(x, timesteps=0)
    with pytest.raises(SettingsError, match="unknown surrogate gradient"):
        training.module(conversion, "arctan")
    with pytest.raises(SettingsError, match="a conversion is trained"):
        training.module(nn.Linear(2, 2))  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match="no spiking populations"):
        training.module(conversion.folded)
    with pytest.raises(SettingsError, match="given back, not a Linear"):
        training.conversion(nn.Linear(2, 2))
    with pytest.raises(SettingsError, match="made of a spiking graph"):
        training.conversion(training.module(conversion.spiking))
    with torch.no_grad():
        next(iter(module.parameters())).fill_(float("nan"))
    with pytest.raises(NotFiniteError, match="not a finite float32"):
        training.conversion(module)


def test_a_compiled_or_wrapped_module_is_given_back() -> None:
    conversion = small()
    module = training.module(conversion)
    for wrapped in (torch.compile(module, backend="eager"), nn.DataParallel(module)):
        assert training.conversion(wrapped) == conversion
    with pytest.raises(SettingsError, match="not a Sequential"):
        training.conversion(nn.Sequential(module))
    with pytest.raises(SettingsError, match="not a str"):
        training.conversion("net")


def test_what_a_call_cannot_take() -> None:
    module, x = training.module(small()), torch.rand(3, 1, 8, 8)
    _, state = module.step(x)
    with pytest.raises(DataError, match="the state is that of 3 samples, the batch has 2: begin with state=None"):
        module.step(x[:2], state)
    flat = training.module(
        sw.convert(sw.load(nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 2)), shape=(4,)), np.eye(4), "max")
    )
    with pytest.raises(DataError, match="the state is that of another network"):
        flat.step(torch.rand(3, 4), state)
    with pytest.raises(DataError, match=r"takes a tensor, not a ndarray: torch.from_numpy\(x\)"):
        module(x.numpy(), 4)  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"the batch is \(0, 1, 8, 8\)$"):
        module(x[:0], 4)
