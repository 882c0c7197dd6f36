"""Figures about work: scores against synaptic operations, operations and energy by layer, and what tuning found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spikewright.errors import SettingsError
from spikewright.experiment import Comparison
from spikewright.experiment.tuning import Tuning
from spikewright.plot.asked import candidate_of, comparison_of, one_of
from spikewright.plot.figures import figure_of
from spikewright.plot.panel import Panel
from spikewright.reports import charts, curves
from spikewright.reports.energy import by_layer
from spikewright.reports.tuning import RATE, STEPS, SYNOPS, Against, along, pareto_chart, varied_numbers
from spikewright.text import listed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

AGAINST = {one[0]: one for one in (SYNOPS, RATE, STEPS)}


def operations(what: Comparison) -> Figure:
    """Synaptic operations by layer, side by side for all conversions of a comparison.

    Args:
        what: the comparison.

    Raises:
        SettingsError: for anything else, and without matplotlib.
    """
    found = comparison_of(what, "")
    return figure_of([Panel(charts.synops(found.candidates))], 1, of=found)


def accuracy_over_work(what: Comparison, *, output: str | None = None) -> Figure:
    """The main score against synaptic operations up to each timestep, a line for each conversion.

    Args:
        what: the comparison. Operations are taken as spread evenly over time.
        output: of several; None for the first.

    Raises:
        SettingsError: for anything else, an output that is not there, and without matplotlib.
    """
    found = comparison_of(what, "")
    head = one_of(found.candidates[0].measures.heads, output, "output")
    return figure_of([Panel(curves.against_synops(found.candidates, head))], 1, of=found)


def energy(what: Comparison, *, method: str | None = None) -> Figure:
    """Energy by layer, by an estimate of arithmetic alone: of spikes, of relayed values, of the analog input.

    Args:
        what: the comparison.
        method: the label of the conversion; None for the first.

    Raises:
        SettingsError: for anything else, and without matplotlib.
    """
    _, found = candidate_of(what, method, "")
    return figure_of([Panel(by_layer(found), found.label)], 1, of=what)


def pareto(tuning: Tuning, *, against: str = "synops") -> Figure:
    """What every point that was tried gains and costs at every T, the front that none beats, and what was chosen.

    Args:
        tuning: from ``tune``.
        against: "synops", "firing rate" or "timesteps".

    Raises:
        SettingsError: for anything else, and without matplotlib.
    """
    return figure_of([Panel(pareto_chart(_tuning(tuning), _against(against)))], 1, of=tuning)


def gain(tuning: Tuning, *, name: str = "gain", against: str = "firing rate") -> Figure:
    """The score against what a number costs that was varied, the gain or another one: a line for each T.

    Args:
        tuning: from ``tune``, with three values or more of that number.
        name: of the number; all else is as recommended.
        against: "firing rate", "synops", or the number itself by its name.

    Raises:
        SettingsError: for anything else, and without matplotlib.
    """
    varied = varied_numbers(_tuning(tuning))
    if name not in varied:
        there = f"; there are {listed(varied)}" if varied else "; no number was"
        raise SettingsError(f"'{name}' was not tried with three values or more{there}")
    itself: Against = (name, name, lambda row: float(row.point[name]))
    return figure_of([Panel(along(tuning, name, itself if against == name else _against(against)))], 1, of=tuning)


def _tuning(what: Any) -> Tuning:
    if not isinstance(what, Tuning):
        raise SettingsError(f"this draws what sw.tune found, not a {type(what).__name__}")
    return what


def _against(name: str) -> Against:
    return AGAINST[one_of(AGAINST, name, "axis")]
