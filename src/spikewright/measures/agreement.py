"""How often the spiking network answers as the analog one does."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spikewright.graph import Array
from spikewright.measures.accuracy import accuracy


def agreement(outputs: Array, analog: Array) -> NDArray[np.float64]:
    """Fraction of samples whose first class is the analog network's, at every timestep.

    Args:
        outputs: ``(N, T, classes)`` of the spiking network.
        analog: ``(N, classes)``.

    Returns:
        ``(T,)``, in 0..1.
    """
    return accuracy(outputs, analog.argmax(axis=1))
