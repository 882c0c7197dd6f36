"""Recordings in the engines: events as they are, biases once a frame, recordings of different length in one batch."""

import warnings

import numpy as np
import pytest

import spikewright as sw
from recordings_in_memory import KIND, data, network
from spikewright.conversion.over_steps import over_steps
from spikewright.data.recordings import Recordings
from spikewright.errors import DataError, SettingsError, SpikewrightWarning
from spikewright.forward import run as analog


@pytest.mark.parametrize("binning", ["frames=1", "dt=40ms", "count=400"])
def test_the_steps_of_a_frame_add_up_to_the_trained_layer(binning):
    """W·frame + b, whatever the timestep: of a network without neurons the last answer is the trained one."""
    from networks import Builder

    made = Builder(3, (2, 8, 8))
    made.conv(3)
    made.flatten()
    made.linear(4)
    graph = sw.prepare(made.graph())[0]
    recordings = data(binning=binning)
    (frames,) = (x for x, _ in recordings.frames.batches(9))
    wanted = analog(graph, frames)
    wanted = next(iter(wanted.values())) if isinstance(wanted, dict) else wanted
    for dt in (1e-3, 40e-3, 0.7e-3):
        for engine in ("reference", "event"):
            found = sw.simulate(graph, recordings, dt=dt, engine=engine, quiet=True)
            assert found.timesteps == -(-40 // (dt * 1e3)) or dt == 0.7e-3
            assert np.allclose(found.output[:, -1], wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("neurons", ["v_init=0.5", "max_spikes=multi", "leak=0.98", "v_min=-1"])
@pytest.mark.parametrize("binning", ["dt=10ms", "frames=2", "count=150,polarity=signed", "frames=1,scale=0.5"])
def test_both_engines_alike(neurons, binning):
    """Spike for spike, of different lengths in one batch; answers to rounding."""
    conversion = network(1, neurons, signed if "signed" in binning else None, gain=4)
    recordings = data((40, 17, 33), binning)
    runs = [
        sw.simulate(conversion, recordings, dt=1e-3, engine=engine, record=("events", "potentials"), quiet=True)
        for engine in ("reference", "event")
    ]
    assert runs[0].timesteps == 40
    for name, potentials in runs[0].potentials.items():  # none of a recording that has ended
        assert np.allclose(runs[1].potentials[name], potentials, rtol=1e-4, atol=1e-4)
        assert potentials[1, :17].any()
        assert not runs[1].potentials[name][1, 17:].any()
    assert any(len(train) for train in runs[0].events.values())
    for name, train in runs[0].events.items():
        for column in ("sample", "timestep", "neuron", "value"):
            assert np.array_equal(getattr(train, column), getattr(runs[1].events[name], column)), (name, column)
    assert np.allclose(runs[0].output, runs[1].output, rtol=1e-4, atol=1e-4)


def signed(made):
    made.nodes[0] = made.nodes[0].replace(shape=(1, 8, 8))
    made.conv(4)
    made.relu()
    made.flatten()
    made.linear(6)


@pytest.mark.parametrize("engine", ["reference", "event"])
def test_a_recording_in_a_batch_is_what_it_is_alone(engine):
    conversion, lengths = network(2), (40, 17, 33)
    recordings = data(lengths)
    together = sw.simulate(conversion, recordings, dt=1e-3, engine=engine, record=("events",), quiet=True)
    for k, length in enumerate(lengths):
        alone = sw.simulate(conversion, recordings.part(k, 3), dt=1e-3, engine=engine, record=("events",), quiet=True)
        assert alone.timesteps == length
        assert np.allclose(alone.output[0], together.output[k, :length], rtol=1e-5, atol=1e-5)
        assert (together.output[k, length:] == together.output[k, length - 1]).all()
        for name, train in alone.events.items():
            of_it = together.events[name].sample == k
            assert np.array_equal(together.events[name].timestep[of_it], train.timestep)
            assert np.array_equal(together.events[name].neuron[of_it], train.neuron)


@pytest.mark.parametrize("engine", ["reference", "event"])
def test_events_are_what_frames_a_step_are(engine):
    """Lists of events against dense frames of the same at every step."""
    conversion, recordings = network(4), data()
    found = sw.simulate(conversion, recordings, dt=1e-3, engine=engine, quiet=True)
    batch = recordings.events(1e-3).batch(0, 3)
    dense = np.stack([batch.at(t).numpy() for t in range(40)], axis=1)
    spread = over_steps(conversion.spiking, 10)
    framed = sw.simulate(spread, dense, 40, encoder="events", engine="reference", quiet=True)
    assert np.allclose(found.output, framed.output, rtol=1e-4, atol=1e-4)
    for name, counts in framed.counts.items():
        assert np.array_equal(found.counts[name], counts)


def test_gain_one_sends_what_the_trained_network_has_once_a_frame():
    """a/λ a frame: of a layer whose input comes at once, within one spike."""
    conversion, recordings = network(5), data(binning="frames=1")
    (frames,) = (x for x, _ in recordings.frames.batches(9))
    first = conversion.spiking.populations[0].name
    activations = {}
    from spikewright.forward import Forward

    Forward(conversion.reference)(
        __import__("torch").from_numpy(frames), {first: lambda a: activations.setdefault(first, a.numpy())}
    )
    run = sw.simulate(conversion, recordings, dt=1e-3, record=("spikes",), quiet=True)
    counts = run.spikes[first].sum(axis=1)
    expected = activations[first] / np.asarray(conversion.units[first]).reshape(-1, 1, 1)
    assert np.abs(counts - np.clip(expected, 0, None)).mean() < 0.5


def test_measures_on_events():
    conversion = network(6)
    recordings = data((40, 40, 40, 40), "dt=40ms", np.array([0, 1, 2, 3]))
    measures = sw.measure(conversion, recordings, dt=1e-3, quiet=True, allow_overlap=True)
    assert measures.timesteps == 40
    assert measures.dt == 1e-3
    assert set(measures.accuracy.tolist()) <= {0, 0.25, 0.5, 0.75, 1}
    correlation = next(iter(measures.layers.values())).correlation
    assert correlation.pearson is not None
    assert correlation.pearson > 0.5
    rates = sw.simulated_rates(conversion, recordings, dt=1e-3)
    events = sum(len(item) for item in recordings.items)
    assert rates.values["input"].sum() * 4 * 40 == pytest.approx(events)  # in the network that was given


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (
            lambda c, r: sw.simulate(c, r),
            SettingsError,
            "how long a timestep is: give dt=1e-3 .--dt 1ms., or run their",
        ),
        (lambda c, r: sw.simulate(c, r, 32, dt=1e-3), SettingsError, "number of timesteps follows from the recordings"),
        (
            lambda c, r: sw.simulate(c, r, dt=1e-3, encoder="poisson"),
            SettingsError,
            "poisson makes spikes of values, and",
        ),
        (lambda c, r: sw.simulate(c, r, dt=1e-3, encoder="events"), SettingsError, "the encoder events is for arrays"),
        (lambda c, r: sw.simulate(c, r, dt=1e-3, engine="cuda"), SettingsError, "the cuda engine runs frames"),
        (lambda c, r: sw.simulate(c, r, dt=20e-3), SettingsError, "a timestep of 20ms is longer than a frame of 10ms"),
        (lambda c, r: sw.simulate(c, r, dt=1e-3, readout_from=3), SettingsError, "recordings answer at their own ends"),
        (
            lambda c, _: sw.simulate(c, np.zeros((2, 2, 8, 8)), encoder="recordings"),
            SettingsError,
            "the encoder recordings is for recordings of event cameras, and these are arrays",
        ),
        (
            lambda c, _: sw.simulate(c, data(binning="dt=10ms,polarity=merged"), dt=1e-3),
            DataError,
            "frames of 8×8 pixels by binning dt=10ms,polarity=merged have the shape .1, 8, 8.: change polarity",
        ),
        (
            lambda c, _: sw.simulate(c, data(binning="frames=1,normalise=max"), dt=1e-3),
            SettingsError,
            "depends on the wh",
        ),
        (
            lambda c, _: sw.simulate(sw.convert(c.folded, data(), "max"), data(binning="dt=20ms"), dt=1e-3),
            DataError,
            "was converted with frames by binning dt=10ms, and these recordings are cut by dt=20ms",
        ),
    ],
)
def test_errors_say_which_option_is_meant(call, error, said):
    with pytest.raises(error, match=said):
        call(network(1), data())


def test_the_binning_is_stored_with_the_network(tmp_path):
    conversion = sw.convert(network(1).folded, data(), "max")
    assert conversion.binning == sw.Binning(dt=0.01)
    sw.save(conversion, tmp_path / "a.safetensors")
    assert sw.load(str(tmp_path / "a.safetensors")) == conversion
    assert "binning: dt=10ms" in repr(conversion)


def test_bandwidth_of_a_chip_on_events():
    """Operations of the first layer: every event of the camera times the neurons that it reaches."""

    def build(made):
        made.conv(4)
        made.relu()
        made.avg_pool()
        made.flatten()
        made.linear(6)

    graph = network(6, build=build).folded
    recordings = data((40, 40, 40), "frames=1")
    conversion = sw.convert(graph, recordings, "max", readout="count")
    fit = sw.check(conversion, "speck2f", data=recordings, dt=1e-3)
    events = recordings.events(1e-3).batch(0, 3)
    reached = np.asarray(conversion.spiking["conv1"].fan_out((2, 8, 8))[0]).reshape(-1)
    wanted = float((reached[events.neuron] * events.value).sum())
    assert fit.bandwidth.timesteps == 40
    assert fit.bandwidth.layers[0].mean * 3 * 0.04 == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("binning", "dt", "longest"),
    [("frames=1", 0.05, "40ms"), ("frames=4", 0.02, "10ms"), ("count=100", 0.02, "10ms"), ("dt=1s", 0.5, "40ms")],
)
def test_a_timestep_longer_than_every_frame_is_refused(binning, dt, longest):
    """Whichever way frames are cut: of one a recording the recording itself."""
    said = (
        f"a timestep of {1000 * dt:g}ms is longer than the frames of these recordings by binning {binning}, {longest}"
    )
    with pytest.raises(SettingsError, match=said):
        sw.simulate(network(1), data((40, 20), binning), dt=dt, quiet=True)


def test_frames_shorter_than_a_timestep_among_others_are_counted():
    said = "frames of 2 of 4 recordings are shorter than a timestep of 10ms, in which all their events come at once"
    with pytest.warns(SpikewrightWarning, match=said):
        assert data((40, 5, 20, 8), "frames=1").events(10e-3).timesteps == 4
    with warnings.catch_warnings():
        warnings.simplefilter("error", SpikewrightWarning)
        data((40, 20, 10), "frames=1").events(10e-3)
        data((40, 20), "frames=1").subset(np.array([0])).events(40e-3)


def test_a_recording_of_one_moment_runs_one_timestep():
    made = np.zeros(3, KIND)
    moment = Recordings((sw.load_recording(made, sensor=(8, 8)),), sw.Binning(frames=1))
    assert moment.events(1e-3).timesteps == 1
