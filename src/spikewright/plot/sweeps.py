"""Figures of what tuning found. All that makes it is imported when one is drawn, so that other figures start sooner."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spikewright.errors import SettingsError
from spikewright.plot.asked import one_of
from spikewright.plot.figures import figure_of
from spikewright.plot.panel import Panel
from spikewright.text import listed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from spikewright.experiment.tuning import Tuning
    from spikewright.reports.tuning import Against


def pareto(tuning: Tuning, *, against: str = "synops") -> Figure:
    """What every point that was tried gains and costs at every T, the front that none beats, and what was chosen.

    Args:
        tuning: from ``tune``.
        against: "synops", "firing rate" or "timesteps".

    Raises:
        SettingsError: for anything else, and without matplotlib.
    """
    from spikewright.reports.tuning import pareto_chart

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
    from spikewright.reports.tuning import along, varied_numbers

    varied = varied_numbers(_tuning(tuning))
    if name not in varied:
        there = f"; there are {listed(varied)}" if varied else "; no number was"
        raise SettingsError(f"'{name}' was not tried with three values or more{there}")
    itself: Against = (name, name, lambda row: float(row.point[name]))
    return figure_of([Panel(along(tuning, name, itself if against == name else _against(against)))], 1, of=tuning)


def _tuning(what: Any) -> Tuning:
    from spikewright.experiment.tuning import Tuning

    if not isinstance(what, Tuning):
        raise SettingsError(f"this draws what sw.tune found, not a {type(what).__name__}")
    return what


def _against(name: str) -> Against:
    from spikewright.reports.tuning import RATE, STEPS, SYNOPS

    axes = {one[0]: one for one in (SYNOPS, RATE, STEPS)}
    return axes[one_of(axes, name, "axis")]
