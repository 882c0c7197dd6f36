"""Surrogate gradients, one a file: the file's name is the surrogate's name in texts."""

from __future__ import annotations

from typing import Any

from spikewright.registry import Registry, class_of
from spikewright.training.surrogates.base import InThresholds, Surrogate
from spikewright.worded import parsed

__all__ = ["InThresholds", "Surrogate", "surrogate", "surrogates"]

EXAMPLE = "atan:alpha=2"

surrogates = Registry("spikewright.surrogates", "a surrogate gradient", class_of(Surrogate), folder=__name__)
"""Every surrogate gradient by name."""


def surrogate(text: Any) -> Surrogate:
    """A surrogate gradient from its text: ``atan``, ``atan:alpha=2``, ``multi_gaussian:sigma=0.5,h=0.15``.

    ``str`` of the result is the form that is shown everywhere. What is a surrogate already stays as it is.

    Raises:
        SettingsError: for an unknown name or setting, a value outside its domain, or what is no text.
    """
    return parsed(text, Surrogate, surrogates, EXAMPLE)
