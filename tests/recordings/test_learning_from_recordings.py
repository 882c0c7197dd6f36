"""Corrections, comparisons and fine-tuning on the events of recordings."""

import numpy as np
import pytest
import torch

import spikewright as sw
from recordings_in_memory import data, network
from spikewright.conversion.over_steps import back_over_steps, conversion_over_steps, over_steps
from spikewright.engines.ends import Ends
from spikewright.errors import DataError, SettingsError

DT = 1e-3


@pytest.mark.parametrize("neurons", ["v_init=0.5", "spikes=multi", "signed", "leak=0.98"])
@pytest.mark.parametrize("binning", ["dt=10ms", "frames=2", "count=150,polarity=apart"])
def test_a_module_answers_as_the_engines_do(neurons, binning):
    """Of recordings of different length in one batch, each at its own end; counts too."""
    conversion, recordings = network(1, neurons, gain=4), data((40, 17, 33), binning)
    run = sw.simulate(conversion, recordings, dt=DT, engine="reference", quiet=True)
    events = recordings.events(DT)
    net = sw.training.module(conversion_over_steps(conversion, events.steps_a_frame))
    batch = events.batch(0, 3)
    done = net.run(batch.sequence(), counts=True, ends=Ends(batch, batch.shape[1]))
    outputs = next(iter(done.outputs.values())).detach().numpy()
    assert np.allclose(outputs[:, -1], run.output[:, -1], rtol=1e-4, atol=1e-4)
    for name, counts in done.counts.items():
        assert counts.detach().sum(0).numpy() == pytest.approx(run.sent[name], abs=1e-3)


def test_nothing_of_what_comes_after_an_end_is_learned():
    """The gradient of a short recording beside a long one is that of it alone."""
    conversion, recordings = network(1, "spikes=multi", gain=4), data((20, 40), "frames=1")
    both, alone = recordings.events(DT), recordings.events(DT).subset(np.array([0]))
    gradients = []
    for events in (both, alone):
        net = sw.training.module(conversion_over_steps(conversion, both.steps_a_frame))
        batch = events.batch(0, len(events))
        done = net.run(batch.sequence(), ends=Ends(batch, batch.shape[1]))
        next(iter(done.means.values()))[0].sum().backward()
        gradients.append([one.grad for one in net.parameters()])
    for one, other in zip(*gradients, strict=True):
        assert torch.allclose(one, other, rtol=1e-3, atol=1e-6)


def test_there_and_back_over_the_steps_of_a_frame():
    graph = network(1).spiking
    spread = over_steps(graph, 40)
    assert all(back_over_steps(spread, graph, 40)[node.name] is node for node in graph)
    node = next(node for node in spread if node.weighted)
    changed = back_over_steps(spread.replaced(node.replace(weight=2 * node.weight)), graph, 40)
    assert np.allclose(changed[node.name].weight, 2 * graph[node.name].weight, rtol=1e-6)
    assert [one.name for one in changed if one is not graph[one.name]] == [node.name]


@pytest.mark.parametrize("lengths", [(40, 40, 40, 40), (40, 17, 33, 25)])
def test_fine_tuning(lengths):
    """It learns; the conversion keeps its unit and its binning, and runs on events as before."""
    conversion = sw.convert(
        network(1).folded, data(lengths, "frames=1"), "max", neurons="spikes=multi", correct="gain:4"
    )
    recordings = data(lengths, "frames=1", np.array([0, 1, 2, 3]))
    found = sw.training.finetune(conversion, recordings, dt=DT, epochs=12, rate=1e-2, distillation=0)
    assert found.history[-1] < 0.7 * found.history[0]
    assert found.recipe.timesteps == 40
    assert found.conversion.binning == recordings.binning
    assert dict(found.conversion.scales) == dict(conversion.scales)
    (correction,) = found.conversion.corrections[1:]
    assert dict(correction.settings)["encoder"] == "recordings"
    before, after = (
        sw.measure(one, recordings, dt=DT, quiet=True, allow_overlap=True) for one in (conversion, found.conversion)
    )
    assert after.accuracy[-1] == 1 > before.accuracy[-1]
    assert not [text for text in after.warnings if "was made for" in text]
    with pytest.raises(DataError, match="those of calibration"):
        sw.measure(found.conversion, recordings, dt=DT)


@pytest.mark.parametrize("dt", [1e-3, 5e-3])
def test_weights_are_clipped_to_what_one_event_of_the_camera_adds(dt):
    """In the network over the steps of a frame an event stands for S times as much, weights are S times less."""
    recordings = data((40, 20), "frames=1,scale=0.5", np.array([0, 1]))
    conversion = sw.convert(network(1).folded, recordings, "max", correct="gain:200")
    first = next(node for node in conversion.spiking if node.weighted)
    threshold = conversion.spiking[conversion.spiking.consumers[first.name][0]].threshold
    assert 0.5 * first.weight.max() > 2 * threshold.max()
    how = {"dt": dt, "epochs": 1, "rate": 1e-9}
    clipped, free = (
        sw.training.finetune(conversion, recordings, clip=clip, **how).conversion.spiking[first.name].weight
        for clip in (True, False)
    )
    assert 0.5 * clipped.max() == pytest.approx(threshold.max(), rel=1e-4)
    assert np.allclose(clipped, np.minimum(free, 2 * threshold), rtol=1e-4)


def test_fine_tuning_says_what_it_needs():
    conversion = network(1)
    with pytest.raises(SettingsError, match=r"how long a timestep is: give dt=1e-3 \(--dt 1ms\)"):
        sw.training.finetune(conversion, data(), epochs=1)
    with pytest.raises(SettingsError, match="poisson makes spikes of values"):
        sw.training.finetune(conversion, data(), dt=DT, encoder=sw.encoders.encoder("poisson"))


@pytest.mark.parametrize("correction", ["v_init", "bias", "v_init_and_bias", "weights:16"])
def test_corrections_on_events(correction):
    """What populations send in all is nearer to the activations, over the steps of the recordings."""
    recordings = data((40, 40, 40, 40, 40, 40), "frames=1")
    graph = network(1).folded
    plain = sw.convert(graph, recordings, "max", neurons="spikes=multi", correct="gain:4")
    if correction.startswith("weights"):
        correction = "weights"
    made = sw.convert(graph, recordings, "max", neurons="spikes=multi", correct=["gain:4", correction], dt=DT)
    assert [one.name for one in made.corrections] == ["gain", correction]
    settings = dict(made.corrections[1].settings)
    assert (settings["timesteps"], settings["encoder"]) == ("40", "recordings")
    far = []
    for one in (plain, made):
        measures = sw.measure(one, recordings, dt=DT, quiet=True, allow_overlap=True)
        assert not [text for text in measures.warnings if "was made for" in text]
        far.append(next(iter(measures.layers.values())).correlation.rms)
    assert far[1] < far[0] * 1.02
    assert made.changed


def test_what_corrections_cannot_do_on_events():
    graph, recordings = network(1).folded, data((40, 40, 40), "frames=1")
    for correct, dt, said in (
        ("v_init", None, r"v_init looks at runs, and recordings .* dt=1e-3 \(--dt 1ms\)"),
        ("v_init:8", DT, "T follows|recordings have 40 timesteps, which follow from them: leave 8 out"),
        ("bias:steps", DT, "biases by step are for runs of one length on values; leave steps out"),
        ("bursts:4", DT, "bursts: tries runs on values, and recordings run on their events"),
    ):
        with pytest.raises(SettingsError, match=said):
            sw.convert(graph, recordings, "max", correct=correct, dt=dt)
    with pytest.raises(SettingsError, match="have 17 to 40 timesteps: leave corrections out; 'spikewright finetune'"):
        sw.convert(graph, data((40, 17), "frames=1"), "max", correct="bias", dt=DT)
    with pytest.raises(SettingsError, match="auto:8 chooses by runs on values over T timesteps, and recordings run"):
        sw.convert(graph, recordings, "auto:8", dt=DT)
    assert sw.convert(graph, recordings, "max", correct="gain:3").corrections[0].name == "gain"


def test_comparing_on_events():
    graph = network(1).folded
    train, test = data((40, 40, 30), "frames=1"), data((25, 40), "frames=1", np.array([0, 1]))
    test = test.subset(np.array([0]))
    found = sw.compare(graph, train, test, ["max", "percentile:99"], dt=DT, allow_overlap=True)
    assert {one.measures.timesteps for one in found.candidates} == {25}
    assert "T=25" in str(found)
    for keywords, said in (
        ({}, r"recordings are measured on their events: say how long a timestep is, dt=1e-3 \(--dt 1ms\)"),
        ({"dt": DT, "readout_from": 3}, "recordings answer at their own ends: leave the timestep out"),
        ({"dt": DT, "early_exit": 0.01}, "recordings answer at their own ends, which differ: leave the early exit"),
        ({"dt": DT, "methods": "auto:8"}, "auto:8 chooses by runs on values"),
    ):
        with pytest.raises(SettingsError, match=said):
            sw.compare(graph, train, test, **keywords)
