"""A conversion as one safetensors file: the trained network, λ and settings; of the spiking network what differs.

Where a node of the spiking network is what conversion makes of the trained one, only its name is in the file. A digest
of the whole spiking network says whether it came back as it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from spikewright.conversion import (
    CalibrationFacts,
    Conversion,
    Correction,
    Neurons,
    NeuronsByPopulation,
    Readout,
    View,
    read_out,
)
from spikewright.data import Preprocessing
from spikewright.errors import ModelFileError
from spikewright.graph import Array, Graph
from spikewright.provenance import PROVENANCE, described, descriptions
from spikewright.recordings import Binning
from spikewright.storage.graphs import DAMAGE, arrays_of, damage, entries, entry, graph_of, node_of
from spikewright.tensors import Kind, check_facts, read_tensors, write_tensors

FACTS: Mapping[str, Any] = {
    "trained": dict[str, Any],
    "spiking": list[Any],
    "spiking_meta": dict[str, Any] | None,
    "fingerprint": str,
    "neurons": dict[str, Any],
    "exceptions": list[list[Any]],
    "became": dict[str, str],
    "view": View,
    "readout": Readout,
    "answer": Literal["keep", "drop"],
    "tasks": dict[str, str],
    "preprocessing": str,
    "binning": str,
    "classes": list[str],
    "calibration": dict[str, Any],
    "corrections": list[list[Any]],
}
"""What the description of a conversion holds."""
KIND = Kind(
    key="spikewright-conversion",
    noun="Spikewright conversion",
    contents="conversion",
    format=1,
    facts=frozenset(FACTS),
    optional=frozenset({PROVENANCE}),
    again="copy it again, or convert the network again",
)
TRAINED, SPIKING, SCALE, DIGESTS = "trained/", "spiking/", "scale/", "digests"
CORRECTED = "corrected"


def write_conversion(path: Path, conversion: Conversion) -> None:
    """Write a conversion; wrap it in ``atomic_path``."""
    derived, spiking = conversion.derived, conversion.spiking
    own = [node for node in spiking if not node.alike(derived.by_name.get(node.name))]
    apart = {node.name for node in own}
    calibration, neurons = conversion.calibration, conversion.neurons
    facts = {
        "trained": {"nodes": entries(conversion.folded), "meta": dict(conversion.folded.meta)},
        "spiking": [entry(node) if node.name in apart else node.name for node in spiking],
        "spiking_meta": None if spiking.meta == derived.meta else dict(spiking.meta),
        "fingerprint": spiking.fingerprint,
        "neurons": asdict(neurons.default),
        "exceptions": [[pattern, asdict(one)] for pattern, one in neurons.exceptions],
        **{label: dict(getattr(conversion, label)) for label in ("became", "tasks")},
        **{label: getattr(conversion, label) for label in ("view", "readout", "answer")},
        "preprocessing": str(conversion.preprocessing),
        "binning": "" if conversion.binning is None else str(conversion.binning),
        "classes": list(conversion.classes),
        "calibration": calibration.description,
        "corrections": [[one.name, dict(one.settings)] for one in conversion.corrections],
        PROVENANCE: descriptions(conversion.remembered),
    }
    arrays: dict[str, Array] = {
        **arrays_of(conversion.folded, TRAINED),
        **arrays_of(own, SPIKING),
        **{f"{SCALE}{name}": value for name, value in conversion.scales.items()},
        DIGESTS: calibration.digests,
        CORRECTED: calibration.corrected,
    }
    write_tensors(path, KIND, facts, arrays)


def load_conversion(path: Path | str) -> Conversion:
    """Read the file of a conversion; nothing in it is executed.

    Raises:
        NotOurs: for a safetensors file that holds none.
        ModelFileError: for a file that is missing, damaged, or from a later version.
    """
    facts, arrays = read_tensors(path, KIND)
    try:
        found = _read(facts, arrays)
        used = {SCALE + name for name in found.scales} | {DIGESTS, CORRECTED} | arrays_of(found.folded, TRAINED).keys()
        left = arrays.keys() - used - arrays_of(found.spiking, SPIKING).keys()
        if left:
            raise ModelFileError(f"it holds '{min(left)}', which is of no node")
        return found
    except DAMAGE as error:
        raise ModelFileError(f"{path}: the conversion inside is damaged: {damage(error)}") from error


def _read(facts: Mapping[str, Any], arrays: Mapping[str, Array]) -> Conversion:
    check_facts(facts, FACTS)
    folded = graph_of(facts["trained"]["nodes"], facts["trained"]["meta"], _behind(TRAINED, arrays))
    if folded.populations:
        raise ModelFileError("its trained network spikes")
    scales, known = _behind(SCALE, arrays), read_out(folded, facts["readout"])
    for name, value in scales.items():
        if value.dtype != np.float64 or name not in known:
            raise ModelFileError(f"a scale of '{name}' cannot be {value.dtype}, or there is no such node")
    pairs = tuple((pattern, _neurons(one)) for pattern, one in facts["exceptions"])
    found = Conversion(
        folded=folded,
        spiking=folded,  # until it is made: see below
        scales=scales,
        neurons=NeuronsByPopulation(_neurons(facts["neurons"]), pairs),
        preprocessing=Preprocessing.parse(facts["preprocessing"]),
        binning=Binning.parse(facts["binning"]) if facts["binning"] else None,
        classes=tuple(facts["classes"]),
        calibration=CalibrationFacts.described(facts["calibration"], arrays[DIGESTS], arrays[CORRECTED]),
        corrections=tuple(Correction(name, settings) for name, settings in facts["corrections"]),
        provenance=described(facts.get(PROVENANCE)),
        **{label: facts[label] for label in ("became", "view", "readout", "answer", "tasks")},
    )
    derived = found.derived
    spiking = _spiking(derived, facts, _behind(SPIKING, arrays))
    return replace(found, spiking=spiking, made=derived)


def _spiking(derived: Graph, facts: Mapping[str, Any], arrays: Mapping[str, Array]) -> Graph:
    """The spiking network: what conversion makes, and the nodes that differ from that.

    Raises:
        ModelFileError: where it is not the one that was stored.
    """
    nodes = [derived[entry] if isinstance(entry, str) else node_of(entry, arrays) for entry in facts["spiking"]]
    meta = facts["spiking_meta"]
    graph = derived.with_nodes(nodes) if meta is None else graph_of([], meta, {}).with_nodes(nodes)
    if graph.fingerprint != facts["fingerprint"]:
        raise ModelFileError(
            "this version of spikewright makes another spiking network of what is stored; convert the network again"
        )
    return graph


def _neurons(entry: Any) -> Neurons:
    names = {f.name for f in fields(Neurons)}
    if not isinstance(entry, dict) or entry.keys() != names:
        raise ModelFileError(f"its neurons cannot be {entry!s:.40}")
    return Neurons(**entry)


def _behind(before: str, arrays: Mapping[str, Array]) -> dict[str, Array]:
    """The arrays whose names begin so, by what stands behind that."""
    return {name.removeprefix(before): array for name, array in arrays.items() if name.startswith(before)}
