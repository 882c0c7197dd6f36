"""How much every neuron of a network sends in one timestep, on average over a simulation.

A rate is net: a spike of −1 takes one back, and one of a few-spike window counts by its weight. What travels and costs
is ``Rates.sizes``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
from numpy.typing import NDArray

from spikewright.cluster import ClusterChoice, cluster_of
from spikewright.conversion import Conversion, spiking_graph
from spikewright.data import Dataset, as_dataset
from spikewright.data.recordings import EventDataset
from spikewright.engines import Record, Run, RunSettings
from spikewright.engines.in_parts import Simulated, run_on
from spikewright.engines.on_events import Prepared, on_events
from spikewright.engines.settings import TIMESTEPS, RunKeywords, given_settings
from spikewright.engines.signs import signed_populations
from spikewright.engines.simulation import first_sample, made_by, run_over
from spikewright.engines.windows import schedule_of, spike_weight
from spikewright.errors import DataError, SettingsError, SpikewrightError, warn
from spikewright.graph import Graph, Node, Shape
from spikewright.input_sums import InputSums, SumsOfParts
from spikewright.npz import npz_headers, read_npz
from spikewright.parts import Checkpoint, Stage, fingerprint_of_run
from spikewright.provenance import PROVENANCE, History, Provenance
from spikewright.tabular import Table, Tabular
from spikewright.text import listed, shape_text

if TYPE_CHECKING:
    from torch import Tensor

PREFIX, SENT = "rate/", "sent/"


@dataclass(frozen=True, eq=False)
class Rates(Tabular):
    """Firing rates of the inputs and populations of one network.

    Attributes:
        values: by node, in its shape: spikes in all, less those of −1, ÷ timesteps of all samples; of an input the mean
            of its values.
        network: the fingerprint of the graph that ran.
        samples, timesteps: how long it ran; 0 where nobody said.
        total_steps: timesteps of all samples together: samples times timesteps, or fewer where recordings are of
            different length.
        dt: the length of a timestep in seconds; None where nobody said.
        event_value: what an event of a recording stands for in the values of the input; None for other inputs.
        sent: by node that sent both more and less than zero, or spikes of several weights, in its shape: the same with
            every spike counted as 1.
        provenance: how they were made, where it is known.
    """

    values: Mapping[str, NDArray[np.float64]]
    network: str
    samples: int = 0
    timesteps: int = 0
    dt: float | None = None
    sent: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    total_steps: int = 0
    event_value: float | None = None
    provenance: History = ()

    def __post_init__(self) -> None:
        if not self.total_steps:
            object.__setattr__(self, "total_steps", self.samples * self.timesteps)

    def __repr__(self) -> str:
        means = listed([f"{name} {value.mean():.3g}" for name, value in self.values.items()])
        return f"Rates({self.samples:,} samples, {self.timesteps} timesteps, means: {means})"

    def _table(self) -> Table:
        """A row a node that sends: how much its neurons send in a timestep."""
        rows = []
        for name, value in self.values.items():
            size = self.sizes(name)
            silent = float((size == 0).mean())
            rows.append((name, shape_text(value.shape), float(value.mean()), float(size.max()), silent))
        line = f"Rates of {self.samples:,} samples over {self.timesteps} timesteps, per neuron and timestep"
        return Table.of_rows(("node", "shape", "mean", "highest", "silent"), rows, [line])

    @classmethod
    def of(cls, graph: Graph, run: Run, inputs: InputSums, data: Dataset, settings: RunSettings) -> Rates:
        """The rates of a run.

        Args:
            graph: as it was given. Of recordings it is not what ran: over the steps of a frame an input is so many
                times as large there, and neurons send the same.
            run: of it.
            inputs: the sums of what every input sent, over all samples and timesteps.
            data: that ran.
            settings: how it ran.
        """
        steps, event = run.total_steps, None
        if isinstance(data, EventDataset):
            event = data.source.binning.scale
            inputs = inputs.divided(data.steps_a_frame)
        sums, sizes = {**inputs.sums, **run.counts}, {**inputs.sizes, **run.sent}
        values = {node.name: np.asarray(sums[node.name]) / steps for node in graph if node.name in sums}
        both = [name for name in values if not np.array_equal(np.abs(sums[name]), sizes[name])]
        sent = {name: np.asarray(sizes[name]) / steps for name in both}
        made = (made_by(graph, settings, data),)
        return cls(values, graph.fingerprint, run.samples, run.timesteps, run.dt, sent, steps, event, made)

    def sizes(self, name: str) -> NDArray[np.float64]:
        """How much a node sends in a timestep, in its shape, whatever the sign: what travels."""
        return np.abs(self.values[name]) if name not in self.sent else np.asarray(self.sent[name])

    @classmethod
    def merged(cls, rates: Sequence[Rates]) -> Rates:
        """Those of the parts of a data set as those of all of it, to within rounding: a mean by numbers of timesteps.

        Raises:
            SettingsError: for none, or rates of which nobody said of how many samples they are.
            DataError: for rates of different networks, timesteps or nodes.
        """
        if not rates or not all(one.samples for one in rates):
            raise SettingsError("rates merge where each says of how many samples it is; simulate again")
        first, samples = rates[0], sum(one.samples for one in rates)
        weights = [one.total_steps or one.samples for one in rates]
        for one in rates:
            if (one.network, one.timesteps, one.dt) != (first.network, first.timesteps, first.dt):
                raise DataError("rates of different networks or timesteps cannot be merged")
            if {n: np.shape(v) for n, v in one.values.items()} != {n: np.shape(v) for n, v in first.values.items()}:
                raise DataError("rates of different nodes cannot be merged")

        def mean(parts: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
            weighted = [part * weight for part, weight in zip(parts, weights, strict=True)]
            return np.asarray(np.sum(weighted, axis=0) / sum(weights))

        values = {name: mean([one.values[name] for one in rates]) for name in first.values}
        sizes = {name: mean([one.sizes(name) for one in rates]) for name in first.values}
        sent = {name: size for name, size in sizes.items() if not np.array_equal(np.abs(values[name]), size)}
        total = sum(one.total_steps for one in rates)
        return replace(first, values=values, samples=samples, sent=sent, total_steps=total)

    @property
    def per_second(self) -> dict[str, NDArray[np.float64]]:
        """The same per second: spikes per neuron in hertz, less those of −1; of an input its values per second.

        Raises:
            SettingsError: where nobody said how long a timestep is.
        """
        if self.dt is None:
            raise SettingsError("nobody said how long a timestep is; simulate with dt=SECONDS")
        return {name: np.asarray(values) / self.dt for name, values in self.values.items()}

    def arrays(self) -> dict[str, Any]:
        """What an ``.npz`` holds of them: the rates, in spikes per neuron and timestep, and whose they are."""
        facts: dict[str, Any] = {"network": self.network, "samples": self.samples, "timesteps": self.timesteps}
        facts |= {} if self.total_steps == self.samples * self.timesteps else {"total_steps": self.total_steps}
        facts |= {} if self.event_value is None else {"event_value": self.event_value}
        facts |= {} if self.dt is None else {"dt": self.dt}
        facts_as_arrays = {label: np.array(value) for label, value in facts.items()}
        by_node = ((PREFIX, self.values), (SENT, self.sent))
        return {
            **facts_as_arrays,
            **{f"{prefix}{name}": values for prefix, found in by_node for name, values in found.items()},
        }

    def checked(self, graph: Graph) -> Rates:
        """The same, once it is clear that they are rates of this network.

        Raises:
            DataError: for rates of another network, of another shape, missing, negative or not numbers.
        """
        if self.network and self.network != graph.fingerprint:
            raise DataError(
                "these are the rates of another network (its fingerprint is "
                f"{self.network[:12]}…, this one's {graph.fingerprint[:12]}…); simulate this one again"
            )
        signed = signed_populations(graph)
        heaviest = max(1.0, spike_weight(schedule_of(graph), 0, self.timesteps))
        for node in graph:
            if node.inputs and not node.population:
                continue
            if node.name not in self.values:
                raise DataError(f"no rates of '{node.name}'; simulate this network again, and store its run whole")
            rates = np.asarray(self.values[node.name])
            _check_shape(node.name, rates.shape, graph)
            bad = ~np.isfinite(rates)
            if node.population and node.name not in signed:
                bad |= rates < 0
            if bad.any():
                where = tuple(int(i) for i in np.argwhere(bad)[0])
                numbers = "numbers" if node.name in signed or not node.inputs else "numbers, 0 or more"
                raise DataError(
                    f"the rate of '{node.name}'{list(where)} is {rates[where]}; rates are {numbers}: {AGAIN}"
                )
            if node.name in self.sent:
                sizes = np.asarray(self.sent[node.name])
                _check_shape(node.name, sizes.shape, graph)
                if not (heaviest * sizes >= np.abs(rates) - 1e-9 * sizes).all() or not np.isfinite(sizes).all():
                    raise DataError(f"'{node.name}' cannot send less than its rates say; {AGAIN}")
        return self


def _check_shape(name: str, shape: Shape, graph: Graph) -> None:
    if shape != graph.shapes[name]:
        raise DataError(f"rates of '{name}' have the shape {shape}, its neurons {graph.shapes[name]}")


def load_rates(path: Path | str, graph: Graph | Conversion) -> Rates:
    """The rates that ``spikewright simulate -o`` stored.

    Raises:
        DataError: for a file that is missing, damaged, without rates, or of another network.
    """
    graph = spiking_graph(graph)
    if not Path(path).is_file():
        raise DataError(f"{path}: no such file; 'spikewright simulate -o' writes it")
    headers = npz_headers(path, AGAIN)
    if "network" not in headers:
        raise DataError(f"{path}: holds no rates; simulate again with this version of spikewright")
    wanted = {node.name: f"{PREFIX}{node.name}" for node in graph if not node.inputs or node.population}
    there = {name: label for name, label in wanted.items() if label in headers}
    both = {name: f"{SENT}{name}" for name in there if f"{SENT}{name}" in headers}
    with _in_file(path):
        for name, label in (*there.items(), *both.items()):  # before any values are unpacked
            _check_shape(name, headers[label].shape, graph)
        if any(headers[label].nbytes > 1024 for label in FACTS if label in headers) or (
            PROVENANCE in headers and headers[PROVENANCE].nbytes > MOST_TOLD
        ):
            raise DataError(f"it does not say whose rates they are; {AGAIN}")
    arrays = read_npz(path, [*FACTS, PROVENANCE, *there.values(), *both.values()], advice=AGAIN)
    with _in_file(path):
        values, sent = ({name: _numbers(arrays, label) for name, label in one.items()} for one in (there, both))
        network, samples, timesteps = _text(arrays["network"]), _count(arrays, "samples"), _count(arrays, "timesteps")
        if network and "samples" not in arrays:
            raise DataError(f"it does not say of how many samples its rates are; {AGAIN}")
        if "timesteps" not in arrays and "timestep" in headers:  # as files of before have it
            timesteps = prod(headers["timestep"].shape)
        total = _count(arrays, "total_steps")
        dt = _number(arrays, "dt", "number of seconds", above=0)
        event = _number(arrays, "event_value", "value of an event", above=-np.inf)
        made = (Provenance.parse(str(arrays[PROVENANCE])),) if PROVENANCE in arrays else ()
        return Rates(values, network, samples, timesteps, dt, sent, total, event, made).checked(graph)


@contextmanager
def _in_file(path: Path | str) -> Iterator[None]:
    """What is wrong with what a file holds, with the file before it.

    Raises:
        DataError: for any error of ours.
    """
    try:
        yield
    except SpikewrightError as error:
        raise DataError(f"{path}: {error}") from error


AGAIN = "simulate again"
MOST_TOLD = 1 << 22
"""Bytes of what a file says of how it was made."""
FACTS = ("network", "samples", "timesteps", "total_steps", "event_value", "dt")


def _numbers(arrays: Mapping[str, NDArray[Any]], label: str) -> NDArray[np.float64]:
    array = arrays[label]
    if array.dtype.kind not in "fiu":
        raise DataError(f"'{label}' holds {array.dtype}, not numbers; {AGAIN}")
    return array.astype(np.float64)


def _text(array: NDArray[Any]) -> str:
    """The fingerprint of a network; it may be empty where somebody else made the rates."""
    if array.ndim or array.dtype.kind != "U" or (array.item() and not re.fullmatch("[0-9a-f]{64}", array.item())):
        raise DataError(f"its network is no fingerprint; {AGAIN}")
    return str(array.item())


def _count(arrays: Mapping[str, NDArray[Any]], label: str) -> int:
    array = arrays.get(label, np.array(0))
    if array.ndim or array.dtype.kind not in "iu" or array < 0:
        raise DataError(f"its number of {label} is none; {AGAIN}")
    return int(array)


def _number(arrays: Mapping[str, NDArray[Any]], label: str, what: str, above: float) -> float | None:
    """A finite number, not 0, above one; None where there is none."""
    array = arrays.get(label)
    if array is None:
        return None
    if array.ndim or array.dtype.kind not in "fiu" or not (array and above < array < np.inf):
        raise DataError(f"its {label} is no {what}; {AGAIN}")
    return float(array)


def simulated_rates(
    graph: Graph | Conversion,
    data: Any,
    timesteps: int = TIMESTEPS,
    *,
    settings: RunSettings | None = None,
    record: Record | Collection[str] = (),
    progress: Callable[[int, int], None] | None = None,
    cluster: ClusterChoice = None,
    checkpoint: Checkpoint | None = None,
    **keywords: Unpack[RunKeywords],
) -> Rates:
    """Simulate a spiking graph for the rates of its neurons alone; arguments and errors as ``simulate``.

    Of what is recorded only events can be asked for, written to a folder: nothing but rates is given back. With a
    ``checkpoint`` what was counted is kept, so that an interrupted simulation can go on: see ``measure``.
    """
    chosen, wanted = given_settings(settings, timesteps, record, keywords)
    if wanted.what:
        raise SettingsError(
            f"rates hold no {', '.join(wanted.what)}: call simulate for them; only events can be recorded, to a folder"
        )
    dataset = as_dataset(data, spiking_graph(graph).inputs)
    prepared = on_events(graph, dataset, chosen, said=timesteps is not TIMESTEPS)
    given, graph = spiking_graph(graph), spiking_graph(prepared.network)
    dataset, chosen = prepared.data, prepared.settings
    sums = InputSums(graph, chosen.chosen_encoder.fitted(graph), chosen.timesteps, first_sample(chosen, dataset))
    recording = wanted.fitted(graph, chosen.timesteps)
    wanted = replace(wanted, outputs=False)
    stage = None if checkpoint is None else _stage(checkpoint, prepared, wanted)
    if cluster is None:
        run = run_over(graph, dataset, chosen, wanted, recording, (sums,), progress, stage)
    else:
        with cluster_of(cluster) as workers:
            task = Simulated(graph, chosen, wanted, watch=SumsOfParts())
            run = run_on(workers, task, dataset, wanted, observer=sums, progress=progress, stage=stage)
    warn(run.warnings)
    return Rates.of(given, run, sums, dataset, chosen)


def _stage(checkpoint: Checkpoint, prepared: Prepared, record: Record) -> Stage | None:
    """Where a simulation is kept, and gone on from if it was this one; None for data that can be read once only.

    Raises:
        SettingsError: as ``Checkpoint.stage``.
    """
    network = prepared.network
    key = network.key if isinstance(network, Conversion) else network.fingerprint
    try:
        data = prepared.data.fingerprint
    except DataError:  # these run in one go; what else is wrong with them is said when they are read
        return None
    told = {"run": prepared.settings, "events": record.folder is not None}
    return checkpoint.stage("simulating rates", fingerprint_of_run(key, data, **told))


def mean_values(graph: Graph, rates: Rates, wanted: Collection[str] | None = None) -> dict[str, NDArray[np.float64]]:
    """The mean of values of a spiking network over time: linear operators keep means.

    Args:
        graph: spiking.
        rates: of its neurons.
        wanted: the nodes whose values are; None for all but the outputs. No others are computed.

    Raises:
        DataError: as ``Rates.checked``.
    """
    rates.checked(graph)
    sent = {name: np.asarray(values) for name, values in rates.values.items() if name in graph}
    needed = set((node.name for node in graph if node.type != "Output") if wanted is None else wanted)
    for node in reversed(graph.nodes):
        if node.name in needed and node.name not in sent:
            needed |= set(node.inputs)
    found = {name: values for name, values in sent.items() if name in needed}
    for node in graph:
        if node.name in needed and node.name not in found:
            found[node.name] = _through(node, [found[name] for name in node.inputs])
    return {name: found[name] for name in found if wanted is None or name in wanted}


def _through(node: Node, values: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """One operator in double precision."""
    import torch

    def put(array: NDArray[Any]) -> Tensor:
        return torch.tensor(array, dtype=torch.float64)

    with torch.inference_mode():
        made: NDArray[np.float64] = node.bind(put)(*(put(value)[None] for value in values))[0].numpy()
    return made
