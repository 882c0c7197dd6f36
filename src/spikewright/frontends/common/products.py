"""Products with a constant along any axes, in Einstein's notation: convolutions with a kernel of one, in groups."""

from __future__ import annotations

import re
from math import prod

import numpy as np

from spikewright.causes import Cause
from spikewright.frontends.common.gathers import named
from spikewright.frontends.common.limits import check_constants
from spikewright.frontends.common.moves import NodePlan, reshaped
from spikewright.frontends.common.refusals import Refusal
from spikewright.frontends.common.windows import plain
from spikewright.graph import Array, Shape
from spikewright.nodes import Conv, Flatten, Linear, Permute

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def contracted(shape: Shape, data: str, weight: Array, of_weight: str, result: str) -> list[NodePlan]:
    """The nodes of ``einsum("data,of_weight->result", sample, weight)``.

    Args:
        shape: of a sample.
        data: a letter for each axis of it.
        weight: the constant.
        of_weight: a letter for each of its axes.
        result: the letters that are left, in order.

    Raises:
        Refusal: where a letter stands twice, or lengths do not fit.
    """
    sizes = dict(zip(data, shape, strict=True))
    told = f"{data},{of_weight}->{result}"
    lengths = dict(zip(of_weight, weight.shape, strict=False))
    fits = weight.ndim == len(of_weight) and all(sizes.get(c, n) == n for c, n in lengths.items())
    if not fits or any(len(set(word)) != len(word) for word in (data, of_weight, result)):
        raise Refusal(f"{told} does not fit samples of {shape} and a constant of {weight.shape}")
    sizes |= lengths
    if not set(result) <= sizes.keys():
        raise Refusal(f"{told} has letters that nothing stands for")
    # What only the constant has and the result has not is added up at once; of the data, a weight of one does that.
    lone = [k for k, c in enumerate(of_weight) if c not in data and c not in result]
    weight = np.asarray(weight, np.float64).sum(axis=tuple(lone))
    of_weight = "".join(c for c in of_weight if c in data or c in result)
    summed = "".join(c for c in data if c not in of_weight and c not in result)
    of_weight += summed
    weight = np.broadcast_to(
        weight.reshape(*weight.shape, *(1,) * len(summed)), (*weight.shape, *(sizes[c] for c in summed))
    )
    groups = "".join(c for c in data if c in of_weight and c in result)
    inner = "".join(c for c in data if c in of_weight and c not in result)
    kept = "".join(c for c in data if c not in of_weight)
    outer = "".join(c for c in result if c not in data)
    g, i, k, o = (prod(sizes[c] for c in word) for word in (groups, inner, kept, outer))
    check_constants(g * o * i)
    kernel = weight.transpose([of_weight.index(c) for c in groups + outer + inner]).reshape(g * o, i)
    plans = []
    if data != groups + inner + kept:
        plans.append(NodePlan(Permute, "before", {"axes": tuple(data.index(c) for c in groups + inner + kept)}))
    if g == k == 1:
        plans += [NodePlan(Flatten, "row")] if len(shape) > 1 else []
        plans.append(NodePlan(Linear, "product", {"weight": kernel, "bias": np.zeros(o)}))
        at: Shape = (o,)
    else:
        rows = (g * i, k)
        plans += [reshaped(rows, "rows")] if shape != rows or plans else []
        bias = np.zeros(g * o)
        plans.append(NodePlan(Conv, "product", {"weight": kernel[..., None], "bias": bias, "groups": g, **plain(1)}))
        at = (g * o, k)
    order = groups + outer + kept
    lies = tuple(sizes[c] for c in order)
    moves = order != result
    plans += [reshaped(lies, "axes")] if moves and at != lies else []
    at = lies if moves else at
    plans += [NodePlan(Permute, "after", {"axes": tuple(order.index(c) for c in result)})] if moves else []
    wanted = tuple(sizes[c] for c in result)
    plans += [reshaped(wanted, "result")] if (wanted if moves else at) != wanted else []
    return named(plans)


def equation(text: str, ranks: tuple[int, int], data: int) -> tuple[str, str, str]:
    """The letters of data, constant and result of an equation, without that of the batch.

    Args:
        text: as people write it, with or without a result, and with "..." for any axes.
        ranks: how many axes each operand has, the batch among them.
        data: which operand is the data; its first axis is the batch.

    Raises:
        Refusal: for an equation of another form, or one that mixes samples.
    """
    text = text.replace(" ", "")
    told, _, result = text.partition("->")
    words = told.split(",")
    if len(words) != 2 or not all(re.fullmatch(r"[a-zA-Z]*(\.\.\.)?[a-zA-Z]*", w) for w in (*words, result)):
        raise Refusal(f"its equation {text!r} is not of two operands")
    if "->" not in text:
        once = sorted(c for c in set("".join(words).replace(".", "")) if "".join(words).count(c) == 1)
        result = ("..." if "..." in told else "") + "".join(once)
    free = [c for c in LETTERS if c not in text]
    extra = [
        rank - len(word.replace("...", "")) if "..." in word else 0 for word, rank in zip(words, ranks, strict=True)
    ]
    if min(extra) < 0 or max(extra) > len(free):
        raise Refusal(f"its equation {text!r} does not fit operands of {ranks} axes")
    more = "".join(free[: max(extra)])
    words = [w.replace("...", more[len(more) - n :]) for w, n in zip(words, extra, strict=True)]
    result = result.replace("...", more)
    batch, constant = words[data][:1], words[1 - data]
    if not batch or batch in constant or result[:1] != batch or batch in result[1:]:
        raise Refusal(Cause.BATCH_AXIS, f"its equation is {text!r}")
    return words[data][1:], constant, result[1:]


def matrix_product(shape: Shape, weight: Array, *, left: bool) -> list[NodePlan]:
    """The nodes of ``weight @ sample`` (left) or ``sample @ weight``, whose further axes go with the sample's.

    Raises:
        Refusal: for lengths that do not fit, or a constant with more axes than a batch.
    """
    while weight.ndim > 2 and weight.shape[0] == 1 and weight.ndim > len(shape):
        weight = weight[0]
    leading = weight.ndim - 2
    vector = weight.ndim == 1
    if weight.ndim < 1 or (left and vector and len(shape) < 2) or (left and len(shape) < 2):
        raise Refusal(Cause.BATCH_AXIS)
    rows = LETTERS[: len(shape) - (2 if left else 1)] if left else LETTERS[: len(shape) - 1]
    if leading > len(rows) - (0 if left else 1):
        raise Refusal(f"its constant of shape {weight.shape} does not go with samples of {shape}")
    if left:
        data, (m, n, o) = rows + "YZ", ("Y", "Z", "O")
        own = m if vector else o + m
        result = rows + ("" if vector else o) + n
    else:
        data, own, result = rows + "Z", "Z" if vector else "ZO", rows + ("" if vector else "O")
    before = rows if left else rows[:-1]
    named_axes = before[len(before) - leading :] if leading > 0 else ""
    single = [k for k, c in enumerate(named_axes) if weight.shape[k] == 1 and shape[data.index(c)] != 1]
    weight = weight.squeeze(tuple(single)) if single else weight
    named_axes = "".join(c for k, c in enumerate(named_axes) if k not in single)
    return contracted(shape, data, weight, named_axes + own, result)
