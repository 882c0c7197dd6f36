"""A table in HTML."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape

LONG = 20
"""Characters from which on a name may be cut where a screen is narrow."""
BREAKS = re.compile(r"([:,._/])(?=\w)")
"""What a name may be cut behind."""


def table(header: Sequence[str], rows: Sequence[Sequence[str]], text: int, *, last_is_text: bool = False) -> str:
    """A table whose first ``text`` columns (and the last, if so said) are text, the rest numbers.

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

    def row(tag: str, values: Sequence[str]) -> str:
        return f"<tr>{''.join(cell(tag, k, v) for k, v in enumerate(values))}</tr>"

    body = "".join(row("td", values) for values in rows)
    alone = len(rows) > 2 and all(values and values[0] for values in rows)  # else rows belong to the one above them
    kind = ' class="sortable"' if alone else ""
    return f'<div class="scroll"><table{kind}><thead>{row("th", header)}</thead><tbody>{body}</tbody></table></div>'
