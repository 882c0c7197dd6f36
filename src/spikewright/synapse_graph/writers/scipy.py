"""Sparse matrices as SciPy loads them, one for each pair of groups: small networks."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from spikewright.synapse_graph.settings import KEY, digest
from spikewright.synapse_graph.stream import SynapseStream
from spikewright.synapse_graph.writers.writer import AtOnce, every_block, number
from spikewright.text import visible

PAIRS = "pairs.txt"


class Scipy(AtOnce):
    """A folder of ``.npz``: rows are source neurons, columns destination neurons, values edges (weights without rates).

    They are in coordinates, so that several synapses of one pair of neurons stay apart until they are added up.
    """

    suffixes = (".scipy",)
    folder = True
    limit = 200_000_000
    about = "a matrix a pair of groups; neurons counted by (row, column, channel), channel fastest; see pairs.txt"

    def whole(self, synapses: SynapseStream, path: Path) -> None:
        pairs: dict[tuple[str, str], list[tuple[np.ndarray, ...]]] = {}
        for projection in synapses.projections:
            source, dest = projection.path.source, projection.path.dest
            for block in every_block(synapses, projection):
                value = block.column("edge" if "edge" in block.columns else "weight")
                both = number(block, "source", source.shape), number(block, "dest", dest.shape)
                indices = tuple(index.astype(np.int32) for index in both)
                pairs.setdefault((source.name, dest.name), []).append((*indices, value))
        names = []
        for k, ((start, end), found) in enumerate(pairs.items()):
            row, col, data = (np.concatenate(column) for column in zip(*found, strict=True))
            shape = synapses.groups[start].neurons, synapses.groups[end].neurons
            names.append(f"{k:03d}.npz\t{visible(start)}\t{visible(end)}\n")
            with (path / f"{k:03d}.npz").open("wb") as file:
                facts: dict[str, Any] = {KEY: np.array(digest(synapses, self))}  # which SciPy does not look at
                np.savez_compressed(file, row=row, col=col, format=b"coo", shape=shape, data=data, **facts)
        (path / PAIRS).write_text("".join(names), encoding="utf-8")

    def mark(self, file: Path) -> str | None:
        if file.name == PAIRS:  # lines that name the other files, each of which is looked at
            files = [line.split("\t")[0] for line in file.read_text(encoding="utf-8").splitlines()]
            return "" if all(re.fullmatch(r"\d{3,}\.npz", name) for name in files) else None
        with file.open("rb") as raw, np.load(raw, allow_pickle=False) as arrays:
            return str(arrays[KEY]) if KEY in arrays.files else None
