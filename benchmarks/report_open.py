"""How long a report takes to open: in a browser that runs already, until all charts in sight are drawn.

    python benchmarks/report_open.py REPORT... [--runs 5]

Writes ``benchmarks/results/report_open.md``. Needs Chromium, which is told what to do through two pipes (its devtools
protocol). Each run opens the page in a tab of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from spikewright.parts.machine import machine

RESULT = Path(__file__).parent / "results" / "report_open.md"
DRAWN = """location.protocol === "about:" ? null : new Promise((done) => {
  const told = () => done(JSON.stringify([document.documentElement.dataset.ready / 1000,
    performance.now() / 1000, performance.getEntriesByType("resource").length]));
  if (document.documentElement.dataset.drawn) told(); else document.addEventListener("drawn", told);
})"""


class Browser:
    """A running browser, by its two pipes."""

    def __init__(self, write: int, read: int) -> None:
        self.write, self.read, self.numbers, self.rest = write, read, count(1), b""

    def ask(self, method: str, session: str = "", **params: Any) -> dict[str, Any]:
        """What it answers; what it tells unasked is passed over."""
        number = next(self.numbers)
        asked = {"id": number, "method": method, "params": params, **({"sessionId": session} if session else {})}
        os.write(self.write, json.dumps(asked).encode() + b"\0")
        while True:
            message, ended, self.rest = self.rest.partition(b"\0")
            if not ended:
                self.rest = message + os.read(self.read, 1 << 20)
                continue
            answer = json.loads(message)
            if answer.get("id") == number:
                found: dict[str, Any] = answer.get("result", {})
                return found

    def opened(self, page: Path) -> tuple[float, float, float, int]:
        """Seconds until what is in sight of a page is drawn, and until all is, those that its thread computed, and how
        much it fetched."""
        tab = self.ask("Target.createTarget", url="about:blank")["targetId"]
        session = self.ask("Target.attachToTarget", targetId=tab, flatten=True)["sessionId"]
        self.ask("Performance.enable", session, timeDomain="threadTicks")
        self.ask("Page.navigate", session, url=page.resolve().as_uri())
        told = None
        while told is None:  # what is asked before the page is there goes with what was there before
            answer = self.ask("Runtime.evaluate", session, expression=DRAWN, awaitPromise=True)
            told = answer.get("result", {}).get("value")
        metrics = {one["name"]: one["value"] for one in self.ask("Performance.getMetrics", session)["metrics"]}
        self.ask("Target.closeTarget", targetId=tab)
        ready, drawn, fetched = json.loads(told)
        return ready, drawn, metrics["TaskDuration"], fetched


@contextmanager
def browser() -> Iterator[Browser]:
    """A browser without a window."""
    (theirs, write), (read, own) = os.pipe(), os.pipe()
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        flags = f"--headless --no-sandbox --disable-gpu --window-size=1280,900 --user-data-dir={folder}"
        line = f"exec chromium {flags} --remote-debugging-pipe 3<&{theirs} 4>&{own}"
        running = subprocess.Popen(["sh", "-c", line], pass_fds=(theirs, own), stderr=subprocess.DEVNULL)
        try:
            yield Browser(write, read)
        finally:
            running.terminate()
            running.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("reports", nargs="+", type=Path)
    parser.add_argument("--runs", type=int, default=5)
    asked = parser.parse_args()
    before = os.getloadavg()[0]
    rows = []
    with browser() as found:
        for page in asked.reports:
            runs = [found.opened(page) for _ in range(asked.runs)]
            *seconds, fetched = (list(column) for column in zip(*runs, strict=True))
            told = " | ".join(f"{statistics.median(one):.2f}" for one in seconds)
            rows.append(f"| {page.name} | {page.stat().st_size / 1e6:.2f} | {told} | {max(fetched)} |")
            print(rows[-1], flush=True)
    version = subprocess.run(["chromium", "--version"], capture_output=True, text=True, check=True).stdout.split(
        " built"
    )
    where = ", ".join(f"{name} {value}" for name, value in machine().items() if name != "threads")
    lines = [
        "# How long a report takes to open",
        "",
        f"By [report_open.py](../report_open.py): the median of {asked.runs} runs, in a browser that runs already.",
        "",
        "| page | MB | s until what is in sight is drawn | s until all is | CPU seconds of all that | fetched |",
        "|---|---|---|---|---|---|",
        *rows,
        "",
        f"{version[0].strip()}; {where}; {os.cpu_count()} cores, whose load was {before:.1f} before the first run and",
        f"{os.getloadavg()[0]:.1f} after the last.",
        "",
    ]
    RESULT.write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
