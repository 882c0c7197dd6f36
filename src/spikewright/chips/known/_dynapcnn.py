"""What all chips of the DynapCNN family share."""

from __future__ import annotations

from typing import Any

from spikewright.chips.chip import Core, Speck

DATASHEET = 'SynSense, "Speck Dev Kit Datasheet", Aug 2023'
SINABS = "sinabs 3.1.3 (github synsense/sinabs 904eb89398)"
HISTORY = "sinabs before 7b0ec08 (May 2025), the last with this chip"
SAMNA = "samna documentation, speck2e and speck2f configuration"
UNKNOWN = "no number is public: the documentation says that there is a limit, and only an oscilloscope shows it"

WORDS = {  # kernel and neuron words of the nine cores
    **dict.fromkeys((0, 1, 2), (16384, 65536)),
    **dict.fromkeys((3, 4), (32768, 32768)),
    **dict.fromkeys((5, 6), (65536, 16384)),
    **dict.fromkeys((7, 8), (16384, 16384)),
}
NINE = tuple(Core(number, *words, 1024, parallel=number < 2) for number, words in WORDS.items())
FIVE = (
    Core(0, 16384, 65536, 0),
    Core(1, 32768, 32768, 0),
    Core(2, 32768, 32768, 0),
    Core(3, 65536, 16384, 1024),
    Core(4, 16384, 16384, 1024),
)

LIMITS: dict[str, Any] = {
    "cores": NINE,
    "input_max": (128, 128),
    "output_max": (64, 64),
    "features_max": 1024,
    "kernel_max": 16,
    "strides": (1, 2, 4, 8),
    "padding_max": 7,
    "pools": (1, 2, 4),
    "destinations_max": 2,
    "decimators": (1, 2, 4, 8, 16, 32, 128, 256, 512),
    "readout_classes": 15,
    "readout_spread": 4,
    "slow_clock_hz": (10.0, 10_000.0),
    "kernel_bits": 8,
    "neuron_bits": 16,
    "threshold_bits": 16,
    "bias_bits": 16,
    "kill_bits": False,
    "synops_per_second": None,
}
SOURCES = {
    "cores": f"{DATASHEET}, p. 18, table 1; {SINABS}: chips/dynapcnn.py; cores 0 and 1 in parallel: p. 3",
    "input_max": f"{DATASHEET}, p. 20",
    "output_max": f"{DATASHEET}, p. 20: of the convolution, before pooling",
    "features_max": f"{DATASHEET}, p. 20",
    "kernel_max": f"{DATASHEET}, p. 20; one number in the configuration, so that kernels are square",
    "strides": f"{DATASHEET}, p. 20",
    "padding_max": f"{DATASHEET}, p. 20",
    "pools": f"{DATASHEET}, p. 21",
    "destinations_max": f"{DATASHEET}, p. 3 and 21; {SAMNA}",
    "decimators": f"{DATASHEET}, p. 22, table 4: no 64",
    "readout_classes": f"{DATASHEET}, p. 27",
    "readout_spread": f"{SINABS}: docs/speck/faqs/chip_errata.md",
    "slow_clock_hz": f"{DATASHEET}, p. 25-26 and 30-31",
    "kernel_bits": f"{DATASHEET}, p. 19, table 3",
    "neuron_bits": f"{DATASHEET}, p. 19, table 3",
    "threshold_bits": f"{DATASHEET}, p. 23: one of each a layer",
    "bias_bits": f"{DATASHEET}, p. 19, table 3, and p. 23; {SINABS} quantises to 8",
    "kill_bits": f"{SINABS}: chips/speck2e.py, which takes these fields away",
    "synops_per_second": UNKNOWN,
}


def dynapcnn(name: str, source: str = "", notes: tuple[str, ...] = (), **differs: Any) -> Speck:
    """A chip of the family.

    Args:
        name: its own.
        source: of what differs.
        notes: as for ``Chip``.
        differs: limits that are not those of the others.
    """
    return Speck(name=name, sources={**SOURCES, **dict.fromkeys(differs, source)}, notes=notes, **{**LIMITS, **differs})
