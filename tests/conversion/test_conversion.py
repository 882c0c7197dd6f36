"""A conversion remembers its origin: what it is compared with is the trained network, whatever became of the other."""

from __future__ import annotations

import copy
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import nn

import spikewright as sw
from networks import ALL, Builder, plain, pools, residual
from spikewright.calibration import Max
from spikewright.conversion import CalibrationFacts, Correction, spiking_graph, what_became
from spikewright.demo import demo_data, demo_graph
from spikewright.errors import DataError, GraphError, SettingsError
from spikewright.forward import run
from spikewright.graph import Array, Graph
from spikewright.nodes import ReLU
from zoo import architecture


def with_biases(graph: Graph, added: float) -> Graph:
    """All biases of a graph, a little larger."""
    nodes = [node.replace(bias=node.arrays["bias"] + added) if "bias" in node.arrays else node for node in graph]
    return graph.with_nodes(nodes)


def test_the_reference_stays_where_it_is_when_biases_move() -> None:
    """It was guessed back from the spiking weights: 0.01 on every bias of the demo moved it by 1.3."""
    train, test = demo_data()
    trained = demo_graph()
    conversion = sw.convert(trained, train.take(200), "max")
    x = next(iter(test.take(60).batches(60)))[0]
    moved = conversion.with_spiking(with_biases(conversion.spiking, 0.01))
    before, after = (run(one.reference, x)["output"] for one in (conversion, moved))
    np.testing.assert_array_equal(before, after)
    np.testing.assert_array_equal(before, run(conversion.folded, x)["output"])
    np.testing.assert_allclose(before, run(trained, x)["output"], atol=1e-4)


def test_a_conversion_changed_by_hand_reports_the_trained_accuracy_and_its_own_loss() -> None:
    train, test = demo_data()
    graph = demo_graph()
    conversion = sw.convert(graph, train.take(200), "percentile:99.9,channels")
    labelled = test.take(100)
    shifted = with_biases(conversion.spiking, 0.05)
    measures = sw.measure(conversion.with_spiking(shifted), labelled, 32, explain=False)
    unchanged = sw.measure(conversion, labelled, 32, explain=False)
    trained = run(graph, next(iter(labelled.batches(100)))[0])["output"].argmax(1)
    assert measures.analog_accuracy == unchanged.analog_accuracy == (trained == labelled.y).mean()
    answers = sw.simulate(shifted, labelled, 32).output[:, -1].argmax(1)
    assert measures.accuracy is not None
    assert measures.agreement is not None
    assert measures.accuracy[-1] == (answers == labelled.y).mean() < unchanged.accuracy[-1]  # type: ignore[index]
    assert measures.agreement[-1] == (answers == trained).mean()


class Relu6(nn.Module):
    """Two layers of ReLU6, whose λ is fitted to the ceiling where several spikes a step are allowed."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(8, 32), nn.ReLU6(), nn.Linear(32, 32), nn.ReLU6(), nn.Linear(32, 4))

    def forward(self, x: Any) -> Any:
        return self.layers(x)


def relu6() -> tuple[Graph, Array]:
    import torch

    torch.manual_seed(0)
    module = Relu6()
    with torch.no_grad():
        for layer in (0, 2, 4):
            module.layers[layer].weight *= 3
    return sw.load(module.eval(), shape=(8,)), np.random.default_rng(0).normal(size=(60, 8)).astype(np.float32)


@pytest.mark.parametrize("view", ["weights", "thresholds"])
def test_several_spikes_a_step_are_compared_with_the_lambda_that_is_used(view: Any) -> None:
    """Compared with activations over the λ that was asked for, the rms error was 0.095; it is 0.003."""
    graph, x = relu6()
    method = sw.threshold_method("percentile:99")
    asked = sw.calibrate(sw.prepare(graph)[0], x, method).scales(method)
    conversion = sw.convert(graph, asked, neurons="spikes=multi", view=view)
    measures = sw.measure(conversion, x, 512)
    activations = run(conversion.folded, x, keep=tuple(measures.layers))
    counts = sw.simulate(conversion, x, 512, record=("spikes",)).spikes
    for name, layer in measures.layers.items():
        used = conversion.scales[name]
        assert 6 / used == pytest.approx(round(float(6 / used)))
        assert layer.correlation is not None
        assert layer.correlation.rms < 0.004
        rates, wrong = counts[name].mean(axis=1), activations[name] / asked[name]
        assert layer.correlation.rms == pytest.approx(
            np.sqrt(((rates - activations[name] / used) ** 2).mean()), rel=1e-3, abs=1e-6
        )
        assert np.sqrt(((rates - wrong) ** 2).mean()) > 10 * layer.correlation.rms  # what it would have said


def test_meta_holds_nothing_that_changes_a_result() -> None:
    b = pools(1)
    x = b.samples(6)
    conversion = sw.convert(b.graph(), x, "max", readout="count", neurons="v_init=0")
    assert set(conversion.spiking.meta) <= {"source", "model", "verified", "changes", "answer"}
    forgotten = replace(conversion, folded=Graph(conversion.folded.nodes), spiking=Graph(conversion.spiking.nodes))
    both = [sw.measure(one, x, 8, allow_overlap=True) for one in (conversion, forgotten)]
    assert both[0].summary() == both[1].summary()


@pytest.mark.parametrize("readout", ["potential", "count"])
@pytest.mark.parametrize("network", ALL)
def test_every_population_has_an_activation_and_a_unit(network: Any, readout: Any) -> None:
    b = network(3)
    conversion = sw.convert(b.graph(), b.samples(8), "max:channels", readout=readout)
    names = [node.name for node in conversion.spiking.populations]
    assert list(conversion.units) == names
    assert all(name in conversion.reference for name in names)
    x = b.samples(4)
    scaled, trained = (run(g, x, keep=names, dtype="float64") for g in (conversion.normalised, conversion.reference))
    for name in names:
        unit = conversion.units[name]
        wide = unit.reshape(-1, *(1 for _ in trained[name].shape[2:])) if unit.ndim == 1 else unit
        np.testing.assert_allclose(scaled[name] * wide, trained[name], rtol=1e-4, atol=1e-5)


def test_trained_answers_below_zero_are_what_counts_are_compared_with() -> None:
    """A network whose answers are counted answers zero there: that is a loss of the conversion, and is said."""
    b = plain(4)
    graph, x = b.graph(), b.samples(20)
    trained = run(graph, x)["output"]
    assert (trained.max(axis=1) < 0).any() or (trained < 0).any()
    measures = sw.measure(
        sw.convert(graph, x, "max", readout="count"), (x, trained), 16, task="regression", allow_overlap=True
    )
    assert measures.head.analog["mse"] == pytest.approx(0, abs=1e-9)
    assert measures.head.scores["mse"][-1] >= ((np.minimum(trained, 0)) ** 2).mean() - 1e-6


def test_a_bare_spiking_graph_is_measured_without_the_comparison() -> None:
    b = residual(2)
    x, labels = b.samples(10), np.arange(10) % 3
    conversion = sw.convert(b.graph(), x, "max")
    alone, both = (
        sw.measure(one, (x, labels), 8, quiet=True, allow_overlap=True) for one in (conversion.spiking, conversion)
    )
    np.testing.assert_array_equal(alone.accuracy, both.accuracy)
    assert alone.total_synops == both.total_synops
    assert (alone.compared, both.compared) == (False, True)
    assert alone.notes[0].startswith("this spiking network comes without the trained one, so there is nothing")
    assert both.notes == ()
    assert alone.agreement is alone.analog_accuracy is alone.energy_analog is None
    assert {layer.correlation for layer in alone.layers.values()} == {None}
    summary = alone.summary()
    assert summary["agreement"] is summary["analog_accuracy"] is None
    assert summary["notes"] == list(alone.notes)
    unlabelled = sw.measure(conversion.spiking, x, 8)
    assert unlabelled.curve is None
    assert unlabelled.head.curves == {}


def test_everything_takes_a_conversion(tmp_path: Path) -> None:
    b = plain(1)
    x = b.samples(6)
    conversion = sw.convert(b.graph(), x, "max")
    assert spiking_graph(conversion) is conversion.spiking
    assert spiking_graph(conversion.spiking) is conversion.spiking
    np.testing.assert_array_equal(sw.simulate(conversion, x, 4).output, sw.simulate(conversion.spiking, x, 4).output)
    rates = sw.simulated_rates(conversion, x, 4)
    assert len(sw.synapses(conversion, rates)) == len(sw.synapses(conversion.spiking, rates)) > 0
    np.savez(tmp_path / "r.npz", timestep=np.arange(4), **rates.arrays())
    assert sw.load_rates(tmp_path / "r.npz", conversion).samples == 6
    assert "λ" in sw.write_picture(tmp_path / "n.svg", conversion, title="n").read_text(encoding="utf-8")
    assert sw.load(conversion) is conversion
    pytest.importorskip("nir")
    sw.export(conversion, tmp_path / "n.nir")
    assert isinstance(sw.load(tmp_path / "n.nir"), Graph)


def test_what_is_said_of_it() -> None:
    b = plain(1)
    conversion = sw.convert(b.graph(), b.samples(6), "max:channels", neurons="*: spikes=3")
    said = repr(conversion.corrected(conversion.spiking, Correction("shift", (("layers", 2),))))
    assert said.splitlines()[0] == "Conversion"
    assert "(*: spikes=3)" in said
    assert "calibration: max:channels of 6 samples, values from" in said
    assert said.splitlines()[-1] == "  corrected: shift:layers=2"
    assert "contract: " in said
    assert len(said.splitlines()) == 6
    given = sw.convert(b.graph(), {r.name: np.ones(()) for r in b.graph().of_type(ReLU)})
    assert "calibration: λ were given" in repr(given)


def test_copies_are_equal() -> None:
    b = plain(1)
    conversion = sw.convert(b.graph(), b.samples(6), "max")
    for again in (pickle.loads(pickle.dumps(conversion)), copy.deepcopy(conversion), copy.copy(conversion)):
        assert again == conversion
        assert not again.scales[next(iter(again.scales))].flags.writeable


def test_what_it_remembers() -> None:
    module, batch = architecture("QCFS")
    graph = sw.load(module, example=batch)
    data = sw.ArrayDataset(batch.numpy(), None, sw.Preprocessing(scale=0.5), classes=("a", "b"))
    conversion = sw.convert(graph, data, Max(), task="regression", answer="drop")
    assert conversion.preprocessing == sw.Preprocessing(scale=0.5)
    assert conversion.classes == ("a", "b")
    assert conversion.answer == "drop"
    assert conversion.tasks == {"output": "regression"}
    assert conversion.became == what_became(graph, sw.prepare(graph, answer="drop")[1])
    facts = conversion.calibration
    seen = batch.numpy() * 0.5
    assert (facts.method, facts.samples) == ("max", len(batch))
    assert facts.inputs[next(iter(graph.inputs))] == (seen.min(), seen.max())
    assert len(np.unique(facts.digests)) == len(batch)
    labels = run(conversion.folded, seen)["output"]
    assert str(sw.measure(conversion, (seen, labels), 2).head.task) == "regression"  # it knows


def test_samples_of_calibration_are_known_again() -> None:
    b = plain(2)
    x = b.samples(12)
    scaled = sw.Preprocessing(scale=0.5)
    conversion = sw.convert(b.graph(), sw.ArrayDataset(x[:8], None, scaled), "max")
    for data, count in ((x[8:], 0), (x[4:], 4), (x[:8].astype(np.float64)[::-1], 8)):
        with pytest.warns() if count else np.errstate() as said:
            measures = sw.measure(conversion, sw.ArrayDataset(data, None, scaled), 2, allow_overlap=True)
        found = [text for text in measures.warnings if "calibration too" in text]
        expected = f"{count} of these {len(data)} samples were used for calibration too: scores on others may be lower"
        assert found == ([expected] if count else [])
        assert not count or expected in [str(one.message) for one in said]
        if count:
            with pytest.raises(DataError, match=f"{count} of the {len(data)} samples to measure with are those of"):
                sw.measure(conversion, sw.ArrayDataset(data, None, scaled), 2)
    others = sw.measure(conversion, sw.ArrayDataset(x * 2, None, sw.Preprocessing()), 2).warnings
    assert not any("calibration too" in text for text in others)  # raw ones differ


def test_digests_are_of_raw_samples() -> None:
    x = (np.random.default_rng(0).random((5, 1, 4, 4)) * 255).astype(np.uint8)
    scaled, plain = (sw.ArrayDataset(x, None, sw.Preprocessing(scale=scale)) for scale in (1 / 255, 1))
    b = Builder(0, (1, 4, 4))
    b.conv(2)
    b.relu()
    b.conv(2)
    one, other = (sw.convert(b.graph(), data, "max").calibration for data in (scaled, plain))
    np.testing.assert_array_equal(one.digests, other.digests)
    assert one.inputs != other.inputs


def test_what_cannot_be() -> None:
    b, other = plain(1), pools(1)
    conversion = sw.convert(b.graph(), b.samples(4), "max")
    with pytest.raises(GraphError, match=r"the trained network has the outputs .*: not one network"):
        conversion.with_spiking(sw.convert(other.graph(), other.samples(4), "max").spiking)
    with pytest.raises(SettingsError, match="calibration facts of 3 samples cannot have uint64 digests"):
        CalibrationFacts(samples=3, digests=np.zeros(2, np.uint64))
    with pytest.raises(SettingsError, match="a correction has a name and settings that are text, numbers"):
        Correction("x", (("a", [1]),))  # type: ignore[arg-type]
    with pytest.raises(GraphError, match="is spiking already; convert the trained graph"):
        sw.convert(conversion.spiking, b.samples(4), "max")
    with pytest.raises(SettingsError, match=r"a trained network is converted, .* not a Conversion"):
        sw.convert(conversion, b.samples(4), "max")  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match="λ are given, so the method max has nothing to do"):
        sw.convert(b.graph(), conversion.scales, "max")
    with pytest.raises(SettingsError, match="convert takes data, λ by population or Statistics, not 'max'"):
        sw.convert(b.graph(), "max")


def test_data_statistics_and_scales_give_one_network() -> None:
    b = plain(1)
    x = b.samples(6)
    statistics = sw.calibrate(sw.prepare(b.graph())[0], x, "percentile:99")
    made = (
        sw.convert(b.graph(), x, "percentile:99"),
        sw.convert(b.graph(), statistics, sw.Percentile(99)),
        sw.convert(b.graph(), statistics.scales("99%")),
    )
    assert len({one.spiking.fingerprint for one in made}) == 1
    assert [len(one.calibration.digests) for one in made] == [6, 0, 0]
    assert [one.calibration.method for one in made] == ["percentile:99", "percentile:99", ""]
    (name,) = b.graph().inputs
    assert sw.convert(b.graph(), {name: x}, "percentile:99").spiking.fingerprint == made[0].spiking.fingerprint


def test_a_conversion_says_where_its_spiking_network_was_changed(tmp_path: Path) -> None:
    b = plain(1)
    made = sw.convert(b.graph(), b.samples(4), "max")
    assert made.changed == ()
    assert "changed" not in repr(made)
    conv = next(node for node in made.spiking if node.type == "Conv")
    moved = made.with_spiking(made.spiking.replaced(conv.replace(bias=conv.arrays["bias"] + np.float32(0.01))))
    assert moved.changed == (conv.name,)
    assert repr(moved).endswith(f"spiking network changed since at: {conv.name}")
    sw.save(moved, tmp_path / "c.safetensors")
    assert repr(sw.load(tmp_path / "c.safetensors")) == repr(moved)
    fewer = made.with_spiking(made.spiking.without(made.spiking.populations[0].name))
    assert made.spiking.populations[0].name in fewer.changed
    assert replace(moved, made=None).changed == (conv.name,)  # nobody kept it: it is made anew
    assert replace(made, scales={}, made=None).changed == tuple(made.spiking.by_name)  # nothing can be made of no λ
    page = sw.report(tmp_path / "r.html", moved, sw.measure(moved, b.samples(4), 2)).read_text(encoding="utf-8")
    assert f"<li>max: the spiking network was changed since it was made, at {conv.name}</li>" in page
