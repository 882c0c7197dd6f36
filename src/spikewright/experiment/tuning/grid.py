"""Which points are tried: values of settings, multiplied; or a seeded draw of them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from math import prod
from typing import Any, Self

import numpy as np

from spikewright.errors import SettingsError
from spikewright.experiment.tuning.point import SETTINGS, Point, name_and_text, setting
from spikewright.settings import number, whole
from spikewright.text import listed

MOST = 100_000
"""How many points a grid may have."""


@dataclass(frozen=True)
class Grid:
    """Values of settings, of which every combination is a point.

    Attributes:
        values: names of settings, each with its texts; the last one varies fastest.
    """

    values: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def __post_init__(self) -> None:
        if prod(len(texts) for _, texts in self.values) > MOST:
            raise SettingsError(f"a grid of {len(self):,} points is too large; it may have {MOST:,}")
        _ = self.points

    def __len__(self) -> int:
        return prod(len(texts) for _, texts in self.values)

    def __str__(self) -> str:
        """``method=max method=percentile:99.9 gain=1 gain=2``."""
        return " ".join(f"{name}={text}" for name, texts in self.values for text in texts)

    @classmethod
    def parse(cls, words: Sequence[str] | str) -> Self:
        """A grid from words like ``gain=1..10``; a name that comes several times has all of these values.

        Ranges of numbers go up by 1, or by what stands behind a colon: ``v_init=0..1:0.25``.

        Raises:
            SettingsError: for a setting that does not exist, a value that it does not take, or too many points.
        """
        given = [words] if isinstance(words, str) else words
        found: dict[str, dict[str, None]] = {}
        for word in given:
            name, text = name_and_text(word)
            texts = values_of(name, text)
            found.setdefault(name, {}).update(dict.fromkeys(setting(name, one) for one in texts))
        return cls(tuple((name, tuple(texts)) for name, texts in found.items()))

    @cached_property
    def points(self) -> tuple[Point, ...]:
        """Every combination, in order."""
        names = [name for name, _ in self.values]
        combinations = product(*(texts for _, texts in self.values))
        return tuple(Point(tuple(zip(names, texts, strict=True))) for texts in combinations)

    def drawn(self, count: int, seed: int = 0) -> tuple[Point, ...]:
        """A seeded draw of some of the points, each once, in the order of the draw.

        Args:
            count: how many; all of them where there are no more.
            seed: the same one draws the same points.

        Raises:
            SettingsError: for less than one.
        """
        every = self.points
        few = min(whole("trials", count), len(every))
        order = np.random.default_rng(whole("seed", seed, 0)).permutation(len(every))[:few]
        return tuple(every[k] for k in order)


def values_of(name: str, text: str) -> list[str]:
    """The values that stand behind a name: one, or those of a range.

    Raises:
        SettingsError: for a range that cannot be.
    """
    found: Any = re.fullmatch(r"([^.:]*(?:\.\d+)?)\.\.([^:]*)(?::(.*))?", text)
    known = SETTINGS.get(name)
    if found is None or known is None or not known.ranges:
        return [text]
    first, last, step = (number(part) if part is not None else 1.0 for part in found.groups())
    if first is None or last is None or step is None or not step > 0 or not first <= last < np.inf:
        raise SettingsError(f"{name}: a range is written 1..10, or with its step 0..1:0.25, not '{text[:40]}'")
    count = int((last - first) / step + 1e-9) + 1
    if count > MOST:
        raise SettingsError(f"{name}: a range of {count:,} values is too long; it may have {MOST:,}")
    return [f"{first + k * step:.10g}" for k in range(count)]


def told(points: Sequence[Point]) -> str:
    """Some points as people read them."""
    return listed([str(point) for point in points], 4)
