"""A module, and the ONNX file that PyTorch's exporters write of it: one graph output, for any batch size.

There are two exporters: one that traces, which comes with PyTorch, and one on top of ``torch.export``, which needs the
package onnxscript and is skipped where that is missing.
"""

from __future__ import annotations

import importlib.util
import warnings
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn

import spikewright as sw
from spikewright.forward import run
from spikewright.frontends.onnx import from_onnx
from spikewright.frontends.torch import from_torch
from spikewright.nodes import Conv, ConvTranspose, Linear


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 6, 3, 2, 1), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 6, 3, 1, 1))
        self.shortcut = nn.Conv2d(3, 6, 1, 2)
        self.head = nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.head((self.body(x) + self.shortcut(x)).relu().mean((2, 3)))


class Branches(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 5, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        pooled = torch.nn.functional.avg_pool2d(x, 3, 1, 1)
        return torch.cat([self.one(x).relu(), self.two(x).relu(), pooled], 1).amax((2, 3))


class Shuffled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 6, 3), nn.Conv2d(6, 6, 3, groups=3)

    def forward(self, x: Tensor) -> Tensor:
        y = self.one(x).relu()
        y = y.view(y.shape[0], 2, 3, *y.shape[2:]).transpose(1, 2).reshape(y.shape)
        first, second = self.two(y).chunk(2, 1)
        return (first + second).flatten(1)[:, 2:20]


class Steps(nn.Module):
    """The quantised activation of QCFS, in four steps up to 1.5."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.floor(torch.clamp(x / 1.5, 0, 1) * 4 + 0.5) / 4 * 1.5


def depthwise() -> nn.Module:
    return nn.Sequential(
        *(nn.Conv2d(3, 6, 1), nn.BatchNorm2d(6), nn.ReLU6(), nn.Conv2d(6, 6, 3, 2, 1, groups=6), nn.BatchNorm2d(6)),
        *(nn.ReLU6(), nn.Conv2d(6, 4, 1), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout()),
    )


def transposed() -> nn.Module:
    return nn.Sequential(
        *(nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU(), nn.ConvTranspose2d(4, 6, 3, 2, 1, output_padding=1, groups=2)),
        *(
            nn.LeakyReLU(0.2),
            nn.ConvTranspose2d(6, 2, 2, 2),
            nn.PReLU(2),
            nn.PixelShuffle(1),
            nn.Upsample(scale_factor=2),
        ),
    )


def adaptive() -> nn.Module:
    return nn.Sequential(
        *(
            nn.Conv2d(3, 4, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(3, 2, 1, ceil_mode=True),
            nn.AdaptiveAvgPool2d((2, 3)),
        ),
        *(
            nn.AvgPool2d(2, 1, 1, count_include_pad=False),
            nn.Flatten(),
            nn.Linear(48, 5),
            nn.BatchNorm1d(5),
            nn.Hardtanh(0, 1),
        ),
    )


def signals() -> nn.Module:
    return nn.Sequential(
        *(nn.Conv1d(3, 4, 5, dilation=2, padding="same"), nn.ReLU(), nn.MaxPool1d(2), nn.ConstantPad1d(1, 0.0)),
        *(nn.ConvTranspose1d(4, 2, 3, 2), nn.ReLU(), nn.Flatten(), nn.LazyLinear(3), nn.Softmax(1)),
    )


def volumes() -> nn.Module:
    return nn.Sequential(nn.Conv3d(3, 2, 3, padding=1), nn.ReLU(), nn.AvgPool3d(2), nn.Flatten(), nn.LazyLinear(3))


def quantised() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), Steps(), nn.Conv2d(4, 2, 3), Steps(), nn.Flatten(), nn.LazyLinear(3))


FAMILIES = {
    "residual": (Residual, (3, 8, 8)),
    "branches": (Branches, (3, 6, 7)),
    "shuffled": (Shuffled, (3, 7, 7)),
    "depthwise": (depthwise, (3, 8, 8)),
    "transposed": (transposed, (3, 8, 8)),
    "adaptive": (adaptive, (3, 10, 10)),
    "signals": (signals, (3, 20)),
    "volumes": (volumes, (3, 4, 6, 6)),
    "quantised": (quantised, (3, 8, 8)),
}
EXPORTERS = {
    "tracing": {"dynamo": False, "dynamic_axes": {"x": {0: "n"}}, "input_names": ["x"]},
    "exporting": {"dynamo": True, "dynamic_shapes": ({0: torch.export.Dim("n")},), "verbose": False},
}


def trained(family: str) -> tuple[nn.Module, np.ndarray]:
    """A module with biases and statistics that are not the defaults, and a batch for it."""
    torch.manual_seed(3)
    make, shape = FAMILIES[family]
    module, x = make(), torch.randn(4, *shape)
    module.train()
    with torch.no_grad():
        for _ in range(3):
            module(torch.randn(8, *shape) + 0.3)
        for parameter in module.parameters():
            parameter.add_(torch.randn_like(parameter) / 10)
    return module.eval(), x.numpy()


@pytest.mark.parametrize("exporter", EXPORTERS)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_module_and_its_onnx_file_are_one_graph(family: str, exporter: str, tmp_path: Path) -> None:
    if exporter == "exporting" and importlib.util.find_spec("onnxscript") is None:
        pytest.skip("needs onnxscript")
    module, x = trained(family)
    path = tmp_path / "model.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(module, (torch.from_numpy(x[:2]),), str(path), **EXPORTERS[exporter])
    assert onnx.load(path).graph.input[0].type.tensor_type.shape.dim[0].dim_param
    with torch.no_grad():
        expected = module(torch.from_numpy(x)).numpy()
    graphs = [from_onnx(path), from_torch(module, torch.from_numpy(x[:2]))]
    work = []
    for graph in graphs:
        np.testing.assert_allclose(run(graph, x)["output"], expected, rtol=1e-4, atol=1e-5)
        folded, _ = sw.prepare(graph, leaky="split", answer="keep")
        np.testing.assert_allclose(run(folded, x)["output"], expected, rtol=1e-4, atol=1e-4)
        work.append([folded.macs(node) for node in folded.of_type(Conv, ConvTranspose, Linear)])
    assert work[0] == work[-1]
