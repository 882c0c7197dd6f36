"""What measuring a spiking network gives: one value, with its text and its plain numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from spikewright.engines import Run
from spikewright.errors import SettingsError
from spikewright.graph import Array, Shape
from spikewright.measures.advice import Had
from spikewright.measures.base import MeasureResult
from spikewright.measures.correlation import Correlation
from spikewright.measures.early_exit import ExitMeasure
from spikewright.measures.energy import Energy
from spikewright.measures.error_split import ErrorSplit
from spikewright.measures.firing_rate import FiringRate
from spikewright.measures.operations import Operations
from spikewright.measures.protocol import Protocol
from spikewright.measures.scores import HeadMeasures, agreement_name
from spikewright.measures.synops import SynOps
from spikewright.rates import Rates
from spikewright.tabular import Column, Table, Tabular
from spikewright.text import brief, energy_text, shape_text, short

if TYPE_CHECKING:
    import pandas as pd

Rows = Literal["populations", "timesteps", "layers"]


@dataclass(frozen=True, eq=False)
class LayerMeasures:
    """What one population did.

    Attributes:
        name: of the population.
        kind: its node type.
        shape: of the population.
        firing: its firing rates.
        correlation: with the analog activations.
    """

    name: str
    kind: str
    shape: Shape
    firing: FiringRate
    correlation: Correlation | None

    __repr__ = brief


@dataclass(frozen=True, eq=False)
class Measures(Tabular):
    """What a spiking network did on N samples over T timesteps.

    Attributes:
        samples, timesteps: N and T.
        engine: that simulated them.
        heads: by output: its task, its scores at every timestep, and its agreement with the analog network.
        layers: by population.
        synops: by layer, per sample over all timesteps.
        operations: by layer, per sample over all timesteps.
        energy_spiking, energy_analog: estimates, nanojoules per sample; None without the trained network.
        energy: the constants of the estimate.
        rates: of every neuron.
        run: what was simulated: counts, and what was recorded.
        raster: by population, ``(T, up to 40)``: the spikes of some neurons for the first sample, at most 1,024 steps.
        rate_over_time: by population, ``(T,)``: spikes per neuron in each timestep of the first sample, at most 1,024.
        others: by name, what the measures found that nobody lists: those of files of their own, and of other packages.
        warnings: what is odd, a sentence each; of the labels see ``HeadMeasures.remark``.
        errors: what the errors of each population come from; None where nobody asked.
        early_exit: what stopping samples early would give; None where nobody asked.
        protocol: which samples were used for what; None without the trained network.
        had: what the conversion has been given against losses already.
        compared: whether there was a trained network to compare with: of a conversion there is one, of a bare spiking
            graph not, and then there is no correlation, no agreement and no score of the analog network.
    """

    samples: int
    timesteps: int
    engine: str
    heads: dict[str, HeadMeasures]
    layers: dict[str, LayerMeasures]
    synops: dict[str, SynOps]
    operations: dict[str, Operations]
    energy_spiking: float
    energy_analog: float | None
    energy: Energy
    rates: Rates
    run: Run
    raster: dict[str, Array] = field(default_factory=dict)
    rate_over_time: dict[str, Array] = field(default_factory=dict)
    others: Mapping[str, MeasureResult] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    errors: ErrorSplit | None = None
    early_exit: ExitMeasure | None = None
    protocol: Protocol | None = None
    had: Had = field(default_factory=Had)
    compared: bool = True

    def __repr__(self) -> str:
        trained = "" if self.energy_analog is None else f", of the trained network {energy_text(self.energy_analog)}"
        lines = [
            f"Measures of {self.samples:,} samples at T={self.timesteps}",
            *(repr(head) for head in self.heads.values()),
            f"firing rate {self.firing_rate:.4f}, {short(self.total_synops)} synaptic operations a sample",
            f"energy, estimated: {energy_text(self.energy_spiking)}{trained}",
            *(f"{reading.title}: {reading.text()}" for reading in self.others.values()),
            *([] if self.early_exit is None else [str(self.early_exit)]),
            *(f"warning: {line}" for line in self.warnings),
            *(f"note: {line}" for line in self.notes),
        ]
        return "\n  ".join(lines)

    def _table(self) -> Table:
        return self._of_populations(repr(self).split("\n  "))

    def to_pandas(self, rows: Rows = "populations") -> pd.DataFrame:
        """One of its tables as a data frame of pandas.

        Args:
            rows: what a row is: one of the "populations", with what it sent and how that goes with its activations; one
                of the "timesteps", with every score of every output, and of its agreement with the analog network; or
                one of the "layers" that have weights, with its operations per sample.

        Raises:
            SettingsError: for other rows, and where pandas is not installed.
        """
        found = {"populations": self._of_populations, "timesteps": self._of_timesteps, "layers": self._of_layers}
        if rows not in found:
            raise SettingsError(f"rows of measures are {', '.join(found)}, not {rows!r:.40}")
        return found[rows]().to_pandas()

    def _of_populations(self, lines: Sequence[str] = ()) -> Table:
        titles = ("population", "type", "shape", "firing rate", "silent", "correlation", "rms error")
        rows = []
        for name, one in self.layers.items():
            pair = (None, None) if one.correlation is None else (one.correlation.pearson, one.correlation.rms)
            rows.append((name, one.kind, shape_text(one.shape), one.firing.mean, one.firing.silent, *pair))
        return Table.of_rows(titles, rows, lines)

    def _of_timesteps(self) -> Table:
        columns: dict[str, Column] = {"timesteps": range(1, self.timesteps + 1)}
        for name, head in self.heads.items():
            before = "" if len(self.heads) == 1 else f"{name} "
            columns |= {f"{before}{score}": curve for score, curve in head.scores.items()}
            columns |= {f"{before}{agreement_name(score)}": curve for score, curve in head.agreement.items()}
        return Table(columns)

    def _of_layers(self) -> Table:
        titles = ("layer", "synops of spikes", "synops of relays", "MACs of an analog input", "effective ACs")
        rows = []
        for name, one in self.synops.items():
            effective = self.operations.get(name)
            both = (None, None) if effective is None else (effective.acs, effective.macs)
            rows.append((name, one.spikes, one.relayed, one.input_connections * self.run.mean_steps, *both))
        return Table.of_rows((*titles, "effective MACs"), rows)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the numbers should know, a sentence each."""
        found = [] if self.compared else [NOT_COMPARED]
        overlap = None if self.protocol is None else self.protocol.overlap
        if self.compared and overlap is not None and overlap.shared and overlap.natural:
            found.append(str(overlap))
        if self.run.windows > 1:
            windows = f"{self.run.windows}·T timesteps, {self.latency} at T={self.timesteps}"
            found.append(f"populations exchange window by window: an answer over T timesteps is there after {windows}")
        if self.negative:
            found.append(
                f"{100 * self.negative:.3g} % of all spikes are −1: they cost what others cost, in firing rates, "
                "synaptic operations and energy; what is compared with activations is what each neuron sent in all"
            )
        if self.run.weight_error is not None:
            found.append(
                f"weights of layers that read spikes were rounded to 8 bits, by {100 * self.run.weight_error:.2g} % "
                "(root mean square): every number is of the network with these weights"
            )
        return tuple(found)

    @property
    def negative(self) -> float:
        """The part of all spikes that is −1."""
        spikes = sum(float(sent.sum()) for sent in self.run.sent.values())
        return sum(float(below.sum()) for below in self.run.negative.values()) / max(spikes, 1.0)

    @property
    def latency(self) -> int:
        """After how many timesteps the last answer to a sample is there: T, or L·T in windows. See ``Run.windows``."""
        return self.run.latency

    @property
    def head(self) -> HeadMeasures:
        """Measures of the first output: for most networks the only one."""
        return next(iter(self.heads.values()))

    @property
    def accuracy(self) -> NDArray[np.float64] | None:
        """``(T,)`` in 0..1, of the first output; None without labels, and for regression."""
        return self.head.scores.get("accuracy")

    @property
    def top5(self) -> NDArray[np.float64] | None:
        """``(T,)`` in 0..1, of the first output; None without labels, and below 6 classes."""
        return self.head.scores.get("top5")

    @property
    def analog_accuracy(self) -> float | None:
        """Accuracy of the analog network on the same samples, at the first output; None as ``accuracy``."""
        return self.head.analog.get("accuracy")

    @property
    def agreement(self) -> NDArray[np.float64] | None:
        """``(T,)`` in 0..1: what the first output answers as the analog network does; None for regression, and where
        there is no network to compare with."""
        return self.head.agreement.get("accuracy")

    @property
    def curve(self) -> NDArray[np.float64] | None:
        """``(T,)``: the main score of the first output, or what stands for it in agreement where no labels are; None
        where there is neither."""
        return self.head.curves.get(self.head.task.main)

    @property
    def firing_rate(self) -> float:
        """Spikes per neuron and timestep over the whole network."""
        sizes = {name: int(np.prod(layer.shape)) for name, layer in self.layers.items()}
        spikes = sum(layer.firing.mean * sizes[name] for name, layer in self.layers.items())
        return spikes / max(sum(sizes.values()), 1)

    @property
    def total_synops(self) -> float:
        """Synaptic operations per sample: of spikes, and of values handed on without neurons between."""
        return sum(layer.total for layer in self.synops.values())

    @property
    def dt(self) -> float | None:
        """The length of a timestep in seconds; None where nobody said. With it go all numbers per second."""
        return self.run.dt

    @property
    def seconds(self) -> float | None:
        """How long a sample takes: T timesteps; the mean of recordings of different length."""
        return None if self.dt is None else self.run.mean_steps * self.dt

    @property
    def firing_rate_per_second(self) -> float | None:
        """Spikes per neuron and second over the whole network, in hertz."""
        return None if self.dt is None else self.firing_rate / self.dt

    @property
    def synops_per_second(self) -> float | None:
        """Synaptic operations per second while samples follow one another without a pause."""
        return None if self.seconds is None else self.total_synops / self.seconds

    @property
    def power_spiking(self) -> float | None:
        """``energy_spiking`` over the time of a sample, in milliwatts."""
        return None if self.seconds is None else self.energy_spiking / self.seconds * 1e-6

    @property
    def power_analog(self) -> float | None:
        """``energy_analog`` over the time of a sample, in milliwatts: at as many samples a second."""
        if self.seconds is None or self.energy_analog is None:
            return None
        return self.energy_analog / self.seconds * 1e-6

    def summary(self) -> dict[str, Any]:
        """The numbers as plain JSON-like values; those per second where the length of a timestep is known."""
        return {
            "engine": self.engine,
            "engine_reason": self.run.engine_reason,
            "weight_error": self.run.weight_error,
            "samples": self.samples,
            "timesteps": self.timesteps,
            **({} if self.run.mean_steps == self.timesteps else {"mean_timesteps": self.run.mean_steps}),
            "latency": self.latency,
            **(self._of_one_output() if len(self.heads) == 1 else {}),
            "heads": {name: head.summary() for name, head in self.heads.items()},
            "warnings": list(self.warnings),
            "notes": list(self.notes),
            "firing_rate": self.firing_rate,
            "synops_per_sample": self.total_synops,
            "relayed_synops_per_sample": sum(layer.relayed for layer in self.synops.values()),
            "effective_acs_per_sample": sum(o.acs for o in self.operations.values()),
            "effective_macs_per_sample": sum(o.macs for o in self.operations.values()),
            "energy_spiking_nj": self.energy_spiking,
            "energy_analog_nj": self.energy_analog,
            **self._per_second(),
            "energy_constants_pj": {"mac": self.energy.mac, "ac": self.energy.ac},
            "layers": {
                name: {
                    "firing_rate": layer.firing.mean,
                    "silent": layer.firing.silent,
                    "negative": layer.firing.negative,
                    "correlation": None if layer.correlation is None else layer.correlation.pearson,
                    "rms_error": None if layer.correlation is None else layer.correlation.rms,
                }
                for name, layer in self.layers.items()
            },
            "synops": {name: layer.total for name, layer in self.synops.items()},
            "errors": None if self.errors is None else self.errors.summary(),
            "early_exit": None if self.early_exit is None else self.early_exit.summary(),
            "protocol": None if self.protocol is None else self.protocol.summary(),
            "others": {name: result.summary() for name, result in self.others.items()},
        }

    def _per_second(self) -> dict[str, Any]:
        if self.dt is None:
            return {}
        return {
            "dt": self.dt,
            "firing_rate_hz": self.firing_rate_per_second,
            "synops_per_second": self.synops_per_second,
            "power_spiking_mw": self.power_spiking,
            "power_analog_mw": self.power_analog,
        }

    def _of_one_output(self) -> dict[str, Any]:
        """What a network with one output is read by, by short names; of a regression no accuracy."""
        head = self.head.summary()
        found = {**head["scores"], **{f"analog_{name}": value for name, value in head["analog"].items()}}
        agreement = {agreement_name(name): curve for name, curve in head["agreement"].items()}
        missing = (
            {"accuracy": None, "analog_accuracy": None, "top5": None} if "accuracy" in self.head.task.agreed else {}
        )
        if not self.compared:
            missing |= dict.fromkeys(map(agreement_name, self.head.task.agreed))
        return {"task": head["task"], **missing, **found, **agreement}


NOT_COMPARED = (
    "this spiking network comes without the trained one, so there is nothing to compare it with: no correlation, no "
    "agreement, no analog score"
)
