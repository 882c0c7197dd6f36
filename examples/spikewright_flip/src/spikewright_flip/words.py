"""A format of a chip's integers: one weight a line, with its layer."""

from pathlib import Path

from spikewright.chips.quantise import Quantised
from spikewright.files import write_text


def export_words(quantised: Quantised, path: Path | str, *, force: bool = False) -> None:
    """Write the weights of every layer, ``conv1 -12``.

    Args:
        quantised: of integers.
        path: of the file.
        force: whether a file that stands there is replaced.

    Raises:
        StorageError: when a file stands there, or it cannot be written.
    """
    layers = quantised.network.layers
    write_text(path, "".join(f"{one.name} {weight}\n" for one in layers for weight in one.weights.ravel()), force)
