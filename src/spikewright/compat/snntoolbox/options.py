"""The options of SNN Toolbox's INI files: what each becomes here, or why it is refused.

An option is *taken*; or *idle*: it has nothing to do here, whatever it says; or *fixed*: only one value of it is
taken, another one changes what is computed and is refused by name.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from configparser import ConfigParser, Error
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from spikewright.errors import SettingsError

Fate = Literal["taken", "idle", "fixed"]


@dataclass(frozen=True)
class Option:
    """One option.

    Attributes:
        section: in which it stands.
        name: of the option.
        default: what it is where a file does not say it, as text.
        fate: whether it is taken, idle or fixed.
        meaning: what it becomes; why it is idle; or, where it is fixed, what to do instead.
    """

    section: str
    name: str
    default: str
    fate: Fate
    meaning: str


def _section(section: str, rows: str) -> list[Option]:
    """The options of one section, from lines of ``name | default | fate | meaning``."""
    found = []
    for row in rows.strip().splitlines():
        name, default, fate, meaning = (part.strip() for part in row.split("|"))
        known: dict[str, Fate] = {"taken": "taken", "idle": "idle", "fixed": "fixed"}
        found.append(Option(section, name, default, known[fate], meaning))
    return found


OPTIONS: tuple[Option, ...] = (
    *_section(
        "paths",
        """
        path_wd | | taken | the folder of the model, and of what is written beside it; by default that of the file
        dataset_path | | taken | the folder of the data; by default path_wd
        log_dir_of_current_run | | taken | by default path_wd/log/gui/runlabel
        runlabel | test | taken | the name of the log folder
        filename_ann | | taken | the model without its ending: .h5 or .keras, or .py with .pth or .pkl beside it
        filename_parsed_model | | taken | the normalised network, as .safetensors; by default filename_ann_parsed
        filename_snn | | taken | the spiking network, as .safetensors; by default filename_ann_INI
        filename_clamp_indices | | fixed | potentials are not held back: see `convert --correct v_init`
        filepath_custom_objects | | fixed | no code of a model is executed: build it of layers that Keras has
        class_idx_path | | taken | the order of the class folders
        """,
    ),
    *_section(
        "input",
        """
        model_lib | keras | taken | keras or pytorch; for others export ONNX: `spikewright convert network.onnx`
        dataset_format | npz | taken | npz, jpg or png; for recordings: `spikewright convert --binning …`
        datagen_kwargs | {} | taken | rescale; what augments or normalises by the pictures themselves is refused by name
        dataflow_kwargs | {} | taken | target_size, by default (256, 256); interpolation, color_mode, classes, shuffle
        poisson_input | False | taken | the Poisson encoder
        input_rate | 1000 | taken | in Hz: an event stands for so much that the mean input stays what it is
        num_poisson_events_per_sample | -1 | fixed | events are not cut off: shorten duration
        num_dvs_events_per_sample | 2000 | idle | for recordings of event cameras
        eventframe_width | 10 | idle | for recordings of event cameras
        label_dict | {} | idle | for recordings of event cameras
        chip_size | None | idle | for recordings of event cameras
        frame_gen_method | | idle | for recordings of event cameras
        is_x_first | | idle | for recordings of event cameras
        is_x_flipped | | idle | for recordings of event cameras
        is_y_flipped | | idle | for recordings of event cameras
        maxpool_subsampling | True | idle | for recordings of event cameras
        do_clip_three_sigma | True | idle | for recordings of event cameras
        keras_dataset | | fixed | nothing is downloaded: save the data as x_test.npz, y_test.npz and x_norm.npz
        """,
    ),
    *_section(
        "tools",
        """
        evaluate_ann | True | taken | the trained network's score, before and after normalisation
        parse | True | taken | False loads filename_parsed_model as an earlier run wrote it
        normalize | True | taken | False leaves every scale at 1
        convert | True | taken | False loads filename_snn as an earlier run wrote it
        simulate | True | taken | whether it is run
        serialise_only | False | fixed | is for SpiNNaker: `spikewright export` writes NIR for other simulators
        """,
    ),
    *_section(
        "normalization",
        """
        percentile | 99.9 | taken | of the activations that are not zero, exact over any amount of data
        normalization_schedule | False | taken | 0.02 lower a layer, not cut to whole numbers
        num_samples | | taken | how many samples are looked at, the first ones; all by default
        online_normalization | False | fixed | thresholds stay while it runs: `spikewright tune` finds what serves best
        diff_to_max_rate | 200 | idle | for online_normalization
        diff_to_min_rate | 100 | idle | for online_normalization
        timestep_fraction | 10 | idle | for online_normalization
        """,
    ),
    *_section(
        "conversion",
        """
        softmax_to_relu | False | taken | the output's spikes are counted; else its input adds up
        maxpool_type | fir_max | taken | fir_max and avg_max: the rate so far; exp_max: an exponential mean of it
        max2avg_pool | False | taken | windows with padding are refused
        spike_code | temporal_mean_rate | fixed | of other codes there is few_spike: `convert --neurons few_spike`
        num_bits | 32 | idle | for temporal_pattern
        """,
    ),
    *_section(
        "simulation",
        """
        simulator | INI | fixed | only INI is run here: `spikewright export` writes NIR for other simulators
        duration | 200 | taken | in ms: T is duration / dt
        dt | 1 | taken | in ms
        batch_size | 1 | taken | the samples of one file of log_vars; they run in batches of our own
        num_to_test | 1 | taken | at least batch_size
        sample_idxs_to_test | [] | taken | a list of indices
        reset_between_nth_sample | 1 | fixed | every sample begins anew
        top_k | 1 | taken | of the second score
        keras_backend | tensorflow | idle | no Keras runs
        early_stopping | False | fixed | `sw.choose_exit` finds when an answer is sure enough
        """,
    ),
    *_section("spinnaker", "number_of_neurons_per_core | 64 | idle | for SpiNNaker"),
    *_section(
        "cell",
        """
        v_thresh | 1 | taken | a spike stands for so much of λ
        tau_refrac | 0 | fixed | neurons have no refractory period
        v_reset | 0 | idle | for simulators of PyNN
        v_rest | 0 | idle | for simulators of PyNN
        cm | 1 | idle | for simulators of PyNN
        tau_m | 1000 | idle | for simulators of PyNN
        tau_syn_E | 0.01 | idle | for simulators of PyNN
        tau_syn_I | 0.01 | idle | for simulators of PyNN
        delay | 0 | idle | for simulators of PyNN
        e_rev_E | 10 | idle | for simulators of PyNN
        e_rev_I | -10 | idle | for simulators of PyNN
        i_offset | 0 | idle | for simulators of PyNN
        binarize_weights | False | fixed | weights stay as they were trained: binarise them before
        quantize_weights | False | fixed | weights stay as they were: see `spikewright quantise`
        scaling_factor | 10000000 | idle | for MegaSim
        payloads | False | fixed | spikes carry no values: `convert --neurons spikes=multi` sends several
        reset | Reset by subtraction | taken | Reset by subtraction or Reset to zero; by modulo is refused
        leak | False | fixed | its leak is a constant one: `convert --neurons leak=0.9` has an exponential one
        bias_relaxation | False | fixed | biases are there from the start: `convert --correct bias` tunes them
        """,
    ),
    *_section(
        "parameter_sweep",
        """
        param_values | [] | taken | of v_thresh; for others: `spikewright tune --grid`
        param_name | v_thresh | fixed | `spikewright tune --grid` sweeps others
        param_logscale | False | idle | nothing is drawn of it
        """,
    ),
    *_section(
        "output",
        """
        log_vars | {} | taken | activations_n_b_l, spiketrains_n_b_l_t, mem_n_b_l_t; others are left out with a line
        plot_vars | {} | taken | pictures by their names there, and report.html, one page with all
        verbose | 1 | taken | 0 prints nothing but the result
        overwrite | True | taken | False refuses to replace what stands there
        use_simple_labels | True | idle | layers are called as in the model
        plotproperties | {} | taken | savefig.format: png, svg or pdf; others are idle
        """,
    ),
)
"""All options of SNN Toolbox 0.6, and of earlier versions those of neurons that are idle."""

ELSEWHERE = {"restrictions", "loihi", "nest", "brian2"}
"""Sections that are for others: what values options may have, and settings of simulators that are not run."""


def parser_of(config: Any) -> ConfigParser:
    """A configuration with all that it does not say filled in.

    Args:
        config: a ``ConfigParser``, which is left as it is; a mapping of sections; or the path of an INI file.

    Raises:
        SettingsError: for a file that is missing or no INI file.
    """
    found = ConfigParser()
    found.optionxform = str  # type: ignore[assignment,method-assign]
    defaults: dict[str, dict[str, str]] = {}
    for option in OPTIONS:
        defaults.setdefault(option.section, {})[option.name] = option.default
    found.read_dict(defaults)
    try:
        if isinstance(config, str | Path):
            _read_file(found, Path(config))
        else:
            found.read_dict(_texts(config))
    except (Error, UnicodeDecodeError) as error:
        raise SettingsError(f"the configuration cannot be read: {error}") from None
    return found


def _texts(config: Any) -> Mapping[str, Mapping[str, str]]:
    if not isinstance(config, Mapping):
        raise SettingsError(f"a configuration is a ConfigParser, a mapping or a path, not a {type(config).__name__}")
    named = ((name, config[name]) for name in config if name != "DEFAULT")
    return {name: {key: str(value) for key, value in section.items()} for name, section in named}


def _read_file(parser: ConfigParser, path: Path) -> None:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise SettingsError(f"{path}: no such file; give the INI file of an experiment") from None
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from None
    parser.read_string(text, str(path))


def refused(config: ConfigParser) -> list[str]:
    """What a configuration asks for that is not done here, a line each: unknown options, and fixed ones that differ."""
    known = {(option.section, option.name): option for option in OPTIONS}
    lines = []
    for section in config.sections():
        if section in ELSEWHERE:
            continue
        for name in config.options(section):
            option = known.get((section, name))
            value = config.get(section, name)
            if option is None:
                names = {other: other for _, other in known} | {other.lower(): other for _, other in known}
                near = difflib.get_close_matches(name.lower(), names, 1)
                lines.append(f"[{section}] {name}: no such option" + (f"; {names[near[0]]}?" if near else ""))
            elif option.fate == "fixed" and not _same(value, option.default):
                lines.append(f"[{section}] {name} = {value[:60]}: {option.meaning}")
    return lines


def _same(one: str, other: str) -> bool:
    """Whether two texts say the same value: numbers and truths may be written in several ways."""
    words = {"yes": "true", "on": "true", "no": "false", "off": "false"}

    def value(text: str) -> Any:
        plain = text.strip().lower()
        try:
            return float(plain)
        except ValueError:
            return words.get(plain, plain)

    return bool(value(one) == value(other))


def options_table() -> str:
    """The table of docs/from-snntoolbox.md: every option with its default and what becomes of it."""
    fates = {"taken": "", "idle": "*idle:* ", "fixed": "*refused unless it is the default:* "}
    rows = ["| option | default | here |", "|---|---|---|"]
    for option in OPTIONS:
        default = f"`{option.default}`" if option.default else ""
        rows.append(f"| {option.section}: `{option.name}` | {default} | {fates[option.fate]}{option.meaning} |")
    return "\n".join(rows)
