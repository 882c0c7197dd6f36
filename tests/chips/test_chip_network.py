"""A network of cores: shapes, memory and synaptic operations, against the data sheet's formulas and plain counting."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikewright.chips.network import ChipInput, ChipLayer, ChipNetwork, Destination, Readout
from spikewright.errors import GraphError, SettingsError

FACTS = json.loads((Path(__file__).parent / "speck.json").read_text())
SHAPES = {  # of the fact table's examples: input channels, output channels, kernel, padding, side of the map, bias
    "conv 2->16 k3 p1, 64x64": (2, 16, 3, 1, 64, 0),
    "conv 1->32 k3, 28x28 -> 26x26": (1, 32, 3, 0, 28, 0),
    "conv 32->32 k3 p1, 14x14": (32, 32, 3, 1, 14, 0),
    "conv 20->32 k5, 12x12 -> 8x8": (20, 32, 5, 0, 12, 0),
    "conv 2->16 k2, 34x34 -> 33x33": (2, 16, 2, 0, 34, 0),
    "conv 64->65 k3 p1, 8x8": (64, 65, 3, 1, 8, 0),
    "linear 32*7*7 -> 10 (as conv 7x7)": (32, 10, 7, 0, 7, 0),
    "linear 128 -> 500 with bias": (128, 500, 1, 0, 1, 1),
    "conv 16->32 k3 p1, 64x64": (16, 32, 3, 1, 64, 0),
}


def layer(name: str = "layer", sources: tuple[str, ...] = ("input",), **fields: object) -> ChipLayer:
    made = {"input_shape": (1, 4, 4), "weights": np.ones((2, 1, 3, 3)), **fields}
    return ChipLayer(name=name, sources=sources, **made)  # type: ignore[arg-type]


@pytest.mark.parametrize("example", FACTS["memory"], ids=lambda example: example["layer"])
def test_memory_is_that_of_the_data_sheet(example: dict[str, object]) -> None:
    inputs, outputs, kernel, padding, side, bias = SHAPES[str(example["layer"])]
    own = layer(
        input_shape=(inputs, side, side),
        weights=np.ones((outputs, inputs, kernel, kernel)),
        padding=(padding, padding),
        bias=np.ones(outputs) if bias else None,
    )
    assert (own.kernel_words, own.neuron_words) == (example["kernel"], example["neuron"])
    assert own.bias_words == (outputs if bias else 0)


def test_a_bias_of_zeros_is_none() -> None:
    assert layer(bias=np.zeros(2)).bias_words == 0


@given(st.data())
def test_fan_out_is_what_one_event_reaches(data: st.DataObject) -> None:
    kernel, rows, columns = (data.draw(st.integers(1, 5)) for _ in range(3))
    stride = data.draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    padding = data.draw(st.tuples(st.integers(0, 3), st.integers(0, 3)))
    if min(rows + 2 * padding[0], columns + 2 * padding[1]) < kernel:
        return
    shape = (2, rows, columns)
    own = layer(input_shape=shape, weights=np.ones((3, 2, kernel, kernel)), stride=stride, padding=padding)
    counted = np.zeros((rows, columns), int)
    channels, height, width = own.output_shape
    for y in range(height):
        for x in range(width):
            for ky in range(kernel):
                for kx in range(kernel):
                    row, column = y * stride[0] - padding[0] + ky, x * stride[1] - padding[1] + kx
                    if 0 <= row < rows and 0 <= column < columns:
                        counted[row, column] += channels
    assert np.array_equal(own.fan_out(), counted)
    assert own.macs == 2 * counted.sum()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"weights": np.ones((2, 1, 3, 2))}, "weights are (out, in, kernel, kernel), not (2, 1, 3, 2)"),
        ({"weights": np.ones((2, 3, 3, 3))}, "do not fit an input of (1, 4, 4)"),
        ({"bias": np.ones(3)}, "a bias of (3,) does not fit weights (2, 1, 3, 3)"),
        ({"input_shape": (1, 2, 4)}, "a kernel of 3 does not fit in a padded input of (1, 2, 4)"),
        ({"v_init": np.ones((2, 1, 2))}, "v_init (2, 1, 2) fits no map of (2, 2, 2)"),
        ({"weights": np.full((2, 1, 3, 3), np.nan)}, "its weights hold NaN or infinity"),
        ({"bias": np.full(2, np.inf)}, "its bias hold NaN or infinity"),
        ({"threshold": np.inf}, "its threshold hold NaN or infinity"),
        ({"v_init": np.nan}, "its v_init hold NaN or infinity"),
        ({"v_min": -np.inf}, "its v_min hold NaN or infinity"),
        ({"threshold": 0}, "its threshold must be positive, not 0"),
        ({"reset": "none"}, "reset must be 'subtract' or 'zero', not 'none'"),
        ({"stride": (0, 1)}, "stride and decimator are 1 or more"),
    ],
)
def test_what_does_not_fit_together_is_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises((GraphError, SettingsError)) as refused:
        layer(**fields)
    assert message in str(refused.value)


def network(*to: Destination, **fields: object) -> ChipNetwork:
    inputs = (ChipInput("input", (1, 4, 4), to),)
    return ChipNetwork(inputs, (layer(),), **fields)  # type: ignore[arg-type]


def test_what_is_sent_must_fit_where_it_arrives() -> None:
    assert network(Destination("layer")).sender("input").output_shape == (1, 4, 4)
    with pytest.raises(GraphError, match=r"'input' sends \(1, 2, 2\), shifted by 0, to layer 'layer', which takes"):
        network(Destination("layer", pool=2))
    with pytest.raises(GraphError, match="shifted by 1"):
        network(Destination("layer", feature_shift=1))
    with pytest.raises(GraphError, match="'input' sends to 'other', which is no layer behind it"):
        network(Destination("layer"), Destination("other"))
    with pytest.raises(GraphError, match=r"layer 'layer': its sources are \('input',\), but \(\) send to it"):
        network()
    with pytest.raises(GraphError, match="reads neurons that layer 'layer' does not have"):
        network(Destination("layer"), readout=(Readout("output", "layer", (8,)),))
    with pytest.raises(SettingsError, match="a destination has a pool of 1 or more"):
        Destination("layer", pool=0)


def test_names_are_unique_and_layers_stand_behind_what_they_hear() -> None:
    with pytest.raises(GraphError, match="two layers or inputs have the name 'layer'"):
        ChipNetwork((ChipInput("layer", (1, 4, 4), ()),), (layer(sources=()),))
    late = layer("late", input_shape=(2, 2, 2), weights=np.ones((1, 2, 1, 1)), sources=("early",))
    early = layer("early", sources=(), destinations=(Destination("late"),))
    assert [sender.name for sender, _ in ChipNetwork((), (early, late)).arriving("late")] == ["early"]
    with pytest.raises(GraphError, match="'early' sends to 'late', which is no layer behind it"):
        ChipNetwork((), (late, early))


def test_integers_stay_integers() -> None:
    assert not layer().is_integer
    own = layer(weights=np.ones((2, 1, 3, 3), np.int8))
    assert own.is_integer
    assert own.weights.dtype == np.int8
    with pytest.raises(ValueError, match="read-only"):
        own.weights[0] = 1
