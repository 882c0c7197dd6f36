"""A graph in a notebook: its picture, in the light or dark of its reader."""

from __future__ import annotations

from base64 import b64encode
from html import escape

from spikewright.graph import Graph
from spikewright.reports.network import network_pictures

TALLEST = 720
"""Pixels: what is taller is scrolled."""


def draw_graph(graph: Graph) -> str:
    """Its ``repr``, and below it its picture."""
    images = []
    for picture in network_pictures(graph, standalone=True).columns:
        source = b64encode(picture.svg.encode()).decode()
        size = f'style="width: {picture.width:.0f}px; max-width: none; vertical-align: top"'
        images.append(f'<img {size} alt="{escape(repr(graph))}" src="data:image/svg+xml;base64,{source}">')
    shown = f'<div style="overflow: auto; max-height: {TALLEST}px; white-space: nowrap">{"".join(images)}</div>'
    return f"<div><code>{escape(repr(graph))}</code></div>{shown}"
