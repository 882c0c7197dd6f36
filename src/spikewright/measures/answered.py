"""What the samples of a classification were answered: by class, and where only the spiking network is wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikewright.text import brief

Rows = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Answered:
    """The class that each sample was given after all timesteps.

    Attributes:
        classes: how many there are.
        spiking: ``(N,)``, by the spiking network.
        analog: ``(N,)``, by the analog network; None where there was none.
        targets: ``(N,)``, the labels; None without labels.
    """

    classes: int
    spiking: Rows
    analog: Rows | None = None
    targets: Rows | None = None

    __repr__ = brief

    def confusion(self) -> NDArray[np.int64]:
        """``(classes, classes)``: how many samples of each label (rows) were given each class (columns).

        Without labels the analog network's answers stand for them.
        """
        expected = self._expected
        found = np.bincount(expected * self.classes + self.spiking, minlength=self.classes**2)
        return found.reshape(self.classes, self.classes).astype(np.int64)

    def by_class(self) -> tuple[NDArray[np.int64], NDArray[Any], NDArray[Any] | None]:
        """The number of samples of each class ``(classes,)``, and the share that is right of both networks.

        Shares are NaN of a class without samples; the analog network's are None where there are not it and labels.
        """
        count = np.bincount(self._expected, minlength=self.classes)

        def share(answers: Rows) -> NDArray[Any]:
            right = np.bincount(self._expected[answers == self._expected], minlength=self.classes)
            return np.where(count > 0, right / np.maximum(count, 1), np.nan)

        analog = None if self.analog is None or self.targets is None else share(self.analog)
        return count.astype(np.int64), share(self.spiking), analog

    def only_spiking_wrong(self) -> Rows:
        """The samples, by their numbers, that the spiking network gets wrong and the analog network right.

        Without labels those that the two answer differently; none where there is no analog network.
        """
        if self.analog is None:
            return np.zeros(0, np.intp)
        right = np.ones(len(self.spiking), bool) if self.targets is None else self.analog == self.targets
        return np.flatnonzero((self.spiking != self._expected) & right)

    @property
    def _expected(self) -> Rows:
        """``(N,)``: the labels, or what stands for them."""
        found = self.analog if self.targets is None else self.targets
        return self.spiking if found is None else found
