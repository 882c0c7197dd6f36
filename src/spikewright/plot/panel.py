"""A chart with what is written above it: what figures are put together from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Panel:
    """A chart and what is written above it.

    Attributes:
        chart: in the words of the report's.
        title: the name of a layer, say, which is cut in its middle where it is too long.
        facts: what is written behind the title, whole.
    """

    chart: Mapping[str, Any]
    title: str = ""
    facts: str = ""
