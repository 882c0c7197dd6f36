"""The limits of a chip that a network breaks, a sentence each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from spikewright.chips.chip import Speck
from spikewright.chips.mapping import holds
from spikewright.chips.network import ChipInput, ChipNetwork, Destination
from spikewright.chips.sizes import Sizes
from spikewright.errors import SettingsError
from spikewright.settings import fits, plain


def broken(sizes: Sizes, chip: Speck) -> tuple[str, ...]:
    """Every limit that the sizes of a layer break, but for memory."""
    return tuple(_broken(sizes, chip))


def _broken(sizes: Sizes, chip: Speck) -> Iterator[str]:
    channels, rows, columns = sizes.output_shape
    if min(rows, columns) < 1:
        yield "its kernel does not fit into its map"
        return
    if rows > chip.output_max[0] or columns > chip.output_max[1]:
        yield f"its map of {rows}x{columns} before any pool is larger than {chip.output_max[0]}x{chip.output_max[1]}"
    if sizes.kernel > chip.kernel_max:
        yield f"its kernel of {sizes.kernel}x{sizes.kernel} is larger than {chip.kernel_max}x{chip.kernel_max}"
    if not set(sizes.stride) <= set(chip.strides):
        yield f"its stride of {sizes.stride[0]}x{sizes.stride[1]} is not of {_listed(chip.strides)}"
    if max(sizes.padding) > chip.padding_max:
        yield f"its padding of {max(sizes.padding)} is more than {chip.padding_max}"
    for number, which in ((sizes.input_shape[0], "input"), (channels, "output")):
        if number > chip.features_max:
            yield f"its {number:,} {which} channels are more than {chip.features_max:,}"


def too_large(sizes: Sizes, chip: Speck) -> str:
    """Why no core of a chip holds a layer; empty where one does."""
    if any(holds(core, sizes) for core in chip.cores):
        return ""
    for label in ("kernel", "neuron", "bias"):
        words, most = (
            getattr(sizes, f"{label}_words"),
            max(getattr(core, f"{label}_words") for core in chip.cores),
        )
        if words > most:
            return f"its {words:,} {label} words are more than any core has ({most:,})"
    told = [f"{getattr(sizes, f'{label}_words'):,} {label}" for label in ("kernel", "neuron", "bias")]
    return f"no core has its {told[0]}, {told[1]} and {told[2]} words together"


def broken_by_sending(network: ChipNetwork, name: str, chip: Speck) -> tuple[str, ...]:
    """Every limit that the destinations of an input or a layer break."""
    return tuple(_sending(network, name, chip))


def _sending(network: ChipNetwork, name: str, chip: Speck) -> Iterator[str]:
    sender = network.sender(name)
    going: tuple[Destination, ...] = sender.destinations
    pools = sorted({one.pool for one in going} - set(chip.pools))
    if pools:
        yield f"a sum pool of {_listed(pools)} is none of {_listed(chip.pools)}"
    if isinstance(sender, ChipInput):
        _, rows, columns = sender.shape
        if rows > chip.input_max[0] or columns > chip.input_max[1]:
            yield f"its {rows}x{columns} pixels are more than {chip.input_max[0]}x{chip.input_max[1]}"
        return
    if len(going) > chip.destinations_max:
        to = ", ".join(one.layer for one in going)
        yield (
            f"it sends to {len(going)} layers ({to}), and a core has {chip.destinations_max} destinations: compute it "
            "on a second core too"
        )
    if sender.decimator not in chip.decimators:
        yield f"its decimator of {sender.decimator} is none of {_listed(chip.decimators)}"


def _listed(numbers: tuple[int, ...] | list[int]) -> str:
    return ", ".join(map(str, numbers))


def check_limit(limit: float | Mapping[int, float] | None, chip: Speck) -> None:
    """Refuse limits on synaptic operations per second that cannot be.

    Args:
        limit: of all cores, or by number.
        chip: whose cores they are.

    Raises:
        SettingsError: for a core that there is not, or what is no number above 0.
    """
    numbers = [core.number for core in chip.cores]
    for core, most in limit.items() if isinstance(limit, Mapping) else [(None, limit)]:
        if core is not None and core not in numbers:
            raise SettingsError(
                f"synops limit: {chip} has no core {core!r:.20}; there are {', '.join(map(str, numbers))}"
            )
        value = plain(most)
        if most is not None and not (fits(value, float) and value > 0):
            raise SettingsError(f"synops limit: so many operations in a second, a number above 0, not {most!r:.40}")
