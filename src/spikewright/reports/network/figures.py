"""The pictures of a network in a page."""

from __future__ import annotations

from html import escape

from spikewright.reports.network.picture import Pictures


def network_figures(pictures: Pictures, caption: str) -> str:
    """The network as a figure: small ones whole, large ones folded with the whole below, shut.

    Args:
        pictures: from ``network_pictures``.
        caption: what they show.
    """
    if pictures.whole is not None:
        caption += "; blocks that are alike are drawn once, with the numbers of the first"
    if len(pictures.columns) > 1:
        caption += "; from the left to the right"
    shown = "".join(one.svg for one in pictures.columns)
    found = (
        f'<figure><figcaption>{escape(caption)}</figcaption><div class="drawing columns" tabindex="0">{shown}</div>'
        "</figure>"
    )
    if pictures.whole is not None:
        drawing = f'<div class="drawing" tabindex="0">{pictures.whole.svg}</div>'
        found += f'<details class="protocol" data-large><summary>The whole network</summary>{drawing}</details>'
    return found
