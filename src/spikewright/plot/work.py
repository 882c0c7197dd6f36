"""Figures about work: scores against synaptic operations, operations and energy by layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spikewright.experiment import Comparison
from spikewright.plot.asked import candidate_of, comparison_of, one_of
from spikewright.plot.figures import figure_of
from spikewright.plot.panel import Panel
from spikewright.reports import charts, curves
from spikewright.reports.energy import by_layer

if TYPE_CHECKING:
    from matplotlib.figure import Figure


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
