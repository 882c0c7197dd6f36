"""Synaptic operations per second: the fact table's networks, counting event by event, and what remedies save."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from lowering_cases import (
    SPECK,
    T,
    average_pool,
    concatenation,
    converted,
    identity_shortcut,
    pool_that_leaves_rows_over,
)
from stepped import arriving, inputs_of, stepped

import spikewright as sw
from spikewright.chips.bandwidth import from_rates, measured_bandwidth
from spikewright.chips.fit import check
from spikewright.chips.lowering import lower
from spikewright.chips.network import ChipNetwork
from spikewright.chips.recording import SensorEvents, is_recording
from spikewright.errors import DataError, SettingsError
from spikewright.graph import Graph, SampleShapes
from spikewright.nodes import IF, AvgPool, Conv, Flatten, Input, Linear, Output
from spikewright.rates import simulated_rates


def counted(network: ChipNetwork, name: str, events: np.ndarray) -> float:
    """The operations of one step, event by event and neuron by neuron."""
    layer = network[name]
    found = 0.0
    for _, y, x in zip(*np.nonzero(events), strict=True):
        reached = 0
        for row in range(layer.output_shape[1]):
            for column in range(layer.output_shape[2]):
                down, right = (
                    y + layer.padding[0] - row * layer.stride[0],
                    x + layer.padding[1] - column * layer.stride[1],
                )
                reached += 0 <= down < layer.kernel and 0 <= right < layer.kernel
        found += float(events[_, y, x]) * reached * layer.output_shape[0]
    return found


@pytest.mark.parametrize("build", [average_pool, pool_that_leaves_rows_over, identity_shortcut, concatenation])
def test_operations_are_those_of_every_event(build: object) -> None:
    """Merged inputs, pools and borders included; means from rates are those of the simulation."""
    conversion, x = converted(build)  # type: ignore[arg-type]
    network, dt = lower(conversion, SPECK).checked(SPECK), 2e-3
    found = measured_bandwidth(conversion, network, x, T, dt, window=dt)
    rates = from_rates(network, simulated_rates(conversion, x, T), dt)
    caps = {node.name: node.max_spikes for node in conversion.spiking.of_type(IF)}
    each = {layer.name: np.zeros((len(x), T)) for layer in network.layers}
    for k, sample in enumerate(x):
        values = {"input": sample.astype(np.float64)}
        spikes = stepped(network, values, T, caps)
        for t in range(T):
            sent = {**inputs_of(network, values), **{name: train[t] for name, train in spikes.items()}}
            for layer in network.layers:
                each[layer.name][k, t] = counted(network, layer.name, arriving(network, layer, sent))
    for layer in network.layers:
        load, steps = found[layer.name], each[layer.name]
        np.testing.assert_allclose(load.mean, steps.mean() / dt, rtol=1e-4)
        np.testing.assert_allclose(load.peak, steps.max() / dt, rtol=1e-4)
        np.testing.assert_allclose(rates[layer.name].mean, load.mean, rtol=1e-4)
        assert rates[layer.name].peak is None


def facts_network(pool: bool) -> Graph:
    """The fact table's network 3: a convolution, neurons, a mean pool, a dense layer, with weights of 1."""
    maps = (
        {"stride": (1, 1), "padding": ((1, 1), (1, 1)), "dilation": (1, 1), "groups": 1},
        {"threshold": 4.0, "v_init": 0.0},
    )
    nodes = [
        Input(name="input", shape=(1, 4, 4)),
        Conv(name="conv", inputs=("input",), weight=np.ones((2, 1, 3, 3)), bias=np.zeros(2), **maps[0]),  # type: ignore[arg-type]
        IF(name="one", inputs=("conv",), max_spikes=None, **maps[1]),  # type: ignore[arg-type]
    ]
    at, size = "one", 32
    if pool:
        nodes.append(
            AvgPool(
                name="pool", inputs=("one",), kernel=(2, 2), stride=(2, 2), padding=((0, 0), (0, 0)), overhang=(0, 0)
            )
        )
        at, size = "pool", 8
    nodes += [
        Flatten(name="flat", inputs=(at,)),
        Linear(name="fc", inputs=("flat",), weight=np.ones((3, size)), bias=np.zeros(3)),
        IF(name="two", inputs=("fc",), max_spikes=None, **maps[1]),  # type: ignore[arg-type]
        Output(name="output", inputs=("two",)),
    ]
    return Graph(nodes)


@pytest.mark.parametrize("pool", [False, True])
def test_the_fact_tables_networks(pool: bool) -> None:
    """200 and 120, with the pool and without: not the 230 of the model's total, nor the 288 of the rough formula."""
    t, y, x = np.meshgrid(range(4), range(4), range(4), indexing="ij")
    raster = ((7 * t + 3 * y + 2 * x) % 4 == 0).astype(np.float32)[None, :, None]
    assert raster.sum() == 16
    graph = facts_network(pool)
    network = lower(graph, SPECK).checked(SPECK)
    found = measured_bandwidth(graph, network, raster, 4, 0.01, encoder=sw.encoders.encoder("events"))
    assert found["one"].mean * 0.04 == pytest.approx(200)
    assert found["two"].mean * 0.04 == pytest.approx(120)


def test_a_peak_is_taken_over_a_window() -> None:
    graph = facts_network(pool=False)
    network = lower(graph, SPECK).checked(SPECK)
    raster = np.zeros((2, 6, 1, 4, 4), np.float32)
    raster[1, 3:5, 0, 1, 1] = 1  # 18 operations each, at 3 and 4 ms
    found = measured_bandwidth(graph, network, raster, 6, 1e-3, window=2e-3, encoder=sw.encoders.encoder("events"))
    assert found["one"].mean == pytest.approx(36 / 12e-3)
    assert found["one"].peak == pytest.approx(36 / 2e-3)
    assert found["one"].peak_at == pytest.approx(3e-3)
    fine = measured_bandwidth(graph, network, raster, 6, 1e-3, window=1e-4, encoder=sw.encoders.encoder("events"))
    assert fine["one"].peak == pytest.approx(18 / 1e-3)
    assert "evenly spaced within a step" in fine.remarks[1]
    long = measured_bandwidth(graph, network, raster, 6, 1e-3, window=1.0, encoder=sw.encoders.encoder("events"))
    assert long["one"].peak == pytest.approx(36 / 6e-3)
    assert "the window is longer than the run of 0.006 s" in long.remarks[1]
    with pytest.raises(SettingsError, match="a window is a time above 0"):
        measured_bandwidth(graph, network, raster, 6, 1e-3, window=0)


def test_a_limit_that_is_exceeded_is_said_with_what_would_save() -> None:
    conversion, x = converted(average_pool)
    fit = sw.check(conversion, dt=1e-3, data=x, timesteps=T, synops_limit=1e4)
    assert fit.fits
    assert not fit.runs
    assert "times the limit of 10,000" in fit.exceeded[0]
    remedies = [str(saving) for saving in fit.savings]
    assert any("a kernel of 1×1 saves" in text and "(train again)" in text for text in remedies)
    assert any("a decimator of 1/" in text and text.endswith(("enough", "not enough")) for text in remedies)
    assert any("2 channels saves 50 %" in text for text in remedies)
    halved = sw.check(conversion, dt=1e-3, data=x, timesteps=T)
    assert halved.runs
    decimator = (
        next(saving for saving in halved.savings if "decimator" in saving.remedy) if len(halved.savings) > 3 else None
    )
    assert decimator is None or decimator.share == pytest.approx(0.5)
    cores = {fit.layers[0].core: 1e4}
    one = sw.check(conversion, dt=1e-3, data=x, timesteps=T, synops_limit=cores)  # type: ignore[arg-type]
    assert {saving.layer for saving in one.savings} == {fit.layers[0].layer}
    assert [saving for saving in fit.savings if saving.layer == fit.layers[0].layer] == list(one.savings)
    assert all(saving.enough is not None for saving in one.savings)
    some = sw.check(conversion, dt=1e-3, data=x, timesteps=T, synops_limit={8: 1.0})
    assert some.runs  # nothing stands on core 8


def test_rates_know_means_alone() -> None:
    conversion, x = converted(average_pool)
    rates = simulated_rates(conversion, x, T)
    fit = sw.check(conversion, rates=rates, dt=1e-3)
    assert fit.bandwidth is not None
    assert "a chip stalls on peaks, which only single events show" in str(fit)
    with pytest.raises(SettingsError, match="say how long a step is"):
        sw.check(conversion, rates=rates)
    with pytest.raises(SettingsError, match="say dt"):
        sw.check(conversion, data=x)
    other, _ = converted(identity_shortcut)
    with pytest.raises(SettingsError, match="they are of another network"):
        sw.check(other, rates=rates, dt=1e-3)


def test_what_cannot_be_computed_yet_is_not_counted() -> None:
    conversion, x = converted(average_pool)
    potentials = sw.convert(conversion.folded, x, "max")
    fit = sw.check(potentials, dt=1e-3, data=x, timesteps=T)
    assert fit.bandwidth is None
    assert "once the whole network is converted" in str(fit)


def test_a_file_of_a_camera_is_a_recording() -> None:
    """What a chip is sent of it are the events that every reader of recordings finds."""
    file = Path(__file__).parent.parent / "recordings" / "files" / "sample_nmnist.bin"
    assert is_recording(file)
    found, events = SensorEvents.read(file), sw.load_recording(file)
    x, y, t, p = events.columns("x", "y", "t", "p")
    order = np.argsort(t, kind="stable")
    assert (found.x == x[order]).all()
    assert (found.y == y[order]).all()
    assert (found.p == p[order]).all()
    assert (found.t == (t - t.min())[order]).all()
    assert found.name == str(file)
    assert len(SensorEvents.read(events)) == len(events)


def test_recordings_are_frames_of_events(tmp_path: Path) -> None:
    arrays = {"t": np.array([1000, 1999, 2000, 4100]), "x": np.array([0, 1, 1, 2]), "y": np.array([2, 0, 0, 1])}
    arrays["p"] = np.array([0, 1, 1, 0])
    np.savez(tmp_path / "events.npz", **arrays)
    assert is_recording(tmp_path / "events.npz")
    rows = np.array([(1000, 0, 2, 0)], [(label, np.int64) for label in "txyp"])
    with (tmp_path / "events.NPY").open("wb") as file:
        np.save(file, rows)
    assert is_recording(tmp_path / "events.NPY")
    assert len(SensorEvents.read(tmp_path / "events.NPY")) == 1
    np.savez(tmp_path / "other.npz", x=np.ones(3), y=np.ones(3))
    assert not is_recording(tmp_path / "other.npz")
    inputs = facts_inputs((2, 3, 4))
    found = SensorEvents.read(tmp_path / "events.npz").frames(inputs, 1e-3)
    assert found.shape == (1, 4, 2, 3, 4)
    assert found[0, 0, 0, 2, 0] == found[0, 0, 1, 0, 1] == found[0, 1, 1, 0, 1] == found[0, 3, 0, 1, 2] == 1
    assert found.sum() == 4
    assert SensorEvents.read(arrays).frames(facts_inputs((1, 3, 4)), 1e-3).sum() == 4
    for broken, message in (
        ({"t": arrays["t"]}, "it lacks x, y, p"),
        ({**arrays, "x": arrays["x"] + 4}, "reach x 6"),
        ({**arrays, "p": arrays["p"] + 0.5}, "are whole numbers"),
        ({**arrays, "t": arrays["t"].astype(np.uint64) + np.uint64(2**63)}, "beyond all sensors"),
        ({label: array[:0] for label, array in arrays.items()}, "holds no events"),
        (np.zeros(3), "it lacks t, x, y, p"),
    ):
        with pytest.raises(DataError, match=message):
            SensorEvents.read(broken).frames(inputs, 1e-3)
    recording = SensorEvents.read(arrays)
    with pytest.raises(DataError, match="1 or 2 channels"):
        recording.frames(facts_inputs((3, 3, 4)), 1e-3)
    with pytest.raises(DataError, match="a recording is of one input; the network has 2"):
        recording.frames(SampleShapes({"a": (1, 3, 4), "b": (1, 3, 4)}), 1e-3)
    with pytest.raises(DataError, match="at most 1,048,576"):
        recording.frames(inputs, 1e-9)
    with pytest.raises(DataError, match="values in memory"):
        recording.frames(facts_inputs((2, 128, 128)), 1e-3, timesteps=2**20)


def test_recordings_come_in_several_kinds_of_files(tmp_path: Path) -> None:
    """Arrays by name or one structured array, of any order in time; steps beyond its end are silent."""
    kinds = [("t", "<u8"), ("x", "<u2"), ("y", "<u2"), ("p", "?")]
    rows = np.array([(70, 1, 2, True), (50, 3, 0, False)], kinds)
    np.savez(tmp_path / "one.npz", events=rows)
    np.save(tmp_path / "one.npy", rows)
    np.savez(tmp_path / "names.npz", **{label: rows[label] for label in "txyp"})
    for source in (rows, *(tmp_path / name for name in ("one.npz", "one.npy", "names.npz"))):
        if isinstance(source, Path):
            assert is_recording(source)
        found = SensorEvents.read(source)
        assert [found.t.tolist(), found.x.tolist(), found.y.tolist(), found.p.tolist()] == [
            [0, 20],
            [3, 1],
            [0, 2],
            [0, 1],
        ]
        frames = found.frames(facts_inputs((2, 3, 4)), 1e-5, timesteps=6)
        assert frames.shape[:2] == (1, 6)
        assert frames[0, 0, 0, 0, 3] == frames[0, 2, 1, 2, 1] == 1
        assert found.frames(facts_inputs((2, 3, 4)), 1e-5, timesteps=2).sum() == 1
        last = SampleShapes({"input": (3, 4, 2)})
        last.channels = {"input": "last"}
        assert found.frames(last, 1e-5)[0, 2, 2, 1, 1] == 1
    np.save(tmp_path / "other.npy", np.zeros((3, 4)))
    assert not is_recording(tmp_path / "other.npy")


def facts_inputs(shape: tuple[int, ...]) -> SampleShapes:
    return SampleShapes({"input": shape})


def test_bandwidth_of_a_recording_is_that_of_its_frames() -> None:
    graph = facts_network(pool=False)
    network = lower(graph, SPECK).checked(SPECK)
    t = np.array([0, 1, 2, 900, 3100])
    recording = SensorEvents.read({"t": t, "x": t % 4, "y": t % 3, "p": t % 2})
    fit = sw.check(graph, data=recording, dt=1e-3)
    assert fit.bandwidth is not None
    assert (fit.bandwidth.samples, fit.bandwidth.timesteps) == (1, 4)
    frames = recording.frames(graph.inputs, 1e-3)
    by_hand = measured_bandwidth(graph, network, frames, 4, 1e-3, encoder=sw.encoders.encoder("events"))
    assert [load.peak for load in fit.bandwidth.layers] == [load.peak for load in by_hand.layers]
    longer = sw.check(graph, data=recording, dt=1e-3, timesteps=8).bandwidth
    assert longer is not None
    assert longer["one"].mean == pytest.approx(by_hand["one"].mean / 2)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_workers_count_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed", reason="needs spikewright[dask]")
    monkeypatch.setattr("spikewright.chips.bandwidth.BATCH", 2)
    conversion, x = converted(average_pool)
    alone, shared = (check(conversion, dt=2e-3, data=x, timesteps=T, cluster=c) for c in (None, "local:2"))
    assert shared.bandwidth is not None
    assert alone.bandwidth is not None
    for one, other in zip(shared.bandwidth.layers, alone.bandwidth.layers, strict=True):
        assert one == other
    assert shared.lines() == alone.lines()
