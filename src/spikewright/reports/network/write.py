"""A picture of a network as a file: SVG, a small page, or PNG where there is a browser to draw it."""

from __future__ import annotations

import os
import shutil
import subprocess
from math import ceil
from pathlib import Path
from tempfile import TemporaryDirectory

from spikewright.chips.value import Fit
from spikewright.conversion import Conversion, spiking_graph
from spikewright.drawing import Picture, xml
from spikewright.errors import SettingsError, StorageError
from spikewright.files import check_destination, shown, storage_errors, write_bytes, write_text
from spikewright.graph import Graph
from spikewright.reports.network.picture import network_picture
from spikewright.text import significant

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
OFFLINE = ("--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run")
LARGEST = 16000
"""Pixels that a browser draws along one side."""


def write_picture(path: Path | str, graph: Graph | Conversion | Fit, *, title: str = "", force: bool = False) -> Path:
    """Write a picture of a graph, or of a chip's cores with what fills them, whole or not at all.

    Args:
        path: of a .svg, .html or .png file.
        graph: as for ``network_picture``; or a conversion, whose spiking network is drawn with its λ; or what
            ``check`` gives.
        title: above it; of a chip its name and whether the network fits, unless given.
        force: whether a file that stands there is replaced, once this one is whole.

    Returns:
        the path.

    Raises:
        SettingsError: for another kind of file, or a .png that nothing here can draw.
        StorageError: when a file stands there, or it cannot be written; what stood there before is untouched.
    """
    check_picture(path, force)
    path = Path(path)
    if isinstance(graph, Fit):
        picture, title = graph.picture(title=title), title or graph.verdict
    else:
        picture = network_picture(spiking_graph(graph), title=title, captions=captions_of(graph))
    kind = path.suffix.lower()
    if kind == ".png":
        _write_png(path, picture, force)
    else:
        write_text(path, picture.svg if kind == ".svg" else _page(picture.svg, title), force)
    return path


def captions_of(network: Graph | Conversion) -> dict[str, list[str]]:
    """What a picture says of each population besides its neurons: of a conversion λ."""
    if not isinstance(network, Conversion):
        return {}
    ends = {name: (significant(value.min()), significant(value.max())) for name, value in network.units.items()}
    return {name: [f"λ {low}" if low == high else f"λ {low} to {high}"] for name, (low, high) in ends.items()}


def check_picture(path: Path | str, force: bool = False) -> None:
    """Refuse a place that no picture can be written to, before any work is done.

    Args:
        path: of the picture.
        force: whether a file that stands there may be replaced.

    Raises:
        SettingsError: with what can be written instead.
        StorageError: as ``files.check_destination``.
    """
    kind = Path(path).suffix.lower()
    if kind not in (".svg", ".html", ".png"):
        raise SettingsError(f"{shown(path)}: a picture is a .svg, .html or .png file")
    if kind == ".png" and _browser() is None:
        raise SettingsError(
            f"{shown(path)}: drawing a .png takes Chromium, which is not installed; write a .svg or .html file"
        )
    check_destination(path, force)


def _page(svg: str, title: str) -> str:
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta name="color-scheme" content="light dark"><title>{xml(title)}</title>'
        "<style>body { margin: 0; background: var(--paper); } svg { display: block; margin: 0 auto; }</style></head>\n"
        f"<body>{svg}</body></html>\n"
    )


def _browser() -> str | None:
    return next((found for name in BROWSERS if (found := shutil.which(name))), None)


def _write_png(path: Path, picture: Picture, force: bool) -> None:
    """Twice as many pixels as the picture has, fewer where that is more than a browser draws."""
    width, height = ceil(picture.width), ceil(picture.height)
    scale = min(2.0, LARGEST / max(width, height))
    as_root = hasattr(os, "geteuid") and os.geteuid() == 0
    sandbox = ["--no-sandbox"] if as_root else []  # it has none for root, and the picture runs nothing
    with storage_errors(path), TemporaryDirectory() as folder:
        source, shot = Path(folder, "picture.svg"), Path(folder, "picture.png")
        source.write_text(picture.svg, encoding="utf-8")
        command = [
            str(_browser()),
            "--headless",
            "--disable-gpu",
            "--disable-quic",
            "--hide-scrollbars",
            *OFFLINE,
            *sandbox,
            "--blink-settings=preferredColorScheme=1",
            f"--user-data-dir={folder}/profile",
            f"--force-device-scale-factor={scale:.4f}",
            f"--window-size={width},{height}",
            f"--screenshot={shot}",
            source.as_uri(),
        ]
        try:
            subprocess.run(command, capture_output=True, timeout=120, check=True)
        except (subprocess.SubprocessError, OSError) as error:
            reason = type(error).__name__
            raise StorageError(f"cannot draw {shown(path)}: {reason} of Chromium; write a .svg file") from error
        if not shot.exists():
            raise StorageError(f"cannot draw {shown(path)}: Chromium drew nothing; write a .svg or .html file")
        drawn = shot.read_bytes()
    write_bytes(path, drawn, force)
