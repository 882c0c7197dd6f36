"""The section that says how to make a page again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape
from typing import Any

from spikewright.provenance import PROVENANCE, Provenance, versions
from spikewright.reports.table import table


def settings_section(settings: Mapping[str, Any]) -> str:
    """What reproduces a page."""
    command = settings.get("command") or Provenance.now().command or None
    shown = "" if command is None else f"<pre>{escape(str(command))}</pre>"
    others = {
        **{key: value for key, value in settings.items() if key != "command"},
        **versions(),
    }
    rows = [[key, "–" if value in (None, "") else str(value)] for key, value in others.items()]
    made = Provenance.now(**{str(key): "" if value is None else str(value) for key, value in settings.items()})
    told = json.dumps(made.description).replace("<", "\\u003c")
    return (
        f'<h2>To reproduce it</h2>{shown}<div class="settings">{table(["setting", "value"], rows, text=2)}</div>'
        f'<script type="application/json" id="{PROVENANCE}">{told}</script>'
    )
