"""Pairs of initial potential and bias: the least squared error of what neurons send, channel by channel."""

import numpy as np
import pytest
import torch
from torch import nn

from spikewright.conversion import Conversion, from_scales
from spikewright.corrections import Given
from spikewright.corrections.correcting import correct
from spikewright.corrections.v_init_and_bias import least, some_of, squared_error
from spikewright.data import as_dataset
from spikewright.forward import run
from spikewright.loading import load
from spikewright.nodes import IF, ReLU
from spikewright.preparation import prepare
from spikewright.timesteps import Timesteps

SAMPLES = np.random.default_rng(1).random((48, 1, 10, 10)).astype(np.float32)


@pytest.fixture(scope="module")
def conversion() -> Conversion:
    torch.manual_seed(5)
    layers = (nn.Conv2d(1, 6, 3), nn.ReLU(), nn.Conv2d(6, 6, 3, groups=3), nn.ReLU(), nn.Flatten(), nn.Linear(216, 4))
    graph, _ = prepare(load(nn.Sequential(*layers).eval(), shape=(1, 10, 10)))
    names = [node.name for node in graph.of_type(ReLU)]
    found = run(graph, SAMPLES, keep=names)
    return from_scales(graph, {name: np.asarray(0.7 * found[name].max()) for name in names})


def errors(conversion: Conversion, timesteps: int) -> list[float]:
    """The squared error of the counts of each population."""
    found = []
    for layer in Given(conversion, as_dataset(SAMPLES), Timesteps(timesteps, timesteps)).walk():
        if isinstance(layer.node, IF):
            zero = np.zeros(layer.shape[0])
            found.append(float(squared_error(layer, some_of(layer), layer.node, zero, (timesteps,)).sum()))
    return found


def test_counts_come_nearer_than_by_means(conversion: Conversion):
    pair, mean = (correct(conversion, SAMPLES, text) for text in ("v_init_and_bias:4", "v_init:4"))
    assert all(ours < theirs for ours, theirs in zip(errors(pair, 4), errors(mean, 4), strict=True))


def test_nothing_but_potentials_and_biases_changes(conversion: Conversion):
    corrected = correct(conversion, SAMPLES, "v_init_and_bias:2..8").spiking
    for node in conversion.spiking:
        after = corrected[node.name]
        kept = {label: array for label, array in node.arrays.items() if label not in ("v_init", "bias")}
        assert all(np.array_equal(array, after.arrays[label]) for label, array in kept.items())
    assert all(node.v_init.shape == (6,) for node in corrected.of_type(IF))


def test_the_squared_error_is_that_of_the_definition(conversion: Conversion):
    first = next(iter(Given(conversion, as_dataset(SAMPLES), Timesteps(3, 3)).walk()))
    current = run(conversion.normalised, SAMPLES, keep=[first.node.inputs[0]])[first.node.inputs[0]].astype(np.float64)
    bias = np.linspace(-0.1, 0.1, 6)
    v, sent = np.full_like(current, 0.5), np.zeros_like(current)
    for _ in range(3):
        v = v + current + bias[:, None, None]
        spikes = v >= 1
        v, sent = v - spikes, sent + spikes
    expected = ((sent - 3 * np.maximum(current, 0)) ** 2).sum(axis=(0, 2, 3)) / 3
    assert squared_error(first, some_of(first), first.node, bias, (3,)) == pytest.approx(expected, rel=1e-3)


def test_the_least_is_found_channel_by_channel():
    goal = np.array([[-0.5, 0.125], [0.75, 0.0], [0.0, 0.0]])

    def error(v_init: np.ndarray, bias: np.ndarray) -> np.ndarray:
        return (v_init - goal[:, 0]) ** 2 + (bias - goal[:, 1]) ** 2

    v_init, bias = least(error, 3, 0.25)
    assert np.allclose(v_init, goal[:, 0])
    assert np.allclose(bias, goal[:, 1], atol=0.0625), "as near as the finest step"
    assert np.array_equal(least(error, 3, 0.0)[1], np.zeros(3)), "no bias where there is none to change"
