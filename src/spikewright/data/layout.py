"""How the axes of samples lie: channels first, and several inputs side by side in one row."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

import numpy as np

from spikewright.errors import DataError
from spikewright.graph import Array, Shape

Inputs = Mapping[str, Shape]
"""The shape of one sample of every input of a network, by name, in the network's order."""


def laid_out(x: Array, shape: Shape) -> Array | None:
    """Samples with their axes as the network wants them; None where there is no one way to see that.

    Args:
        x: ``(N, ...)``: channels first or last, without an axis for the one channel, flat, or event frames.
        shape: of one sample.
    """
    if tuple(x.shape[1:]) == shape or tuple(x.shape[2:]) == shape:
        return x
    if len(shape) > 1 and x.ndim == len(shape) + 1 and (x.shape[-1], *x.shape[1:-1]) == shape:
        return np.moveaxis(x, -1, 1)
    if shape[0] == 1 and tuple(x.shape[1:]) == shape[1:]:
        return x[:, None]
    if x.ndim == 2 and x.shape[1] == prod(shape):
        return x.reshape(-1, *shape)
    if len(shape) == 1 and prod(x.shape[1:]) == shape[0]:
        return x.reshape(len(x), -1)
    return None


def side_by_side(parts: Mapping[str, Array], inputs: Inputs) -> Array:
    """The samples of several inputs in one row each, ``(N, total)``; of event frames ``(N, frames, total)``.

    Raises:
        DataError: for an input without samples, samples without input, and shapes that do not fit.
    """
    if set(parts) != set(inputs):
        raise DataError(f"the network has the inputs {', '.join(inputs)}; the data are for {', '.join(parts)}")
    rows = []
    for name, shape in inputs.items():
        x = laid_out(parts[name], shape)
        if x is None:
            raise DataError(f"input '{name}' takes samples of {shape}, the data have {tuple(parts[name].shape[1:])}")
        rows.append(x.reshape(*x.shape[: x.ndim - len(shape)], prod(shape)))
    if len({row.shape[:-1] for row in rows}) != 1:
        counts = ", ".join(f"{name}: {len(row)}" for name, row in zip(inputs, rows, strict=True))
        raise DataError(f"every input needs as many samples (and frames) as the others, not {counts}")
    return np.concatenate(rows, axis=-1)
