"""Scales of values, channel by channel: what one unit of each stands for."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikewright.errors import GraphError


def channel_scale(where: object, scale: NDArray[Any]) -> NDArray[Any]:
    """The one scale of each channel.

    Raises:
        GraphError: when the scale differs between positions of a channel, so that no kernel could take it in.
    """
    flat = scale.reshape(scale.shape[0], -1)
    if not (flat == flat[:, :1]).all():
        raise GraphError(
            f"{where}: the positions of one channel have different scales; "
            "use one threshold per layer for the populations before it"
        )
    return flat[:, 0]


def across_channels(values: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """One value a channel, spread over all positions of ``shape``."""
    return np.broadcast_to(values.reshape(-1, *(1 for _ in shape[1:])), shape)
