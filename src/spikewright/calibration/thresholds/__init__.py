"""Threshold methods, one a file: the file's name is the method's name on the command line."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from spikewright.calibration.thresholds.method import Method, NodeFacts, words_of
from spikewright.errors import SettingsError
from spikewright.registry import Registry, class_of
from spikewright.worded import parsed

__all__ = ["Method", "NodeFacts", "methods", "parse_all", "threshold_method"]

EXAMPLE = "percentile:99.9,channels"


methods = Registry("spikewright.methods", "a threshold method", class_of(Method), folder=__name__)
"""Every threshold method by name."""


def threshold_method(text: Any) -> Method:
    """A method from its text: ``max``, ``max,channels``, ``percentile:99.9,channels,schedule=0.02``.

    Colons, commas and spaces part words alike, capitals do not matter, and a percentile may be written ``99.9%`` or
    ``p99.9``. ``str`` of the result is the form that is shown everywhere. What is a method already stays as it is.

    Raises:
        SettingsError: for an unknown method or option, a value outside its domain, or what is no text.
    """
    return parsed(text, Method, methods, EXAMPLE, words_of)


def parse_all(values: Any) -> tuple[Method, ...]:
    """Several methods, or one alone, given as such or as their text.

    Raises:
        SettingsError: for anything else, or none.
    """
    alone = isinstance(values, Method | str) or not isinstance(values, Iterable)
    found = tuple(threshold_method(value) for value in ([values] if alone else values))
    if not found:
        raise SettingsError(f"no threshold method is given; give at least one, for example {EXAMPLE}")
    return found
