"""What one event of the Poisson encoder stands for: learnt by calibration, told, or refused; never cut in silence."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

import spikewright as sw
from spikewright.encoders.poisson import FittedPoisson, Poisson
from spikewright.engines.event import is_built
from spikewright.engines.reference import RECORDS, Simulation
from spikewright.engines.units import event_units
from spikewright.errors import DataError, GraphError, ModelFileError, SettingsError, SpikewrightWarning
from spikewright.graph import Graph
from spikewright.nodes import IF, Add, ChannelAffine, Concat, Flatten, Input, Linear, Output, ReLU, SpikeMaxPool
from spikewright.rates import simulated_rates

torch = pytest.importorskip("torch")


def pixels(count: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Pictures of 0 to 255 with a bright quarter, and which one."""
    random = np.random.default_rng(3)
    labels = np.arange(count) % 4
    x = random.integers(0, 120, (count, 1, 8, 8))
    for picture, label in zip(x, labels, strict=True):
        row, column = 4 * (label // 2), 4 * (label % 2)
        picture[0, row : row + 4, column : column + 4] += 100
        picture[0, row, column] = 255
    return x.astype(np.float32), labels


def network() -> Graph:
    """Means of quarters, less their mean, as a network for pixels of 0 to 255 has them."""
    weight = np.zeros((4, 64), np.float32)
    for k in range(4):
        at = np.zeros((8, 8))
        at[4 * (k // 2) : 4 * (k // 2) + 4, 4 * (k % 2) : 4 * (k % 2) + 4] = 1 / 16
        weight[k] = (at - 1 / 64).reshape(-1) / 64
    return Graph(
        [
            Input(name="x", shape=(1, 8, 8)),
            Flatten(name="f", inputs=("x",)),
            Linear(name="a", inputs=("f",), weight=weight, bias=np.zeros(4)),
            ReLU(name="r", inputs=("a",)),
            Linear(name="b", inputs=("r",), weight=np.eye(4), bias=np.zeros(4)),
            Output(name="y", inputs=("b",)),
        ]
    )


def spiking(input_scale: object = "max") -> Graph:
    x, _ = pixels()
    return sw.convert(network(), sw.calibrate(network(), x, ["max"], input_scale=input_scale).scales("max")).spiking  # type: ignore[arg-type]


def accuracy(graph: Graph, encoder: Poisson | str) -> float:
    x, labels = pixels()
    run = sw.simulate(graph, (x, labels), 128, encoder=encoder)
    return float((run.output[:, -1].argmax(1) == labels).mean())


def test_pixels_of_0_to_255_are_sent_as_they_are() -> None:
    """Cut to 1, as it was, all pictures are the same to the network."""
    graph = spiking()
    assert graph["x"].event_value == 255  # type: ignore[attr-defined]
    assert accuracy(graph, "constant") == 1.0
    assert accuracy(graph, "poisson") >= 0.97
    with pytest.warns(SpikewrightWarning, match=r"poisson sends what is beyond 1 as that, 9\d(\.\d)? % of the values"):
        assert accuracy(graph, Poisson(scale=1.0)) < 0.5


def test_where_nobody_said_what_an_event_stands_for_larger_values_are_refused() -> None:
    plain = spiking().replaced(Input(name="x", shape=(1, 8, 8)))
    message = (
        r"poisson: input 'x' reaches 255, and one event of it stands for 1: larger values would be cut; "
        r"give Poisson\(scale=255\) \(--input-scale 255\)$"
    )
    x = pixels()[0]
    for engine in ("reference", "event") if is_built() else ("reference",):
        with pytest.raises(DataError, match=message):
            sw.simulate(plain, x, 4, encoder="poisson", engine=engine)  # type: ignore[arg-type]
    for measured in (lambda: sw.measure(plain, x, 4, encoder="poisson"),):
        with pytest.raises(DataError, match=message):
            measured()
    with pytest.raises(DataError, match=message):
        simulated_rates(plain, x, 4, encoder="poisson")
    assert accuracy(plain, Poisson(scale=255)) >= 0.97
    assert sw.simulate(plain, x / 255, 4, encoder="poisson").samples == 60
    with pytest.raises(DataError, match=r"reaches -3, .*scale=3"):
        Poisson().at(torch.tensor([[-3.0, 2.0]]), 0, 0)


@pytest.mark.parametrize(("scale", "value"), [("max", 255), ("scale:0.5", 127.5), (100, 100), ("1000", 1000)])
def test_the_user_says_how_the_value_comes_about(scale: object, value: float) -> None:
    assert spiking(scale)["x"].event_value == value  # type: ignore[attr-defined]


@pytest.mark.parametrize("text", ["99%", "p99", "percentile:99", "percentile:50,zeros"])
def test_percentiles_of_sizes_are_numpys(text: str) -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=(2000, 1, 8, 8)).astype(np.float32) * (random.random((2000, 1, 8, 8)) < 0.7)
    method = sw.threshold_method(text)
    sizes = np.abs(x.astype(np.float64)).ravel()
    expected = np.percentile(sizes if method.zeros else sizes[sizes > 0], method.percentile)  # type: ignore[attr-defined]
    statistics = sw.calibrate(network(), x, "max", input_scale=text, batch_size=300)
    assert statistics.event_values() == {"x": expected}


def test_what_a_percentile_cuts_is_said_once() -> None:
    graph = spiking("50%")
    with pytest.warns(SpikewrightWarning) as said:
        run = sw.simulate(graph, pixels()[0], 4, encoder="poisson", batch_size=7)
    (line,) = {str(one.message) for one in said}
    assert run.warnings == (line,)
    x, limit = pixels()[0], graph["x"].event_value  # type: ignore[attr-defined]
    part = 100 * (x > limit).mean()
    assert line == f"inputs reach 255: poisson sends what is beyond {limit:.6g} as that, {part:.3g} % of the values"


def test_negative_values_are_events_of_their_sign_or_refused() -> None:
    graph = Graph([Input(name="x", shape=(2,), event_value=4.0), Output(name="y", inputs=("x",))])
    x = np.array([[-2.0, 3.0]], np.float32).repeat(40, axis=0)
    mean = sw.simulate(graph, x, 300, encoder=Poisson()).output[:, -1].mean(axis=0)
    np.testing.assert_allclose(mean, x[0], atol=0.1)
    sent = Poisson().fitted(graph).at(torch.from_numpy(x), 0, 0)
    assert set(sent.unique().tolist()) == {-4.0, 0.0, 4.0}
    with pytest.raises(DataError, match=r"input 'x' has negative values, down to -2, which negative='refuse'"):
        sw.simulate(graph, x, 2, encoder=Poisson(negative="refuse"))
    assert sw.simulate(graph, np.abs(x), 2, encoder=Poisson(negative="refuse")).samples == 40


def two_inputs(first: float | None = 2.0, second: float | None = 64.0) -> Graph:
    return Graph(
        [
            Input(name="a", shape=(3,), event_value=first),
            Input(name="b", shape=(2,), event_value=second),
            Linear(name="la", inputs=("a",), weight=np.eye(3), bias=np.zeros(3)),
            Linear(name="lb", inputs=("b",), weight=np.ones((3, 2)) / 32, bias=np.zeros(3)),
            Add(name="s", inputs=("la", "lb")),
            IF(name="n", inputs=("s",), threshold=1.0, v_init=0.5, max_spikes=None),
            Output(name="y", inputs=("n",)),
        ]
    )


def test_every_input_has_a_value_of_its_own() -> None:
    encoder = Poisson(seed=1).fitted(two_inputs())
    assert isinstance(encoder, FittedPoisson)
    assert encoder.event_values == {"a": 2.0, "b": 64.0}
    assert encoder.fitted(two_inputs()) is encoder
    x = torch.tensor([[1.0, 2, 0.5, 32, 64]]).repeat(50, 1)
    sent = torch.stack([encoder.at(x, t, 0) for t in range(40)])
    assert set(sent[..., :3].unique().tolist()) == {0.0, 2.0}
    assert set(sent[..., 3:].unique().tolist()) == {0.0, 64.0}
    torch.testing.assert_close(sent.mean(dim=(0, 1)), x[0], rtol=0.1, atol=0.05)
    with pytest.raises(DataError, match="input 'b' reaches 64"):
        Poisson().fitted(two_inputs(second=None)).at(x, 0, 0)
    each = (torch.arange(50)[:, None] / 49).float()
    data = {"a": (x[:, :3] * each).numpy(), "b": (x[:, 3:] * each).numpy()}
    assert sw.simulate(two_inputs(), data, 3, encoder="poisson").warnings == ()


@pytest.mark.skipif(not is_built(), reason="the native core was not built")
def test_events_of_any_value_are_events_to_the_engines() -> None:
    """The event engine takes them for spikes: quick, and accumulates where the reference sees its unit, no others."""
    from spikewright.engines.event.simulation import EventSimulation

    graph, x = spiking(), torch.from_numpy(pixels(5)[0])
    simulation = EventSimulation(graph)
    run = simulation.run(x, 9, Poisson(), ("nonzero",))
    expected = Simulation(graph).run(x, 9, Poisson(), ("nonzero",))
    assert run.graded == expected.graded == set()
    assert simulation.prepare(Poisson(), ("nonzero",)).settings.planes == 1
    for name, nonzero in expected.nonzero.items():
        torch.testing.assert_close(run.nonzero[name], nonzero, rtol=0, atol=0)
    measures = sw.measure(graph, pixels()[0], 8, encoder="poisson")
    assert measures.operations["a"].acs > 0
    assert measures.operations["a"].macs == 0
    events = sum(Poisson().fitted(graph).at(torch.from_numpy(pixels()[0]), t, 0).count_nonzero() for t in range(8))
    assert measures.synops["a"].spikes == pytest.approx(4 * float(events) / 60)  # events, not what they stand for


def test_units_end_where_inputs_meet_or_a_pool_sends_them_on() -> None:
    encoder = Poisson().fitted(two_inputs())
    units = event_units(two_inputs(), encoder)
    assert {name: units[name] for name in ("a", "b", "la", "n", "y")} == {"a": 2, "b": 64, "la": 1, "n": 1, "y": 1}
    inputs = [Input(name="a", shape=(2,), event_value=2.0), Input(name="b", shape=(2,), event_value=3.0)]
    met = Graph([*inputs, Concat(name="c", inputs=("a", "b")), Output(name="y", inputs=("c",))])
    assert set(event_units(met, Poisson().fitted(met)).values()) == {1.0}
    pool = SpikeMaxPool(name="p", inputs=("x",), kernel=(2,), stride=(2,), padding=((0, 0),), dilation=(1,))
    sent_on = Graph([Input(name="x", shape=(1, 4), event_value=2.0), pool, Output(name="y", inputs=("p",))])
    assert set(event_units(sent_on, Poisson().fitted(sent_on)).values()) == {1.0}


@pytest.mark.skipif(not is_built(), reason="the native core was not built")
@pytest.mark.parametrize("scale", [0.25, 2.0, 3.0, 255.0])
def test_pools_and_moved_inputs_are_equal_in_both_engines(scale: float) -> None:
    from runs import same
    from spikewright.engines.event.simulation import EventSimulation

    pool = {"kernel": (2,), "stride": (2,), "padding": ((0, 0),), "dilation": (1,)}
    graph = Graph(
        [
            Input(name="x", shape=(1, 8)),
            SpikeMaxPool(name="p", inputs=("x",), **pool),
            ChannelAffine(name="c", inputs=("x",), scale=np.array([0.5]), bias=np.array([0.25])),
            Flatten(name="f", inputs=("x",)),
            Linear(name="l", inputs=("f",), weight=np.arange(16).reshape(2, 8) / 8, bias=np.zeros(2)),
            IF(name="n", inputs=("l",), threshold=1.0, v_init=0.0, max_spikes=None),
            IF(name="m", inputs=("c",), threshold=1.0, v_init=0.0),
            *(Output(name=f"y{k}", inputs=(name,)) for k, name in enumerate(("p", "n", "m", "f"))),
        ]
    )
    x = torch.from_numpy((np.arange(24, dtype=np.float32).reshape(3, 1, 8) - 4) * scale / 16)
    for signs in (x, x.abs()):
        expected = Simulation(graph).run(signs, 9, Poisson(scale=scale), RECORDS)
        same(graph, expected, EventSimulation(graph, chunk=4).run(signs, 9, Poisson(scale=scale), RECORDS))


def test_the_value_is_kept_with_the_network(tmp_path: Path) -> None:
    graph = spiking()
    sw.save(graph, tmp_path / "s.safetensors")
    found = sw.load(tmp_path / "s.safetensors")
    assert found["x"].event_value == 255  # type: ignore[attr-defined]
    assert accuracy(found, "poisson") >= 0.97
    for wrong in (0.0, -1.0, float("inf"), float("nan"), "many", True):
        with pytest.raises(GraphError, match="event_value must be positive and finite, not"):
            Input(name="x", shape=(1,), event_value=wrong)  # type: ignore[arg-type]
    object.__setattr__(graph["x"], "event_value", -3.0)
    sw.save(graph, tmp_path / "odd.safetensors")
    with pytest.raises(ModelFileError, match="event_value must be positive and finite, not -3"):
        sw.load(tmp_path / "odd.safetensors")


@pytest.mark.parametrize("wrong", [0, -1, float("nan"), float("inf"), "loud", True, "max,channels", None])
def test_input_scales_that_are_none(wrong: object) -> None:
    with pytest.raises(SettingsError):
        sw.calibrate(network(), pixels()[0], ["max"], input_scale=wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"scale": 0}, "scale must be positive and finite, not 0"),
        ({"scale": "255"}, "scale must be positive and finite, not 255"),
        ({"scale": True}, "scale must be positive and finite, not True"),
        ({"seed": 1.5}, "poisson: seed must be a whole number, not 1.5"),
        ({"seed": -1}, "poisson: seed must be 0 or more, not -1"),
        ({"seed": 2**128}, r"seed must be below 2\^128"),
        ({"negative": "clip"}, "negative must be 'events' or 'refuse', not 'clip'"),
    ],
)
def test_settings_that_are_none(settings: dict[str, object], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        Poisson(**settings)  # type: ignore[arg-type]


def test_whole_floats_are_whole_numbers() -> None:
    graph, (x, y) = spiking(), pixels(4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert sw.simulate(graph, x, 4.0, batch_size=np.int64(2)).output.shape == (4, 4, 4)  # type: ignore[arg-type]
        assert sw.measure(graph, (x, y), np.float32(4.0)).timesteps == 4  # type: ignore[arg-type]
        assert simulated_rates(graph, x, 4.0).timesteps == 4  # type: ignore[arg-type]
        assert sw.calibrate(network(), x, "max", batch_size=2.0).samples == 4  # type: ignore[arg-type]
    assert Poisson(seed=3.0).seed == 3  # type: ignore[arg-type]
    for wrong in (4.5, True, "4", float("nan"), float("inf"), None, [4]):
        for call in (sw.simulate, simulated_rates):
            with pytest.raises(SettingsError, match="timesteps must be a whole number, not"):
                call(graph, x, wrong)  # type: ignore[arg-type]
        with pytest.raises(SettingsError, match="timesteps must be a whole number, not"):
            sw.measure(graph, x, wrong)  # type: ignore[arg-type]
        with pytest.raises(SettingsError, match="batch_size must be a whole number, not"):
            sw.calibrate(network(), x, "max", batch_size=wrong)  # type: ignore[arg-type]
        with pytest.raises(SettingsError, match="part_rows must be a whole number, not"):
            sw.Synapses(graph, part_rows=wrong)  # type: ignore[arg-type]
