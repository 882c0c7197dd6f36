"""Imports prove themselves: what a wrong rule, the batch, chance or half precision does to the comparison."""

# ruff: noqa: ARG005

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import spikewright as sw
from spikewright.errors import GraphError, SettingsError, SpikewrightError, UnsupportedModelError
from spikewright.frontends.torch import from_exported, from_torch
from spikewright.frontends.torch.activations import ACTIVATIONS
from spikewright.frontends.torch.operators import OPERATORS
from spikewright.frontends.torch.pools import POOLS
from spikewright.frontends.verify import Original, Verified, verification, verified
from spikewright.frontends.verify.samples import KINDS, Sampler
from spikewright.graph import Graph
from spikewright.nodes import Add, ChannelAffine, Identity, Input, Output, ReLU
from verified_modules import Functional, refusal, replace_rule, small

# What is said.


def test_a_network_that_agrees_says_so() -> None:
    known = verification(sw.load(small(), shape=(4,)))
    assert (known.against, known.samples, known.batches, known.notes) == ("PyTorch", 25, (2, 3), ())
    assert known.difference < 1e-6
    text = str(Verified("PyTorch", 25, (2, 3), 2e-7))
    assert text == "verified against PyTorch: 25 samples, batches of 2 and 3, largest difference 2e-07 of the range"


def test_the_fact_survives_saving_and_converting(tmp_path: Any) -> None:
    graph = sw.load(small(), shape=(4,))
    x = np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32)
    folded, _ = sw.prepare(graph)
    method = sw.threshold_method("max")
    spiking = sw.convert(graph, sw.calibrate(folded, x, [method]).scales(method)).spiking
    sw.save(spiking, tmp_path / "s.safetensors")
    assert verification(sw.load(tmp_path / "s.safetensors")) == verification(graph)


def test_a_graph_made_by_hand_and_a_damaged_fact() -> None:
    nodes = [Input(name="input", shape=(2,)), Output(name="output", inputs=("input",))]
    assert str(verification(Graph(nodes))) == "not verified: nothing is known of where this graph comes from"
    odd = {"samples": "many", "difference": float("nan"), "batches": 3, "notes": ["x"] * 30, "against": None}
    for wrong in (3, [], "yes", {}, {"against": 1}, *({**Verified().facts, key: value} for key, value in odd.items())):
        assert "damaged" in str(verification(Graph(nodes, {"verified": wrong})))


def test_verify_false_and_the_time_limit() -> None:
    module = small(nn.Threshold(0, 0))
    assert str(verification(sw.load(module, shape=(4,), verify=False))) == "not verified: verify=False (--no-verify)"
    known = verification(sw.load(module, shape=(4,), verify_seconds=1e-9))
    assert (known.samples, known.notes) == (2, ("stopped after 1e-09 s",))
    for wrong in (0, -1, float("nan"), "long", True, None):
        with pytest.raises(SettingsError, match="verify_seconds is a positive number of seconds"):
            sw.load(module, shape=(4,), verify_seconds=wrong)


def test_samples_are_seeded_and_of_either_sign_and_size() -> None:
    sampler = Sampler({"a": (3, 5), "b": (2,)}, {"a": torch.float32, "b": torch.uint8})
    for kind in KINDS:
        one, two = sampler.draw(kind, 3), sampler.draw(kind, 3)
        assert one["a"].shape == (3, 3, 5)
        assert one["b"].dtype is torch.uint8
        assert all(torch.equal(one[name], two[name]) for name in one)
    drawn = torch.cat([given.batch["a"].flatten() for given in sampler.batches((2, 3))])
    assert drawn.min() < -10
    assert drawn.max() > 200
    assert (drawn == 0).any()


# Rules that are wrong.


def wrong_relu(call: Any) -> Any:
    return call.emit(ReLU, call.x, ceiling=6.0)


def wrong_same(call: Any) -> Any:
    return call.x


RIGHT = {**OPERATORS, **POOLS, **ACTIVATIONS}


def wrong_pool(call: Any) -> Any:
    value = RIGHT["avg_pool2d"](call)
    ones = np.full(value.sample[0], 1.01)
    return call.emit(ChannelAffine, value, part="wrong", scale=ones, bias=0 * ones)


def wrong_linear(call: Any) -> Any:
    value = RIGHT["linear"](call)
    bias = np.zeros(value.sample[0])
    bias[-1] = 1e-2
    return call.emit(ChannelAffine, value, part="wrong", scale=np.ones(len(bias)), bias=bias)


PICTURES = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(36, 3), nn.Softmax(1))
WRONG: dict[str, tuple[str, Any, str]] = {
    "a ceiling": ("relu", wrong_relu, "'1' (ReLU)"),
    "nothing": ("relu", wrong_same, "'0' (Conv)"),
    "a factor": ("avg_pool2d", wrong_pool, "'2.wrong' (ChannelAffine)"),
    "a small bias": ("linear", wrong_linear, "'4.wrong' (ChannelAffine)"),
}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("door", ["module", "program"])
def test_a_wrong_rule_is_refused_by_the_first_node_that_differs(
    name: str, door: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator, rule, node = WRONG[name]
    replace_rule(monkeypatch, operator, rule)
    x = torch.zeros(2, 1, 8, 8)
    module = PICTURES.eval()
    with pytest.raises(GraphError) as caught:
        from_torch(module, x) if door == "module" else from_exported(torch.export.export(module, (x,)))
    assert str(caught.value).startswith(f"Sequential: the graph differs from PyTorch at the node {node}, by ")
    assert str(caught.value).endswith("nothing was imported: please report this model")


def test_a_threshold_that_replaces_by_another_value(monkeypatch: pytest.MonkeyPatch) -> None:
    replace_rule(monkeypatch, "threshold", lambda call: call.emit(ReLU, call.x))
    assert refusal(small(nn.Threshold(0, 5)), torch.zeros(1, 4)).startswith(
        "Sequential: the graph differs from PyTorch at the node '1' (ReLU), by 5 where values reach 5 "
    )


def test_where_an_output_says_nothing_its_nodes_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    dead = nn.Sequential(nn.Linear(4, 4), nn.Hardtanh(0, 1), nn.Linear(4, 2), nn.ReLU())
    dead[2].bias.data.fill_(-100)
    known = verification(from_torch(dead, torch.zeros(1, 4)))
    assert known.notes == ("the output 'output' was 0 for every sample",)
    replace_rule(monkeypatch, "hardtanh", lambda call: call.emit(ReLU, call.x, ceiling=2.0))
    assert "at the node '1' (ReLU)" in refusal(dead, torch.zeros(1, 4))


def test_what_differs_only_in_large_values_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    replace_rule(monkeypatch, "hardtanh", lambda call: call.emit(ReLU, call.x))
    scaled = nn.Sequential(nn.Linear(1, 1), nn.ReLU6())
    nn.init.constant_(scaled[0].weight, 0.1)
    nn.init.zeros_(scaled[0].bias)
    assert "'1' (ReLU)" in refusal(scaled, torch.zeros(1, 1))
    assert "uniform from 0 to 255 samples" in refusal(scaled, torch.zeros(1, 1))


def test_rounding_is_no_difference() -> None:
    """Numbers that nearly cancel are off by more than 1e-4 of what is left, on both sides."""
    layer = nn.Linear(400, 4)
    twice = nn.Linear(400, 4)
    twice.load_state_dict(layer.state_dict())
    twice.weight.data += 1e-6
    module = Functional(lambda m, x: m.a(x).double().float() - m.b(x) + 0 * m.a(x), a=layer, b=twice)
    assert verification(from_torch(module, torch.zeros(1, 400))).against == "PyTorch"


# Chance, infinity, precision, what fails.


def test_an_answer_that_is_random() -> None:
    message = refusal(Functional(lambda m, x: x * float(np.random.rand())), torch.ones(2, 4))  # noqa: NPY002
    assert message.startswith("Functional: its answer is random: two runs on the same samples differ by ")
    assert message.endswith("take the noise or dropout out of what it does when it is not trained")
    with pytest.raises(
        UnsupportedModelError, match=r"native_dropout at forward of .*: it does what it does in training"
    ):
        from_torch(Functional(lambda m, x: F.dropout(m.fc(x), 0.5, True), fc=nn.Linear(4, 9)), torch.ones(2, 4))


def test_noise_by_a_hook_is_refused_by_name() -> None:
    module = small()
    module[0].register_forward_hook(lambda part, x, y: y + torch.randn_like(y))
    with pytest.raises(UnsupportedModelError, match=r"randn_like at 0: its answer is random: it draws anew each time"):
        from_torch(module, torch.zeros(2, 4))


def test_the_users_random_numbers_are_left_alone() -> None:
    module = small(nn.Dropout(), nn.ReLU()).train()
    before = torch.get_rng_state()
    from_torch(module, torch.zeros(2, 4))
    assert torch.equal(before, torch.get_rng_state())


def test_values_that_are_not_finite() -> None:
    huge = Functional(lambda m, x: x.relu() * 3e38 * 10)
    known = verification(from_torch(huge, torch.ones(2, 4)))
    assert known.notes[0].endswith("of the values of 'output' are not finite, and were not compared")
    assert refusal(Functional(lambda m, x: (x.relu() + 1) * 3e38 * 10), torch.ones(2, 4)).endswith(
        "its output 'output' is not a finite number for any of 25 random samples; "
        "look for a division by zero or an overflow"
    )


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_half_precision(kind: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    known = verification(from_torch(small().to(kind), torch.zeros(2, 4)))
    assert known.notes == ("in float32, from weights in half precision",)
    assert known.difference < 1e-6
    # What casts by itself cannot be taken in float32, and is compared as precisely as it computes.
    inside = Functional(lambda m, x: m.fc(x.to(kind)).float(), fc=nn.Linear(4, 3).to(kind))
    known = verification(from_torch(inside, torch.zeros(2, 4)))
    assert known.against == "PyTorch"
    assert 1e-5 < known.difference < 5e-2
    replace_rule(monkeypatch, "linear", lambda call: call.emit(Identity, call.x))
    with pytest.raises(SpikewrightError):
        from_torch(inside, torch.zeros(2, 4))


def test_a_module_that_fails_on_some_samples() -> None:
    class Positive(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            if not torch.compiler.is_compiling() and float(x.min()) < 0:
                raise ValueError("pixels are positive")
            return x.relu() + 1

    known = verification(from_torch(Positive(), torch.zeros(2, 3)))
    assert known.batches == (2, 3)
    assert known.notes[0] == "it fails on standard normal samples (pixels are positive)"


def test_a_framework_that_cannot_be_asked() -> None:
    graph = from_torch(small(), torch.zeros(1, 4), verify=False)

    def fails(batch: Any) -> Any:
        raise RuntimeError("no such kernel\nand a stack")

    original = Original("Framework", fails, {"input": torch.float32})
    text = str(verification(verified(graph, original, "net")))
    assert text == "not verified: Framework cannot run it on random samples (no such kernel)"
    with pytest.raises(GraphError, match=r"net: cannot be verified: Framework cannot run it .* takes it unseen"):
        verified(graph, original, "net", strict=True)


def test_absurdly_large_networks_are_compared_only_if_asked() -> None:
    nodes = [Input(name="input", shape=(2**28,)), Output(name="output", inputs=("input",))]
    original = Original("Framework", lambda batch: batch, {"input": torch.float32})
    assert "too large to be compared unasked; verify=True" in str(verification(verified(Graph(nodes), original, "net")))


# Inputs and outputs.


def test_arguments_that_do_not_matter_and_answers_that_are_constant() -> None:
    module = Functional(lambda m, x, unused, y: (m.fc(y) + x, torch.ones(3), None), fc=nn.Linear(4, 4))
    graph = from_torch(module, (torch.zeros(2, 4), torch.zeros(2, 9), torch.zeros(2, 4)))
    assert verification(graph).against == "PyTorch"
    assert len(graph.of_type(Input)) == 2


def test_swapped_arguments_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    module = Functional(lambda m, x, y: x - y)
    replace_rule(monkeypatch, "sub", lambda call: call.emit(Add, call["other"], call["self"]))
    with pytest.raises(GraphError):
        from_torch(module, (torch.zeros(2, 4), torch.zeros(2, 4)))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.bool, torch.int64])
def test_whole_numbers_as_input(dtype: torch.dtype) -> None:
    module = Functional(lambda m, x: m.fc(x.float() / 255), fc=nn.Linear(4, 3))
    assert verification(from_torch(module, torch.ones(2, 4, dtype=dtype))).samples == 25
