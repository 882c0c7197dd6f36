"""INI files of SNN Toolbox run as they are: its MNIST example, with digits of ours; what is refused says so by name."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import spikewright as sw
from spikewright.compat import snntoolbox as st
from spikewright.compat.snntoolbox.__main__ import main
from spikewright.compat.snntoolbox.experiment import OptionsError
from spikewright.compat.snntoolbox.logs import guesses, in_top_k
from spikewright.compat.snntoolbox.options import OPTIONS
from spikewright.errors import SettingsError

PAGE = Path(__file__).parents[2] / "docs" / "from-snntoolbox.md"
BEGIN, END = "<!-- options -->\n\n", "\n\n<!-- end of options -->"

CONFIG = """\
[paths]
path_wd = {folder}
dataset_path = %(path_wd)s
filename_ann = mnist_cnn

[tools]
evaluate_ann = True
normalize = True

[simulation]
simulator = INI
duration = 50
num_to_test = 20
batch_size = 8
keras_backend = tensorflow

[output]
log_vars = {{'activations_n_b_l', 'spiketrains_n_b_l_t', 'mem_n_b_l_t', 'input_b_l_t'}}
plot_vars = {{}}
"""


@pytest.fixture(scope="module")
def model() -> object:
    """The topology of SNN Toolbox's MNIST example, smaller: a norm, two branches, a dropout, a softmax."""
    os.environ.setdefault("KERAS_BACKEND", "torch")
    keras = pytest.importorskip("keras")
    layers = keras.layers
    keras.utils.set_random_seed(3)
    start = keras.Input((12, 12, 1))
    x = layers.Conv2D(4, (5, 5), strides=(2, 2), activation="relu")(start)
    x = layers.BatchNormalization(axis=-1)(x)
    x = layers.Activation("relu")(x)
    x = layers.AveragePooling2D(2)(x)
    left = layers.Conv2D(4, (3, 3), padding="same", activation="relu")(x)
    right = layers.Conv2D(2, (1, 1), activation="relu")(x)
    x = layers.Concatenate(axis=-1)([left, right])
    x = layers.Conv2D(5, (2, 2), activation="relu")(x)
    x = layers.Dropout(0.01)(layers.Flatten()(x))
    return keras.Model(start, layers.Dense(10, activation="softmax", name="head")(x))


@pytest.fixture
def folder(tmp_path: Path, model: object) -> Path:
    """The files of the example; labels are the network's own answers."""
    random = np.random.default_rng(0)
    test, norm = random.uniform(0, 1, (23, 12, 12, 1)), random.uniform(0, 1, (40, 12, 12, 1))
    answers = np.asarray(model.predict(test, verbose=0)).argmax(1)  # type: ignore[attr-defined]
    np.savez_compressed(tmp_path / "x_test", test)
    np.savez_compressed(tmp_path / "y_test", np.eye(10)[answers])
    np.savez_compressed(tmp_path / "x_norm", norm)
    model.save(tmp_path / "mnist_cnn.h5")  # type: ignore[attr-defined]
    return tmp_path


def ini(folder: Path, text: str = "", **changes: str) -> Path:
    path = folder / "config"
    text = text or CONFIG.format(folder=folder)
    for name, value in changes.items():
        section, _, option = name.partition("__")
        lines = [line for line in text.splitlines() if not line.startswith(f"{option} =")]
        place = lines.index(f"[{section}]") if f"[{section}]" in lines else len(lines)
        if place == len(lines):
            lines.append(f"[{section}]")
        text = "\n".join([*lines[: place + 1], f"{option} = {value}", *lines[place + 1 :]])
    path.write_text(text)
    return path


def test_the_mnist_example_from_start_to_end(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-t", str(ini(folder))]) == 0
    printed = capsys.readouterr().out
    assert "Trained network: 100.00% of 20 samples." in printed
    assert "Normalised network: 100.00%." in printed
    assert "[output] log_vars: input_b_l_t is left out" in printed
    log = folder / "log" / "gui" / "test"
    lines = (log / "accuracy.txt").read_text().splitlines()
    assert lines[0] == "# samples | SNN top-1 | top-1 | ANN top-1 | top-1"
    assert [line.split()[0] for line in lines[1:]] == ["8", "16", "20"]  # samples left over count too
    assert lines[-1].split()[3:] == ["100.00%", "100.00%"]
    assert "plot_vars" in (log / ".config").read_text()

    factors = json.loads((log / "normalization" / "99.9.json").read_text())
    assert factors["head"] == 1.0
    assert all(value > 0 for value in factors.values())
    stored = {path.name for path in (log / "normalization" / "activations").iterdir()}
    assert {"weights.npz", "sparsity.npz", "head.npz"} <= stored
    assert len(stored) == 2 + 5 + 1  # of four convolutions, the head, and the norm behind the first

    conversion = sw.load(folder / "mnist_cnn_INI.safetensors")
    assert isinstance(conversion, sw.Conversion)
    assert conversion.neurons.default.v_init == 0.0
    data = np.load(folder / "x_test.npz")["arr_0"][:8]
    run = sw.simulate(conversion, data, timesteps=50, record=["spikes"])
    held = np.load(log / "log_vars" / "0.npz")
    np.testing.assert_array_equal(held["top1err_b_t"], guesses(run.output) != held["true_classes_b"][:, None])
    name = conversion.spiking.populations[0].name
    trains = held[f"spiketrains_n_b_l_t.{name}"]
    np.testing.assert_array_equal(trains != 0, np.moveaxis(run.spikes[name], 1, -1) != 0)
    assert trains.max() <= 50
    assert float(held["avg_rate"]) > 0
    normalised = sw.load(folder / "mnist_cnn_parsed.safetensors")
    assert isinstance(normalised, sw.Graph)


def test_scale_factors_are_those_of_the_statistics(folder: Path) -> None:
    st.run_pipeline(ini(folder, tools__simulate="False"), say=lambda _: None)
    factors = json.loads((folder / "log" / "gui" / "test" / "normalization" / "99.9.json").read_text())
    x = np.load(folder / "x_norm.npz")["arr_0"].astype(np.float32)
    first = next(iter([name for name in factors if name.startswith("conv")]))
    values = st.get_activations_layer(str(folder / "mnist_cnn.h5"), first, x)
    assert factors[first] == pytest.approx(np.percentile(values[values != 0], 99.9), rel=1e-5)


def test_keras_tensors_are_layers_too(folder: Path, model: object) -> None:
    x = np.load(folder / "x_norm.npz")["arr_0"].astype(np.float32)
    layer = model.layers[1]  # type: ignore[attr-defined]
    found = st.get_activations_layer(model.input, layer.output, x)  # type: ignore[attr-defined]
    assert found.shape == (40, 4, 4, 4)
    by_name = st.get_activations_layer(model, layer.name, x, batch_size=7)
    np.testing.assert_allclose(found, by_name, rtol=1e-5, atol=1e-6)
    own = model.predict(x, verbose=0)  # type: ignore[attr-defined]
    np.testing.assert_allclose(st.get_activations_batch(model, x)[-1][0], own, rtol=1e-4, atol=1e-5)
    assert [label for _, label in st.get_activations_batch(model, x[:2])] == [
        *("Conv2D", "BatchNormalization", "AveragePooling2D", "Conv2D", "Conv2D", "Conv2D", "Dense")
    ]


def test_a_later_run_loads_what_an_earlier_one_wrote(folder: Path) -> None:
    first = st.run_pipeline(ini(folder), say=lambda _: None)
    (folder / "mnist_cnn.h5").unlink()
    with pytest.raises(OptionsError, match="filename_ann: there is no"):
        st.run_pipeline(ini(folder), say=lambda _: None)
    again = ini(folder, tools__parse="False", tools__convert="False")
    assert st.run_pipeline(again, say=lambda _: None) == first
    anew = ini(folder, tools__parse="False", tools__evaluate_ann="False")  # of the normalised network
    assert st.run_pipeline(anew, say=lambda _: None) == first
    (folder / "mnist_cnn_INI.safetensors").unlink()
    again = ini(folder, tools__parse="False", tools__convert="False")
    with pytest.raises(SettingsError, match=r"mnist_cnn_INI\.safetensors"):
        st.run_pipeline(again, say=lambda _: None)


def test_options_that_change_the_network(folder: Path) -> None:
    changes = {
        "cell__reset": "Reset to zero",
        "cell__v_thresh": "0.5",
        "conversion__softmax_to_relu": "True",
        "normalization__normalization_schedule": "True",
        "normalization__num_samples": "10",
        "input__poisson_input": "True",
        "output__log_vars": "{}",
    }
    st.run_pipeline(ini(folder, **changes), say=lambda _: None)
    conversion = sw.load(folder / "mnist_cnn_INI.safetensors")
    assert isinstance(conversion, sw.Conversion)
    assert conversion.readout == "count"
    assert conversion.neurons.default.reset == "zero"
    factors = json.loads((folder / "log" / "gui" / "test" / "normalization" / "99.9.json").read_text())
    scales = [float(value) for name, value in conversion.scales.items() if name not in conversion.folded.inputs]
    assert sorted(scales) == pytest.approx(sorted(v / 2 for n, v in factors.items() if not n.startswith("input")))


def test_without_normalisation_every_scale_is_one(folder: Path) -> None:
    st.run_pipeline(ini(folder, tools__normalize="False", output__log_vars="{}"), say=lambda _: None)
    conversion = sw.load(folder / "mnist_cnn_INI.safetensors")
    assert isinstance(conversion, sw.Conversion)
    assert {float(value) for value in conversion.scales.values()} == {1.0}


def test_a_sweep_of_thresholds_gives_an_accuracy_each(folder: Path) -> None:
    path = ini(folder, parameter_sweep__param_values="[0.5, 1, 100]", output__log_vars="{}")
    found = st.run_pipeline(path, say=lambda _: None)
    assert len(found) == 3
    assert found[2] < found[1]  # nothing fires


def test_a_report_stands_for_the_plots(folder: Path) -> None:
    changes = {"output__plot_vars": "{'error_t', 'correlation'}", "output__log_vars": "{}", "simulation__duration": "5"}
    st.run_pipeline(ini(folder, **changes), say=lambda _: None)
    assert "<html" in (folder / "log" / "gui" / "test" / "report.html").read_text()
    with pytest.raises(sw.SpikewrightError, match="exists"):
        st.run_pipeline(ini(folder, output__overwrite="False"), say=lambda _: None)


def test_every_option_that_is_refused_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changes = {
        "cell__tau_refrac": "2",
        "conversion__spike_code": "ttfs",
        "simulation__simulator": "nest",
        "cell__reset": "Reset by modulo",
        "output__plot_vars": "{'errors'}",
        "simulation__num_to_tests": "10",
        "normalization__percentile": "99.9",
        "simulation__dt": "fast",
    }
    assert main([str(ini(folder, **changes))]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 7
    assert all(line.startswith("error: [") for line in lines)
    text = "\n".join(lines)
    for part in (
        "[cell] tau_refrac = 2: neurons have no refractory period",
        "[conversion] spike_code = ttfs: of other codes there is few_spike",
        "[simulation] simulator = nest: only INI is run here: `spikewright export` writes NIR",
        "[cell] reset = Reset by modulo: is not one of Reset by subtraction, Reset to zero",
        "[output] plot_vars: there is no 'errors'",
        "[simulation] num_to_tests: no such option; num_to_test?",
        "[simulation] dt = fast: is not a positive number",
    ):
        assert part in text
    assert not (folder / "log").exists()  # nothing was written


def test_nothing_of_a_configuration_is_executed(folder: Path) -> None:
    path = ini(folder, simulation__sample_idxs_to_test="__import__('os').system('touch touched')")
    with pytest.raises(OptionsError, match="is not a list of indices"):
        st.run_pipeline(path, say=lambda _: None)
    assert not Path("touched").exists()


def test_idle_options_and_defaults_in_other_spellings_are_taken(folder: Path) -> None:
    path = ini(folder, cell__tau_m="20", cell__tau_refrac="0.0", cell__payloads="no", restrictions__simulators="{'x'}")
    assert st.experiment_of(path).timesteps == 50


def test_missing_files_end_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "nowhere")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    (tmp_path / "config").write_text("no ini file")
    assert main([str(tmp_path / "config")]) == 2
    assert "the configuration cannot be read" in capsys.readouterr().err


def test_it_runs_as_a_module(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "spikewright.compat.snntoolbox", str(tmp_path / "nowhere")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")


def test_an_undecided_network_is_wrong_and_ties_count_for_the_label() -> None:
    output = np.array([[[0.0, 0, 0], [0, 1, 0], [1, 1, 0]]])
    np.testing.assert_array_equal(guesses(output), [[-1, 1, 0]])
    np.testing.assert_array_equal(in_top_k(output, np.array([1]), 1), [[True, True, True]])
    np.testing.assert_array_equal(in_top_k(output, np.array([2]), 1), [[True, False, False]])
    np.testing.assert_array_equal(in_top_k(output, np.array([2]), 3), [[True, True, True]])


def test_the_page_has_every_option() -> None:
    """``SPIKEWRIGHT_WRITE_DOCS=1`` writes the table anew."""
    text = PAGE.read_text(encoding="utf-8")
    begin, end = text.index(BEGIN) + len(BEGIN), text.index(END)
    if os.environ.get("SPIKEWRIGHT_WRITE_DOCS"):
        PAGE.write_text(text[:begin] + st.options_table() + text[end:], encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8")[begin:].startswith(st.options_table())
    assert len({(option.section, option.name) for option in OPTIONS}) == len(OPTIONS)
