"""NIR graphs in, graphs out: spiking ones where they hold neurons.

Nodes are taken in the order of the edges. Where several edges end at one node, their values are added. Everything that
cannot be taken is collected and refused in one error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spikewright.causes import Cause
from spikewright.errors import GraphError, ModelFileError, SettingsError
from spikewright.facts import check_facts
from spikewright.frontends.common.refusals import NONSENSE, REFUSED, Problems, Refusal, problem_of
from spikewright.frontends.nir.batched import without_batch
from spikewright.frontends.nir.call import Call, numbers, shape_of
from spikewright.frontends.nir.file import read_file
from spikewright.frontends.nir.flat import DEEPEST, TERMINALS, Flat, cycles, flatten
from spikewright.frontends.nir.loops import take_in_feedback
from spikewright.frontends.nir.notes import read_notes
from spikewright.frontends.nir.rules import NOT_TAKEN, RULES, SAME_SHAPE
from spikewright.graph import MOST_VALUES, Graph, Node, Shape
from spikewright.nodes import Add, Input, Output
from spikewright.text import first_line, free_name

if TYPE_CHECKING:
    from nir import NIRGraph

DT = 1e-4
"""Seconds; what snnTorch and SpikingJelly take a timestep of a NIR graph to be."""
ANSWER: Mapping[str, tuple[type, ...]] = {
    "activation": (str,),
    "ceiling": (float, int),
    "axis": (int,),
    "scalar": (bool,),
}
"""What our writer notes of an output, which NIR has no field for."""


def from_nir(source: str | Path | NIRGraph, *, dt: float | None = None) -> Graph:
    """Read a NIR graph.

    Neurons take one Euler step of NIR's equations for each timestep and start at 0. A graph that Spikewright wrote
    comes back as it was.

    Args:
        source: a file, or a graph in memory.
        dt: length of a timestep, in seconds; by default what the file says if Spikewright wrote it, else 1e-4.

    Returns:
        the graph: spiking where there are neurons.

    Raises:
        UnsupportedModelError: with everything that cannot be taken.
        ModelFileError: for a file that is missing, damaged or hostile.
        SettingsError: for a ``dt`` that is not positive, or that must be given because the file can be read two ways.
    """
    if dt is not None and not 0 < dt < np.inf:
        raise SettingsError(f"dt must be a positive number of seconds, not {dt}")
    if not isinstance(source, str | Path):
        try:
            return _read(_described(source), dt)
        except GraphError as error:
            raise ModelFileError(str(error)) from error
    root = read_file(source)
    try:
        return _read(root, dt)
    except (GraphError, ModelFileError) as error:
        raise ModelFileError(f"{source}: {error}") from error
    except NONSENSE as error:  # a file may hold anything anywhere
        raise ModelFileError(f"{source}: damaged ({first_line(error)}); export it again") from error


def _described(node: Any, depth: int = 0) -> dict[str, Any]:
    """A NIR node in memory as it would stand in a file."""
    fields = dict(getattr(node, "__dict__", {}))
    if isinstance(fields.get("nodes"), Mapping) and depth <= DEEPEST:
        fields["nodes"] = {name: _described(inner, depth + 1) for name, inner in fields["nodes"].items()}
    ports = fields.get("input_type")
    fields["input_type"] = next(iter(ports.values()), None) if isinstance(ports, Mapping) else ports
    if type(node).__name__ in TERMINALS:
        fields["shape"] = fields["input_type"]
    return {**fields, "type": type(node).__name__}


def _read(root: Mapping[str, Any], dt: float | None) -> Graph:
    if not isinstance(root.get("type"), str) or root["type"] != "NIRGraph":
        raise ModelFileError(f"holds a {root.get('type')}, not a NIRGraph; export it again")
    flat = flatten(root)
    facts = read_notes(flat.metadata, "the graph")
    take_in_feedback(flat)
    step = _timestep(flat, facts, dt)
    walk = _walked(flat, step)
    if walk.problems:
        for reading in without_batch(flat):
            try:
                other = _walked(reading, step)
            except ModelFileError:
                continue
            walk = min(walk, other, key=lambda one: len(one.problems))
    walk.problems.check(purpose="read")
    return walk.graph(facts)


def _walked(flat: Flat, step: float) -> _Walk:
    walk = _Walk(flat, step)
    walk.problems.add(*flat.problems, *cycles(flat))
    for name in dict.fromkeys([*flat.ordered(), *flat.nodes]):  # those in cycles last
        walk.take(name)
    return walk


def _timestep(flat: Flat, facts: Mapping[str, Any], given: float | None) -> float:
    """The timestep that is given, noted or usual; refused where the file may mean another."""
    noted = facts.get("dt")
    if given is not None:
        return given
    if isinstance(noted, float) and 0 < noted < np.inf:
        return noted
    for name, node in flat.nodes.items():
        if node["type"] != "IF":
            continue
        try:
            r = numbers(node.get("r"), "r")
        except Refusal:
            continue  # reported by its rule
        if r.size and not np.allclose(r * DT, 1, rtol=1e-6):
            raise SettingsError(
                f"IF '{name}' has r = {r.flat[0]:g}: in timesteps of {DT:g} s its input would count {r.flat[0] * DT:g} "
                "times; give the timestep that is meant: dt=1 where an input is to be added as it is"
            )
    return DT


@dataclass
class _Walk:
    """What has been taken so far.

    Attributes:
        flat: the graph.
        dt: in seconds.
        nodes: ours, by name.
        shapes: of a sample, of the same.
        stands_for: by NIR name, the node of ours that has its value; missing where it has none, because it or
            something before it was refused.
        problems: what of it cannot be taken.
    """

    flat: Flat
    dt: float
    nodes: dict[str, Node] = field(default_factory=dict)
    shapes: dict[str, Shape] = field(default_factory=dict)
    stands_for: dict[str, str] = field(default_factory=dict)
    problems: Problems = field(default_factory=Problems)

    def __post_init__(self) -> None:
        self.readers = self.flat.readers()

    def take(self, name: str) -> None:
        """One NIR node; a problem where it cannot be taken."""
        kind = self.flat.kind(name)
        try:
            if kind == "Input" and name not in self.flat.inner:
                shape = shape_of(self.flat.nodes[name].get("shape"), "shape")
                self.add(Input(name=name, shape=shape))
                self.stands_for[name] = name
                return
            sources = self.flat.reads[name]
            if not sources and not self.flat.problems:
                raise ModelFileError(f"{kind} '{name}' reads nothing; every path must begin at an Input")
            if sources and all(source in self.stands_for for source in sources):
                self.operator(name, kind, self.joined(name, sources))
            else:
                self.judge(name, kind)
        except ModelFileError:
            raise
        except (SettingsError, *REFUSED) as error:
            self.problems.add(problem_of(error, kind, f"'{name}'", "fields"))

    def judge(self, name: str, kind: str) -> None:
        """The fields of a node whose input is lost."""
        if kind in RULES:
            RULES[kind](self.call(name, kind, "", None))
        elif kind not in ("Input", "Output"):
            raise Refusal(NOT_TAKEN.get(kind, Cause.NO_COUNTERPART))

    def operator(self, name: str, kind: str, source: str) -> None:
        shape = self.shapes[source]
        if kind == "Output" and name not in self.flat.inner:
            if "shape" in self.flat.nodes[name]:
                self.call(name, kind, source, shape).check_stated("shape", shape)
            noted = {key: value for key, value in self.notes(name).items() if key in ANSWER}
            for key, value in noted.items():
                if type(value) not in ANSWER[key]:
                    raise Refusal(f"its note says that its {key} is {str(value)[:60]}; export it again")
            self.add(Output(name=self.own(name), inputs=(source,), **noted))
        elif name in self.flat.inner:
            self.call(name, kind, source, shape).check_stated("shape", shape)
            self.stands_for[name] = source
        elif kind in NOT_TAKEN:
            self.stands_for[name] = source  # of the same shape: so that what follows can be judged
            raise Refusal(NOT_TAKEN[kind])
        elif kind not in RULES:
            raise Refusal(Cause.NO_COUNTERPART)
        else:
            if kind in SAME_SHAPE:
                self.stands_for[name] = source  # should it be refused
            made = RULES[kind](self.call(name, kind, source, shape))
            for node in made:
                self.add(node)
            self.stands_for[name] = made[-1].name if made else source

    def call(self, name: str, kind: str, source: str, shape: Shape | None) -> Call:
        readers = tuple(self.flat.kind(reader) for reader in self.readers[name])
        own = self.own(name)
        return Call(own, kind, self.flat.nodes[name], source, shape, self.dt, self.fresh, readers, self.flat.batch)

    def notes(self, name: str) -> dict[str, Any]:
        return read_notes(self.flat.nodes[name].get("metadata"), f"{self.flat.kind(name)} '{name}'")

    def own(self, name: str) -> str:
        """The name that a node had before it was written to NIR."""
        noted = self.notes(name).get("name")
        return noted if isinstance(noted, str) and noted not in self.nodes and noted not in self.flat.nodes else name

    def joined(self, name: str, sources: Sequence[str]) -> str:
        """What a node reads: the sum of all that reaches it."""
        inputs = tuple(self.stands_for[source] for source in sources)
        if len(inputs) == 1:
            return inputs[0]
        noted = self.notes(name).get("sum")
        wanted = noted if isinstance(noted, str) else f"{name}.sum"
        standing = self.nodes.get(wanted)
        if isinstance(standing, Add) and standing.inputs == inputs:
            return wanted
        return self.add(Add(name=self.fresh(wanted, name), inputs=inputs))

    def add(self, node: Node) -> str:
        if node.name in self.nodes:
            raise ModelFileError(f"two nodes would have the name '{node.name}'; export it again")
        shape = node.infer_shape(*(self.shapes[i] for i in node.inputs))
        if prod(shape) > MOST_VALUES:
            raise ModelFileError(f"{node} would have the shape {shape}, more than {MOST_VALUES:,} values a sample")
        self.nodes[node.name] = node
        self.shapes[node.name] = shape
        return node.name

    def fresh(self, wanted: str, own: str = "") -> str:
        """A name that no node has, on either side, or that of the NIR node at hand."""
        return free_name(wanted, self.nodes.keys() | self.flat.nodes.keys() - {own})

    def graph(self, facts: Mapping[str, Any]) -> Graph:
        """The whole, without what leads to no output, in the order that our writer noted."""
        outputs = [node for node in self.nodes.values() if isinstance(node, Output)]
        if not outputs:
            raise ModelFileError("has no Output, so there is nothing to compute; export it again")
        wanted = {node.name for node in outputs}
        for node in reversed([*Graph(self.nodes.values())]):
            if node.name in wanted:
                wanted |= set(node.inputs)
        kept = [node for node in self.nodes.values() if node.name in wanted or isinstance(node, Input)]
        order = facts.get("order")
        if isinstance(order, list):
            position = {name: k for k, name in enumerate(order) if isinstance(name, str)}
            kept.sort(key=lambda node: position.get(node.name, len(position)))
        meta = facts.get("meta")
        if not isinstance(meta, Mapping):
            return Graph(kept, {"source": "nir", "dt": self.dt})
        check_facts(meta)
        return Graph(kept, meta)
