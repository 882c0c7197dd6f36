"""How the axes of samples lie: channels where the network has them, and several inputs side by side in one row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import prod

import numpy as np

from spikewright.errors import DataError
from spikewright.graph import Array, SampleShapes, Shape

Inputs = Mapping[str, Shape]
"""The shape of one sample of every input of a network, by name, in the network's order."""


def channels_of(inputs: Inputs, name: str) -> str:
    """Where the trained network has the channels of an input: "first", "last" or "moved", as ``Input.channels``."""
    return inputs.channels.get(name, "first") if isinstance(inputs, SampleShapes) else "first"


def fit_axes(x: Array, shape: Shape, channels: str = "first") -> Array | None:
    """Samples with their axes as the network wants them; None where there is no way to see that.

    Where both readings fit, as of ``(N, 3, 3, 3)``, samples have their axes as the trained network has them. Flat rows
    are taken apart in that order too. A network that takes rows gets the values in the order in which they are given.

    Args:
        x: ``(N, ...)``: channels first or last, without an axis for the one channel, flat, or event frames.
        shape: of one sample.
        channels: where the trained network has them, as ``Input.channels``.
    """
    last = channels == "last"
    for before in (1, 2):  # the samples; their event frames too
        found = x.shape[before:]
        turned = (*found[1:], *found[:1]) if last else (*found[-1:], *found[:-1])
        fits, fits_turned = found == shape, len(shape) > 1 and turned == shape
        if fits and not (fits_turned and channels == "moved"):
            return x
        if fits_turned:
            return np.moveaxis(x, before, -1) if last else np.moveaxis(x, -1, before)
    without = shape[:-1] if last else shape[1:]
    if len(shape) > 1 and prod(without) == prod(shape) and x.shape[1:] == without:
        return x[..., None] if last else x[:, None]
    if x.ndim == 2 and x.shape[1] == prod(shape):
        if channels == "moved" and len(shape) > 1:
            return np.moveaxis(x.reshape(len(x), *shape[1:], shape[0]), -1, 1)
        return x.reshape(len(x), *shape)
    if len(shape) == 1 and prod(x.shape[1:]) == shape[0]:
        return x.reshape(len(x), shape[0])
    return None


def fit_picture_axes(x: Array, count: int, channels: str = "first") -> Array | None:
    """Pictures of any size with their channels where the network has them; None where there is no way to see that.

    Args:
        x: ``(N, rows, columns)``, or with an axis of channels before or behind these.
        count: of channels.
        channels: as ``fit_axes``.
    """
    last = channels == "last"
    if x.ndim == 3 and count == 1:
        return x[..., None] if last else x[:, None]
    if x.ndim != 4 or count not in (x.shape[1], x.shape[-1]):
        return None
    is_last = x.shape[-1] == count and (channels != "first" or x.shape[1] != count)
    if is_last == last:
        return x
    return np.moveaxis(x, 1, -1) if last else np.moveaxis(x, -1, 1)


def check_names(parts: Iterable[str], inputs: Inputs) -> None:
    """Refuse arrays by other names than those of the inputs.

    Raises:
        DataError: saying both, and of one input how labels are given, which may be among them.
    """
    if set(parts) == set(inputs):
        return
    given = f"the network has the inputs {', '.join(inputs)}; the data are for {', '.join(map(str, parts))}"
    raise DataError(f"{given}; samples and labels are given as (x, y)" if len(inputs) == 1 else given)


def side_by_side(parts: Mapping[str, Array], inputs: Inputs) -> Array:
    """The samples of several inputs in one row each, ``(N, total)``; of event frames ``(N, frames, total)``.

    Raises:
        DataError: for an input without samples, samples without input, and shapes that do not fit.
    """
    check_names(parts, inputs)
    rows = []
    for name, shape in inputs.items():
        x = fit_axes(parts[name], shape, channels_of(inputs, name))
        if x is None:
            raise DataError(f"input '{name}' takes samples of {shape}, the data have {tuple(parts[name].shape[1:])}")
        rows.append(x.reshape(*x.shape[: x.ndim - len(shape)], prod(shape)))
    if len({row.shape[:-1] for row in rows}) != 1:
        counts = ", ".join(f"{name}: {len(row)}" for name, row in zip(inputs, rows, strict=True))
        raise DataError(f"every input needs as many samples (and frames) as the others, not {counts}")
    return np.concatenate(rows, axis=-1)
