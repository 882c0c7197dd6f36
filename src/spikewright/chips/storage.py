"""What a chip runs as one safetensors file: integer arrays, and a description of how layers hang together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np

from spikewright.chips.integers import LayerLoss
from spikewright.chips.network import ChipInput, ChipLayer, ChipNetwork, Destination, Readout
from spikewright.chips.quantise import Quantised
from spikewright.conversion import CalibrationFacts
from spikewright.data import Preprocessing
from spikewright.errors import ModelFileError
from spikewright.files import atomic_path
from spikewright.graph import Array, SampleShapes
from spikewright.provenance import PROVENANCE, described, descriptions
from spikewright.settings import fits
from spikewright.storage import check_save
from spikewright.storage.graphs import DAMAGE, damage
from spikewright.tensors import Kind, check_facts, digest, holds, read_tensors, write_tensors

FACTS: Mapping[str, Any] = {
    "chip": str,
    "inputs": list[dict[str, Any]],
    "layers": list[dict[str, Any]],
    "readout": list[dict[str, Any]],
    "losses": list[dict[str, Any]],
    "notes": list[str],
    "rate": float,
    "ticks": int,
    "shapes": dict[str, list[int]],
    "channels": dict[str, str],
    "tasks": dict[str, str],
    "preprocessing": str,
    "classes": list[str],
    "calibration": dict[str, Any],
    "selected": list[str],
}
"""What the description holds."""
KIND = Kind(
    key="spikewright-chip",
    noun="Spikewright chip network",
    contents="chip network",
    format=1,
    facts=frozenset(FACTS),
    optional=frozenset({PROVENANCE}),
    again="copy it again, or quantise the network again",
)
ARRAYS = ("weights", "bias", "v_init")
DIGESTS, CORRECTED = "digests", "corrected"
"""Arrays beside those of layers: of the samples of calibration."""


def save_quantised(quantised: Quantised, path: Path | str, force: bool = False) -> None:
    """Write what ``quantise`` made.

    Args:
        quantised: of integers.
        path: of the file, which ends in ``.safetensors``.
        force: whether a file that stands there is replaced, once this one is whole.

    Raises:
        SettingsError: for another suffix.
        StorageError: when a file stands there, or it cannot be written; what stood there before is untouched.
    """
    check_save(path, force)
    facts, arrays = _written(quantised)
    with atomic_path(path, force) as temporary:
        write_tensors(temporary, KIND, {**facts, PROVENANCE: descriptions(quantised.remembered)}, arrays)


def fingerprint(quantised: Quantised) -> str:
    """A digest of all that a file of it holds but how it was made: it changes when the network does."""
    return digest(*_written(quantised))


def _written(quantised: Quantised) -> tuple[dict[str, Any], dict[str, Array]]:
    """The description and the arrays of its file."""
    network = quantised.network
    calibration = quantised.calibration
    arrays: dict[str, Array] = {DIGESTS: calibration.digests, CORRECTED: calibration.corrected}
    layers = []
    for layer in network.layers:
        entry = {f.name: getattr(layer, f.name) for f in fields(layer) if f.name not in ARRAYS}
        layers.append({**entry, "destinations": [asdict(to) for to in layer.destinations]})
        for label in ARRAYS:
            value = getattr(layer, label)
            if value is not None:
                arrays[f"{layer.name}/{label}"] = np.array(value, np.int16)
    facts = {
        "chip": quantised.chip,
        "inputs": [asdict(source) for source in network.inputs],
        "layers": layers,
        "readout": [asdict(read) for read in network.readout],
        "losses": [asdict(loss) for loss in quantised.losses],
        "notes": list(quantised.notes),
        "rate": quantised.rate,
        "ticks": quantised.ticks,
        "shapes": {name: list(shape) for name, shape in quantised.inputs.items()},
        "channels": dict(quantised.inputs.channels),
        "tasks": dict(quantised.tasks),
        "preprocessing": str(quantised.preprocessing),
        "classes": list(quantised.classes),
        "calibration": calibration.description,
        "selected": list(quantised.selected),
    }
    return facts, arrays


def is_quantised(path: Path | str) -> bool:
    """Whether a file holds what a chip runs, damaged or not."""
    return holds(path, KIND)


def load_quantised(path: Path | str) -> Quantised:
    """Read what ``save_quantised`` wrote; nothing in the file is executed.

    Raises:
        NotOurs: for a safetensors file that holds something else.
        ModelFileError: for a file that is missing, damaged, or from a later version.
    """
    facts, arrays = read_tensors(path, KIND)
    try:
        return _read(facts, arrays)
    except DAMAGE as error:
        raise ModelFileError(f"{path}: the chip network inside is damaged: {damage(error)}") from error


def _read(facts: Mapping[str, Any], arrays: Mapping[str, Array]) -> Quantised:
    check_facts(facts, FACTS)
    arrays = dict(arrays)
    calibration = CalibrationFacts.described(facts["calibration"], arrays.pop(DIGESTS), arrays.pop(CORRECTED))
    for name, array in arrays.items():
        if array.dtype != np.int16:
            raise ModelFileError(f"'{name}' is {array.dtype}, not int16")
    layers = tuple(_layer(entry, arrays) for entry in facts["layers"])
    left = arrays.keys() - {f"{layer.name}/{label}" for layer in layers for label in ARRAYS}
    if left:
        raise ModelFileError(f"it holds '{min(left)}', which is of no layer")
    network = ChipNetwork(
        tuple(_made(ChipInput, {**entry, "destinations": _destinations(entry)}) for entry in facts["inputs"]),
        layers,
        tuple(_made(Readout, entry) for entry in facts["readout"]),
    )
    inputs = SampleShapes({name: tuple(shape) for name, shape in facts["shapes"].items()})
    inputs.channels = facts["channels"]
    losses = tuple(_made(LayerLoss, entry) for entry in facts["losses"])
    if [loss.layer for loss in losses] != [layer.name for layer in layers]:
        raise ModelFileError("its losses are of other layers")
    if facts["rate"] <= 0 or facts["ticks"] < 1:
        raise ModelFileError("its rate and ticks must be positive")
    return Quantised(
        chip=facts["chip"],
        network=network,
        losses=losses,
        notes=tuple(facts["notes"]),
        rate=float(facts["rate"]),
        ticks=facts["ticks"],
        inputs=inputs,
        tasks=facts["tasks"],
        preprocessing=Preprocessing.parse(facts["preprocessing"]),
        classes=tuple(facts["classes"]),
        calibration=calibration,
        selected=tuple(facts["selected"]),
        provenance=described(facts.get(PROVENANCE)),
    )


def _layer(entry: Mapping[str, Any], arrays: Mapping[str, Array]) -> ChipLayer:
    own = {label: arrays[f"{entry['name']}/{label}"] for label in ARRAYS if f"{entry['name']}/{label}" in arrays}
    if "v_init" in own and not own["v_init"].ndim:
        own["v_init"] = own["v_init"][()]
    wide = {label: value.astype(np.int64) for label, value in own.items()}
    settings = {label: value for label, value in entry.items() if label != "destinations"}
    hints = get_type_hints(ChipLayer)
    for label, value in settings.items():
        if label in ARRAYS or label not in hints or not fits(_tuples(value), hints[label]):
            raise ModelFileError(f"layer '{entry['name']!s:.40}': {label} cannot be {value!s:.40}")
    if not isinstance(settings["threshold"], int) or not isinstance(settings["v_min"], int | None):
        raise ModelFileError(f"layer '{entry['name']}': its threshold and lowest potential are no whole numbers")
    made = {label: _tuples(value) for label, value in settings.items()}
    values: dict[str, Any] = {**made, **wide, "destinations": _destinations(entry)}
    return ChipLayer(**values)


def _destinations(entry: Mapping[str, Any]) -> tuple[Destination, ...]:
    return tuple(_made(Destination, one) for one in entry["destinations"])


def _made(kind: Any, entry: Mapping[str, Any]) -> Any:
    """A value of a dataclass whose fields are of the kinds that they are declared to be."""
    hints = get_type_hints(kind)
    values = {label: value if label == "destinations" else _tuples(value) for label, value in entry.items()}
    for label, value in values.items():
        if label not in hints or not fits(value, hints[label]):
            raise ModelFileError(f"{kind.__name__}: {label} cannot be {value!s:.40}")
    return kind(**values)


def _tuples(value: Any) -> Any:
    """JSON's lists as the tuples they were."""
    return tuple(_tuples(v) for v in value) if isinstance(value, list) else value
