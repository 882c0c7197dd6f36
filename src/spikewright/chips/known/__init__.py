"""Chips, one a file: the file's name is the chip's name on the command line, its ``CHIP`` is what is known of it."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from types import ModuleType

from spikewright.chips.chip import Chip
from spikewright.errors import SettingsError
from spikewright.registry import Registry, file_name


def _held(module: ModuleType) -> Mapping[str, Chip]:
    """The chip of a file, by the file's name."""
    found = getattr(module, "CHIP", None)
    return {file_name(module): found} if isinstance(found, Chip) else {}


chips = Registry("spikewright.chips", "a chip", _held, folder=__name__)
"""Every chip by name."""


def chip(name: str | Chip) -> Chip:
    """The chip with a name; what is one already stays as it is.

    Raises:
        SettingsError: for a name that no chip has.
    """
    if isinstance(name, Chip):
        return name
    known = chips.own.get(name) if isinstance(name, str) else None
    found = known or (chips().get(name) if isinstance(name, str) else None)
    if found is None:
        names = sorted(chips())
        near = get_close_matches(str(name).strip().lower(), names, n=1)
        meant = f" did you mean {near[0]}?" if near else ""
        raise SettingsError(f"unknown chip {name!r:.60};{meant} choose one of {', '.join(names)}")
    return found
