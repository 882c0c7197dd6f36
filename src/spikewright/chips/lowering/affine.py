"""A factor for each channel, which goes into the weights behind it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from spikewright.chips.lowering.branch import Branch
from spikewright.chips.lowering.refusal import Refused
from spikewright.chips.lowering.window import in_place
from spikewright.nodes import ChannelAffine


def behind_affine(node: ChannelAffine, branch: Branch) -> tuple[Branch, ...]:
    """The branch, reading what is multiplied.

    Raises:
        Refused: where the positions of a channel have different factors.
    """
    factors = node.scale.reshape(len(node.scale), -1).astype(np.float64)
    if (factors != factors[:, :1]).any():
        raise Refused("it has a factor for each neuron", "a chip shares the weights of a channel: use one a channel")
    window = replace(in_place(branch.window.reads), kernel=factors[:, :1].reshape(-1, 1, 1, 1))
    return (branch.reading(node.inputs[0], branch.window.behind(window)),)
