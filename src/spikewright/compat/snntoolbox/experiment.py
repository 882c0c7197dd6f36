"""What an INI file asks for, as one value."""

from __future__ import annotations

import ast
import json
import operator
from configparser import ConfigParser
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, cast

from spikewright.compat.snntoolbox.generator import preprocessing_of, refused_arguments
from spikewright.compat.snntoolbox.options import parser_of, refused
from spikewright.conversion import Neurons
from spikewright.data import Preprocessing
from spikewright.errors import SettingsError

POOLS: dict[str, Literal["avg_max", "exp_max"]] = {"fir_max": "avg_max", "avg_max": "avg_max", "exp_max": "exp_max"}
RESETS: dict[str, Literal["subtract", "zero"]] = {"Reset by subtraction": "subtract", "Reset to zero": "zero"}
LOGGED = ("activations_n_b_l", "spiketrains_n_b_l_t", "mem_n_b_l_t")
"""The variables that are logged beside errors and inputs."""
LOG_VARS = {*LOGGED, "input_b_l_t", "synaptic_operations_b_t", "neuron_operations_b_t", "all"}
PLOT_VARS = {
    *("activations", "spiketrains", "spikecounts", "spikerates", "input_image", "error_t", "confusion_matrix"),
    *("correlation", "hist_spikerates_activations", "normalization_activations", "operations", "v_mem", "all"),
}


class OptionsError(SettingsError):
    """A configuration that asks for what is not done here.

    Args:
        problems: a line for each option.

    Attributes:
        problems: the same.
    """

    def __init__(self, problems: list[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(problems))


@dataclass(frozen=True)
class Experiment:
    """An experiment of SNN Toolbox, from its INI file.

    Attributes:
        config: all of it, defaults filled in.
        folder: path_wd.
        data: where the data are.
        log: the log folder.
        model: the path of the model.
        weights: of a torch model, where they stand in a file of their own.
        parsed, spiking: where the normalised and the spiking network are written.
        preprocessing: of pictures.
        classes: the names of class folders in the order of the labels.
        shuffle: of pictures: the seed by which those that are tested are drawn; None for the first ones.
        scale, evaluate, parse, convert, simulate: which of the steps are taken.
        timesteps: T.
        dt: of a timestep, in ms.
        poisson_rate: the events of a fully-on pixel in one timestep; None for constant input.
        batch_size: samples of one file of log variables.
        samples: indices of test samples.
        top_k: of the second score.
        thresholds: of v_thresh, one run each.
        neurons: what they are like: potentials start at zero, as in SNN Toolbox.
        counted: whether a final softmax becomes counts of spikes.
        average_pools: whether max pooling becomes average pooling.
        percentile_samples: how many samples are calibrated on; None for all.
        logged: which variables are logged.
        plots: which pictures are drawn; a report is written where there are any.
        picture: their format: "png", "svg" or "pdf".
        overwrite: whether what stands there is replaced.
        verbose: whether progress is printed.
        notes: what is left out, in sentences.
    """

    config: ConfigParser
    folder: Path
    data: Path
    log: Path
    model: Path
    weights: Path | None
    parsed: Path
    spiking: Path
    preprocessing: Preprocessing
    classes: tuple[str, ...]
    shuffle: int | None
    scale: bool
    evaluate: bool
    parse: bool
    convert: bool
    simulate: bool
    timesteps: int
    dt: float
    poisson_rate: float | None
    batch_size: int
    samples: tuple[int, ...]
    top_k: int
    thresholds: tuple[float, ...]
    neurons: Neurons
    counted: bool
    average_pools: bool
    percentile_samples: int | None
    logged: tuple[str, ...]
    plots: tuple[str, ...]
    picture: str
    overwrite: bool
    verbose: bool
    notes: tuple[str, ...]


def experiment_of(path: Path | str) -> Experiment:
    """The experiment of an INI file.

    Args:
        path: of the file; relative paths in it are relative to path_wd, which is by default the file's folder.

    Raises:
        OptionsError: with a line for every option that is refused.
        SettingsError: for a file that is missing or no INI file.
    """
    config = parser_of(path)
    problems = refused(config)
    read = _Reader(config, problems)
    folder = Path(read.text("paths", "path_wd") or Path(path).absolute().parent)
    folder = folder if folder.is_absolute() else Path(path).absolute().parent / folder
    name = read.text("paths", "filename_ann")
    if not name:
        problems.append("[paths] filename_ann: the name of the model is missing")
    library = read.one_of("input", "model_lib", ("keras", "pytorch"))
    pictures = read.one_of("input", "dataset_format", ("npz", "jpg", "png")) != "npz"
    generator, flow = (
        ({}, {}) if not pictures else (read.table("input", "datagen_kwargs"), read.table("input", "dataflow_kwargs"))
    )
    batch_size, dt = read.whole("simulation", "batch_size"), read.number("simulation", "dt")
    listed_samples = read.literal("simulation", "sample_idxs_to_test")
    count = max(read.whole("simulation", "num_to_test"), batch_size)
    plots = read.names("output", "plot_vars", PLOT_VARS)
    logs = read.names("output", "log_vars", LOG_VARS)
    limit = read.whole("normalization", "num_samples") if read.text("normalization", "num_samples") else None
    logged = LOGGED if "all" in logs else tuple(label for label in LOGGED if label in logs)
    rate = read.number("input", "input_rate") * dt / 1000 if read.truth("input", "poisson_input") else None
    reset, pool = read.one_of("cell", "reset", tuple(RESETS)), read.one_of("conversion", "maxpool_type", tuple(POOLS))
    duration = read.number("simulation", "duration")
    timesteps = round(duration / dt) if dt > 0 else 0
    if timesteps < 1:
        problems.append(f"[simulation] duration = {duration:g}, dt = {dt:g}: there is no timestep")
    parse = read.truth("tools", "parse")
    model, weights = _model(folder, name, library, problems) if name and parse else (folder / name, None)
    made = Experiment(
        config=config,
        folder=folder,
        data=_within(folder, read.text("paths", "dataset_path")),
        log=_log_folder(folder, read),
        model=model,
        weights=weights,
        parsed=_network(folder, read.text("paths", "filename_parsed_model") or f"{name}_parsed"),
        spiking=_network(folder, read.text("paths", "filename_snn") or f"{name}_INI"),
        preprocessing=_preprocessing(generator, flow, problems) if pictures else Preprocessing(),
        classes=_classes(folder, read.text("paths", "class_idx_path"), flow, problems) if pictures else (),
        shuffle=_seed(flow) if pictures and not listed_samples and flow.get("shuffle", True) else None,
        scale=read.truth("tools", "normalize"),
        evaluate=read.truth("tools", "evaluate_ann"),
        parse=parse,
        convert=read.truth("tools", "convert"),
        simulate=read.truth("tools", "simulate"),
        timesteps=max(timesteps, 1),
        dt=dt,
        poisson_rate=rate,
        batch_size=batch_size,
        samples=tuple(listed_samples) or tuple(range(count)),
        top_k=read.whole("simulation", "top_k"),
        thresholds=tuple(read.literal("parameter_sweep", "param_values")) or (read.number("cell", "v_thresh"),),
        neurons=Neurons(reset=RESETS[reset], v_init=0.0, max_pool=POOLS[pool]),
        counted=read.truth("conversion", "softmax_to_relu"),
        average_pools=read.truth("conversion", "max2avg_pool"),
        percentile_samples=limit,
        logged=logged,
        plots=tuple(sorted(plots)),
        picture=_picture(read),
        overwrite=read.truth("output", "overwrite"),
        verbose=read.text("output", "verbose") not in ("0", "False"),
        notes=tuple(f"[output] log_vars: {label} is left out" for label in sorted(logs - {*LOGGED, "all"})),
    )
    if problems:
        raise OptionsError(problems)
    return made


class _Reader:
    """Options as values; what cannot be read becomes a problem.

    Args:
        config: where they stand.
        problems: to which lines are added.
    """

    def __init__(self, config: ConfigParser, problems: list[str]) -> None:
        self.config, self.problems = config, problems

    def text(self, section: str, name: str) -> str:
        return self.config.get(section, name).strip()

    def _wrong(self, section: str, name: str, wanted: str) -> None:
        self.problems.append(f"[{section}] {name} = {self.text(section, name)[:60]}: is not {wanted}")

    def truth(self, section: str, name: str) -> bool:
        try:
            return self.config.getboolean(section, name)
        except ValueError:
            self._wrong(section, name, "True or False")
            return False

    def number(self, section: str, name: str) -> float:
        try:
            found = float(self.text(section, name))
        except ValueError:
            found = 0.0
        if not 0 < found < float("inf"):
            self._wrong(section, name, "a positive number")
            return 1.0
        return found

    def whole(self, section: str, name: str) -> int:
        text = self.text(section, name)
        if not (text.isascii() and text.isdigit() and 0 < int(text[:10]) < 10**9 and len(text) < 10):
            self._wrong(section, name, "a positive whole number")
            return 1
        return int(text)

    def one_of(self, section: str, name: str, known: tuple[str, ...]) -> str:
        if self.text(section, name) not in known:
            self._wrong(section, name, f"one of {', '.join(known)}")
            return known[0]
        return self.text(section, name)

    def literal(self, section: str, name: str) -> Any:
        """A list of numbers: whole ones where they are indices."""
        found, kinds = self._value(section, name), (int,) if "idxs" in name else (int, float)
        good = isinstance(found, list | tuple) and all(
            isinstance(one, kinds) and not isinstance(one, bool) and one >= 0 for one in found
        )
        if not good:
            self._wrong(section, name, f"a list of {'indices' if 'idxs' in name else 'numbers'}")
        return found if good else []

    def names(self, section: str, name: str, known: set[str]) -> set[str]:
        found = self._value(section, name)
        found = {found} if isinstance(found, str) else found
        if not isinstance(found, set | dict | list | tuple) or not all(isinstance(one, str) for one in found):
            self._wrong(section, name, "a set of names")
            return set()
        for one in sorted(set(found) - known):
            self.problems.append(f"[{section}] {name}: there is no '{one}'; there are {', '.join(sorted(known))}")
        return set(found)

    def table(self, section: str, name: str) -> dict[str, Any]:
        found = self._value(section, name)
        if not isinstance(found, dict) or not all(isinstance(key, str) for key in found):
            self._wrong(section, name, "a dictionary")
            return {}
        return cast(dict[str, Any], found)

    def _value(self, section: str, name: str) -> Any:
        """What a text of Python literals says, sums and quotients of numbers too; nothing is executed."""
        try:
            return ast.literal_eval(_Computed().visit(ast.parse(self.text(section, name) or "[]", mode="eval")))
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return None


class _Computed(ast.NodeTransformer):
    """Numbers in the place of what is computed of two: ``1/255``."""

    KNOWN: ClassVar[dict[type[ast.operator], Any]] = {
        ast.Add: operator.add,
        ast.Sub: operator.sub,
        ast.Mult: operator.mul,
        ast.Div: operator.truediv,
    }

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        """A constant, where both sides are."""
        self.generic_visit(node)
        compute = self.KNOWN.get(type(node.op))
        values = [side.value for side in (node.left, node.right) if isinstance(side, ast.Constant)]
        numbers = [value for value in values if type(value) in (int, float)]
        if compute is None or len(numbers) < 2:
            return node
        try:
            return ast.copy_location(ast.Constant(compute(*numbers)), node)
        except ArithmeticError:
            return node


def _within(folder: Path, text: str) -> Path:
    return folder / text if text else folder  # an absolute path stays what it is


def _network(folder: Path, name: str) -> Path:
    return folder / (name if name.endswith(".safetensors") else f"{name}.safetensors")


def _log_folder(folder: Path, read: _Reader) -> Path:
    given = read.text("paths", "log_dir_of_current_run")
    return folder / given if given else folder / "log" / "gui" / read.text("paths", "runlabel")


def _model(folder: Path, name: str, library: str, problems: list[str]) -> tuple[Path, Path | None]:
    """The file of the model, and that of its weights."""
    endings = (".h5", ".keras") if library == "keras" else (".py",)
    found = [path for path in (folder / f"{name}{ending}" for ending in endings) if path.is_file()]
    if not found:
        problems.append(f"[paths] filename_ann: there is no {' or '.join(str(folder / name) + e for e in endings)}")
        return folder / name, None
    weights = [path for path in (folder / f"{name}{ending}" for ending in (".pth", ".pkl", ".pt")) if path.is_file()]
    return found[0], weights[0] if library == "pytorch" and weights else None


def _picture(read: _Reader) -> str:
    """The format of pictures: of the properties of plots that which is savefig.format."""
    kind = read.table("output", "plotproperties").get("savefig.format", "png")
    if kind not in ("png", "svg", "pdf"):
        read.problems.append(f"[output] plotproperties: 'savefig.format' is png, svg or pdf, not {str(kind)[:20]!r}")
    return str(kind)


def _preprocessing(made: dict[str, Any], flow: dict[str, Any], problems: list[str]) -> Preprocessing:
    """Of pictures: what Keras' generator is told."""
    lines = refused_arguments(made, flow)
    problems += lines
    try:
        return Preprocessing() if lines else preprocessing_of(made, flow)
    except SettingsError as error:
        problems.append(f"[input] dataflow_kwargs, datagen_kwargs: {error}")
        return Preprocessing()


def _seed(flow: dict[str, Any]) -> int:
    given = flow.get("seed")
    return given if isinstance(given, int) and given >= 0 else 0


def _classes(folder: Path, text: str, flow: dict[str, Any], problems: list[str]) -> tuple[str, ...]:
    """The names of class folders in the order of the labels, from a JSON file ``{"0": ["n01440764", "tench"], …}``, or
    as ``classes`` lists them."""
    if not text:
        names = flow.get("classes") or ()
        return tuple(names) if isinstance(names, list | tuple) else ()
    try:
        held = json.loads((folder / text).read_text(encoding="utf-8"))
        rows = [held[str(index)] for index in range(len(held))]
        return tuple(str(row[0] if isinstance(row, list) else row) for row in rows)
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        problems.append(f"[paths] class_idx_path = {text}: cannot be read: {error}")
        return ()
