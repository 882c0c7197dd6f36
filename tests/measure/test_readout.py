"""Reading the answer over a window, from when on, and stopping when it is decided."""

import numpy as np
import pytest
import torch

import spikewright as sw
from spikewright.engines.readout import window_means
from spikewright.errors import SettingsError
from spikewright.experiment import readout_of
from spikewright.graph import Graph
from spikewright.measures.early_exit import ExitMeasure
from spikewright.nodes import Input, Linear, Output, ReLU

ENGINES = ("event", "reference")


def test_a_window_is_the_mean_of_its_steps() -> None:
    values = torch.rand(3, 7, 2, dtype=torch.float64)
    steps = torch.arange(1, 8).view(-1, 1)
    found = window_means(values.cumsum(1) / steps, 3)
    torch.testing.assert_close(found[:, :3], (values.cumsum(1) / steps)[:, :3])
    for t in range(4, 8):
        torch.testing.assert_close(found[:, t - 1], values[:, 3:t].mean(1))


def network(*last: torch.nn.Module) -> Graph:
    torch.manual_seed(1)
    layers = [torch.nn.Linear(6, 20), torch.nn.ReLU(), torch.nn.Linear(20, 3), *last]
    return sw.load(torch.nn.Sequential(*layers).eval(), shape=(6,))


X = np.random.default_rng(0).random((80, 6), np.float32)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("readout", ["potential", "count"])
def test_answers_over_a_window_are_those_of_its_steps(engine: str, readout: str) -> None:
    made = sw.convert(network(), X[:40], "max", readout=readout)
    plain, late = (sw.simulate(made, X[40:], 9, engine=engine, readout_from=t).output for t in (0, 4))
    np.testing.assert_array_equal(plain[:, :4], late[:, :4])
    steps = np.arange(1, 10)[:, None]
    sums = plain.astype(np.float64) * steps
    np.testing.assert_allclose(late[:, 4:], (sums[:, 4:] - sums[:, 3:4]) / (steps[4:] - 4), atol=1e-5)


def test_the_activation_comes_after_the_window() -> None:
    soft, hard = (sw.convert(network(*last), X[:40], "max") for last in ((torch.nn.Softmax(1),), ()))
    logits = torch.from_numpy(sw.simulate(hard, X[40:], 9, readout_from=4).output)
    found = sw.simulate(soft, X[40:], 9, readout_from=4).output
    np.testing.assert_allclose(found, logits.softmax(2).numpy(), atol=1e-5)


def test_windows_that_cannot_be() -> None:
    made = sw.convert(network(), X[:40], "max")
    with pytest.raises(SettingsError, match="read from timestep 4 on needs more than 4 timesteps, not 4: give more"):
        sw.simulate(made, X[40:], 4, readout_from=4)
    with pytest.raises(SettingsError, match="readout_from"):
        sw.RunSettings(readout_from=-1)
    with pytest.raises(SettingsError, match="readout_from='auto' is found on calibration data, and there are none"):
        readout_of(made, None, 8, "auto")
    with pytest.raises(SettingsError, match="an early exit is found on calibration data"):
        readout_of(made, None, 8, 0, 0.01)


def test_the_first_spikes_of_a_chain() -> None:
    """λ 1, activations 0.5 and 0.25: from half the threshold 1 and 2 steps, from zero 2 and 4."""
    half, zero = np.full((1, 1), 0.5, np.float32), np.zeros(1)
    graph = Graph(
        [
            Input(name="x", shape=(1,)),
            Linear(name="one", inputs=("x",), weight=half, bias=zero),
            ReLU(name="a", inputs=("one",)),
            Linear(name="two", inputs=("a",), weight=half, bias=zero),
            ReLU(name="b", inputs=("two",)),
            Linear(name="out", inputs=("b",), weight=half, bias=zero),
            Output(name="y", inputs=("out",)),
        ]
    )
    x = np.ones((5, 1), np.float32)
    for v_init, expected in ((0.5, 3), (0.0, 6), (1.0, 0)):
        made = sw.convert(graph, {"a": np.asarray(1.0), "b": np.asarray(1.0)}, neurons=f"v_init={v_init}")
        assert sw.readout_start(made, x) == expected
        assert readout_of(made, x, 8, "auto") == (min(expected, 4), None)  # at least four steps are read
        assert readout_of(made, x, 4, "auto") == (0, None)


def test_a_margin_is_chosen_on_calibration_data_and_measured_on_others() -> None:
    graph = network()
    made = sw.convert(graph, X[:40], "max")
    settings = sw.RunSettings(16)
    rules = [sw.choose_exit(made, X[:40], loss, settings) for loss in (0.0, 0.1, 0.5)]
    assert [rule.samples for rule in rules] == [40] * 3
    assert rules[0].margin >= rules[1].margin >= rules[2].margin
    outputs = sw.simulate(made, X[40:], 16).output
    labels = outputs[:, -1].argmax(1)
    for rule in rules:
        found = sw.measure(made, (X[40:], labels), settings=settings, early_exit=rule).early_exit
        assert found == by_hand(outputs, rule)
        assert found is not None
        assert found.timesteps <= 16
    on_calibration = by_hand(sw.simulate(made, X[:40], 16).output, rules[1])
    assert on_calibration.changed <= 0.1
    assert on_calibration.timesteps < 16
    text = str(sw.measure(made, (X[40:], labels), settings=settings, early_exit=rules[1]))
    assert "chosen on 40 samples of calibration" in text


def by_hand(outputs: np.ndarray, rule: sw.EarlyExit) -> ExitMeasure:
    """Sample by sample."""
    stops, changed = [], 0
    for answers in outputs:
        for t, row in enumerate(answers, 1):
            first, second = sorted(row.astype(np.float64))[::-1][:2]
            if np.float32(t * (first - second)) >= rule.margin or t == len(answers):
                break
        stops.append(t)
        changed += row.argmax() != answers[-1].argmax()
    share = float(changed / len(outputs))
    return ExitMeasure(rule, float(np.mean(stops)), 1 - share, share)


@pytest.mark.parametrize("last", [torch.nn.Softmax(1), torch.nn.LogSoftmax(1)])
def test_margins_do_not_depend_on_a_softmax(last: torch.nn.Module) -> None:
    settings = sw.RunSettings(12)
    plain, soft = (sw.convert(network(*end), X[:40], "max") for end in ((), (last,)))
    one, other = (sw.choose_exit(made, X[:40], 0.1, settings) for made in (plain, soft))
    assert other.margin == pytest.approx(one.margin, rel=1e-3)


def test_answers_that_decide_nothing_have_no_early_exit() -> None:
    made, plain = (sw.convert(network(), X[:40], "max", task=task) for task in ("regression", None))
    with pytest.raises(SettingsError, match="'output' is regression"):
        sw.choose_exit(made, X[:40], 0.1, sw.RunSettings(4))
    with pytest.raises(SettingsError, match="0 or more and below 1, not 1"):
        sw.choose_exit(plain, X[:40], 1, sw.RunSettings(4))
    with pytest.raises(SettingsError, match="the margin of an early exit"):
        sw.EarlyExit(-1.0)
