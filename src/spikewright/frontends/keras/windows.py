"""Convolutions and pools of Keras, with TensorFlow's rules for padding."""

from __future__ import annotations

from typing import Any

import numpy as np

from spikewright.frontends.common.rules import Rules
from spikewright.frontends.common.windows import mixing, no_padding, same_padding
from spikewright.frontends.keras.call import Call, Rule, Value
from spikewright.frontends.keras.products import resized
from spikewright.graph import Array, Shape
from spikewright.nodes import (
    AdaptiveAvgPool,
    AvgPool,
    Conv,
    ConvTranspose,
    Flatten,
    GlobalAvgPool,
    GlobalMaxPool,
    MaxPool,
    Pad,
    Upsample,
)
from spikewright.nodes._window import Padding

WINDOWS = Rules[Rule]()
converts = WINDOWS.converts


def _axes(call: Call) -> int:
    """How many axes a layer's windows have, from its name."""
    return next(n for n in (1, 2, 3) if f"{n}D" in call.layer.kind)


def _forms(kind: str, *axes: int) -> tuple[str, ...]:
    return tuple(kind.replace("#", f"{n}D") for n in axes or (1, 2, 3))


def _padding(call: Call, spatial: Shape, kernel: Shape, stride: Shape, dilation: Shape) -> Padding:
    mode = str(call.config.get("padding", "valid")).lower()
    if mode == "same":
        return tuple(same_padding(*axis) for axis in zip(spatial, kernel, stride, dilation, strict=True))
    if mode == "causal" and len(kernel) == 1:
        return ((dilation[0] * (kernel[0] - 1), 0),)
    if mode != "valid":
        call.refuse(f"its padding is {mode!r}; 'valid' and 'same' are known")
    return no_padding(len(kernel))


# Convolutions. Keras keeps kernels as (*kernel, inputs, outputs).


def _emit_conv(call: Call, x: Value, weight: Array, bias: Array, part: str = "", groups: int = 1) -> Value:
    axes = weight.ndim - 2
    stride, dilation = call.ints("strides", axes), call.ints("dilation_rate", axes)
    padding = _padding(call, x.node_shape[1:], weight.shape[2:], stride, dilation)
    return call.emit(
        Conv, x, part=part, weight=weight, bias=bias, stride=stride, padding=padding, dilation=dilation, groups=groups
    )


def _swapped(kernel: Array) -> Array:
    """From (*kernel, inputs, outputs) to (outputs, inputs, *kernel)."""
    return kernel.transpose(kernel.ndim - 1, kernel.ndim - 2, *range(kernel.ndim - 2))


def _shapes(call: Call, outputs: int, **kernels: Shape) -> dict[str, Shape]:
    """The shapes of all the weights of a layer: its kernels, and its bias where it has one."""
    return {**kernels, **({"bias": (outputs,)} if call.flag("use_bias") else {})}


@converts(*_forms("Conv#"))
def conv(call: Call) -> Value:
    axes = _axes(call)
    x, (filters,), (groups,) = call.spatial(axes), call.ints("filters", 1), call.ints("groups", 1)
    kernel = (*call.ints("kernel_size", axes), x.node_shape[0] // groups, filters)
    found = call.weights(**_shapes(call, filters, kernel=kernel))
    return _emit_conv(call, x, _swapped(found["kernel"]), found.get("bias", np.zeros(filters)), groups=groups)


def _depthwise_weight(kernel: Array) -> Array:
    """From (*kernel, channels, multiplier) to (channels · multiplier, 1, *kernel)."""
    axes = kernel.ndim - 2
    return kernel.transpose(axes, axes + 1, *range(axes)).reshape(-1, 1, *kernel.shape[:axes])


@converts(*_forms("DepthwiseConv#", 1, 2))
def depthwise(call: Call) -> Value:
    """Some files name ``groups`` too: they can only be the channels, and are not looked at."""
    axes = _axes(call)
    x, (multiplier,) = call.spatial(axes), call.ints("depth_multiplier", 1)
    channels = x.node_shape[0]
    kernel = (*call.ints("kernel_size", axes), channels, multiplier)
    label = "kernel" if call.layer.weights.has("kernel") else "depthwise_kernel"  # as Keras 2 called it
    found = call.weights(**_shapes(call, channels * multiplier, **{label: kernel}))
    bias = found.get("bias", np.zeros(channels * multiplier))
    return _emit_conv(call, x, _depthwise_weight(found[label]), bias, groups=channels)


@converts(*_forms("SeparableConv#", 1, 2))
def separable(call: Call) -> Value:
    axes = _axes(call)
    x, (filters,), (multiplier,) = call.spatial(axes), call.ints("filters", 1), call.ints("depth_multiplier", 1)
    channels = x.node_shape[0]
    found = call.weights(
        **_shapes(
            call,
            filters,
            depthwise_kernel=(*call.ints("kernel_size", axes), channels, multiplier),
            pointwise_kernel=(*(1,) * axes, channels * multiplier, filters),
        )
    )
    weight = _depthwise_weight(found["depthwise_kernel"])
    spread = _emit_conv(call, x, weight, np.zeros(len(weight)), part="depthwise", groups=channels)
    weight = _swapped(found["pointwise_kernel"]).reshape(filters, -1)
    return call.emit(Conv, spread, **mixing(weight, found.get("bias", np.zeros(filters)), axes))


@converts(*_forms("Conv#Transpose"))
def conv_transpose(call: Call) -> Value:
    """Its kernel is (*kernel, outputs, inputs)."""
    axes = _axes(call)
    x, (filters,) = call.spatial(axes), call.ints("filters", 1)
    if call.config.get("groups", 1) != 1:
        call.refuse("grouped transposed convolutions are not supported")
    kernel, stride, dilation = (call.ints(name, axes) for name in ("kernel_size", "strides", "dilation_rate"))
    extra = call.config.get("output_padding")
    extras = extra if isinstance(extra, list | tuple) else [extra] * axes
    found = call.weights(**_shapes(call, filters, kernel=(*kernel, filters, x.node_shape[0])))
    return call.emit(
        ConvTranspose,
        x,
        weight=_swapped(found["kernel"]),
        bias=found.get("bias", np.zeros(filters)),
        stride=stride,
        padding=tuple(_cut(call, *axis) for axis in zip(kernel, stride, dilation, extras, strict=True)),
        dilation=dilation,
    )


def _cut(call: Call, kernel: int, stride: int, dilation: int, extra: int | None) -> tuple[int, int]:
    """What Keras cuts off a transposed convolution before and after; less than nothing is added behind.

    'valid' keeps all, and at least ``stride`` positions for each input. 'same' gives ``stride`` for each input, or
    as many as ``output_padding`` asks for, and takes the odd one from the end.
    """
    reach = dilation * (kernel - 1) + 1
    padding = str(call.config.get("padding", "valid")).lower()
    if padding == "valid":
        return 0, -(max(stride - reach, 0) if extra is None else extra)
    if padding != "same":
        call.refuse(f"its padding is {padding!r}; 'valid' and 'same' are known")
    kept = stride + reach - 2 if extra is None else reach + reach % 2 - 2 + extra
    low = reach - 1 - min((kept + 1) // 2, reach - 1)
    return low, 2 * (reach - 1) - kept - low


# Pools.


def _pool_settings(call: Call, x: Value) -> dict[str, Any]:
    axes = _axes(call)
    kernel = call.ints("pool_size", axes, default=2)
    stride = kernel if call.config.get("strides") is None else call.ints("strides", axes)
    padding = _padding(call, x.node_shape[1:], kernel, stride, (1,) * axes)
    return {"kernel": kernel, "stride": stride, "padding": padding}


@converts(*_forms("AveragePooling#"))
def average_pool(call: Call) -> Value:
    x = call.spatial(_axes(call))
    return call.emit(AvgPool, x, count_padding=False, **_pool_settings(call, x))


@converts(*_forms("MaxPooling#"))
def max_pool(call: Call) -> Value:
    x = call.spatial(_axes(call))
    return call.emit(MaxPool, x, dilation=(1,) * _axes(call), **_pool_settings(call, x))


@converts(*_forms("GlobalAveragePooling#"), *_forms("GlobalMaxPooling#"))
def global_pool(call: Call) -> Value:
    kind = GlobalAvgPool if "Average" in call.layer.kind else GlobalMaxPool
    pooled = call.emit(kind, call.spatial(_axes(call)))
    if call.flag("keepdims", default=False):
        return pooled
    return call.emit(Flatten, pooled, part="flatten", order=(0,))


@converts(*_forms("AdaptiveAveragePooling#"))
def adaptive_pool(call: Call) -> Value:
    axes = _axes(call)
    return call.emit(AdaptiveAvgPool, call.spatial(axes), size=call.ints("output_size", axes))


# Borders.


@converts(*_forms("ZeroPadding#"))
def zero_padding(call: Call) -> Value:
    axes = _axes(call)
    return call.emit(Pad, call.spatial(axes), padding=((0, 0), *call.sides("padding", axes)))


@converts(*_forms("Cropping#"))
def cropping(call: Call) -> Value:
    axes = _axes(call)
    sides = tuple((-low, -high) for low, high in call.sides("cropping", axes))
    return call.emit(Pad, call.spatial(axes), padding=((0, 0), *sides))


@converts(*_forms("UpSampling#"))
def upsample(call: Call) -> Value:
    axes, mode = _axes(call), str(call.config.get("interpolation", "nearest"))
    x, factor = call.spatial(axes), call.ints("size", axes, default=2)
    if mode == "nearest":
        return call.emit(Upsample, x, factor=factor)
    return resized(call, x, (x.node_shape[1] * factor[0], x.node_shape[2] * factor[1]), mode)


@converts("CenterCrop")
def center_crop(call: Call) -> Value:
    x = call.spatial(2)
    missing = [n - int(call.config[side]) for n, side in zip(x.node_shape[1:], ("height", "width"), strict=True)]
    if min(missing) < 0:
        call.refuse(f"it crops {x.node_shape[1:]} to more than there is, for which it resizes; use Resizing")
    return call.emit(Pad, x, padding=((0, 0), *((-(n // 2), n // 2 - n) for n in missing)))
