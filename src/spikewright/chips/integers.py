"""A network of floats as the integers of a chip: weights, biases, thresholds and potentials by one factor a layer.

Two rules choose the factor. The *common* one is the largest by which weights, biases, thresholds and potentials each
fit their words: what fits the tightest decides. Since all numbers of a layer scale together, another factor is as good,
if what does not fit is cut off: by calibration data the *least loss* rule takes the factor with the smallest squared
error of what the layer would send.

Sources: the common rule is that of sinabs 3.1.3, ``discretize.py``; word lengths: Speck Dev Kit Datasheet (Aug 2023),
p. 19 and 23.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from spikewright.chips.chip import Speck
from spikewright.chips.network import ChipLayer, ChipNetwork
from spikewright.chips.rate_samples import RateSamples, rate_samples
from spikewright.errors import SettingsError
from spikewright.settings import whole

Floats = NDArray[np.float64]
Binding = Literal["weights", "bias", "thresholds", "potentials", "calibration"]

LOWEST_CLAMP = -1
"""The lower end of potentials where a network asks for 0, which the chip has a fault at (datasheet, p. 25)."""
FACTORS = np.concatenate([np.geomspace(0.5, 4.0, 73), np.geomspace(4.0, 64.0, 17)[1:]])
"""Factors that are tried, as multiples of the one by which the weights just fit. The largest are for layers in which a
channel that hardly ever fires, and so was given a small λ, has weights tens of times as large as all others."""
CALIBRATE = "'quantise' with --data cuts the large ones off where that loses less"
FINE = 4
"""A channel whose weights all round to less than this has too few values left to compute with."""


@dataclass(frozen=True)
class LayerLoss:
    """What a layer loses by being integers.

    ``str`` gives one line.

    Attributes:
        layer: its name.
        factor: by which its numbers were multiplied.
        bound_by: what chose the factor: what fits its word the tightest, or the calibration data.
        clipped: how many weights are cut off at the end of their word.
        weights: the error of the weights, root mean square, as a share of theirs.
        bias: the same of the biases; None without any.
        threshold: the error of the threshold, as a share of it.
        output: the error of what it would send, root mean square, as a share of that, over calibration data; None
            without any.
    """

    layer: str
    factor: float
    bound_by: Binding
    clipped: int
    weights: float
    bias: float | None
    threshold: float
    output: float | None = None

    def summary(self) -> dict[str, Any]:
        """What it lost, as plain JSON-like values."""
        return {
            "factor": self.factor,
            "bound_by": self.bound_by,
            "clipped": self.clipped,
            "weights_off": self.weights,
            "bias_off": self.bias,
            "threshold_off": self.threshold,
            "output_off": self.output,
        }

    def __str__(self) -> str:
        parts = [f"factor {self.factor:.5g} by its {self.bound_by}", f"weights {100 * self.weights:.2g} % off"]
        if self.clipped:
            parts.append(f"{self.clipped} cut off")
        if self.bias is not None:
            parts.append(f"biases {100 * self.bias:.2g} % off")
        parts.append(f"threshold {100 * self.threshold:.2g} % off")
        if self.output is not None:
            parts.append(f"output {100 * self.output:.2g} % off")
        return f"{self.layer}: {', '.join(parts)}"


@dataclass(frozen=True, eq=False)
class Integers:
    """A network as a chip's integers, and what that costs.

    Attributes:
        network: of integers.
        losses: by layer, in order.
        notes: what somebody should know about it.
    """

    network: ChipNetwork
    losses: tuple[LayerLoss, ...]
    notes: tuple[str, ...] = ()


def integers_of(
    network: ChipNetwork,
    chip: Speck,
    pictures: Sequence[Mapping[str, Any]] | Mapping[str, Any] | None = None,
    *,
    bias_bits: int | None = None,
    seed: int = 0,
) -> Integers:
    """A network of floats as integers of a chip.

    Args:
        network: of floats.
        chip: whose words they have to fit.
        pictures: by input, calibration data ``(N, channels, rows, columns)``; the least loss rule then chooses.
            Without any it is the common rule.
        bias_bits: of biases; those of the chip unless given: 8 is what sinabs takes.
        seed: of the draw of positions that outputs are compared at.

    Raises:
        SettingsError: for a network that is integers already, or words of no bits.
    """
    if network.is_integer:
        raise SettingsError("the network is integers already; quantise what it was made of")
    bits = chip.bias_bits if bias_bits is None else whole("bias_bits", bias_bits, 2)
    samples = None if pictures is None else rate_samples(network, pictures, seed=seed)  # type: ignore[arg-type]
    layers, losses, notes = [], [], list[str]()
    for layer in network.layers:
        words = _Words(chip.kernel_bits, bits, chip.threshold_bits, chip.neuron_bits)
        found, loss = _quantised(layer, words, None if samples is None else samples[layer.name])
        layers.append(found)
        losses.append(loss)
        notes += _remarks(layer, found, loss, chip, calibrated=samples is not None)
    return Integers(ChipNetwork(network.inputs, tuple(layers), network.readout), tuple(losses), tuple(notes))


@dataclass(frozen=True)
class _Words:
    """How many bits each kind of number has."""

    kernel: int
    bias: int
    threshold: int
    state: int


def fitting_factor(values: Any, bits: int) -> float:
    """The largest factor by which values fit a signed word: ``(2^(b−1) − 1)/max``, or ``2^(b−1)/|min|`` where the
    negative side binds; infinite for zeros."""
    array = np.asarray(values, np.float64)
    low, high = float(array.min(initial=0)), float(array.max(initial=0))
    most = 2 ** (bits - 1)
    return min((most - 1) / high if high > 0 else np.inf, most / -low if low < 0 else np.inf)


def common_factor(layer: ChipLayer, words: _Words) -> tuple[float, Binding]:
    """The factor of the common rule, and what binds it. A lowest potential that was not asked for does not count: it is
    the end of the word, whatever the factor; taken for a number, every weight would round to 0 or ±1."""
    ends = [layer.threshold] if layer.v_min is None else [layer.v_min, layer.threshold]
    candidates: list[tuple[float, Binding]] = [(fitting_factor(layer.weights, words.kernel), "weights")]
    if layer.bias is not None:
        candidates.append((fitting_factor(layer.bias, words.bias), "bias"))
    candidates.append((fitting_factor(ends, words.threshold), "thresholds"))
    candidates.append((fitting_factor(layer.v_init, words.state), "potentials"))
    return min(candidates, key=lambda one: one[0])


def _quantised(layer: ChipLayer, words: _Words, samples: RateSamples | None) -> tuple[ChipLayer, LayerLoss]:
    factor, bound = common_factor(layer, words)
    found = _rounded(layer, factor, words)
    if samples is None:
        return found, _loss(layer, found, factor, bound, None)
    most = min(common_factor(layer.replace(weights=np.zeros_like(layer.weights)), words)[0], np.inf)
    fits = fitting_factor(layer.weights, words.kernel)
    tried = [factor, *(fits * FACTORS if np.isfinite(fits) else [])]
    candidates = [(one, _rounded(layer, one, words)) for one in tried if one <= most]
    errors = [samples.error(layer, candidate) for _, candidate in candidates]
    best = int(np.argmin(errors))
    chosen, found = candidates[best]
    return found, _loss(layer, found, chosen, bound if best == 0 else "calibration", errors[best])


def _rounded(layer: ChipLayer, factor: float, words: _Words) -> ChipLayer:
    """The layer with its numbers multiplied and rounded, half to even, in single precision as sinabs does."""
    threshold = max(1, int(_whole(layer.threshold, factor, words.threshold)))
    v_min = None
    if layer.v_min is not None:
        v_min = min(LOWEST_CLAMP, int(_whole(layer.v_min, factor, words.threshold)))
    return layer.replace(
        weights=_whole(layer.weights, factor, words.kernel),
        bias=None if layer.bias is None else _whole(layer.bias, factor, words.bias),
        threshold=threshold,
        v_min=v_min,
        v_init=_whole(layer.v_init, factor, words.state),
    )


def _whole(values: Any, factor: float, bits: int) -> NDArray[np.int64]:
    most = 2 ** (bits - 1)
    scaled = np.asarray(values, np.float32) * np.float32(factor)
    whole_numbers = np.clip(np.rint(scaled.astype(np.float64)), -most, most - 1).astype(np.int64)
    return whole_numbers if np.ndim(values) else whole_numbers[()]


def _loss(layer: ChipLayer, found: ChipLayer, factor: float, bound: Binding, output: float | None) -> LayerLoss:
    scaled = layer.weights * factor
    return LayerLoss(
        layer=layer.name,
        factor=float(factor),
        bound_by=bound,
        clipped=int((np.abs(scaled - found.weights) > 0.5001).sum()),
        weights=_off(layer.weights, found.weights, factor),
        bias=None if not layer.has_bias else _off(layer.bias, found.bias, factor),
        threshold=abs(found.threshold / factor / layer.threshold - 1),
        output=None if output is None else float(np.sqrt(output)),
    )


def _off(values: Any, found: Any, factor: float) -> float:
    own = np.asarray(values, np.float64)
    size = float(np.square(own).sum())
    return float(np.sqrt(np.square(found / factor - own).sum() / size)) if size else 0.0


def coarse(layer: ChipLayer, bits: int) -> str:
    """What is lost in a layer whose largest weights are in few of its channels, in words; empty where that is little.

    Args:
        layer: of floats or integers, whose largest weight fills its word.
        bits: of a weight.
    """
    most = 2 ** (bits - 1) - 1
    peaks = np.abs(layer.weights).reshape(len(layer.weights), -1).max(axis=1)
    peaks = peaks[peaks > 0]
    small = int((np.rint(peaks * (most / peaks.max(initial=0))) < FINE).sum()) if len(peaks) else 0
    if 2 * small < max(len(peaks), 1):
        return ""
    return (
        f"{layer}: in {small} of {len(peaks)} channels no weight is beyond {FINE - 1} of {most}, since the weights of "
        "others are so large: most of what they compute is rounded away"
    )


def _remarks(layer: ChipLayer, found: ChipLayer, loss: LayerLoss, chip: Speck, calibrated: bool) -> list[str]:
    notes = []
    lost = coarse(found, chip.kernel_bits) if loss.bound_by in ("weights", "calibration") else ""
    if lost:
        notes.append(lost if calibrated else f"{lost}; {CALIBRATE}")
    if loss.bound_by not in ("weights", "calibration"):
        largest = int(np.abs(found.weights).max())
        notes.append(
            f"{layer}: its {loss.bound_by} bound the factor, so that weights reach only {largest} of "
            f"{2 ** (chip.kernel_bits - 1) - 1}"
        )
    if layer.v_min is not None and found.v_min == LOWEST_CLAMP and layer.v_min * loss.factor > -0.5:
        notes.append(f"{layer}: potentials end at −1, not 0: the chip has a fault at a lower threshold of 0")
    largest = int(found.weights.max(initial=0))
    if largest > found.threshold:
        notes.append(
            f"{layer}: weights reach {largest}, its threshold is {found.threshold}: a neuron that gets one such event "
            "keeps firing at every event that follows, until the rest is sent"
        )
    return notes
