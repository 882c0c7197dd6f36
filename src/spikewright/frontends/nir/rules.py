"""What each NIR primitive becomes."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from spikewright.frontends.common.constants import factor_and_shift
from spikewright.frontends.common.moves import reshaped
from spikewright.frontends.common.refusals import Refusal
from spikewright.frontends.common.windows import no_padding, plain, same_padding
from spikewright.frontends.nir.call import Call, Rule
from spikewright.frontends.nir.neurons import CURRENT_IS_A_STATE, current_based, integrator, population, threshold
from spikewright.graph import Array, Node, Shape
from spikewright.nodes import AvgPool, ChannelAffine, Conv, Linear, Reshape, SumPool
from spikewright.nodes._window import Padding


def _affine(call: Call) -> tuple[Node, ...]:
    """``y = W x + b``; a weight of more than two axes holds one matrix for each position of the leading axes."""
    weight = call.array("weight")
    if weight.ndim < 2:
        raise Refusal(f"its weight has the shape {weight.shape}, which is no matrix")
    *leading, outputs, inputs = weight.shape
    bias = call.array("bias") if call.kind == "Affine" else np.zeros(outputs, np.float32)
    if bias.shape not in ((outputs,), (*leading, outputs)):
        raise Refusal(f"its bias has the shape {bias.shape}, its weight {weight.shape}")
    if call.shape is None:
        return ()
    if call.shape != (*leading, inputs):
        hint = "; flatten it first" if call.shape and prod(call.shape) == inputs else ""
        raise Refusal(f"its weight {weight.shape} does not fit an input of shape {call.shape}{hint}")
    if call.notes.get("type") == "ChannelAffine" and np.array_equal(weight, np.diag(np.diag(weight))):
        return (ChannelAffine(**call.base, scale=np.diag(weight), bias=bias),)
    if not leading:
        return (Linear(**call.base, weight=weight, bias=bias),)
    rows = prod(leading)  # a matrix for each: a convolution of one point with as many groups
    before, conv = call.fresh(f"{call.name}.rows"), call.fresh(f"{call.name}.matrices")
    return (
        Reshape(name=before, inputs=(call.source,), shape=(rows * inputs, 1)),
        Conv(
            name=conv,
            inputs=(before,),
            weight=weight.reshape(rows * outputs, inputs, 1),
            bias=np.broadcast_to(bias, (*leading, outputs)).reshape(-1),
            groups=rows,
            **plain(1),
        ),
        Reshape(name=call.name, inputs=(conv,), shape=(*leading, outputs)),
    )


def _conv(call: Call) -> tuple[Node, ...]:
    axes = 1 if call.kind == "Conv1d" else 2
    weight = call.array("weight")
    if weight.ndim != axes + 2:
        raise Refusal(f"its weight has the shape {weight.shape}; it needs {axes + 2} axes")
    stride, dilation = call.integers("stride", axes, 1), call.integers("dilation", axes, 1)
    padding = _padding(call, weight.shape[2:], stride, dilation)
    (groups,) = call.integers("groups", 1, 1)
    bias = call.array("bias", np.zeros(len(weight)))
    if call.shape is None:
        return ()
    call.check_stated("input_shape", call.shape[1:])
    weight, padding = _cropped(call, weight, padding, dilation)
    if call.notes.get("type") == "ChannelAffine":
        flat = weight.reshape(len(weight), -1)
        if flat.shape == (groups, 1):
            return (ChannelAffine(**call.base, scale=flat[:, 0], bias=bias),)
        if np.array_equal(flat, np.diag(np.diag(flat))):
            return (ChannelAffine(**call.base, scale=np.diag(flat), bias=bias),)
    windows: dict[str, Any] = {"stride": stride, "padding": padding, "dilation": dilation}
    return (Conv(**call.base, weight=weight, bias=bias, groups=groups, **windows),)


def _padding(call: Call, kernel: Shape, stride: Shape, dilation: Shape) -> Padding:
    """Numbers, ``"valid"``, or ``"same"``: as many outputs as inputs, the odd zero behind."""
    text = call.fields.get("padding")
    if not isinstance(text, str):
        return tuple((n, n) for n in call.integers("padding", len(kernel), 0))
    if text == "valid":
        return no_padding(len(kernel))
    if text != "same":
        raise Refusal(f"its padding is {text!r}, neither numbers nor 'same' nor 'valid'")
    if set(stride) != {1}:
        raise Refusal(f"its padding is 'same', which only goes with a stride of 1, not {stride}")
    return tuple(same_padding(1, k, dilation=d) for k, d in zip(kernel, dilation, strict=True))


def _cropped(call: Call, weight: Array, padding: Padding, dilation: Shape) -> tuple[Array, Padding]:
    """The kernel and padding from before a writer of ours made the padding even by zeros in the kernel."""
    noted = call.notes.get("padding")
    try:
        wanted = tuple((int(low), int(high)) for low, high in noted or ())
    except (TypeError, ValueError):
        wanted = ()
    if len(wanted) != len(padding):
        return weight, padding
    cuts = [slice(None), slice(None)]
    for k, (low, high), even, d in zip(weight.shape[2:], wanted, padding, dilation, strict=True):
        if not (0 <= low <= even[0] and 0 <= high <= even[1]):
            return weight, padding
        cuts.append(slice((even[0] - low) // d, k - (even[1] - high) // d))
    inner = weight[tuple(cuts)]
    if not inner.size or np.count_nonzero(inner) != np.count_nonzero(weight):
        return weight, padding
    return inner, wanted


def _pool(call: Call) -> tuple[Node, ...]:
    """Padded zeros count in the mean, as in every reader of NIR."""
    kernel, stride = call.integers("kernel_size", 2, 1), call.integers("stride", 2, 1)
    padding = tuple((n, n) for n in call.integers("padding", 2, 0))
    if call.shape is None:
        return ()
    kind = AvgPool if call.kind == "AvgPool2d" else SumPool
    return (kind(**call.base, kernel=kernel, stride=stride, padding=padding),)


def _flatten(call: Call) -> tuple[Node, ...]:
    """The axes from ``start_dim`` to ``end_dim`` as one; the batch is none of them."""
    if call.shape is None:
        return ()
    call.check_stated("input_type", call.shape)
    axes = len(call.shape)
    start, end = (_axis(call, label, axes) for label in ("start_dim", "end_dim"))
    if start > end:
        raise Refusal(f"it flattens from axis {start} to axis {end}")
    shape = (*call.shape[:start], prod(call.shape[start : end + 1]), *call.shape[end + 1 :])
    plan = reshaped(shape)
    return (plan.kind(**call.base, **plan.fields),)


def _axis(call: Call, label: str, axes: int) -> int:
    value = call.array(label, 1 if label == "start_dim" else -1)
    if value.size != 1 or value.dtype.kind not in "iu" or not -axes <= int(value.item()) < axes:
        raise Refusal(f"its {label} is {value}; its input has {axes} axes, the batch is none of them")
    return int(value.item()) % axes


def _scale(call: Call) -> tuple[Node, ...]:
    scale = call.of_one(call.array("scale"))
    if call.shape is None or call.notes.get("type") == "copy":
        return ()
    if scale.size != 1 and scale.shape != call.shape:
        raise Refusal(f"its scale has the shape {scale.shape}, its input {call.shape}")
    scale = scale.reshape(()) if scale.size == 1 else scale
    return (ChannelAffine(**call.base, **factor_and_shift(scale, 0, call.shape)),)


def _delay(call: Call) -> tuple[Node, ...]:
    """Nothing, where it waits for less than a step."""
    delay = call.spread("delay")
    if not (np.abs(delay) < 1e-6 * call.dt).all():
        raise Refusal("spikes arrive in the step in which they are sent")
    return ()


def _identity(_call: Call) -> tuple[Node, ...]:
    return ()


RULES: dict[str, Rule] = {
    "Affine": _affine,
    "AvgPool2d": _pool,
    "Conv1d": _conv,
    "Conv2d": _conv,
    "CubaLIF": current_based,
    "Delay": _delay,
    "Flatten": _flatten,
    "I": integrator,
    "Identity": _identity,
    "IF": population,
    "LIF": population,
    "Linear": _affine,
    "Scale": _scale,
    "SumPool2d": _pool,
    "Threshold": threshold,
}
"""The rules, by NIR type. Input, Output and NIRGraph are no operators: the walk takes them."""

SAME_SHAPE = ("CubaLIF", "Delay", "I", "IF", "Identity", "LIF", "Scale", "Threshold")
"""Those whose output has the shape of their input."""

NOT_TAKEN = {
    "CubaLI": CURRENT_IS_A_STATE,
    "LI": "an output adds up what arrives and does not leak",
}
"""Types whose output has the shape of the input, and why they are refused."""
