"""INI files with folders of pictures, and the pictures that ``plot_vars`` asks for."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from spikewright.compat import snntoolbox as st
from spikewright.compat.snntoolbox.experiment import PLOT_VARS, OptionsError
from spikewright.compat.snntoolbox.generator import FLOW, GENERATOR, IDLE, TAKEN
from spikewright.compat.snntoolbox.options import ELSEWHERE, OPTIONS

MODEL = """\
from torch import nn


class Model(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(36, 2))
"""
KERAS_GENERATOR = """featurewise_center samplewise_center featurewise_std_normalization samplewise_std_normalization
    zca_whitening zca_epsilon rotation_range width_shift_range height_shift_range brightness_range shear_range
    zoom_range
    channel_shift_range fill_mode cval horizontal_flip vertical_flip rescale preprocessing_function data_format
    validation_split interpolation_order dtype"""
KERAS_FLOW = """directory target_size color_mode classes class_mode batch_size shuffle seed save_to_dir save_prefix
    save_format follow_links subset interpolation keep_aspect_ratio"""
DEFAULTS = """paths: path_wd dataset_path log_dir_of_current_run runlabel filename_ann filename_parsed_model
    filename_snn
    filename_clamp_indices filepath_custom_objects class_idx_path
input: model_lib dataset_format datagen_kwargs dataflow_kwargs poisson_input input_rate num_poisson_events_per_sample
    num_dvs_events_per_sample eventframe_width label_dict chip_size frame_gen_method is_x_first is_x_flipped
    is_y_flipped
    maxpool_subsampling do_clip_three_sigma keras_dataset
tools: evaluate_ann parse normalize convert simulate serialise_only
normalization: percentile normalization_schedule online_normalization diff_to_max_rate diff_to_min_rate
    timestep_fraction
conversion: softmax_to_relu maxpool_type max2avg_pool spike_code num_bits
simulation: simulator duration dt batch_size num_to_test sample_idxs_to_test reset_between_nth_sample top_k
    keras_backend
    early_stopping
spinnaker: number_of_neurons_per_core
cell: v_thresh tau_refrac v_reset v_rest cm tau_m tau_syn_E tau_syn_I delay binarize_weights quantize_weights
    scaling_factor payloads reset leak bias_relaxation
parameter_sweep: param_values param_name param_logscale
output: log_vars plot_vars verbose overwrite use_simple_labels plotproperties"""
"""All options of config_defaults in SNN Toolbox 0.6.0."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twelve pictures in two classes; one is red, the other blue."""
    image = pytest.importorskip("PIL.Image")
    torch = pytest.importorskip("torch")
    random = np.random.default_rng(0)
    for k, name in enumerate(("blue", "red")):
        (tmp_path / "data" / name).mkdir(parents=True)
        for number in range(6):
            pixels = random.integers(0, 60, (12, 10, 3), np.uint8)
            pixels[..., 0 if k else 2] += 150
            image.fromarray(pixels).save(tmp_path / "data" / name / f"{number}.png")
    (tmp_path / "net.py").write_text(MODEL)
    torch.manual_seed(0)
    names: dict[str, object] = {}
    exec(MODEL, names)
    net = names["Model"]()  # type: ignore[operator]
    with torch.no_grad():
        net[0].weight.zero_()
        net[0].weight[0, 0] = net[0].weight[1, 2] = 1 / 9
        net[4].weight.zero_()
        net[4].weight[0, 9:18] = net[4].weight[1, 0:9] = 1.0
    torch.save(net.state_dict(), tmp_path / "net.pth")
    return tmp_path


def ini(folder: Path, more: str = "", flow: str = "'target_size': (8, 8)", made: str = "'rescale': 1/255") -> Path:
    path = folder / "net.ini"
    path.write_text(
        "[paths]\nfilename_ann = net\ndataset_path = data\n[input]\nmodel_lib = pytorch\ndataset_format = png\n"
        f"datagen_kwargs = {{{made}}}\ndataflow_kwargs = {{{flow}}}\n"
        f"[simulation]\nduration = 20\nnum_to_test = 4\nbatch_size = 4\n{more}"
    )
    return path


def test_folders_of_pictures_run_as_they_are(folder: Path) -> None:
    (accuracy,) = st.run_pipeline(ini(folder), say=lambda _: None)
    assert accuracy == 1.0
    with np.load(folder / "log" / "gui" / "test" / "log_vars" / "0.npz") as held:
        assert held["input_image_b_l"].shape == (4, 3, 8, 8)
        assert held["input_image_b_l"].max() <= 1
        assert set(held["true_classes_b"].tolist()) == {0, 1}  # drawn from all classes


def test_quotients_of_numbers_are_numbers(folder: Path) -> None:
    """SNN Toolbox evaluates these options; here nothing is executed, but ``1/255.`` is a number."""
    assert st.experiment_of(ini(folder, made="'rescale': 1/255.")).preprocessing.scale == 1 / 255
    assert st.experiment_of(ini(folder, made="'rescale': 2*(1/4)")).preprocessing.scale == 0.5
    for wrong in ("1/0", "len('a')", "2**9**9", "'a'*3"):
        with pytest.raises(OptionsError, match="datagen_kwargs"):
            st.experiment_of(ini(folder, made=f"'rescale': {wrong}"))


def test_shuffling_classes_and_their_order(folder: Path) -> None:
    first = "'target_size': (8, 8), 'shuffle': False"
    st.run_pipeline(ini(folder, flow=first), say=lambda _: None)
    with np.load(folder / "log" / "gui" / "test" / "log_vars" / "0.npz") as held:
        assert held["true_classes_b"].tolist() == [0] * 4
    for turned in (f"{first}, 'classes': ['red', 'blue']", first):
        more = "[paths]\n"
        if "classes" not in turned:
            (folder / "classes.json").write_text(json.dumps({"0": ["red", "Red"], "1": ["blue", "Blue"]}))
            more = "class_idx_path = classes.json\n"
        text = ini(folder, flow=turned).read_text()
        (folder / "net.ini").write_text(text.replace("[input]", f"{more.removeprefix('[paths]')}[input]"))
        (accuracy,) = st.run_pipeline(folder / "net.ini", say=lambda _: None)
        assert accuracy == 0.0  # the network calls blue 0


def test_pictures_of_another_size_are_resized_to_256_as_there(folder: Path) -> None:
    experiment = st.experiment_of(ini(folder, flow=""))
    assert experiment.preprocessing.resize == (256, 256)
    assert experiment.preprocessing.filter == "nearest"
    grey = st.experiment_of(ini(folder, flow="'color_mode': 'grayscale', 'interpolation': 'bilinear'"))
    assert (grey.preprocessing.channels, grey.preprocessing.filter) == (1, "bilinear")


@pytest.mark.parametrize(
    ("made", "flow", "line"),
    [
        ("'rotation_range': 20", "", "datagen_kwargs: 'rotation_range': pictures are taken as they are"),
        ("'featurewise_center': True", "", "'featurewise_center': is measured on the pictures themselves"),
        ("'preprocessing_function': 'helpers'", "", "'preprocessing_function': no code is executed"),
        ("'rescales': 2", "", "datagen_kwargs: 'rescales' is no argument there"),
        ("", "'save_to_dir': 'x'", "dataflow_kwargs: 'save_to_dir': no picture is written"),
        ("", "'class_mode': 'input'", "'class_mode': labels are classes"),
        ("", "'interpolation': 'lanczos'", "'interpolation' is one of nearest, bilinear, bicubic"),
        ("", "'color_mode': 'hsv'", "'color_mode' is one of grayscale, rgb, rgba"),
        ("", "'classes': 3", "'classes' is a list of names of folders"),
        ("", "'target_size': 'large'", "rescale is a number and target_size two"),
        ("'rescale': 'half'", "", "rescale is a number and target_size two"),
    ],
)
def test_what_is_not_done_to_pictures_is_refused_by_name(folder: Path, made: str, flow: str, line: str) -> None:
    with pytest.raises(OptionsError) as refused:
        st.experiment_of(ini(folder, made=made, flow=flow))
    assert len(refused.value.problems) == 1
    assert line in refused.value.problems[0]


def test_every_argument_of_keras_is_known_once() -> None:
    for kind, fixed, keras in (("datagen", GENERATOR, KERAS_GENERATOR), ("dataflow", FLOW, KERAS_FLOW)):
        known = [*fixed, *TAKEN[kind], *IDLE[kind]]
        assert sorted(known) == sorted(keras.split())


def test_every_option_of_snn_toolbox_is_known(folder: Path) -> None:
    there = set()
    for section in DEFAULTS.replace("\n    ", " ").splitlines():
        name, _, options = section.partition(": ")
        there |= {(name, option) for option in options.split()}
    known = {(option.section, option.name): option for option in OPTIONS}
    assert there <= set(known)
    assert all(option.meaning for option in OPTIONS)
    assert "restrictions" in ELSEWHERE
    for option in OPTIONS:  # each is taken, or idle, or refused in a line that names it
        if option.fate == "fixed":
            text = ini(folder).read_text()
            head = f"[{option.section}]\n"
            row = f"{option.name} = something else\n"
            text = text.replace(head, head + row) if head in text else f"{text}{head}{row}"
            (folder / "net.ini").write_text(text)
            with pytest.raises(OptionsError) as refused:
                st.experiment_of(folder / "net.ini")
            assert f"[{option.section}] {option.name} = something else: " in str(refused.value.problems)


def test_pictures_by_their_names_there(folder: Path) -> None:
    pytest.importorskip("matplotlib")
    said: list[str] = []
    st.run_pipeline(ini(folder, "[output]\nplot_vars = {'all'}\n"), say=said.append)
    log = folder / "log" / "gui" / "test"
    layer = next(path.name for path in log.iterdir() if (path / "5Correlation.png").exists())
    names = ["Error_vs_time", "Activity_distribution", f"normalization/{layer}_Activation_distribution"]
    names += [f"normalization/{layer}_Weight_distribution", f"{layer}/1Spikerates", f"{layer}/7Spiketrains"]
    assert all((log / f"{name}.png").read_bytes().startswith(b"\x89PNG") for name in names)
    assert (log / "report.html").exists()
    more = "[output]\nplot_vars = {'error_t', 'v_mem'}\nplotproperties = {'savefig.format': 'svg', 'font.size': 13}\n"
    (folder / "log" / "gui" / "test" / "report.html").unlink()
    st.run_pipeline(ini(folder, more), say=said.append)
    assert (log / "Error_vs_time.svg").exists()
    assert "[output] plot_vars: v_mem: see report.html" in said
    with pytest.raises(OptionsError, match=r"'savefig.format' is png, svg or pdf, not 'bmp'"):
        st.experiment_of(ini(folder, "[output]\nplotproperties = {'savefig.format': 'bmp'}\n"))


def test_without_matplotlib_there_is_the_report(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spikewright.compat.snntoolbox.plots.find_spec", lambda _: None)
    said: list[str] = []
    st.run_pipeline(ini(folder, "[output]\nplot_vars = {'error_t'}\n"), say=said.append)
    assert any("pictures need matplotlib" in line for line in said)
    assert (folder / "log" / "gui" / "test" / "report.html").exists()
    assert not list((folder / "log").rglob("*.png"))
    assert "correlation" in PLOT_VARS
