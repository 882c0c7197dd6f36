"""Hyperedges as lines of text: a number, a neuron, and all that its spikes reach."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from spikewright.synapse_graph.decimals import decimals
from spikewright.synapse_graph.fan_outs import FanOuts, Numbers, ranges

SPACE, END = b" "[0], b"\n"[0]
PIECE = 1 << 22
"""Bytes of lines that are joined before they are written, about."""


def lines(fan_outs: FanOuts, before: tuple[Numbers, ...], shift: int) -> Iterator[bytes]:
    """A line for each neuron that reaches any: some numbers, the neuron's own, and those of its destinations.

    Neurons of a run share the text of their destinations.

    Args:
        fan_outs: the neurons.
        before: what stands first in the lines, each a number for each neuron of ``fan_outs``.
        shift: what is added to the numbers of neurons.
    """
    counts, own = fan_outs.counts, fan_outs.own
    if own is None and 2 * int(((counts > 0) & (fan_outs.lengths == 1)).sum()) > len(counts):
        yield _text(fan_outs, before, shift, only_with_destinations=True)
        return
    ends = np.full(len(fan_outs.dests), SPACE, np.uint8)
    ends[fan_outs.offsets[1:][counts > 0] - 1] = END
    tails = iter(decimals(fan_outs.dests + shift, ends).split(b"\n"))
    if own is None:
        nothing = np.zeros(int(fan_outs.lengths.sum()) + 1, np.int64)
        own = FanOuts(fan_outs.first, np.ones(len(nothing) - 1, np.int64), nothing, nothing[:0])
    heads = _text(own, before, shift, only_with_destinations=False).split(b"\n")
    at = 0
    for length, count in zip(fan_outs.lengths.tolist(), counts.tolist(), strict=True):
        some = heads[at : at + length]
        at += length
        if count:
            yield from _run(some, b" " + next(tails) + b"\n")
        elif fan_outs.own is not None:
            reach = np.flatnonzero(own.counts[at - length : at])
            yield b"".join(some[k] + b"\n" for k in reach.tolist())


def _run(heads: list[bytes], tail: bytes) -> Iterator[bytes]:
    step = max(PIECE // (len(tail) + 16), 1)
    for start in range(0, len(heads), step):
        yield tail.join([*heads[start : start + step], b""])


def _text(fan_outs: FanOuts, before: tuple[Numbers, ...], shift: int, only_with_destinations: bool) -> bytes:
    """A line for each neuron by itself, whatever it shares."""
    columns = len(before) + 1
    neuron = np.repeat(np.arange(len(fan_outs.lengths)), fan_outs.lengths)
    counts = fan_outs.counts[neuron]
    there = np.flatnonzero(counts) if only_with_destinations else np.arange(len(neuron))
    neuron, counts = neuron[there], counts[there]
    ends = np.cumsum(counts + columns)
    if not len(ends):
        return b""
    numbers = np.empty(int(ends[-1]), np.int64)
    begins = ends - counts - columns
    for k, values in enumerate(before):
        numbers[begins + k] = values[there]
    numbers[begins + columns - 1] = fan_outs.first + there + shift
    if len(fan_outs.dests):
        numbers[ranges(begins + columns, counts)] = fan_outs.dests[ranges(fan_outs.offsets[neuron], counts)] + shift
    separators = np.full(len(numbers), SPACE, np.uint8)
    separators[ends - 1] = END
    return decimals(numbers, separators)
