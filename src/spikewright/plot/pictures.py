"""Figures of a conversion: activations and weights before and after normalising, rates against activations, accuracy
over time, rasters. What is drawn are the charts of the report."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from spikewright.calibration import Statistics
from spikewright.conversion import Conversion
from spikewright.errors import SettingsError
from spikewright.experiment import Comparison
from spikewright.graph import Array
from spikewright.measures import LayerMeasures, Measures
from spikewright.plot.asked import Layers, chosen, conversion_of, measures_of, one_of, statistics_of
from spikewright.plot.figures import figure_of
from spikewright.plot.panel import Panel
from spikewright.reports import charts, curves
from spikewright.reports.layers import weights_before_and_after

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RASTER = "Spikes of the first sample: of each population up to 40 neurons that fired"


def before_and_after(
    what: Comparison | Conversion,
    statistics: Statistics | None = None,
    *,
    layers: Layers = None,
    method: str | None = None,
) -> Figure:
    """Activations and weights of every layer before and after normalising, a row a layer.

    Nothing but histograms is held: those that calibration streamed, and those of weights.

    Args:
        what: a conversion, or a comparison.
        statistics: of calibration, where they are not those of a comparison.
        layers: names of populations, or patterns; None for all.
        method: of a comparison the label of the conversion; None for the first.

    Returns:
        a figure: activations on the left, with λ marked and an upper axis after normalising; weights on the right.

    Raises:
        SettingsError: without statistics, for layers that are not there, and without matplotlib.
    """
    index, (_, conversion) = conversion_of(what, method)
    found = statistics_of(what, statistics)
    seen, panels = _calibrated(conversion, found), list[Panel | None]()
    for name in chosen(layer_names(conversion), layers):
        panels += _activations(conversion, found, name, index) if name in seen else [None]
        panels += _weights(conversion, name, index) or [None]
    return figure_of(panels, 2, of=what)


def activations(
    what: Comparison | Conversion,
    statistics: Statistics | None = None,
    *,
    layers: Layers = None,
    method: str | None = None,
) -> Figure:
    """Positive activations of every layer, before normalising on the lower axis and after it on the upper one.

    Args:
        what: a conversion, or a comparison.
        statistics: as of ``before_and_after``.
        layers: as of ``before_and_after``.
        method: as of ``before_and_after``.

    Raises:
        SettingsError: as ``before_and_after``.
    """
    index, (_, conversion) = conversion_of(what, method)
    found = statistics_of(what, statistics)
    names = chosen(_calibrated(conversion, found), layers)
    return figure_of([panel for name in names for panel in _activations(conversion, found, name, index)], 3, of=what)


def weights(what: Comparison | Conversion, *, layers: Layers = None, method: str | None = None) -> Figure:
    """Weights of every layer before and after normalising: of populations those that feed them, and of outputs.

    Args:
        what: a conversion, or a comparison.
        layers: as of ``before_and_after``.
        method: as of ``before_and_after``.

    Raises:
        SettingsError: as ``before_and_after``.
    """
    index, (_, conversion) = conversion_of(what, method)
    names = chosen(layer_names(conversion), layers)
    panels = [panel for name in names for panel in _weights(conversion, name, index)]
    return figure_of(panels, 3, of=what)


def layer(
    what: Comparison | Conversion,
    name: str,
    measures: Measures | None = None,
    statistics: Statistics | None = None,
    *,
    method: str | None = None,
) -> Figure:
    """All that there is of one layer: activations, weights, rates against activations, and how much neurons fire.

    Args:
        what: a conversion, or a comparison.
        name: of the population or output.
        measures: where they are not those of a comparison.
        statistics: of calibration, where they are not those of a comparison.
        method: of a comparison the label of the conversion; None for the first.

    Raises:
        SettingsError: for a layer that is not there, or of which there is nothing, and without matplotlib.
    """
    index, (_, conversion) = conversion_of(what, method)
    if isinstance(what, Comparison):
        measures, statistics = measures or measures_of(what, method)[1], statistics or what.statistics
    (found,) = chosen(layer_names(conversion), [one_of(layer_names(conversion), name, "layer")])
    panels = []
    if statistics is not None and found in _calibrated(conversion, statistics):
        panels += _activations(conversion, statistics, found, index)
    panels += _weights(conversion, found, index)
    if measures is not None and found in measures.layers:
        own = measures.layers[found]
        panels += [panel for panel in (_correlation(own, index), _firing(own, index)) if panel is not None]
    return figure_of(panels, 2, of=what)


def layer_names(conversion: Conversion) -> list[str]:
    """Populations and outputs of a conversion that have weights or neurons, in order.

    Args:
        conversion: whose layers they are.
    """
    names = [node.name for node in conversion.reference if node.type in ("ReLU", "Output")]
    return [name for name in names if name in conversion.units or has_weights(conversion, name)]


def has_weights(conversion: Conversion, name: str) -> bool:
    """Whether what feeds a population or an output has weights.

    Args:
        conversion: whose it is.
        name: of the population or output.
    """
    return _weights_into(conversion, name)[0] is not None


def correlation(what: Comparison | Measures, *, layers: Layers = None, method: str | None = None) -> Figure:
    """Firing rates of every layer against the activations that they stand for, in units of λ.

    Args:
        what: measures of a conversion, or a comparison.
        layers: as of ``before_and_after``.
        method: as of ``before_and_after``.

    Raises:
        SettingsError: for layers that are not there, measures without a trained network, and without matplotlib.
    """
    return _by_layer(what, layers, method, _correlation)


def firing_rates(what: Comparison | Measures, *, layers: Layers = None, method: str | None = None) -> Figure:
    """How many neurons of every layer fire how much.

    Args:
        what: measures of a conversion, or a comparison.
        layers: as of ``before_and_after``.
        method: as of ``before_and_after``.

    Raises:
        SettingsError: as ``correlation``.
    """
    return _by_layer(what, layers, method, _firing)


def rates_over_time(what: Comparison | Measures, *, layers: Layers = None, method: str | None = None) -> Figure:
    """Spikes per neuron of every population in each timestep, for the first sample.

    Args:
        what: measures of a conversion, or a comparison.
        layers: as of ``before_and_after``.
        method: as of ``before_and_after``.

    Raises:
        SettingsError: as ``correlation``.
    """
    index, measures = measures_of(what, method)
    found = measures.rate_over_time
    panels = [Panel(charts.rate_over_time(found[name], index), name) for name in chosen(found, layers)]
    return figure_of(panels, 3, of=what)


def raster(what: Comparison | Measures, *, layers: Layers = None, method: str | None = None) -> Figure:
    """When neurons of every population fired, for the first sample: of each population up to 40 that fired.

    Args:
        what: measures of a conversion, or a comparison.
        layers: as of ``before_and_after``.
        method: as of ``before_and_after``.

    Raises:
        SettingsError: as ``correlation``.
    """
    index, measures = measures_of(what, method)
    trains = {name: measures.raster[name] for name in chosen(measures.raster, layers)}
    if not any(train.size for train in trains.values()):
        raise SettingsError("no neuron fired for the first sample: there is nothing to draw")
    return figure_of([Panel(charts.raster(trains, index), RASTER)], 1, of=what)


def accuracy(
    what: Comparison | Mapping[str, Measures | Sequence[float]],
    *,
    trained: float | None = None,
    output: str | None = None,
    score: str | None = None,
    close: bool = False,
    linear: bool = False,
) -> Figure:
    """A score at every timestep, a line for each conversion: accuracy against T by mode.

    Args:
        what: a comparison; or by label measures, or curves ``(T,)`` of accuracies from 0 to 1.
        trained: the accuracy of the trained network, drawn as a level, where curves are given.
        output: of several; None for the first.
        score: "top5", say; None for the main one of the task.
        close: whether only what lies near the final values is shown.
        linear: whether the axis of time is linear, not in powers of two.

    Raises:
        SettingsError: for outputs and scores that are not there, curves that are none, and without matplotlib.
    """
    if isinstance(what, Comparison):
        heads = what.candidates[0].measures.heads
        head = one_of(heads, output, "output")
        known = heads[head].curves
        name = heads[head].task.main if score is None else one_of(known, score, "score")
        against = not heads[head].labelled
        return figure_of(
            [Panel(curves.score(what.candidates, head, name, against=against, close=close, linear=linear))], 1, of=what
        )
    if isinstance(what, Measures) or not isinstance(what, Mapping) or not what:
        raise SettingsError("accuracy is drawn of a comparison, or of {label: measures or curve}")
    found = {label: _curve(label, one, output, score) for label, one in what.items()}
    levels = [
        one.heads[one_of(one.heads, output, "output")].analog.get("accuracy")
        for one in what.values()
        if isinstance(one, Measures)
    ]
    level = trained if trained is not None else next((value for value in levels if value is not None), None)
    return figure_of([Panel(curves.plain(found, level, close=close, linear=linear))], 1)


def _curve(label: str, given: Any, output: str | None, score: str | None) -> Any:
    if isinstance(given, Measures):
        head = given.heads[one_of(given.heads, output, "output")]
        return head.curves[head.task.main if score is None else one_of(head.curves, score, "score")]
    try:
        values = np.asarray(given, np.float64)
    except (TypeError, ValueError):
        values = np.zeros((0, 0))
    if values.ndim != 1 or not values.size:
        raise SettingsError(f"{label}: a curve is a row of scores, one a timestep, or Measures")
    return values


def _calibrated(conversion: Conversion, statistics: Statistics) -> list[str]:
    names = [name for name in statistics.nodes if name in conversion.scales and name in conversion.reference]
    if not names:
        raise SettingsError("the statistics are of another network than the conversion")
    return names


def _activations(conversion: Conversion, statistics: Statistics, name: str, index: int) -> list[Panel]:
    chart = charts.activations(statistics.nodes[name], conversion.scales[name], index)
    return [Panel(chart, name, "activations")]


def _weights(conversion: Conversion, name: str, index: int) -> list[Panel]:
    before, after = _weights_into(conversion, name)
    if before is None or after is None:
        return []
    return [Panel(charts.weights(before, after, index), name, f"{before.size:,} weights")]


def _weights_into(conversion: Conversion, name: str) -> tuple[Array | None, Array | None]:
    """The weights that feed a population or an output, before and after normalising."""
    return weights_before_and_after(conversion, conversion.reference[name].inputs[0])


def _by_layer(
    what: Any, layers: Layers, method: str | None, panel_of: Callable[[LayerMeasures, int], Panel | None]
) -> Figure:
    index, measures = measures_of(what, method)
    found = [panel_of(measures.layers[name], index) for name in chosen(measures.layers, layers)]
    return figure_of([panel for panel in found if panel is not None], 3, of=what)


def _correlation(layer: LayerMeasures, index: int) -> Panel | None:
    if layer.correlation is None:
        return None
    r = layer.correlation.pearson
    facts = f"correlation {'–' if r is None else f'{r:.4f}'}, rms {layer.correlation.rms:.3g}"
    return Panel(charts.scatter(layer, index), layer.name, facts)


def _firing(layer: LayerMeasures, index: int) -> Panel:
    facts = f"mean {layer.firing.mean:.4f}, {layer.firing.silent:.0%} silent"
    return Panel(charts.rates(layer.firing, index), layer.name, facts)
