"""What would change nothing is refused, not passed over in silence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import spikewright as sw
from networks import Builder, plain
from spikewright.cli.app import run
from spikewright.errors import DataError, GraphError, ModelFileError, SettingsError, SpikewrightWarning
from spikewright.forward import run as forward
from spikewright.nodes import MaxPool
from spikewright.nodes._window import output_length, reaches_inputs, window_counts
from spikewright.storage.graphs import node_of
from spikewright.tasks import parse


@pytest.fixture
def net(tmp_path: Path) -> Path:
    path = tmp_path / "net.safetensors"
    b = plain(1)
    sw.save(sw.convert(b.graph(), b.samples(4), "max"), path)
    return path


@pytest.mark.parametrize(
    "typed", ["--encoder morse", "--encoder poisson", "-T 3", "--samples 5", "--encoder poisson --input-scale 9"]
)
def test_synapses_without_data_take_no_settings_of_a_simulation(
    net: Path, typed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["synapses", str(net), *typed.split()]) == 2
    said = capsys.readouterr().err
    assert "would change nothing: it is a setting of the simulation" in said or "unknown encoder" in said


@pytest.mark.parametrize("option", [["--dt", "1"], ["--shape", "3,3,3"], ["--verify"]])
def test_our_files_take_no_settings_of_reading(
    net: Path, option: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["inspect", str(net), *option]) == 2
    assert f"{option[0][2:]} is no setting of what Spikewright wrote" in capsys.readouterr().err
    with pytest.raises(SettingsError, match="shape is no setting of what Spikewright wrote"):
        sw.load(net, shape=(1, 8, 8))


@pytest.mark.parametrize("option", ["--format csv", "--shard 1/2", "--workers 3"])
def test_synapses_that_are_only_counted_take_no_settings_of_writing(
    net: Path, option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["synapses", str(net), *option.split()]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert f"{option.split()[0]} would change nothing: it is a setting of what is written: give -o too" in said.err


def test_convert_without_a_measurement_takes_no_timesteps(net: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["convert", str(net), "--data", "data.npz", "-T", "64"]) == 2
    said = capsys.readouterr().err
    assert "--timesteps would change nothing: it is a setting of the measurement: give --test too" in said


def test_of_a_network_in_which_nothing_spikes_a_word_is_said() -> None:
    b = Builder(0, (1, 4, 4))
    b.conv(2)
    with pytest.warns(SpikewrightWarning, match="nothing of the network spikes: it has no rectifier before its end"):
        still = sw.convert(b.graph(), b.samples(4), "max")
    samples = b.samples(3)
    run = sw.simulate(still, samples, 4, quiet=True)
    np.testing.assert_allclose(
        run.output[:, -1], next(iter(forward(still.folded, samples).values())), atol=1e-5
    )  # its outputs only add up
    counted = sw.convert(b.graph(), b.samples(4), "max", readout="count")
    assert len(counted.spiking.populations) == 1


def test_event_frames_are_asked_for_in_words() -> None:
    b = plain(1)
    conversion = sw.convert(b.graph(), b.samples(4), "max")
    shape = ", ".join(map(str, conversion.spiking.sample_shape))
    with pytest.raises(DataError, match=rf"takes samples of shape \(frames, {shape}\) with the encoder events"):
        sw.simulate(conversion, b.samples(2), 3, encoder="events")


@pytest.mark.parametrize("text", ["1_0", "٣", "2.5", "nan"])
def test_numbers_in_tasks_are_those_that_people_write(text: str) -> None:
    with pytest.raises(SettingsError, match="ignore takes a whole number, not"):
        parse(f"dense:ignore={text}")


@pytest.mark.parametrize("text", ["percentile:9_9", "percentile:٩٩"])
def test_numbers_in_methods_are_those_that_people_write(text: str) -> None:
    with pytest.raises(SettingsError, match="percentile"):
        sw.threshold_method(text)


def test_labels_without_values_are_called_empty() -> None:
    b = plain(1)
    conversion = sw.convert(b.graph(), b.samples(4), "max")
    with pytest.raises(DataError, match=r"labels are empty, of shape \(N, 0\)"):
        sw.measure(conversion, (b.samples(4), np.zeros((4, 0), int)), 2)


def test_a_node_of_a_package_that_is_missing() -> None:
    with pytest.raises(ModelFileError, match="is a Flip, which this version does not know: a package that brings it"):
        node_of({"type": "Flip", "name": "flip", "inputs": ["input"], "settings": {}}, {})


@pytest.mark.parametrize(
    "setting", [{"timesteps": 10**12}, {"timesteps": 2**24 + 1}, {"first_sample": 2**63 - 1, "encoder": "poisson"}]
)
def test_settings_of_a_run_have_an_end(setting: dict[str, int]) -> None:
    with pytest.raises(SettingsError, match="or less, not"):
        sw.RunSettings(**setting)  # type: ignore[arg-type]


def test_a_max_pool_has_no_window_of_padding_alone() -> None:
    """Its largest value would be −∞."""
    pool = MaxPool(name="pool", inputs=("input",), kernel=(2,), stride=(1,), padding=((1, 1),), dilation=(3,))
    with pytest.raises(GraphError, match="lies wholly in the padding"):
        pool.infer_shape((1, 2))
    assert pool.infer_shape((1, 4)) == (1, 3)


def test_windows_of_padding_alone_are_found_without_listing_them() -> None:
    for seed in range(3000):
        length, kernel, stride, dilation, low, high = np.random.default_rng(seed).integers(1, 7, 6).tolist()
        axis = (length, kernel, stride, (low - 3, high - 3), dilation)
        if output_length(*axis) >= 1:
            assert reaches_inputs(*axis) == bool(window_counts(*axis)[1].all()), axis
