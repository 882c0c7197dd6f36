"""Least squares of whatever is linear in its parameters, whose matrix nobody writes down.

Conjugate gradients on the normal equations (CGLS: Hestenes and Stiefel 1952; Björck 1996, section 7.4). The matrix is a
convolution or any other operator: products with it and with its transpose are a forward and a backward pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

Batches = Callable[[], Iterable[tuple["Tensor", "Tensor"]]]
"""All samples, a few at a time: what comes out with the parameters as they are now, and what should."""


def least_squares(parameters: Sequence[Tensor], batches: Batches, steps: int) -> None:
    """Move parameters so that ``Σ (out − wanted)²`` falls, in place.

    Args:
        parameters: leaves that require gradients, in which ``out`` is linear but for a constant.
        batches: goes through all samples anew whenever it is called.
        steps: of conjugate gradients: few of them change little besides what matters most.
    """
    start = [parameter.detach().clone() for parameter in parameters]
    first = _gradient(parameters, batches)
    found = [tensor.clone() for tensor in start]
    residual = [-tensor for tensor in first]
    direction, square = residual, _dot(residual, residual)
    for _ in range(steps):
        if not square:
            break
        _put(parameters, _moved(start, direction, 1.0))
        product = _moved(_gradient(parameters, batches), first, -1.0)
        curvature = _dot(direction, product)
        if curvature <= 0:
            break
        found = _moved(found, direction, square / curvature)
        residual = _moved(residual, product, -square / curvature)
        before, square = square, _dot(residual, residual)
        direction = _moved(residual, direction, square / before)
    _put(parameters, found)


def _gradient(parameters: Sequence[Tensor], batches: Batches) -> list[Tensor]:
    """Of half the squared error, by the parameters as they are."""
    import torch

    total = [torch.zeros_like(parameter) for parameter in parameters]
    for out, wanted in batches():
        parts = torch.autograd.grad((out - wanted).square().sum() / 2, list(parameters))
        total = [one.add_(part) for one, part in zip(total, parts, strict=True)]
    return total


def _put(parameters: Sequence[Tensor], values: Sequence[Tensor]) -> None:
    import torch

    with torch.no_grad():
        for parameter, value in zip(parameters, values, strict=True):
            parameter.copy_(value)


def _moved(values: Sequence[Tensor], along: Sequence[Tensor], factor: float) -> list[Tensor]:
    return [value + factor * one for value, one in zip(values, along, strict=True)]


def _dot(first: Sequence[Tensor], second: Sequence[Tensor]) -> float:
    return sum(float((a.double() * b).sum()) for a, b in zip(first, second, strict=True))
