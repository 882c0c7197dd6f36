"""Memory files for FPGAs in one archive: what Verilog's ``$readmemh`` reads, one file an array.

A line is one word, in two's complement, two hexadecimal digits for 8 bits and four for 16. Weights lie in the order
``[out][in][row][column]``, potentials ``[out][row][column]``; Source: IEEE 1364-2005, 17.2.9.
"""

from __future__ import annotations

import json
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from spikewright.chips.formats._words import outside, words_of
from spikewright.chips.quantise import Quantised
from spikewright.files import atomic_path
from spikewright.graph import Array

AXES = {"weights": "[out][in][row][column]", "bias": "[out]", "v_init": "[out][row][column]"}
DATE = (1980, 1, 1, 0, 0, 0)
"""The date of all files inside, so that the same network makes the same archive."""


def export_zip(quantised: Quantised, path: Path | str, *, force: bool = False) -> None:
    """Write weights, biases, thresholds and potentials as memory files, and ``layers.json``, which describes them.

    Args:
        quantised: of integers.
        path: of the archive.
        force: whether a file that stands there is replaced, once this one is whole.

    Raises:
        StorageError: when a file stands there, or it cannot be written; what stood there before is untouched.
        SettingsError: for a chip that is not known here.
    """
    layers = words_of(quantised)
    facts = {**outside(quantised), "layers": {one.name: one.settings for one in layers}}
    files = {"layers.json": json.dumps(facts, indent=1) + "\n"}
    for one in layers:
        files |= {f"{one.name}_{label}.mem": memory_file(values, label) for label, values in one.arrays.items()}
    with atomic_path(path, force) as temporary, ZipFile(temporary, "w") as archive:
        for name, text in files.items():
            archive.writestr(ZipInfo(name, DATE), text, compress_type=ZIP_DEFLATED)


def memory_file(values: Array, label: str) -> str:
    """An array as text for ``$readmemh``.

    Args:
        values: signed integers.
        label: which array of a layer it is.
    """
    bits = 8 * values.dtype.itemsize
    shape = "x".join(map(str, values.shape)) or "1"
    head = f"// {shape} words {AXES.get(label, '')}, {bits} bits, two's complement"
    words = [f"{value & (2**bits - 1):0{bits // 4}x}" for value in values.ravel().tolist()]
    return "\n".join([head, *words]) + "\n"
