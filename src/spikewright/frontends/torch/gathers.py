"""What ATen's operators that only move values become: each is run on numbered values, and the nodes read off that."""

from __future__ import annotations

from typing import Any

import numpy as np

from spikewright.causes import Cause
from spikewright.frontends.common.gathers import gathered, numbered, table_of
from spikewright.frontends.common.limits import check_constants
from spikewright.frontends.common.moves import NodePlan, crop, reshaped
from spikewright.frontends.common.rules import Rules, words
from spikewright.frontends.torch.call import Call, Handler, Value
from spikewright.frontends.torch.trace import same_size
from spikewright.nodes import Concat, ConvTranspose, Pad, Permute, Take

GATHERS = Rules[Handler]()
converts = GATHERS.converts


@converts(
    *words(
        "diagonal diagonal_copy expand_copy flip fliplr flipud gather index index_select movedim moveaxis "
        "narrow repeat repeat_interleave roll rot90 swapaxes swapdims take_along_dim tile tril triu unfold unfold_copy"
    )
)
def move(call: Call) -> Value:
    return moved(call)


def moved(call: Call) -> Value:
    """What a call does with numbered values, as nodes.

    Raises:
        Refusal: where it mixes samples, or is more than a move.
    """
    import torch

    x = call.x
    check_constants(max(int(np.prod(call.shape)), int(np.prod(x.sample))))
    numbers = torch.from_numpy(numbered(x.sample)).double()

    def given(argument: Any) -> Any:
        """An argument with the numbers in the place of the activation, and their count in that of the batch."""
        if isinstance(argument, list | tuple):
            return [given(a) for a in argument]
        if isinstance(argument, torch.fx.Node):
            value = call.walk.resolve(argument)
            if isinstance(value, Value):
                return numbers if value == x else call.refuse(Cause.COMPUTED_WEIGHTS)
            if isinstance(value, torch.SymInt):
                return len(numbers) if same_size(value, call.walk.batch) else call.refuse(Cause.BATCH_SIZE)
            return value
        return argument

    target: Any = call.node.target
    with torch.no_grad():
        found = target(*(given(a) for a in call.node.args), **{k: given(a) for k, a in call.node.kwargs.items()})
    return call.emit_all(x, gathered(x.sample, table_of(found.numpy(), x.sample)))


@converts("im2col")
def unfold(call: Call) -> Value:
    """The values of every window as channels: positions taken row by row and column by column, then put in order."""
    kernel, dilation, padding, stride = (
        call.ints(call[name], 2) for name in ("kernel_size", "dilation", "padding", "stride")
    )
    channels, *places = call.spatial(2).sample
    plans = [NodePlan(Pad, "border", {"padding": ((0, 0), *((p, p) for p in padding))})] if any(padding) else []
    taken, split = [], []
    for n, k, d, p, s in zip(places, kernel, dilation, padding, stride, strict=True):
        outputs = (n + 2 * p - d * (k - 1) - 1) // s + 1
        taken.append(tuple(o * s + tap * d for tap in range(k) for o in range(outputs)))
        split += [k, outputs]
    plans += [
        NodePlan(Take, "taken", {"positions": ((), *taken)}),
        reshaped((channels, *split), "split"),
        NodePlan(Permute, "moved", {"axes": (0, 1, 3, 2, 4)}),
        reshaped((channels * split[0] * split[2], split[1] * split[3])),
    ]
    return call.emit_all(call.x, plans)


@converts("stack")
def stack(call: Call) -> Value | list[Value]:
    """Each with a new axis, joined along it; before the batch they stay apart, for a mean or sum of them."""
    values = [call.value(v) for v in call["tensors"]]
    rank = len(values[0].sample) + 2
    axis = int(call["dim"]) % rank - 1
    if axis < 0:
        return values
    wide = [(*v.sample[:axis], 1, *v.sample[axis:]) for v in values]
    parts = [call.emit_all(v, [reshaped(s, f"part{k}")]) for k, (v, s) in enumerate(zip(values, wide, strict=True))]
    return parts[0] if len(parts) == 1 else call.emit(Concat, *parts, axis=axis)


@converts("unbind")
def unbind(call: Call) -> list[Value]:
    x = call.x
    axis = call.axis(x, call["dim"])
    read = {user.args[1] for user in call.node.users}
    after = (*x.sample[:axis], *x.sample[axis + 1 :])
    found = []
    for k in range(x.sample[axis]):
        plans = [NodePlan(Pad, f"crop{k}", {"padding": crop(x.sample, axis, k, k + 1)}), reshaped(after, str(k))]
        found.append(call.emit_all(x, plans) if k in read else x)
    return found


@converts("col2im")
def fold(call: Call) -> Value:
    """Windows added up where they overlap: a transposed convolution whose kernel puts each value in its place."""
    kernel = call.ints(call["kernel_size"], 2)
    outputs, dilation, padding, stride = (
        call.ints(call[name], 2) for name in ("output_size", "dilation", "padding", "stride")
    )
    taps = int(np.prod(kernel))
    sizes = zip(outputs, padding, dilation, kernel, stride, strict=True)
    places = tuple((n + 2 * p - d * (k - 1) - 1) // s + 1 for n, p, d, k, s in sizes)
    channels = call.x.sample[0] // taps
    ends = [(p - 1) * s + d * (k - 1) + 1 for p, s, d, k in zip(places, stride, dilation, kernel, strict=True)]
    # What no window reaches at the end stays zero: less is cut off there.
    cut = tuple((p, e - p - n) for p, e, n in zip(padding, ends, outputs, strict=True))
    one = np.eye(taps, dtype=np.float32).reshape(taps, 1, *kernel)
    fields = {
        "weight": np.tile(one, (channels, 1, 1, 1)),
        "bias": np.zeros(channels),
        "stride": stride,
        "padding": cut,
        "dilation": dilation,
        "groups": channels,
    }
    rows = (call.x.sample[0], *places)
    return call.emit_all(call.x, [reshaped(rows, "windows"), NodePlan(ConvTranspose, "", fields)])
