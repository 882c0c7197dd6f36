"""Whether the layers of a network have shapes that an Akida computes, as far as limits are public."""

from __future__ import annotations

from collections.abc import Iterator

from spikewright.chips.chip import Akida
from spikewright.graph import Graph
from spikewright.nodes import Conv, Input, Linear, SumPool

QUANTISED = "it computes quantised networks: weights of {} bits; Spikewright checks shapes and quantises nothing for it"


def broken_on_akida(graph: Graph, chip: Akida) -> tuple[str, ...]:
    """Every public limit on shapes that a network breaks, a sentence each.

    Args:
        graph: trained or spiking.
        chip: it shall fit.
    """
    found = [line for node in graph if isinstance(node, Conv | Linear) for line in _broken(graph, node, chip)]
    for pool in graph.of_type(SumPool):
        ((_, *spatial),) = graph.input_shapes(pool)
        if tuple(spatial) != pool.kernel:
            found.append(f"{pool.name}: only maxima are pooled, and means of whole maps: use max pooling or a stride")
    return tuple(found)


def _broken(graph: Graph, node: Conv | Linear, chip: Akida) -> Iterator[str]:
    (shape,) = graph.input_shapes(node)
    if isinstance(node, Linear):
        if shape[0] > chip.dense_inputs_max:
            yield f"{node.name}: reads {shape[0]:,} values, more than {chip.dense_inputs_max:,}: pool before it"
        return
    if len(node.kernel) != 2 or len(set(node.kernel)) > 1 or len(set(node.stride)) > 1:
        yield f"{node.name}: its kernel {node.kernel} or stride {node.stride} is not square"
        return
    (side, _), (stride, _) = node.kernel, node.stride
    if max(node.dilation) > 1:
        yield f"{node.name}: its kernel is dilated, and no such layer exists"
    if isinstance(graph[node.inputs[0]], Input):
        yield from _first(node, shape, side, stride, chip)
        return
    if side not in chip.kernels:
        yield f"{node.name}: a kernel of {side} is none of {_listed(chip.kernels)}"
    if stride not in chip.strides:
        yield f"{node.name}: a stride of {stride} is none of {_listed(chip.strides)}"
    elif stride > 1 and side not in chip.strided_kernels:
        yield f"{node.name}: a stride of {stride} needs a kernel of {_listed(chip.strided_kernels)}, not {side}"
    same = tuple(-(-n // stride) for n in shape[1:])
    if graph.shapes[node.name][1:] != same:
        yield f"{node.name}: its padding is not 'same', which every layer but the first has"
    if chip.channels_max is not None and max(shape[0], len(node.weight)) > chip.channels_max:
        yield f"{node.name}: {max(shape[0], len(node.weight)):,} channels are more than {chip.channels_max:,}"


def _first(node: Conv, shape: tuple[int, ...], side: int, stride: int, chip: Akida) -> Iterator[str]:
    """Limits of the layer that reads the image."""
    low, high = chip.input_side
    if min(shape[1:]) < low or max(shape[1:]) > high:
        yield f"{node.name}: reads {shape[1]}x{shape[2]} pixels; sides are {low} to {high}"
    if shape[0] not in chip.input_channels:
        yield f"{node.name}: reads {shape[0]} channels, not {_listed(chip.input_channels)}"
    if side not in chip.input_kernels:
        yield f"{node.name}: a first kernel of {side} is none of {_listed(tuple(chip.input_kernels))}"
    elif stride not in chip.input_kernels[side]:
        yield f"{node.name}: a stride of {stride} is none of {_listed(chip.input_kernels[side])} for a kernel of {side}"
    most = chip.input_filters_max.get((shape[0], side))
    if most is not None and len(node.weight) > most:
        of_what = f"for {shape[0]} channels and a kernel of {side}"
        yield f"{node.name}: {len(node.weight):,} filters are more than {most:,} {of_what}"


def _listed(numbers: tuple[int, ...]) -> str:
    return ", ".join(map(str, numbers))
