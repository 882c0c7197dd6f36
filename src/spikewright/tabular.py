"""Values that have a table: what a notebook shows of them, and the same as a data frame of pandas."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spikewright.errors import SettingsError
from spikewright.registry import Registry, function

if TYPE_CHECKING:
    import pandas as pd

Column = Sequence[Any] | NDArray[Any]
SHOWN = 20
"""Rows that a notebook shows: of more the first and the last ones."""
STYLE = (
    ".spikewright{font-size:13px;line-height:1.5}"
    ".spikewright table{border-collapse:collapse;font-size:inherit;font-variant-numeric:tabular-nums;margin:4px 0}"
    ".spikewright :is(th,td){text-align:left;padding:3px 14px 3px 0;border-bottom:1px solid rgba(128,128,128,.25);"
    "background:none;white-space:nowrap}"
    ".spikewright th{font-weight:500;opacity:.75}"
    ".spikewright .number{text-align:right}"
    ".spikewright .soft{opacity:.75;white-space:pre-wrap}"
)
"""What tables look like, in no colours of their own: a notebook is light or dark as its reader likes it."""

pictures: Registry[Callable[[Any], str]] = Registry(
    "spikewright.inline", "a picture of a value", function("draw_"), "spikewright.reports.inline"
)
"""What draws a value in a notebook, by the name of its file: ``draw_graph`` of ``graph.py``."""


@dataclass(frozen=True)
class Table:
    """Columns of equal length by their titles: values as they are, not yet text.

    Attributes:
        columns: by title.
        lines: what is said above it.
    """

    columns: Mapping[str, Column]
    lines: tuple[str, ...] = ()

    @property
    def rows(self) -> list[tuple[Any, ...]]:
        """The same row by row."""
        return list(zip(*self.columns.values(), strict=True))

    @classmethod
    def of_rows(cls, titles: Sequence[str], rows: Sequence[Sequence[Any]], lines: Sequence[str] = ()) -> Table:
        """A table of rows, of which there may be none."""
        return cls({title: [row[k] for row in rows] for k, title in enumerate(titles)}, tuple(lines))

    def to_pandas(self) -> pd.DataFrame:
        """The columns as a data frame.

        Raises:
            SettingsError: where pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError:
            raise SettingsError("this needs pandas: pip install 'spikewright[pandas]'") from None
        return pd.DataFrame(dict(self.columns))

    def html(self) -> str:
        """What a notebook shows: the lines, and the rows; of many the first and the last."""
        first, *others = self.lines or ("",)
        parts = [f"<b>{escape(first)}</b>" if first else ""]
        if others:
            parts.append(f"<div class='soft'>{escape(chr(10).join(others))}</div>")
        if self.columns and self.rows:
            parts.append(self._html_of_rows())
        return f"<div class='spikewright'><style>{STYLE}</style>{''.join(parts)}</div>"

    def _html_of_rows(self) -> str:
        rows = [[cell_text(value) for value in row] for row in self.rows]
        numbers = [all(_is_number(v) for v in column if v is not None) for column in self.columns.values()]
        if len(rows) > SHOWN:
            left_out = len(rows) - SHOWN + 1
            half = (SHOWN - 1) // 2
            gap = [f"… {left_out:,} more", *[""] * (len(self.columns) - 1)]
            rows = [*rows[:half], gap, *rows[half + left_out :]]

        def row_of(tag: str, cells: Sequence[str]) -> str:
            classes = (" class='number'" if number else "" for number in numbers)
            told = (f"<{tag}{c}>{escape(cell)}</{tag}>" for c, cell in zip(classes, cells, strict=True))
            return f"<tr>{''.join(told)}</tr>"

        body = "".join(row_of("td", row) for row in rows)
        head = row_of("th", list(self.columns))
        return f"<div style='overflow-x:auto'><table><thead>{head}</thead><tbody>{body}</tbody></table></div>"


class Tabular:
    """A value with a table; ``to_pandas`` gives it, and notebooks show it."""

    def _table(self) -> Table:
        """What there is to show."""
        raise NotImplementedError

    def to_pandas(self) -> pd.DataFrame:
        """The table that a notebook shows, whole, as a data frame of pandas.

        Raises:
            SettingsError: where pandas is not installed.
        """
        return self._table().to_pandas()

    def _repr_html_(self) -> str:
        """What notebooks show."""
        return self._table().html()


def cell_text(value: Any) -> str:
    """A value of a table as people read it: numbers to four digits, whole ones whole."""
    if value is None:
        return ""
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, int | np.integer):
        return f"{value:,}"
    if isinstance(value, float | np.floating):
        value = float(value)
        if not math.isfinite(value):
            return "–"
        text = f"{value:,.0f}" if abs(value) >= 1e4 else f"{value:.4g}"
        return text.replace("-", "−")
    return str(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool | np.bool_)
