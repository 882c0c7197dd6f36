"""``quantise``, and ``simulate`` of what it wrote."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import spikewright as sw
from spikewright.cli.app import run


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A conversion, data, and the conversion quantised."""
    import torch
    from torch import nn

    folder = tmp_path_factory.mktemp("chip")
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(36, 3), nn.ReLU())
    x = np.random.default_rng(0).random((48, 1, 8, 8)).astype(np.float32)
    with torch.no_grad():
        y = module(torch.from_numpy(x)).argmax(1).numpy()
    x, y, more, labels = x[:24], y[:24], x[24:], y[24:]
    conversion = sw.convert(sw.load(module.eval(), shape=(1, 8, 8)), x, "percentile:99.9", readout="count")
    names = {name: str(folder / name) for name in ("spiking.safetensors", "train.npz", "data.npz", "chip.safetensors")}
    sw.save(conversion, names["spiking.safetensors"])
    np.savez(names["train.npz"], x=x, y=y)
    np.savez(names["data.npz"], x=more, y=labels)
    made = ["quantise", names["spiking.safetensors"], "--chip", "speck2f", "--data", names["train.npz"], "--rate", "2"]
    assert run([*made, "-o", names["chip.safetensors"]]) == 0
    return names


def test_quantise_says_what_each_layer_loses(
    files: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = str(tmp_path / "eight.safetensors")
    assert run(["quantise", files["spiking.safetensors"], "--chip", "speck2f", "--bias-bits", "8", "-o", output]) == 0
    printed = capsys.readouterr().out
    assert "factor" in printed
    assert f"written: {output}" in printed
    more = [files["spiking.safetensors"], "--chip", "speck2f", "-o", output, "--force", "--json"]
    assert run(["quantise", *more]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["chip"] == "speck2f"
    assert all(layer["weights_off"] < 0.05 for layer in told["layers"].values())


def test_simulate_runs_it_as_the_chip_would(files: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    command = ["simulate", files["chip.safetensors"], "--data", files["data.npz"], "-T", "32", "--dt", "2ms"]
    assert run(command) == 0
    printed = capsys.readouterr().out
    for words in ("on the chip", "accuracy", "synops/s", "waiting", "order and open rules: as stated", "500 Hz"):
        assert words in printed, words
    assert (
        run([*command, "--chip-rules", "fires=above,permute=3", "--encoder", "poisson", "--seed", "1", "--json"]) == 0
    )
    told = json.loads(capsys.readouterr().out)
    assert (told["rules"], told["trains"], told["samples"]) == ("fires=above,permute=3", "poisson", 24)
    assert len(told["scores"]["output"]["accuracy"]) == 32
    assert told["quantised"]["rate"] == 2
    assert run([*command, "--simultaneous", "--chip-rules", "permute=3"]) == 0
    assert "events: simultaneous regular trains, 2 events a step" in " ".join(capsys.readouterr().out.split())


def test_samples_of_calibration_are_refused_or_stamped(
    files: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["simulate", files["chip.safetensors"], "--data", files["train.npz"], "-T", "4"]
    assert run(command) == 2
    said = capsys.readouterr().err
    assert "24 of the 24 samples to measure with are those of calibration" in said
    assert "--allow-overlap" in said
    assert run([*command, "--allow-overlap"]) == 0
    assert "24 of these 24 samples were used for calibration too" in capsys.readouterr().out
    assert run([*command, "--allow-overlap", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["protocol"]["shared_samples"] == 24


def test_curves_and_events_are_written(
    files: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["simulate", files["chip.safetensors"], "--data", files["data.npz"], "-T", "8"]
    curves, events = tmp_path / "run.npz", tmp_path / "events"
    assert run([*command, "-o", str(curves), "--events", str(events)]) == 0
    printed = capsys.readouterr().out.replace("\n", "")
    assert f"written: {curves}" in printed
    assert f"written: {events}, " in printed
    with np.load(curves) as arrays:
        assert arrays["accuracy"].shape == (8,)
        assert arrays["answers/output"].shape == (24, 3)
    stored = sw.load_events(events)
    layers = [layer.name for layer in sw.load_quantised(files["chip.safetensors"]).network.layers]
    assert (list(stored), stored.samples, stored.timesteps) == (layers, 24, 8000)
    assert run([*command, "-o", str(curves)]) == 2
    assert "--force" in capsys.readouterr().err
    told = [*command, "-o", str(curves), "--events", str(events), "--force", "--json"]
    assert run(told) == 0
    assert json.loads(capsys.readouterr().out)["events"]["populations"] == dict(stored.counts)
    for more, said in (
        (["-o", str(tmp_path / "run.csv")], "curves and rates are written as .npz"),
        (["-o", files["data.npz"], "--force"], "is what --data reads"),
        (["--events", str(curves)], "is not a folder of events"),
    ):
        assert run([*command, *more]) == 2
        assert said in " ".join(capsys.readouterr().err.split())


def test_a_recording_is_run_as_it_is(files: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    random = np.random.default_rng(0)
    events = {"t": np.sort(random.integers(0, 20_000, 900)), "p": random.integers(0, 2, 900)}
    events |= {label: random.integers(0, 8, 900) for label in "xy"}
    path = str(tmp_path / "sensor.npz")
    np.savez(path, **events)
    command = ["simulate", files["chip.safetensors"], "--data", path]
    assert run([*command, "--dt", "1ms", "-o", str(tmp_path / "run.npz")]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    for words in ("events: as recorded, 20 steps of 0.001 s", "recording: 900 events in", "answer 'output', most: "):
        assert words in printed, words
    assert "stands for" in printed
    assert run([*command, "-T", "5", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["timesteps"], told["trains"], told["data"]["events"]) == (5, "as recorded", 900)
    assert len(told["answers"]["output"]) == 3
    assert run([*command, "-T", "50", "--json"]) == 0  # silence behind the end, where the slow clock ticks on
    assert json.loads(capsys.readouterr().out)["timesteps"] == 50
    for more, said in (
        (["--samples", "3"], "--samples would change nothing: a recording is one sample"),
        (["--encoder", "poisson"], "--encoder would change nothing"),
        (["--beside", files["spiking.safetensors"]], "--beside would change nothing"),
        (["--task", "classification"], "--task would change nothing"),
        (["--dt", "1e-7"], "a whole number of microseconds"),
    ):
        assert run([*command, *more]) == 2, more
        assert said in " ".join(capsys.readouterr().err.split())
    np.savez(path, **{**events, "x": events["x"] + 1})
    assert run(command) == 2
    assert "the network's input has 8 columns, 8 rows" in capsys.readouterr().err
    assert run(["simulate", files["spiking.safetensors"], "--data", path]) == 2
    assert "give binning='dt=50ms' (--binning dt=50ms)" in capsys.readouterr().err  # steps take frames


def test_quantise_draws_its_samples(files: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = str(tmp_path / "chip.safetensors")
    command = ["quantise", files["spiking.safetensors"], "--chip", "speck2f", "-o", output, "--force"]
    data = ["--data", files["data.npz"]]
    for more, used, seeds in (
        (["--samples", "9", "--sample-seed", "4"], "9 of 24", {"samples of quantising": 4}),
        (["--first-samples", "9"], "9 of 24", {}),
        ([], "24", {}),
    ):
        capsys.readouterr()
        assert run([*command, *data, *more]) == 0
        assert f"samples: {used}" in capsys.readouterr().err
        assert dict(sw.load_quantised(output).calibration.seeds) == seeds
    assert run([*command, "--samples", "9"]) == 2
    assert "--samples would change nothing: nothing is calibrated without --data" in capsys.readouterr().err


def test_the_stepped_network_stands_beside_it(
    files: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["simulate", files["chip.safetensors"], "--data", files["data.npz"], "-T", "16"]
    steps = [*command, "--beside", files["spiking.safetensors"]]
    assert run(steps) == 0
    printed = capsys.readouterr().out
    assert "accuracy, %, in steps" in printed
    assert run([*steps, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert len(told["stepped"]["accuracy"]) == 16
    other = str(tmp_path / "other.safetensors")
    conversion = sw.load(files["spiking.safetensors"])
    assert isinstance(conversion, sw.Conversion)
    x = np.random.default_rng(0).random((24, 1, 8, 8)).astype(np.float32)
    sw.save(sw.convert(conversion.folded, x), other)
    assert run([*command, "--beside", other]) == 2
    assert "give what was quantised" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--engine", "event"], "--engine would change nothing"),
        (["--encoder", "events"], "a chip is sent regular trains, or --encoder poisson; not --encoder events"),
        (["--chip-rules", "order=x"], "chip rules: unknown 'order=x'"),
        (["--dt", "0.0000001"], "dt must be a whole number of microseconds"),
        (["--dt", "-1ms"], "--dt takes a time above 0 like 1ms, 500us or 0.02 (seconds), not '-1ms'"),
        (["--dt", "1h"], "--dt takes a time above 0"),
    ],
)
def test_what_a_chip_has_not_is_refused(
    files: dict[str, str], more: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["simulate", files["chip.safetensors"], "--data", files["data.npz"], *more]) == 2
    assert said in capsys.readouterr().err


def test_what_is_no_conversion_or_no_chip_is_refused(
    files: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = ["-o", str(tmp_path / "out.safetensors")]
    for arguments, said in (
        (["quantise", files["chip.safetensors"], "--chip", "speck2f", *output], "holds chip"),
        (["quantise", files["spiking.safetensors"], "--chip", "speck9", *output], "unknown chip 'speck9'"),
        (["quantise", files["spiking.safetensors"], "--chip", "speck2f", "-o", "chip.npz"], ".safetensors"),
        (
            ["simulate", files["spiking.safetensors"], "--data", files["data.npz"], "--chip-rules", "fires=above"],
            "--chip-rules is for what 'spikewright quantise' wrote",
        ),
        (
            ["simulate", files["spiking.safetensors"], "--data", files["data.npz"], "--simultaneous"],
            "--simultaneous is for what 'spikewright quantise' wrote",
        ),
    ):
        assert run(arguments) == 2
        assert said in capsys.readouterr().err
    assert not (tmp_path / "out.safetensors").exists()


def test_export_hands_over_what_quantise_wrote(
    files: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("speck.json", "chip.npz", "chip.h", "chip.zip"):
        assert run(["export", files["chip.safetensors"], "-o", str(tmp_path / name)]) == 0
        assert f"written: {tmp_path / name}" in capsys.readouterr().out.replace("\n", "")
        assert (tmp_path / name).stat().st_size > 100
    cores = json.loads((tmp_path / "speck.json").read_text(encoding="utf-8"))
    fit = sw.check(sw.load(files["spiking.safetensors"]))
    assert cores["layers"] == {str(core): name for name, core in fit.cores.items()}
    readout = [files["chip.safetensors"], "-o", str(tmp_path / "readout.json"), "--chip-readout", "--json"]
    assert run(["export", *readout]) == 0
    assert json.loads(capsys.readouterr().out)["chip_readout"] is True


@pytest.mark.parametrize(
    ("which", "output", "more", "message"),
    [
        ("spiking", "speck.json", [], "speck.json: .json holds a network in a chip's integers: 'spikewright quantise"),
        ("chip", "net.nir", [], "no network in a chip's integers is written under the suffix '.nir'"),
        ("chip", "chip.h", ["--chip-readout"], "--chip-readout would change nothing"),
        ("spiking", "net.nir", ["--chip-readout"], "--chip-readout would change nothing"),
        ("chip", "speck.json", ["--feedback"], "--feedback would change nothing: it is about neurons in .nir"),
        ("chip", "speck.json", ["--dt", "0.001"], "--dt would change nothing: a chip has no steps"),
    ],
)
def test_what_export_refuses(
    files: dict[str, str],
    which: str,
    output: str,
    more: list[str],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["export", files[f"{which}.safetensors"], "-o", str(tmp_path / output), *more]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert message in said
    assert not list(tmp_path.iterdir())
    assert run(["export", str(tmp_path / "none.safetensors"), "-o", str(tmp_path / output)]) == 2
    assert "no such file" in capsys.readouterr().err


def test_settings_of_cores_are_options_of_quantise(
    files: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = next(iter(sw.load_quantised(files["chip.safetensors"]).network.layers)).name
    output = str(tmp_path / "chip.safetensors")
    made = ["quantise", files["spiking.safetensors"], "--chip", "speck2f", "-o", output]
    assert run([*made, "--decimator", f"{first}=4", "--return-to-zero", "--threshold-scale", "1.5", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["layers"]
    assert [layer["decimator"] for layer in told.values()] == [4, 1]
    assert all(layer["return_to_zero"] for layer in told.values())
    assert run(["simulate", output, "--data", files["data.npz"], "-T", "8"]) == 0
    assert run(["export", output, "-o", str(tmp_path / "speck.json")]) == 0
    core = next(iter(json.loads((tmp_path / "speck.json").read_text())["cnn_layers"].values()))
    assert (core["output_decimator_enable"], core["output_decimator_interval"], core["return_to_zero"]) == (
        True,
        1,
        True,
    )
    assert run([*made, "--force", "--decimator", f"{first}=4", "--lose-means"]) == 0
    less = sw.load_quantised(output).network
    assert run([*made, "--force", "--decimator", f"{first}=4"]) == 0
    kept = sw.load_quantised(output).network
    assert less.layers[1].threshold > 2 * kept.layers[1].threshold  # in the unit of weights, which fill their word
    assert run([*made, "--force", "--lose-means"]) == 2
    assert "--lose-means would change nothing" in capsys.readouterr().err
    capsys.readouterr()
    for option, message in (
        ("64", "speck2f has no decimator of 64; there are 1, 2, 4, 8, 16, 32, 128, 256, 512"),
        ("nobody=2", "there is no layer 'nobody'"),
        ("two", "--decimator takes a number for all layers"),
    ):
        assert run([*made, "--force", "--decimator", option]) == 2
        assert message in " ".join(capsys.readouterr().err.split())


def test_nir_carries_the_settings_of_the_chip(
    files: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import nir

    path = tmp_path / "net.nir"
    command = ["export", files["spiking.safetensors"], "-o", str(path)]
    assert run([*command, "--chip-settings", files["chip.safetensors"]]) == 0
    made = sw.load_quantised(files["chip.safetensors"])
    written = nir.read(path)
    whole = json.loads(written.metadata["spikewright"])["chip"]
    assert (whole["chip"], whole["rate"], whole["ticks_per_step"]) == ("speck2f", 2.0, 1)
    noted = [json.loads(node.metadata["spikewright"]) for node in written.nodes.values() if node.metadata]
    cores = {one["chip"]["name"]: one["chip"] for one in noted if "chip" in one}
    assert cores.keys() == {layer.name for layer in made.network.layers}
    fit = sw.check(sw.load(files["spiking.safetensors"]))
    for layer in made.network.layers:
        assert cores[layer.name]["threshold"] == layer.threshold
        assert cores[layer.name]["core"] == fit.cores[layer.name]
        assert (cores[layer.name]["decimator"], cores[layer.name]["return_to_zero"]) == (1, False)
    plain = tmp_path / "plain.nir"
    assert run(["export", files["spiking.safetensors"], "-o", str(plain)]) == 0
    assert sw.load(path).fingerprint == sw.load(plain).fingerprint
    assert run(["export", files["chip.safetensors"], "-o", str(tmp_path / "a.npz"), "--chip-settings", str(path)]) == 2
    assert "--chip-settings stands beside a conversion" in " ".join(capsys.readouterr().err.split())


def test_quantise_says_at_once_that_no_core_holds_a_layer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import torch
    from torch import nn

    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(128, 128, 3), nn.ReLU())  # 128 · 16 · 128 words, four times the largest core's
    x = np.random.default_rng(0).random((4, 128, 3, 3), np.float32)
    conversion = sw.convert(sw.load(module.eval(), shape=(128, 3, 3)), x, readout="count")
    spiking = str(tmp_path / "spiking.safetensors")
    sw.save(conversion, spiking)
    command = ["quantise", spiking, "--chip", "speck2f", "-o", str(tmp_path / "chip.safetensors"), "--force"]
    assert run(command) == 0
    broken = "its 262,144 kernel words are more than any core has (65,536)"
    said = f"the network does not fit speck2f: layer 'output_spikes': {broken}"
    assert f"note: {said}" in capsys.readouterr().out
    assert run([*command, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["fits"] is False
    assert told["notes"][-1].startswith(said)


def test_a_recording_without_polarities_is_told_what_it_lacks(
    files: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(tmp_path / "half.npz")
    np.savez(path, t=np.arange(5), x=np.arange(5), y=np.arange(5))
    assert run(["simulate", files["chip.safetensors"], "--data", path]) == 2
    assert capsys.readouterr().err == f"error: {path}: a recording has t (microseconds), x, y and p; it lacks p\n"
