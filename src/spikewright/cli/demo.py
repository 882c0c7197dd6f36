"""``spikewright demo``: the main job on real pictures that come with the package."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from spikewright.cli.console import JsonOption
from spikewright.cli.options import check_timesteps
from spikewright.cli.scores import comparison
from spikewright.cli.terminal import err, out, print_json, stages
from spikewright.conversion import Neurons
from spikewright.demo import demo_data, demo_graph
from spikewright.experiment import compare
from spikewright.files import check_destination
from spikewright.reports import report as write_report

METHODS = ("percentile:99.9", "max", "scale:0.5")


def demo(
    folder: Annotated[Path, typer.Option(help="Where the report goes.")] = Path(".demo"),
    timesteps: Annotated[int, typer.Option("--timesteps", "-T", help="How many.")] = 64,
    samples: Annotated[int, typer.Option(min=1, help="Test images, of 1,000.")] = 1000,
    as_json: JsonOption = False,
) -> None:
    """Convert a small trained network on Fashion-MNIST by three methods, compare them, and write a report.

    Example: [bold]spikewright demo --timesteps 32[/bold]
    """
    check_timesteps(timesteps)
    check_destination(folder / "report.html", force=True)  # of the demo before
    started = time.monotonic()
    graph = demo_graph()
    train, test = demo_data()
    report = folder / "report.html"
    settings = {
        "command": f"spikewright demo --timesteps {timesteps} --samples {samples}",
        "network": "DemoNet, trained by examples/train_fashion.py",
        "calibration": f"{len(train)} training images of Fashion-MNIST",
        "test": f"the first {min(samples, len(test))} test images of Fashion-MNIST",
        "timesteps": timesteps,
        "v_init": Neurons().v_init,
        "reset": Neurons().reset,
    }
    with stages(quiet=as_json) as tell:
        found = compare(graph, train, test.take(samples), METHODS, timesteps, progress=tell)
    title = "Fashion-MNIST, a small residual network"
    write_report(report, found, title=title, settings=settings, force=True)
    measures = found.measures
    if as_json:
        print_json({"report": str(report), "measures": {k: m.summary() for k, m in measures.items()}})
        return
    out.print(comparison(measures))
    err.print(f"{time.monotonic() - started:.0f} s", highlight=False)
    out.print(f"report: {report.resolve()}", highlight=False, soft_wrap=True)
