"""A conversion: the trained network, the spiking one, and all that lies between them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from math import prod
from types import MappingProxyType
from typing import Any, Literal

import numpy as np

from spikewright.conversion.contract import Contract, contract_of
from spikewright.conversion.facts import CalibrationFacts, Correction
from spikewright.conversion.neurons import NeuronsByPopulation
from spikewright.conversion.spiking import Readout, View, read_out, spiking_of
from spikewright.data import Preprocessing
from spikewright.data.digests import fingerprint_of
from spikewright.errors import GraphError, SpikewrightError
from spikewright.graph import Array, Graph
from spikewright.nodes import Output
from spikewright.normalisation import Scales, narrowed, normalise, value_scales
from spikewright.provenance import History, history
from spikewright.recordings import Binning
from spikewright.tabular import Table, Tabular
from spikewright.text import listed, shape_text, short


@dataclass(frozen=True, eq=False, repr=False)
class Conversion(Tabular):
    """A trained network with the spiking one that was made of it.

    Two are equal where all of their fields are. ``dataclasses.replace`` makes another of it: with a spiking graph that
    was changed by hand, the trained network stays what it is compared with.

    Attributes:
        folded: the trained network, from ``prepare``.
        spiking: the spiking graph.
        scales: λ by population as it is used, shape ``()`` or ``(channels,)``, and by input: what one event stands for.
        neurons: what the populations are like.
        became: by node of the network as it was read, what became of it.
        view: whether weights or thresholds have taken the scale.
        readout: what outputs are read by: "potential" or "count".
        answer: what became of the activation that the network ends in: "keep" or "drop".
        tasks: by output, what labels mean, as text; only where somebody said so.
        preprocessing: of the data it was calibrated on, which others need too.
        binning: how the recordings that it was calibrated on became frames; None for other data.
        classes: the names of the classes, in the order of their indices; none where they have no names.
        calibration: what λ come from.
        corrections: what was corrected since, in order.
        provenance: how it was made, command by command, the last one last; it makes no difference between two of them.
        made: the spiking graph as conversion made it, which shares its nodes with ``spiking`` where these were not
            changed; None where nobody kept it. It is in no file, and makes no difference between two of them.
    """

    folded: Graph
    spiking: Graph
    scales: Scales
    neurons: NeuronsByPopulation = field(default_factory=NeuronsByPopulation)
    became: Mapping[str, str] = field(default_factory=dict)
    view: View = "weights"
    readout: Readout = "potential"
    answer: Literal["keep", "drop"] = "keep"
    tasks: Mapping[str, str] = field(default_factory=dict)
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    binning: Binning | None = None
    classes: tuple[str, ...] = ()
    calibration: CalibrationFacts = field(default_factory=CalibrationFacts)
    corrections: tuple[Correction, ...] = ()
    provenance: History = ()
    made: Graph | None = None

    def __post_init__(self) -> None:
        scales = {name: np.array(value, np.float64) for name, value in self.scales.items()}
        for value in scales.values():
            value.setflags(write=False)
        object.__setattr__(self, "scales", MappingProxyType(scales))
        for label in ("became", "tasks"):
            object.__setattr__(self, label, MappingProxyType(dict(getattr(self, label))))
        for kind in ("Input", "Output"):
            trained, made = (
                {n.name: g.shapes[n.name] for n in g if n.type == kind} for g in (self.folded, self.spiking)
            )
            if trained != made:
                raise GraphError(
                    f"the trained network has the {kind.lower()}s {trained}, the spiking one {made}: not one network"
                )

    def __eq__(self, other: object) -> bool:
        return self._values == other._values if isinstance(other, Conversion) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> tuple[Any, ...]:
        plain = {f.name: getattr(self, f.name) for f in fields(self)}
        return _made, ({name: dict(v) if isinstance(v, MappingProxyType) else v for name, v in plain.items()},)

    @property
    def _values(self) -> tuple[Any, ...]:
        """What makes two of them equal."""
        graphs = [(graph.fingerprint, dict(graph.meta)) for graph in (self.folded, self.spiking)]
        scales = {name: value.tolist() for name, value in self.scales.items()}
        told = (self.neurons, dict(self.became), self.view, self.readout, self.answer, dict(self.tasks))
        return graphs, scales, told, self.preprocessing, self.binning, self.classes, self.calibration, self.corrections

    @property
    def remembered(self) -> History:
        """How it was made, and by the command that runs now, if one does: what its file holds."""
        return history(
            self.provenance,
            method=self.calibration.method,
            data=fingerprint_of("", self.calibration.seen),
            samples=self.calibration.samples,
            seeds=dict(self.calibration.seeds),
            preprocessing=str(self.preprocessing),
            binning="" if self.binning is None else str(self.binning),
            neurons=str(self.neurons),
            corrections=[str(one) for one in self.corrections],
        )

    @cached_property
    def key(self) -> str:
        """A fingerprint of both networks, of λ, and of what outputs are read by."""
        scales = "".join(f"{name}{value.tolist()!r}" for name, value in self.scales.items())
        text = f"{self.folded.fingerprint} {self.spiking.fingerprint} {scales} {self.view} {self.readout} {self.answer}"
        return hashlib.sha256(text.encode()).hexdigest()

    @cached_property
    def reference(self) -> Graph:
        """The trained network with all populations that the spiking one has, to compare it with.

        What its outputs answer is the trained network's answer also where the spiking network's are counted.
        """
        graph = read_out(self.folded, self.readout)
        return graph.with_nodes([*(n for n in graph if not isinstance(n, Output)), *self.folded.of_type(Output)])

    @cached_property
    def normalised(self) -> Graph:
        """The trained network in units of λ, with the populations of the spiking one: see ``normalise``."""
        return normalise(read_out(self.folded, self.readout), self.scales)

    @cached_property
    def units(self) -> Mapping[str, Array]:
        """λ by population: what one spike stands for in the trained network; ``()``, ``(channels,)`` or its shape.

        Of populations that the trained network has: of others, put in by hand, nobody knows.
        """
        found = value_scales(read_out(self.folded, self.readout), self.scales)
        names = [node.name for node in self.spiking.populations]
        known = [name for name in names if name in found and found[name].shape == self.spiking.shapes[name]]
        return {name: np.asarray(narrowed(found[name])) for name in known}

    @property
    def derived(self) -> Graph:
        """The spiking graph as conversion makes it of the trained network: made anew every time.

        Raises:
            SpikewrightError: where λ, neurons and network do not belong together.
        """
        return spiking_of(self.folded, self.scales, self.neurons, view=self.view, readout=self.readout)

    @cached_property
    def changed(self) -> tuple[str, ...]:
        """The nodes in which the spiking graph differs from what conversion made: changed, added or taken away since,
        by hand or by corrections."""
        try:
            before = (self.made or self.derived).by_name
        except SpikewrightError:  # λ or neurons were exchanged for such as do not belong to the network
            before = {}
        own = self.spiking.by_name
        names = dict.fromkeys([*own, *before])
        return tuple(name for name in names if name not in own or not own[name].alike(before.get(name)))

    def with_spiking(self, spiking: Graph) -> Conversion:
        """The same with another spiking graph, changed by hand, say."""
        return replace(self, spiking=spiking)

    def corrected(self, spiking: Graph, correction: Correction) -> Conversion:
        """The same with a spiking graph that was corrected.

        Args:
            spiking: the corrected graph.
            correction: what was done to it.
        """
        return replace(self, spiking=spiking, corrections=(*self.corrections, correction))

    def __repr__(self) -> str:
        lines = [
            f"{len(self.spiking.populations)} populations, {short(self.neuron_count)} neurons"
            + (f" ({self.neurons})" if str(self.neurons) else ""),
            f"calibration: {self.calibration}",
            f"readout: {self.readout}",
            f"contract: {self.contract}",
        ]
        if str(self.preprocessing):
            lines.append(f"preprocessing: {self.preprocessing}")
        if self.binning is not None:
            lines.append(f"binning: {self.binning}")
        lines += [f"corrected: {correction}" for correction in self.corrections]
        if self.changed:
            lines.append(f"spiking network changed since at: {listed(self.changed)}")
        return "\n  ".join(["Conversion", *lines])

    def _table(self) -> Table:
        """A row a population: what it is like, and λ, what one spike of it stands for."""
        rows = []
        for node in self.spiking.populations:
            shape, unit = self.spiking.shapes[node.name], self.units.get(node.name)
            ends = (None, None) if unit is None else (float(unit.min()), float(unit.max()))
            rows.append((node.name, node.type, shape_text(shape), prod(shape), *ends))
        first, *others = repr(self).split("\n  ")
        titles = ("population", "type", "shape", "neurons", "λ, lowest", "λ, highest")
        return Table.of_rows(titles, rows, [first, *others])

    @property
    def contract(self) -> Contract:
        """What the neurons of the spiking network ask of who runs them."""
        return contract_of(self.spiking)

    @property
    def neuron_count(self) -> int:
        """How many neurons the spiking network has."""
        return sum(prod(self.spiking.shapes[population.name]) for population in self.spiking.populations)


def _made(values: Mapping[str, Any]) -> Conversion:
    """A conversion copied or unpickled: made anew, so that what holds of every one holds of it."""
    return Conversion(**values)


def spiking_graph(network: Graph | Conversion) -> Graph:
    """The spiking graph of a conversion; a graph as it is."""
    return network.spiking if isinstance(network, Conversion) else network
