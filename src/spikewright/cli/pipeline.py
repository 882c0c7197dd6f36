"""The main job, shared by ``convert`` and ``demo``: calibrate once, convert by several methods, measure each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Group
from rich.markup import escape
from rich.table import Table

from spikewright.calibration import Method, Statistics, calibrate, statistics_key
from spikewright.cli.console import compact_table, progress
from spikewright.conversion import Neurons, analog_of, check_countable, convert
from spikewright.data import Dataset
from spikewright.errors import CalibrationError
from spikewright.graph import Graph
from spikewright.measures import HeadMeasures, Measures, measure
from spikewright.passes import Change
from spikewright.preparation import prepare
from spikewright.reports import Candidate, write_report
from spikewright.tasks import SCORES, Head, TaskChoice
from spikewright.text import short, steps_to_show


@dataclass(frozen=True)
class Job:
    """A conversion as the user asked for it.

    Attributes:
        graph: as trained.
        methods: threshold methods; the first is the one to keep.
        neurons: what the populations are like.
        options: further keywords of ``convert``: view, readout, answer, leaky.
        batch_size, device: of every run.
        quiet: no progress bars.
        task: of the network's outputs, as typed; None finds it.
        input_scale: how λ of inputs comes about: see ``calibrate``.
    """

    graph: Graph
    methods: Sequence[Method]
    neurons: Neurons
    options: Mapping[str, Any]
    batch_size: int = 100
    device: str = "cpu"
    quiet: bool = False
    task: TaskChoice = None
    input_scale: str = "max"

    def prepared(self) -> tuple[Graph, tuple[Change, ...]]:
        """The folded graph, once it is clear that it can be converted; nothing has been read for it yet."""
        chosen = {key: self.options[key] for key in ("answer", "leaky") if key in self.options}
        folded, changes = prepare(self.graph, **chosen)
        if self.options.get("readout") == "count":
            check_countable(folded)
        return folded, changes

    def statistics(self, folded: Graph, data: Dataset, store: Path | None, force: bool = False) -> Statistics:
        """From ``store`` where it holds those of this network and these data, else gathered, and stored there.

        Raises:
            CalibrationError: when it holds others, unless ``force`` says that they may be replaced.
            SpikewrightError: as ``Statistics.load`` and ``calibrate``.
        """
        if store is not None and store.exists():
            try:
                found = Statistics.load(store, expect_key=statistics_key(folded, data))
                found = replace(found, input_scale=self.input_scale)
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
                folded,
                data,
                self.methods,
                input_scale=self.input_scale,
                task=self.task,
                batch_size=self.batch_size,
                device=self.device,
                progress=move,
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
                task=self.task,
                encoder=encoder,
                batch_size=self.batch_size,
                device=self.device,
                progress=move,
            )


def compare(
    job: Job,
    statistics: Statistics,
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


def comparison(measures: Mapping[str, Measures]) -> Group:
    """Scores against timesteps by method: a table for each output and score."""
    first = next(iter(measures.values()))
    shown = steps_to_show(first.timesteps)
    tables: list[Table] = []
    for name, head in first.heads.items():
        for score in head.task.agreed:
            kind = SCORES[score]
            title = ("" if len(first.heads) == 1 else f"{escape(name)}: ") + kind.axis(against=not head.labelled)
            work = () if tables else ("rate", "synops", *(other.title for other in first.others.values()))
            table = compact_table(title, ("", *(f"T={t}" for t in shown), "analog", *work), 1)
            for label, one in measures.items():
                curve, analog = one.heads[name].curves[score], one.heads[name].analog.get(score)
                cells = [kind.text(curve[t - 1]) for t in shown] + ["" if analog is None else kind.text(analog)]
                others = (one.others[k].text() if k in one.others else "" for k in first.others)
                done = (f"{one.firing_rate:.3f}", short(one.total_synops), *others) if work else ()
                table.add_row(label, *cells, *done)
            tables.append(table)
    return Group(*tables)


def agreement_lines(measures: Measures) -> list[str]:
    """How near labelled answers are to the analog network's at the last timestep: a line for each output."""
    lines = []
    for name, head in measures.heads.items():
        if head.labelled:
            values = [f"{SCORES[k].title} {SCORES[k].text(v[-1], unit=True)}" for k, v in head.agreement.items()]
            whose = "" if len(measures.heads) == 1 else f"{name}, "
            lines.append(f"{whose}against the analog network's answers at T={measures.timesteps}: {', '.join(values)}")
    return lines


def tasks_text(heads: Mapping[str, Head] | Mapping[str, HeadMeasures]) -> str:
    """The tasks of the outputs: "regression", or of several "age regression, sex binary"."""
    return ", ".join(str(head.task) if len(heads) == 1 else f"{name} {head.task}" for name, head in heads.items())
