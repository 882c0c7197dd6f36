"""Sliding windows along one axis: what convolutions and pools of any number of axes are products of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spikewright.errors import GraphError
from spikewright.graph import MOST_VALUES, Node, Shape, check_size

if TYPE_CHECKING:
    from torch import Tensor

Padding = tuple[tuple[int, int], ...]


def output_length(length: int, kernel: int, stride: int, padding: tuple[int, int], dilation: int = 1) -> int:
    """How many windows fit: ``floor((n + low + high - dilation·(k-1) - 1) / stride) + 1``."""
    return (length + sum(padding) - dilation * (kernel - 1) - 1) // stride + 1


def window_shape(
    where: object,
    spatial: Shape,
    kernel: Shape,
    stride: Shape,
    padding: Padding,
    dilation: Shape | None = None,
) -> Shape:
    """The spatial output shape of a windowed operator.

    Raises:
        GraphError: when the number of axes differs or a window does not fit.
    """
    axes = len(kernel)
    dilation = dilation or (1,) * axes
    if not (len(spatial) == len(stride) == len(padding) == len(dilation) == axes):
        raise GraphError(f"{where}: a kernel over {axes} axes cannot slide over an input with spatial shape {spatial}")
    check_positive(where, kernel=kernel, stride=stride, dilation=dilation)
    check_pairs(where, padding)
    check_size(where, tuple(n + max(low, 0) + max(high, 0) for n, (low, high) in zip(spatial, padding, strict=True)))
    shape = tuple(
        output_length(n, k, s, p, d) for n, k, s, p, d in zip(spatial, kernel, stride, padding, dilation, strict=True)
    )
    if min(shape) < 1:
        raise GraphError(f"{where}: a kernel of {kernel} does not fit in a padded input of spatial shape {spatial}")
    return shape


def window_counts(
    length: int, kernel: int, stride: int, padding: tuple[int, int], dilation: int = 1
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Connections of one axis, borders exact.

    Returns:
        for each input position, in how many windows it lies; for each window, how many real inputs lie in it.
    """
    windows = output_length(length, kernel, stride, padding, dilation)
    position = np.arange(windows)[:, None] * stride - padding[0] + np.arange(kernel)[None, :] * dilation
    inside = (position >= 0) & (position < length)
    return np.bincount(position[inside], minlength=length), inside.sum(axis=1)


def reaches_inputs(length: int, kernel: int, stride: int, padding: tuple[int, int], dilation: int = 1) -> bool:
    """Whether every window along one axis holds a real input, and none lies wholly in padding."""
    windows = output_length(length, kernel, stride, padding, dilation)
    early = min(windows, -(-padding[0] // stride), length + 1)  # those that begin in padding; more would only repeat
    starts = np.arange(max(early, 0)) * stride - padding[0]
    steps = -(starts // dilation)  # of each, to its first place that is not below 0
    in_time = (steps < kernel) & (starts + steps * dilation < length)
    return bool(in_time.all()) and (windows - 1) * stride - padding[0] < length


def outer(vectors: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    """The product of per-axis counts: one array with an axis for each vector."""
    product = np.ones((), np.int64)
    for vector in vectors:
        product = product[..., None] * vector
    return product


def torch_padding(padding: Padding) -> list[int]:
    """Per-axis ``(low, high)`` in the order of ``torch.nn.functional.pad``: last axis first."""
    return [side for pair in reversed(padding) for side in pair]


def is_symmetric(padding: Padding) -> bool:
    """Whether padding is the same on both sides of every axis."""
    return all(low == high for low, high in padding)


def has_padding(padding: Padding) -> bool:
    """Whether there is any padding."""
    return any(low or high for low, high in padding)


def sum_windows(x: Tensor, kernel: Shape, stride: Shape, padding: Padding) -> Tensor:
    """Sums over windows of a batch ``(B, C, *spatial)``, padded with zeros."""
    import torch.nn.functional as F

    if has_padding(padding):
        x = F.pad(x, torch_padding(padding))
    # divided by one, so that sums of whole numbers stay whole; only avg_pool1d cannot be told to
    if len(kernel) == 1:
        return F.avg_pool2d(x.unsqueeze(2), (1, *kernel), (1, *stride), divisor_override=1).squeeze(2)
    pool = F.avg_pool2d if len(kernel) == 2 else F.avg_pool3d
    summed: Tensor = pool(x, kernel, stride, divisor_override=1)
    return summed


def answer_to_constant(node: Node, channels: NDArray[Any], shape: Shape) -> NDArray[np.float64]:
    """What a layer, bias included, makes of an input with one value all over each channel; borders are exact."""
    import torch

    constant = np.broadcast_to(channels.reshape(-1, *(1 for _ in shape[1:])), shape)
    forward = node.bind(lambda array: torch.tensor(array, dtype=torch.float64))
    answer: NDArray[np.float64] = forward(torch.from_numpy(np.array(constant, np.float64))[None])[0].numpy()
    return answer


def check_positive(where: object, **values: Shape) -> None:
    """Refuse kernels, strides and dilations below one, or beyond all that could be."""
    for name, value in values.items():
        if not 1 <= min(value) <= max(value) < MOST_VALUES:
            raise GraphError(f"{where}: {name} must be 1 or more along every axis, and less than 2^31, not {value}")


def check_pairs(where: object, padding: Padding) -> None:
    """Refuse padding that is not ``(low, high)`` along every axis."""
    for pair in padding:
        if not (isinstance(pair, Sequence) and len(pair) == 2):
            raise GraphError(f"{where}: padding must be (low, high) along every axis, not {padding}")


def check_axes(where: object, **values: Sequence[object]) -> None:
    """Refuse kernels, strides and paddings of different lengths, or of more than three axes."""
    lengths = {name: len(value) for name, value in values.items()}
    if len(set(lengths.values())) != 1 or not 1 <= next(iter(lengths.values())) <= 3:
        raise GraphError(f"{where}: kernel, stride and padding must all have 1, 2 or 3 axes, not {lengths}")
