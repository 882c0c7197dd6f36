"""What a batch norm or channel affine does, as one factor and one shift."""

from __future__ import annotations

import numpy as np

from spikewright.errors import GraphError
from spikewright.graph import Array, Node
from spikewright.nodes import BatchNorm, ChannelAffine


def scale_and_shift(norm: Node) -> tuple[Array, Array]:
    """Its ``y = scale · x + shift`` in double precision."""
    if isinstance(norm, BatchNorm):
        return norm.scale, norm.shift
    if not isinstance(norm, ChannelAffine):
        raise GraphError(f"{norm}: has no scale and shift")
    return norm.scale.astype(np.float64), norm.bias.astype(np.float64)
