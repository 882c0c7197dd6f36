"""SpikingJelly's Converter is the plain loop of IF neurons, with λ of its modes and states that reset as there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import spikewright as sw
from spikewright.compat import spikingjelly as ann2snn
from spikewright.compat.spikingjelly import Converter, method_of, reset_net
from spikewright.errors import DataError, SettingsError, UnsupportedModelError

T = 12


class Tutorial(nn.Module):
    """The network of SpikingJelly's tutorial, smaller."""

    def __init__(self, last_relu: bool = True) -> None:
        super().__init__()
        parts: list[nn.Module] = []
        for before in (1, 4):
            parts += [nn.Conv2d(before, 4, 3), nn.BatchNorm2d(4, eps=1e-3), nn.ReLU(), nn.AvgPool2d(2)]
        self.network = nn.Sequential(*parts, nn.Flatten(), nn.Linear(16, 5), *([nn.ReLU()] if last_relu else []))

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x)


@pytest.fixture
def ann() -> Tutorial:
    torch.manual_seed(1)
    net = Tutorial().train()
    with torch.no_grad():
        for _ in range(5):
            net(torch.rand(20, 1, 14, 14))
    return net.eval()


@pytest.fixture
def images() -> Tensor:
    return torch.rand(60, 1, 14, 14, generator=torch.Generator().manual_seed(2))


def activations(net: Tutorial, x: Tensor) -> list[Tensor]:
    found = []
    for part in net.network:
        x = part(x)
        if isinstance(part, nn.ReLU):
            found.append(x)
    return found


def plain_loop(net: Tutorial, scales: list[float], x: Tensor, steps: int) -> list[Tensor]:
    """The trained network with each ReLU in the place of an IF neuron: ``v += a/λ; s = v ≥ 1; v −= s; λ·s``."""
    potentials: dict[int, Any] = {}
    outputs = []
    for _ in range(steps):
        value, rectifiers = x, 0
        for place, part in enumerate(net.network):
            if isinstance(part, nn.ReLU):
                scale = scales[rectifiers]
                rectifiers += 1
                v = potentials.get(place, 0.0) + value / scale
                spikes = (v >= 1).to(value)
                potentials[place] = v - spikes
                value = spikes * scale
            else:
                value = part(value)
        outputs.append(value)
    return outputs


def scales_of(mode: str | float, values: list[Tensor]) -> list[float]:
    if mode == "max":
        return [float(one.max()) for one in values]
    if isinstance(mode, str):
        return [float(np.percentile(one.numpy(), float(mode[:-1]))) for one in values]
    return [float(one.max()) * mode for one in values]


@torch.no_grad()
@pytest.mark.parametrize("mode", ["max", "99.9%", "90%", 1.0 / 2, 1.0 / 3, 1.0 / 5])
def test_every_step_is_that_of_the_plain_loop(ann: Tutorial, images: Tensor, mode: str | float) -> None:
    values = activations(ann, images)
    snn = Converter(images, mode)(ann)
    x = 0.93 * images[:10]  # of the very images a neuron would stand at its threshold, to the last bit
    expected = plain_loop(ann, scales_of(mode, values), x, T)
    for t in range(T):
        np.testing.assert_allclose(snn(x), expected[t], atol=1e-5)
    assert torch.stack(expected).any()


@torch.no_grad()
def test_states_reset_as_there(ann: Tutorial, images: Tensor) -> None:
    snn = Converter(images, "max")(ann)
    first = [snn(images[:4]) for _ in range(T)]
    assert not torch.equal(snn(images[:4]), first[0])
    for part in snn.modules():  # as the tutorial does
        if hasattr(part, "reset"):
            part.reset()
    again = [snn(images[:4]) for _ in range(T)]
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    with pytest.raises(DataError, match=r"that of 4 samples, the batch has 6: reset it between batches: reset_net"):
        snn(images[:6])
    reset_net(snn)
    assert snn(images[:6]).shape == (6, 5)


@torch.no_grad()
def test_a_single_population_can_be_reset(ann: Tutorial, images: Tensor) -> None:
    snn = Converter(images, "max")(ann)
    assert [population.v for population in snn.kept] == [None] * 3
    for _ in range(3):
        snn(images[:2])
    potentials = [population.v for population in snn.kept]
    assert [tuple(v.shape) for v in potentials if v is not None] == [(2, 4, 12, 12), (2, 4, 4, 4), (2, 5)]
    snn.kept[0].reset()
    assert snn.kept[0].v is None
    assert snn.kept[1].v is potentials[1]


@torch.no_grad()
def test_what_a_last_layer_without_neurons_gives(images: Tensor) -> None:
    torch.manual_seed(0)
    ann = Tutorial(last_relu=False).eval()
    snn = Converter(images, "max")(ann)
    scales = scales_of("max", activations(ann, images))
    x = 0.93 * images[:3]
    for expected in plain_loop(ann, scales, x, T):
        np.testing.assert_allclose(snn(x), expected, atol=1e-5)
    total = sum(snn(x) for _ in range(100)) / 100
    np.testing.assert_allclose(total, ann(x), atol=0.1)


@torch.no_grad()
@pytest.mark.parametrize("mode", ["max", "99.9%", 0.5])
def test_a_moving_average_over_batches_where_it_is_asked_for(ann: Tutorial, images: Tensor, mode: str | float) -> None:
    loader = [(images[i : i + 20], torch.zeros(20)) for i in (0, 20, 40)]
    snn = Converter(loader, mode, momentum=0.1)(ann)
    scales: list[float] = []
    for x, _ in loader:
        new = scales_of(mode, activations(ann, x))
        scales = [0.9 * old + 0.1 * one for old, one in zip(scales, new, strict=True)] if scales else new
    found = [float(value) for name, value in snn.conversion.scales.items() if name not in snn.conversion.folded.inputs]
    np.testing.assert_allclose(found, scales, rtol=1e-6)


@torch.no_grad()
def test_data_in_every_form(images: Tensor) -> None:
    images = images[:, :, 0]
    ann = nn.Sequential(nn.Flatten(), nn.Linear(14, 3), nn.ReLU()).eval()
    labels = torch.zeros(60, dtype=torch.int64)
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(images, labels), batch_size=25)
    batches = [images[:25], images[25:]]
    forms: list[Any] = [images, images.numpy(), loader, batches, sw.ArrayDataset(images.numpy(), None)]
    forms += [images.split(25), images.split(30), (images, labels)]  # tuples of batches, and samples with labels
    found = [Converter(form, "99.9%")(ann).conversion.scales for form in forms]
    for scales in found[1:]:
        assert all(float(scales[name]) == pytest.approx(float(value)) for name, value in found[0].items())
    with pytest.raises(DataError, match="gives no batch"):
        Converter([])(ann)


def test_modes() -> None:
    assert method_of("Max") == sw.Max()
    assert method_of("99.9%") == sw.Percentile(99.9, zeros=True)
    assert method_of(1 / 3) == sw.Scale(1 / 3)
    for wrong in ("99.9", "most", True, None):
        with pytest.raises(SettingsError, match="takes 'max', a percentage like"):
            method_of(wrong)  # type: ignore[arg-type]
    for outside in ("120%", 0.0, 1.5):
        with pytest.raises(SettingsError, match="above 0 and at most"):
            method_of(outside)
    with pytest.raises(SettingsError, match="momentum"):
        Converter(np.zeros((2, 3)), momentum=2)


def test_what_cannot_be_converted_is_refused(images: Tensor) -> None:
    with pytest.raises(UnsupportedModelError, match="gelu"):
        Converter(images)(nn.Sequential(nn.Flatten(), nn.Linear(196, 4), nn.GELU(), nn.Linear(4, 2)).eval())


def test_gradients_flow_through_its_steps(ann: Tutorial, images: Tensor) -> None:
    snn = Converter(images, "max")(ann)
    sum(snn(images[:4]) for _ in range(4)).sum().backward()
    assert all(parameter.grad is not None for parameter in snn.net.parameters())


@torch.no_grad()
def test_the_tutorial_with_its_own_names(ann: Tutorial, images: Tensor) -> None:
    model_converter = ann2snn.Converter(mode="max", dataloader=[(images, None)])
    snn_model = model_converter(ann)
    out = 0
    for _ in range(50):
        out = out + snn_model(images[:8])
    assert (out.argmax(1) == ann(images[:8]).argmax(1)).float().mean() > 0.8
