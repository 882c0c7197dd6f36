"""Text in pictures: how wide it is at most, short enough, and safe to write into XML."""

from __future__ import annotations

import re
from html import escape
from unicodedata import combining, east_asian_width

NARROW, WIDE = frozenset(" !'()*,./:;I[]fijlrt|·‑-"), frozenset("%@MWmw…→")
NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def text_width(text: str, size: float) -> float:
    """An upper bound of a text's width in pixels, in any common sans-serif face.

    Args:
        text: one line.
        size: of the font, in pixels.
    """
    return size * sum(map(_width, text))


def _width(character: str) -> float:
    if combining(character):
        return 0.0
    if east_asian_width(character) in "WF":
        return 1.05
    if character in NARROW:
        return 0.42
    return 1.0 if character in WIDE else 0.7 if character.isupper() else 0.64


def shortened(text: str, width: float, size: float) -> str:
    """A text that is at most so wide, with its middle left out where it was wider."""
    text = " ".join(text.split())
    if text_width(text, size) <= width:
        return text
    for kept in range(len(text) - 1, 1, -1):
        head = kept // 3
        shorter = f"{text[:head]}…{text[len(text) - (kept - head) :]}"
        if text_width(shorter, size) <= width:
            return shorter
    return "…"


def xml(text: str) -> str:
    """A text as the content of an element or an attribute; what XML cannot hold becomes U+FFFD."""
    return escape(NOT_IN_XML.sub("\ufffd", text))
