"""Arrays in compressed .npz files, as SNN Toolbox writes them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from spikewright.files import atomic_path


def save_arrays(path: Path, arrays: Mapping[str, Any]) -> None:
    """Write a compressed .npz of arrays, whole or not at all; what stands there is replaced.

    Args:
        path: of the file; its folder is made where it is missing.
        arrays: by name; "/" in a name becomes "_".

    Raises:
        StorageError: where it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    named: dict[str, Any] = {name.replace("/", "_"): np.asarray(array) for name, array in arrays.items()}
    with atomic_path(path, force=True) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **named)
