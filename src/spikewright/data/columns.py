"""Which parts of an item, or columns of a table, are the sample and its label."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from spikewright.errors import DataError, SettingsError

SAMPLE_KEYS = ("x", "image", "images", "img", "pixel_values", "input", "inputs", "data", "sample", "features")
LABEL_KEYS = ("y", "label", "labels", "target", "targets", "class")


@dataclass(frozen=True)
class Columns:
    """The names of what is the sample, and of what is its label; empty where they are found by what is usual.

    As text ``image,label``: the sample, and where it stands the label; ``image,`` for samples without labels.

    Attributes:
        sample: the name of the sample; empty for the one that is called as usual.
        label: of its label; empty for the usual one, None for no labels.
    """

    sample: str = ""
    label: str | None = ""

    def __str__(self) -> str:
        """The text that ``parse`` reads back."""
        if self.label is None:
            return f"{self.sample},"
        return f"{self.sample},{self.label}" if self.label else self.sample

    @classmethod
    def parse(cls, text: str) -> Columns:
        """The columns that a text says.

        Raises:
            SettingsError: for more than two names, or a label without a sample.
        """
        sample, comma, label = (part.strip() for part in text.partition(","))
        if "," in label or (label and not sample):
            raise SettingsError(f"columns are 'image' or 'image,label', the sample's name first, not '{text[:40]}'")
        return cls(sample, (label or None) if comma else "")

    def chosen(self, names: Iterable[Any], where: str) -> tuple[Any, Any | None]:
        """The names of the sample and its label (None: it has none) among those there are.

        Args:
            names: that there are.
            where: to say so.

        Raises:
            DataError: for names that are not there, or several that could be meant.
        """
        there = list(names)
        shown = ", ".join(map(str, there))[:80]
        for wanted in (self.sample, self.label):
            if wanted and wanted not in there:
                raise DataError(f"{where}: no '{wanted[:40]}' among {shown}")
        samples = [self.sample] if self.sample else [name for name in there if name in SAMPLE_KEYS]
        if self.label is None:
            labels: list[Any] = []
        else:
            labels = [self.label] if self.label else [name for name in there if name in LABEL_KEYS]
        if len(samples) != 1 or len(labels) > 1:
            raise DataError(
                f"{where} is a dictionary of {shown}; which is the sample cannot be seen: say the names of sample and "
                "label as columns='image,label' (--columns image,label)"
            )
        return samples[0], labels[0] if labels else None


def columns_of(columns: Columns | str | None) -> Columns:
    """Columns as people say them: a value, its text, or None for what is usual.

    Raises:
        SettingsError: for anything else.
    """
    if columns is None:
        return Columns()
    if isinstance(columns, str):
        return Columns.parse(columns)
    if not isinstance(columns, Columns):
        raise SettingsError(f"columns are Columns(…) or their text, 'image,label', not {columns!r:.60}")
    return columns
