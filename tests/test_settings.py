"""Settings of a wrong type or outside their domain: one error that names them, whatever the function."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

import spikewright as sw
from networks import plain
from spikewright.calibration import Max, Percentile, Scale
from spikewright.conversion import Neurons
from spikewright.data import Preprocessing
from spikewright.encoders.poisson import Poisson
from spikewright.errors import GraphError, SettingsError
from spikewright.graph import Graph
from spikewright.nodes import IF, ReLU
from spikewright.settings import LARGEST, digits, fits, whole

BUILDER = plain(3)
X = BUILDER.samples(4)


def scales(graph: Graph) -> dict[str, Any]:
    return sw.calibrate(sw.prepare(graph)[0], X, [Max()]).scales(Max())


def converted(**options: Any) -> sw.Conversion:
    graph = BUILDER.graph()
    return sw.convert(graph, scales(graph), **options)


REFUSED: list[tuple[Callable[[], Any], str]] = [
    (lambda: Neurons(max_spikes="x"), "max_spikes must be a whole number or None, not 'x'"),  # type: ignore[arg-type]
    (lambda: Neurons(max_spikes=0), "max_spikes must be 1 or more, or None, not 0"),
    (lambda: Neurons(max_spikes=True), "max_spikes must be a whole number or None, not True"),
    (lambda: Neurons(reset="Subtract"), "reset must be 'subtract' or 'zero', not 'Subtract'"),  # type: ignore[arg-type]
    (lambda: Neurons(v_init="a"), "v_init must be a finite number, not 'a'"),  # type: ignore[arg-type]
    (lambda: Neurons(v_init=float("nan")), "v_init must be a finite number, not nan"),
    (lambda: Neurons(v_min=0.5), "v_min must be 0 or below, or None, not 0.5"),
    (lambda: Neurons(leak=2), r"leak must be in \[0, 1\], not 2"),
    (lambda: Neurons(horizon=-1), "horizon must be 1 to 65,536 timesteps, not -1"),
    (lambda: Neurons(horizon=1.5), "horizon must be a whole number, not 1.5"),  # type: ignore[arg-type]
    (lambda: Neurons(max_pool=["x"]), "max_pool must be 'count_max'"),  # type: ignore[arg-type]
    (lambda: converted(view=3), "view must be 'weights' or 'thresholds', not 3"),
    (lambda: converted(readout=None), "readout must be 'potential' or 'count', not None"),
    (lambda: converted(neurons="IF"), "neurons: unknown setting 'IF'; there are reset=, spikes="),
    (lambda: converted(neurons=3), r"neurons must be Neurons, their text .* or NeuronsByPopulation.* not int"),
    (lambda: Percentile("a"), "percentile must be a finite number, not 'a'"),  # type: ignore[arg-type]
    (lambda: Percentile(99.9, channels="yes"), "channels must be True or False"),  # type: ignore[arg-type]
    (lambda: Percentile(float("nan")), "percentile must be a finite number, not nan"),
    (lambda: Scale(None), "factor must be a finite number, not None"),  # type: ignore[arg-type]
    (lambda: Max(channels=2), "channels must be True or False, not 2"),  # type: ignore[arg-type]
    (lambda: Poisson("x"), "scale must be positive and finite, not x"),  # type: ignore[arg-type]
    (lambda: Poisson(seed=1.5), "seed must be a whole number, not 1.5"),  # type: ignore[arg-type]
    (lambda: Preprocessing(scale="1/255"), "scale must be a finite number, not '1/255'"),  # type: ignore[arg-type]
    (lambda: Preprocessing(mean=(None,)), "mean must be a row of finite numbers"),  # type: ignore[arg-type]
    (lambda: sw.simulate(converted(), X, "8"), "timesteps must be a whole number, not '8'"),  # type: ignore[arg-type]
    (lambda: sw.simulate(converted(), X, 2.5), "timesteps must be a whole number, not 2.5"),  # type: ignore[arg-type]
    (lambda: sw.simulate(converted(), X, 0), "timesteps must be 1 or more, not 0"),
    (lambda: sw.simulate(converted(), X, 2, batch_size=None), "batch_size must be a whole number"),  # type: ignore[arg-type]
    (lambda: sw.simulate(converted(), X, 2, record=(3,)), "record takes names"),  # type: ignore[arg-type]
    (lambda: sw.simulate(converted(), X, 2, encoder=3), "an encoder is"),  # type: ignore[arg-type]
    (lambda: sw.calibrate(BUILDER.graph(), X, [3]), "a threshold method is"),  # type: ignore[list-item]
    (lambda: sw.calibrate(BUILDER.graph(), X, batch_size=0), "batch_size must be 1 or more"),
]


@pytest.mark.parametrize(("make", "said"), REFUSED, ids=[said[:40] for _, said in REFUSED])
def test_wrong_settings(make: Callable[[], Any], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        make()


def test_numpy_numbers_and_whole_floats_are_welcome() -> None:
    neurons = Neurons(max_spikes=np.int64(3), v_init=np.float32(0.5), leak=1)  # type: ignore[arg-type]
    assert neurons == Neurons(max_spikes=3)
    assert type(neurons.max_spikes) is int
    assert sw.simulate(converted(), X, 4.0).timesteps == 4  # type: ignore[arg-type]
    assert whole("n", np.int32(7)) == 7
    assert Preprocessing(mean=[0.1, 0.2]).mean == (0.1, 0.2)  # type: ignore[arg-type]


def test_weights_whose_sums_overflow() -> None:
    graph = BUILDER.graph()
    found = scales(graph)
    name = graph.of_type(ReLU)[0].name
    with pytest.raises(GraphError, match=r"reaches .* once scaled, and sums of it would overflow"):
        sw.convert(graph, {**found, name: np.asarray(1e-34)})


def test_what_fits() -> None:
    assert fits(10**400, float) is False
    assert fits(True, int) is False
    assert fits(None, float | None)
    assert fits({"a": [1]}, dict[str, list[int]])
    assert not fits({"a": ["1"]}, dict[str, list[int]])


@pytest.mark.parametrize("text", ["²", "٣", "1_0", "-1", "+1", " 1", "1.0", "", "2147483648", "9" * 5000])
def test_digits_that_are_none(text: str) -> None:
    assert digits(text) is None


def test_digits() -> None:
    assert [digits(text) for text in ("0", "007", "2147483647")] == [0, 7, LARGEST]


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ((1, 2.5), r"shape is that of one sample, such as \(1, 28, 28\), not '\(1, 2.5\)'"),
        ((1, 0), "shape is that of one sample"),
        ((True, 2), "shape is that of one sample"),
        (7, "shape is that of one sample"),
        ((10**20,), "a sample has at most 2,147,483,648 values"),
        ((2**16, 2**16), "a sample has at most 2,147,483,648 values"),
    ],
)
def test_shapes_that_are_none(shape: object, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        sw.load("nowhere.onnx", shape=shape)  # type: ignore[arg-type]


def test_shapes_of_other_numbers() -> None:
    module = torch.nn.Linear(4, 2)
    assert sw.load(module, shape=(4.0,), verify=False).sample_shape == (4,)  # type: ignore[arg-type]
    assert sw.load(module, shape=np.array([4]), verify=False).sample_shape == (4,)  # type: ignore[arg-type]


def test_more_spikes_than_a_count_holds() -> None:
    """The reference engine ended in an OverflowError, the event engine took 2^31 - 1 in silence."""
    one = np.ones(())
    node = IF(name="n", inputs=("x",), threshold=one, v_init=one, max_spikes=LARGEST)
    assert node.max_spikes == LARGEST
    with pytest.raises(SettingsError, match="max_spikes must be a whole number, 1 to 2,147,483,647, or None, not 100"):
        replace(node, max_spikes=10**30)
