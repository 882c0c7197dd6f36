"""Integers as NumPy arrays: ``conv1/weights`` and so on, and a description as JSON text."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from spikewright.chips.formats._words import outside, words_of
from spikewright.chips.quantise import Quantised
from spikewright.files import atomic_path


def export_npz(quantised: Quantised, path: Path | str, *, force: bool = False) -> None:
    """Write weights, biases, thresholds and potentials as NumPy arrays, without anything pickled.

    Args:
        quantised: of integers.
        path: of the file.
        force: whether a file that stands there is replaced, once this one is whole.

    Raises:
        StorageError: when a file stands there, or it cannot be written; what stood there before is untouched.
        SettingsError: for a chip that is not known here.
    """
    layers = words_of(quantised)
    arrays = {f"{one.name}/{label}": values for one in layers for label, values in one.arrays.items()}
    facts = {**outside(quantised), "layers": {one.name: one.settings for one in layers}}
    with atomic_path(path, force) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, description=np.array(json.dumps(facts)), **arrays)  # type: ignore[arg-type]
