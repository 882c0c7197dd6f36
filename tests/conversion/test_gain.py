"""The gain of the first layer: what the guide of Sinabs does to weights, with the answers in their unit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import spikewright as sw
from networks import Builder, plain, residual
from spikewright.errors import SettingsError
from spikewright.forward import run
from spikewright.graph import Graph
from spikewright.nodes import Conv, Flatten, Linear, Output, ReLU


def without_biases() -> tuple[Graph, np.ndarray]:
    """Two convolutions and a linear layer, no biases anywhere, as networks for Speck are trained."""
    b = Builder(3, (2, 6, 6))
    for _ in range(2):
        b.conv(5)
        b.add(ReLU(name=b.name("relu"), inputs=(b.at,)))
    b.add(Flatten(name="flat", inputs=(b.at,)))
    b.linear(4)
    b.add(Output(name="output", inputs=(b.at,)))
    nodes = [
        n.replace(bias=np.zeros_like(n.bias)) if isinstance(n, Conv | Linear) and n.bias is not None else n
        for n in b.nodes
    ]
    return Graph(nodes), b.samples(12)


@pytest.mark.parametrize("spikes", ["spikes=single", "spikes=multi"])
@pytest.mark.parametrize("view", ["weights", "thresholds"])
def test_without_biases_it_is_the_first_layers_weights_times_the_gain(spikes: str, view: str) -> None:
    graph, x = without_biases()
    plain_one = sw.convert(graph, x, "max", neurons=spikes, view="weights")
    first = next(node for node in plain_one.spiking if isinstance(node, Conv))
    by_hand = plain_one.spiking.replaced(first.replace(weight=4 * first.weight))
    gained = sw.correct(sw.convert(graph, x, "max", neurons=spikes, view=view), x, "gain:4")  # type: ignore[arg-type]
    one = sw.simulate(gained, x, 8, record="spikes", engine="reference", dtype="float64")
    other = sw.simulate(by_hand, x, 8, record="spikes", engine="reference", dtype="float64")
    for name in other.spikes:
        np.testing.assert_array_equal(one.spikes[name], other.spikes[name])
    np.testing.assert_allclose(4 * one.output, other.output, rtol=1e-4, atol=1e-4)  # in the unit of the trained network


@pytest.mark.parametrize("build", [plain, residual])
def test_the_function_stays(build: Callable[[int], Builder]) -> None:
    """With biases too: by many spikes a step answers go to those of the trained network, by finer steps."""
    b = build(1)
    graph, x = b.graph(), b.samples(10)
    made = sw.convert(graph, x, "max", neurons="spikes=multi")
    gained = sw.correct(made, x, "gain:8")
    np.testing.assert_allclose(
        run(gained.normalised, x)["output"], run(gained.folded, x)["output"], rtol=1e-3, atol=1e-3
    )
    wanted = run(made.folded, x)["output"]
    errors = [np.abs(sw.simulate(one, x, 16).output[:, -1] - wanted).mean() for one in (made, gained)]
    assert errors[1] < errors[0] / 3
    rates = [sw.measure(one, x, 16, quiet=True, allow_overlap=True).firing_rate for one in (made, gained)]
    assert 6 < rates[1] / rates[0] < 9


def test_it_is_remembered_and_stored(tmp_path: Path) -> None:
    b = plain(1)
    gained = sw.correct(sw.convert(b.graph(), b.samples(10), "max"), b.samples(10), "gain:2.5")
    assert [str(one) for one in gained.corrections] == ["gain:factor=2.5"]
    assert not gained.changed
    assert not len(gained.calibration.corrected)  # it looks at no samples
    sw.save(gained, tmp_path / "gained.safetensors")
    assert sw.load(tmp_path / "gained.safetensors") == gained


def test_inputs_keep_what_an_event_stands_for() -> None:
    b = plain(1)
    made = sw.convert(b.graph(), b.samples(10), "max")
    gained = sw.correct(made, b.samples(10), "gain:2")
    assert gained.scales["input"] == made.scales["input"]
    populations = [name for name in made.scales if name != "input"]
    assert all((gained.scales[name] == made.scales[name] / 2).all() for name in populations)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("gain:0", "gain: the factor must be above 0, not 0"),
        ("gain:-1", "gain: the factor must be above 0"),
        ("gain:nan", "gain: factor must be a finite number"),
        ("gain:inf", "gain: factor must be a finite number"),
        ("gain:x", "gain: factor takes a number, not 'x'|unknown option"),
        ("gain:2,timesteps=4..16", "gain: it is the same for every T"),
    ],
)
def test_a_gain_is_a_number_above_zero(text: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        sw.corrector(text)
    assert str(sw.corrector("gain:2.5")) == "gain:2.5"


def test_it_comes_before_what_is_made_for_its_rates() -> None:
    b = plain(1)
    made = sw.convert(b.graph(), b.samples(10), "max")
    once = sw.correct(made, b.samples(10), "gain:2")
    with pytest.raises(SettingsError, match="the gain comes first: gain was made for other rates"):
        sw.correct(once, b.samples(10), "gain:2")
    node = made.spiking[made.spiking.populations[0].name]
    by_hand = made.with_spiking(made.spiking.replaced(node.replace(v_init=0.1)))
    with pytest.raises(SettingsError, match="the gain comes first: a change by hand"):
        sw.correct(by_hand, b.samples(10), "gain:2")


def test_where_all_was_trained_in_steps_it_changes_nothing() -> None:
    b = Builder(1, (3,))
    b.linear(5)
    b.add(ReLU(name="relu", inputs=(b.at,), ceiling=2.0, levels=4, shift=0.5))
    b.linear(2)
    b.add(Output(name="output", inputs=(b.at,)))
    made = sw.convert(Graph(b.nodes), b.samples(10), "max")
    with pytest.raises(SettingsError, match="gain:3 changes nothing"):
        sw.correct(made, b.samples(10), "gain:3")
