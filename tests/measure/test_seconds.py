"""What is known per second once somebody says how long a timestep is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import spikewright as sw
from spikewright.cli.app import run as command
from spikewright.engines import RunSettings
from spikewright.errors import DataError, SettingsError
from spikewright.graph import Graph
from spikewright.measures import measure
from spikewright.nodes import IF, Input, Linear, Output
from spikewright.rates import Rates, load_rates, simulated_rates


def network(**meta: object) -> Graph:
    """One neuron that fires at every step, over two connections."""
    return Graph(
        [
            Input(name="x", shape=(1,)),
            IF(name="n", inputs=("x",), threshold=1.0, v_init=0.0),
            Linear(name="w", inputs=("n",), weight=np.ones((2, 1)), bias=np.zeros(2)),
            Output(name="y", inputs=("w",)),
        ],
        meta,
    )


def analog() -> Graph:
    weights = Linear(name="w", inputs=("x",), weight=np.ones((2, 1)), bias=np.zeros(2))
    return Graph([Input(name="x", shape=(1,)), weights, Output(name="y", inputs=("w",))])


def conversion() -> sw.Conversion:
    """The neuron for a trained network that has none: only its connections count."""
    return sw.Conversion(folded=analog(), spiking=network(), scales={})


X = np.ones((3, 1), np.float32)


def test_rates_operations_and_power() -> None:
    """A spike a millisecond over two connections: 1000 Hz, 2000 operations a second, 2 · 0.9 pJ · 1000/s = 1.8 nW."""
    measures = measure(conversion(), X, 10, dt=1e-3)
    assert (measures.dt, measures.seconds) == (1e-3, pytest.approx(0.01))
    assert measures.firing_rate_per_second == pytest.approx(1000)
    assert measures.synops_per_second == pytest.approx(2000)
    assert measures.power_spiking == pytest.approx(1.8e-6)
    assert measures.power_analog == pytest.approx(2 * 4.6e-12 / 0.01 * 1000)
    summary = measures.summary()
    assert {label: summary[label] for label in ("dt", "firing_rate_hz", "synops_per_second")} == {
        "dt": 1e-3,
        "firing_rate_hz": measures.firing_rate_per_second,
        "synops_per_second": measures.synops_per_second,
    }
    assert (summary["power_spiking_mw"], summary["power_analog_mw"]) == (measures.power_spiking, measures.power_analog)
    assert measures.rates.per_second["n"].tolist() == [1000.0]
    assert measures.rates.per_second["x"].tolist() == [1000.0]


def test_without_a_length_nothing_is_said_per_second() -> None:
    measures = measure(conversion(), X, 10)
    assert measures.dt is measures.synops_per_second is measures.power_spiking is None
    assert not {label for label in measures.summary() if label == "dt" or "second" in label or "_mw" in label}
    with pytest.raises(SettingsError, match="nobody said how long a timestep is; simulate with dt=SECONDS"):
        _ = measures.rates.per_second


def test_it_changes_no_result() -> None:
    with_dt, without = (measure(conversion(), X, 10, dt=dt).summary() for dt in (1e-3, None))
    assert {label: with_dt[label] for label in without} == without


def test_a_network_that_says_it_itself() -> None:
    graph = network(dt=1e-4)
    assert sw.simulate(graph, X, 4).dt == 1e-4
    assert simulated_rates(graph, X, 4).per_second["n"].tolist() == [1e4]
    assert sw.simulate(graph, X, settings=RunSettings(4, dt=1e-4)).dt == 1e-4
    with pytest.raises(SettingsError, match=r"was read with timesteps of 0.0001 s.*load it with dt=0.001"):
        sw.simulate(graph, X, 4, dt=1e-3)
    assert sw.simulate(network(dt="soon"), X, 4).dt is None  # meta is believed where it makes sense


def test_rates_in_a_file_know_it(tmp_path: Path) -> None:
    graph = network()
    rates = simulated_rates(graph, X, 4, dt=0.5)
    np.savez(tmp_path / "rates.npz", **rates.arrays())
    assert load_rates(tmp_path / "rates.npz", graph).per_second["n"].tolist() == [2.0]
    np.savez(tmp_path / "wrong.npz", **{**rates.arrays(), "dt": np.array(-1.0)})
    with pytest.raises(DataError, match="its dt is no number of seconds"):
        load_rates(tmp_path / "wrong.npz", graph)
    with pytest.raises(DataError, match="different networks or timesteps"):
        Rates.merged([rates, simulated_rates(graph, X, 4)])


def test_the_command_says_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sw.save(conversion(), tmp_path / "net.safetensors")
    np.save(tmp_path / "x.npy", X)
    given = ("simulate", str(tmp_path / "net.safetensors"), "--data", str(tmp_path / "x.npy"), "-T", "10")
    assert command((*given, "--dt", "0.001")) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "at 0.001 s a timestep: 1,000 Hz a neuron, 2 k synaptic operations/s, 1.8e-06 mW against" in said
    sw.save(network(), tmp_path / "net.safetensors", force=True)
    assert command((*given, "--dt", "0.001")) == 0
    assert "1.8e-06 mW note: this spiking network comes without" in " ".join(capsys.readouterr().out.split())
    assert command((*given, "--dt", "-1")) == 2
    assert "--dt takes a time above 0 like 1ms, 500us or 0.02 (seconds), not '-1'" in capsys.readouterr().err
