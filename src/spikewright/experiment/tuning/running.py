"""Tuning: points are tried on samples held out of calibration, one is chosen by a rule, and made on all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from spikewright.calibration import Method
from spikewright.cluster import ClusterChoice, workers_of
from spikewright.conversion import Conversion
from spikewright.corrections.correcting import SAMPLES
from spikewright.data import Dataset, Recordings, as_dataset, sample_digests
from spikewright.data.recordings import frames_in
from spikewright.encoders import Encoder
from spikewright.errors import SettingsError
from spikewright.experiment.comparing import Progress
from spikewright.experiment.converting import prepared
from spikewright.experiment.foreseeing import check_ways
from spikewright.experiment.held_out import held_out
from spikewright.experiment.on_recordings import check_recordings
from spikewright.experiment.tuning.grid import Grid
from spikewright.experiment.tuning.job import Job, Judge
from spikewright.experiment.tuning.point import Point, naming
from spikewright.experiment.tuning.result import Tuning
from spikewright.experiment.tuning.rule import Rule, Tried
from spikewright.experiment.tuning.sweep import Sweep
from spikewright.graph import Graph
from spikewright.measures.protocol import check_overlap, overlap_of
from spikewright.recordings.durations import duration_text
from spikewright.tasks import TaskChoice, heads
from spikewright.timesteps import Timesteps

FEWEST = 64
"""How many samples held out a first round of a search is judged on at least."""
LAST = 3
"""How many points the last round of a search has at least, where there are as many."""


def tune(
    graph: Graph,
    data: Any,
    grid: Grid | Sequence[str] | str,
    *,
    test: Any = None,
    rules: Sequence[Rule | str] | Rule | str = "best",
    timesteps: Timesteps | str | int = "4..32",
    trials: int | None = None,
    hold_out: int | None = None,
    seed: int = 0,
    store: Path | str | None = None,
    force: bool = False,
    answer: Literal["keep", "drop"] = "keep",
    leaky: Literal["refuse", "split"] = "refuse",
    input_scale: Method | str | float = "max",
    task: TaskChoice = None,
    encoder: Encoder | str = "constant",
    correction_samples: int = SAMPLES,
    correction_seed: int = 0,
    allow_overlap: bool = False,
    batch_size: int = 100,
    device: str = "cpu",
    progress: Progress | None = None,
    seeds: Mapping[str, int] | None = None,
    dt: float | None = None,
    cluster: ClusterChoice = None,
) -> Tuning:
    """Try ways to convert a network, and choose one by a rule; test data have no part in that.

    Each point is calibrated and corrected on one part of the calibration samples and judged on the other, against the
    labels, or against the trained network's answers where there are none or they do not fit. What the rules choose is
    then made anew on all calibration samples, and measured on ``test`` alone.

    Args:
        graph: as ``load`` gives it.
        data: to calibrate with.
        grid: what is tried: a Grid, or words like ``gain=1..10``; see ``Grid.parse``.
        test: data to measure the chosen points with; None for none.
        rules: by which points are chosen, as values or text; the first gives the recommendation.
        timesteps: at which T: every rule looks at all of a range.
        trials: instead of all points so many of a seeded draw, of which after a look at few samples the better half is
            looked at on twice as many, and so on; None tries all of them on all samples held out.
        hold_out: how many samples are kept from calibration; None for half of them, at most 1,000.
        seed: of the draws of samples and points.
        store: a Parquet file that keeps what was found of each point, so that a run that was interrupted goes on.
        force: whether a ``store`` of something else is begun anew.
        answer: what becomes of the activation that the network ends in.
        leaky: what becomes of leaky rectifiers.
        input_scale: how λ of an input comes about: see ``calibrate``.
        task: what labels mean: see ``measure``.
        encoder: of all runs. Of event frames λ are found on the mean frame.
        correction_samples: how many samples corrections are made on, a draw in proportion to the classes.
        correction_seed: of that draw.
        allow_overlap: whether ``test`` may have samples of ``data``: see ``measure``.
        batch_size: samples that run side by side.
        device: a torch device.
        progress: called with (what is being done, how much is done, how much there is).
        seeds: of the draws that ``data`` come from, by what was drawn, which conversions remember.
        dt: seconds of a timestep, for recordings, which are run on their events: T follows from them.
        cluster: workers that share the points, and the samples of calibration and measuring: see ``simulate``.

    Raises:
        SpikewrightError: as ``convert`` and ``measure``; for what cannot be varied, rules that are none, calibration
            samples that are too few, and a ``store`` of something else.
    """
    chosen_grid = grid if isinstance(grid, Grid) else Grid.parse(grid)
    samples = as_dataset(data, graph.inputs)
    steps = _steps(samples, timesteps, dt)
    asked = [rules] if isinstance(rules, Rule | str) else list(rules)
    wanted = tuple(one if isinstance(one, Rule) else Rule.parse(one) for one in asked)
    if not wanted:
        raise SettingsError("no rule is given that a point is chosen by; give one like 'fewest synops within 1 point'")
    for rule in wanted:
        rule.check(steps)
    drawn = chosen_grid.points if trials is None else chosen_grid.drawn(trials, seed)
    points = tuple(dict.fromkeys(point.fitted(steps) for point in drawn))
    for point in points if isinstance(samples, Recordings) else ():
        with naming(point):
            check_recordings([point.method], point.corrections, dt)
    kept = {"answer": answer, "leaky": leaky}
    folded = prepared(graph, **kept)
    steps.check_tuned("tune")
    _check_points(folded, points, steps, encoder, None, kept)
    tested = None if test is None else as_dataset(test, graph.inputs)
    if tested is not None:
        heads(folded, tested.targets, task)
        check_overlap(overlap_of(sample_digests(frames_in(samples)), tested), allow_overlap)
    with workers_of(cluster) as workers:
        job = Job(
            graph,
            folded,
            steps,
            kept,
            input_scale=input_scale,
            task=task,
            encoder=encoder,
            correction_samples=correction_samples,
            correction_seed=correction_seed,
            allow_overlap=allow_overlap,
            batch_size=batch_size,
            device=device,
            progress=progress,
            seeds=dict(seeds or {}),
            dt=dt,
            cluster=workers,
        )
        parts = held_out(samples, hold_out, seed)
        _check_points(folded, points, steps, encoder, min(correction_samples, len(samples)), kept)
        corrected = any(one.looks_at_samples for point in points for one in point.corrections)
        how = str(chosen_grid) + ("" if trials is None else f", {trials} trials, seed {seed}")
        sweep = Sweep(job.facts(parts, how), None if store is None else Path(store), force)
        judge = Judge(job, parts, sweep, points)
        tried = _searched(judge, points, wanted[0], halving=trials is not None)
        settled = job.settled([rule.choose(tried, steps) for rule in wanted], samples, tested)
    yardstick = judge.yardstick
    return Tuning(
        tried=tried,
        settled=settled,
        timesteps=steps,
        title=yardstick.title,
        percent=yardstick.percent,
        reference=yardstick.reference,
        labelled=yardstick.labelled,
        held_out=str(parts),
        grid=how,
        settings={
            "tried": f"{len(points):,} points" if trials is None else f"{len(points):,} of {len(chosen_grid):,} points",
            "grid": how,
            "rules": "; ".join(map(str, wanted)),
            "timesteps": str(steps),
            "calibration": str(parts),
            "encoder": str(encoder),
            **({"samples of corrections": correction_samples} if corrected else {}),
            **({} if dt is None else {"a timestep": duration_text(dt)}),
        },
        dt=dt,
        notes=(yardstick.note,) if yardstick.note else (),
    )


def _steps(samples: Dataset, timesteps: Timesteps | str | int, dt: float | None) -> Timesteps:
    """At which T is tuned: what was asked for; of recordings the timesteps of the longest.

    Raises:
        SettingsError: for recordings without a timestep, or a timestep without recordings.
    """
    if isinstance(samples, Recordings):
        if dt is None:
            raise SettingsError("recordings run on their events: say how long a timestep is, dt=1e-3 (--dt 1ms)")
        longest = samples.events(dt).timesteps
        return Timesteps(longest, longest)
    if dt is not None:
        raise SettingsError("dt is for recordings, whose timesteps follow from it; these are other data: leave it away")
    return timesteps if isinstance(timesteps, Timesteps) else Timesteps.parse(str(timesteps))


def _check_points(
    folded: Graph,
    points: Sequence[Point],
    timesteps: Timesteps,
    encoder: Encoder | str,
    samples: int | None,
    options: Mapping[str, Any],
) -> None:
    """Refuse a grid of which a point cannot be tried, before any of them is.

    Args:
        folded: the trained network, prepared.
        points: with what they are corrected for.
        timesteps: at which T.
        encoder: of all runs.
        samples: that corrections look at; None where nobody knows yet.
        options: answer and leaky.
    """
    made: dict[str, Conversion] = {}
    for point in points:
        with naming(point):
            check_ways(
                folded,
                [point.method],
                point.corrections,
                samples=samples,
                encoder=encoder,
                timesteps=timesteps,
                made=made,
                **options,
                **point.options,
            )


def _searched(judge: Judge, points: Sequence[Point], rule: Rule, *, halving: bool) -> tuple[Tried, ...]:
    """The points that are left when all were judged; by halving first all on few samples, then the better on more."""
    job, every = judge.job, len(judge.parts.held_out)
    rounds = _rounds(every, len(points)) if halving else [(every, len(points))]
    total, done, left = sum(count for _, count in rounds), 0, list(points)
    tried: list[Tried] = []
    move = job.stage("trying")
    for samples, count in rounds:
        if tried:
            left = [one.point for one in _ranked(tried, rule, job.timesteps)[:count]]
            left.sort(key=points.index)
        tried = []
        for point, scored in zip(left, judge.each(left, samples), strict=True):
            tried.append(Tried(point, scored))
            done += 1
            if move is not None:
                move(done, total)
    return tuple(tried)


def _rounds(samples: int, points: int) -> list[tuple[int, int]]:
    """How many samples and points each round of successive halving has: the last one has all samples."""
    sizes, counts = [samples], [points]
    while counts[-1] > LAST and sizes[0] // 2 >= FEWEST:
        sizes.insert(0, sizes[0] // 2)
        counts.append(max(LAST, -(-counts[-1] // 2)))
    return list(zip(sizes, counts, strict=True))


def _ranked(tried: Sequence[Tried], rule: Rule, timesteps: Timesteps) -> list[Tried]:
    """The points in the order in which a rule would choose them, one after the other."""
    left, found = list(tried), []
    while left:
        point = rule.choose(left, timesteps).row.point
        found.append(next(one for one in left if one.point == point))
        left.remove(found[-1])
    return found
