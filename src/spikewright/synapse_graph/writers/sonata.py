"""SONATA, the exchange format of computational neuroscience: nodes and edges in HDF5, types in CSV.

The format: ``/nodes/POPULATION/node_type_id, 0/…`` and ``/edges/POPULATION/source_node_id, target_node_id,
edge_type_id, edge_group_id, edge_group_index, 0/…``, with a table of types for each and a JSON that names the files.
Source: SONATA developer guide, https://github.com/AllenInstitute/sonata; Dai et al., The SONATA data format,
PLoS Comput. Biol. 16(2), 2020.

HDF5 itself crashes where a disk is full. So it only lays out the files, in which every column of synapses is one piece
of a known place and size; the columns are then written there without it.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from spikewright.connections import Array
from spikewright.errors import SettingsError
from spikewright.hdf5 import check_readable
from spikewright.synapse_graph.fan_outs import channels_fastest
from spikewright.synapse_graph.settings import KEY, digest
from spikewright.synapse_graph.stream import SynapseStream
from spikewright.synapse_graph.writers.writer import AtOnce, channels_last, every_block, number
from spikewright.text import free_name, visible
from spikewright.wiring import Group

if TYPE_CHECKING:
    import h5py

NODES, EDGES, CONFIG = "nodes.h5", "edges.h5", "circuit_config.json"
NODE_TYPES, EDGE_TYPES = "node_types.csv", "edge_types.csv"
FILES = (NODES, EDGES, CONFIG, NODE_TYPES, EDGE_TYPES)
SOURCE, TARGET, INDEX, WEIGHT, EDGE = "source_node_id", "target_node_id", "edge_group_index", "0/syn_weight", "0/edge"
SPARE, SPARE_EACH = 1 << 20, 1 << 14
"""Bytes for what HDF5 notes about a file and for the tables, in all and for each population."""


class Sonata(AtOnce):
    """A folder: each group is a population of nodes, each projection a population of edges.

    A node has its row, column and channel, and its rate where there are rates; an edge has the weight of its synapse as
    ``syn_weight``, and ``edge`` (rate × weight) where there are rates. Indices, which readers build, are not written.
    """

    suffixes = (".sonata",)
    folder = True
    about = "nodes of a population counted by (row, column, channel), channel fastest; types in *_types.csv"

    def check(self, synapses: SynapseStream) -> None:
        super().check(synapses)
        _h5py()

    def size(self, synapses: SynapseStream) -> int | None:
        edge = 8 * 3 + 4 * (1 if synapses.rates is None else 2)
        neurons = sum(group.neurons for group in synapses.groups.values())
        node = 8 + 3 * 4 + 4 * (synapses.rates is not None)
        spare = SPARE + SPARE_EACH * (len(synapses.groups) + len(synapses.projections))
        return len(synapses) * edge + neurons * node + spare

    def whole(self, synapses: SynapseStream, path: Path) -> None:
        if shutil.disk_usage(path).free < (self.size(synapses) or 0):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        populations: dict[str, str] = {}
        for name in synapses.groups:
            populations[name] = free_name(re.sub(r"[^\w-]", "_", name) or "group", set(populations.values()))
        _write_nodes(synapses, populations, path / NODES, digest(synapses, self))
        names = _write_edges(synapses, populations, path / EDGES, digest(synapses, self))
        _write_types(synapses, populations, names, path)
        nodes: dict[str, Any] = {"nodes_file": f"$BASE_DIR/{NODES}", "node_types_file": f"$BASE_DIR/{NODE_TYPES}"}
        nodes["populations"] = {
            population: {"type": _model(synapses.groups[name])} for name, population in populations.items()
        }
        edges: dict[str, Any] = {"edges_file": f"$BASE_DIR/{EDGES}", "edge_types_file": f"$BASE_DIR/{EDGE_TYPES}"}
        edges["populations"] = {name: {"type": "chemical"} for name in names}
        networks = {"nodes": [nodes], "edges": [edges]}
        config = {"manifest": {"$BASE_DIR": "."}, "networks": networks, KEY: digest(synapses, self)}
        (path / CONFIG).write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")

    def mark(self, file: Path) -> str | None:
        if file.name not in FILES:
            return None
        if file.name == CONFIG:
            found = json.loads(file.read_text(encoding="utf-8"))
            return str(found[KEY]) if KEY in found else None
        if file.suffix == ".csv":
            with file.open("rb") as raw:
                return "" if re.match(rb"(node|edge)_type_id population ", raw.read(64)) else None
        check_readable(file)
        with _h5py().File(file, "r") as made:
            return str(made.attrs[KEY]) if KEY in made.attrs else None


def _h5py() -> Any:
    try:
        import h5py
    except ImportError:
        raise SettingsError("writing SONATA needs h5py: pip install 'spikewright[recordings]'") from None
    return h5py


@dataclass
class _Column:
    """A column of synapses, and how far it is written."""

    kind: np.dtype[Any]
    at: int

    def write(self, file: BinaryIO, values: Array) -> None:
        raw = np.ascontiguousarray(values, self.kind)
        file.seek(self.at)
        file.write(raw.data.cast("B"))
        self.at += raw.nbytes


def _laid_out(parent: h5py.Group, name: str, kind: str, rows: int) -> _Column:
    """Room for a column, with nothing in it."""
    h5py = _h5py()
    whole = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    whole.set_layout(h5py.h5d.CONTIGUOUS)
    whole.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    whole.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    dtype = np.dtype(kind)
    space = h5py.h5s.create_simple((rows,))
    made = h5py.h5d.create(parent.id, name.encode(), h5py.h5t.py_create(dtype, logical=True), space, whole)
    return _Column(dtype, int(made.get_offset()))


def _constant(parent: h5py.Group, name: str, value: int, rows: int) -> None:
    """A column that is the same everywhere, which takes no room: HDF5 gives its fill value for what is not there."""
    parent.create_dataset(name, (rows,), "<u4", chunks=(min(rows, 1 << 16),), fillvalue=value)


def _note(file: h5py.File, key: str) -> None:
    """By which settings it was made, and what marks a SONATA file."""
    file.attrs[KEY] = key
    file.attrs["magic"], file.attrs["version"] = np.uint32(0x0A7A), np.array([0, 1], np.uint32)


def _write_nodes(synapses: SynapseStream, populations: dict[str, str], path: Path, key: str) -> None:
    with _h5py().File(path, "w", libver="earliest") as file:
        _note(file, key)
        columns: dict[str, dict[str, _Column]] = {}
        for k, (name, population) in enumerate(populations.items()):
            rows = synapses.groups[name].neurons
            made = file.create_group(f"nodes/{population}")
            _constant(made, "node_type_id", k, rows)
            _constant(made, "node_group_id", 0, rows)
            found = columns[name] = {"node_group_index": _laid_out(made, "node_group_index", "<u8", rows)}
            group = made.create_group("0")
            for axis in ("row", "column", "channel"):
                found[axis] = _laid_out(group, axis, "<u4", rows)
            if synapses.rates is not None:
                found["rate"] = _laid_out(group, "rate", "<f4", rows)
    with path.open("r+b") as raw:
        for name, found in columns.items():
            group = synapses.groups[name]
            shape = (*(1,) * (3 - len(channels_last(group.shape))), *channels_last(group.shape))
            if len(group.shape) == 2:  # a row and a channel
                shape = (group.shape[1], 1, group.shape[0])
            found["node_group_index"].write(raw, np.arange(group.neurons))
            indices = np.unravel_index(np.arange(group.neurons), shape)
            for axis, values in zip(("row", "column", "channel"), indices, strict=True):
                found[axis].write(raw, values)
            if "rate" in found:
                rates = (synapses.mean_values or {}).get(name)
                rates = np.zeros(group.neurons) if rates is None else channels_fastest(rates, group.shape)
                found["rate"].write(raw, rates)


def _write_edges(synapses: SynapseStream, populations: dict[str, str], path: Path, key: str) -> list[str]:
    """The edges; gives the population of each projection."""
    names: list[str] = []
    columns: list[dict[str, _Column]] = []
    with _h5py().File(path, "w", libver="earliest") as file:
        _note(file, key)
        for k, one in enumerate(synapses.projections):
            ends = populations[one.path.source.name], populations[one.path.dest.name]
            names.append(free_name("__".join(ends), set(names)))
            made = file.create_group(f"edges/{names[-1]}")
            _constant(made, "edge_type_id", k, one.synapses)
            _constant(made, "edge_group_id", 0, one.synapses)
            made.create_group("0")
            kinds = {SOURCE: "<u8", TARGET: "<u8", INDEX: "<u8", WEIGHT: "<f4"}
            if synapses.rates is not None:
                kinds[EDGE] = "<f4"
            columns.append({name: _laid_out(made, name, kind, one.synapses) for name, kind in kinds.items()})
            made[SOURCE].attrs["node_population"], made[TARGET].attrs["node_population"] = ends
    with path.open("r+b") as raw:
        for one, found in zip(synapses.projections, columns, strict=True):
            row = 0
            for block in every_block(synapses, one):
                found[SOURCE].write(raw, number(block, "source", one.path.source.shape))
                found[TARGET].write(raw, number(block, "dest", one.path.dest.shape))
                found[INDEX].write(raw, np.arange(row, row + block.rows))
                found[WEIGHT].write(raw, block.column("weight"))
                if EDGE in found:
                    found[EDGE].write(raw, block.column("edge"))
                row += block.rows
    return names


def _write_types(synapses: SynapseStream, populations: dict[str, str], names: list[str], path: Path) -> None:
    """Tables with blanks between columns, as the format has them."""
    lines = ["node_type_id population model_type model_template group kind"]
    for k, (name, population) in enumerate(populations.items()):
        group = synapses.groups[name]
        lines.append(f"{k} {population} {_model(group)} NULL {_word(name)} {group.kind}")
    (path / NODE_TYPES).write_text("\n".join([*lines, ""]), encoding="utf-8")
    lines = ["edge_type_id population projection"]
    for k, (one, name) in enumerate(zip(synapses.projections, names, strict=True)):
        lines.append(f"{k} {name} {_word(one.name)}")
    (path / EDGE_TYPES).write_text("\n".join([*lines, ""]), encoding="utf-8")


def _model(group: Group) -> str:
    """What SONATA calls the model of its neurons."""
    return "virtual" if group.kind == "input" else "point_neuron"


def _word(name: str) -> str:
    """A name as one field."""
    return '"' + visible(name).replace('"', '""') + '"'
