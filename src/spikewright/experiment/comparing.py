"""The main job: calibrate once, convert by several methods, measure each on the same samples."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from spikewright.calibration import Method, Statistics, look, parse_all
from spikewright.cluster import ClusterChoice
from spikewright.conversion import Conversion
from spikewright.corrections import Corrections, correctors_of
from spikewright.corrections.correcting import SAMPLES
from spikewright.data import Recordings, as_dataset, sample_digests
from spikewright.data.recordings import frames_in
from spikewright.encoders import Encoder
from spikewright.encoders import encoder as named_encoder
from spikewright.errors import SettingsError, warn
from spikewright.experiment.automatic import check_automatic, resolved
from spikewright.experiment.converting import METHOD, converted, prepared, statistics_of
from spikewright.experiment.foreseeing import check_ways
from spikewright.experiment.held_out import expected_inputs
from spikewright.experiment.main_scores import cells, main_scores, spans
from spikewright.experiment.on_recordings import check_recordings, length_of
from spikewright.experiment.pictures import wrong_pictures
from spikewright.experiment.readout import ReadoutFrom, readout_of
from spikewright.graph import Array, Graph
from spikewright.measures import Measures, check_overlap, measure, near_chance, overlap_of
from spikewright.parts import Checkpoint
from spikewright.tabular import Table, Tabular
from spikewright.tasks import SCORES, TaskChoice, heads
from spikewright.text import steps_to_show

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""


@dataclass(frozen=True, eq=False)
class Candidate:
    """A conversion and what was measured of it.

    Attributes:
        label: the method as text, unless another one was given.
        conversion: the conversion.
        measures: on the samples that all are compared on.
    """

    label: str
    conversion: Conversion
    measures: Measures

    def __repr__(self) -> str:
        return f"Candidate({self.label}: {self.measures.head!r})"


@dataclass(frozen=True, eq=False)
class Comparison(Tabular):
    """Conversions of one network, measured on the same samples.

    ``comparison["max"]`` is the candidate of that label; ``str`` gives their main scores as a table,
    with intervals.

    Attributes:
        candidates: in the order in which they were asked for; at least one.
        graph: the network as it was read; None where only conversions are known.
        statistics: of calibration; None where λ were given.
        settings: what reproduces it, by name.
        pictures: by number, some samples that only the first spiking network gets wrong, as the network takes them.
    """

    candidates: tuple[Candidate, ...]
    graph: Graph | None = None
    statistics: Statistics | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    pictures: Mapping[int, Array] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.candidates:
            raise SettingsError("a comparison needs at least one conversion")
        for candidate in self.candidates:
            if not candidate.measures.compared:
                raise SettingsError(
                    f"{candidate.label}: was measured without its trained network; measure(conversion, …)"
                )

    def __getitem__(self, label: str) -> Candidate:
        for candidate in self.candidates:
            if candidate.label == label:
                return candidate
        raise SettingsError(f"no '{label}' was compared; there are {', '.join(c.label for c in self.candidates)}")

    @property
    def measures(self) -> dict[str, Measures]:
        """The measures of each candidate, by its label."""
        return {candidate.label: candidate.measures for candidate in self.candidates}

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is odd, a sentence each: what calibration saw, and then what measuring saw besides."""
        return tuple(dict.fromkeys([*self._of_calibration, *self._of_measuring]))

    @property
    def _of_calibration(self) -> tuple[str, ...]:
        if self.statistics is None:
            return ()
        return look(self.candidates[0].conversion.folded, self.statistics).warnings

    @property
    def _of_measuring(self) -> tuple[str, ...]:
        """Without what calibration said already: that the trained network knows little."""
        known = [] if self.statistics is None else [s for s in self.statistics.scores.values() if s.near_chance]
        found: list[str] = []
        for measures in self.measures.values():
            notes = near_chance(measures.heads, measures.samples) if known else []
            found += [text for text in measures.warnings if text not in notes]
        return tuple(dict.fromkeys(found))

    def __repr__(self) -> str:
        samples = self.candidates[0].measures.samples
        return f"Comparison({', '.join(one.label for one in self.candidates)}; {samples:,} samples)"

    def _table(self) -> Table:
        """A row a candidate: its main scores at some T, and its work."""
        heads = self.candidates[0].measures.heads
        steps = steps_to_show(self.candidates[0].measures.timesteps)
        titles = ["method"]
        for name, head in heads.items():
            title = head.task.main if len(heads) == 1 else f"{name} {head.task.main}"
            titles += [*(f"{title} at T={t}" for t in steps), f"{title}, trained"]
        rows = []
        for one in self.candidates:
            scores = [value for head in one.measures.heads.values() for value in main_scores(head, steps)]
            rows.append((one.label, *scores, one.measures.firing_rate, one.measures.total_synops))
        return Table.of_rows((*titles, "firing rate", "synops"), rows, [repr(self), *self.warnings])

    def __str__(self) -> str:
        first = self.candidates[0].measures
        shown = steps_to_show(first.timesteps)
        width = max(len(c.label) for c in self.candidates)
        lines = []
        for name, head in first.heads.items():
            title = SCORES[head.task.main].axis(against=not head.labelled)
            title = title if len(first.heads) == 1 else f"{name}: {title}"
            lines.append(f"{title} at {', '.join(f'T={t}' for t in shown)}")
            for c in self.candidates:
                lines.append(f"  {c.label:{width}}  {cells(c.measures.heads[name], shown)}")
                found = spans(c.measures.heads[name], shown)
                lines += [f"  {'':{width}}  95 % intervals {found}"] if found else []
        return "\n".join(lines)


def compare(
    graph: Graph,
    train: Any,
    test: Any,
    methods: Sequence[Method | str] | Method | str = METHOD,
    timesteps: int = 64,
    *,
    task: TaskChoice = None,
    encoder: Encoder | str = "constant",
    input_scale: Method | str | float = "max",
    correct: Corrections = None,
    correction_samples: int = SAMPLES,
    batch_size: int = 100,
    device: str = "cpu",
    progress: Progress | None = None,
    explain: bool = True,
    allow_overlap: bool = False,
    readout_from: ReadoutFrom = 0,
    early_exit: float | None = None,
    dt: float | None = None,
    cluster: ClusterChoice = None,
    checkpoint: Checkpoint | None = None,
    **options: Any,
) -> Comparison:
    """Convert a trained network by several methods and measure each; it is calibrated once.

    Args:
        graph: as ``load`` gives it.
        train: data to calibrate with, or ``Statistics`` of the folded graph that hold what the methods ask for.
        test: data to measure with, with labels if there are any.
        methods: threshold methods, as values or as their text.
        timesteps: T.
        task: what labels mean: see ``measure``.
        encoder: an encoder or its name; of event frames λ are found on the mean frame.
        input_scale: how λ of an input comes about: see ``calibrate``.
        correct: what is corrected of each, in order: see ``convert``; on a draw of ``train``.
        correction_samples: how many samples that draw has.
        batch_size: samples that run side by side.
        device: a torch device.
        progress: called with (what is being done, how much is done, how much there is).
        explain: whether to find out what costs most: see ``measure``.
        allow_overlap: whether to measure on samples that were calibrated on: see ``measure``.
        readout_from: from when on answers are read: see ``RunSettings``; "auto" estimates it from ``train``.
        early_exit: the share of answers that may change where samples are stopped early, at a margin that is chosen on
            ``train``; None measures no early exit.
        dt: seconds of a timestep; recordings, which run on their events, need it, and their timesteps follow from it.
        cluster: workers that share the samples of calibration and of measuring: see ``simulate``.
        checkpoint: where what was counted is kept, so that an interrupted comparison can go on: see ``measure``.
        options: further keywords of ``convert``: neurons, view, readout, answer, leaky.

    Raises:
        UnsupportedModelError: with everything that cannot become spikes, before data are read.
        SpikewrightError: as ``convert`` and ``measure``; of labels that do not fit, and of samples that are in both
            data sets, before anything runs.

    Warns:
        SpikewrightWarning: each of ``Comparison.warnings``, once.
    """
    chosen = tuple(dict.fromkeys(parse_all(methods)))
    folded = prepared(graph, **options)
    samples = as_dataset(test, graph.inputs)
    heads(folded, samples.targets, task)  # labels that do not fit are refused before anything is done
    whole = None if isinstance(train, Statistics) else as_dataset(train, graph.inputs)
    data = None if whole is None else frames_in(whole)
    length_of(samples, timesteps, dt, readout_from, early_exit)
    corrections = correctors_of(correct)
    check_automatic(chosen, corrections, data is not None)
    if isinstance(whole, Recordings):
        check_recordings(chosen, corrections, dt)
    if corrections and data is None:
        raise SettingsError(f"the correction {corrections[0]} needs samples: give compare data in place of statistics")
    check_ways(
        folded,
        chosen,
        corrections,
        samples=None if data is None else min(correction_samples, data.length or correction_samples),
        encoder=encoder,
        timesteps=timesteps,
        readout_from=readout_from,
        early_exit=early_exit,
        **options,
    )
    if data is not None:
        check_overlap(overlap_of(sample_digests(data), samples), allow_overlap)
    recipes = resolved(
        folded,
        data,
        chosen,
        corrections,
        task=task,
        encoder=encoder,
        input_scale=input_scale,
        device=device,
        progress=_stage(progress, "choosing"),
        **options,
    )
    if data is None:
        statistics = train
        warn(look(folded, statistics).warnings)
    else:
        statistics = statistics_of(
            folded,
            expected_inputs(data, named_encoder(encoder) if isinstance(encoder, str) else encoder),
            [one.recipe.method for one in recipes],
            input_scale=input_scale,
            task=task,
            batch_size=batch_size,
            device=device,
            progress=_stage(progress, "calibrating"),
            cluster=cluster,
            checkpoint=checkpoint,
        )
    made = converted(
        graph,
        statistics,
        recipes,
        whole,
        task=task,
        encoder=encoder,
        correction_samples=correction_samples,
        device=device,
        dt=dt,
        progress=progress,
        **options,
    )
    settings = {
        "methods": ", ".join(map(str, chosen)),
        **length_of(samples, timesteps, dt),
        "calibration": f"{statistics.samples:,} samples",
        "test": f"{len(samples):,} samples",
        **({"correct": " + ".join(map(str, corrections))} if corrections else {}),
        **({"samples of corrections": correction_samples} if corrections else {}),
        **{str(one.automatic.auto): one.automatic for one in recipes if one.automatic is not None},
        **{name: value for name, value in options.items() if value is not None},
    }
    return compared(
        made,
        samples,
        timesteps,
        graph=graph,
        statistics=statistics,
        settings=settings,
        encoder=encoder,
        batch_size=batch_size,
        device=device,
        progress=progress,
        explain=explain,
        allow_overlap=allow_overlap,
        calibration=data,
        readout_from=readout_from,
        early_exit=early_exit,
        dt=dt,
        cluster=cluster,
        checkpoint=checkpoint,
    )


def compared(
    made: Mapping[str, Conversion] | Sequence[Conversion],
    test: Any,
    timesteps: int = 64,
    *,
    graph: Graph | None = None,
    statistics: Statistics | None = None,
    settings: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
    calibration: Any = None,
    readout_from: ReadoutFrom = 0,
    early_exit: float | None = None,
    dt: float | None = None,
    cluster: ClusterChoice = None,
    checkpoint: Checkpoint | None = None,
    **options: Any,
) -> Comparison:
    """Conversions that were already made, measured on the same samples.

    Args:
        made: the conversions, of one network; by label, or labelled by their methods.
        test: data to measure with.
        timesteps: T.
        graph: the network as it was read, for the report.
        statistics: of calibration, for the report.
        settings: what reproduces it, by name.
        progress: as of ``compare``.
        calibration: the data that the next two are found on; not needed without them.
        readout_from: as of ``compare``.
        early_exit: as of ``compare``.
        dt: as of ``compare``.
        cluster: as of ``compare``.
        checkpoint: where what was counted of each is kept: see ``measure``.
        options: further keywords of ``measure``.

    Raises:
        SpikewrightError: as ``measure``.

    Warns:
        SpikewrightWarning: what measuring saw that is odd, once for all.
    """
    candidates = []
    (first, *_) = made.values() if isinstance(made, Mapping) else made
    samples = as_dataset(test, first.spiking.inputs)
    length = length_of(samples, timesteps, dt, readout_from, early_exit)
    for label, conversion in (made if isinstance(made, Mapping) else _labelled(made)).items():
        watch = _stage(progress, f"simulating {label}")
        start, rule = readout_of(conversion, calibration, timesteps, readout_from, early_exit, **options)
        measures = measure(
            conversion,
            samples,
            **length,
            progress=watch,
            quiet=True,
            readout_from=start,
            early_exit=rule,
            cluster=cluster,
            checkpoint=checkpoint,
            stage_name=f"simulating {label}",
            **options,
        )
        candidates.append(Candidate(label, conversion, measures))
    pictures = wrong_pictures(candidates[0].measures, samples)
    found = Comparison(tuple(candidates), graph, statistics, dict(settings or {}), pictures)
    remarks = (head.remark for one in candidates for head in one.measures.heads.values() if head.remark)
    warn(list(dict.fromkeys([*found._of_measuring, *remarks])))
    return found


def _labelled(made: Sequence[Conversion]) -> dict[str, Conversion]:
    """Conversions by method; by their number where there is none, or another has the same."""
    found: dict[str, Conversion] = {}
    for number, conversion in enumerate(made, 1):
        corrections = [one.name for one in conversion.corrections]
        label = " + ".join([conversion.calibration.method or f"conversion {number}", *corrections])
        found[label if label not in found else f"{label} ({number})"] = conversion
    return found


def _stage(progress: Progress | None, what: str) -> Callable[[int, int], None] | None:
    if progress is None:
        return None
    told: Progress = progress
    return lambda done, total: told(what, done, total)
