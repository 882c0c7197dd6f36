"""What is the same for all points of one tuning: the network, the settings of its runs, and how a point is made."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import sha256
from typing import Any

from spikewright.calibration import Method, Statistics
from spikewright.cluster import Cluster
from spikewright.conversion import Conversion
from spikewright.corrections.correcting import SAMPLES, correct
from spikewright.data import Dataset, Recordings, sample_digests
from spikewright.data.recordings import frames_in
from spikewright.encoders import Encoder
from spikewright.encoders import encoder as named_encoder
from spikewright.engines import RunSettings
from spikewright.experiment.comparing import Progress
from spikewright.experiment.converting import conversions, statistics_of
from spikewright.experiment.held_out import HeldOut, expected_inputs
from spikewright.experiment.scoring import Scored, Yardstick
from spikewright.experiment.tuning.point import Point, naming
from spikewright.experiment.tuning.result import Settled
from spikewright.experiment.tuning.rule import Chosen
from spikewright.experiment.tuning.sweep import Sweep
from spikewright.graph import Graph
from spikewright.measures import Measures, measure
from spikewright.tasks import TaskChoice
from spikewright.timesteps import Timesteps


@dataclass(frozen=True, eq=False)
class Job:
    """What is the same for all points.

    Attributes:
        graph: the network as it was read.
        folded: prepared.
        timesteps: at which T.
        preparation: answer and leaky, as of ``convert``.
        input_scale, task: as of ``convert``.
        encoder: of all runs.
        correction_samples: how many samples corrections are made on.
        correction_seed: of their draw.
        allow_overlap: whether to measure on samples that were calibrated on.
        batch_size, device: of all runs.
        progress: called with (what is being done, how much is done, how much there is).
        seeds: of the draws that the calibration samples come from, by what was drawn.
        dt: seconds of a timestep, where data are recordings.
        cluster: workers; None for this process alone.
    """

    graph: Graph
    folded: Graph
    timesteps: Timesteps
    preparation: Mapping[str, Any]
    input_scale: Method | str | float = "max"
    task: TaskChoice = None
    encoder: Encoder | str = "constant"
    correction_samples: int = SAMPLES
    correction_seed: int = 0
    allow_overlap: bool = False
    batch_size: int = 100
    device: str = "cpu"
    progress: Progress | None = None
    seeds: Mapping[str, int] = field(default_factory=dict)
    dt: float | None = None
    cluster: Cluster | None = None

    @cached_property
    def fitted(self) -> Encoder:
        """The encoder as a value."""
        return self.encoder if isinstance(self.encoder, Encoder) else named_encoder(self.encoder)

    def stage(self, what: str) -> Callable[[int, int], None] | None:
        """What moves the progress of a stage; None where nobody watches."""
        if self.progress is None:
            return None
        told: Progress = self.progress
        return lambda done, total: told(what, done, total)

    def statistics(self, data: Dataset, points: Sequence[Point]) -> Statistics:
        """What the methods of some points need to know of some samples."""
        return statistics_of(
            self.folded,
            expected_inputs(frames_in(data), self.fitted),
            list(dict.fromkeys(point.method for point in points)),
            input_scale=self.input_scale,
            task=self.task,
            batch_size=self.batch_size,
            device=self.device,
            progress=self.stage("calibrating"),
            cluster=self.cluster,
        )

    def made(self, point: Point, statistics: Statistics, data: Dataset) -> Conversion:
        """The network converted as a point says.

        Args:
            point: how.
            statistics: of the samples.
            data: the samples, which corrections are made on.
        """
        options = {**self.preparation, **point.options}
        (found,) = conversions(self.graph, statistics, point.method, data, task=self.task, **options)
        found = replace(found, calibration=replace(found.calibration, seeds=self.seeds))
        return correct(
            found,
            data,
            point.corrections,
            timesteps=self.timesteps,
            samples=self.correction_samples,
            encoder=self.fitted,
            seed=self.correction_seed,
            task=self.task,
            device=self.device,
            dt=self.dt,
        )

    def yardstick(self, data: Dataset) -> Yardstick:
        """What answers to some samples are judged by."""
        return Yardstick.of(
            self.folded,
            data,
            self.fitted,
            self.timesteps.last,
            task=self.task,
            batch_size=self.batch_size,
            device=self.device,
        )

    def facts(self, parts: HeldOut, tried: str) -> dict[str, str]:
        """What results depend on, by name: those of a sweep that goes on must be of the same.

        Args:
            parts: the calibration samples.
            tried: which points, as text.
        """
        digest = sha256()
        for part in (parts.fitting, parts.held_out):
            digest.update(sample_digests(part).tobytes())
            digest.update(f"{part.fingerprint} {part.preprocessing}".encode())
        told = (
            self.timesteps,
            self.dt,
            self.encoder,
            self.input_scale,
            self.task,
            sorted(self.preparation.items()),
            self.correction_samples,
            self.correction_seed,
        )
        return {
            "network": self.folded.fingerprint,
            "data": digest.hexdigest(),
            "grid": tried,
            "settings": ", ".join(map(str, told)),
        }

    def settled(self, chosen: Sequence[Chosen], data: Dataset, test: Dataset | None) -> tuple[Settled, ...]:
        """What was chosen, made on all calibration samples and measured on test data.

        Args:
            chosen: points and their T.
            data: all calibration samples.
            test: other samples; None for none.
        """
        statistics = self.statistics(data, [one.row.point for one in chosen])
        found = []
        for one in chosen:
            conversion = self.made(one.row.point, statistics, data)
            found.append(Settled(one, conversion, None if test is None else self._measured(conversion, one, test)))
        return tuple(found)

    def _measured(self, conversion: Conversion, chosen: Chosen, test: Dataset) -> Measures:
        steps = {"dt": self.dt} if isinstance(test, Recordings) else {"timesteps": chosen.row.timesteps}
        runs: dict[str, Any] = {"encoder": self.encoder, "batch_size": self.batch_size, "device": self.device, **steps}
        return measure(
            conversion,
            test,
            settings=RunSettings(**runs),
            task=self.task,
            allow_overlap=self.allow_overlap,
            progress=self.stage(f"measuring {chosen.row.point}"),
            cluster=self.cluster,
        )


class Judge:
    """Says what points do on samples held out, each once; what a sweep knows already is taken from it.

    Args:
        job: what is the same for all of them.
        parts: the calibration samples.
        sweep: what is known.
        points: all that may be asked for.
    """

    def __init__(self, job: Job, parts: HeldOut, sweep: Sweep, points: Sequence[Point]) -> None:
        self.job, self.parts, self.sweep, self.points = job, parts, sweep, points
        self.yardstick = job.yardstick(parts.held_out)

    @cached_property
    def statistics(self) -> Statistics:
        """Statistics of the samples that are not held out, gathered when a point is first made."""
        return self.job.statistics(self.parts.fitting, self.points)

    def __call__(self, point: Point, samples: int) -> Scored:
        """What a point does on so many of the samples held out."""
        known = self.sweep.get(point, samples)
        if known is not None:
            return known
        found = scored(self._shared(samples), point)
        self.sweep.add(point, samples, found)
        return found

    def each(self, points: Sequence[Point], samples: int) -> Iterator[Scored]:
        """What each of some points does on so many of the samples held out, in their order; workers share them."""
        unknown = [point for point in points if self.sweep.get(point, samples) is None]
        if self.job.cluster is None or not unknown:
            yield from (self(point, samples) for point in points)
            return
        calls = [lambda point=point: (point,) for point in unknown]
        found = self.job.cluster.each(scored, self._shared(samples), calls)
        for point in points:
            known = self.sweep.get(point, samples)
            if known is None:
                known = next(found)
                self.sweep.add(point, samples, known)
            yield known

    def _shared(self, samples: int) -> Judged:
        alone = replace(self.job, progress=None, cluster=None)
        return Judged(alone, self.statistics, self.parts.fitting, self.yardstick.some(samples, self.parts.seed))


@dataclass(frozen=True, eq=False)
class Judged:
    """What all points of a round share; it can be sent to a worker.

    Attributes:
        job: without what belongs to this process.
        statistics: of the samples that are not held out.
        fitting: these samples.
        yardstick: samples held out.
    """

    job: Job
    statistics: Statistics
    fitting: Dataset
    yardstick: Yardstick


def scored(judged: Judged, point: Point) -> Scored:
    """What a point does on the samples of a round."""
    job = judged.job
    with naming(point):
        conversion = job.made(point, judged.statistics, judged.fitting)
        runs: dict[str, Any] = {"batch_size": job.batch_size, "device": job.device, "dt": job.dt}
        return judged.yardstick.scored(conversion, job.fitted, job.timesteps.last, **runs)
