"""The main job, shared by ``convert`` and ``demo``: calibrate once, convert by several methods, measure each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from spikewright.calibration import Method, Statistics, calibrate, statistics_key
from spikewright.cli.console import compact_table, progress
from spikewright.convert import Neurons, analog_of, convert
from spikewright.data import Dataset
from spikewright.errors import CalibrationError, SpikewrightError
from spikewright.graph import Graph
from spikewright.measure import Measures, measure
from spikewright.passes import Change
from spikewright.prepare import prepare
from spikewright.report import Candidate, write_report
from spikewright.text import short, steps_to_show


@dataclass(frozen=True)
class Job:
    """A conversion as the user asked for it.

    Attributes:
        graph: as trained.
        methods: threshold methods; the first is the one to keep.
        neurons: what the populations are like.
        options: further keywords of ``convert``: view, readout, softmax, leaky.
        batch_size, device: of every run.
        quiet: no progress bars.
    """

    graph: Graph
    methods: Sequence[Method]
    neurons: Neurons
    options: Mapping[str, Any]
    batch_size: int = 100
    device: str = "cpu"
    quiet: bool = False

    def prepared(self) -> tuple[Graph, tuple[Change, ...]]:
        return prepare(self.graph, **{key: self.options[key] for key in ("softmax", "leaky") if key in self.options})

    def statistics(self, folded: Graph, data: Dataset, store: Path | None, force: bool = False) -> Statistics:
        """From ``store`` where it holds those of this network and these data, else gathered, and stored there.

        Raises:
            CalibrationError: when it holds others, unless ``force`` says that they may be replaced.
            SpikewrightError: as ``Statistics.load`` and ``calibrate``.
        """
        if store is not None and store.exists():
            try:
                found = Statistics.load(store, expect_key=statistics_key(folded, data))
                for method in self.methods:
                    found.scales(method)
            except CalibrationError as error:
                if not force:
                    said = str(error).removesuffix("; calibrate again")
                    where = "" if said.startswith(str(store)) else f"{store}: "
                    advice = "choose another path for --statistics, or give --force to replace it"
                    raise CalibrationError(f"{where}{said}; {advice}") from error
            else:
                return found
        with progress("calibrating", self.quiet) as move:
            statistics = calibrate(
                folded, data, self.methods, batch_size=self.batch_size, device=self.device, progress=move
            )
        if store is not None:
            statistics.save(store, force)
        return statistics

    def spiking(self, statistics: Statistics, method: Method) -> Graph:
        graph = convert(self.graph, statistics.scales(method), self.neurons, **self.options)
        return graph.with_nodes(graph, method=str(method), calibration_samples=statistics.samples)

    def measured(self, graph: Graph, data: Dataset, timesteps: int, label: str, encoder: Any = "constant") -> Measures:
        with progress(f"simulating {label}", self.quiet) as move:
            return measure(
                graph,
                analog_of(graph),
                data,
                timesteps,
                encoder=encoder,
                batch_size=self.batch_size,
                device=self.device,
                progress=move,
            )


def compare(
    job: Job,
    calibration: Dataset,
    test: Dataset,
    timesteps: int,
    report: Path,
    title: str,
    settings: Mapping[str, Any],
    say: Callable[[str], None],
    force: bool = False,
) -> list[Candidate]:
    """Convert by every method of a job, measure each, and write the report.

    Raises:
        SpikewrightError: whatever goes wrong; then no report is written.
    """
    folded, changes = job.prepared()
    statistics = job.statistics(folded, calibration, None)
    candidates = []
    for method in job.methods:
        spiking = job.spiking(statistics, method)
        measures = job.measured(spiking, test, timesteps, str(method))
        candidates.append(Candidate(str(method), statistics.scales(method), analog_of(spiking), spiking, measures))
        say(f"{method}: done")
    write_report(
        report,
        title=title,
        graph=job.graph,
        folded=folded,
        changes=changes,
        statistics=statistics,
        candidates=candidates,
        settings=settings,
        force=force,
    )
    return candidates


def comparison(measures: Mapping[str, Measures]) -> Table:
    """Accuracy against timesteps by method."""
    first = next(iter(measures.values()))
    shown = steps_to_show(first.timesteps)
    accurate = first.accuracy is not None
    title = "accuracy, %" if accurate else "agreement with the analog network, %"
    table = compact_table(title, ("", *(f"T={t}" for t in shown), "analog", "rate", "synops"), 1)
    for label, one in measures.items():
        curve = one.curve
        if curve is None:
            raise SpikewrightError("the network has no row of classes; its answers cannot be counted")
        cells = [f"{100 * curve[t - 1]:.2f}" for t in shown]
        analog = "" if one.analog_accuracy is None else f"{100 * one.analog_accuracy:.2f}"
        table.add_row(label, *cells, analog, f"{one.firing_rate:.3f}", short(one.total_synops))
    return table
