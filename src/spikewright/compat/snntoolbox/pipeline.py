"""An INI file of SNN Toolbox from start to end: load, normalise, convert, run, write what it writes."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikewright.compat._networks import readout_of, trained
from spikewright.compat.snntoolbox.experiment import Experiment, experiment_of
from spikewright.compat.snntoolbox.logs import log_batches
from spikewright.compat.snntoolbox.parameters import found_scales, write_activations, write_factors
from spikewright.compat.snntoolbox.plots import notes_on_plots, plot_normalisation, plot_run
from spikewright.conversion import Conversion, Readout, from_scales, read_out
from spikewright.data import Dataset, load_data
from spikewright.encoders import Encoder
from spikewright.encoders.constant import Constant
from spikewright.encoders.poisson import Poisson
from spikewright.engines import simulate
from spikewright.errors import DataError, GraphError, SettingsError
from spikewright.files import check_destination, write_text
from spikewright.forward import run
from spikewright.graph import Array, Graph
from spikewright.loading import load
from spikewright.measures import measure
from spikewright.nodes import AvgPool, MaxPool, ReLU
from spikewright.normalisation import Scales
from spikewright.preparation import prepare
from spikewright.reports import report
from spikewright.storage import save

BATCH = 100
"""Samples that run side by side."""
Say = Callable[[str], None]


def run_pipeline(config: Experiment | Path | str, say: Say = print) -> list[float]:
    """Run an experiment of SNN Toolbox and write what it writes.

    In the log folder: ``.config``, ``accuracy.txt``, ``log_vars/0.npz`` …, ``normalization/`` with PERCENTILE.json,
    activations and weights; pictures and ``report.html`` where ``plot_vars`` asks for any. In the working folder: the
    normalised and the spiking network, as .safetensors.

    Args:
        config: the experiment, or its INI file.
        say: called with each line of what is being done.

    Returns:
        the accuracy of the spiking network on the test samples, for each value that is swept; of the trained one where
        nothing is simulated.

    Raises:
        OptionsError: with a line for every option that is refused.
        SpikewrightError: as ``load``, ``convert`` and ``simulate``.
    """
    asked = config if isinstance(config, Experiment) else experiment_of(config)
    told = say if asked.verbose else _silent
    for note in [*asked.notes, *notes_on_plots(asked)]:
        told(note)
    _check_places(asked)
    network = _network(asked)
    data = None if not (asked.evaluate or asked.simulate) else _test_data(asked, network)
    asked.log.mkdir(parents=True, exist_ok=True)
    _write_config(asked)
    results: list[float] = []
    if isinstance(network, Graph):
        if asked.evaluate and data is not None:
            results = [_score(network, data)]
            told(f"Trained network: {results[0]:.2%} of {len(data)} samples.")
        network, readout = _prepared(network, asked)
        scales = _scales(network, readout, asked, told)
        conversion = from_scales(network, scales, neurons=asked.neurons, readout=readout)
        if asked.evaluate and data is not None and not asked.counted:
            results = [_score(conversion.normalised, data)]
            told(f"Normalised network: {results[0]:.2%}.")
        if asked.parse:
            save(conversion.normalised, asked.parsed, asked.overwrite)
    else:
        conversion = network
    if asked.convert:
        save(_with_threshold(conversion, asked.thresholds[0]), asked.spiking, asked.overwrite)
    if asked.simulate and data is not None:
        results = [_simulated(_with_threshold(conversion, one), data, asked, told) for one in asked.thresholds]
    return results


def _silent(line: str) -> None:
    """Nothing is printed."""


def _check_places(asked: Experiment) -> None:
    """Refuse places that cannot be written to, before any work is done."""
    if asked.parse:
        check_destination(asked.parsed, asked.overwrite)
    if asked.convert:
        check_destination(asked.spiking, asked.overwrite)
    if asked.plots and asked.simulate:
        check_destination(asked.log / "report.html", asked.overwrite)
    if asked.simulate:
        check_destination(asked.log / "accuracy.txt", asked.overwrite)


def _network(asked: Experiment) -> Graph | Conversion:
    """The trained network, or what an earlier run made of it."""
    if asked.parse:
        if asked.model.suffix != ".py":
            return trained(str(asked.model))
        shape = load_data(str(asked.data), split="test", preprocessing=asked.preprocessing).shape
        return trained_torch(asked, shape)
    place = asked.parsed if asked.convert else asked.spiking
    found = load(place) if place.exists() else None
    if not isinstance(found, Graph if asked.convert else Conversion):
        raise SettingsError(f"[tools] parse = False: {place} holds nothing of an earlier run; set parse = True")
    return found


def trained_torch(asked: Experiment, shape: Any) -> Graph:
    """A torch network: the class ``Model`` of a file, its weights beside it.

    Args:
        asked: the experiment.
        shape: of one sample.
    """
    found = load(f"{asked.model}:Model", weights=asked.weights, shape=tuple(shape))
    if not isinstance(found, Graph):
        raise SettingsError(f"{asked.model}: the network spikes already")
    return found


def _test_data(asked: Experiment, network: Graph | Conversion) -> Dataset:
    """The test samples that are asked for, with their labels."""
    data = _data(asked, network, "test")
    wanted = np.asarray(asked.samples)
    if wanted.max() >= len(data):
        if len(wanted) < len(data) or wanted.max() != len(wanted) - 1:
            raise DataError(f"[simulation]: sample {wanted.max()} is asked for, the test set has {len(data)}")
        wanted = np.arange(len(data))
    wanted = _ordered(asked, len(data))[wanted]
    if not data.has_labels:
        raise DataError(f"{asked.data}: the test samples have no labels (y_test.npz)")
    return data.subset(wanted)


def _ordered(asked: Experiment, count: int) -> NDArray[np.int64]:
    """The samples in the order in which they are tested: pictures drawn, where they are shuffled."""
    order = np.arange(count)
    return order if asked.shuffle is None else np.random.default_rng(asked.shuffle).permutation(order)


def _data(asked: Experiment, network: Graph | Conversion, split: Any) -> Dataset:
    graph = network.folded if isinstance(network, Conversion) else network
    how: dict[str, Any] = {"inputs": graph.inputs, "preprocessing": asked.preprocessing, "classes": asked.classes}
    return load_data(str(asked.data), split=split, **how)


def _calibration_data(asked: Experiment, network: Graph) -> Dataset:
    """The samples of x_norm.npz; of pictures in one folder those that are not tested."""
    data = _data(asked, network, "train")
    if not (asked.data / "x_norm.npz").exists() and not (asked.data / "train").exists():
        tested = _ordered(asked, len(data))[[index for index in asked.samples if index < len(data)]]
        rest = np.setdiff1d(np.arange(len(data)), tested)
        if not len(rest):
            raise DataError(f"{asked.data}: all samples are tested, none is left to normalise with")
        data = data.subset(rest)
    return data if asked.percentile_samples is None else data.take(asked.percentile_samples)


def _prepared(network: Graph, asked: Experiment) -> tuple[Graph, Readout]:
    """The folded network and how it is read out."""
    if asked.average_pools:
        network = network.replaced(*(_averaged(pool) for pool in network.of_type(MaxPool)))
    folded, _ = prepare(network, answer="drop" if asked.counted else "keep")
    return folded, "count" if asked.counted else readout_of(folded)


def _averaged(pool: MaxPool) -> AvgPool:
    """The mean over the windows of max pooling."""
    if any(low or high for low, high in pool.padding) or any(step != 1 for step in pool.dilation):
        raise GraphError(f"{pool}: max2avg_pool: its windows have padding or gaps, of which no mean is meant")
    return AvgPool(name=pool.name, inputs=pool.inputs, kernel=pool.kernel, stride=pool.stride, padding=pool.padding)


def _scales(folded: Graph, readout: Readout, asked: Experiment, told: Say) -> Scales:
    """λ of every population."""
    graph = read_out(folded, readout)
    if not (asked.scale and asked.parse):  # what an earlier run wrote is normalised already
        return {relu.name: np.ones(()) for relu in graph.of_type(ReLU)}
    folder = asked.log / "normalization"
    folder.mkdir(exist_ok=True)
    data = _calibration_data(asked, folded)
    told(f"Normalising with {len(data)} samples.")
    statistics, scales = found_scales(folded, data, asked.config, folder=folder)
    conversion = from_scales(folded, scales, readout=readout)
    write_factors(folder, asked.config.get("normalization", "percentile"), conversion, statistics)
    write_activations(folder, folded, data)
    plot_normalisation(asked, folder, conversion, statistics)
    return scales


def _with_threshold(conversion: Conversion, threshold: float) -> Conversion:
    """The conversion whose spikes stand for so much of λ: a threshold of which a spike has the size, as there."""
    if threshold == 1:
        return conversion
    scales = {name: value * threshold for name, value in conversion.scales.items()}
    again = from_scales(conversion.folded, scales, neurons=conversion.neurons, readout=conversion.readout)
    return replace(again, became=conversion.became)


def _encoder(asked: Experiment, data: Dataset) -> Encoder:
    """Constant input, or events of which each stands for so much that the mean input stays what it is."""
    if asked.poisson_rate is None:
        return Constant()
    largest = max(float(np.abs(batch).max()) for batch, _ in data.batches(BATCH))
    return Poisson(scale=max(largest, 1e-30) / min(asked.poisson_rate, 1.0))


def _score(graph: Graph, data: Dataset) -> float:
    """The share of samples whose largest answer is the label."""
    return float((answers(graph, data).argmax(1) == labels_of(data)).mean())


def answers(graph: Graph, data: Dataset) -> Array:
    """The trained network's answers, ``(N, classes)``."""
    output = next(node.name for node in graph if node.type == "Output")
    return np.concatenate([run(graph, batch)[output] for batch, _ in data.batches(BATCH)])


def labels_of(data: Dataset) -> NDArray[np.int64]:
    """The classes of samples, ``(N,)``, from numbers or from one-hot rows."""
    rows = np.asarray(data.labels)
    return np.asarray(rows.argmax(1) if rows.ndim == 2 else rows, np.int64)


def _simulated(conversion: Conversion, data: Dataset, asked: Experiment, told: Say) -> float:
    """Run the spiking network, write logs and report, and give the accuracy after the last step."""
    how: dict[str, Any] = {"encoder": _encoder(asked, data), "batch_size": BATCH, "dt": asked.dt / 1000}
    kinds = {"spiketrains_n_b_l_t": "spikes", "mem_n_b_l_t": "potentials"}
    record = [kind for label, kind in kinds.items() if label in asked.logged]
    found = simulate(conversion, data, asked.timesteps, record=record, **how)
    trained_answers = answers(conversion.folded, data)
    lines, accuracy = log_batches(asked, conversion, data, labels_of(data), found, trained_answers)
    write_text(asked.log / "accuracy.txt", "\n".join(lines) + "\n", force=True)
    told(f"Spiking network: {accuracy:.2%} of {len(data)} samples after {asked.timesteps} timesteps.")
    if asked.plots:
        measures = measure(conversion, data, asked.timesteps, allow_overlap=True, quiet=True, **how)
        plot_run(asked, measures)
        path = report(asked.log / "report.html", conversion, measures, force=asked.overwrite)
        here = Path.cwd()
        told(f"Report: {path.relative_to(here) if path.is_relative_to(here) else path}")
    return accuracy


def _write_config(asked: Experiment) -> None:
    text = io.StringIO()
    asked.config.write(text)
    write_text(asked.log / ".config", text.getvalue(), force=True)
