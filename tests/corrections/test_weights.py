"""The corrector that trains: less error in what neurons send, weights alone changed, the same for the same seed."""

import numpy as np
import pytest
import torch
from torch import nn

from spikewright.conversion import Conversion, from_scales
from spikewright.corrections import Given, corrector
from spikewright.corrections.correcting import correct
from spikewright.corrections.weights import Trial, Weights
from spikewright.data import as_dataset
from spikewright.engines import simulate
from spikewright.errors import SettingsError
from spikewright.forward import run
from spikewright.loading import load
from spikewright.nodes import IF, ReLU
from spikewright.preparation import prepare
from spikewright.timesteps import Timesteps


class Branches(nn.Module):
    """A strided, a depthwise, a grouped convolution, an Add of two branches, an average pool and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.strided = nn.Conv2d(1, 8, 3, stride=2, padding=1)
        self.depthwise = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.grouped = nn.Conv2d(8, 8, 1, groups=2)
        self.linear = nn.Linear(8 * 9, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.strided(x))
        x = torch.relu(self.grouped(torch.relu(self.depthwise(x))) + x)
        return self.linear(torch.flatten(nn.functional.avg_pool2d(x, 2), 1))


SAMPLES = np.random.default_rng(0).random((64, 1, 12, 12)).astype(np.float32)


def with_largest(network: nn.Module, samples: np.ndarray, lam: float | None = None, neurons: str = "") -> Conversion:
    """A conversion by the largest activations, or by one λ for all."""
    graph, _ = prepare(load(network.eval(), shape=samples.shape[1:]))
    names = [node.name for node in graph.of_type(ReLU)]
    found = run(graph, samples, keep=names)
    return from_scales(graph, {name: np.asarray(lam or 0.8 * found[name].max()) for name in names}, neurons=neurons)


@pytest.fixture(scope="module")
def conversion() -> Conversion:
    torch.manual_seed(3)
    return with_largest(Branches(), SAMPLES)


def loss(conversion: Conversion, timesteps: int) -> float:
    """The squared difference of the answers from the analog network's."""
    analog = run(conversion.folded, SAMPLES)["output"]
    spiking = simulate(conversion, SAMPLES, timesteps, engine="reference", quiet=True).output[:, -1]
    return float(((spiking - analog) ** 2).mean())


def test_answers_come_nearer_and_only_weights_change(conversion: Conversion):
    corrected = correct(conversion, SAMPLES, "weights:4,rounds=40")
    assert loss(corrected, 4) < 0.6 * loss(conversion, 4)
    before, after = conversion.spiking, corrected.spiking
    assert before.shapes == after.shapes
    assert all(after[name].weighted for name in corrected.changed)
    assert all(node.alike(before[node.name]) for node in after.of_type(IF))


def test_a_range_is_better_at_each_of_its_timesteps(conversion: Conversion):
    corrected = correct(conversion, SAMPLES, "weights:2..8,rounds=40")
    for timesteps in (2, 4, 8):
        assert loss(corrected, timesteps) < loss(conversion, timesteps)


@pytest.mark.parametrize("neurons", ["schedule=layered", "schedule=few_spike"])
def test_windows_are_corrected_for_what_they_round(neurons: str):
    torch.manual_seed(3)
    conversion = with_largest(Branches(), SAMPLES, neurons=neurons)
    corrected = correct(conversion, SAMPLES, "weights:3,rounds=40")
    assert loss(corrected, 3) < 0.8 * loss(conversion, 3)
    assert all(corrected.spiking[name].weighted for name in corrected.changed)


def test_the_same_seed_gives_the_same_weights(conversion: Conversion):
    once, again, other = (correct(conversion, SAMPLES, Weights(rounds=3), seed=seed) for seed in (0, 0, 1))
    assert once.spiking.fingerprint == again.spiking.fingerprint != other.spiking.fingerprint


@pytest.mark.parametrize(
    ("neurons", "gradient"),
    [
        # 4 steps of 0.4 and a half to begin with make 2 spikes, 1.6 are wanted: an error of 0.4, a slope of 4, over T
        ("", [0, 0.4, 0, 0]),
        # 9 spikes of 12 at most, 9.2 are wanted
        ("spikes=3", [0, 0.4, -0.2, 0]),
        # a window is one step with 4 times the input, of 4 spikes at most
        ("layered", [0, 0.4 * 4, 0, 0]),
        # with 16 times the input, of 15 spikes at most: 6, where 6.4 are wanted
        ("few_spike", [0, -0.4 * 16, 0, 0]),
    ],
)
def test_the_slope_is_one_between_no_spike_and_all_of_them_and_zero_outside(neurons: str, gradient: list[float]):
    network = nn.Sequential(nn.Linear(1, 4, bias=False), nn.ReLU(), nn.Linear(4, 1))
    weights = [-2.0, 0.4, 2.3, 4.0]
    with torch.no_grad():
        network[0].weight[:, 0] = torch.tensor(weights)
    x = np.ones((2, 1), np.float32)
    found = with_largest(network, x, 1.0, neurons)
    walk = Given(found, as_dataset(x, found.spiking.inputs), Timesteps(4, 4)).walk()
    layer = next(iter(walk))
    wanted = walk.units * torch.tensor(weights).relu().expand(2, 4)
    assert torch.allclose(layer.rows(slice(0, 2)), wanted)
    trial = Trial(layer, [node for node in layer.operators if node.weighted], (walk.timesteps,))
    trial.loss(torch.arange(2)).backward()
    ((_, parameter),) = [(k, p) for k, p in trial.parameters.items() if k[1] == "weight"]
    assert parameter.grad.flatten().tolist() == pytest.approx(gradient, abs=1e-5)


@pytest.mark.parametrize(
    "text", ["weights:rounds=-1", "weights:rounds=0,fitting=0", "weights:rate=0", "weights:rate=2"]
)
def test_settings_outside_their_domain_are_refused(text: str):
    with pytest.raises(SettingsError, match="weights: fitting and rounds must be 0 or more, not 0 both"):
        corrector(text)


def test_its_text_reads_back():
    assert str(corrector("weights:4..16,rounds=20")) == "weights:4..16,rounds=20"
