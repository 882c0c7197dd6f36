"""The architectures people have, small and untrained, with biases and statistics that are not the defaults."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune

SHAPE = (3, 8, 8)


def randomised(module: nn.Module, seed: int = 0) -> nn.Module:
    """Biases, norms and statistics as training would leave them: none at its default, some scales negative."""
    draw = torch.Generator().manual_seed(seed)

    def uniform(like: Tensor, low: float, high: float) -> Tensor:
        return torch.rand(like.shape, generator=draw) * (high - low) + low

    for part in module.modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm):
            part.running_mean.copy_(uniform(part.running_mean, -0.5, 0.5))
            part.running_var.copy_(uniform(part.running_var, 0.5, 2))
            if part.affine:
                sign = (uniform(part.weight, 0, 1) > 0.25) * 2.0 - 1
                part.weight.data = uniform(part.weight, 0.5, 1.5) * sign
                part.bias.data = uniform(part.bias, -0.5, 0.5)
        elif getattr(part, "bias", None) is not None and isinstance(part.bias, Tensor):
            part.bias.data = uniform(part.bias, -0.3, 0.3)
    return module.eval()


def conv(inputs: int, outputs: int, kernel: int = 3, stride: int = 1, groups: int = 1, **kind: type) -> nn.Sequential:
    """Convolution, norm and, unless ``act=None``, a rectifier."""
    layers = [
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    ]
    act = kind.get("act", nn.ReLU)
    return nn.Sequential(*layers, *([] if act is None else [act()]))


class Head(nn.Sequential):
    def __init__(self, channels: int) -> None:
        super().__init__(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 4))


class BasicBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first, self.second = conv(inputs, outputs, stride=stride), conv(outputs, outputs, act=None)
        same = stride == 1 and inputs == outputs
        self.down = nn.Identity() if same else conv(inputs, outputs, 1, stride, act=None)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.second(self.first(x)) + self.down(x))


def resnet() -> nn.Module:
    return nn.Sequential(conv(3, 6), BasicBlock(6, 6, 1), BasicBlock(6, 6, 1), Head(6))


def resnet_with_projections() -> nn.Module:
    return nn.Sequential(conv(3, 4), BasicBlock(4, 4, 1), BasicBlock(4, 8, 2), Head(8))


class DenseLayer(nn.Module):
    """Norm, rectifier, convolution; its output beside its input."""

    def __init__(self, inputs: int, growth: int) -> None:
        super().__init__()
        self.norm, self.conv = nn.BatchNorm2d(inputs), nn.Conv2d(inputs, growth, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.conv(torch.relu(self.norm(x)))], 1)


def densenet() -> nn.Module:
    transition = nn.Sequential(nn.BatchNorm2d(10), nn.ReLU(), nn.Conv2d(10, 5, 1), nn.AvgPool2d(2))
    layers = (DenseLayer(4, 3), DenseLayer(7, 3), transition, DenseLayer(5, 3))
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), *layers, nn.BatchNorm2d(8), nn.ReLU(), Head(8))


def mobilenet_v1() -> nn.Module:
    def separable(inputs: int, outputs: int, stride: int) -> nn.Module:
        return nn.Sequential(conv(inputs, inputs, 3, stride, groups=inputs), conv(inputs, outputs, 1))

    return nn.Sequential(conv(3, 4, stride=2), separable(4, 6, 1), separable(6, 8, 2), Head(8))


class Bottleneck(nn.Module):
    """Inverted, with a linear end: MobileNetV2; with a larger kernel, EfficientNet-Lite."""

    def __init__(self, inputs: int, outputs: int, stride: int, expand: int, kernel: int = 3) -> None:
        super().__init__()
        inner = inputs * expand
        widen = [conv(inputs, inner, 1, act=nn.ReLU6)] if expand > 1 else []
        depthwise = conv(inner, inner, kernel, stride, groups=inner, act=nn.ReLU6)
        self.layers = nn.Sequential(*widen, depthwise, conv(inner, outputs, 1, act=None))
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x) if self.residual else self.layers(x)


def mobilenet_v2() -> nn.Module:
    blocks = (Bottleneck(4, 4, 1, 1), Bottleneck(4, 6, 2, 3), Bottleneck(6, 6, 1, 3))
    return nn.Sequential(conv(3, 4, act=nn.ReLU6), *blocks, conv(6, 10, 1, act=nn.ReLU6), nn.Dropout(0.2), Head(10))


def efficientnet_lite() -> nn.Module:
    blocks = (Bottleneck(4, 4, 1, 1), Bottleneck(4, 6, 2, 4, 5), Bottleneck(6, 6, 1, 4, 5))
    return nn.Sequential(conv(3, 4, stride=1, act=nn.ReLU6), *blocks, conv(6, 12, 1, act=nn.ReLU6), Head(12))


class Fire(nn.Module):
    def __init__(self, inputs: int, squeeze: int, expand: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(inputs, squeeze, 1)
        self.one, self.three = nn.Conv2d(squeeze, expand, 1), nn.Conv2d(squeeze, expand, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)  # one module, used three times

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.squeeze(x))
        return torch.cat([self.relu(self.one(x)), self.relu(self.three(x))], 1)


def squeezenet() -> nn.Module:
    first = (nn.Conv2d(3, 6, 3, stride=1), nn.ReLU(), nn.MaxPool2d(3, 2, ceil_mode=True))
    last = (nn.Dropout(), nn.Conv2d(8, 4, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return nn.Sequential(*first, Fire(6, 3, 4), nn.MaxPool2d(2), Fire(8, 3, 4), *last)


class Inception(nn.Module):
    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            [
                conv(inputs, 3, 1),
                nn.Sequential(conv(inputs, 2, 1), conv(2, 3)),
                nn.Sequential(conv(inputs, 2, 1), conv(2, 2, 5)),
                nn.Sequential(nn.MaxPool2d(3, 1, 1), conv(inputs, 2, 1)),
                nn.Sequential(nn.AvgPool2d(3, 1, 1, count_include_pad=False), conv(inputs, 2, 1)),
            ]
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.branches], 1)


def inception() -> nn.Module:
    return nn.Sequential(conv(3, 4), Inception(4), nn.MaxPool2d(3, 2, 1), Inception(12), Head(12))


class SuperResolution(nn.Module):
    """Channels become pixels, and more convolutions follow: a channel then holds values of several."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.shuffle = nn.Sequential(conv(3, 6), conv(6, 8)), nn.PixelShuffle(2)
        self.tail = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 2, 3, stride=2))

    def forward(self, x: Tensor) -> Tensor:
        return self.tail(self.shuffle(self.body(x)))


class ShuffleUnit(nn.Module):
    """Half of the channels worked on, then all of them mixed."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.branch = nn.Sequential(conv(half, half, 1), conv(half, half, groups=half, act=None), conv(half, half, 1))

    def forward(self, x: Tensor) -> Tensor:
        left, right = x.chunk(2, dim=1)
        x = torch.cat([left, self.branch(right)], 1)
        n, c, h, w = x.shape
        return x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)


def shufflenet() -> nn.Module:
    return nn.Sequential(conv(3, 8), ShuffleUnit(8), nn.MaxPool2d(2), ShuffleUnit(8), Head(8))


def cnn_1d() -> nn.Module:
    first = (nn.Conv1d(3, 6, 5, stride=2, padding=2), nn.BatchNorm1d(6), nn.ReLU(), nn.MaxPool1d(3, 2, 1))
    then = (nn.Conv1d(6, 8, 3, dilation=2, padding=2, groups=2), nn.ReLU(), nn.AvgPool1d(2), nn.Flatten())
    return nn.Sequential(*first, *then, nn.Linear(16, 4))


def cnn_3d() -> nn.Module:
    first = (nn.Conv3d(2, 4, 3, padding=1), nn.BatchNorm3d(4), nn.ReLU(), nn.MaxPool3d(2))
    then = (nn.Conv3d(4, 6, (1, 2, 2)), nn.ReLU(), nn.AvgPool3d((2, 1, 1)), nn.AdaptiveAvgPool3d(1), nn.Flatten())
    return nn.Sequential(*first, *then, nn.Linear(6, 4))


class UNet(nn.Module):
    """Down, and up again by a transposed convolution, with the early maps beside the late ones; a map of classes."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.low = conv(3, 5), nn.Sequential(nn.MaxPool2d(2), conv(5, 6))
        self.up = nn.ConvTranspose2d(6, 4, 3, stride=2, padding=1, output_padding=1)
        self.norm, self.last = nn.BatchNorm2d(4), nn.Conv2d(9, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        early = self.down(x)
        late = torch.relu(self.norm(self.up(self.low(early))))
        return self.last(torch.cat([early, late], 1))


def transposed() -> nn.Module:
    """Transposed convolutions with groups and dilation, norms before and after, nearest upsampling."""
    up = (nn.ConvTranspose2d(6, 6, 3, stride=2, groups=3, dilation=2), nn.BatchNorm2d(6), nn.ReLU(), nn.BatchNorm2d(6))
    last = (nn.ConvTranspose2d(6, 4, 2, padding=1), nn.ReLU(), nn.Upsample(scale_factor=2), nn.Conv2d(4, 2, 3, 2))
    return nn.Sequential(conv(3, 6, stride=2), *up, *last)


def odd_pools() -> nn.Module:
    first = (nn.Conv2d(3, 6, 3, padding=1), nn.MaxPool2d(3, 2, 1, ceil_mode=True), nn.ReLU())
    then = (nn.Conv2d(6, 6, 2), nn.ReLU(), nn.AvgPool2d(2, 1, 1, ceil_mode=True, count_include_pad=False))
    last = (nn.Conv2d(6, 6, 1), nn.ReLU(), nn.AdaptiveAvgPool2d((2, 3)), nn.Flatten(), nn.Linear(36, 4))
    return nn.Sequential(*first, *then, *last)


def mlp_with_norms() -> nn.Module:
    layers = (nn.Linear(192, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 12, bias=False), nn.BatchNorm1d(12))
    return nn.Sequential(nn.Flatten(), *layers, nn.ReLU(), nn.Linear(12, 4), nn.BatchNorm1d(4))


def norms_everywhere() -> nn.Module:
    """Before the first convolution, after the rectifier, across max pooling, with negative scales."""
    first = (nn.BatchNorm2d(3), nn.Conv2d(3, 5, 3, padding=1), nn.ReLU(), nn.BatchNorm2d(5), nn.MaxPool2d(2))
    then = (nn.Conv2d(5, 6, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.BatchNorm2d(6), nn.Flatten())
    return nn.Sequential(*first, *then, nn.Linear(24, 8), nn.ReLU(), nn.BatchNorm1d(8), nn.Linear(8, 4))


def reparametrised() -> nn.Module:
    """Weight norm, old and new, spectral norm, and pruned weights."""
    first = parametrizations.weight_norm(nn.Conv2d(3, 6, 3))
    middle = prune.l1_unstructured(nn.Conv2d(6, 6, 3), "weight", 0.5)
    dense = parametrizations.spectral_norm(nn.Linear(96, 8))
    last = prune.random_structured(nn.Linear(8, 4), "weight", 0.25, dim=1)
    return nn.Sequential(first, nn.ReLU(), middle, nn.ReLU(), nn.Flatten(), dense, nn.ReLU(), last)


class Clips(nn.Module):
    """HardTanh(0, 1), clamp, and a trained ceiling."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.three = nn.Conv2d(3, 6, 3), nn.Conv2d(6, 6, 3), nn.Conv2d(6, 6, 3)
        self.hard, self.last = nn.Hardtanh(0, 1), nn.Linear(6, 4)
        self.ceiling = nn.Parameter(torch.tensor(0.7))

    def forward(self, x: Tensor) -> Tensor:
        x = self.two(self.hard(self.one(x)).clamp(0, 0.6)).clamp(min=0.0, max=0.5)
        return self.last(torch.minimum(torch.relu(self.three(x)), self.ceiling).mean((2, 3)))


class GradFloor(torch.autograd.Function):
    """Rounds down, with the gradient of the identity, as quantisation-aware training has it."""

    @staticmethod
    def forward(_ctx: object, x: Tensor) -> Tensor:
        return x.floor()

    @staticmethod
    def backward(_ctx: object, gradient: Tensor) -> Tensor:
        return gradient


class Qcfs(nn.Module):
    """Bu et al. (2022), as their code writes it."""

    def __init__(self, levels: int, ceiling: float) -> None:
        super().__init__()
        self.levels, self.ceiling = levels, nn.Parameter(torch.tensor([ceiling]))

    def forward(self, x: Tensor) -> Tensor:
        x = torch.clamp(x / self.ceiling, 0, 1)
        return GradFloor.apply(x * self.levels + 0.5) / self.levels * self.ceiling


class FloorThenClip(nn.Module):
    """The same staircase with the clip behind the floor."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.floor(x * 4 / 1.5 + 0.5).clamp(0, 4) * 1.5 / 4


def qcfs() -> nn.Module:
    first = (conv(3, 6, act=None), Qcfs(8, 1.25), nn.AvgPool2d(2), conv(6, 6, act=None), FloorThenClip())
    return nn.Sequential(*first, nn.Flatten(), nn.Linear(96, 4))


class Sums(nn.Module):
    """Residual sums of four branches, scalar factors, every way of flattening."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv(3, 4)
        self.a, self.b, self.c = conv(4, 4), conv(4, 4, act=None), nn.Conv2d(4, 4, 1)
        self.head, self.out = nn.Linear(64, 4), nn.Linear(64, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(2 * x - 0.5)
        x = torch.relu(x + 0.5 * self.a(x) + self.b(x) - self.c(x) / 3)
        low = nn.functional.avg_pool2d(x, 2)
        one = self.head(torch.flatten(low, 1)) + self.head(low.view(low.size(0), -1))
        return one + 0.1 * self.out(low.reshape(-1, 64)) + x.mean((2, 3))


def leaky() -> nn.Module:
    first = (conv(3, 5, act=None), nn.LeakyReLU(0.2), nn.MaxPool2d(2), nn.Conv2d(5, 5, 3, padding=1))
    return nn.Sequential(*first, nn.PReLU(5, init=0.1), nn.Flatten(), nn.Linear(80, 4))


ARCHITECTURES: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "ResNet": (resnet, SHAPE),
    "ResNet, projections": (resnet_with_projections, SHAPE),
    "DenseNet": (densenet, SHAPE),
    "MobileNetV1": (mobilenet_v1, SHAPE),
    "MobileNetV2": (mobilenet_v2, SHAPE),
    "EfficientNet-Lite": (efficientnet_lite, SHAPE),
    "SqueezeNet": (squeezenet, (3, 9, 9)),
    "Inception": (inception, SHAPE),
    "ShuffleNet": (shufflenet, SHAPE),
    "pixel shuffle": (SuperResolution, SHAPE),
    "1-D CNN": (cnn_1d, (3, 16)),
    "3-D CNN": (cnn_3d, (2, 4, 6, 6)),
    "U-Net": (UNet, SHAPE),
    "transposed convolutions": (transposed, SHAPE),
    "odd pools": (odd_pools, (3, 9, 8)),
    "MLP with norms": (mlp_with_norms, SHAPE),
    "norms everywhere": (norms_everywhere, SHAPE),
    "reparametrised weights": (reparametrised, SHAPE),
    "clips": (Clips, SHAPE),
    "QCFS": (qcfs, SHAPE),
    "sums": (Sums, SHAPE),
    "leaky": (leaky, SHAPE),
}


def architecture(name: str, seed: int = 0) -> tuple[nn.Module, Tensor]:
    """A network of the zoo, and a batch for it."""
    make, shape = ARCHITECTURES[name]
    torch.manual_seed(seed)
    module = randomised(make(), seed)
    return module, torch.rand(6, *shape, generator=torch.Generator().manual_seed(seed + 1))
