"""Pictures as SVG, and the style sheets that they need."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files

from spikewright.drawing.lettering import xml


@dataclass(frozen=True)
class Picture:
    """An SVG element as text, and its width and height in pixels."""

    svg: str
    width: float
    height: float


def resource(name: str, package: str = "spikewright.drawing") -> str:
    """A file that lies in a package: ``palette.css`` here."""
    return (files(package) / name).read_text(encoding="utf-8")


def whole(inside: str, width: float, height: float, *, kind: str, label: str, style: str | None = None) -> str:
    """An SVG element.

    Args:
        inside: what is drawn.
        width: in pixels.
        height: in pixels.
        kind: its class.
        label: what is read aloud in its place.
        style: a style sheet for a picture that stands alone, which then gets a background; for a page that has it None.
    """
    size = f'width="{number(width)}" height="{number(height)}" viewBox="0 0 {number(width)} {number(height)}"'
    paper = "" if style is None else f'<style>{style}</style><rect class="paper" width="100%" height="100%"/>'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="{kind}" {size} role="img" aria-label="{xml(label)}">'
        f"{paper}{inside}</svg>\n"
    )


def number(pixels: float) -> str:
    """A number of pixels, to a tenth."""
    return f"{pixels:.1f}".removesuffix(".0")
