"""The core that every layer of a finished network gets, or why it cannot have one."""

from __future__ import annotations

from spikewright.chips.chip import Speck
from spikewright.chips.limits import broken, broken_by_sending, too_large
from spikewright.chips.mapping import assign
from spikewright.chips.network import ChipNetwork
from spikewright.chips.sizes import Sizes
from spikewright.errors import SettingsError


def placed(network: ChipNetwork, chip: Speck) -> dict[str, int]:
    """The number of the core of each layer, by name: those that ``check`` gives.

    Args:
        network: of floats or integers.
        chip: whose cores and limits count.

    Raises:
        SettingsError: with the first limit that is broken, or where there is no valid assignment.
    """
    found = []
    for own in network.inputs:
        found += [f"input '{own.name}': {limit}" for limit in broken_by_sending(network, own.name, chip)]
    for layer in network.layers:
        sizes = Sizes.of(layer)
        large = too_large(sizes, chip)
        limits = [*broken(sizes, chip), *broken_by_sending(network, layer.name, chip), *([large] if large else [])]
        found += [f"{layer}: {limit}" for limit in limits]
    cores = None if found else assign(network.layers, chip.cores)
    if cores is None:
        why = found[0] if found else f"no assignment gives each of its {len(network.layers)} layers a core of its own"
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise SettingsError(f"the network does not fit {chip}: {why}{more}; 'spikewright check' says what would fit")
    return dict(zip((layer.name for layer in network.layers), cores, strict=True))
