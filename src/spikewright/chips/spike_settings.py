"""Settings of a chip's cores that a conversion does not have: how they reset, decimators, higher thresholds.

A decimator of N lets every N-th spike through, and with a threshold s times as high a spike comes after s times the
current: what arrives behind stands for so much more. So the weights behind are multiplied by it, and means stay, unless
somebody wants the settings alone, as the vendor's guide has them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar

from spikewright.chips.chip import Speck
from spikewright.chips.network import ChipNetwork, Readout
from spikewright.errors import SettingsError
from spikewright.settings import number, plain, whole
from spikewright.text import listed

V = TypeVar("V")
MOST_TIMES = 2**15
"""How many times as high a threshold may be, or as low."""


def with_settings(
    network: ChipNetwork,
    chip: Speck,
    *,
    return_to_zero: bool | None = None,
    decimator: int | Mapping[str, int] = 1,
    threshold_scale: float | Mapping[str, float] = 1.0,
    keep_means: bool = True,
) -> ChipNetwork:
    """The same network of floats with settings of cores.

    Args:
        network: of floats.
        chip: whose decimators there are.
        return_to_zero: whether a spike sets the potential to 0, in place of taking the threshold off; None leaves it
            as it was converted.
        decimator: one of so many spikes is passed on, for all layers or by name; 1 is off. Weights behind, and what
            a spike that is read stands for, are taken so many times.
        threshold_scale: so many times the threshold, with it the initial and the lowest potential, for all layers or
            by name. Weights behind are taken so many times.
        keep_means: whether weights behind, and what a spike that is read stands for, are taken so many times; where
            not, what is behind gets so much less.

    Raises:
        SettingsError: for a layer that there is not, a decimator that the chip does not have, or layers whose events
            share weights and would stand for different amounts.
    """
    passed = _by_layer("decimator", decimator, 1, network)
    scales = _by_layer("threshold_scale", threshold_scale, 1.0, network)
    for name, one in passed.items():
        every = whole("decimator", one, 1)
        if every not in chip.decimators:
            there = ", ".join(map(str, chip.decimators))
            raise SettingsError(f"layer '{name}': {chip} has no decimator of {every}; there are {there} (1 is off)")
    for name, scale in scales.items():
        value = plain(scale)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
            raise SettingsError(f"layer '{name}': threshold_scale must be a positive number, not {scale!r:.40}")
        if not 1 / MOST_TIMES <= value <= MOST_TIMES:
            raise SettingsError(
                f"layer '{name}': threshold_scale must be 1/{MOST_TIMES:,} to {MOST_TIMES:,}, as thresholds have "
                f"{chip.threshold_bits} bits, not {value:g}"
            )
    made = []
    for layer in network.layers:
        scale = float(scales[layer.name])
        reset = layer.reset if return_to_zero is None else "zero" if return_to_zero else "subtract"
        made.append(
            layer.replace(
                reset=reset,
                decimator=int(passed[layer.name]),
                threshold=layer.threshold * scale,
                v_min=None if layer.v_min is None else layer.v_min * scale,
                v_init=layer.v_init * scale,
            )
        )
    worth = {name: passed[name] * float(scales[name]) if keep_means else 1.0 for name in passed}
    readout = tuple(_worth(read, worth[read.layer]) for read in network.readout)
    return events_worth(ChipNetwork(network.inputs, tuple(made), readout), worth)


def events_worth(network: ChipNetwork, worth: Mapping[str, float]) -> ChipNetwork:
    """The same network where the weights that read some senders are multiplied.

    Args:
        network: of floats.
        worth: by name of an input or layer, what each of its events stands for, as a multiple of what it did.

    Raises:
        SettingsError: where two senders share weights and their events would stand for different amounts.
    """
    layers = []
    for layer in network.layers:
        weights, said = layer.weights.copy(), dict[int, tuple[float, str]]()
        for sender, to in network.arriving(layer.name):
            factor = float(worth.get(sender.name, 1.0))
            for channel in range(to.feature_shift, to.feature_shift + sender.output_shape[0]):
                before, other = said.setdefault(channel, (factor, sender.name))
                if before != factor:
                    raise SettingsError(
                        f"{layer}: '{other}' and '{sender.name}' arrive at the same weights, but their events would "
                        f"stand for {before:g} and {factor:g} times what they did; give both the same settings"
                    )
        for channel, (factor, _) in said.items():
            weights[:, channel] *= factor
        layers.append(layer.replace(weights=weights))
    return ChipNetwork(network.inputs, tuple(layers), network.readout)


def by_layer(label: str, text: str) -> float | dict[str, float]:
    """``4`` for all layers, or ``LAYER=4,OTHER=2``.

    Args:
        label: of the option.
        text: as typed.

    Raises:
        SettingsError: for anything else.
    """
    alone = number(text)
    if alone is not None:
        return alone
    found: dict[str, float] = {}
    for word in text.split(","):
        name, equals, value = word.strip().rpartition("=")
        parsed = number(value)
        if not equals or not name or name in found or parsed is None:
            raise SettingsError(f"{label} takes a number for all layers, or LAYER=4,OTHER=2, not '{text[:40]}'")
        found[name] = parsed
    return found


def _by_layer(label: str, given: V | Mapping[str, V], usual: V, network: ChipNetwork) -> dict[str, V]:
    names = [layer.name for layer in network.layers]
    if not isinstance(given, Mapping):
        return dict.fromkeys(names, given)
    unknown = [name for name in given if name not in names]
    if unknown:
        raise SettingsError(f"{label}: there is no layer '{unknown[0]!s:.40}'; there are {listed(names)}")
    return {name: given.get(name, usual) for name in names}


def _worth(read: Readout, worth: float) -> Readout:
    if worth == 1:
        return read
    values = read.spike_values or (1.0,) * len(read.neurons)
    return replace(read, spike_values=tuple(value * worth for value in values))
