"""A graph in a notebook: its picture, in the light or dark of its reader."""

from __future__ import annotations

from base64 import b64encode
from html import escape

from spikewright.graph import Graph
from spikewright.reports.network import network_picture

TALLEST = 720
"""Pixels: what is taller is scrolled."""


def draw_graph(graph: Graph) -> str:
    """Its ``repr``, and below it its picture."""
    picture = network_picture(graph)
    source = b64encode(picture.svg.encode()).decode()
    image = f'<img style="width: {picture.width:.0f}px; max-width: none" alt="{escape(repr(graph))}"'
    return (
        f"<div><code>{escape(repr(graph))}</code></div>"
        f'<div style="overflow: auto; max-height: {TALLEST}px">{image} src="data:image/svg+xml;base64,{source}"></div>'
    )
