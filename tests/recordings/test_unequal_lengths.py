"""Recordings of different length: whatever counts timesteps counts each one's own."""

import numpy as np
import pytest

import spikewright as sw
from networks import Builder
from recordings_in_memory import data, network
from spikewright.engines import Run

DT = 1e-3
LENGTHS = (40, 10, 20)
STEPS = sum(LENGTHS)


@pytest.fixture(scope="module")
def measured():
    conversion, recordings = network(1, gain=4), data(LENGTHS, "frames=1", np.array([0, 1, 2]))
    return conversion, recordings, sw.measure(conversion, recordings, dt=DT, quiet=True, allow_overlap=True)


@pytest.mark.parametrize("engine", ["reference", "event"])
def test_a_run_knows_its_timesteps(engine):
    conversion, recordings = network(1, gain=4), data(LENGTHS, "frames=1")
    run = sw.simulate(conversion, recordings, dt=DT, engine=engine, quiet=True, batch_size=2)
    assert (run.timesteps, run.total_steps, run.mean_steps) == (40, STEPS, STEPS / 3)


def test_other_runs_have_t_each():
    run = sw.simulate(network(1), np.ones((3, 2, 8, 8), np.float32), 8, quiet=True)
    assert (run.total_steps, run.mean_steps) == (24, 8)
    assert Run.merged([run]).total_steps == 24


def test_rates_and_activity(measured):
    conversion, recordings, measures = measured
    spikes = {name: total.sum() for name, total in measures.run.sent.items()}
    neurons = sum(total.size for total in measures.run.sent.values())
    assert measures.firing_rate == pytest.approx(sum(spikes.values()) / neurons / STEPS)
    for name, layer in measures.layers.items():
        assert layer.firing.mean == pytest.approx(spikes[name] / layer.firing.histogram.sum() / STEPS)
        assert measures.rates.values[name].sum() == pytest.approx(measures.run.counts[name].sum() / STEPS)
    assert measures.seconds == pytest.approx(STEPS / 3 * DT)
    assert measures.synops_per_second == pytest.approx(measures.total_synops * 3 / (STEPS * DT))
    assert measures.summary()["mean_timesteps"] == pytest.approx(STEPS / 3)
    for name, one in measures.operations.items():
        active = measures.run.nonzero[name].mean()
        assert one.activation_sparsity == pytest.approx(1 - active / STEPS)
        assert one.dense == pytest.approx(conversion.spiking.macs(conversion.spiking[name]) * STEPS / 3)
    events = sum(len(item) for item in recordings.items)
    assert measures.rates.values["input"].sum() * STEPS == pytest.approx(events)


def test_rates_of_parts_are_those_of_all(measured):
    conversion, recordings, measures = measured
    parts = [sw.simulated_rates(conversion, recordings.subset(np.array([k])), dt=DT) for k in range(3)]
    sums = sum(part.values["relu2"] * length for part, length in zip(parts, LENGTHS, strict=True))
    assert [part.total_steps for part in parts] == list(LENGTHS)
    assert np.allclose(measures.rates.values["relu2"], sums / STEPS, atol=0.01)  # S, the mean of all, is another there


def test_rates_are_of_the_network_that_was_given(measured, tmp_path):
    conversion, _, measures = measured
    assert measures.rates.network == conversion.spiking.fingerprint
    np.savez(tmp_path / "rates.npz", **measures.rates.arrays())
    read = sw.load_rates(tmp_path / "rates.npz", conversion.spiking)
    assert (read.total_steps, read.event_value) == (STEPS, 1.0)
    listed = sw.synapses(conversion.spiking, read)
    assert listed.rates is read


def test_a_correlation_of_lengths(measured):
    """What a neuron sends in its own time is compared with the activation: the same as of one length."""
    _, _, measures = measured
    correlations = [layer.correlation.pearson for layer in measures.layers.values()]
    assert min(correlations) > 0.6


def test_bandwidth_from_rates_and_from_events_agree():
    """Means by a chip's layers: over each recording's own seconds, either way."""
    made = Builder(6, (2, 8, 8))
    made.conv(4)
    made.relu()
    made.avg_pool()
    made.flatten()
    made.linear(6)
    recordings = data(LENGTHS, "frames=1,scale=0.5")
    conversion = sw.convert(made.graph(), recordings, "max", readout="count", correct="gain:4")
    rates = sw.simulated_rates(conversion, recordings, dt=DT)
    by_rates = sw.check(conversion, "speck2f", rates=rates, dt=DT).bandwidth
    by_events = sw.check(conversion, "speck2f", data=recordings, dt=DT, window=1e-3).bandwidth
    for one, other in zip(by_rates.layers, by_events.layers, strict=True):
        assert one.events == pytest.approx(other.events)
        assert one.mean == pytest.approx(other.mean)
    events = sum(len(item) for item in recordings.items)
    assert by_events.layers[0].events == pytest.approx(events / (STEPS * DT))
    course = by_events.over_time[by_events.layers[0].layer]
    late = course.mean[course.begins >= 0.021]  # the longest alone is left
    assert late == pytest.approx(course.most[course.begins >= 0.021])


def test_tuning_per_second():
    recordings = data((40, 10, 20, 30) * 4, "frames=1", np.arange(16) % 4)
    found = sw.tune(network(1).folded, recordings, ["gain=1..2", "spikes=multi"], dt=DT, seed=1)
    told = found.summary()["points"][0]
    row = found.rows[0]
    assert 10 < row.mean_steps < 40
    assert told["synops_per_second"] == pytest.approx(row.synops / (row.mean_steps * DT))


def test_energy_of_the_trained_network_is_that_of_its_frames():
    conversion = network(1)
    one, four = (
        sw.measure(conversion, data((40, 40), f"frames={n}"), dt=DT, quiet=True, allow_overlap=True) for n in (1, 4)
    )
    assert four.energy_analog == pytest.approx(4 * one.energy_analog)


def test_samples_of_calibration_are_known_by_their_frames():
    """Several frames a recording: whoever calibrated with them cannot be measured with them unseen."""
    recordings = data((40, 40, 40), "frames=4", np.array([0, 1, 2]))
    graph = network(1).folded
    for made in (
        sw.convert(graph, recordings, "max"),
        sw.tune(graph, recordings, ["spikes=multi"], dt=DT, hold_out=1).conversion,
        sw.convert(graph, recordings, "max", correct="v_init", dt=DT),
    ):
        with pytest.raises(sw.errors.DataError, match="12 of the 12 samples"):
            sw.measure(made, recordings, dt=DT)
