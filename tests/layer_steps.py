"""Further forms of layers for ``docs/layers.md``: what is made of rectifiers and steps, and what does nothing.

Read as ``layers.py``, which has the layers that every network is made of.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from layer_forms import With, ops
from layers import IMAGE, ROW, Call, Kind, Onnx, weights

TENTH = np.float32(0.1)
ZERO, LOW = np.uint8(0), np.int8(-20)
ZEROS = np.float32(0)
CUTS = np.arange(1, 5, dtype=np.float32) / 10
CHANNEL = np.arange(1, 5, dtype=np.float32).reshape(4, 1, 1)


def mantissa(x: Tensor) -> Tensor:
    """A quantised activation as quantisation-aware training writes it, signed, in 15 steps."""
    return torch.clamp(torch.round(x / 0.2), -8, 7) * 0.2


STEPS = (
    Kind(
        "hardtanh",
        IMAGE,
        nn.Hardtanh,
        lambda _: lambda x: ops().clip(x, -1.0, 1.0),
        Onnx("Clip", (np.float32(-1), np.float32(1))),
    ),
    Kind("hard tanh of Keras", IMAGE, keras=lambda k: k.Activation("hard_tanh", name="layer")),
    Kind(
        "lower bound other than 0",
        IMAGE,
        lambda: Call(lambda x: x.clamp(min=-0.5)),
        lambda _: lambda x: ops().maximum(x, -0.5),
        Onnx("Max", (np.float32(-0.5),)),
    ),
    Kind(
        "upper bound alone",
        IMAGE,
        lambda: Call(lambda x: x.clamp(max=0.5)),
        lambda _: lambda x: ops().minimum(x, 0.5),
        Onnx("Min", (np.float32(0.5),)),
    ),
    Kind(
        "bounds that differ between channels",
        IMAGE,
        lambda: With(lambda x, b: torch.minimum(x.relu(), b), torch.from_numpy(CHANNEL)),
        onnx=(Onnx("Relu"), Onnx("Min", (CHANNEL,))),
    ),
    Kind(
        "hard sigmoid",
        IMAGE,
        nn.Hardsigmoid,
        lambda k: k.Activation("hard_sigmoid", name="layer"),
        Onnx("HardSigmoid", (), {"alpha": 0.2, "beta": 0.5}),
    ),
    Kind(
        "maximum of branches",
        IMAGE,
        lambda: Call(lambda x: torch.maximum(x, -2 * x)),
        lambda k: lambda x: k.Maximum(name="layer")([x, 1 - x]),
        (Onnx("Neg"), Onnx("Max", again=True)),
    ),
    Kind(
        "minimum of branches",
        IMAGE,
        lambda: Call(lambda x: torch.minimum(x, 1 - x)),
        lambda k: lambda x: k.Minimum(name="layer")([x, 1 - x]),
        (Onnx("Neg"), Onnx("Min", again=True)),
    ),
    Kind("absolute value", IMAGE, lambda: Call(torch.abs), lambda _: lambda x: ops().absolute(x), Onnx("Abs")),
    Kind(
        "soft shrinkage",
        IMAGE,
        lambda: nn.Softshrink(0.3),
        lambda k: k.Activation("soft_shrink", name="layer"),
        Onnx("Shrink", (), {"lambd": 0.3, "bias": 0.3}),
    ),
    Kind(
        "hard shrinkage",
        IMAGE,
        lambda: nn.Hardshrink(0.3),
        lambda _: lambda x: ops().hard_shrink(x, 0.3),
        Onnx("Shrink", (), {"lambd": 0.3}),
    ),
    Kind(
        "threshold other than 0",
        IMAGE,
        lambda: nn.Threshold(0.5, 0.0),
        lambda k: k.ReLU(threshold=0.5, name="layer"),
        Onnx("ThresholdedRelu", (), {"alpha": 0.5}),
    ),
    Kind(
        "threshold with another value below it",
        IMAGE,
        lambda: nn.Threshold(0.5, -0.25),
        lambda _: lambda x: ops().threshold(x, 0.5, -0.25),
        (Onnx("Greater", (np.float32(0.5),)), Onnx("Where", (np.float32(-0.25),), again=True)),
    ),
    Kind(
        "rectifier by comparison",
        IMAGE,
        lambda: Call(lambda x: torch.where(x > 0, x, 0.0)),
        lambda _: lambda x: ops().where(x > 0, x, 0.0),
        (Onnx("GreaterOrEqual", (ZEROS,)), Onnx("Where", (ZEROS,), again=True)),
    ),
    Kind(
        "rectifier as a product with a comparison",
        IMAGE,
        lambda: Call(lambda x: x * (x > 0)),
        lambda _: lambda x: x * ops().cast(x > 0, "float32"),
        (Onnx("Greater", (ZEROS,)), Onnx("Cast", (), {"to": 1}), Onnx("Mul", again=True)),
    ),
    Kind(
        "rectifier by a mask (masked_fill, x[x < c] = c)",
        IMAGE,
        lambda: Call(lambda x: x.masked_fill(x < 0.25, 0.25)),
        lambda _: lambda x: ops().where(ops().less(x, 0.25), 0.25, x),
        (Onnx("Less", (np.float32(0.25),)), Onnx("Not"), Onnx("Where", (np.float32(0.25),), again=True)),
    ),
    Kind(
        "leaky ReLU by comparison",
        IMAGE,
        lambda: Call(lambda x: torch.where(x > 0, x, 0.1 * x)),
        lambda _: lambda x: ops().where(x > 0, x, 0.1 * x),
    ),
    Kind(
        "choice between two lines",
        IMAGE,
        lambda: Call(lambda x: torch.where(x >= 0.5, 2 * x, 1 - x)),
        lambda _: lambda x: ops().where(x >= 0.5, 2 * x, 1 - x),
    ),
    Kind(
        "choice with a cut a channel",
        IMAGE,
        lambda: With(lambda x, c: torch.where(x > c, x - c, 0.0), torch.from_numpy(CHANNEL / 10)),
        lambda _: lambda x: ops().where(x > CUTS, x, 0.0),
        (Onnx("Greater", (CHANNEL / 10,)), Onnx("Where", (ZEROS,), again=True)),
    ),
    Kind(
        "clip by two comparisons (and)",
        IMAGE,
        lambda: Call(lambda x: torch.where((x > -0.5) & (x < 0.5), x, 0.5 * x.sign())),
        lambda _: lambda x: ops().where(ops().logical_and(x > -0.5, x < 0.5), x, 0.5 * ops().sign(x)),
    ),
    Kind(
        "clip by comparisons one in the other",
        IMAGE,
        lambda: Call(lambda x: torch.where(x > 1, 1.0, torch.where(x < -1, -1.0, x))),
        lambda _: lambda x: ops().where(x > 1, 1.0, ops().where(x < -1, -1.0, x)),
    ),
    Kind(
        "comparison as a number",
        IMAGE,
        lambda: Call(lambda x: (x > 0.25).float()),
        lambda _: lambda x: ops().cast(x > 0.25, "float32"),
        (Onnx("Greater", (np.float32(0.25),)), Onnx("Cast", (), {"to": 1})),
    ),
    Kind(
        "comparison of branches as a number",
        IMAGE,
        lambda: Call(lambda x: torch.where(x > x.flip(2), 1.0, -1.0)),
        lambda _: lambda x: ops().where(x > ops().flip(x, 1), 1.0, -1.0),
        (Onnx("Neg"), Onnx("Greater", again=True), Onnx("Cast", (), {"to": 1})),
    ),
    Kind(
        "either of two comparisons as a number",
        IMAGE,
        lambda: Call(lambda x: ((x > 0.5) | (x.flip(2) < 0)).float()),
        lambda _: lambda x: ops().cast(ops().logical_or(x > 0.5, ops().flip(x, 1) < 0), "float32"),
    ),
    Kind(
        "choice by a fixed mask",
        IMAGE,
        lambda: With(lambda x, m: torch.where(m > 0, x, 0.5), torch.from_numpy(CHANNEL - 2)),
        lambda _: lambda x: ops().where(CUTS > 0.2, x, 0.5),
        Onnx("Where", (np.float32(0.5),), mask=CHANNEL > 2),
    ),
    Kind(
        "choice by a comparison of other values",
        IMAGE,
        lambda: Call(lambda x: torch.where(x.flip(2) > 0, x, 0.0)),
        lambda _: lambda x: ops().where(ops().flip(x, 1) > 0, x, 0.0),
        (Onnx("ReduceMax", (np.array([1]),)), Onnx("Greater", (ZEROS,)), Onnx("Where", (ZEROS,), again=True)),
    ),
    Kind(
        "equality",
        IMAGE,
        lambda: Call(lambda x: (x == 1).float()),
        lambda _: lambda x: ops().cast(ops().equal(x, 1), "float32"),
        (Onnx("Equal", (np.float32(1),)), Onnx("Cast", (), {"to": 1})),
    ),
    Kind(
        "step with a value of its own at 0 (heaviside)",
        IMAGE,
        lambda: With(torch.heaviside, torch.tensor(0.5)),
    ),
    Kind(
        "ReLU with threshold, slope and ceiling",
        IMAGE,
        keras=lambda k: k.ReLU(2, 0.1, 0.5, name="layer"),
    ),
    Kind("sparse sigmoid", IMAGE, keras=lambda k: k.Activation("sparse_sigmoid", name="layer")),
    Kind(
        "hard swish",
        IMAGE,
        nn.Hardswish,
        lambda k: k.Activation("hard_swish", name="layer"),
        Onnx("HardSwish"),
    ),
    Kind(
        "leaky ReLU with a ceiling",
        IMAGE,
        lambda: Call(lambda x: F.leaky_relu(x, 0.1).clamp(max=2)),
        lambda k: k.ReLU(max_value=2, negative_slope=0.1, name="layer"),
    ),
    Kind(
        "rounding down in steps",
        IMAGE,
        lambda: Call(lambda x: torch.floor(x.clamp(0, 1) * 4 + 0.5) / 4),
        lambda _: lambda x: ops().floor(ops().clip(x, 0.0, 1.0) * 4 + 0.5) / 4,
        (Onnx("Clip", (np.float32(0), np.float32(1))), Onnx("Mul", (np.float32(4),)), Onnx("Floor")),
    ),
    Kind(
        "rounding to the next whole number in steps",
        IMAGE,
        lambda: Call(mantissa),
        lambda _: lambda x: ops().round(ops().clip(x, 0.0, 1.0) * 15) / 15,
        (Onnx("Clip", (np.float32(-2), np.float32(2))), Onnx("Mul", (np.float32(4),)), Onnx("Round")),
    ),
    Kind(
        "rounding up in steps",
        IMAGE,
        lambda: Call(lambda x: torch.ceil(x.clamp(0, 1) * 4)),
        lambda _: lambda x: ops().ceil(ops().clip(x, 0.0, 1.0) * 4),
        (Onnx("Clip", (np.float32(0), np.float32(1))), Onnx("Mul", (np.float32(4),)), Onnx("Ceil")),
    ),
    Kind(
        "fake quantisation",
        IMAGE,
        lambda: Call(lambda x: torch.fake_quantize_per_tensor_affine(x, 0.1, 3, 0, 15)),
        onnx=(Onnx("QuantizeLinear", (TENTH, ZERO)), Onnx("DequantizeLinear", (TENTH, ZERO))),
        one_batch=True,
    ),
    Kind(
        "quantised and back (QDQ), signed",
        IMAGE,
        onnx=(Onnx("QuantizeLinear", (TENTH, LOW)), Onnx("DequantizeLinear", (TENTH, LOW))),
    ),
    Kind(
        "quantised and back (QDQ), twice",
        IMAGE,
        onnx=(
            *(Onnx("QuantizeLinear", (TENTH, LOW)), Onnx("DequantizeLinear", (TENTH, LOW)), Onnx("Relu")),
            *(Onnx("QuantizeLinear", (TENTH, LOW)), Onnx("DequantizeLinear", (TENTH, LOW))),
        ),
    ),
    Kind(
        "rounding without bounds",
        IMAGE,
        lambda: Call(torch.round),
        lambda _: lambda x: ops().round(x),
        Onnx("Round"),
    ),
    Kind(
        "sign",
        IMAGE,
        lambda: Call(torch.sign),
        lambda _: lambda x: ops().sign(x),
        Onnx("Sign"),
    ),
    Kind("softplus, ELU and other curves", IMAGE, nn.ELU, lambda k: k.ELU(name="layer"), Onnx("Elu")),
)

NOTHING = (
    Kind("dropout of channels", IMAGE, nn.FeatureAlphaDropout, lambda k: k.AlphaDropout(0.3, name="layer")),
    Kind("identity", IMAGE, nn.Identity, lambda k: k.Identity(name="layer"), Onnx("Identity")),
    *(
        Kind(
            f"{name} of Keras",
            (3, 6, 6),
            keras=lambda k, name=name, given=given: getattr(k, name)(*given, name="layer"),
        )
        for name, given in (
            ("RandomFlip", ()),
            ("RandomRotation", (0.1,)),
            ("RandomZoom", (0.1,)),
            ("RandomTranslation", (0.1, 0.1)),
            ("RandomContrast", (0.1,)),
            ("RandomBrightness", (0.1,)),
            ("RandomShear", (0.1,)),
            ("RandomHue", (0.1,)),
            ("RandomErasing", ()),
            ("RandomGrayscale", ()),
            ("GaussianDropout", (0.1,)),
        )
    ),
    Kind("random crop of Keras", IMAGE, keras=lambda k: k.RandomCrop(4, 4, name="layer")),
    Kind(
        "product with a constant vector",
        ROW,
        onnx=Onnx("MatMul", (weights(8),)),
    ),
)
