"""Settings of the chip's cores as JSON, under the names that the vendor's configuration has.

Weights are ``[out][in][x][y]``, potentials ``[feature][x][y]``: columns before rows. Sources: the fields that sinabs
3.1.3 sets (``chips/dynapcnn.py``); Speck Dev Kit Datasheet (Aug 2023), p. 22, table 4, for decimators, p. 25 for a
``threshold_low`` that is never 0, p. 27 for the readout.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from spikewright.chips.chip import Speck
from spikewright.chips.formats._words import LayerWords, chip_of, outside, words_of
from spikewright.chips.integers import LOWEST_CLAMP
from spikewright.chips.lowering import spread
from spikewright.chips.network import Destination, Pair
from spikewright.chips.placing import placed
from spikewright.chips.quantise import Quantised
from spikewright.files import write_text

INTERVALS = (2, 4, 8, 16, 32, 128, 256, 512)
"""What a decimator divides by, by the value of its field: 0 is 1 of 2, and not off. There is no 64."""
KILL_BITS = {
    "weights_kill_bit": "weights",
    "biases_kill_bit": "biases",
    "neurons_value_kill_bit": "neurons_initial_value",
}
"""Fields of old chips that switch words of a memory off, each in the shape of another field."""
READOUT = 12
"""The destination that is the readout on the chip."""


def export_json(quantised: Quantised, path: Path | str, *, chip_readout: bool = False, force: bool = False) -> None:
    """Write the settings of every core, as a loader of a few lines gives them to the vendor's package.

    Args:
        quantised: of integers.
        path: of the file.
        chip_readout: whether the readout on the chip reads the last layer, so that classes stand on channels of their
            own.
        force: whether a file that stands there is replaced, once this one is whole.

    Raises:
        StorageError: when a file stands there, or it cannot be written; what stood there before is untouched.
        SettingsError: for a network that does not fit the chip, or a readout that cannot be.
    """
    made = core_settings(quantised, chip_readout=chip_readout)
    cores = made.pop("cnn_layers")
    head = [f"{json.dumps(label)}: {json.dumps(value)}" for label, value in made.items()]
    body = ",\n".join(f"  {json.dumps(core)}: {json.dumps(settings)}" for core, settings in cores.items())
    write_text(path, "{\n" + ",\n".join([*head, '"cnn_layers": {\n' + body + "\n}"]) + "\n}\n", force)


def core_settings(quantised: Quantised, *, chip_readout: bool = False) -> dict[str, Any]:
    """The same as plain JSON-like values: ``cnn_layers`` by number of the core, and what somebody needs to know beside.

    Args:
        quantised: of integers.
        chip_readout: whether the readout on the chip reads the last layer.

    Raises:
        SettingsError: for a network that does not fit the chip, or a readout that cannot be.
    """
    chip = chip_of(quantised)
    if chip_readout:
        quantised = replace(quantised, network=spread(quantised.network, chip))
    cores = placed(quantised.network, chip)
    read = {one.layer for one in quantised.network.readout}
    facts = outside(quantised)
    for entry in facts["inputs"]:
        entry["destinations"] = [{**to, "layer": cores[to["layer"]]} for to in entry["destinations"]]
    for entry in facts["readout"]:
        entry |= {"core": cores[entry["layer"]], "chip_readout": chip_readout}
    layers = {
        str(cores[one.layer.name]): _core(one, cores, chip, one.layer.name in read, chip_readout)
        for one in words_of(quantised)
    }
    names = {str(core): name for name, core in cores.items()}
    return {**facts, "layers": names, "cnn_layers": dict(sorted(layers.items(), key=lambda item: int(item[0])))}


def _core(words: LayerWords, cores: dict[str, int], chip: Speck, read: bool, chip_readout: bool) -> dict[str, Any]:
    layer = words.layer
    to = [_destination(cores[one.layer], one) for one in layer.destinations]
    if read and chip_readout:
        to.append(_destination(READOUT, Destination(layer.name)))
    none = {"layer": 0, "enable": False, "pooling": 1, "feature_shift": 0}
    settings: dict[str, Any] = {
        "dimensions": {
            "input_shape": _map(layer.input_shape),
            "output_shape": _map(layer.output_shape),
            "padding": _both(layer.padding),
            "stride": _both(layer.stride),
            "kernel_size": layer.kernel,
        },
        "weights": words.weights.swapaxes(2, 3).tolist(),
        "biases": words.bias.tolist(),
        "leak_enable": bool(words.bias.any()),
        "threshold_high": int(words.threshold),
        "threshold_low": int(words.v_min) or LOWEST_CLAMP,
        "return_to_zero": layer.reset == "zero",
        "neurons_initial_value": words.v_init.swapaxes(1, 2).tolist(),
        "monitor_enable": read,
        "destinations": [*to, *[none] * (chip.destinations_max - len(to))],
    }
    if chip.decimators[1:]:  # chips without one have no such fields
        settings["output_decimator_enable"] = layer.decimator > 1
        settings["output_decimator_interval"] = INTERVALS.index(layer.decimator) if layer.decimator > 1 else 0
    if chip.kill_bits:  # 1 is off: every word is used, those of weights of zero too, as in the simulation
        for label, of in KILL_BITS.items():
            settings[label] = np.zeros_like(settings[of], np.bool_).tolist()
    return settings


def _destination(core: int, to: Destination) -> dict[str, Any]:
    return {"layer": core, "enable": True, "pooling": to.pool, "feature_shift": to.feature_shift}


def _map(shape: tuple[int, int, int]) -> dict[str, Any]:
    channels, rows, columns = shape
    return {"size": {"x": columns, "y": rows}, "feature_count": channels}


def _both(pair: Pair) -> dict[str, int]:
    rows, columns = pair
    return {"x": columns, "y": rows}
