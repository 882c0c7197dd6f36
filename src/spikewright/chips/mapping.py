"""Which core computes which layer: the best assignment there is, and one whenever there is one.

An assignment gives every layer a core of its own whose memories hold it. Among all of them the best one has, first, the
most work on the cores that compute in parallel; then the largest smallest share of free memory; then the lowest
numbers of cores, layer by layer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from functools import cache
from typing import Protocol

from spikewright.chips.chip import Core
from spikewright.chips.network import ChipLayer


class Words(Protocol):
    """What memory a layer takes: a ``ChipLayer``, or its ``Sizes``."""

    @property
    def kernel_words(self) -> int:
        """Words of weights."""

    @property
    def neuron_words(self) -> int:
        """Words of potentials."""

    @property
    def bias_words(self) -> int:
        """Words of biases."""


def holds(core: Core, layer: Words) -> bool:
    """Whether a core's memories hold a layer."""
    return (
        layer.kernel_words <= core.kernel_words
        and layer.neuron_words <= core.neuron_words
        and layer.bias_words <= core.bias_words
    )


def free_share(core: Core, layer: Words) -> Fraction:
    """The smallest share of a core's memories that a layer leaves free; a memory that neither has counts as none."""
    pairs = (
        (layer.kernel_words, core.kernel_words),
        (layer.neuron_words, core.neuron_words),
        (layer.bias_words, core.bias_words),
    )
    return min(1 - Fraction(used, there) for used, there in pairs if there)


def best_assignment(
    fitting: Sequence[Sequence[int]],
    work: Sequence[Fraction | float | int],
    free: Mapping[tuple[int, int], Fraction],
    parallel: Sequence[int],
) -> tuple[int, ...] | None:
    """The best core for each layer, no two the same; None where there is no valid assignment.

    Exact: the layers are gone through once, and of all sets of cores that those so far may stand on only the best way
    is kept, at most 2^cores of them. The sum of work decides first, so that ways are told apart by the sums themselves.

    Args:
        fitting: of each layer the numbers of the cores that hold it.
        work: of each layer how much it does, 0 or more; whole numbers and fractions are added up exactly.
        free: by layer and core the share that is free.
        parallel: the cores that compute in parallel.
    """
    amounts = [Fraction(amount) for amount in work]
    count = len(fitting)

    def of(layer: int, core: int) -> Fraction:
        return amounts[layer] if core in parallel else Fraction(0)

    @cache
    def most(layer: int, taken: frozenset[int]) -> Fraction | None:
        """The most work on parallel cores from a layer on."""
        if layer == count:
            return Fraction(0)
        found = [
            of(layer, core) + rest
            for core in fitting[layer]
            if core not in taken and (rest := most(layer + 1, taken | {core})) is not None
        ]
        return max(found, default=None)

    wanted = most(0, frozenset())
    if wanted is None:
        return None

    @cache
    def emptiest(layer: int, taken: frozenset[int]) -> Fraction:
        """The largest smallest free share from a layer on, with the most work."""
        if layer == count:
            return Fraction(1)
        return max(min(free[layer, core], emptiest(layer + 1, taken | {core})) for core in choices(layer, taken))

    def choices(layer: int, taken: frozenset[int]) -> list[int]:
        """The cores with which the most work is still reached."""
        left = most(layer, taken)
        found = []
        for core in fitting[layer]:
            rest = None if core in taken else most(layer + 1, taken | {core})
            if rest is not None and of(layer, core) + rest == left:
                found.append(core)
        return found

    share = emptiest(0, frozenset())
    chosen: list[int] = []
    for layer in range(count):
        taken = frozenset(chosen)
        chosen.append(
            min(
                core
                for core in choices(layer, taken)
                if min(free[layer, core], emptiest(layer + 1, taken | {core})) >= share
            )
        )
    return tuple(chosen)


def most_placed(fitting: Sequence[Sequence[int]]) -> tuple[int | None, ...]:
    """A core for as many layers as can have one at once, where not all can; earlier layers and lower cores first."""
    layer_of: dict[int, int] = {}

    def place(layer: int, seen: set[int]) -> bool:
        for core in sorted(fitting[layer]):
            if core not in seen:
                seen.add(core)
                if core not in layer_of or place(layer_of[core], seen):
                    layer_of[core] = layer
                    return True
        return False

    for layer in range(len(fitting)):
        place(layer, set())
    core_of = {layer: core for core, layer in layer_of.items()}
    return tuple(core_of.get(layer) for layer in range(len(fitting)))


def assign(
    layers: Sequence[ChipLayer], cores: Sequence[Core], work: Sequence[float | int] | None = None
) -> tuple[int, ...] | None:
    """The best core for each layer; None where there is no valid assignment.

    Args:
        layers: in order.
        cores: of the chip.
        work: of each layer, synaptic operations per second; MACs where nobody knows rates.
    """
    fitting = [[core.number for core in cores if holds(core, layer)] for layer in layers]
    if None in most_placed(fitting):
        return None
    free = {
        (k, core.number): free_share(core, layer)
        for k, layer in enumerate(layers)
        for core in cores
        if core.number in fitting[k]
    }
    amounts = [layer.macs for layer in layers] if work is None else work
    return best_assignment(fitting, amounts, free, [core.number for core in cores if core.parallel])
