"""The nearest changes of a layer with which a network fits: fewer channels, a stride, a pool before it, …"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from spikewright.chips.chip import Core, Speck
from spikewright.chips.limits import broken
from spikewright.chips.mapping import holds, most_placed
from spikewright.chips.sizes import Sizes


@dataclass(frozen=True)
class Change:
    """One change of a layer, which needs training again.

    Attributes:
        text: what to do: "32 channels".
        core: the core that then computes it.
    """

    text: str
    core: int

    def __str__(self) -> str:
        """``32 channels (core 3)``."""
        return f"{self.text} (core {self.core})"


def fitting_cores(sizes: Sizes, cores: Sequence[Core]) -> tuple[int, ...]:
    """The numbers of the cores whose memories hold a layer."""
    return tuple(core.number for core in cores if holds(core, sizes))


def changes(layers: Sequence[Sizes], which: int, chip: Speck) -> tuple[Change, ...]:
    """The smallest change of each kind with which a layer keeps all limits and gets a core.

    A layer gets one if more layers than before can have cores of their own at the same time; of more layers than there
    are cores each is looked at by itself.

    Args:
        layers: of the network.
        which: of them is changed.
        chip: it shall fit.
    """
    fitting = [fitting_cores(sizes, chip.cores) if not broken(sizes, chip) else () for sizes in layers]
    placed = _placed(fitting)
    found = []
    for kind in (_fewer_channels, _stride, _pool_before, _smaller_kernel, _fewer_inputs, _no_bias):
        for text, sizes in kind(layers[which], chip):
            cores = () if broken(sizes, chip) else fitting_cores(sizes, chip.cores)
            changed = [*fitting[:which], cores, *fitting[which + 1 :]]
            if cores and (len(layers) > len(chip.cores) or _placed(changed) > placed):
                core = most_placed(changed)[which]
                found.append(Change(text, cores[0] if core is None else core))
                break
    return tuple(found)


def _placed(fitting: Sequence[Sequence[int]]) -> int:
    return sum(core is not None for core in most_placed(fitting))


Kind = Callable[[Sizes, Speck], Iterator[tuple[str, Sizes]]]


def _steps(below: int) -> Iterator[int]:
    """Numbers below one, downwards: all where they are few, else those that memory tells apart and multiples of 8."""
    for number in range(below - 1, 0, -1):
        if below <= 64 or number % 8 == 0 or number < 8:
            yield number


def _fewer_channels(sizes: Sizes, chip: Speck) -> Iterator[tuple[str, Sizes]]:
    for number in _steps(min(sizes.outputs, chip.features_max + 1)):
        yield f"{number} channel{'s' * (number > 1)}", replace(sizes, outputs=number)


def _fewer_inputs(sizes: Sizes, chip: Speck) -> Iterator[tuple[str, Sizes]]:
    channels, *spatial = sizes.input_shape
    for number in _steps(min(channels, chip.features_max + 1)):
        text = f"{number} input channel{'s' * (number > 1)}"
        yield text, replace(sizes, input_shape=(number, spatial[0], spatial[1]))


def _stride(sizes: Sizes, chip: Speck) -> Iterator[tuple[str, Sizes]]:
    for stride in chip.strides:
        if stride > max(sizes.stride):
            yield f"stride {stride}", replace(sizes, stride=(stride, stride))


def _pool_before(sizes: Sizes, chip: Speck) -> Iterator[tuple[str, Sizes]]:
    channels, rows, columns = sizes.input_shape
    for pool in chip.pools:
        if pool > 1 and min(rows, columns) >= pool:
            smaller = (channels, rows // pool, columns // pool)
            whole = (sizes.output_shape[1:], sizes.padding) == ((1, 1), (0, 0)) and sizes.kernel == rows == columns
            kernel = rows // pool if whole else sizes.kernel
            yield f"a pool of {pool} before it", replace(sizes, input_shape=smaller, kernel=kernel)


def _smaller_kernel(sizes: Sizes, chip: Speck) -> Iterator[tuple[str, Sizes]]:
    if sizes.output_shape[1:] == (1, 1) and not any(sizes.padding):
        return  # one window over all of a map
    for kernel in range(min(sizes.kernel - 2, chip.kernel_max), 0, -1):
        if (sizes.kernel - kernel) % 2 == 0:
            less = (sizes.kernel - kernel) // 2
            padding = max(sizes.padding[0] - less, 0), max(sizes.padding[1] - less, 0)
            yield f"a kernel of {kernel}x{kernel}", replace(sizes, kernel=kernel, padding=padding)


def _no_bias(sizes: Sizes, chip: Speck) -> Iterator[tuple[str, Sizes]]:
    del chip
    if sizes.bias:
        yield "no bias", replace(sizes, bias=False)
