"""Samples that only the spiking network gets wrong, as pictures, where samples are pictures."""

from __future__ import annotations

import numpy as np

from spikewright.data import ArrayDataset, Dataset
from spikewright.data.images import PictureDataset
from spikewright.graph import Array
from spikewright.measures import Measures

MOST = 24
"""How many are kept."""
LARGEST = 224
"""Pixels along one side; larger pictures are thinned."""


def wrong_pictures(measures: Measures, samples: Dataset) -> dict[int, Array]:
    """The first of them by number, ``(1 or 3, rows, columns)``; none where samples are no pictures at hand.

    Args:
        measures: of a network, on the samples.
        samples: they.
    """
    answered = measures.head.answered
    at_hand = isinstance(samples, ArrayDataset | PictureDataset)
    if answered is None or not at_hand or len(samples.shape) != 3 or samples.shape[0] not in (1, 3):
        return {}
    which = answered.only_spiking_wrong()[:MOST]
    if not len(which):
        return {}
    x = np.concatenate([batch for batch, _ in samples.subset(which).batches(MOST)])
    every = -(-max(samples.shape[1:]) // LARGEST)
    return {int(number): np.asarray(one[:, ::every, ::every]) for number, one in zip(which, x, strict=True)}
