"""From a conversion to a chip and back from a file, beside the stepped network on the same events."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spikewright as sw
from spikewright.chips.quantise import Quantised, quantise, sent_at
from spikewright.chips.simulation.measuring import measure_chip
from spikewright.chips.simulation.rules import ChipRules
from spikewright.chips.simulation.stepped import TrainFrames
from spikewright.chips.simulation.trains import PictureTrains
from spikewright.chips.storage import is_quantised, load_quantised, save_quantised
from spikewright.errors import DataError, ModelFileError, SettingsError, UnsupportedModelError
from spikewright.tensors import NotOurs

TRAINS = PictureTrains(timesteps=32)


@cache
def network() -> tuple[sw.Conversion, Any, Any]:
    """A small network with average pooling, converted, with samples and labels that it gets right."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AvgPool2d(2), nn.Conv2d(4, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(6, 3)
    )
    x = np.random.default_rng(0).random((60, 1, 8, 8)).astype(np.float32)
    with torch.no_grad():
        last = module[-1]
        last.weight.mul_(20)
        last.bias.copy_(4 - last(module[:-1](torch.from_numpy(x))).mean(0))
        y = module(torch.from_numpy(x)).argmax(1).numpy()
    graph = sw.load(module.eval(), shape=(1, 8, 8))
    more = np.random.default_rng(1).random((80, 1, 8, 8)).astype(np.float32)
    return sw.convert(graph, more, "percentile:99.9", readout="count"), x, y


def calibration() -> Any:
    """Other samples, among those that λ come from."""
    return np.random.default_rng(1).random((80, 1, 8, 8)).astype(np.float32)


def quantised(**settings: Any) -> Quantised:
    return quantise(network()[0], "speck2f", calibration(), **settings)


def test_a_conversion_becomes_integers_whose_losses_are_told() -> None:
    found = quantised(rate=4)
    assert found.network.is_integer
    assert found.network.inputs[0].event_value == pytest.approx(network()[0].spiking["input"].event_value / 4)
    assert len(found.losses) == 3
    assert all(loss.output is not None and loss.output < 0.05 for loss in found.losses)
    assert str(found).count("\n") >= 2
    assert set(found.summary()["layers"]) == {layer.name for layer in found.network.layers}


def test_more_events_are_worth_less_and_more_ticks_add_less() -> None:
    usual, often = quantised(), quantised(rate=4, ticks=2)
    first, same = usual.network.layers[0], often.network.layers[0]
    assert same.threshold / np.abs(same.weights).max() == pytest.approx(
        4 * first.threshold / np.abs(first.weights).max(), rel=0.02
    )
    assert first.bias is not None
    assert same.bias is not None
    assert np.allclose(same.bias / same.threshold, first.bias / first.threshold / 2, atol=2e-3)


def test_the_chip_counts_what_the_stepped_network_counts_on_the_same_events() -> None:
    conversion, x, y = network()
    found, steps = quantised(rate=4), TRAINS.timesteps
    encoder = TrainFrames(found.network, TRAINS)
    stepped = sw.simulate(conversion, x, steps, encoder=encoder, engine="reference").outputs["output"][:, -1]
    for rules in (ChipRules(), ChipRules(permute=1)):
        on_chip = measure_chip(found, (x, y), TRAINS, rules)
        counts = on_chip.answers["output"]
        assert np.corrcoef(counts.ravel(), stepped.ravel())[0, 1] > 0.9
        assert np.abs(counts - stepped).mean() < 0.1 * np.abs(stepped).mean()
    assert on_chip.accuracy is not None
    assert on_chip.accuracy[-1] == (counts.argmax(1) == y).mean()
    assert on_chip.samples == 60
    assert "accuracy" in repr(on_chip)
    for name, layer in on_chip.layers.items():
        assert layer.fired == layer.sent > 0
        assert layer.peak >= layer.synops_per_second
        assert layer.synops_per_second == pytest.approx(layer.synops / 0.032)
        assert on_chip.summary()["layers"][name]["synops"] == layer.synops


def test_frames_hold_the_events_that_the_chip_is_sent() -> None:
    import torch

    _, x, _ = network()
    chip = quantised(rate=3).network
    for kind in ("regular", "poisson"):
        trains = PictureTrains(timesteps=5, kind=kind)  # type: ignore[arg-type]
        encoder, batch = TrainFrames(chip, trains), torch.from_numpy(x[:4])
        frames = torch.stack([encoder.at(batch, t, 10) for t in range(5)], dim=1)
        for number in range(4):
            train = trains.of(x[number], chip.inputs[0], 10 + number)
            assert (frames[number].numpy() == trains.frames(train, chip.inputs[0])).all()
        assert not encoder.at(batch, 5, 10).any()


def test_answers_do_not_depend_on_threads_or_parts() -> None:
    _, x, y = network()
    found, rules = quantised(), ChipRules(permute=3)
    whole = measure_chip(found, (x, y), TRAINS, rules, threads=1)
    data = sw.ArrayDataset(x, y)
    parts = [measure_chip(found, data.part(k, 2), TRAINS, rules, threads=2) for k in range(2)]
    together = np.concatenate([part.answers["output"] for part in parts])
    assert (whole.answers["output"] == together).all()


def test_a_layer_that_keeps_firing_is_seen() -> None:
    """A weight above the threshold: what is left over waits for the next event."""
    found = quantised()
    layer = found.network.layers[0]
    strong = layer.replace(threshold=5)
    changed = replace(found, network=replace(found.network, layers=(strong, *found.network.layers[1:])))
    _, x, y = network()
    assert measure_chip(changed, (x, y), TRAINS).layers[layer.name].waiting > 0.3
    assert measure_chip(found, (x, y), TRAINS).layers[layer.name].waiting < 0.02


def test_a_file_gives_back_what_was_written(tmp_path: Path) -> None:
    path, found = tmp_path / "chip.safetensors", quantised(rate=2)
    save_quantised(found, path)
    again = load_quantised(path)
    assert is_quantised(path)
    assert again.losses == found.losses
    assert again.summary() == found.summary()
    assert (again.rate, again.inputs, again.preprocessing) == (found.rate, found.inputs, found.preprocessing)
    assert (again.network.inputs, again.network.readout) == (found.network.inputs, found.network.readout)
    for one, two in zip(found.network.layers, again.network.layers, strict=True):
        assert (one.weights == two.weights).all()
        assert (one.threshold, one.destinations, one.sources) == (two.threshold, two.destinations, two.sources)
        assert (one.bias == two.bias) if one.bias is None else (one.bias == two.bias).all()
    _, x, y = network()
    one, two = (measure_chip(q, (x, y), TRAINS).answers["output"] for q in (found, again))
    assert (one == two).all()


def test_samples_of_calibration_are_not_measured_with(tmp_path: Path) -> None:
    """Neither those that λ come from nor those of quantising, by digests that the file holds."""
    _, x, y = network()
    more = np.random.default_rng(2).random((200, 1, 8, 8)).astype(np.float32)
    found = quantise(network()[0], "speck2f", more, samples=40, seed=3)
    save_quantised(found, tmp_path / "chip.safetensors")
    again = load_quantised(tmp_path / "chip.safetensors")
    assert again.calibration == found.calibration
    assert again.selected == ("factors of integers",)
    drawn = sw.ArrayDataset(more).sample(40, 3)
    for q in (found, again):
        assert np.isin(sw.data.sample_digests(drawn), q.calibration.seen).all()
        for samples, said in ((calibration(), "80 of the 80 samples"), (more, "40 of the 200 samples")):
            with pytest.raises(DataError, match=f"{said} to measure with are those of calibration"):
                measure_chip(q, samples, TRAINS)
            assert measure_chip(q, samples[:4], TRAINS, allow_overlap=True).protocol is not None
    clean = measure_chip(again, (x, y), replace(TRAINS, kind="poisson", seed=5)).protocol
    assert clean is not None
    assert clean.summary()["disjoint"] is True
    assert clean.seeds == {"samples of quantising": 3, "encoder": 5}
    assert "none of the samples it is measured on was calibrated on" in clean.lines[1]
    assert "factors of integers" in clean.lines[0]
    stamped = measure_chip(again, more, TRAINS, allow_overlap=True)
    assert stamped.summary()["protocol"]["shared_samples"] == 40


def test_a_draw_in_proportion_to_the_classes_is_quantised_with() -> None:
    """Labels that are sorted give samples of all classes, the same ones every time."""
    x = np.zeros((90, 1, 8, 8), np.float32)
    x += np.arange(90, dtype=np.float32)[:, None, None, None] / 90
    data = (x, np.arange(90) // 30)
    one, two = (quantise(network()[0], "speck2f", data, samples=9) for _ in range(2))
    assert one.calibration == two.calibration
    seen = np.isin(sw.data.sample_digests(sw.ArrayDataset(x)), one.calibration.seen)
    assert [int(seen[30 * k : 30 * k + 30].sum()) for k in range(3)] == [3, 3, 3]
    with pytest.raises(DataError, match="there are no samples to quantise with"):
        quantise(network()[0], "speck2f", x[:0])


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "spiking.safetensors"
    sw.save(network()[0], path)
    assert not is_quantised(path)
    assert not is_quantised(tmp_path / "none.safetensors")
    with pytest.raises(NotOurs, match="holds a conversion, not a chip network"):
        load_quantised(path)
    chip = tmp_path / "chip.safetensors"
    save_quantised(quantised(), chip)
    with pytest.raises(ModelFileError, match="holds chip"):
        sw.load(chip)
    damaged = bytearray(chip.read_bytes())
    damaged[-20] ^= 1
    chip.write_bytes(damaged)
    assert is_quantised(chip)
    with pytest.raises(ModelFileError, match="damaged"):
        load_quantised(chip)


def test_what_cannot_be_is_refused() -> None:
    conversion, x, _ = network()
    with pytest.raises(SettingsError, match="rate must be a positive number of events a step, not 0"):
        quantise(conversion, "speck2f", rate=0)
    with pytest.raises(SettingsError, match="unknown chip 'speck9'"):
        quantise(conversion, "speck9")
    signed = sw.convert(conversion.folded, x, readout="count", neurons="signed")
    with pytest.raises(UnsupportedModelError, match="events have no sign"):
        quantise(signed, "speck2f")
    with pytest.raises(SettingsError, match="the slow clock ticks 1 times a step in this network, not 2"):
        measure_chip(quantised(), x, PictureTrains(ticks=2))
    with pytest.raises(SettingsError, match="the network does not say which neurons are read"):
        measure_chip(replace(quantised(), network=replace(quantised().network, readout=())), x)
    with pytest.raises(DataError, match="none for less than nothing"):
        measure_chip(quantised(), -x)


def test_an_input_beside_others_is_scaled_alone() -> None:
    from spikewright.chips.network import ChipInput, ChipLayer, ChipNetwork, Destination

    a = ChipLayer("a", ("input",), (1, 1, 1), np.ones((1, 1, 1, 1)), destinations=(Destination("b"),))
    b = ChipLayer("b", ("input", "a"), (2, 1, 1), np.ones((1, 2, 1, 1)), bias=np.array([3.0]))
    source = ChipInput("input", (1, 1, 1), (Destination("a"), Destination("b", feature_shift=1)), 0.5)
    found = sent_at(ChipNetwork((source,), (a, b)), 4, ticks=2)
    assert found["b"].weights.reshape(-1).tolist() == [1.0, 0.25]
    assert found["b"].bias is not None
    assert found["b"].bias.tolist() == [1.5]
    assert found.inputs[0].event_value == 0.125


def test_a_recording_arrives_as_it_is(tmp_path: Path) -> None:
    """The events that a picture would be sent as, recorded: the same spikes, and those of the reference one by one."""
    from spikewright.chips.recording import SensorEvents
    from spikewright.chips.simulation.reference import run_reference
    from spikewright.chips.simulation.trains import StepClock

    found, x = quantised(rate=4), network()[1].copy()
    x[0, 0, 0, 0] = 4  # it sends its first event at 0 µs, which is where a recording begins
    picture = TRAINS.of(x[0], found.network.inputs[0], 0)
    assert picture.time.min() == 0
    arrays = {"t": picture.time, "x": picture.x, "y": picture.y, "p": np.zeros(len(picture), np.int64)}
    recording = SensorEvents.read(arrays)
    clock = StepClock(timesteps=32)
    as_sent = measure_chip(found, x[:1], TRAINS, events_to=tmp_path / "sent")
    recorded = measure_chip(found, recording, clock, events_to=tmp_path / "recorded")
    assert (recorded.answers["output"] == as_sent.answers["output"]).all()
    assert [one.summary() for one in recorded.layers.values()] == [one.summary() for one in as_sent.layers.values()]
    assert (recorded.samples, recorded.summary()["trains"]) == (1, "as recorded")
    reference = run_reference(found.network, {found.network.inputs[0].name: picture}, clock.beats())
    sent, stored = sw.load_events(tmp_path / "sent"), sw.load_events(tmp_path / "recorded")
    assert sent.timesteps == stored.timesteps == 32_000
    for name, one in reference.items():
        events = stored[name]
        assert len(events) == len(sent[name])
        assert events.value.sum() == len(one.time) == recorded.layers[name].sent
        _, rows, columns = found.network[name].output_shape
        y, across, channel = one.neuron.T
        expected = np.unique(np.stack([one.time, (channel * rows + y) * columns + across]), axis=1)
        assert (np.stack([events.timestep, events.neuron]) == expected).all()
    short = measure_chip(found, recording, StepClock(timesteps=4))
    assert sum(one.fired for one in short.layers.values()) < sum(one.fired for one in recorded.layers.values())
    whole = measure_chip(found, recording)
    assert whole.trains.timesteps == recording.steps(1e-3)
    wrong = SensorEvents.read({**arrays, "x": picture.x + 1})
    with pytest.raises(DataError, match="the network's input has 8 columns"):
        measure_chip(found, wrong, clock)
    with pytest.raises(SettingsError, match="pictures are sent as PictureTrains"):
        measure_chip(found, x, clock)


def test_events_of_a_data_set_are_those_of_its_samples(tmp_path: Path) -> None:
    _, x, y = network()
    found = quantised()
    measures = measure_chip(found, (x, y), TRAINS, ChipRules(permute=2), events_to=tmp_path / "events", threads=2)
    stored = sw.load_events(tmp_path / "events")
    assert stored.samples == 60
    for name, layer in measures.layers.items():
        assert stored[name].value.sum() == pytest.approx(60 * layer.sent)
    arrays = measures.arrays()
    assert measures.accuracy is not None
    assert arrays["accuracy"].tolist() == list(measures.accuracy)
    assert arrays["answers/output"].shape == (60, 3)
    assert len(arrays["timestep"]) == 32


def pixels() -> tuple[sw.Conversion, Any]:
    """A network whose answer is a map of classes."""
    from networks import Builder
    from spikewright.graph import Graph
    from spikewright.nodes import Output

    b = Builder(0, (1, 4, 4))
    b.conv(3)
    b.relu()
    graph = Graph([*b.nodes, Output(name="output", inputs=(b.at,))])
    return sw.convert(graph, np.abs(b.samples(20)), "max", readout="count"), np.abs(b.samples(40))[20:]


def test_maps_of_classes_are_scored_as_the_stepped_network_is() -> None:
    """An index for each position, and no index of the 48 values side by side."""
    conversion, x = pixels()
    found = quantise(conversion, "speck2f")
    labels = np.random.default_rng(0).integers(0, 3, (len(x), 4, 4))
    on_chip = measure_chip(found, (x, labels), TRAINS)
    assert str(on_chip.tasks["output"]) == "dense"
    assert on_chip.answers["output"].shape == (len(x), 48)
    decided = on_chip.answers["output"].reshape(-1, 3, 4, 4).argmax(1)
    assert on_chip.accuracy is not None
    assert on_chip.accuracy[-1] == pytest.approx((decided == labels).mean())
    with pytest.raises(DataError, match="no task is seen in that"):
        measure_chip(found, (x, labels[:, 0, 0]), TRAINS)


def test_labels_of_several_outputs_have_names() -> None:
    """One array would be taken for each of them."""
    _, x, y = network()
    found = quantised()
    read = found.network.readout[0]
    two = replace(found.network, readout=(read, replace(read, output="second")))
    both = replace(found, network=two)
    with pytest.raises(DataError, match="the network has the outputs output, second: give labels of each by name"):
        measure_chip(both, (x, y), TRAINS)
    named = measure_chip(both, (x, {"second": y}), TRAINS)
    assert set(named.scores) == {"second"}
    with pytest.raises(DataError, match="labels are of an output 'third'"):
        measure_chip(both, (x, {"third": y}), TRAINS)


def test_absurdly_many_events_are_refused() -> None:
    _, x, _ = network()
    for kind in ("regular", "poisson"):
        with pytest.raises(DataError, match=r"would be sent as .* events, at most 67,108,864"):
            measure_chip(quantised(), 1e30 * x, PictureTrains(timesteps=4, kind=kind))  # type: ignore[arg-type]


def test_a_window_longer_than_the_run_is_the_run() -> None:
    """A count divided by more time than there was would lie below the mean."""
    _, x, _ = network()
    short = measure_chip(quantised(), x[:1], PictureTrains(timesteps=4), window=10_000_000)
    for layer in short.layers.values():
        assert layer.peak == pytest.approx(layer.synops_per_second)


def test_what_is_no_network_no_sample_and_no_number_is_refused() -> None:
    conversion, x, _ = network()
    found: Any = quantised()
    calls: dict[str, Any] = {
        "window must be 1 or more, not 0": lambda: measure_chip(found, x, window=0),
        "window must be a whole number, not 1.5": lambda: measure_chip(found, x, window=1.5),  # type: ignore[arg-type]
        "threads must be 1 or more, not -1": lambda: measure_chip(found, x, threads=-1),
        "there are no samples to run": lambda: measure_chip(found, x[:0]),
        "a chip runs what quantise": lambda: measure_chip(conversion, x),  # type: ignore[arg-type]
        "a conversion is quantised, as convert": lambda: quantise(conversion.spiking, "speck2f"),  # type: ignore[arg-type]
        "a network is checked, trained, converted or quantised, not a NoneType": lambda: sw.check(None),  # type: ignore[arg-type]
        "dt is how long a step is, a number of seconds, not '1ms'": lambda: sw.check(conversion, dt="1ms"),  # type: ignore[arg-type]
        "timesteps must be 1 or more, not 0": lambda: sw.check(conversion, dt=1e-3, data=x, timesteps=0),
        "there are no samples to count": lambda: sw.check(conversion, dt=1e-3, data=x[:0]),
    }
    for said, call in calls.items():
        with pytest.raises((SettingsError, DataError), match=said):
            call()
