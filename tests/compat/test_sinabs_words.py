"""sinabs' names on our semantics: rasters in and out, weights normalised with right biases, right operations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import spikewright as sw
from spikewright.compat.sinabs import from_torch as newer
from spikewright.compat.sinabs.from_model import Network, from_torch
from spikewright.compat.sinabs.synopcounter import SNNAnalyzer
from spikewright.compat.sinabs.utils import normalise_weights, normalize_weights, reset_states
from spikewright.errors import DataError, SettingsError, SpikewrightWarning

T, SHAPE = 10, (1, 6, 6)


def network(last_relu: bool = False) -> nn.Sequential:
    torch.manual_seed(4)
    end: list[nn.Module] = [nn.ReLU()] if last_relu else []
    parts = [nn.Conv2d(1, 3, 3, padding=1), nn.ReLU(), nn.AvgPool2d(2), nn.Conv2d(3, 4, 2), nn.ReLU(), nn.Flatten()]
    return nn.Sequential(*parts, nn.Linear(16, 5), *end).eval()


@pytest.fixture
def ann() -> nn.Sequential:
    return network()


@pytest.fixture
def raster() -> Tensor:
    return torch.randint(0, 3, (4, T, *SHAPE), generator=torch.Generator().manual_seed(5)).float()


@pytest.fixture(autouse=True)
def no_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


def plain_loop(ann: nn.Sequential, raster: Tensor, v_min: float | None = -1.0, spikes: str = "multi") -> Tensor:
    """Each ReLU in the place of ``v += I; n = max(0, floor(v)); v −= n; v = max(v, v_min)``."""
    potentials: dict[int, Any] = {}
    steps = []
    for frame in raster.transpose(0, 1):
        value = frame
        for place, part in enumerate(ann):
            if isinstance(part, nn.ReLU):
                v = potentials.get(place, 0.0) + value
                value = v.floor().clamp(min=0, max=1 if spikes == "single" else None)
                v = v - value
                potentials[place] = v if v_min is None else v.clamp(min=v_min)
            else:
                value = part(value)
        steps.append(value)
    return torch.stack(steps, 1)


@pytest.mark.parametrize(("spike_fn", "v_min"), [("MultiSpike", -1.0), ("SingleSpike", None), ("MultiSpike", None)])
def test_every_step_is_that_of_the_plain_loop(
    ann: nn.Sequential, raster: Tensor, spike_fn: str, v_min: float | None
) -> None:
    expected = plain_loop(ann, raster, v_min, "multi" if spike_fn == "MultiSpike" else "single")
    net = from_torch(ann, input_shape=SHAPE, batch_size=4, spike_fn=spike_fn, min_v_mem=v_min)
    np.testing.assert_allclose(net(raster.flatten(0, 1)), expected.flatten(0, 1), atol=1e-5)
    net.reset_states()
    np.testing.assert_allclose(net(raster), expected, atol=1e-5)


def test_rasters_are_cut_by_samples_or_timesteps(ann: nn.Sequential, raster: Tensor) -> None:
    flat = raster.flatten(0, 1)
    by_samples, by_steps = from_torch(ann, batch_size=4), newer.from_model(ann, num_timesteps=T)
    assert by_samples.spiking_model is None  # until the first raster
    assert torch.equal(by_samples(flat), by_steps(flat))
    assert by_samples.analog_model is ann
    assert isinstance(by_samples.conversion, sw.Conversion)
    with pytest.raises(DataError, match="a raster of 39 rows is not cut into 4 equal parts"):
        by_samples(flat[:39])
    with pytest.raises(DataError, match="needs batch_size"):
        from_torch(ann, input_shape=SHAPE)(flat)
    with pytest.raises(DataError, match=r"takes \(samples, timesteps, 1, 6, 6\)"):
        by_samples(torch.zeros(4, 1, 7, 7))


def test_states_go_on_until_they_are_reset(ann: nn.Sequential, raster: Tensor) -> None:
    net = from_torch(ann, input_shape=SHAPE)
    whole = net(raster)
    reset_states(nn.ModuleDict({"inner": net}))
    halves = torch.cat([net(raster[:, :4]), net(raster[:, 4:])], 1)
    np.testing.assert_allclose(halves, whole, atol=1e-5)
    with pytest.raises(DataError, match=r"that of 4 samples, the batch has 2: .*network\.reset_states\(\)"):
        net(raster[:2])


def test_a_last_layer_gets_neurons_where_they_are_asked_for(ann: nn.Sequential, raster: Tensor) -> None:
    net = from_torch(ann, input_shape=SHAPE, add_spiking_output=True)
    expected = plain_loop(nn.Sequential(*ann, nn.ReLU()), raster)
    np.testing.assert_allclose(net(raster), expected, atol=1e-5)
    spiking_end = network(last_relu=True)
    np.testing.assert_allclose(from_torch(spiking_end, SHAPE)(raster), plain_loop(spiking_end, raster), atol=1e-5)


def test_a_threshold_changes_steps_but_not_the_function(ann: nn.Sequential, raster: Tensor) -> None:
    frames = raster[:, :1].expand(-1, 400, *SHAPE)
    exact = ann(raster[:, 0])
    for threshold in (0.25, torch.tensor(0.5)):
        mean = from_torch(ann, SHAPE, spike_threshold=threshold, min_v_mem=None)(frames).mean(1)
        np.testing.assert_allclose(mean, exact, atol=0.05)


def test_biases_are_spread_over_the_steps_of_a_frame(ann: nn.Sequential, raster: Tensor) -> None:
    """A network that was trained on frames of S summed steps hears one S-th of its biases in each."""
    net = from_torch(ann, SHAPE, bias_rescaling=T, min_v_mem=None)
    changed = network()
    for part in changed:
        if getattr(part, "bias", None) is not None:
            part.bias.div_(T)
    np.testing.assert_allclose(net(raster), plain_loop(changed, raster, None), atol=1e-5)


def test_settings_that_are_not_known(ann: nn.Sequential) -> None:
    class MembraneSubtract: ...

    assert isinstance(from_torch(ann, SHAPE, reset_fn=MembraneSubtract()), Network)
    for settings, message in (
        ({"spike_fn": "Spike"}, "spike_fn: there are MultiSpike, SingleSpike, not Spike"),
        ({"reset_fn": len}, "reset_fn: there are MembraneSubtract, MembraneReset, not len"),
        ({"spike_threshold": 0}, "spike_threshold: must be positive"),
        ({"bias_rescaling": -1}, "bias_rescaling: must be positive"),
        ({"surrogate_grad_fn": object()}, r"sw\.training\.module"),
    ):
        with pytest.raises(SettingsError, match=message):
            from_torch(ann, SHAPE, **settings)  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match=r"shape of a sample is not known yet: from_torch\(model, input_shape="):
        _ = from_torch(ann).conversion


def test_normalised_weights_keep_what_biases_do(ann: nn.Sequential) -> None:
    x = torch.rand(50, *SHAPE, generator=torch.Generator().manual_seed(6))
    before = ann(x)
    scales = [np.percentile(ann[: place + 1](x).numpy(), 99) for place in (1, 4)]
    with pytest.warns(SpikewrightWarning, match="'6' has a bias and is not named"):
        normalize_weights(ann, x, ["1", "4"], ["0", "3"], percentile=99)
    for place in (1, 4):
        assert np.percentile(ann[: place + 1](x).numpy(), 99) == pytest.approx(1, abs=1e-4)
    head = ann[6]
    np.testing.assert_allclose(ann[:6](x) @ (head.weight * scales[1]).T + head.bias, before, atol=1e-4)


def test_normalising_the_last_layer_too_keeps_the_answers() -> None:
    ann, x = network(last_relu=True), torch.rand(50, *SHAPE, generator=torch.Generator().manual_seed(6))
    before = ann(x)
    normalise_weights(ann, x, ["1", "4", "7"], ["0", "3", "6"])
    np.testing.assert_allclose(ann(x) * np.percentile(before.numpy(), 99), before, atol=1e-4)


def test_what_cannot_be_normalised_stays_as_it_was() -> None:
    torch.manual_seed(0)
    ann = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.ReLU()).eval()
    ann[1].running_mean.fill_(0.5)
    weight, x = ann[0].weight.clone(), torch.rand(40, 4) * 5
    with pytest.raises(SettingsError, match="'2': something in front of it cannot be scaled"):
        normalize_weights(ann, x, ["2"], ["0"])
    assert torch.equal(ann[0].weight, weight)
    with pytest.raises(SettingsError, match="no layer 'relu'"):
        normalize_weights(ann, x, ["relu"], ["0"])
    with pytest.raises(SettingsError, match="1 output layers, 0 layers with parameters"):
        normalize_weights(ann, x, ["2"], [])
    with pytest.raises(SettingsError, match="is 0, no scale"):
        normalize_weights(nn.Sequential(nn.Linear(2, 2), nn.ReLU()), torch.zeros(3, 2), ["1"], ["0"], percentile=0)


def test_statistics_are_those_of_a_count_by_hand(ann: nn.Sequential, raster: Tensor) -> None:
    net = from_torch(ann, SHAPE)
    analyzer = SNNAnalyzer(net, dt=2.0)
    out = net(raster)
    np.testing.assert_allclose(out, plain_loop(ann, raster), atol=1e-5)
    layers = analyzer.get_layer_statistics()
    assert list(layers["spiking"]) == ["1", "4"]
    assert list(layers["parameter"]) == ["0", "3", "6"]

    first = layers["spiking"]["1"]
    assert first["n_neurons"] == 3 * 6 * 6
    assert first["output"].shape == first["input"].shape == (4, T, 3, 6, 6)
    np.testing.assert_allclose(first["input"], ann[0](raster.flatten(0, 1)).reshape(4, T, 3, 6, 6), atol=1e-5)
    assert first["firing_rate"] == first["output"].mean()
    np.testing.assert_allclose(first["firing_rate_per_neuron"], first["output"].mean((0, 1)))

    conv, behind_pool, head = (layers["parameter"][name] for name in ("0", "3", "6"))
    reached = torch.nn.functional.conv_transpose2d(torch.ones(1, 3, 6, 6), torch.ones(3, 1, 3, 3), padding=1)
    assert float(conv["synops"]) == pytest.approx(float((raster.sum(1) * reached).sum()) / 4)
    # each spike passes the mean of four at no cost, and then reaches 4 neurons of each window it lies in
    reached = torch.nn.functional.conv_transpose2d(torch.ones(1, 4, 2, 2), torch.ones(4, 3, 2, 2))
    pooled = first["output"].sum(1).unfold(2, 2, 2).unfold(3, 2, 2).sum((-1, -2))
    assert float(behind_pool["synops"]) == pytest.approx(float((pooled * reached).sum()) / 4)
    assert float(head["synops"]) == pytest.approx(float(layers["spiking"]["4"]["output"].sum()) * 5 / 4)
    assert conv["macs"] == 0
    assert (conv["num_timesteps"], conv["time_window"]) == (T, 2.0 * T)
    assert float(conv["SynOps/s"]) == float(conv["synops/s"]) == pytest.approx(float(conv["synops"]) / 0.02)

    model = analyzer.get_model_statistics()
    assert float(model["synops"]) == pytest.approx(sum(float(one["synops"]) for one in layers["parameter"].values()))
    assert float(model["n_spiking_neurons"]) == 108 + 16
    measures = sw.measure(
        net.conversion, (raster[:, 0].numpy(), np.zeros(4, np.int64)), timesteps=T, allow_overlap=True, quiet=True
    )
    assert measures.timesteps == T  # the same conversion goes into everything else


def test_statistics_on_average_and_anew(ann: nn.Sequential, raster: Tensor) -> None:
    net = from_torch(ann, SHAPE)
    analyzer = SNNAnalyzer(net)
    found = []
    for frames in (raster, raster.flip(0) * 2):
        net.reset_states()
        net(frames)
        found.append(float(analyzer.get_model_statistics()["synops"]))
    assert found[0] != found[1]
    assert float(analyzer.get_model_statistics(average=True)["synops"]) == pytest.approx(sum(found) / 2)
    analyzer.reset()
    assert analyzer.get_layer_statistics() == {"spiking": {}, "parameter": {}}
    analyzer.detach()
    net.reset_states()
    net(raster)
    assert not analyzer.get_layer_statistics()["spiking"]


def test_an_analog_input_makes_multiplications_no_synaptic_operations(ann: nn.Sequential, raster: Tensor) -> None:
    net = from_torch(ann, SHAPE)
    analyzer = SNNAnalyzer(net.spiking_model)  # type: ignore[arg-type]
    net(raster + 0.5)
    first = analyzer.get_layer_statistics()["parameter"]["0"]
    connections = int(torch.nn.functional.conv2d(torch.ones(1, 1, 6, 6), torch.ones(1, 1, 3, 3), padding=1).sum()) * 3
    assert (float(first["synops"]), float(first["macs"])) == (0, connections * T)


def test_what_cannot_be_watched(ann: nn.Sequential) -> None:
    with pytest.raises(SettingsError, match="watches networks of"):
        SNNAnalyzer(ann)
    with pytest.raises(SettingsError, match="positive number of milliseconds"):
        SNNAnalyzer(from_torch(ann, SHAPE), dt=0)
