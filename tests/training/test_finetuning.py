"""Fine-tuning: it learns, it can be repeated and gone on with, and refuses what cannot be."""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import spikewright as sw
from spikewright import training
from spikewright.data import as_dataset
from spikewright.errors import DataError, ModelFileError, SettingsError, SpikewrightError
from spikewright.tasks import heads
from spikewright.tensors import read_tensors, write_tensors
from spikewright.training.answer_losses import distillation_loss, label_loss
from spikewright.training.checkpoints import KIND, load_checkpoint


@cache
def task() -> tuple[sw.Graph, np.ndarray, np.ndarray]:
    """Which of three corners of a picture is the brightest, and a network that knows."""
    torch.manual_seed(1)
    random = np.random.default_rng(1)
    x = random.random((600, 1, 6, 6), np.float32)
    y = random.integers(0, 3, 600)
    for k, (row, column) in enumerate([(0, 0), (0, 3), (3, 0)]):
        x[y == k, 0, row : row + 3, column : column + 3] += 0.4
    net = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(32, 3))
    optimiser = torch.optim.Adam(net.parameters(), 0.02)
    for _ in range(60):
        optimiser.zero_grad()
        nn.functional.cross_entropy(net(torch.from_numpy(x[:400])), torch.from_numpy(y[:400])).backward()
        optimiser.step()
    return sw.load(net.eval(), shape=(1, 6, 6)), x, y


def converted(**settings: Any) -> sw.Conversion:
    graph, x, _ = task()
    return sw.convert(graph, x[:200], "max", **settings)


def accuracy(conversion: sw.Conversion, timesteps: int) -> float:
    _, x, y = task()
    found = sw.measure(conversion, (x[400:], y[400:]), timesteps, quiet=True, explain=False).accuracy
    assert found is not None
    return float(found[-1])


def test_it_learns_from_labels_and_from_the_trained_network() -> None:
    conversion = converted()
    _, x, y = task()
    found = training.finetune(conversion, (x[:400], y[:400]), timesteps=2, epochs=6, rate=0.02)
    assert found.history[-1] < 0.7 * found.history[0]
    assert accuracy(found.conversion, 2) > accuracy(conversion, 2) + 0.05
    assert [str(one).partition(":")[0] for one in found.conversion.corrections] == ["finetune"]
    taught = training.finetune(conversion, x[:400], timesteps=2, epochs=6, rate=0.02)
    assert taught.history[-1] < 0.7 * taught.history[0]
    assert accuracy(taught.conversion, 2) > accuracy(conversion, 2)


def test_what_was_trained_on_is_not_measured_on() -> None:
    _, x, y = task()
    found = training.finetune(converted(), (x[200:400], y[200:400]), timesteps=2, epochs=1)
    with pytest.raises(DataError, match="of the 200 samples to measure with are those of calibration"):
        sw.measure(found.conversion, (x[200:400], y[200:400]), 2)
    assert found.conversion.calibration.seeds["fine-tuning"] == 0


def test_the_same_seed_gives_the_same_and_a_stopped_training_goes_on(tmp_path: Path) -> None:
    conversion = converted()
    _, x, y = task()
    how: dict[str, Any] = {"timesteps": 2, "noise": 0.02, "batch_size": 50}
    whole = training.finetune(conversion, (x[:200], y[:200]), epochs=3, **how)
    again = training.finetune(conversion, (x[:200], y[:200]), epochs=3, **how)
    assert again.conversion == whole.conversion
    assert training.finetune(conversion, (x[:200], y[:200]), epochs=3, seed=1, **how).conversion != whole.conversion
    place = tmp_path / "state.safetensors"

    def stopped(_: str, done: int, __: int) -> None:
        if done == 1 and place.exists():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        training.finetune(conversion, (x[:200], y[:200]), epochs=3, checkpoint=place, progress=stopped, **how)
    rest = training.finetune(conversion, (x[:200], y[:200]), epochs=3, checkpoint=place, **how)
    assert rest.resumed == 1
    assert rest.conversion == whole.conversion
    assert rest.history == whole.history


def test_a_training_that_was_stopped_within_an_epoch_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    conversion = converted()
    _, x, y = task()
    how: dict[str, Any] = {"timesteps": 2, "noise": 0.02, "batch_size": 30, "epochs": 2}
    whole = training.finetune(conversion, (x[:200], y[:200]), **how)
    place = tmp_path / "state.safetensors"
    monkeypatch.setattr("spikewright.training.finetuning.BETWEEN", 0.0)

    def stopped(what: str, done: int, __: int) -> None:
        if what == "epoch 2 of 2" and done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        training.finetune(conversion, (x[:200], y[:200]), checkpoint=place, progress=stopped, **how)
    told: list[int] = []
    rest = training.finetune(
        conversion, (x[:200], y[:200]), checkpoint=place, progress=lambda _, done, __: told.append(done), **how
    )
    assert told == [5, 6, 7]
    assert rest.conversion == whole.conversion
    assert rest.history == whole.history


def test_a_state_of_another_training_is_refused(tmp_path: Path) -> None:
    conversion = converted()
    _, x, y = task()
    place = tmp_path / "state.safetensors"
    training.finetune(conversion, (x[:100], y[:100]), timesteps=2, epochs=1, checkpoint=place)
    with pytest.raises(SettingsError, match="a training with timesteps=2, not 3; take it away and begin anew"):
        training.finetune(conversion, (x[:100], y[:100]), timesteps=3, epochs=1, checkpoint=place)
    with pytest.raises(SettingsError, match="with another data set"):
        training.finetune(conversion, (x[:90], y[:90]), timesteps=2, epochs=1, checkpoint=place)
    with pytest.raises(SettingsError, match="with another network"):
        training.finetune(converted(neurons="v_init=0.4"), (x[:100], y[:100]), timesteps=2, epochs=1, checkpoint=place)
    with pytest.raises(SettingsError, match=r"is kept as \.safetensors"):
        training.finetune(conversion, x[:100], checkpoint=tmp_path / "state.pt")
    content = bytearray(place.read_bytes())
    for at in range(0, len(content), 97):
        damaged = bytearray(content)
        damaged[at] ^= 0xFF
        place.write_bytes(damaged)
        with pytest.raises(SpikewrightError):
            load_checkpoint(place, training.Recipe(timesteps=2, epochs=1).summary(), "", "")
    place.write_bytes(b"")
    with pytest.raises(ModelFileError):
        load_checkpoint(place, {}, "", "")
    assert load_checkpoint(tmp_path / "none.safetensors", {}, "", "") is None


def test_a_state_of_other_labels_or_another_encoder_is_refused(tmp_path: Path) -> None:
    conversion = converted()
    _, x, y = task()
    place = tmp_path / "state.safetensors"
    how: dict[str, Any] = {"timesteps": 2, "epochs": 1, "checkpoint": place}
    training.finetune(conversion, (x[:100], y[:100]), **how)
    with pytest.raises(SettingsError, match="with another data set"):
        training.finetune(conversion, (x[:100], (y[:100] + 1) % 3), **how)
    with pytest.raises(SettingsError, match="with another data set"):
        training.finetune(conversion, x[:100], **how)
    with pytest.raises(SettingsError, match="with another encoder"):
        training.finetune(conversion, (x[:100], y[:100]), encoder=sw.Poisson(2.0), **how)
    place.unlink()
    training.finetune(conversion, x[:100], task="classification", **how)
    with pytest.raises(SettingsError, match="with another task"):
        training.finetune(conversion, x[:100], task="regression", **how)


def test_a_state_without_some_parameter_is_refused(tmp_path: Path) -> None:
    conversion = converted()
    _, x, y = task()
    place = tmp_path / "state.safetensors"
    training.finetune(conversion, (x[:100], y[:100]), timesteps=2, epochs=1, checkpoint=place)
    facts, arrays = read_tensors(place, KIND)
    arrays = {name: array for name, array in arrays.items() if name != "parameter/weights.0_weight"}
    assert len(arrays) + 1 == len(read_tensors(place, KIND)[1])
    place.unlink()
    write_tensors(place, KIND, {name: facts[name] for name in KIND.facts}, arrays)
    with pytest.raises(SettingsError, match=r"lacks the parameter 'weights.0_weight'; take it away and begin anew"):
        training.finetune(conversion, (x[:100], y[:100]), timesteps=2, epochs=1, checkpoint=place)


def test_fewer_operations() -> None:
    conversion = converted()
    _, x, y = task()
    before = sw.measure(conversion, (x[400:], y[400:]), 4, quiet=True, explain=False).total_synops
    limit = {"total": before / 2}
    found = training.finetune(
        conversion, (x[:400], y[:400]), timesteps=4, epochs=8, rate=0.02, synops_limit=limit, synops_weight=3.0
    )
    after = sw.measure(found.conversion, (x[400:], y[400:]), 4, quiet=True, explain=False).total_synops
    assert after < 0.65 * before
    assert accuracy(found.conversion, 4) > accuracy(conversion, 4) - 0.03


def test_to_the_integers_of_a_chip() -> None:
    conversion = converted(readout="count", neurons="spikes=1")
    _, x, y = task()
    how = {"timesteps": 4, "epochs": 2, "rate": 0.01}
    found = training.finetune(conversion, (x[:400], y[:400]), chip="speck2f", clip=True, **how)
    thresholds = {node.name: node.arrays["threshold"].min() for node in found.conversion.spiking.populations}
    assert found.conversion.spiking["0"].arrays["weight"].max() <= min(thresholds.values()) + 1e-6
    assert sw.quantise(found.conversion, "speck2f").network.is_integer


def test_regression_and_several_kinds_of_neurons() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 12), nn.ReLU(), nn.Linear(12, 2))
    x = np.random.default_rng(0).random((120, 4), np.float32)
    y = np.stack([x.sum(1), x[:, 0] - x[:, 1]], 1)
    graph = sw.load(net, shape=(4,))
    for neurons in ("spikes=multi", "leak=0.9,reset=zero,v_min=-1", "signed"):
        conversion = sw.convert(graph, x, "max", neurons=neurons, task="regression")
        found = training.finetune(conversion, (x, y), timesteps=4, epochs=8, rate=0.02, batch_size=20, distillation=0)
        assert found.history[-1] < found.history[0]


def test_a_last_batch_of_one_number() -> None:
    """A variance of one number is none: the loss was not a number."""
    torch.manual_seed(0)
    x = np.random.default_rng(0).random((65, 4), np.float32)
    net = nn.Sequential(nn.Linear(4, 12), nn.ReLU(), nn.Linear(12, 1))
    conversion = sw.convert(sw.load(net, shape=(4,)), x, "max", task="regression")
    found = training.finetune(conversion, (x, x.sum(1, keepdims=True)), timesteps=4, epochs=1)
    assert 0 < found.history[0] < 10
    head = heads(conversion.spiking, as_dataset((x, x[:, :1])).targets, "regression")["output"]
    one, other = torch.tensor([[3.0]]), torch.tensor([[2.0]])
    assert distillation_loss(head, one, other).item() == pytest.approx(1 / 4)
    assert distillation_loss(head, one.repeat(2, 1), other.repeat(2, 1)).item() == pytest.approx(1 / 4)


@pytest.mark.parametrize("channels", [1, 3])
def test_maps_with_positions_to_ignore(channels: int) -> None:
    """Of several classes, or of one channel that says yes or no; what is ignored teaches nothing."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, channels, 1))
    random = np.random.default_rng(0)
    x, y = random.random((20, 1, 6, 6), np.float32), random.integers(0, max(channels, 2), (20, 6, 6))
    conversion = sw.convert(sw.load(net, shape=(1, 6, 6)), x, "max", task="dense")
    how: dict[str, Any] = {"task": "dense:ignore=255", "timesteps": 3, "epochs": 1, "distillation": 0}
    y[:, 0] = 255
    assert 0 < training.finetune(conversion, (x, y), **how).history[0] < 10
    head = heads(conversion.spiking, as_dataset((x, y)).targets, "dense:ignore=255")["output"]
    means, targets = torch.randn(20, channels, 6, 6), torch.from_numpy(head.targets)
    kept, wanted = means[:, :, 1:], targets[:, 1:].long()
    if channels == 1:
        expected = nn.functional.binary_cross_entropy_with_logits(kept[:, 0], wanted.float())
    else:
        expected = nn.functional.cross_entropy(kept, wanted)
    torch.testing.assert_close(label_loss(head, means, means, targets), expected)
    assert label_loss(head, means, means, torch.full_like(targets, -1)).item() == 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"timestep": 3}, "finetune: unknown setting 'timestep'; there are timesteps, epochs"),
        ({"timesteps": 0}, "timesteps must be"),
        ({"rate": 0}, "rate must be a number, above 0, not 0"),
        ({"noise": -1}, "noise must be a number, 0 or more, not -1"),
        ({"labels": 0, "distillation": 0}, "nothing to learn from"),
        ({"surrogate": "arctan"}, "unknown surrogate gradient"),
        ({"synops_limit": {"conv": 3}}, "no layer 'conv' hears spikes; there are 4"),
        ({"synops_limit": -3}, "must be a positive number"),
        ({"chip": "speck3"}, "unknown chip 'speck3'"),
        ({"rate": 1e30}, "rate must be 1,000 or less, not 1e[+]30"),
        ({"noise": 1e38}, "the loss is (nan|inf) in epoch 1: take a lower learning rate than 0.001"),
        ({"firing_rate": 0}, "a target of firing rates"),
    ],
)
def test_bad_settings(settings: dict[str, Any], message: str) -> None:
    _, x, y = task()
    with pytest.raises(SpikewrightError, match=message):
        training.finetune(converted(), (x[:100], y[:100]), **{"timesteps": 2, "epochs": 1, **settings})


def test_bad_data() -> None:
    _, x, y = task()
    with pytest.raises(SettingsError, match=r"a conversion is trained, .* not a Graph"):
        training.finetune(task()[0], x)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="takes samples of"):
        training.finetune(converted(), x[:, :, :5], timesteps=2)
    with pytest.raises(DataError, match="no labels to learn from"):
        training.finetune(converted(), x, timesteps=2, distillation=0)
    with pytest.raises(DataError, match="label 9 does not exist"):
        training.finetune(converted(), (x, np.full(len(y), 9)), timesteps=2)
