"""Weights of 8 bits: which are rounded and to what, and that every engine then runs the same network."""

from __future__ import annotations

import gc
import json
import weakref
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

import spikewright as sw
from eight_bits_networks import beside, one_of_each
from gathering_networks import KINDS, Bottlenecks, residual
from networks import plain
from runs import same, sender
from spikewright.cli.app import run as typed
from spikewright.encoders import encoder as named_encoder
from spikewright.encoders.events import EventFrames
from spikewright.engines import RECORDS, Run, Simulation, round_weights
from spikewright.engines.eight_bits import rounded_weights
from spikewright.engines.event import is_built
from spikewright.errors import SettingsError
from spikewright.forward import Forward
from spikewright.graph import Graph, Node
from spikewright.measures.error_split import OWN
from spikewright.measures.loss import losses
from spikewright.measures.quantised import narrow_graph
from spikewright.nodes import IF, ChannelAffine, ConvTranspose, Input, Linear, Output, Softmax
from spiking_networks import spiking_network

torch = pytest.importorskip("torch")
if not is_built():
    pytest.skip("the native core was not built", allow_module_level=True)
from spikewright.engines.event.simulation import EventSimulation  # noqa: E402

CONSTANT = named_encoder("constant")


def rows(*values: list[float]) -> np.ndarray:
    return np.array(values, np.float32)


def test_each_output_has_the_smallest_scale_of_which_127_are_enough() -> None:
    """1/127 lies between 8/1024 and 9/1024; 2.5/127 between 10/512 and 11/512."""
    given = rows([1.0, 0.3, -0.004], [-2.5, 0.01, 1.0], [0.0, 0.0, 0.0])
    ninth, eleventh = 9 / 1024, 11 / 512
    expected = rows([114 * ninth, 34 * ninth, 0.0], [-116 * eleventh, 0.0, 47 * eleventh], [0.0, 0.0, 0.0])
    np.testing.assert_array_equal(rounded_weights(given), expected)


def test_halves_are_rounded_to_even_numbers() -> None:
    given = rows([127, 0.5, 1.5, 2.5, -0.5, -3.5], [-126.5, 125.5, 0.75, -0.25, 0, 1])
    expected = rows([127, 0, 2, 2, 0, -4], [-126, 126, 1, 0, 0, 1])
    np.testing.assert_array_equal(rounded_weights(given), expected)


@pytest.mark.parametrize("m", range(8, 16))
def test_whole_multiples_stay_though_a_finer_scale_would_do(m: int) -> None:
    """100 of a scale are 100·m/(m − 1) of the next smaller one, which 127 of it reach from m = 8 on."""
    for most in (1, 3, 100, 113, 127):
        given = (np.array([[most, -1, most // 2, 0, -most]]) * m / 2**11).astype(np.float32)
        assert rounded_weights(given).tobytes() == given.tobytes()


@settings(max_examples=300, deadline=None)
@given(arrays(np.float32, array_shapes(min_dims=2, max_dims=4), elements=st.floats(width=32, allow_nan=False)))
def test_rounding_twice_changes_nothing_more(drawn: np.ndarray) -> None:
    given = np.nan_to_num(drawn)  # the largest floats in place of infinities
    made = rounded_weights(given)
    assert np.isfinite(made).all()
    assert rounded_weights(made).tobytes() == made.tobytes()
    every = np.array([m * 2.0**e for m in range(8, 16) for e in range(-149, 125)])
    for row, before in zip(*(w.reshape(len(w), -1).astype(np.float64) for w in (made, given)), strict=True):
        scales = every[np.abs(before).max() <= 127 * every]
        multiples = row / scales[:, None]
        assert ((np.rint(multiples) == multiples) & (np.abs(multiples) <= 127)).all(axis=1).any()
        at_most = scales.min() * (1.0 if np.abs(before).max() > 3e38 else 0.5)  # one less where floats end
        assert np.abs(row - before).max() <= at_most


@pytest.mark.parametrize("groups", [1, 3])
def test_a_channel_of_a_transposed_convolution_is_its_second_axis(groups: int) -> None:
    random = np.random.default_rng(0)
    weight = (random.standard_normal((6, 2, 3, 2)) * 10.0 ** random.integers(-3, 3, (6, 2, 1, 1))).astype(np.float32)
    settings = {"stride": (1, 1), "padding": ((0, 0),) * 2, "dilation": (1, 1), "groups": groups}
    node = ConvTranspose(name="up", inputs=("n",), weight=weight, bias=np.zeros(2 * groups), **settings)
    made = node.reweigh(rounded_weights).weight
    for g in range(groups):
        for f in range(2):
            own = slice(6 // groups * g, 6 // groups * (g + 1)), f
            np.testing.assert_array_equal(made[own], rounded_weights(weight[own][None])[0])


@pytest.mark.parametrize("kind", ["constant", "poisson", "events"])
def test_what_reads_spikes_is_rounded_and_nothing_else(kind: str) -> None:
    graph, _ = one_of_each(0)
    found = round_weights(graph, sender(kind))
    first = {"first"} if kind != "constant" else set()
    behind = {node.name for node in graph if node.weighted} - {"first"}
    assert {"deep", "up", "line", "cube", "shortcut", "full", "read", "relayed"} <= behind
    assert set(found.errors) == behind | first
    for node in graph:
        own = found.graph[node.name]
        assert own.arrays.keys() == node.arrays.keys()
        for label, array in node.arrays.items():
            rounded = node.name in found.errors and label in ("weight", "scale")
            assert (own.arrays[label].tobytes() == array.tobytes()) != rounded, f"{label} of {node}"
    assert 0.001 < found.error < 0.01
    assert all(0 < error < 0.01 for error in found.errors.values())


def test_the_error_is_that_of_all_weights() -> None:
    weight = rows([127, 0.25], [63.5, 127])
    nodes = [
        Input(name="x", shape=(2,)),
        IF(name="n", inputs=("x",), threshold=1.0, v_init=0.0),
        Linear(name="w", inputs=("n",), weight=weight, bias=np.zeros(2)),
        Output(name="y", inputs=("w",)),
    ]
    whole = float(np.square(weight).sum())
    found = round_weights(Graph(nodes))
    assert found.error == pytest.approx(np.sqrt((0.25**2 + 0.5**2) / whole), rel=1e-12)
    assert found.errors == {"w": found.error}
    assert round_weights(found.graph).error == 0
    assert round_weights(Graph([nodes[0], Output(name="y", inputs=("x",))])).errors == {}


def test_rounded_graphs_and_their_plans_are_kept_with_the_graph() -> None:
    graph, x = residual(0, 1e-6)
    first = round_weights(graph)
    assert round_weights(graph, CONSTANT) is first
    assert round_weights(graph, EventFrames()) is not first
    assert all(node.alike(first.graph[node.name]) for node in round_weights(first.graph).graph)
    plans = [EventSimulation(graph, dtype="int8").prepare(CONSTANT) for _ in range(2)]
    assert plans[0] is plans[1]
    sw.simulate(graph, x, 4, dtype="int8")
    assert EventSimulation(first.graph).prepare(CONSTANT) is plans[0]
    whole, _ = residual(0, 1 / 64)  # nothing of which changes, if anything is to be rounded
    gone = [weakref.ref(one) for one in (graph, whole, first.graph)]
    round_weights(whole)
    del graph, whole, first, plans
    gc.collect()
    assert [one() for one in gone] == [None] * 3


@pytest.mark.parametrize("seed", range(60))
def test_spike_for_spike_what_the_reference_makes_of_the_rounded_network(seed: int) -> None:
    drawn, x = spiking_network(seed, inputs=1 + seed % 2)
    encoder = (CONSTANT, sender("poisson"), EventFrames())[seed % 3]
    graph, expected = beside(drawn, encoder, seed)
    batch = torch.from_numpy(x)
    if type(encoder) is EventFrames:
        batch = torch.stack([batch, batch * 0, (batch > 0).float()], dim=1)
    for node in expected:
        assert node.alike(round_weights(graph, encoder).graph[node.name])
    record = (RECORDS, (), ("events", "nonzero"))[seed // 3 % 3]
    found = EventSimulation(graph, threads=2, chunk=(64, 5)[seed % 2], dtype="int8").run(batch, 11, encoder, record)
    same(graph, Simulation(expected).run(batch, 11, encoder, record), found)


@pytest.mark.parametrize("kind", KINDS)
def test_neurons_that_send_anything(kind: str) -> None:
    for seed in range(3):
        drawn, x = Bottlenecks(seed, kind, 1.0).network()
        graph, expected = beside(drawn, CONSTANT, seed)
        batch, record = torch.from_numpy(x), ("events", "nonzero")
        same(
            graph,
            Simulation(expected).run(batch, 9, CONSTANT, record),
            EventSimulation(graph, dtype="int8").run(batch, 9, CONSTANT, record),
        )


@pytest.mark.parametrize("encoder", [CONSTANT, sender("poisson")])
def test_every_kind_of_layer(encoder: sw.Encoder) -> None:
    drawn, x = one_of_each(1, unit=1 / 8)
    graph, expected = beside(drawn, encoder, 1)
    batch = torch.from_numpy(x)
    found = EventSimulation(graph, dtype="int8").run(batch, 20, encoder, RECORDS)
    same(graph, Simulation(expected).run(batch, 20, encoder, RECORDS), found)
    assert all(float(counts.abs().sum()) > 0 for counts in found.counts.values())


@pytest.mark.parametrize("seed", range(4))
def test_trained_weights_run_close_to_their_own(seed: int) -> None:
    graph, x = residual(100 + seed, 1e-6)
    exact, narrow = (sw.simulate(graph, x, 64, dtype=dtype, engine="event") for dtype in ("float32", "int8"))
    for name, counts in exact.counts.items():
        assert 0 < np.abs(narrow.counts[name] - counts).sum() <= 0.1 * counts.sum() + 3 or name == "n0"
    np.testing.assert_array_equal(narrow.counts["n0"], exact.counts["n0"])  # behind the input, which is no spikes


def with_softmax(graph: Graph) -> Graph:
    """The same with a layer that the event engine cannot run."""
    layers = [Softmax(name="soft", inputs=("n1",), axis=0), Output(name="also", inputs=("soft",))]
    return Graph([*graph, *layers])


def test_whatever_runs_it_says_so() -> None:
    graph, x = residual(3, 1e-6)
    rounded = round_weights(graph)
    expected = sw.simulate(rounded.graph, x, 6, engine="reference")
    run = sw.simulate(graph, x, 6, dtype="int8")
    assert (run.engine, run.engine_reason) == ("event, int8", "the event engine is made for int8")
    assert run.weight_error == rounded.error > 0
    assert expected.weight_error is None
    asked = sw.simulate(graph, x, 6, dtype="int8", engine="event", record=("potentials",))
    assert (asked.engine, asked.engine_reason) == ("event, int8", "asked for")
    own = sw.simulate(graph, x, 6, dtype="int8", engine="reference")
    assert (own.engine, own.engine_reason) == ("reference, int8", "asked for")
    np.testing.assert_array_equal(own.output, expected.output)
    other = sw.simulate(with_softmax(graph), x, 6, dtype="int8")
    assert other.engine == "reference, int8"
    assert "the event engine cannot run" in other.engine_reason
    np.testing.assert_array_equal(other.outputs["y"], expected.output)
    late = sw.simulate(graph, x, 6, dtype="int8", readout_from=3)
    assert late.engine == "event, int8"
    with pytest.raises(SettingsError, match="the event engine runs in float32, int16 or int8, not in float64"):
        EventSimulation(graph, dtype="float64")
    with pytest.raises(SettingsError, match="'soft'"):
        sw.simulate(with_softmax(graph), x, 6, dtype="int8", engine="event")
    if not torch.cuda.is_available():
        with pytest.raises(SettingsError, match="the cuda engine needs a CUDA device"):
            sw.simulate(graph, x, 6, dtype="int8", engine="cuda")


@pytest.mark.parametrize("schedule", ["layered", "few_spike"])
@pytest.mark.parametrize(("engine", "name"), [("auto", "dense"), ("event", "event"), ("reference", "reference")])
def test_windows_have_rounded_weights_too(schedule: str, engine: str, name: str) -> None:
    builder = plain(2)
    conversion = sw.convert(builder.graph(), builder.samples(20), neurons=schedule)
    x = builder.samples(5)
    run = sw.simulate(conversion, x, 4, dtype="int8", engine=engine, quiet=True)
    expected = sw.simulate(round_weights(conversion.spiking).graph, x, 4, engine=engine, quiet=True)
    assert run.engine == f"{name}, int8"
    np.testing.assert_array_equal(run.output, expected.output)
    assert not np.array_equal(run.output, sw.simulate(conversion, x, 4, engine=engine, quiet=True).output)


def test_parts_are_the_whole_and_merge_with_their_like_only() -> None:
    graph, x = residual(4, 1e-6)
    data = sw.ArrayDataset(x)
    how = {"timesteps": 9, "dtype": "int8", "quiet": True, "record": "spikes"}
    whole, parts = sw.simulate(graph, data, **how), [sw.simulate(graph, data.part(k, 2), **how) for k in range(2)]
    merged = Run.merged(parts)
    np.testing.assert_array_equal(merged.output, whole.output)
    assert (merged.engine, merged.weight_error) == (whole.engine, whole.weight_error)
    other = sw.simulate(graph, data.part(1, 2), **{**how, "dtype": "float32"})
    with pytest.raises(SettingsError, match="errors of weights in 8 bits of the first are 0"):
        Run.merged([parts[0], other])


def test_a_node_that_does_not_say_whose_its_weights_are_is_refused() -> None:
    class Odd(ChannelAffine):
        def reweigh(self, change):
            return Node.reweigh(self, change)

    graph = Graph(
        [
            Input(name="x", shape=(2,)),
            IF(name="n", inputs=("x",), threshold=1.0, v_init=0.0),
            Odd(name="odd", inputs=("n",), scale=np.ones(2), bias=np.zeros(2)),
            Output(name="y", inputs=("odd",)),
        ]
    )
    said = "Odd 'odd': a Odd does not say which of its weights belong to which output channel, so that they cannot be"
    with pytest.raises(SettingsError, match=f"{said} rounded to 8 bits: choose dtype='float32'"):
        sw.simulate(graph, np.ones((1, 2), np.float32), 3, dtype="int8")


def test_measures_and_the_command_say_by_how_much(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    builder = plain(1)
    conversion = sw.convert(builder.graph(), builder.samples(20))
    x, y = builder.samples(12), np.arange(12) % 3
    sw.save(conversion, "spiking.safetensors")
    np.savez("data.npz", x=x, y=y)
    measures = sw.measure(conversion, (x, y), 16, dtype="int8", quiet=True, allow_overlap=True, explain=True)
    error = round_weights(conversion.spiking).error
    note = f"weights of layers that read spikes were rounded to 8 bits, by {100 * error:.2g} % (root mean square)"
    assert any(line.startswith(note) for line in measures.notes)
    assert measures.summary()["weight_error"] == error
    (loss, *_) = losses(measures)
    assert tuple(loss.parts) == ("weights", *OWN)
    assert sum(loss.parts.values()) == pytest.approx(loss.total)
    head = measures.head
    trained = Forward(narrow_graph(conversion, CONSTANT))(torch.from_numpy(x))["output"].numpy().argmax(axis=1)
    assert head.quantised.narrow["accuracy"] == pytest.approx((trained == y).mean())
    assert loss.parts["weights"] == pytest.approx(head.analog["accuracy"] - (trained == y).mean())
    assert "by weights of 8 bits" in str(replace(loss, total=1.0, interval=None))
    sw.report("page.html", conversion, measures)
    page = " ".join(Path("page.html").read_text(encoding="utf-8").split())
    assert note in page
    command = ["simulate", "spiking.safetensors", "--data", "data.npz", "-T", "16", "--dtype", "int8"]
    assert typed([*command, "--output", "curves.npz"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "engine: event, int8 (the event engine is made for int8)" in said
    assert note in said
    assert '"dtype": "int8"' in str(np.load("curves.npz")["provenance"])
    assert typed([*command, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["engine"], told["weight_error"]) == ("event, int8", error)
    assert told["accuracy"] == measures.summary()["accuracy"]
    assert typed([*command[:-1], "int4"]) == 2
    assert "unknown dtype 'int4'; choose one of float32, float64, int16, int8" in capsys.readouterr().err
