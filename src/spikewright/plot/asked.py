"""What a figure is asked to show: of several conversions one, of its layers some; and how that was made."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

from spikewright.calibration import Statistics
from spikewright.conversion import Conversion
from spikewright.errors import SettingsError
from spikewright.experiment import Candidate, Comparison
from spikewright.measures import Measures
from spikewright.provenance import History, history
from spikewright.text import listed

Layers = str | Sequence[str] | None
"""Names of layers or patterns ("conv*"); None for all."""
CALIBRATE = "activations are those of calibration: give its statistics, statistics=sw.calibrate(graph, data)"


def one_of(there: Iterable[str], wanted: str | None, what: str) -> str:
    """A name among those that are there; the first one where none is asked for.

    Args:
        there: the names.
        wanted: one of them, or None.
        what: they are, for the error.

    Raises:
        SettingsError: for a name that is not there.
    """
    names = list(there)
    if wanted is None:
        return names[0]
    if wanted not in names:
        raise SettingsError(f"no {what} '{wanted}'; there are {listed(names)}")
    return wanted


def conversion_of(what: Any, method: str | None) -> tuple[int, tuple[str, Conversion]]:
    """The conversion that is drawn, with its label, and its place, which gives its colour."""
    if isinstance(what, Conversion):
        return 0, (what.calibration.method, what)
    index, found = candidate_of(what, method, "a conversion")
    return index, (found.label, found.conversion)


def measures_of(what: Any, method: str | None) -> tuple[int, Measures]:
    """The measures that are drawn, and their place, which gives their colour."""
    if isinstance(what, Measures):
        return 0, what
    index, found = candidate_of(what, method, "measures")
    return index, found.measures


def candidate_of(what: Any, method: str | None, wanted: str) -> tuple[int, Candidate]:
    """One conversion of a comparison with all that is known about it, and its place.

    Raises:
        SettingsError: for what is no comparison, and for a label that it does not have.
    """
    found = comparison_of(what, wanted)
    chosen = found.candidates[0] if method is None else found[method]
    return found.candidates.index(chosen), chosen


def comparison_of(what: Any, wanted: str) -> Comparison:
    """A comparison.

    Raises:
        SettingsError: for anything else.
    """
    if not isinstance(what, Comparison):
        either = f"{wanted} or a comparison" if wanted else "a comparison"
        raise SettingsError(f"this draws {either}, not a {type(what).__name__}")
    return what


def statistics_of(what: Any, given: Statistics | None) -> Statistics:
    """Statistics of calibration: those given, or those of a comparison.

    Raises:
        SettingsError: where there are none.
    """
    found = what.statistics if given is None and isinstance(what, Comparison) else given
    if not isinstance(found, Statistics):
        raise SettingsError(CALIBRATE)
    return found


def chosen(names: Iterable[str], layers: Layers) -> list[str]:
    """The names that are asked for, in their own order.

    Raises:
        SettingsError: for a name or pattern that none fits.
    """
    there = list(names)
    if layers is None:
        return there
    patterns = [layers] if isinstance(layers, str) else list(layers)
    for pattern in patterns:
        if not any(name == pattern or fnmatchcase(name, pattern) for name in there):
            raise SettingsError(f"no layer '{pattern}'; there are {listed(there)}")
    return [name for name in there if any(name == p or fnmatchcase(name, p) for p in patterns)]


def making_of(what: Any) -> History:
    """How what is drawn was made: what files with a figure of it hold.

    Args:
        what: a conversion, statistics, measures, a comparison, what tuning found, or anything else.
    """
    if isinstance(what, Conversion):
        return what.remembered
    if isinstance(what, Statistics):
        return history(what.provenance)
    if isinstance(what, Comparison):
        *before, last = what.candidates[0].conversion.remembered
        return (*before, replace(last, settings={**last.settings, **_plain(what.settings)}))
    if type(what).__name__ == "Tuning":  # whose module is not imported to find out
        return history((), **_plain(what.settings))
    if isinstance(what, Measures):
        return history((), timesteps=what.timesteps, samples=what.samples)
    return history()


def _plain(settings: Any) -> dict[str, str]:
    return {str(name): "" if value is None else str(value) for name, value in settings.items()}
