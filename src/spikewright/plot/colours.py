"""The colours of the report's light page, by the names that charts call them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache

from spikewright.drawing import resource


@cache
def palette() -> Mapping[str, str]:
    """Colours as ``#rrggbb``, by name."""
    light = resource("palette.css").split("}")[0]
    return dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", light))


def painted(name: str) -> str:
    """A colour by its name: ``c0``, or ``c0/33``, the same with an alpha of hexadecimal 33."""
    plain, _, alpha = name.partition("/")
    return palette()[plain] + alpha
