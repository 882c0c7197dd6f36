"""Further forms of layers for ``docs/layers.md``: whatever moves values, or is linear in them, in any spelling.

Read as ``layers.py``, which has the layers that every network is made of.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from layers import IMAGE, ROW, SEQUENCE, Call, Kind, Onnx, weights

ints = np.array


def ops() -> Any:
    """``keras.ops``."""
    import keras

    return keras.ops


def constant(*shape: int) -> Tensor:
    return torch.from_numpy(weights(*shape))


class With(nn.Module):
    """A function of one tensor and a constant as a module."""

    def __init__(self, function: Any, *values: Tensor) -> None:
        super().__init__()
        self.function = function
        for k, value in enumerate(values):
            self.register_buffer(f"constant{k}", value)

    def forward(self, x: Tensor) -> Any:
        return self.function(x, *self.buffers())


def pads(mode: str, *sides: int, opset: int = 19) -> Onnx:
    return Onnx("Pad", (ints(sides or (0, 0, 1, 1, 0, 0, 1, 1)),), {"mode": mode}, opset=opset)


def resized(mode: str, *sizes: int, **more: Any) -> Onnx:
    none = np.zeros(0, np.float32)
    return Onnx("Resize", (none, none, ints(sizes)), {"mode": mode, "axes": [2, 3], **more}, opset=19)


def einsum(equation: str, *shape: int, **more: Any) -> Onnx:
    return Onnx("Einsum", (weights(*shape),), {"equation": equation}, **more)


def bordered(mode: str) -> Any:
    return lambda: nn.Conv2d(4, 4, 3, padding=1, padding_mode=mode)


MOVING = (
    Kind("padding, replicated", IMAGE, lambda: nn.ReplicationPad2d(1), onnx=pads("edge")),
    Kind("padding, circular", IMAGE, lambda: nn.CircularPad2d((1, 2, 0, 3)), onnx=pads("wrap")),
    Kind(
        "padding, symmetric",
        IMAGE,
        keras=lambda _: lambda x: ops().pad(x, ((0, 0), (0, 1), (1, 1), (0, 0)), mode="symmetric"),
    ),
    Kind("convolution with reflected padding", IMAGE, bordered("reflect")),
    Kind("convolution with replicated padding", IMAGE, bordered("replicate")),
    Kind(
        "padding with a number",
        IMAGE,
        lambda: nn.ConstantPad2d(1, 0.5),
        lambda _: lambda x: ops().pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=0.5),
        Onnx("Pad", (ints([0, 0, 1, 1, 0, 0, 1, 1]), np.float32(0.5))),
    ),
    Kind(
        "padding by less than nothing",
        IMAGE,
        lambda: nn.ZeroPad2d((-1, 1, 2, -2)),
        onnx=Onnx("Pad", (ints([0, 0, -1, 1, 0, 0, 2, -2]),)),
    ),
    Kind(
        "flips",
        IMAGE,
        lambda: Call(lambda x: x.flip(2, 3)),
        lambda _: lambda x: ops().flip(x, axis=1),
        Onnx("Slice", (ints([-1]), ints([-(2**31)]), ints([3]), ints([-1]))),
    ),
    Kind(
        "rolls",
        IMAGE,
        lambda: Call(lambda x: x.roll((1, -2), (2, 1))),
        lambda _: lambda x: ops().roll(x, 2, axis=1),
    ),
    Kind(
        "quarter turns",
        IMAGE,
        lambda: Call(lambda x: x.rot90(1, (2, 3))),
        lambda _: lambda x: ops().rot90(x, axes=(1, 2)),
    ),
    Kind(
        "stacks",
        IMAGE,
        lambda: Call(lambda x: torch.stack([x, 2 * x], 2)),
        lambda _: lambda x: ops().stack([x, x], axis=2),
    ),
    Kind(
        "splits and chunks",
        IMAGE,
        lambda: Call(lambda x: torch.cat(x.chunk(2, 1)[::-1], 1)),
        lambda _: lambda x: ops().split(x, 2, axis=1)[1],
        Onnx("Split", (ints([2, 2]),), {"axis": 1}),
    ),
    Kind(
        "unbind",
        IMAGE,
        lambda: Call(lambda x: x.unbind(2)[1]),
        lambda _: lambda x: ops().unstack(x, axis=1)[2],
    ),
    Kind(
        "slices",
        IMAGE,
        lambda: Call(lambda x: x.narrow(1, 1, 2)),
        lambda _: lambda x: x[:, 1:5, ::2, 1:],
        Onnx("Slice", (ints([1]), ints([5]), ints([2]))),
    ),
    Kind(
        "one of several positions",
        IMAGE,
        lambda: Call(lambda x: x[:, 1]),
        lambda _: lambda x: x[:, 2],
        Onnx("Gather", (ints(2),), {"axis": 2}),
    ),
    Kind(
        "steps over channels",
        IMAGE,
        lambda: Call(lambda x: x[:, ::2]),
        lambda _: lambda x: x[..., ::2],
        Onnx("Slice", (ints([0]), ints([4]), ints([1]), ints([2]))),
    ),
    Kind(
        "constant gathers",
        IMAGE,
        lambda: With(lambda x, i: x.index_select(1, i), torch.tensor([3, 0, 0])),
        lambda _: lambda x: ops().take(x, [3, 0, 0], axis=-1),
        Onnx("Gather", (ints([3, 0, 0]),), {"axis": 1}),
    ),
    Kind(
        "indexing by a list",
        IMAGE,
        lambda: Call(lambda x: x[:, [2, 0], :, 1:][:, :, [0, 0, 5]]),
    ),
    Kind(
        "tiles and repeats",
        IMAGE,
        lambda: Call(lambda x: x.repeat(1, 2, 1, 2)),
        lambda _: lambda x: ops().tile(x, (1, 2, 1, 2)),
        Onnx("Tile", (ints([1, 2, 1, 2]),)),
    ),
    Kind(
        "repeated positions",
        IMAGE,
        lambda: Call(lambda x: x.repeat_interleave(3, dim=2)),
        lambda _: lambda x: ops().repeat(x, 2, axis=2),
    ),
    Kind(
        "spread over more positions (expand)",
        IMAGE,
        lambda: Call(lambda x: x.mean((2, 3), keepdim=True).expand(-1, -1, 3, 4)),
        lambda _: lambda x: ops().broadcast_to(ops().mean(x, axis=1, keepdims=True), (1, 6, 6, 4)),
        (Onnx("ReduceMean", (ints([2]),)), Onnx("Expand", (ints([1, 4, 5, 6]),))),
    ),
    Kind(
        "axes exchanged, new and taken out",
        IMAGE,
        lambda: Call(lambda x: x.movedim(1, 3).unsqueeze(2).swapaxes(1, 3).squeeze(2)),
        lambda _: lambda x: ops().squeeze(ops().expand_dims(ops().transpose(x, (0, 2, 1, 3)), 2), 2),
        (Onnx("Unsqueeze", (ints([2]),)), Onnx("Squeeze", (ints([2]),))),
    ),
    Kind("axes exchanged (swapaxes, moveaxis)", IMAGE, keras=lambda _: lambda x: ops().moveaxis(x, 1, 3)),
    Kind(
        "windows as channels (unfold)",
        IMAGE,
        lambda: nn.Unfold(3, dilation=2, padding=1, stride=2),
    ),
    Kind("windows along an axis (Tensor.unfold)", IMAGE, lambda: Call(lambda x: x.unfold(2, 3, 2))),
    Kind(
        "pixel unshuffle",
        IMAGE,
        lambda: nn.PixelUnshuffle(2),
        onnx=Onnx("SpaceToDepth", (), {"blocksize": 2}),
    ),
    Kind("channel shuffle", IMAGE, lambda: nn.ChannelShuffle(2)),
    Kind(
        "upsampling, nearest, by a broken factor",
        IMAGE,
        lambda: nn.Upsample(size=(8, 11)),
        onnx=resized("nearest", 8, 11, nearest_mode="floor", coordinate_transformation_mode="asymmetric"),
    ),
    Kind(
        "downsampling, nearest",
        IMAGE,
        lambda: nn.Upsample(size=(4, 3), mode="nearest-exact"),
        lambda k: k.Resizing(4, 3, interpolation="nearest", name="layer"),
        resized("nearest", 4, 3),
    ),
    Kind("center crop", IMAGE, keras=lambda k: k.CenterCrop(4, 3, name="layer")),
    Kind("triangles (tril)", IMAGE, lambda: Call(lambda x: x.tril()), lambda _: lambda x: ops().tril(x)),
)

LINEAR = (
    Kind(
        "upsampling, bilinear, corners aligned",
        IMAGE,
        lambda: nn.Upsample(size=(9, 7), mode="bilinear", align_corners=True),
        onnx=resized("linear", 9, 7, coordinate_transformation_mode="align_corners"),
    ),
    Kind(
        "upsampling, linear, 1-D",
        SEQUENCE,
        lambda: nn.Upsample(scale_factor=1.5, mode="linear"),
        onnx=Onnx("Resize", (np.zeros(0, np.float32), np.array([1, 1, 1.5], np.float32)), {"mode": "linear"}),
    ),
    Kind(
        "upsampling, bicubic",
        IMAGE,
        lambda: nn.Upsample(scale_factor=2, mode="bicubic"),
        lambda k: k.UpSampling2D(2, interpolation="bicubic", name="layer"),
        resized("cubic", 12, 12),
    ),
    Kind(
        "downsampling, bilinear",
        IMAGE,
        lambda: nn.Upsample(size=(4, 3), mode="bilinear"),
        lambda k: k.Resizing(4, 3, name="layer"),
        resized("linear", 4, 3),
    ),
    Kind("downsampling by area", IMAGE, lambda: nn.Upsample(size=(4, 5), mode="area")),
    Kind(
        "downsampling, bilinear, smoothed",
        IMAGE,
        lambda: Call(lambda x: F.interpolate(x, (4, 3), mode="bilinear", antialias=True)),
        lambda k: k.Resizing(4, 3, antialias=True, name="layer"),
        resized("linear", 4, 3, antialias=1),
    ),
    Kind(
        "overlapping windows added up (fold)",
        (12, 9),
        lambda: Call(lambda x: F.fold(x, (6, 4), (2, 2), padding=1, stride=(3, 2))),
    ),
    Kind(
        "pooling with ceil_mode",
        IMAGE,
        lambda: nn.AvgPool2d(3, 2, 1, ceil_mode=True),
        onnx=Onnx("AveragePool", (), {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1}),
    ),
    Kind(
        "average pooling, dilated",
        IMAGE,
        onnx=Onnx("AveragePool", (), {"kernel_shape": [2, 2], "dilations": [2, 2]}, opset=19),
    ),
    Kind("average pooling with another divisor", IMAGE, lambda: nn.AvgPool2d(2, divisor_override=3)),
    Kind("max pooling to any size", IMAGE, lambda: nn.AdaptiveMaxPool2d(4)),
    Kind(
        "convolution, dilated, in groups",
        IMAGE,
        lambda: nn.Conv2d(4, 6, 2, dilation=2, groups=2),
        lambda k: k.Conv2D(6, 2, dilation_rate=2, groups=2, name="layer"),
        Onnx("Conv", (weights(6, 2, 2, 2),), {"dilations": [2, 2], "group": 2}),
    ),
    Kind(
        "convolution, transposed, in groups",
        IMAGE,
        lambda: nn.ConvTranspose2d(4, 6, 3, stride=2, dilation=2, groups=2),
        onnx=Onnx("ConvTranspose", (weights(4, 3, 3, 3),), {"strides": [2, 2], "group": 2}),
    ),
    Kind(
        "constant einsum",
        IMAGE,
        lambda: With(lambda x, w: torch.einsum("bchw,ch->bwc", x, w), constant(4, 6)),
        lambda _: lambda x: ops().einsum("bhwc,co->bhow", x, weights(4, 5)),
        einsum("bchw,hk->bckw", 6, 3),
    ),
    Kind(
        "matrix from the left",
        IMAGE,
        lambda: With(lambda x, w: w @ x, constant(3, 6)),
        lambda _: lambda x: ops().matmul(weights(3, 6), x),
        Onnx("MatMul", (weights(3, 6),), first=False),
    ),
    Kind(
        "matrix from the right",
        IMAGE,
        lambda: With(lambda x, w: x @ w, constant(6, 3)),
        lambda _: lambda x: ops().matmul(x, weights(4, 3)),
        Onnx("MatMul", (weights(6, 3),)),
    ),
    Kind(
        "a matrix for each channel",
        IMAGE,
        lambda: With(lambda x, w: x @ w, constant(4, 6, 3)),
        lambda k: k.EinsumDense("bhwc,hco->bhwo", output_shape=(6, 6, 3), name="layer"),
        Onnx("MatMul", (weights(4, 6, 3),)),
    ),
    Kind(
        "EinsumDense",
        IMAGE,
        keras=lambda k: k.EinsumDense("...x,xy->...y", 3, bias_axes="y", name="layer"),
    ),
    Kind("tensordot", IMAGE, lambda: With(lambda x, w: torch.tensordot(x, w, ([1, 3], [0, 1])), constant(4, 6, 5))),
    Kind(
        "fully connected, scaled (addmm)",
        ROW,
        lambda: With(lambda x, b, w: torch.addmm(b, x, w, beta=0.5, alpha=2), constant(3), constant(8, 3)),
        onnx=Onnx("Gemm", (weights(8, 3), weights(3)), {"alpha": 2.0, "beta": 0.5}),
    ),
    Kind("fully connected over the last of five axes", (2, 2, 2, 2, 3), onnx=Onnx("MatMul", (weights(3, 4),))),
    Kind(
        "running sums (cumsum)",
        IMAGE,
        lambda: Call(lambda x: x.cumsum(2)),
        lambda _: lambda x: ops().cumsum(x, axis=1),
        Onnx("CumSum", (ints(2),)),
    ),
    Kind("differences", IMAGE, lambda: Call(lambda x: x.diff(dim=2)), lambda _: lambda x: ops().diff(x, axis=1)),
    Kind(
        "mean of branches",
        IMAGE,
        lambda: Call(lambda x: torch.stack([x, x.flip(2)]).mean(0)),
        lambda k: lambda x: k.Average(name="layer")([x, x, x]),
        Onnx("Mean", twice=True),
    ),
    Kind(
        "sums over axes",
        IMAGE,
        lambda: Call(lambda x: x.sum((1, 3), keepdim=True)),
        lambda _: lambda x: ops().sum(x, axis=(1, 3)),
        Onnx("ReduceSum", (ints([1, 3]),)),
    ),
    Kind(
        "mean over channels",
        IMAGE,
        lambda: Call(lambda x: x.mean(1)),
        lambda _: lambda x: ops().mean(x, axis=-1),
        Onnx("ReduceMean", (ints([1]),)),
    ),
    Kind(
        "subtraction of branches",
        IMAGE,
        lambda: Call(lambda x: x - 2 * x.flip(2)),
        lambda k: lambda x: k.Subtract(name="layer")([x, x]),
        Onnx("Sub", twice=True),
    ),
    Kind(
        "constant minus values",
        IMAGE,
        lambda: Call(lambda x: 1 - x),
        lambda _: lambda x: 1 - x,
        Onnx("Neg"),
    ),
    Kind(
        "addition of a number a value",
        IMAGE,
        lambda: With(lambda x, b: x + b, constant(4, 6, 6)),
        lambda _: lambda x: x + weights(6, 6, 4),
        Onnx("Add", (weights(4, 6, 6),)),
    ),
    Kind(
        "addition that spreads (broadcasting)",
        IMAGE,
        lambda: Call(lambda x: x - x.mean((2, 3), keepdim=True)),
        lambda k: lambda x: k.Add(name="layer")([x, k.GlobalAveragePooling2D(keepdims=True)(x)]),
        (Onnx("ReduceMean", (ints([2, 3]),)), Onnx("Add", again=True)),
    ),
    Kind(
        "division by a number a channel",
        IMAGE,
        lambda: With(lambda x, b: x / b, torch.arange(1.0, 5).view(4, 1, 1)),
        lambda _: lambda x: x / np.arange(1.0, 5),
        Onnx("Div", (np.arange(1.0, 5, dtype=np.float32).reshape(4, 1, 1),)),
    ),
    Kind("mixing in (lerp, addcmul)", IMAGE, lambda: Call(lambda x: torch.lerp(x, x.flip(3), 0.3))),
    Kind("sum of several (addends in a list)", IMAGE, lambda: Call(lambda x: sum([x, x.flip(2), 3 * x, 0.5]))),
)
