"""Networks of the kinds that people convert, with random weights: what simulating costs depends on little else."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

Made = tuple[nn.Module, tuple[int, ...]]
"""A module, and the shape of one sample."""


def conv(inputs: int, outputs: int, kernel: int = 3, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    """Convolution and norm."""
    layer = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return [layer, nn.BatchNorm2d(outputs)]


class Bottleneck(nn.Module):
    """Wide inside, with a linear end and a shortcut where shapes allow: MobileNetV2."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        wide = 6 * inputs
        inside = [*conv(inputs, wide, 1), nn.ReLU6(), *conv(wide, wide, 3, stride, wide), nn.ReLU6()]
        self.body = nn.Sequential(*inside, *conv(wide, outputs, 1))
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x) if self.residual else self.body(x)


def mobilenet_224() -> Made:
    """MobileNetV2 as it was published: 300 M multiply-accumulates."""
    layers: list[nn.Module] = [*conv(3, 32, 3, 2), nn.ReLU6(), *conv(32, 32, 3, 1, 32), nn.ReLU6(), *conv(32, 16, 1)]
    inputs = 16
    for outputs, count, stride in ((24, 2, 2), (32, 3, 2), (64, 4, 2), (96, 3, 1), (160, 3, 2), (320, 1, 1)):
        for k in range(count):
            layers.append(Bottleneck(inputs, outputs, stride if k == 0 else 1))
            inputs = outputs
    head = [*conv(320, 1280, 1), nn.ReLU6(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1280, 1000)]
    return nn.Sequential(*layers, *head), (3, 224, 224)


def vgg16_224() -> Made:
    layers: list[nn.Module] = []
    inputs = 3
    for width, count in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(count):
            layers += [*conv(inputs, width), nn.ReLU()]
            inputs = width
        layers.append(nn.MaxPool2d(2))
    head = [nn.Flatten(), nn.Linear(512 * 49, 4096), nn.ReLU(), nn.Linear(4096, 4096), nn.ReLU(), nn.Linear(4096, 1000)]
    return nn.Sequential(*layers, *head), (3, 224, 224)


class Residual(nn.Module):
    """Narrow inside, with a rectifier behind the sum: ResNet-50's."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        inside = [*conv(inputs, width, 1), nn.ReLU(), *conv(width, width, 3, stride), nn.ReLU()]
        self.body = nn.Sequential(*inside, *conv(width, 4 * width, 1))
        same = stride == 1 and inputs == 4 * width
        self.shortcut = nn.Identity() if same else nn.Sequential(*conv(inputs, 4 * width, 1, stride))
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.body(x) + self.shortcut(x))


def resnet50_224() -> Made:
    """ResNet-50 as most have it, its strides in the middle convolutions: 4.1 G multiply-accumulates."""
    layers: list[nn.Module] = [*conv(3, 64, 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    inputs = 64
    for width, count, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for k in range(count):
            layers.append(Residual(inputs, width, stride if k == 0 else 1))
            inputs = 4 * width
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, 1000)]
    return nn.Sequential(*layers, *head), (3, 224, 224)


def mobilenet() -> Made:
    blocks = [(16, 24, 2), (24, 24, 1), (24, 32, 2), (32, 32, 1), (32, 64, 2), (64, 64, 1)]
    layers = [*conv(3, 16, 3, 2), nn.ReLU6(), *(Bottleneck(*block) for block in blocks), *conv(64, 256, 1), nn.ReLU6()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(256, 10)), (3, 48, 48)


class Grown(nn.Module):
    """A layer whose output stands beside its input: DenseNet."""

    def __init__(self, inputs: int, growth: int) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.BatchNorm2d(inputs), nn.ReLU(), nn.Conv2d(inputs, growth, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.body(x)], 1)


def densenet() -> Made:
    layers, channels = [nn.Conv2d(3, 24, 3, padding=1)], 24
    for _ in range(2):
        for _ in range(4):
            layers.append(Grown(channels, 12))
            channels += 12
        layers += [nn.BatchNorm2d(channels), nn.ReLU(), nn.Conv2d(channels, channels // 2, 1), nn.AvgPool2d(2)]
        channels //= 2
    head = [nn.BatchNorm2d(channels), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10)]
    return nn.Sequential(*layers, *head), (3, 16, 16)


class UNet(nn.Module):
    """Down and up again, with early maps beside late ones; a map of classes."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()

        def twice(inputs: int, outputs: int) -> nn.Sequential:
            return nn.Sequential(*conv(inputs, outputs), nn.ReLU(), *conv(outputs, outputs), nn.ReLU())

        self.first, self.second, self.low = twice(1, width), twice(width, 2 * width), twice(2 * width, 4 * width)
        self.up1, self.up2 = (nn.ConvTranspose2d(2 * k * width, k * width, 2, 2) for k in (2, 1))
        self.third, self.fourth = twice(4 * width, 2 * width), twice(2 * width, width)
        self.pool, self.last = nn.MaxPool2d(2), nn.Conv2d(width, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        one = self.first(x)
        two = self.second(self.pool(one))
        up = self.third(torch.cat([two, self.up1(self.low(self.pool(two)))], 1))
        return self.last(self.fourth(torch.cat([one, self.up2(up)], 1)))


class Inception(nn.Module):
    """Windows of several sizes side by side."""

    def __init__(self, inputs: int, each: int) -> None:
        super().__init__()
        self.one = nn.Sequential(*conv(inputs, each, 1), nn.ReLU())
        self.three = nn.Sequential(*conv(inputs, each, 1), nn.ReLU(), *conv(each, each), nn.ReLU())
        self.five = nn.Sequential(*conv(inputs, each // 2, 1), nn.ReLU(), *conv(each // 2, each, 5), nn.ReLU())
        self.pooled = nn.Sequential(nn.MaxPool2d(3, 1, 1), *conv(inputs, each, 1), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.one(x), self.three(x), self.five(x), self.pooled(x)], 1)


def inception() -> Made:
    layers = [*conv(3, 32), nn.ReLU(), nn.MaxPool2d(2), Inception(32, 16), Inception(64, 24), nn.MaxPool2d(2)]
    head = [Inception(96, 32), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, 10)]
    return nn.Sequential(*layers, *head), (3, 32, 32)


def series() -> Made:
    """One axis: time series of nine channels."""
    layers, channels = [], 9
    for width in (32, 64, 64):
        layers += [nn.Conv1d(channels, width, 5, padding=2), nn.BatchNorm1d(width), nn.ReLU(), nn.MaxPool1d(2)]
        channels = width
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(64 * 16, 6)), (9, 128)


def dense(inputs: int, *widths: int) -> Made:
    layers: list[nn.Module] = []
    for width in widths:
        layers += [nn.Linear(inputs, width), nn.ReLU()]
        inputs = width
    return nn.Sequential(*layers, nn.Linear(inputs, 10)), (layers[0].in_features,)  # type: ignore[return-value]


def tiny() -> Made:
    layers = [nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(4 * 9, 4)]
    return nn.Sequential(*layers), (1, 8, 8)


def maxed() -> Made:
    """Max pools between plain convolutions, as in most tutorials."""
    layers: list[nn.Module] = []
    for inputs, outputs in ((3, 32), (32, 64), (64, 128)):
        layers += [*conv(inputs, outputs), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(128 * 16, 10)), (3, 32, 32)


def smoothed() -> Made:
    """Averages over windows that overlap, and bilinear steps up: operators without a kernel that slides over spikes."""
    first = [*conv(3, 16), nn.ReLU(), nn.AvgPool2d(3, 2, 1, count_include_pad=False), *conv(16, 16), nn.ReLU()]
    return nn.Sequential(*first, nn.Upsample(scale_factor=2), *conv(16, 8), nn.ReLU(), nn.Conv2d(8, 2, 1)), (3, 32, 32)


def volume() -> Made:
    layers = [nn.Conv3d(1, 8, 3, padding=1), nn.BatchNorm3d(8), nn.ReLU(), nn.AvgPool3d(2), nn.Conv3d(8, 16, 3)]
    return nn.Sequential(*layers, nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(16, 4)), (1, 16, 16, 16)


ZOO: dict[str, Callable[[], Made]] = {
    "mobilenet": mobilenet,
    "densenet": densenet,
    "unet": lambda: (UNet(), (1, 32, 32)),
    "inception": inception,
    "series": series,
    "mlp": lambda: dense(784, 256, 128),
    "wide mlp": lambda: dense(784, 2048, 2048),
    "small mlp": lambda: dense(20, 16),
    "tiny": tiny,
    "maxed": maxed,
    "smoothed": smoothed,
    "volume": volume,
}
LARGE: dict[str, Callable[[], Made]] = {
    "mobilenet 224": mobilenet_224,
    "vgg16 224": vgg16_224,
    "resnet50 224": resnet50_224,
}
"""Networks for pictures of ImageNet's size, which take seconds."""


def zoo(name: str, seed: int = 0) -> Made:
    """A network of the zoo, its weights and norms drawn, ready for inference.

    Args:
        name: of ``ZOO`` or ``LARGE``.
        seed: of what is drawn.
    """
    torch.manual_seed(seed)
    module, shape = (ZOO | LARGE)[name]()
    for part in module.modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm):
            nn.init.uniform_(part.running_mean, -0.2, 0.2)
            nn.init.uniform_(part.running_var, 0.5, 2)
            nn.init.uniform_(part.weight, 0.5, 1.5)
            nn.init.uniform_(part.bias, -0.3, 0.3)
    return module.eval(), shape
