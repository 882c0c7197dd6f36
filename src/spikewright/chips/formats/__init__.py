"""A network in a chip's integers handed on: one format a file, its name is the suffix of the files it writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from spikewright.chips.formats._settings import chip_settings
from spikewright.chips.quantise import Quantised
from spikewright.errors import SettingsError
from spikewright.exporters import suffix_of, write_by
from spikewright.files import check_destination, shown
from spikewright.registry import Registry, function

chip_formats = Registry("spikewright.chip_formats", "a format of a chip's integers", function("export_"), __name__)
"""The function that writes each format, by the format's name, which is the suffix of its files."""


def export_chip(quantised: Quantised, path: Path | str, *, force: bool = False, **options: Any) -> None:
    """Write a network in a chip's integers in the format that the suffix of its path names.

    Args:
        quantised: what ``quantise`` made.
        path: ends in ``.json`` (settings of the chip's cores), ``.npz``, ``.h`` (C) or ``.zip`` (memory files for
            ``$readmemh``).
        force: whether a file that stands there is replaced, once this one is whole.
        options: of the format: ``chip_readout`` for JSON.

    Raises:
        StorageError: when a file stands there, or it cannot be written; what stood there before is untouched.
        SettingsError: for what is not quantised, an unknown suffix or option, or a network that does not fit the chip.
    """
    check_chip_export(path, force)
    if not isinstance(quantised, Quantised):
        raise SettingsError(needs_integers(path))
    write_by(chip_formats()[suffix_of(path)], quantised, path, force, options)


def check_chip_export(path: Path | str, force: bool = False) -> None:
    """Refuse a place that ``export_chip`` cannot write to, before any work is done; arguments and errors as there."""
    if not is_chip_format(path):
        known = ", ".join(f".{name}" for name in sorted(chip_formats()))
        raise SettingsError(
            f"{shown(path)}: no network in a chip's integers is written under the suffix '.{suffix_of(path)}'; "
            f"give one of {known}, or export the conversion"
        )
    check_destination(path, force)


def is_chip_format(path: Path | str) -> bool:
    """Whether the suffix of a path is that of a format for a chip's integers."""
    return suffix_of(path) in chip_formats()


def needs_integers(path: Path | str) -> str:
    """What is said where somebody wants a format of integers for something else."""
    return (
        f"{shown(path)}: .{suffix_of(path)} holds a network in a chip's integers: "
        "'spikewright quantise SPIKING --chip speck2f' first, and export what it wrote"
    )


__all__ = ["check_chip_export", "chip_formats", "chip_settings", "export_chip", "is_chip_format", "needs_integers"]
