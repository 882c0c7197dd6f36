"""The section that says how to make a page again."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from spikewright.provenance import versions
from spikewright.reports.table import table


def settings_section(settings: Mapping[str, Any]) -> str:
    """What reproduces a page."""
    command = settings.get("command")
    shown = "" if command is None else f"<pre>{escape(str(command))}</pre>"
    others = {
        **{key: value for key, value in settings.items() if key != "command"},
        **versions(),
    }
    rows = [[key, "–" if value in (None, "") else str(value)] for key, value in others.items()]
    return f'<h2>To reproduce it</h2>{shown}<div class="settings">{table(["setting", "value"], rows, text=2)}</div>'
