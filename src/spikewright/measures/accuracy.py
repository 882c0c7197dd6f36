"""How often the answer is right, at every timestep."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spikewright.errors import DataError
from spikewright.graph import Array
from spikewright.tasks.classification import among_first


def accuracy(outputs: Array, labels: NDArray[np.int64], k: int = 1) -> NDArray[np.float64]:
    """Top-k accuracy at every timestep.

    Args:
        outputs: ``(N, T, classes)``.
        labels: ``(N,)``.
        k: a sample counts when its label is among the k largest outputs; of equal outputs the first wins.

    Returns:
        ``(T,)``, in 0..1.

    Raises:
        DataError: for outputs that are not one row of classes, or k beyond them.
    """
    if outputs.ndim != 3:
        raise DataError(f"accuracy needs one row of classes a sample; the outputs have the shape {outputs.shape[2:]}")
    if not 1 <= k <= outputs.shape[2]:
        raise DataError(f"top-{k} of {outputs.shape[2]} classes makes no sense")
    right: NDArray[np.float64] = among_first(outputs, labels, k).mean(axis=0)
    return right
