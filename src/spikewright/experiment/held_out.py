"""Calibration samples in two: those that λ and corrections are found on, and those that settings are chosen on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from spikewright.data import Dataset, sample_digests
from spikewright.data.dataset import Batch
from spikewright.data.labels import Targets
from spikewright.data.sampling import Rows, draw
from spikewright.encoders import Encoder
from spikewright.errors import DataError
from spikewright.graph import Shape
from spikewright.settings import whole

if TYPE_CHECKING:
    from torch import Tensor

MOST = 1000
"""How many samples are held out where nothing is said: half of them, and no more than this."""


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Calibration samples in two parts that share none, by the digests of the raw samples.

    Attributes:
        fitting: what λ and corrections are found on while settings are chosen.
        held_out: what they are chosen on; no sample stands here twice.
        seed: of the draw.
    """

    fitting: Dataset
    held_out: Dataset
    seed: int = 0

    def __str__(self) -> str:
        """``1,000 of 5,000 samples held out, seed 0``."""
        kept = len(self.held_out)
        return f"{kept:,} of {kept + len(self.fitting):,} samples held out, seed {self.seed}"


def held_out(data: Dataset, count: int | None = None, seed: int = 0, most: int = MOST) -> HeldOut:
    """A seeded draw of calibration samples that are kept from calibration, in proportion to the classes.

    A sample that stands in the data several times is drawn once, and its copies are in neither part.

    Args:
        data: to calibrate with.
        count: how many are held out; None for half of those that differ, at most ``most``.
        seed: the same one draws the same samples.
        most: see ``count``.

    Raises:
        DataError: for data without two different samples, or no more of them than are to be held out.
        SettingsError: for less than one sample, or a seed below 0.
    """
    digests = sample_digests(data)
    _, first = np.unique(digests, return_index=True)
    different = np.sort(first)
    if len(different) < 2:
        raise DataError(
            f"the calibration samples are all the same, {len(data):,} in number: none can be held out to choose "
            "settings on; give others, or name a method, which does not choose"
        )
    wanted = whole("held out", min(most, len(different) // 2) if count is None else count)
    if wanted >= len(different):
        raise DataError(
            f"{wanted:,} of {len(different):,} different calibration samples cannot be held out: "
            "others must be left to calibrate with; give more samples, or hold fewer out"
        )
    labels = data.labels
    drawn = different[draw(None if labels is None else labels[different], len(different), wanted, seed)]
    rest: Rows = np.flatnonzero(~np.isin(digests, digests[drawn]))
    return HeldOut(data.subset(rest), data.subset(drawn), seed)


@dataclass(frozen=True, eq=False, repr=False)
class ExpectedInputs(Dataset):
    """Samples as an encoder's mean over the time that they hold, their first axis: of event frames the mean frame.

    Attributes:
        data: samples as the encoder takes them.
        encoder: of the run.
    """

    data: Dataset
    encoder: Encoder

    def __len__(self) -> int:
        return len(self.data)

    @property
    def length(self) -> int | None:
        return self.data.length

    @property
    def shape(self) -> Shape:
        return self.encoder.sample_shape(self.data.shape)

    @property
    def has_labels(self) -> bool:
        return self.data.has_labels

    @property
    def targets(self) -> Targets | None:
        return self.data.targets

    @property
    def labels(self) -> Rows | None:
        return self.data.labels

    def batches(self, size: int) -> Iterator[Batch]:
        yield from self._means(self.data.batches(size))

    def noting_batches(self, size: int) -> Iterator[Batch]:
        yield from self._means(self.data.noting_batches(size))

    def _means(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        import torch

        for x, y in batches:
            mean: Tensor = self.encoder.mean(torch.from_numpy(x), self.data.shape[0])
            yield mean.numpy(), y

    @property
    def knows_targets(self) -> bool:
        return self.data.knows_targets

    def subset(self, rows: Rows) -> ExpectedInputs:
        return ExpectedInputs(self.data.subset(rows), self.encoder)

    @property
    def fingerprint(self) -> str:
        return f"{self.data.fingerprint} by {self.encoder}"


def expected_inputs(data: Dataset, encoder: Encoder) -> Dataset:
    """What λ are found on: the samples themselves, or for encoders whose samples hold time their means over all of it.

    Args:
        data: samples as the encoder takes them.
        encoder: of the run.

    Raises:
        DataError: for samples that the encoder does not take.
    """
    return data if encoder.sample_shape(data.shape) == data.shape else ExpectedInputs(data, encoder)
