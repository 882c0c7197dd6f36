"""A table in HTML."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape

LONG = 20
"""Characters from which on a name may be cut where a screen is narrow."""
MANY = 40
"""Rows from which on a table scrolls in a frame of its own, its header in sight."""
BREAKS = re.compile(r"([:,._/])(?=\w)")
"""What a name may be cut behind."""


def table(header: Sequence[str], rows: Sequence[Sequence[str]], text: int, *, last_is_text: bool = False) -> str:
    """A table whose first ``text`` columns (and the last, if so said) are text, the rest numbers.

    Where a row begins with an empty cell it belongs to the one above it: what such rows are about stands in a line of
    its own then, and takes no width from their numbers.

    Args:
        header: names of the columns.
        rows: cells, not yet escaped.
        text: how many columns at the left are text.
        last_is_text: whether the last one is too.
    """

    def cell(tag: str, column: int, value: str) -> str:
        number = column >= text and not (last_is_text and column == len(header) - 1)
        shown = escape(value)
        if not number and len(value) > LONG and " " not in value:
            shown = BREAKS.sub(r"\1<wbr>", shown)
        return f"<{tag}{' class=number' if number else ''}>{shown}</{tag}>"

    grouped = text > 1 and bool(rows) and bool(rows[0][0]) and not all(values[0] for values in rows)

    def row(tag: str, values: Sequence[str]) -> str:
        cells = "".join(cell(tag, k, v) for k, v in enumerate(values) if k or not grouped)
        about = f'<th colspan="{len(header) - 1}" scope="rowgroup"><span>{escape(values[0])}</span></th>'
        above = f'<tr class="group">{about}</tr>' if grouped and values[0] else ""
        return f"{above}<tr>{cells}</tr>"

    named = [*header] if not grouped else ["", ", ".join(filter(None, header[:2])), *header[2:]]
    body = "".join(row("td", values) for values in rows)
    alone = len(rows) > 2 and all(values and values[0] for values in rows)  # else rows belong to the one above them
    kind = ' class="sortable"' if alone else ""
    long = " long" if len(rows) > MANY else ""
    contents = f"<thead>{row('th', named)}</thead><tbody>{body}</tbody>"
    return f'<div class="scroll{long}"><table{kind}>{contents}</table></div>'
