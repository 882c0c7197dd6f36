"""Surrogate gradients against tables that sinabs 3.1.3, SpikingJelly 2.0.0 and snnTorch 1.0.0 gave."""

import json
from pathlib import Path

import pytest
import torch

from spikewright.errors import SettingsError
from spikewright.training.surrogates import InThresholds, surrogate, surrogates

FACTS = json.loads((Path(__file__).parent / "facts.json").read_text())
SINABS = ["Heaviside", "Gaussian", "MultiGaussian", "SingleExponential", "PeriodicExponential"]
NAMES = {"MultiGaussian": "multi_gaussian", "SingleExponential": "single_exponential"}
NAMES["PeriodicExponential"] = "periodic_exponential"


def slopes(text: str, v: list[float], threshold: float) -> torch.Tensor:
    return surrogate(text).slope(torch.tensor(v, dtype=torch.float64), torch.tensor(threshold, dtype=torch.float64))


def assert_equal(found: torch.Tensor, expected: list[float]) -> None:
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64), rtol=0, atol=1e-6)


@pytest.mark.parametrize("threshold", [1, 2])
@pytest.mark.parametrize("name", SINABS)
def test_sinabs(name: str, threshold: int) -> None:
    expected = FACTS[f"sinabs, threshold {threshold}"][name]
    assert_equal(slopes(NAMES.get(name, name.lower()), FACTS["v"], threshold), expected)


@pytest.mark.parametrize(
    ("text", "name"), [("sigmoid", "Sigmoid"), ("atan", "ATan"), ("triangle", "PiecewiseQuadratic")]
)
def test_spikingjelly(text: str, name: str) -> None:
    assert_equal(slopes(text, [x + 1.5 for x in FACTS["x"]], 1.5), FACTS["spikingjelly"][name])


@pytest.mark.parametrize("text", ["fast_sigmoid", "atan:alpha=2", "sigmoid:alpha=25"])
def test_snntorch(text: str) -> None:
    table = FACTS["snntorch"]["snntorch"]
    assert_equal(slopes(text, [x + 1 for x in table["x"]], 1), table[text.partition(":")[0]]["grad"])


def test_far_from_the_threshold_nothing_overflows() -> None:
    for name in surrogates():
        assert torch.isfinite(slopes(name, [-1e4, -300, 300, 1e4], 1)).all(), name


@pytest.mark.parametrize("name", sorted(surrogates()))
def test_texts_parse_back(name: str) -> None:
    value = surrogate(name)
    assert str(value) == name
    assert surrogate(str(value)) == value
    assert surrogate(value) is value


def test_settings_in_texts() -> None:
    assert str(surrogate("ATan:alpha=3")) == "atan:alpha=3"
    assert str(surrogate("multi_gaussian:h=0.2,sigma=0.4")) == "multi_gaussian:sigma=0.4,h=0.2"
    assert surrogate("atan:alpha=2") == surrogate("atan")
    assert set(surrogates()) == {
        *("atan", "sigmoid", "fast_sigmoid", "triangle", "heaviside", "gaussian"),
        *("multi_gaussian", "single_exponential", "periodic_exponential"),
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("arctan", "unknown surrogate gradient 'arctan'; choose one of atan, fast_sigmoid"),
        ("atan:beta=2", "atan: unknown option 'beta=2'; it has alpha"),
        ("atan:alpha=0", "atan: alpha must be a positive number, not 0"),
        ("triangle:alpha=-1", "triangle: alpha must be a positive number, not -1"),
        ("atan:alpha=two", "atan: alpha takes a number, not 'two'"),
        (3, "a surrogate gradient is a text like 'atan:alpha=2' or a value like Atan"),
    ],
)
def test_bad_texts(text: str, message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        surrogate(text)
    assert message in str(caught.value)


def test_in_units_of_the_threshold_nothing_depends_on_it() -> None:
    v = torch.linspace(-1, 3, 41, dtype=torch.float64)
    one, four = torch.ones((), dtype=torch.float64), torch.full((), 4.0, dtype=torch.float64)
    for name in surrogates():
        relative = InThresholds(surrogate(name))
        torch.testing.assert_close(relative.slope(4 * v, four) * 4, surrogate(name).slope(v, one))
