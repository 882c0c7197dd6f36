"""Every layer of PyTorch that is taken, alone and in small networks: the graph computes what the module computes."""

# ruff: noqa: ARG005

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spikewright.errors import GraphError
from spikewright.forward import run
from spikewright.frontends.torch import from_exported, from_torch
from spikewright.graph import Graph

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


class Functional(nn.Module):
    """A module whose forward is the given function."""

    def __init__(self, function: Callable[..., Any], **parts: Any) -> None:
        super().__init__()
        self.function = function
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x: Tensor) -> Any:
        return self.function(self, x)


def trained(module: nn.Module) -> nn.Module:
    """The module with statistics, scales and biases as training would leave them."""
    torch.manual_seed(7)
    for part in module.modules():
        if isinstance(part, NORMS) and part.track_running_stats:
            part.running_mean.normal_()
            part.running_var.uniform_(0.3, 2)
            nn.init.normal_(part.weight)
            nn.init.normal_(part.bias)
    return module


def assert_equal(module: nn.Module, shape: tuple[int, ...], example: int = 3, batch: int = 5) -> Graph:
    """The graph traced on ``example`` samples gives what the module gives for ``batch`` others."""
    trained(module)
    graph = from_torch(module, torch.randn(example, *shape))
    x = torch.randn(batch, *shape)
    module.eval()
    with torch.no_grad():
        expected = module(x).numpy()
    found = run(graph, x.numpy())["output"]
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
    return graph


def types(graph: Graph) -> list[str]:
    """What stands between the input and the output."""
    return [node.type for node in graph][1:-1]


LAYERS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], list[str]]] = {
    "linear": (lambda: nn.Linear(4, 3), (4,), ["Linear"]),
    "linear without bias": (lambda: nn.Linear(4, 3, bias=False), (4,), ["Linear"]),
    "linear over the last axis": (lambda: nn.Linear(6, 4), (5, 6), ["Permute", "Conv", "Permute"]),
    "conv1d": (lambda: nn.Conv1d(3, 6, 3, 2, padding=2, dilation=2, groups=3), (3, 11), ["Conv"]),
    "conv2d": (lambda: nn.Conv2d(3, 4, (3, 2), stride=(1, 2), padding=(2, 0)), (3, 7, 8), ["Conv"]),
    "conv2d depthwise": (lambda: nn.Conv2d(4, 8, 3, groups=4, bias=False), (4, 6, 6), ["Conv"]),
    "conv2d same, even kernel": (lambda: nn.Conv2d(3, 4, (4, 2), padding="same", dilation=(1, 3)), (3, 9, 8), ["Conv"]),
    "conv2d valid": (lambda: nn.Conv2d(3, 4, 2, padding="valid"), (3, 4, 4), ["Conv"]),
    "conv3d": (lambda: nn.Conv3d(2, 3, 3, padding=(0, 1, 1)), (2, 4, 5, 5), ["Conv"]),
    "transposed conv1d": (lambda: nn.ConvTranspose1d(4, 6, 4, 3, 1, 2, groups=2), (4, 5), ["ConvTranspose"]),
    "transposed conv2d": (
        lambda: nn.ConvTranspose2d(3, 4, (3, 2), (2, 1), (1, 0), (1, 0), bias=False),
        (3, 4, 5),
        ["ConvTranspose"],
    ),
    "transposed conv3d": (lambda: nn.ConvTranspose3d(2, 3, 2, 2, dilation=2), (2, 2, 3, 3), ["ConvTranspose"]),
    "batch norm 1d, flat": (lambda: nn.BatchNorm1d(5), (5,), ["BatchNorm"]),
    "batch norm 1d": (lambda: nn.BatchNorm1d(5), (5, 4), ["BatchNorm"]),
    "batch norm 2d": (lambda: nn.BatchNorm2d(3, eps=0.1), (3, 4, 4), ["BatchNorm"]),
    "batch norm 3d": (lambda: nn.BatchNorm3d(3), (3, 2, 4, 4), ["BatchNorm"]),
    "relu": (nn.ReLU, (3,), ["ReLU"]),
    "relu in place": (lambda: nn.ReLU(inplace=True), (3,), ["ReLU"]),
    "relu6": (nn.ReLU6, (3,), ["ReLU"]),
    "hardtanh": (lambda: nn.Hardtanh(0, 0.7), (3,), ["ReLU"]),
    "threshold": (lambda: nn.Threshold(0, 0), (3,), ["ReLU"]),
    "global average pool 1d": (lambda: nn.AdaptiveAvgPool1d(1), (3, 5), ["GlobalAvgPool"]),
    "global average pool 2d": (lambda: nn.AdaptiveAvgPool2d(1), (3, 5, 4), ["GlobalAvgPool"]),
    "global average pool 3d": (lambda: nn.AdaptiveAvgPool3d(1), (3, 5, 4, 2), ["GlobalAvgPool"]),
    "adaptive average pool": (lambda: nn.AdaptiveAvgPool2d((3, None)), (2, 6, 4), ["AvgPool"]),
    "adaptive average pool to any size": (lambda: nn.AdaptiveAvgPool2d((5, 3)), (2, 7, 4), ["AdaptiveAvgPool"]),
    "adaptive average pool 1d": (lambda: nn.AdaptiveAvgPool1d(7), (2, 5), ["AdaptiveAvgPool"]),
    "adaptive average pool 3d": (lambda: nn.AdaptiveAvgPool3d((2, 2, 2)), (2, 3, 4, 5), ["AdaptiveAvgPool"]),
    "leaky relu": (lambda: nn.LeakyReLU(0.3), (2, 3), ["LeakyReLU"]),
    "leaky relu without leak": (lambda: nn.LeakyReLU(0.0), (2, 3), ["ReLU"]),
    "prelu": (nn.PReLU, (2, 3), ["LeakyReLU"]),
    "prelu per channel": (lambda: nn.PReLU(2), (2, 3), ["LeakyReLU"]),
    "rrelu": (nn.RReLU, (2, 3), ["LeakyReLU"]),
    "pixel shuffle": (lambda: nn.PixelShuffle(2), (8, 2, 3), ["Reshape", "Permute", "Reshape"]),
    "pixel unshuffle": (lambda: nn.PixelUnshuffle(2), (2, 4, 6), ["Reshape", "Permute", "Reshape"]),
    "channel shuffle": (lambda: nn.ChannelShuffle(2), (6, 2, 3), ["Reshape", "Permute", "Reshape"]),
    "global max pool": (lambda: nn.AdaptiveMaxPool2d(1), (3, 5, 4), ["GlobalMaxPool"]),
    "adaptive max pool": (lambda: nn.AdaptiveMaxPool1d(2), (3, 6), ["MaxPool"]),
    "average pool with a divisor": (
        lambda: nn.AvgPool2d(3, 2, 1, ceil_mode=True, divisor_override=5),
        (3, 10, 10),
        ["SumPool", "ChannelAffine"],
    ),
    "flatten": (nn.Flatten, (2, 3, 4), ["Flatten"]),
    "unflatten": (lambda: nn.Unflatten(1, (2, 3)), (6,), ["Reshape"]),
    "zero pad": (lambda: nn.ZeroPad2d((1, 2, 0, 3)), (2, 3, 4), ["Pad"]),
    "upsample": (lambda: nn.Upsample(scale_factor=(2, 3)), (2, 3, 4), ["Upsample"]),
    "upsample 1d": (lambda: nn.Upsample(size=12), (2, 4), ["Upsample"]),
    "softmax": (lambda: nn.Softmax(dim=1), (4,), ["Softmax"]),
    "log softmax": (lambda: nn.LogSoftmax(dim=-1), (4,), ["Softmax"]),
}


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_alone(name: str) -> None:
    make, shape, expected = LAYERS[name]
    assert types(assert_equal(make(), shape)) == expected


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("ceil_mode", [False, True])
def test_pools(axes: int, ceil_mode: bool) -> None:
    shape = (2, 9, 10, 7)[: axes + 1]
    largest = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)[axes - 1]
    mean = (nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d)[axes - 1]
    assert_equal(largest(3, 2, 1, ceil_mode=ceil_mode), shape)
    assert_equal(largest(2, 3, dilation=2, ceil_mode=ceil_mode), shape)
    for counted in (False, True):
        assert_equal(mean(3, 2, 1, ceil_mode=ceil_mode, count_include_pad=counted), shape)
    assert_equal(mean(2), shape)


FUNCTIONS: dict[str, tuple[Callable[[Any, Tensor], Any], list[str]]] = {
    "view with the batch size": (lambda m, x: x.view(x.size(0), -1), ["Flatten"]),
    "view with the sample size": (lambda m, x: x.view(-1, 72), ["Flatten"]),
    "flatten": (lambda m, x: torch.flatten(x, 1), ["Flatten"]),
    "reshape": (lambda m, x: x.reshape(x.shape[0], 3, -1), ["Reshape"]),
    "permute": (lambda m, x: x.permute(0, 2, 3, 1), ["Permute"]),
    "transpose": (lambda m, x: x.transpose(1, -1), ["Permute"]),
    "squeeze all": (lambda m, x: x.mean((2, 3), keepdim=True).squeeze(), ["GlobalAvgPool", "Flatten"]),
    "unsqueeze": (lambda m, x: x.unsqueeze(1), ["Reshape"]),
    "mean": (lambda m, x: x.mean((2, 3)), ["GlobalAvgPool", "Flatten"]),
    "mean over rows": (lambda m, x: x.mean(-1), ["AvgPool", "Reshape"]),
    "mean over channels": (lambda m, x: x.mean(1), ["Permute", "AvgPool", "Reshape"]),
    "sum over space": (lambda m, x: x.sum((2, 3), keepdim=True), ["SumPool"]),
    "largest over space": (lambda m, x: x.amax((2, 3)), ["GlobalMaxPool", "Flatten"]),
    "clamp": (lambda m, x: x.clamp(min=0), ["ReLU"]),
    "clamp to a ceiling": (lambda m, x: x.clamp(0, 0.5), ["ReLU"]),
    "a trained ceiling": (lambda m, x: torch.minimum(x.relu(), torch.tensor([0.5])), ["ReLU", "ReLU"]),
    "bounds as tensors": (lambda m, x: x.clamp(torch.zeros(()), torch.tensor(0.5)), ["ReLU"]),
    "floor": (lambda m, x: torch.floor(4 * x), ["ChannelAffine", "Floor"]),
    "maximum with zero": (lambda m, x: torch.maximum(x, torch.zeros(1)), ["ReLU"]),
    "max with zero": (lambda m, x: torch.max(torch.zeros(1), x), ["ReLU"]),
    "add": (lambda m, x: x + F.relu(x), ["ReLU", "Add"]),
    "add with alpha": (lambda m, x: torch.add(x, x.relu(), alpha=-0.5), ["ReLU", "ChannelAffine", "Add"]),
    "sum of three": (lambda m, x: sum([x, x.relu(), x]), ["ReLU", "ChannelAffine", "Add", "Add"]),
    "subtract": (lambda m, x: x - x.relu(), ["ReLU", "ChannelAffine", "Add"]),
    "from a number": (lambda m, x: 3 - x, ["ChannelAffine"]),
    "numbers": (lambda m, x: -x / 2 + 1, ["ChannelAffine"] * 3),
    "a tensor per channel": (
        lambda m, x: (x - torch.tensor([0.1, 0.2]).view(2, 1, 1)) / torch.tensor([2.0, 3]).view(1, 2, 1, 1),
        ["ChannelAffine", "ChannelAffine"],
    ),
    "a tensor per neuron": (lambda m, x: x * torch.arange(36.0).view(6, 6), ["ChannelAffine"]),
    "made for the batch": (lambda m, x: x + torch.ones(x.size(0), 1, 1, 1), ["ChannelAffine"]),
    "cat": (lambda m, x: torch.cat([x, x.relu()], 1), ["ReLU", "Concat"]),
    "cat along a row": (lambda m, x: torch.cat([x, x.relu()], -1), ["ReLU", "Concat"]),
    "pad": (lambda m, x: F.pad(x, (1, 2, 0, 1)), ["Pad"]),
    "crop": (lambda m, x: x[:, 1:, :, 1:-1], ["Pad", "Pad"]),
    "every second": (lambda m, x: F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 1, 1)), ["AvgPool", "AvgPool", "Pad"]),
    "one channel": (lambda m, x: x[:, 1], ["Pad", "Reshape"]),
    "chunks": (lambda m, x: torch.cat(x.chunk(2, 1)[::-1], 1), ["Pad", "Pad", "Concat"]),
    "interpolate": (lambda m, x: F.interpolate(x, scale_factor=2), ["Upsample"]),
    "functional dropout": (lambda m, x: F.dropout(x, 0.5, m.training), []),
    "what changes its argument": (
        lambda m, x: F.relu(x + 1, inplace=True).mul_(2),
        ["ChannelAffine", "ReLU", "ChannelAffine"],
    ),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_alone(name: str) -> None:
    function, expected = FUNCTIONS[name]
    assert types(assert_equal(Functional(function), (2, 6, 6))) == expected


def test_changing_in_place_changes_what_is_read_later() -> None:
    def forward(module: Any, x: Tensor) -> Tensor:
        y = x * 1.5
        F.relu(y, inplace=True)
        y += 1
        return y - x

    assert_equal(Functional(forward), (4,))


class Block(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.down = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.down = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        y += self.down(x)
        return self.relu(y)


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 4, 3)
        self.blocks = nn.Sequential(Block(4, 4, 1), Block(4, 8, 2))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(0.4)
        self.fc = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks(F.relu(self.stem(x)))
        return self.fc(self.dropout(self.pool(x).view(x.size(0), -1)))


def test_a_residual_network_keeps_its_modules_names() -> None:
    graph = assert_equal(Residual(), (1, 8, 8))
    assert [node.name for node in graph] == [
        *("input", "stem", "relu"),
        *(f"blocks.0.{part}" for part in ("conv1", "bn1", "relu", "conv2", "bn2", "add", "relu_2")),
        *(f"blocks.1.{part}" for part in ("conv1", "bn1", "relu", "conv2", "bn2")),
        *("blocks.1.down.0", "blocks.1.down.1", "blocks.1.add", "blocks.1.relu_2"),
        *("pool", "view", "dropout", "fc", "output"),
    ]
    assert (graph.meta["source"], graph.meta["model"]) == ("torch", "Residual")


def test_a_functional_network() -> None:
    def forward(module: Any, x: Tensor) -> Tensor:
        x = F.avg_pool2d(F.relu(F.batch_norm(module.conv(x), module.mean, module.var)), 2)
        return F.linear(x.flatten(1), module.weight, module.bias)

    module = Functional(forward, conv=nn.Conv2d(2, 3, 3), weight=nn.Parameter(torch.randn(4, 12) / 3))
    module.register_buffer("mean", torch.tensor([0.1, -0.2, 0.3]))
    module.register_buffer("var", torch.tensor([0.5, 1.5, 2.0]), persistent=False)
    module.register_parameter("bias", nn.Parameter(torch.randn(4)))
    graph = assert_equal(module, (2, 6, 6))
    assert types(graph) == ["Conv", "BatchNorm", "ReLU", "AvgPool", "Flatten", "Linear"]


def test_a_shared_module_is_two_nodes_with_the_same_arrays() -> None:
    linear, relu = nn.Linear(4, 4), nn.ReLU()
    module = Functional(lambda m, x: m.relu(m.fc(m.relu(m.fc(x)))), fc=linear, relu=relu)
    graph = assert_equal(module, (4,))
    assert [node.name for node in graph] == ["input", "fc", "relu", "fc_2", "relu_2", "output"]
    assert graph["fc"].weight is graph["fc_2"].weight


@pytest.mark.parametrize("example", [1, 2, 3, 4])
def test_sizes_equal_to_the_examples_batch_are_told_apart(example: int) -> None:
    module = nn.Sequential(nn.Conv1d(example, 3, 1), nn.Flatten(), nn.Linear(3 * example, example), nn.ReLU())
    assert_equal(module, (example, example), example=example)


def test_a_view_written_for_one_sample_is_a_flatten() -> None:
    module = Functional(lambda m, x: m.fc(x.view(1, -1)), fc=nn.Linear(12, 2))
    graph = assert_equal(module, (3, 4), example=1, batch=1)
    x = np.random.default_rng(0).normal(size=(5, 3, 4)).astype(np.float32)
    with torch.no_grad():
        expected = torch.cat([module(torch.from_numpy(x[i : i + 1])) for i in range(5)])
    np.testing.assert_allclose(run(graph, x)["output"], expected, atol=1e-6)


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.utils.parametrizations.weight_norm(nn.Conv2d(2, 3, 3)),
        lambda: nn.utils.parametrizations.spectral_norm(nn.Conv2d(2, 3, 3)),
        lambda: Functional(
            lambda m, x: F.conv2d(x, (m.w * m.mask).abs()), w=nn.Parameter(torch.randn(3, 2, 2, 2)), mask=2
        ),
    ],
    ids=["weight norm", "spectral norm", "computed"],
)
def test_weights_computed_from_constants(make: Callable[[], nn.Module]) -> None:
    assert types(assert_equal(make(), (2, 6, 6))) == ["Conv"]


def test_products_with_a_matrix() -> None:
    weight = nn.Parameter(torch.randn(4, 3))
    assert types(assert_equal(Functional(lambda m, x: x @ m.w + 1, w=weight), (4,))) == ["Linear", "ChannelAffine"]
    module = Functional(lambda m, x: torch.addmm(torch.arange(3.0), x, m.w), w=weight)
    assert types(assert_equal(module, (4,))) == ["Linear"]


class Tower(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(3, 4), nn.Linear(5, 4)

    def forward(self, left: Tensor, right: Tensor) -> dict[str, Tensor]:
        both = self.a(left) + self.b(right)
        return {"sum": both.relu(), "left": self.a(left)}


def test_several_inputs_and_outputs() -> None:
    module = Tower()
    left, right = torch.randn(2, 3), torch.randn(2, 5)
    graph = from_torch(module, (left, right))
    assert [node.name for node in graph.of_type(type(graph["left"]))] == ["left", "right"]
    from spikewright.forward import Forward

    found = Forward(graph)({"left": left, "right": right})
    expected = module(left, right)
    assert set(found) == {"sum", "left_2"}  # a node can have a name only once: the input has it
    torch.testing.assert_close(found["sum"], expected["sum"].detach())
    torch.testing.assert_close(found["left_2"], expected["left"].detach())


def test_a_tuple_of_outputs() -> None:
    module = Functional(lambda m, x: (x.relu(), x * 2))
    x = np.array([[1.0, -1.0]], np.float32)
    found = run(from_torch(module, x), x)
    np.testing.assert_array_equal(found["output"], [[1, 0]])
    np.testing.assert_array_equal(found["output_2"], [[2, -2]])


def test_the_module_is_left_as_it_was() -> None:
    module = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Dropout())
    module[1].eval()
    before = {k: v.clone() for k, v in module.state_dict().items()}
    from_torch(module, torch.randn(4, 3))
    assert [part.training for part in module] == [True, False, True]
    for key, value in module.state_dict().items():
        torch.testing.assert_close(value, before[key], rtol=0, atol=0)


def test_what_no_output_needs_is_left_out() -> None:
    def forward(module: Any, x: Tensor) -> Tensor:
        torch.sigmoid(x).sum()
        return x.relu()

    assert types(assert_equal(Functional(forward), (3,))) == ["ReLU"]


@pytest.mark.parametrize("kind", [torch.float64, torch.bfloat16])
def test_other_precisions_become_float32(kind: torch.dtype) -> None:
    module = nn.Linear(3, 2).to(kind)
    graph = from_torch(module, np.zeros((1, 3)))
    np.testing.assert_array_equal(graph["linear"].weight, module.weight.detach().float())


def test_weights_that_are_not_numbers_name_their_module() -> None:
    module = nn.Sequential(nn.Linear(3, 2), nn.ReLU())
    module[0].weight.data[1, 2] = float("nan")
    with pytest.raises(GraphError, match=r"Linear '0': weight\[1, 2\] is nan, not a finite float32"):
        from_torch(module, torch.zeros(1, 3))


@pytest.mark.parametrize("batch", [1, 2, 8])
@pytest.mark.parametrize("decomposed", [False, True])
def test_an_exported_program_of_any_batch_size(batch: int, decomposed: bool) -> None:
    module = trained(Residual()).eval()
    program = torch.export.export(module, (torch.randn(batch, 1, 8, 8),), strict=False)
    if decomposed:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = program.run_decompositions()
    graph = from_exported(program)
    x = torch.randn(5, 1, 8, 8)
    with torch.no_grad():
        expected = module(x).numpy()
    np.testing.assert_allclose(run(graph, x)["output"], expected, atol=1e-5 * np.abs(expected).max())
    assert graph.meta["model"] == "Residual"
    assert "blocks.1.down.0" in graph
