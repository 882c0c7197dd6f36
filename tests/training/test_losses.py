"""Synaptic operations and firing rates as losses; weights clipped, noisy, and in the integers of a chip."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import spikewright as sw
from spikewright import training
from spikewright.chips.known import chip
from spikewright.errors import SettingsError, UnsupportedModelError
from spikewright.graph import Graph
from spikewright.measures.synops import synops
from spikewright.nodes import IF, AvgPool, Conv, Flatten, Input, Linear, Output
from spikewright.training.chip_rounding import ChipRounding
from spikewright.training.limits import WeightNoise, clip_weights, keep_thresholds
from spikewright.training.losses import FiringRateLoss, SynOpsLoss, spike_costs
from spikewright.training.slopes import SpikeGradient
from spikewright.training.spiking_module import SpikingModule
from spiking_networks import spiking_network

FACTS = json.loads((Path(__file__).parent / "facts.json").read_text())["synops_loss_grad"]
RASTER = torch.tensor(
    [
        [[[float((7 * t + 5 * c + 3 * y + 2 * x) % 4 == 0) for x in range(4)] for y in range(4)] for c in range(1)]
        for t in range(4)
    ]
)[:, None]


def neurons(name: str, source: str, **settings: Any) -> IF:
    return IF(name=name, inputs=(source,), threshold=np.ones(()), v_init=np.zeros(()), max_spikes=None, **settings)


def network(pool: bool = False, v_min: float | None = -1.0) -> Graph:
    kernel = np.array(FACTS["conv_weight"], np.float32).reshape(2, 1, 3, 3)
    padding = ((1, 1), (1, 1))
    conv = Conv(
        **{"name": "conv", "inputs": ("input",), "weight": kernel, "bias": np.zeros(2)},
        stride=(1, 1),
        padding=padding,
        dilation=(1, 1),
        groups=1,
    )
    between = [AvgPool(name="pool", inputs=("a",), kernel=(2, 2), stride=(2, 2), padding=((0, 0),) * 2)] if pool else []
    features = 8 if pool else 32
    return Graph(
        [
            *(Input(name="input", shape=(1, 4, 4)), conv, neurons("a", "conv", v_min=v_min), *between),
            Flatten(name="flat", inputs=("pool" if pool else "a",)),
            Linear(name="fc", inputs=("flat",), weight=np.ones((3, features)), bias=np.zeros(3)),
            *(neurons("b", "fc", v_min=v_min), Output(name="output", inputs=("b",))),
        ]
    )


def trained_for_chip() -> sw.Conversion:
    """A residual network whose counts are read."""

    class Block(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = torch.nn.Conv2d(1, 4, 3, 1, 1), torch.nn.Conv2d(4, 4, 3, 1, 1)
            self.pool, self.last = torch.nn.AvgPool2d(2), torch.nn.Linear(64, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.first(x).relu()
            return self.last(self.pool((x + self.second(x)).relu()).flatten(1))

    torch.manual_seed(3)
    pictures = np.random.default_rng(3).random((32, 1, 8, 8), np.float32)
    return sw.convert(sw.load(Block().eval(), shape=(1, 8, 8)), pictures, "max", readout="count")


def test_operations_of_cores_are_those_that_the_chip_is_checked_for() -> None:
    conversion = trained_for_chip()
    pictures = np.random.default_rng(4).random((5, 1, 8, 8), np.float32)
    fit = sw.check(conversion, "speck2f", dt=1e-3, data=pictures, timesteps=6)
    assert fit.bandwidth is not None
    done = training.module(conversion).run(torch.from_numpy(pictures), 6, counts=True)
    loss = SynOpsLoss(conversion, 1.0, dt=1e-3, chip="speck2f")
    cores = sw.check(conversion, "speck2f").cores  # with data the busiest stand elsewhere
    hearing = {core: fit.bandwidth[layer].mean for layer, core in cores.items() if core in loss.cores}
    assert len(hearing) == 2
    found = {core: one.item() for core, one in loss.core_synops(done).items()}
    assert found == pytest.approx(hearing, rel=1e-5)
    one = max(found, key=lambda core: found[core])
    half = SynOpsLoss(conversion, {one: found[one] / 2}, dt=1e-3, chip="speck2f")
    assert half(done).item() == pytest.approx(1, rel=1e-5)
    half(done).backward()


def test_a_limit_that_the_chip_has_is_taken() -> None:
    conversion = trained_for_chip()
    own = dataclasses.replace(chip("speck2f"), synops_per_second=123.0)
    assert set(SynOpsLoss(conversion, dt=1e-3, chip=own).limits.values()) == {123.0}


def test_the_gradient_of_operations_is_that_of_sinabs() -> None:
    module = SpikingModule(network(), SpikeGradient(training.surrogate("single_exponential")))
    loss = SynOpsLoss(network(), total=1.0)
    found = loss.synops(module.run(RASTER, counts=True))
    assert found["fc"].item() == FACTS["synops"]["3"] == 111
    found["fc"].backward()
    grad = module.trained["conv", "weight"].grad
    assert grad is not None
    expected = torch.tensor(FACTS["dSynOps_fc/dW_conv"])
    torch.testing.assert_close(grad.flatten(), expected, rtol=1e-6, atol=1e-4)


def test_behind_a_pool_every_spike_counts() -> None:
    """120 of the 40 spikes of sinabs' third network, where its model total has 30."""
    costs = spike_costs(network(pool=True))
    assert costs["fc"]["a"].tolist() == np.full((2, 4, 4), 3.0).tolist()
    assert set(costs) == {"fc"}
    sent = {"input": RASTER.sum((0, 1)).numpy(), "a": np.full((2, 4, 4), 40 / 32)}
    found = synops(network(pool=True), sent)
    assert {name: one.spikes for name, one in found.items()} == {"conv": 200, "fc": 120}


def test_costs_are_those_that_are_measured() -> None:
    for seed in range(25):
        graph, _ = spiking_network(seed)
        random = np.random.default_rng(seed)
        counts = {n.name: random.integers(0, 9, graph.shapes[n.name]).astype(float) for n in graph.populations}
        measured = synops(graph, counts)
        costs = spike_costs(graph)
        for layer, found in measured.items():
            own = sum(float((counts[name] * cost).sum()) for name, cost in costs.get(layer, {}).items())
            assert own == pytest.approx(found.spikes), (seed, layer)


def test_excess() -> None:
    module = training.module(network(), "single_exponential")
    done = module.run(RASTER, counts=True)
    assert SynOpsLoss(network(), {"fc": 100})(done).item() == pytest.approx(0.11)
    assert SynOpsLoss(network(), {"fc": 200})(done).item() == 0
    assert SynOpsLoss(network(), 100.0, total=55.5)(done).item() == pytest.approx(1.11)
    a_second = SynOpsLoss(network(), {"fc": 11_100}, dt=1e-3)
    assert a_second.synops(done)["fc"].item() == pytest.approx(111 / 4e-3)
    assert a_second(done).item() == pytest.approx(1.5)


def test_firing_rates() -> None:
    module = training.module(network())
    done = module.run(RASTER, counts=True)
    rate = done.counts["a"].sum().item() / 32 / 4
    assert FiringRateLoss({"a": rate})(done).item() == pytest.approx(0, abs=1e-9)
    assert FiringRateLoss({"a": 2 * rate})(done).item() == pytest.approx(0.25)
    assert FiringRateLoss({"a": 2 * rate}, above=True)(done).item() == 0
    FiringRateLoss(0.1)(done).backward()
    assert module.trained["conv", "weight"].grad is not None


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SynOpsLoss(network()), "needs a limit"),
        (lambda: SynOpsLoss(network(), {"fd": 3}), "no layer 'fd' hears spikes; there are fc"),
        (lambda: SynOpsLoss(network(), {"fc": 0}), "fc must be a positive number, not 0"),
        (
            lambda: SynOpsLoss(network(), {1: 5.0}),
            "no core 1 hears spikes of other layers; there are none: say which chip",
        ),
        (lambda: SynOpsLoss(trained_for_chip(), {8: 5.0}, chip="speck2f"), "no core 8 hears spikes"),
        (lambda: SynOpsLoss(trained_for_chip(), 5.0, chip="akida_1_0"), "take a Speck"),
        (lambda: SynOpsLoss(trained_for_chip(), chip="speck2f"), "no limit .* of speck2f is public: give the one you"),
        (lambda: SynOpsLoss(network(), 1.0, dt=-1), "dt must be a positive number"),
        (lambda: FiringRateLoss(0), "a target of firing rates is a positive number"),
        (lambda: FiringRateLoss({"c": 1})(training.module(network()).run(RASTER, counts=True)), "no population"),
        (lambda: FiringRateLoss(1)(training.module(network()).run(RASTER)), "counts=True"),
        (lambda: SynOpsLoss(network(), 1)(training.module(network()).run(RASTER)), "counts=True"),
        (lambda: WeightNoise(-1), "noise of weights"),
    ],
)
def test_bad_input(make: Any, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        make()


def test_weights_are_clipped_to_the_threshold_behind_them() -> None:
    module = training.module(network(pool=True))
    with torch.no_grad():
        module.trained["conv", "weight"].mul_(10)
        module.trained["fc", "weight"].mul_(10)
    assert clip_weights(module) > 0
    assert module.trained["conv", "weight"].max() == 1
    assert module.trained["conv", "weight"].min() == -2.5
    assert module.trained["fc", "weight"].max() == 4


@pytest.mark.parametrize("view", ["weights", "thresholds"])
@pytest.mark.parametrize("brightest", [1.0, 255.0])
def test_what_one_event_adds_is_clipped_in_whatever_unit_weights_are(view: Any, brightest: float) -> None:
    """Each channel's own threshold, and of an input what one of its events stands for."""
    torch.manual_seed(0)
    net = torch.nn.Sequential(
        *(torch.nn.Conv2d(1, 4, 3), torch.nn.ReLU(), torch.nn.Conv2d(4, 6, 3), torch.nn.ReLU()),
        *(torch.nn.AvgPool2d(2), torch.nn.Flatten(), torch.nn.Linear(24, 3)),
    )
    x = (brightest * np.random.default_rng(0).random((40, 1, 8, 8))).astype(np.float32)
    conversion = sw.convert(sw.load(net.eval(), shape=(1, 8, 8)), x, "percentile:99,channels", view=view)
    graph = conversion.spiking
    event = graph["input"].event_value
    assert event == pytest.approx(brightest, rel=0.01)
    module = training.module(conversion)
    assert clip_weights(module) == {1.0: 18, 255.0: 3}[brightest]  # in both views
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.mul_(1e5)
    assert clip_weights(module) > 0
    assert clip_weights(module) == 0
    for name, population, times in (("0", "1", event), ("2", "3", 1.0)):
        threshold = np.broadcast_to(graph[population].threshold, len(graph[name].weight))
        highest = module.trained[name, "weight"].detach().amax((1, 2, 3)).numpy() * times
        positive = (graph[name].weight > 0).any((1, 2, 3))
        assert np.allclose(highest[positive], threshold[positive], rtol=1e-5)
    clip_weights(module, {"input": 4.0})  # of an encoder, whose word goes before that of the network
    most = 4 * module.trained["0", "weight"].detach().amax()
    assert most <= graph["1"].threshold.max() * (1 + 1e-6)


def test_thresholds_that_are_trained_stay_above_zero_in_their_own_unit() -> None:
    graph = network()
    graph = graph.with_nodes(
        [n.replace(threshold=np.array(1e-4 if n.name == "a" else 50.0)) if isinstance(n, IF) else n for n in graph]
    )
    module = training.module(graph, thresholds=True)
    keep_thresholds(module)
    assert module.trained["a", "threshold"].item() == pytest.approx(1e-4)
    with torch.no_grad():
        for label in "ab":
            module.trained[label, "threshold"].fill_(-1)
    keep_thresholds(module)
    assert module.trained["a", "threshold"].item() == pytest.approx(1e-7)
    assert module.trained["b", "threshold"].item() == pytest.approx(0.05)
    assert module.spiking()["a"].threshold > 0


def test_noise_is_there_in_training_only() -> None:
    module = training.module(network())
    module.stand_ins = (WeightNoise(0.1, seed=3),)
    one, two = module.run(RASTER).answer, module.run(RASTER).answer
    assert not torch.equal(one, two)
    module.eval()
    assert torch.equal(module.run(RASTER).answer, module.run(RASTER).answer)
    assert torch.equal(module.run(RASTER).answer, training.module(network()).run(RASTER).answer)


@pytest.mark.parametrize("threshold", [1.0, 1.75])
def test_the_integers_of_a_chip(threshold: float) -> None:
    """What runs is what the chip pass makes of the same parameters, and gradients go straight through."""
    graph = network(pool=True, v_min=None)
    own = np.array(threshold)
    graph = graph.with_nodes([n.replace(max_spikes=1, threshold=own) if isinstance(n, IF) else n for n in graph])
    module = training.module(graph)
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn_like(parameter))
    rounding = ChipRounding(module, "speck2f")
    found = rounding(module.trained)
    expected = _quantised(module.spiking())
    for name, population in (("conv", "a"), ("fc", "b")):
        layer, factor = expected[population]
        weights = layer.weights.reshape(module.trained[name, "weight"].shape)
        pooled = 4 if name == "fc" else 1
        there = found[name, "weight"].detach() / pooled / threshold
        np.testing.assert_allclose(there, weights / factor, rtol=1e-6)
        np.testing.assert_allclose(found[name, "bias"].detach() / threshold, layer.bias / factor, rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(found[population, "threshold"].detach() / threshold, layer.threshold / factor)
    module.stand_ins = (rounding,)
    module.run(RASTER).answer.sum().backward()
    rounded, exact = module.trained["fc", "bias"].grad, torch.ones(3)
    assert rounded is not None
    assert rounded.shape == exact.shape


def _quantised(graph: Graph) -> dict[str, Any]:
    from spikewright.chips.integers import integers_of
    from spikewright.chips.lowering import lower

    speck = chip("speck2f")
    made = integers_of(lower(graph, speck).checked(speck), speck)
    return {loss.layer: (made.network[loss.layer], loss.factor) for loss in made.losses}


def test_what_no_chip_computes_is_refused() -> None:
    nodes = [node for node in network() if node.name != "b"]
    nodes[-1] = nodes[-1].replace(inputs=("fc",))
    with pytest.raises(UnsupportedModelError, match="a chip only sends spikes"):
        ChipRounding(training.module(Graph(nodes)), "speck2f")
    with pytest.raises(SettingsError, match="take a Speck"):
        ChipRounding(training.module(network()), "akida_1_0")
    with pytest.raises(SettingsError, match="not thresholds"):
        ChipRounding(training.module(network(), thresholds=True), "speck2f")


def test_it_is_a_public_face() -> None:
    assert sw.training.module is training.module
