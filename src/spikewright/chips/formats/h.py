"""Integers as a C header: one constant array for weights, biases and potentials of each layer, macros for the rest."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from textwrap import fill

from spikewright.chips.formats._words import LayerWords, words_of
from spikewright.chips.quantise import Quantised
from spikewright.files import write_text
from spikewright.graph import Array
from spikewright.provenance import PROVENANCE, descriptions

WIDTH = 120
"""How many characters a line of numbers has at most."""


def export_h(quantised: Quantised, path: Path | str, *, force: bool = False) -> None:
    """Write weights, biases, thresholds and potentials as a header for C and C++.

    Args:
        quantised: of integers.
        path: of the file.
        force: whether a file that stands there is replaced, once this one is whole.

    Raises:
        StorageError: when a file stands there, or it cannot be written; what stood there before is untouched.
        SettingsError: for a chip that is not known here.
    """
    write_text(path, "\n".join(_lines(quantised)) + "\n", force)


def _lines(quantised: Quantised) -> Iterator[str]:
    yield f"/* A spiking network in integers of {quantised.chip}. Weights are [out][in][row][column]. */"
    yield f"/* {PROVENANCE}: {_in_comment(quantised)} */"
    yield "#ifndef SPIKEWRIGHT_CHIP_H"
    yield "#define SPIKEWRIGHT_CHIP_H"
    yield "#include <stdint.h>"
    for words in words_of(quantised):
        yield ""
        yield from _layer(words)
    yield ""
    yield "#endif"


def _in_comment(quantised: Quantised) -> str:
    """How it was made as JSON that no comment ends at, nor goes on behind."""
    return json.dumps(descriptions(quantised.remembered)).replace("/", "\\/").replace("?", "\\u003f")


def _layer(words: LayerWords) -> Iterator[str]:
    layer, upper = words.layer, words.name.upper()
    numbers = {
        "THRESHOLD": int(words.threshold),
        "V_MIN": int(words.v_min),
        "RETURN_TO_ZERO": int(layer.reset == "zero"),
        "DECIMATOR": layer.decimator,
        "KERNEL": layer.kernel,
        "STRIDE_Y": layer.stride[0],
        "STRIDE_X": layer.stride[1],
        "PADDING_Y": layer.padding[0],
        "PADDING_X": layer.padding[1],
    }
    for label, value in numbers.items():
        yield f"#define {upper}_{label} ({value})"
    for label in ("weights", "bias", "v_init"):
        yield from _array(f"{words.name}_{label}", getattr(words, label))


def _array(name: str, values: Array) -> Iterator[str]:
    """All axes in braces, so that compilers have nothing to warn of."""
    shape = "".join(f"[{size}]" for size in values.shape)
    text = str(values.tolist()).replace("[", "{").replace("]", "}")
    yield f"static const {values.dtype}_t {name}{shape} ="
    yield f"{fill(text, WIDTH, initial_indent='  ', subsequent_indent='  ')};"
