"""Panels as figures of matplotlib, which is imported when the first one is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from spikewright.errors import SettingsError
from spikewright.plot.asked import making_of
from spikewright.plot.panel import Panel

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def check_matplotlib() -> None:
    """Refuse to draw without matplotlib, before anything is computed.

    Raises:
        SettingsError: when it is not installed.
    """
    if find_spec("matplotlib") is None:
        raise SettingsError("drawing figures needs matplotlib: pip install 'spikewright[plots]'")


def figure_of(
    panels: Sequence[Panel | None], columns: int, *, width: float | None = None, title: str = "", of: Any = None
) -> Figure:
    """Panels as a figure of matplotlib, row by row.

    Args:
        panels: what is drawn; None leaves a place empty.
        columns: how many stand side by side.
        width: of each, in inches.
        title: above all.
        of: what is drawn, whose making files with the figure tell.

    Raises:
        SettingsError: where there is no panel, and without matplotlib.
    """
    check_matplotlib()
    from spikewright.plot.canvas import drawn

    if not any(panels):
        raise SettingsError("there is nothing to draw: no layer has it")
    figure = drawn(panels, columns=columns, width=width, title=title)
    figure.provenance = making_of(of)
    return figure
