"""All branches of a population as one core: what is added up shares channels, or stands beside each other in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spikewright.chips.chip import Speck
from spikewright.chips.lowering.branch import Branch
from spikewright.chips.lowering.joins import SUM
from spikewright.chips.lowering.square import SQUARE, Grid
from spikewright.chips.network import Pair

SHIFTED = "sum by a shift of channels, the shortcut's factors in the kernel"
ONE_KERNEL = "sum written into one kernel"


@dataclass(frozen=True, eq=False)
class Merged:
    """What one core does with what arrives.

    Attributes:
        weights: ``(out, in, side, side)``.
        input_shape: of what arrives.
        stride, padding: rows and columns.
        arrivals: each source with the pool before it and the shift of its channels.
        rewrites: names of what was rewritten.
    """

    weights: NDArray[np.float64]
    input_shape: tuple[int, int, int]
    stride: Pair
    padding: Pair
    arrivals: tuple[tuple[str, int, int], ...]
    rewrites: tuple[str, ...]


def merged(branches: Sequence[Branch], chip: Speck) -> Merged:
    """The branches of one population, put together.

    Raises:
        Refused: where they have no map, stride or kernel in common.
    """
    grid = Grid([branch.window for branch in branches], chip)
    blocks: dict[tuple[str, int], NDArray[np.float64]] = {}
    for branch in branches:
        block, key = grid.placed(branch.window), (branch.node, branch.pool)
        blocks[key] = blocks[key] + block if key in blocks else block
    weights, shifts = _side_by_side(blocks)
    rewrites = dict.fromkeys(name for branch in branches for name in branch.rewrites)
    if any(branch.window.kernel.shape[2] != branch.window.kernel.shape[3] for branch in branches):
        rewrites[SQUARE] = None
    apart = weights.shape[1] == sum(block.shape[1] for block in blocks.values())
    kind = ONE_KERNEL if len(blocks) == 1 else SHIFTED if apart else SUM
    rewrites = dict.fromkeys(kind if name == SUM else name for name in rewrites)
    _, *spatial = branches[0].window.reads
    return Merged(
        weights,
        (weights.shape[1], spatial[0], spatial[1]),
        grid.stride,
        grid.padding,
        tuple((source, pool, shift) for (source, pool), shift in shifts.items()),
        tuple(rewrites),
    )


def _side_by_side(
    blocks: dict[tuple[str, int], NDArray[np.float64]],
) -> tuple[NDArray[np.float64], dict[tuple[str, int], int]]:
    """One kernel with the channels of all, and where each begins: those of equal weights share channels."""
    order = sorted(blocks, key=lambda key: -blocks[key].shape[1])  # stable; the wide come first, so that others fit in
    made, shifts = blocks[order[0]], {order[0]: 0}
    for key in order[1:]:
        block = blocks[key]
        width, most = block.shape[1], made.shape[1]
        starts = (k for k in range(most - width + 1) if np.array_equal(made[:, k : k + width], block))
        shifts[key] = next(starts, most)
        if shifts[key] == most:
            made = np.concatenate([made, block], axis=1)
    return made, {key: shifts[key] for key in blocks}
