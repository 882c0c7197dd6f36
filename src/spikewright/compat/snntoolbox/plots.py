"""The pictures that ``plot_vars`` asks for, where SNN Toolbox puts them and by its names."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from spikewright import plot
from spikewright.calibration import Statistics
from spikewright.compat.snntoolbox.experiment import Experiment
from spikewright.conversion import Conversion
from spikewright.measures import Measures

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WHOLE: dict[str, tuple[str, Callable[[Measures], Figure]]] = {
    "error_t": ("Error_vs_time", lambda measures: plot.accuracy({"spiking network": measures})),
    "hist_spikerates_activations": ("Activity_distribution", plot.firing_rates),
}
"""Pictures of the whole network: the name of the file, and what draws it."""
BY_LAYER: dict[str, tuple[str, Callable[[Measures, str], Figure]]] = {
    "spikerates": ("1Spikerates", lambda measures, name: plot.firing_rates(measures, layers=name)),
    "correlation": ("5Correlation", lambda measures, name: plot.correlation(measures, layers=name)),
    "spiketrains": ("7Spiketrains", lambda measures, name: plot.raster(measures, layers=name)),
}
"""Pictures of each layer, in a folder of its name."""
NORMALISATION = "normalization_activations"
DRAWN = {NORMALISATION, *WHOLE, *BY_LAYER}


def notes_on_plots(asked: Experiment) -> list[str]:
    """What of ``plot_vars`` is not drawn as a file of its own, a sentence each."""
    if not asked.plots:
        return []
    if find_spec("matplotlib") is None:
        return ["[output] plot_vars: pictures need matplotlib (pip install 'spikewright[plots]'); report.html has all"]
    others = sorted({*asked.plots} - DRAWN - {"all"})
    return [f"[output] plot_vars: {', '.join(others)}: see report.html"] if others else []


def plot_normalisation(asked: Experiment, folder: Path, conversion: Conversion, statistics: Statistics) -> None:
    """Write LAYER_Activation_distribution and LAYER_Weight_distribution, before and after, where they are asked for.

    Args:
        asked: the experiment.
        folder: of the normalisation.
        conversion: whose λ are drawn.
        statistics: of calibration, whose histograms are drawn: nothing is computed again.

    Raises:
        StorageError: where a file cannot be written.
    """
    if not _wanted(asked, NORMALISATION):
        return
    for name in plot.layer_names(conversion):
        own = folder / name.replace("/", "_")
        if name in statistics.nodes and name in conversion.scales:
            figure = plot.activations(conversion, statistics, layers=name)
            plot.save(figure, f"{own}_Activation_distribution.{asked.picture}", force=True)
        if plot.has_weights(conversion, name):
            figure = plot.weights(conversion, layers=name)
            plot.save(figure, f"{own}_Weight_distribution.{asked.picture}", force=True)


def plot_run(asked: Experiment, measures: Measures) -> None:
    """Write the pictures of a run that are asked for.

    Args:
        asked: the experiment.
        measures: of the run.

    Raises:
        StorageError: where a file cannot be written.
    """
    for wanted, (file, draw) in WHOLE.items():
        if _wanted(asked, wanted):
            plot.save(draw(measures), asked.log / f"{file}.{asked.picture}", force=True)
    for wanted, (file, draw_layer) in BY_LAYER.items():
        if not _wanted(asked, wanted):
            continue
        for name in measures.layers:
            if wanted == "spiketrains" and not measures.raster[name].size:
                continue
            folder = asked.log / name.replace("/", "_")
            folder.mkdir(exist_ok=True)
            plot.save(draw_layer(measures, name), folder / f"{file}.{asked.picture}", force=True)


def _wanted(asked: Experiment, name: str) -> bool:
    return find_spec("matplotlib") is not None and bool({name, "all"} & {*asked.plots})
