"""ONNX operators that move values: axes put in order, joined, split, cropped, repeated. The batch stays first."""

from __future__ import annotations

from math import prod

from spikewright.causes import Cause
from spikewright.frontends.common import moves
from spikewright.frontends.common.gathers import beside, bordered, padded, with_constants
from spikewright.frontends.common.moves import filled_in
from spikewright.frontends.common.refusals import Refusal
from spikewright.frontends.onnx.arithmetic import without_batch
from spikewright.frontends.onnx.call import Call
from spikewright.frontends.onnx.constants import BATCH
from spikewright.frontends.onnx.gathers import move, spread
from spikewright.graph import Shape
from spikewright.nodes import AvgPool, Concat, Flatten, Identity, Pad, Permute


def axis_of(call: Call, axis: int, position: int = 0) -> int:
    """An axis of a sample, from one of the batch of an input."""
    rank = len(call.shape(position)) + 1
    if not -rank <= axis < rank:
        raise Refusal(f"it has no axis {axis}: its input has {rank}, the batch among them")
    if axis % rank == 0:
        raise Refusal(Cause.BATCH_AXIS)
    return axis % rank - 1


def concat(call: Call) -> None:
    """Concat, with constants too."""
    count = range(len(call.proto.input))
    first = next(k for k in count if not call.is_constant(k))
    axis = axis_of(call, call.whole("axis", 1), first)
    given = [call.needed(k) if call.is_constant(k) else k for k in count]
    sources = []
    for k, *constants in with_constants(given, int):
        around = ([without_batch(one, call.shape(k)) for one in some] for some in constants)
        plans = beside(call.shape(k), axis, *around) if any(constants) else []
        sources.append(call.chain(plans, call.source(k), f"beside{k}"))
    call.emit(Concat if len(sources) > 1 else Identity, *sources, **({"axis": axis} if len(sources) > 1 else {}))


def flatten(call: Call) -> None:
    """Flatten, from the first axis of a sample."""
    rank = len(call.shape()) + 1
    axis = call.whole("axis", 1)
    axis = axis + rank if axis < 0 else axis
    if axis != 1:
        raise Refusal(Cause.BATCH_AXIS, f"it flattens from axis {axis}, and not from 1")
    call.emit(Flatten)


def reshape(call: Call) -> None:
    """Reshape."""
    target = call.ints("shape") if call.walk.opset < 5 else call.ints_of(1)
    assert target is not None
    shape = call.shape()
    if not call.attributes.get("allowzero"):
        target = tuple((BATCH, *shape)[k] if n == 0 and k <= len(shape) else n for k, n in enumerate(target))
    _reshape(call, _sample_shape(call, target))


def _sample_shape(call: Call, target: Shape) -> Shape:
    """The shape of one sample after a reshape whose first axis is the batch, however that is written."""
    size, rest = prod(call.shape()), target[1:]
    told = tuple("batch" if n == BATCH else n for n in target)
    if BATCH in rest or (not rest and (not target or size != 1)):
        raise Refusal(Cause.BATCH_AXIS, f"it reshapes to {told}")
    if target.count(-1) > 1 or any(n < -1 or n == 0 for n in rest):
        raise Refusal(f"it reshapes to {told}, which cannot be resolved")
    alone = target[0] == 1 and -1 not in rest and call.walk.batch is None  # it takes one sample at a time
    if target[0] not in (BATCH, -1, call.walk.batch) and not alone:
        raise Refusal(Cause.BATCH_AXIS, f"it reshapes a batch of samples of {call.shape()} to {told}")
    found = filled_in(rest, size)
    if found is None:
        raise Refusal(Cause.BATCH_AXIS, f"it reshapes samples of {call.shape()} to {told}")
    return found


def _reshape(call: Call, shape: Shape) -> None:
    if shape == call.shape():
        call.walk.alias(call.output, call.input_name(0))
    else:
        call.reshape(call.source(), shape)


def axes_of(call: Call, rank: int) -> Shape | None:
    """The axes of the attribute (until opset 12 or 17) or of the input (since then), counted from the front."""
    given = call.ints("axes")
    if given is None and call.input_name(1):
        given = call.ints_of(1)
    if given is not None and any(not -rank <= a < rank for a in given):
        raise Refusal(f"its axes {given} are not all among its {rank}")
    return None if given is None else tuple(sorted(a % rank for a in given))


def squeeze(call: Call) -> None:
    """Squeeze."""
    shape = (BATCH, *call.shape())
    axes = axes_of(call, len(shape))
    axes = tuple(k for k, n in enumerate(shape) if n == 1) if axes is None else axes
    if any(shape[a] != 1 for a in axes):
        raise Refusal(f"it takes out the axes {axes} of {('batch', *call.shape())}, not all of length one")
    kept = tuple(n for k, n in enumerate(shape) if k not in axes)[1:]
    if 0 in axes:
        raise Refusal(Cause.BATCH_AXIS)
    _reshape(call, kept)


def unsqueeze(call: Call) -> None:
    """Unsqueeze."""
    shape = list(call.shape())
    axes = axes_of(call, len(shape) + 1 + len(call.ints("axes") or call.ints_of(1)))
    assert axes is not None
    if 0 in axes:
        raise Refusal(Cause.BATCH_AXIS, "it puts an axis before the batch")
    for axis in axes:
        shape.insert(axis - 1, 1)
    _reshape(call, tuple(shape))


def transpose(call: Call) -> None:
    """Transpose, with the batch left in front."""
    order = call.ints("perm") or tuple(reversed(range(len(call.shape()) + 1)))
    if order[0] != 0:
        raise Refusal(Cause.BATCH_AXIS, f"it puts the axes in the order {order}")
    call.emit(Permute, axes=tuple(a - 1 for a in order[1:]))


def depth_to_space(call: Call) -> None:
    """Blocks of channels become squares of positions."""
    block, mode = call.whole("blocksize"), call.text("mode", "DCR")
    channels, *_ = _image(call)
    if block < 1 or channels % block**2 or mode not in ("DCR", "CRD"):
        raise Refusal(f"its {channels} channels cannot be laid out in {mode} blocks of {block} by {block}")
    call.emit_all(moves.depth_to_space(call.shape(), block, blocks_first=mode == "DCR"))


def space_to_depth(call: Call) -> None:
    """Squares of positions become blocks of channels."""
    block, mode = call.whole("blocksize"), call.text("mode", "DCR")
    _, rows, columns = _image(call)
    if block < 1 or rows % block or columns % block or mode not in ("DCR", "CRD"):
        raise Refusal(f"{rows} by {columns} positions are not made of {mode} blocks of {block} by {block}")
    call.emit_all(moves.space_to_depth(call.shape(), block, blocks_first=mode == "DCR"))


def _image(call: Call) -> Shape:
    if len(call.shape()) != 3:
        raise Refusal(f"its input must have channels, rows and columns, not {call.shape()}")
    return call.shape()


def pad(call: Call) -> None:
    """Pad, with a number, or with what is inside."""
    mode = call.text("mode", "constant")
    pads = call.ints("pads") or call.ints("paddings")
    value = float(call.attributes.get("value", 0.0))
    rank = len(call.shape()) + 1
    if call.walk.opset >= 11:
        pads = call.ints_of(1)
        given = call.constant(2)
        value = 0.0 if given is None else float(given.reshape(()))
        axes = call.constant(3)
        if axes is not None:
            full = [0] * (2 * rank)
            for k, axis in enumerate(axes):
                full[int(axis) % rank], full[int(axis) % rank + rank] = pads[k], pads[k + len(axes)]
            pads = tuple(full)
    if pads is None or len(pads) != 2 * rank:
        raise Refusal(f"it pads by {pads}; {2 * rank} numbers are needed")
    if pads[0] or pads[rank]:
        raise Refusal(Cause.BATCH_AXIS)
    padding = tuple((pads[k], pads[k + rank]) for k in range(1, rank))
    shape = call.shape()
    call.emit_all(padded(shape, padding, value) if mode == "constant" else bordered(shape, padding, mode))


def split(call: Call) -> None:
    """Each part is a crop; parts that nobody reads are left out."""
    axis = axis_of(call, call.whole("axis", 0))
    length, names = call.shape()[axis], list(call.proto.output)
    sizes = call.ints("split")
    if sizes is None and call.input_name(1):
        sizes = call.ints_of(1)
    if sizes is None:
        if call.whole("num_outputs", len(names)) != len(names):
            raise Refusal(f"it splits into {call.whole('num_outputs')}, but has {len(names)} outputs")
        each = -(-length // len(names))
        sizes = tuple(min(each, max(length - each * k, 0)) for k in range(len(names)))
    if len(sizes) != len(names) or sum(sizes) != length or min(sizes) < 1:
        raise Refusal(f"it splits {length} into {sizes} for {len(names)} outputs")
    for k, (name, (start, stop)) in enumerate(zip(names, moves.parts(sizes), strict=True)):
        if name in call.walk.used:
            padding = moves.crop(call.shape(), axis, start, stop)
            wanted = call.proto.name or name
            node = Pad(
                name=call.walk.names.free(f"{wanted}_{k}" if call.proto.name else wanted),
                inputs=(call.source(),),
                padding=padding,
            )
            call.walk.add(node, name)


def slice_(call: Call) -> None:
    """A crop; every step-th position is a pool with a window of one."""
    shape = call.shape()
    names = ("starts", "ends", "axes", "steps")
    given = [call.ints(name) for name in names]
    if call.walk.opset >= 10:
        given = [None if call.constant(k) is None else call.ints_of(k) for k in range(1, 5)]
    starts, ends, axes, steps = given
    if starts is None or ends is None:
        raise Refusal("it does not say from where to where it reads")
    axes = tuple(range(len(starts))) if axes is None else axes
    steps = (1,) * len(starts) if steps is None else steps
    padding, stride = [(0, 0)] * len(shape), [1] * len(shape)
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        if axis in (0, -len(shape) - 1) and start == 0 and step == 1 and end >= 2**31 - 1:
            continue  # the whole batch
        k = axis_of(call, axis)
        if step < 1 or (step > 1 and (k == 0 or len(shape) > 4)):
            move(call)
            return
        first, last, _ = slice(start, end).indices(shape[k])
        if last <= first:
            raise Refusal(f"it reads from {start} to {end} of {shape[k]}, where there is nothing")
        padding[k], stride[k] = (-first, last - shape[k]), step
    _cropped(call, tuple(padding), tuple(stride))


def _cropped(call: Call, padding: tuple[tuple[int, int], ...], stride: Shape) -> None:
    if set(stride) == {1}:
        if any(any(sides) for sides in padding):
            call.emit(Pad, padding=padding)
        else:
            call.walk.alias(call.output, call.input_name(0))
        return
    crop = call.part(Pad, call.source(), "crop", padding=padding)
    axes = len(stride) - 1
    none = ((0, 0),) * axes
    call.emit(AvgPool, crop, kernel=(1,) * axes, stride=stride[1:], padding=none)


def expand(call: Call) -> None:
    """A value in a wider shape."""
    target, shape = call.ints_of(1), call.shape()
    wide = (1,) * (len(shape) + 1 - len(target)) + target
    if len(wide) != len(shape) + 1 or wide[0] not in (1, BATCH, call.walk.batch):
        raise Refusal(Cause.BATCH_AXIS, f"it repeats samples of {shape} to {target}")
    if any(n not in (1, m) for n, m in zip(wide[1:], shape, strict=True)):
        call.emit_all(spread(shape, tuple(max(n, m) for n, m in zip(wide[1:], shape, strict=True))))
        return
    call.walk.alias(call.output, call.input_name(0))
