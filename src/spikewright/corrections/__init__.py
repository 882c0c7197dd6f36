"""What is corrected once neurons spike: one corrector a file, whose name is the corrector's on the command line."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from spikewright.corrections.corrector import Corrector, Given, LayerCorrector, layer_by_layer
from spikewright.corrections.walk import Chunk, Layer, Walk, fire
from spikewright.registry import Registry, class_of
from spikewright.worded import parsed

__all__ = [
    "Chunk",
    "Corrections",
    "Corrector",
    "Given",
    "Layer",
    "LayerCorrector",
    "Walk",
    "corrector",
    "correctors",
    "correctors_of",
    "fire",
    "layer_by_layer",
]

EXAMPLE = "v_init:4..32"

correctors = Registry("spikewright.corrections", "a corrector", class_of(Corrector), folder=__name__)
"""Every corrector by name."""


def corrector(text: Any) -> Corrector:
    """A corrector from its text: ``v_init``, ``v_init:4..16,neurons``, ``bias:steps,form=linear``.

    ``str`` of the result is the form that is shown everywhere. What is a corrector already stays as it is.

    Raises:
        SettingsError: for an unknown corrector or option, a value outside its domain, or what is no text.
    """
    return parsed(text, Corrector, correctors, EXAMPLE)


Corrections = Corrector | str | Iterable[Corrector | str] | None
"""What is corrected, in order, as people give it; None for nothing."""


def correctors_of(values: Any) -> tuple[Corrector, ...]:
    """Several correctors in their order, or one alone, given as such or as their text; None for none.

    Raises:
        SettingsError: for anything else.
    """
    if values is None:
        return ()
    alone = isinstance(values, Corrector | str) or not isinstance(values, Iterable)
    return tuple(corrector(value) for value in ([values] if alone else values))
