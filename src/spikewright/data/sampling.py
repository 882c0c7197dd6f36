"""Which samples of a data set are used, and how to say so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikewright.errors import SettingsError
from spikewright.settings import whole

Rows = NDArray[np.int64]


def draw(labels: Rows | None, total: int, count: int, seed: int = 0) -> Rows:
    """The rows of a seeded draw in proportion to the classes, in their order.

    Shares are rounded by largest remainders; no class is left out as long as there are as many samples as classes.

    Args:
        labels: ``(N,)`` the class of each sample; None for a plain draw.
        total: N.
        count: how many; all of them where it is N or more.
        seed: the same one gives the same rows.

    Raises:
        SettingsError: for less than one sample, or a seed below 0.
    """
    count, seed = whole("samples", count), whole("the seed of a draw", seed, 0)
    if count >= total:
        return np.arange(total)
    random = np.random.default_rng(seed)
    if labels is None:
        return np.sort(random.choice(total, count, replace=False))
    _, member, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    shares = _shares(sizes, count, random)
    order = np.argsort(random.permutation(total), kind="stable")
    order = order[np.argsort(member.reshape(-1)[order], kind="stable")]
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    return np.sort(np.concatenate([order[start : start + n] for start, n in zip(starts, shares, strict=True)]))


def part_of(total: int, k: int, n: int) -> tuple[int, int]:
    """Where the k-th of n contiguous parts of ``total`` samples begins and ends, k counted from 0.

    Raises:
        SettingsError: for a part that does not exist, or more parts than samples.
    """
    k, n = whole("the part of a data set", k, 0), whole("the number of parts", n)
    if n > total:
        raise SettingsError(f"a data set of {total:,} samples has no {n:,} parts; ask for at most {total:,}")
    if k >= n:
        raise SettingsError(f"there is no part {k} of {n}; the parts are 0 to {n - 1}")
    return total * k // n, total * (k + 1) // n


def _shares(sizes: Rows, count: int, random: np.random.Generator) -> Rows:
    """How many of each class, ``count`` in all: largest remainders, ties by chance, none without one if that fits."""
    whole, remainder = np.divmod(count * sizes, sizes.sum())
    by_remainder = np.lexsort((random.permutation(len(sizes)), -remainder))
    whole[by_remainder[: count - whole.sum()]] += 1
    if count >= len(sizes):
        for k in np.flatnonzero(whole == 0):
            excess = np.where(whole > 1, whole * sizes.sum() - count * sizes, np.iinfo(np.int64).min)
            whole[np.argmax(excess)] -= 1
            whole[k] = 1
    return np.asarray(whole, np.int64)


def classes_of(targets: Any) -> Rows | None:
    """``(N,)`` the class of each sample, where targets say one: whole numbers, or rows with a single 1."""
    if targets is None or isinstance(targets, Mapping):
        return None
    found = np.asarray(targets)
    if found.ndim == 2 and found.shape[1] > 1 and found.dtype.kind in "buif":
        one = ((found == 0) | (found == 1)).all() and (found.sum(axis=1) == 1).all()
        return np.asarray(found.argmax(axis=1), np.int64) if one else None
    if found.dtype.kind not in "bui" or found.size != len(found):
        return None
    return np.asarray(found.reshape(-1), np.int64)


@dataclass(frozen=True)
class Choice:
    """What is used of a data set.

    Attributes:
        used, total: samples; None where nobody knows before they are read.
        classes, all_classes: how many are among those used, and among all; None where samples have no class.
        missing: the classes that are not, by name or index.
        names: of the classes, in their order; empty where they have none.
    """

    used: int | None
    total: int | None
    classes: int | None = None
    all_classes: int | None = None
    missing: tuple[str, ...] = ()
    names: tuple[str, ...] = ()

    @classmethod
    def of(cls, used: Rows | None, whole: Rows | None, counts: tuple[int, int], names: Sequence[str] = ()) -> Choice:
        """The choice of some samples, from their classes and those of all, and how many samples these are."""
        if used is None or whole is None:
            return cls(*counts, names=tuple(names))
        everything, found = set(np.unique(whole).tolist()) | set(range(len(names))), set(np.unique(used).tolist())
        gone = sorted(everything - found)
        missing = tuple(names[k] if 0 <= k < len(names) else str(k) for k in gone)
        return cls(*counts, len(found), len(everything), missing, tuple(names))

    def __str__(self) -> str:
        """``1,000 of 6,000, all 10 classes``."""
        if self.used is None or self.total is None:
            return "all there are" if self.used is None else f"{self.used:,} of nobody knows how many"
        samples = f"{self.used:,} of {self.total:,}"
        if self.classes is None:
            return samples
        if self.missing:
            return f"{samples}, {self.classes} of {self.all_classes} classes"
        return f"{samples}, all {self.classes} classes" if self.classes != 1 else f"{samples}, 1 class"

    def as_json(self) -> dict[str, Any]:
        """Its numbers and names."""
        return {
            "samples": self.used,
            "of": self.total,
            "classes": self.classes,
            "of_classes": self.all_classes,
            "missing_classes": list(self.missing),
            "class_names": list(self.names),
        }
