"""What a simulation of a data set gave, and how parts of it become one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from spikewright.data import Targets
from spikewright.data.labels import joined
from spikewright.engines.remarks import Observations
from spikewright.errors import SettingsError
from spikewright.events import Events
from spikewright.graph import Array
from spikewright.parts import storable
from spikewright.tabular import Table, Tabular
from spikewright.text import listed, shape_text

if TYPE_CHECKING:
    from torch import Tensor

    from spikewright.engines.reference import BatchRun


@storable
@dataclass(frozen=True, eq=False)
class Run(Tabular):
    """What a simulation of N samples over T timesteps gave, of which S are recorded.

    Attributes:
        outputs: by output node, ``(N, T, *shape)``: the answer at every timestep; empty where they were not kept.
        labels: as the data set has them: ``(N, ...)``, by the names of outputs a mapping of such, or None.
        counts: by population, its shape: the sum of what each neuron sent, over samples and timesteps: spikes, less
            those of −1.
        samples: N.
        timesteps: T.
        spikes: by population, ``(N, S, *shape)``, where recorded.
        events: by population, its spikes one by one, where recorded; samples are numbered as in their data set.
        potentials: by population, ``(N, S, *shape)``, where recorded.
        nonzero: by weighted node, its input's shape: steps in which the value was not zero, summed over samples;
            by Input, of its own values.
        negative: by population that may send less than zero, its shape: the size of all that it sent below zero,
            summed over samples and timesteps.
        graded: the nodes of ``nonzero`` that received other values than −1, 0 and 1.
        engine: the engine that made it: "event", "event, int16", "cuda", "reference", or "dense": the reference engine
            with whole windows as steps; "event, int8" and the like where it ran the network with weights of 8 bits.
        engine_reason: why it is that engine: "asked for", what times were foreseen for each, or what others cannot do.
        warnings: what is odd about it, a sentence each.
        steps: ``(S,)``, the timesteps that are recorded, from 0.
        first_sample: the place of its first sample in the data set.
        dt: the length of a timestep in seconds; None where nobody said.
        observations: what the warnings come from.
        unweighted: by population whose spikes weigh differently from step to step ("few_spike"), its shape: how many it
            sent, summed over samples. Its ``counts`` are the sum of what they weigh, which is T where it stands for λ.
        windows: L, how many windows of T steps follow one another until the last answer is there, in a network whose
            populations exchange window by window; 1 where neurons run free.
        total_steps: timesteps of all samples together: N·T, or fewer where recordings end before the longest does.
        weight_error: where weights were rounded to 8 bits, how far they are from the network's: the root mean square of
            the differences over that of the weights; None where the network's own ran.
    """

    outputs: Mapping[str, Array]
    labels: Targets | None
    counts: Mapping[str, NDArray[np.float64]]
    samples: int
    timesteps: int
    spikes: Mapping[str, Array] = field(default_factory=dict)
    events: Mapping[str, Events] = field(default_factory=dict)
    potentials: Mapping[str, Array] = field(default_factory=dict)
    nonzero: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    negative: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    graded: frozenset[str] = frozenset()
    engine: str = "reference"
    warnings: tuple[str, ...] = ()
    steps: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    first_sample: int = 0
    dt: float | None = None
    observations: Observations = field(default_factory=Observations, repr=False)
    unweighted: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    windows: int = 1
    total_steps: int = 0
    engine_reason: str = ""
    weight_error: float | None = None

    def __post_init__(self) -> None:
        if not self.total_steps:
            object.__setattr__(self, "total_steps", self.samples * self.timesteps)

    @property
    def mean_steps(self) -> float:
        """Timesteps of a sample on average: T, or fewer where recordings are of different length."""
        return self.total_steps / self.samples

    @property
    def latency(self) -> int:
        """After how many timesteps the last answer to a sample is there: L·T."""
        return self.windows * self.timesteps

    def __repr__(self) -> str:
        answers = [f"{name} {shape_text(value.shape)}" for name, value in self.outputs.items()]
        kinds = ("spikes", "events", "potentials", "nonzero")
        kept = [f"{kind} of {listed(list(getattr(self, kind)), 4)}" for kind in kinds if getattr(self, kind)]
        what = ", ".join([*answers, *kept]) or "counts only"
        steps = f"{self.timesteps} timesteps"
        if self.windows > 1:
            steps = f"{self.windows} windows of {steps}"
        return f"Run({self.samples:,} samples, {steps}, {self.engine} engine: {what})"

    def _table(self) -> Table:
        """A row a population: what it sent."""
        rows = []
        for name, sent in self.sent.items():
            rate = sent / self.total_steps
            rows.append((name, shape_text(sent.shape), int(sent.sum()), float(rate.mean()), float((rate == 0).mean())))
        titles = ("population", "shape", "spikes", "spikes per neuron and timestep", "silent")
        return Table.of_rows(titles, rows, [repr(self), *(f"warning: {line}" for line in self.warnings)])

    @property
    def sent(self) -> dict[str, NDArray[np.float64]]:
        """What each population sent, whatever its sign, in its shape, summed over samples and timesteps.

        What activations are compared with is ``counts``, what costs is this.
        """
        return {**_sent(self.counts, self.negative), **self.unweighted}

    @property
    def output(self) -> Array:
        """The answers of the first output, ``(N, T, *shape)``."""
        if not self.outputs:
            raise SettingsError("this run kept no outputs; simulate with keep_outputs=True")
        return next(iter(self.outputs.values()))

    @classmethod
    def of_batch(
        cls,
        batch: BatchRun,
        labels: Targets | None,
        *,
        timesteps: int,
        steps: NDArray[np.int64],
        first_sample: int,
        engine: str,
        dt: float | None,
        observations: Observations,
        windows: int = 1,
        total_steps: int = 0,
        engine_reason: str = "",
        weight_error: float | None = None,
    ) -> Run:
        """What one batch did, in the memory of the host; it has no warnings yet."""

        def arrays(tensors: Mapping[str, Tensor]) -> dict[str, Array]:
            return {name: value.numpy(force=True) for name, value in tensors.items()}

        return cls(
            outputs=arrays(batch.outputs),
            labels=labels,
            counts={name: _total(value) for name, value in batch.counts.items()},
            samples=observations.samples,
            timesteps=timesteps,
            spikes=arrays(batch.spikes),
            events=dict(batch.events),
            potentials=arrays(batch.potentials),
            nonzero={name: _total(value) for name, value in batch.nonzero.items()},
            negative={name: _total(value) for name, value in batch.negative.items()},
            graded=frozenset(batch.graded),
            engine=engine,
            steps=steps,
            first_sample=first_sample,
            dt=dt,
            observations=observations,
            unweighted={name: _total(value) for name, value in batch.unweighted.items()},
            windows=windows,
            total_steps=total_steps,
            engine_reason=engine_reason,
            weight_error=weight_error,
        )

    @classmethod
    def merged(cls, runs: Sequence[Run]) -> Run:
        """The runs of consecutive parts of a data set as the run of all of it: the same, bit for bit.

        Args:
            runs: in the order of their samples; see ``Dataset.part``.

        Raises:
            SettingsError: for no run, a gap between them, or runs that were not made in the same way.
        """
        joiner = RunJoiner()
        for run in runs:
            if joiner.first is not None:
                _check_fits(joiner.first, run, joiner.first.first_sample + joiner.samples)
            joiner.add(run)
        return joiner.run()

    def __add__(self, other: Run) -> Run:
        return Run.merged([self, other]) if isinstance(other, Run) else NotImplemented


@storable
class RunJoiner:
    """Puts runs of consecutive samples together: rows side by side, everything that would grow with N summed up."""

    def __init__(self) -> None:
        self.first: Run | None = None
        self.samples = self.total_steps = 0
        self.rows: dict[tuple[str, str], list[Array]] = {}
        self.events: dict[str, list[Events]] = {}
        self.sums: dict[tuple[str, str], NDArray[np.float64]] = {}
        self.labels: list[Targets] = []
        self.graded: frozenset[str] = frozenset()
        self.engines: dict[str, None] = {}
        self.reasons: dict[str, None] = {}
        self.observations = Observations()

    def add(self, run: Run) -> None:
        """The next samples, which were run in the same way."""
        self.first = self.first or run
        self.samples += run.samples
        self.total_steps += run.total_steps
        for label in ("outputs", "spikes", "potentials"):
            for name, value in getattr(run, label).items():
                self.rows.setdefault((label, name), []).append(value)
        for label in _SUMS:
            for name, value in getattr(run, label).items():
                key = label, name
                self.sums[key] = self.sums[key] + value if key in self.sums else value
        for name, events in run.events.items():
            self.events.setdefault(name, []).append(events)
        if run.labels is not None:
            self.labels.append(run.labels)
        self.graded |= run.graded
        self.engines[run.engine] = self.reasons[run.engine_reason] = None
        self.observations = self.observations.merged(run.observations)

    def run(self) -> Run:
        """All of them.

        Raises:
            SettingsError: where there was none.
        """
        if self.first is None:
            raise SettingsError("there are no runs to merge")
        outputs, spikes, potentials = (
            {name: _joined(rows) for (kind, name), rows in self.rows.items() if kind == label}
            for label in ("outputs", "spikes", "potentials")
        )
        counts, nonzero, negative, unweighted = (
            {name: total for (kind, name), total in self.sums.items() if kind == label} for label in _SUMS
        )
        return Run(
            outputs=outputs,
            labels=joined(self.labels),
            counts=counts,
            samples=self.samples,
            timesteps=self.first.timesteps,
            spikes=spikes,
            events={name: Events.joined(trains[0].shape, trains) for name, trains in self.events.items()},
            potentials=potentials,
            nonzero=nonzero,
            negative=negative,
            graded=self.graded,
            engine=" and ".join(self.engines),
            warnings=self.observations.remarks({**_sent(counts, negative), **unweighted}, self.first.timesteps),
            steps=self.first.steps,
            first_sample=self.first.first_sample,
            dt=self.first.dt,
            observations=self.observations,
            unweighted=unweighted,
            windows=self.first.windows,
            total_steps=self.total_steps,
            engine_reason="; ".join(filter(None, self.reasons)),
            weight_error=self.first.weight_error,
        )


def _check_fits(first: Run, run: Run, expected: int) -> None:
    """Refuse a run that is not the continuation of another."""
    if run.first_sample != expected:
        raise SettingsError(
            f"runs merge in the order of their samples: this one begins at sample {run.first_sample}, the samples "
            f"before it end at {expected}; simulate parts of one data set (Dataset.part), or with "
            f"first_sample={expected}"
        )
    for what, one, other in (
        ("timesteps", first.timesteps, run.timesteps),
        ("a timestep in seconds", first.dt, run.dt),
        ("windows until the answer", first.windows, run.windows),
        ("errors of weights in 8 bits", first.weight_error, run.weight_error),
        ("the timesteps that are recorded", first.steps.tolist(), run.steps.tolist()),
        ("labels", first.labels is not None, run.labels is not None),
        *((label, _shapes(first, label), _shapes(run, label)) for label in _BY_NAME),
    ):
        if one != other:
            raise SettingsError(
                f"runs merge where they were made in the same way: {what} of the first are {one!s:.60}, "
                f"of another {other!s:.60}"
            )


_SUMS = ("counts", "nonzero", "negative", "unweighted")
_BY_NAME = (*_SUMS, "outputs", "spikes", "events", "potentials")
_BY_SAMPLE = ("outputs", "spikes", "potentials")


def _shapes(run: Run, label: str) -> dict[str, tuple[int, ...]]:
    """By node, the shape of what is recorded, for each sample where it is kept for each."""
    lead = 1 if label in _BY_SAMPLE else 0
    return {name: value.shape[lead:] for name, value in getattr(run, label).items()}


def _sent(
    counts: Mapping[str, NDArray[np.float64]], negative: Mapping[str, NDArray[np.float64]]
) -> dict[str, NDArray[np.float64]]:
    """What was sent whatever its sign, from the sums and from what was below zero."""
    return {name: total + 2 * negative[name] if name in negative else total for name, total in counts.items()}


def _total(value: Tensor) -> NDArray[np.float64]:
    """The sum over samples, a few of them at a time: a batch in double precision would be large."""
    if value.shape[0] == 1:
        total: NDArray[np.float64] = value.numpy(force=True)[0].astype(np.float64, copy=False)
        return total
    value = value.detach()
    few = max(1, 2**22 // value[0].numel())
    added = value[:few].double().sum(dim=0)
    for first in range(few, len(value), few):
        added += value[first : first + few].double().sum(dim=0)
    return added.cpu().numpy()


def _joined(rows: list[Array]) -> Array:
    """Batches as one array; each is let go as soon as it is copied."""
    if len(rows) == 1:
        return rows[0]
    whole = np.empty((sum(map(len, rows)), *rows[0].shape[1:]), rows[0].dtype)
    first = 0
    while rows:
        some = rows.pop(0)
        whole[first : first + len(some)] = some
        first += len(some)
    return whole
