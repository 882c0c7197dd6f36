"""One layer of each kind, as every framework writes it: what the table in docs/layers.md is made from.

Each stands alone between a first and a last layer and is called ``layer``; what frontend, passes and engines make of
it is read off, never written down.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn

IMAGE, ROW = (4, 6, 6), (8,)
"""The shape of a sample that reaches the layer."""
random = np.random.default_rng(0)


def weights(*shape: int) -> np.ndarray[Any, Any]:
    return random.normal(size=shape).astype(np.float32) / 2


@dataclass(frozen=True)
class Onnx:
    """One ONNX operator, and the constants behind its first input.

    Attributes:
        twice: whether it reads the value before it twice, as an Add does.
        again: whether it reads what reached the layer too.
        first: whether its constants stand behind what it reads, and not before.
        mask: a constant before everything else.
        opset: that has the operator.
    """

    operator: str
    constants: Sequence[Any] = ()
    attributes: dict[str, Any] = field(default_factory=dict)
    twice: bool = False
    again: bool = False
    first: bool = True
    opset: int = 18
    mask: Any = None


@dataclass(frozen=True)
class Kind:
    """A kind of layer.

    Attributes:
        name: as people call it.
        shape: of what reaches it.
        torch, keras, onnx, nir: how each framework writes it; None where it has no such layer. Several operators of
            ONNX stand one behind the other.
        last: whether the network ends in it.
        one_batch: whether PyTorch exports it for batches of one size only.
    """

    name: str
    shape: tuple[int, ...] = IMAGE
    torch: Callable[[], nn.Module] | None = None
    keras: Callable[[Any], Any] | None = None
    onnx: Onnx | tuple[Onnx, ...] | None = None
    nir: Callable[[Any], Any] | None = None
    last: bool = False
    one_batch: bool = False


def if_parameters(**extra: float) -> dict[str, np.ndarray[Any, Any]]:
    """Parameters of NIR's neurons, one for each of IMAGE's."""
    values = {"r": 1.0, "v_threshold": 1.0, **extra}
    return {name: np.full(IMAGE, value) for name, value in values.items()}


class Call(nn.Module):
    """A function of one tensor as a module."""

    def __init__(self, function: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(x)


class Quantised(nn.Module):
    """The activation of QCFS with four levels."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.floor(torch.clamp(x / 2, 0, 1) * 4 + 0.5) / 4 * 2


SEQUENCE, VOLUME = (4, 8), (4, 4, 4, 4)

KINDS = (
    Kind(
        "convolution, 1-D",
        SEQUENCE,
        lambda: nn.Conv1d(4, 4, 3),
        lambda k: k.Conv1D(4, 3, name="layer"),
        Onnx("Conv", (weights(4, 4, 3),)),
        lambda n: n.Conv1d(8, weights(4, 4, 3), 1, 0, 1, 1, weights(4)),
    ),
    Kind(
        "convolution, 2-D",
        IMAGE,
        lambda: nn.Conv2d(4, 4, 3, padding=1, stride=2),
        lambda k: k.Conv2D(4, 3, strides=2, padding="same", name="layer"),
        Onnx("Conv", (weights(4, 4, 3, 3),), {"strides": [2, 2], "auto_pad": "SAME_UPPER"}),
        lambda n: n.Conv2d((6, 6), weights(4, 4, 3, 3), 2, 1, 1, 1, weights(4)),
    ),
    Kind(
        "convolution, 3-D",
        VOLUME,
        lambda: nn.Conv3d(4, 4, 2),
        lambda k: k.Conv3D(4, 2, name="layer"),
        Onnx("Conv", (weights(4, 4, 2, 2, 2),)),
    ),
    Kind(
        "convolution, depthwise",
        IMAGE,
        lambda: nn.Conv2d(4, 8, 3, groups=4),
        lambda k: k.DepthwiseConv2D(3, depth_multiplier=2, name="layer"),
        Onnx("Conv", (weights(8, 1, 3, 3),), {"group": 4}),
        lambda n: n.Conv2d((6, 6), weights(8, 1, 3, 3), 1, 0, 1, 4, weights(8)),
    ),
    Kind("convolution, separable", IMAGE, keras=lambda k: k.SeparableConv2D(4, 3, name="layer")),
    Kind(
        "convolution, transposed",
        IMAGE,
        lambda: nn.ConvTranspose2d(4, 4, 3, stride=2, padding=1, output_padding=1),
        lambda k: k.Conv2DTranspose(4, 3, strides=2, padding="same", name="layer"),
        Onnx("ConvTranspose", (weights(4, 4, 3, 3),), {"strides": [2, 2]}),
    ),
    Kind(
        "convolution with circular padding",
        IMAGE,
        lambda: nn.Conv2d(4, 4, 3, padding=1, padding_mode="circular"),
    ),
    Kind(
        "fully connected",
        ROW,
        lambda: nn.Linear(8, 8),
        lambda k: k.Dense(8, name="layer"),
        Onnx("Gemm", (weights(8, 8), weights(8))),
        lambda n: n.Affine(weights(8, 8), weights(8)),
    ),
    Kind(
        "fully connected, over the last of several axes",
        SEQUENCE,
        lambda: nn.Linear(8, 8),
        lambda k: k.Dense(4, name="layer"),
        Onnx("MatMul", (weights(8, 8),)),
    ),
    Kind(
        "average pooling",
        IMAGE,
        lambda: nn.AvgPool2d(3, 2, 1, count_include_pad=False),
        lambda k: k.AveragePooling2D(3, 2, padding="same", name="layer"),
        Onnx("AveragePool", (), {"kernel_shape": [3, 3], "strides": [2, 2], "auto_pad": "SAME_UPPER"}),
        lambda n: n.AvgPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0])),
    ),
    Kind("sum pooling", IMAGE, nir=lambda n: n.SumPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0]))),
    Kind("average pooling to any size", IMAGE, lambda: nn.AdaptiveAvgPool2d(4)),
    Kind(
        "global average pooling",
        IMAGE,
        lambda: nn.AdaptiveAvgPool2d(1),
        lambda k: k.GlobalAveragePooling2D(name="layer"),
        Onnx("GlobalAveragePool"),
    ),
    Kind(
        "mean over the map",
        IMAGE,
        lambda: Call(lambda x: x.mean((2, 3))),
        onnx=Onnx("ReduceMean", (np.array([2, 3]),)),
    ),
    Kind(
        "max pooling",
        IMAGE,
        lambda: nn.MaxPool2d(3, 2, 1),
        lambda k: k.MaxPooling2D(3, 2, padding="same", name="layer"),
        Onnx("MaxPool", (), {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}),
    ),
    Kind(
        "global max pooling",
        IMAGE,
        lambda: nn.AdaptiveMaxPool2d(1),
        lambda k: k.GlobalMaxPooling2D(name="layer"),
        Onnx("GlobalMaxPool"),
    ),
    Kind(
        "batch norm",
        IMAGE,
        lambda: nn.BatchNorm2d(4),
        lambda k: k.BatchNormalization(name="layer"),
        Onnx("BatchNormalization", (*(weights(4) for _ in range(3)), np.ones(4, np.float32))),
    ),
    Kind(
        "scale and shift of each channel",
        IMAGE,
        lambda: Call(lambda x: x * torch.arange(1.0, 5).view(4, 1, 1)),
        lambda k: k.Rescaling(0.5, 0.1, name="layer"),
        Onnx("Mul", (np.arange(1.0, 5, dtype=np.float32).reshape(4, 1, 1),)),
        lambda n: n.Scale(np.ones(IMAGE, np.float32)),
    ),
    Kind("layer norm", ROW, lambda: nn.LayerNorm(8), lambda k: k.LayerNormalization(name="layer")),
    Kind(
        "local response norm",
        IMAGE,
        lambda: nn.LocalResponseNorm(3),
        onnx=Onnx("LRN", (), {"size": 3}),
    ),
    Kind(
        "dropout",
        IMAGE,
        nn.Dropout,
        lambda k: k.SpatialDropout2D(0.3, name="layer"),
        Onnx("Dropout"),
    ),
    Kind("noise", IMAGE, keras=lambda k: k.GaussianNoise(0.3, name="layer")),
    Kind("ReLU", IMAGE, nn.ReLU, lambda k: k.ReLU(name="layer"), Onnx("Relu"), lambda n: n.IF(**if_parameters())),
    Kind(
        "ReLU6 and other ceilings",
        IMAGE,
        nn.ReLU6,
        lambda k: k.ReLU(max_value=6, name="layer"),
        Onnx("Clip", (np.float32(0), np.float32(6))),
    ),
    Kind("quantised ReLU (QCFS)", IMAGE, Quantised),
    Kind(
        "leaky ReLU",
        IMAGE,
        lambda: nn.LeakyReLU(0.1),
        lambda k: k.LeakyReLU(negative_slope=0.1, name="layer"),
        Onnx("LeakyRelu", (), {"alpha": 0.1}),
    ),
    Kind(
        "PReLU",
        IMAGE,
        lambda: nn.PReLU(4),
        lambda k: k.PReLU(shared_axes=[1, 2], alpha_initializer="ones", name="layer"),
        Onnx("PRelu", (np.full((4, 1, 1), 0.1, np.float32),)),
    ),
    Kind("leaky integrate-and-fire", IMAGE, nir=lambda n: n.LIF(**if_parameters(tau=2.0, v_leak=0.0))),
    Kind(
        "current-based synapses (CubaLIF)",
        IMAGE,
        nir=lambda n: n.CubaLIF(**if_parameters(tau_syn=2.0, tau_mem=2.0, v_leak=0.0)),
    ),
    Kind(
        "sigmoid, tanh, GELU, SiLU inside",
        IMAGE,
        nn.Sigmoid,
        lambda k: k.Activation("sigmoid", name="layer"),
        Onnx("Sigmoid"),
    ),
    Kind(
        "softmax inside",
        ROW,
        lambda: nn.Softmax(1),
        lambda k: k.Softmax(name="layer"),
        Onnx("Softmax", (), {"axis": -1}),
    ),
    *(
        Kind(f"{name} at the end", ROW, torch_layer, keras_layer, onnx_operator, last=True)
        for name, torch_layer, keras_layer, onnx_operator in (
            ("ReLU", nn.ReLU, lambda k: k.ReLU(name="layer"), Onnx("Relu")),
            (
                "ReLU6 and other ceilings",
                nn.ReLU6,
                lambda k: k.ReLU(6.0, name="layer"),
                Onnx("Clip", (np.float32(0), np.float32(6))),
            ),
            ("softmax", lambda: nn.Softmax(1), lambda k: k.Softmax(name="layer"), Onnx("Softmax", (), {"axis": -1})),
            (
                "log-softmax",
                lambda: nn.LogSoftmax(1),
                lambda k: k.Activation("log_softmax", name="layer"),
                Onnx("LogSoftmax", (), {"axis": -1}),
            ),
            ("sigmoid", nn.Sigmoid, lambda k: k.Activation("sigmoid", name="layer"), Onnx("Sigmoid")),
            ("tanh", nn.Tanh, lambda k: k.Activation("tanh", name="layer"), Onnx("Tanh")),
        )
    ),
    Kind(
        "addition of branches",
        IMAGE,
        lambda: Call(lambda x: x + x),
        lambda k: lambda x: k.Add(name="layer")([x, x]),
        Onnx("Add", twice=True),
    ),
    Kind(
        "product of branches",
        IMAGE,
        lambda: Call(lambda x: x * x),
        lambda k: lambda x: k.Multiply(name="layer")([x, x]),
        Onnx("Mul", twice=True),
    ),
    Kind(
        "concatenation",
        IMAGE,
        lambda: Call(lambda x: torch.cat([x, x], 1)),
        lambda k: lambda x: k.Concatenate(name="layer")([x, x]),
        Onnx("Concat", (), {"axis": 1}, twice=True),
    ),
    Kind(
        "flatten",
        IMAGE,
        nn.Flatten,
        lambda k: k.Flatten(name="layer"),
        Onnx("Flatten"),
        lambda n: n.Flatten({"input": np.array(IMAGE)}, 0, -1),
    ),
    Kind(
        "reshape",
        IMAGE,
        lambda: nn.Unflatten(1, (2, 2)),
        lambda k: k.Reshape((12, 12), name="layer"),
        Onnx("Reshape", (np.array([0, 4, 36]),)),
    ),
    Kind(
        "permutation of axes",
        IMAGE,
        lambda: Call(lambda x: x.transpose(2, 3)),
        lambda k: k.Permute((2, 1, 3), name="layer"),
        Onnx("Transpose", (), {"perm": [0, 1, 3, 2]}),
    ),
    Kind(
        "channel and pixel shuffle", IMAGE, lambda: nn.PixelShuffle(2), onnx=Onnx("DepthToSpace", (), {"blocksize": 2})
    ),
    Kind(
        "zero padding",
        IMAGE,
        lambda: nn.ZeroPad2d(1),
        lambda k: k.ZeroPadding2D(1, name="layer"),
        Onnx("Pad", (np.array([0, 0, 1, 1, 0, 0, 1, 1]),)),
    ),
    Kind(
        "reflection padding",
        IMAGE,
        lambda: nn.ReflectionPad2d(1),
        onnx=Onnx("Pad", (np.array([0, 0, 1, 1, 0, 0, 1, 1]),), {"mode": "reflect"}),
    ),
    Kind(
        "cropping",
        IMAGE,
        lambda: Call(lambda x: x[:, :, 1:-1, 1:]),
        lambda k: k.Cropping2D(1, name="layer"),
        Onnx("Slice", (np.array([1]), np.array([5]), np.array([2]))),
    ),
    Kind(
        "upsampling, nearest",
        IMAGE,
        lambda: nn.Upsample(scale_factor=2),
        lambda k: k.UpSampling2D(2, name="layer"),
        Onnx("Resize", (np.zeros(0, np.float32), np.array([1, 1, 2, 2], np.float32)), {"mode": "nearest"}),
    ),
    Kind(
        "upsampling, bilinear",
        IMAGE,
        lambda: nn.Upsample(scale_factor=2, mode="bilinear"),
        lambda k: k.UpSampling2D(2, interpolation="bilinear", name="layer"),
        Onnx("Resize", (np.zeros(0, np.float32), np.array([1, 1, 2, 2], np.float32)), {"mode": "linear"}),
    ),
    Kind(
        "recurrence",
        SEQUENCE,
        lambda: Call(lambda x: nn.GRU(8, 8, batch_first=True)(x)[0]),
        lambda k: k.GRU(4, return_sequences=True, name="layer"),
    ),
    Kind("code of the user (Lambda)", IMAGE, keras=lambda k: k.Lambda(abs, name="layer")),
)
