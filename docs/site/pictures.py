"""The pictures of the docs that a browser draws, each in light and in dark: the report, a network, a chip.

    python docs/site/pictures.py REPORT [FOLDER]

REPORT is what ``spikewright demo`` wrote; "none" leaves its picture as it is. Needs Chromium. Pages show the one that
fits: by ``<picture>`` on the code host, by the reader's choice on the site (``hooks.py``).
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import nn

import spikewright as sw
from spikewright.demo import demo_data, demo_graph
from spikewright.reports.network import captions_of, network_picture

SCHEMES = {"": 1, "-dark": 0}
"""What stands behind a name, and what Chromium calls the scheme."""


def shot(page: Path, name: Path, width: float, height: float, scale: float = 1.0) -> None:
    """A page in light and in dark."""
    for ending, scheme in SCHEMES.items():
        with TemporaryDirectory() as folder:
            flags = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--user-data-dir={folder}"]
            flags += [f"--blink-settings=preferredColorScheme={scheme}", f"--force-device-scale-factor={scale}"]
            flags += [f"--window-size={int(width)},{int(height)}", "--virtual-time-budget=8000"]
            target = name.with_name(f"{name.name}{ending}.png")
            subprocess.run(
                ["chromium", *flags, f"--screenshot={target}", page.resolve().as_uri()],
                check=True,
                capture_output=True,
                timeout=300,
            )


def vgg() -> nn.Module:
    """Eight layers, of which three are too large for a core."""
    made = nn.Sequential()
    channels = 1
    for k, (width, pool) in enumerate(((32, 1), (32, 2), (64, 1), (64, 2), (128, 1), (128, 2), (256, 1)), 1):
        made.add_module(f"conv{k}", nn.Conv2d(channels, width, 3, padding=int(k < 7)))
        made.add_module(f"relu{k}", nn.ReLU())
        if pool > 1:
            made.add_module(f"pool{k}", nn.AvgPool2d(pool))
        channels = width
    made.add_module("flatten", nn.Flatten())
    made.add_module("fc", nn.Linear(channels, 10))
    return made.eval()


def main(report: Path, folder: Path) -> None:
    if report.suffix:
        shot(report, folder / "report", 1246, 942)
    train, _ = demo_data()
    conversion = sw.convert(demo_graph(), train.take(200), "percentile:99.9")
    torch.manual_seed(0)
    counting = sw.convert(sw.load(vgg(), shape=(1, 28, 28)), train.take(20), "max", readout="count")
    drawn = {
        "network": network_picture(conversion.spiking, captions=captions_of(conversion)),
        "chip": sw.check(counting, "speck2f").picture(title="A VGG on speck2f: it does not fit"),
    }
    with TemporaryDirectory() as place:
        for name, picture in drawn.items():
            (Path(place) / f"{name}.svg").write_text(picture.svg, encoding="utf-8")
            shot(Path(place) / f"{name}.svg", folder / name, picture.width, picture.height, 2.0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2] if len(sys.argv) > 2 else "docs/images"))
