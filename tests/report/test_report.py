"""The page loads from disk with no error and no network, and its charts are drawn."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import spikewright as sw
from networks import residual
from spikewright.convert import analog_of
from spikewright.errors import SettingsError
from spikewright.report import Candidate, write_report

CHROMIUM = shutil.which("chromium")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-quic",
    "--disable-component-update",
    "--disable-sync",
    "--enable-logging=stderr",
    "--virtual-time-budget=15000",
    "--window-size=1366,2400",
)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    b = residual(1)
    x, y = b.samples(12), b.random.integers(0, 3, 12)
    graph = b.graph()
    folded, changes = sw.prepare(graph)
    methods = [sw.threshold_method(text) for text in ("percentile:99.9", "max:channels")]
    statistics = sw.calibrate(folded, x, methods)
    candidates = []
    for method in methods:
        spiking = sw.convert(graph, statistics.scales(method))
        measures = sw.measure(spiking, analog_of(spiking), (x, y), 16)
        candidates.append(Candidate(str(method), statistics.scales(method), analog_of(spiking), spiking, measures))
    return write_report(
        tmp_path_factory.mktemp("report") / "report.html",
        title="A <script>alert('title')</script> network",
        graph=graph,
        folded=folded,
        changes=changes,
        statistics=statistics,
        candidates=candidates,
        settings={"command": "spikewright </script> & more"},
    )


def test_the_page_needs_nothing_else(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert not re.findall(r"<(?:script|link|img|iframe)[^>]*(?:src|href)=.?(?:https?:)?//", text)
    assert "<script>alert(" not in text
    assert "spikewright &lt;/script&gt; &amp; more" in text


def test_the_page_says_what_matters(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for words in ("How good, how soon", "Layer by layer", "Where the work is", "The network", "To reproduce it"):
        assert words in text
    assert "replaced by IF" in text
    assert "folded" in text


def test_no_candidates(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="a report needs at least one conversion"):
        write_report(
            tmp_path / "r.html",
            title="",
            graph=residual(1).graph(),
            folded=residual(1).graph(),
            changes=(),
            statistics=None,  # type: ignore[arg-type]
            candidates=[],
            settings={},
        )
    assert not list(tmp_path.iterdir())


def chromium(page: Path, tmp_path: Path, *flags: str) -> tuple[str, str]:
    """The document after its scripts ran, and what the console said."""
    if CHROMIUM is None:
        pytest.skip("no chromium here")
    command = [CHROMIUM, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", *flags, page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout, "\n".join(line for line in done.stderr.splitlines() if "CONSOLE" in line)


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_charts_are_drawn_in_a_browser(page: Path, tmp_path: Path, scheme: str) -> None:
    setting = f"--blink-settings=preferredColorScheme={1 if scheme == 'light' else 0}"
    document, console = chromium(page, tmp_path, "--dump-dom", setting)
    assert console == ""
    assert 'data-drawn="yes"' in document
    places = document.count("data-chart=")
    assert places >= 8
    assert len(re.findall(r'class="main-svg"', document)) >= places
    ink = {"light": "rgb(31, 35, 40)", "dark": "rgb(231, 230, 227)"}[scheme]
    assert ink in document


@pytest.mark.browser
def test_nothing_is_wider_than_a_laptop(page: Path, tmp_path: Path) -> None:
    probe = tmp_path / "probe.html"
    script = "<script>document.body.dataset.wide = document.documentElement.scrollWidth;</script></body>"
    probe.write_text(page.read_text(encoding="utf-8").replace("</body>", script), encoding="utf-8")
    document, _ = chromium(probe, tmp_path, "--dump-dom")
    found = re.search(r'data-wide="(\d+)"', document)
    assert found is not None
    assert int(found[1]) <= 1366


@pytest.mark.browser
def test_a_picture_of_the_page_is_not_blank(page: Path, tmp_path: Path) -> None:
    from PIL import Image

    chromium(page, tmp_path, f"--screenshot={tmp_path / 'page.png'}")
    with Image.open(tmp_path / "page.png") as picture:
        assert len(np.unique(np.asarray(picture.convert("L")))) > 50
