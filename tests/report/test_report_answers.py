"""What the report says is what was measured: sentences, energy, classes, rates over time, names, folded networks."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from html import unescape
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spikewright as sw
from networks import Builder, residual
from spikewright.measures import (
    Energy,
    EnergyConstants,
    Measures,
    SynOps,
    costliest_layer,
    energy_estimates,
    enough_timesteps,
    less_energy_up_to,
)
from spikewright.measures.answered import Answered
from spikewright.reports import charts, curves
from spikewright.reports.classes import by_class
from spikewright.reports.document import with_contents
from spikewright.reports.energy import by_layer
from spikewright.reports.first import energy_sentences, first_answers, next_step, timesteps_sentences, with_option
from spikewright.reports.names import short_names
from spikewright.reports.network import network_pictures
from spikewright.reports.network.diagram import diagram
from spikewright.reports.network.folding import columns, folded, sections
from spikewright.reports.table import table


@pytest.fixture(scope="module")
def comparison() -> sw.Comparison:
    builder = residual(1)
    x = builder.samples(60)
    graph = builder.graph()
    labels = builder.random.integers(0, 3, 40)
    return sw.compare(graph, x[:20], (x[20:], labels), ["max", "scale:0.5"], 16)


@pytest.fixture(scope="module")
def measures(comparison: sw.Comparison) -> Measures:
    return comparison.candidates[0].measures


def with_curve(measures: Measures, curve: list[float], analog: float, *, labelled: bool = True) -> Measures:
    """The same with another accuracy."""
    found = {"accuracy": np.array(curve)}
    scores = {"scores": found, "analog": {"accuracy": analog}} if labelled else {"scores": {}, "agreement": found}
    head = replace(measures.head, **scores)
    return replace(measures, heads={"output": head}, timesteps=len(curve), errors=None)


@pytest.mark.parametrize(
    ("curve", "half", "one"),
    [
        ([0.5, 0.894, 0.896, 0.9], 3, 2),  # 0.9 less 0.5 and 1 points is 0.895 and 0.89
        ([0.9, 0.5, 0.9, 0.9], 3, 3),  # near at first, but not from there on
        ([0.9, 0.9, 0.9, 0.891], None, 1),
        ([0.1, 0.2, 0.3, 0.4], None, None),
        ([0.95, 0.95], 1, 1),
        ([0.895, 0.895], 1, 1),  # exactly half a point
    ],
)
def test_the_smallest_t_that_is_enough(
    measures: Measures, curve: list[float], half: int | None, one: int | None
) -> None:
    head = with_curve(measures, curve, 0.9).head
    assert (enough_timesteps(head, 0.5), enough_timesteps(head, 1.0)) == (half, one)


def test_sentences_on_timesteps(measures: Measures) -> None:
    def said(curve: list[float], **more: Any) -> str:
        (found,) = timesteps_sentences(with_curve(measures, curve, 0.9, **more))
        return found

    begins = "The accuracy is within"
    assert said([0.5, 0.894, 0.896, 0.9]) == (
        f"{begins} 0.5 points of the trained network from T = 3 on and within 1 point from T = 2."
    )
    assert said([0.5, 0.9]) == f"{begins} 0.5 points of the trained network from T = 2 on."
    assert said([0.9, 0.891]) == (
        f"{begins} 1 point of the trained network from T = 1 on, and within 0.5 points at no T up to 2."
    )
    assert said([0.2, 0.5]) == (
        "The accuracy does not come within 1 point of the trained network up to T = 2: 40.0 points are missing there."
    )
    assert said([0.2, 0.997], labelled=False) == (
        "The agreement is within 0.5 points of full agreement with the trained network from T = 2 on."
    )


@pytest.mark.parametrize(
    ("spiking", "analog", "steps", "upto"),
    [(64.0, 8.5, 64, 8), (64.0, 8.0, 64, 7), (64.0, 0.5, 64, 0), (64.0, 1000.0, 64, 999), (0.0, 1.0, 16, 16)],
)
def test_up_to_which_t_energy_is_less(spiking: float, analog: float, steps: int, upto: int) -> None:
    assert less_energy_up_to(spiking, analog, steps) == upto
    assert upto * spiking / steps < analog or upto == 0


def test_energy_by_layer_is_all_of_it(comparison: sw.Comparison, measures: Measures) -> None:
    """The chart left out the analog input, 79 % of the demo's energy."""
    parts = measures.energy.by_layer(measures.synops, measures.run.mean_steps)
    assert sum(sum(one.values()) for one in parts.values()) == pytest.approx(measures.energy_spiking)
    chart = by_layer(comparison.candidates[0])
    drawn = sum(sum(trace["x"]) for trace in chart["data"])
    assert 1000 * drawn == pytest.approx(measures.energy_spiking)
    (analog,) = [trace for trace in chart["data"] if trace["name"] == "the analog input"]
    connections = sum(one.input_connections for one in measures.synops.values())
    assert 1e6 * sum(analog["x"]) == pytest.approx(connections * 16 * measures.energy.mac)


def test_what_costs_most(measures: Measures) -> None:
    costly = replace(measures, synops={"a": SynOps(1000.0, 0.0, 0), "b": SynOps(0.0, 10.0, 100)})
    even = {name: SynOps(spikes, 0.0, 0) for name, spikes in (("a", 490.0), ("b", 255.0), ("c", 255.0))}
    name, what, share = costliest_layer(costly) or ("", "", 0.0)
    spikes, relayed, analog = 1000 * 0.9, 10 * 4.6, 100 * 16 * 4.6
    assert (name, what) == ("b", "the analog input")
    assert share == pytest.approx(analog / (spikes + relayed + analog))
    assert f"Most of it, {100 * share:.0f} %, goes to the analog input in layer 'b'." in energy_sentences(costly)
    assert "The largest part, 49 %, goes to" in energy_sentences(replace(costly, synops=even))[-1]
    assert costliest_layer(replace(measures, synops={})) is None


def test_the_sentence_on_energy(measures: Measures) -> None:
    told = replace(measures, energy_spiking=64_000.0, energy_analog=8_500.0)
    upto = int(8_500 / (64_000 / 16))
    assert energy_sentences(told)[0] == (
        "By an estimate of arithmetic alone a sample takes 64 µJ at T = 16, 7.5 times the 8.5 µJ of the trained "
        f"network; it is less up to T = {upto}."
    )
    assert "it is less at every T of this run" in energy_sentences(replace(told, energy_analog=1e9))[0]
    assert "it is more from the first timestep on" in energy_sentences(replace(told, energy_analog=1.0))[0]


def test_three_estimates(measures: Measures) -> None:
    synops = {"conv": SynOps(1000.0, 50.0, 20), "fc": SynOps(300.0, 0.0, 0)}
    known = replace(measures, synops=synops, energy=Energy(mac=4.0, ac=1.0), energy_analog=4.0)  # of 1,000 MACs
    known = replace(known, energy_spiking=known.energy.spiking(synops, 16))
    plain, memory, quantised = energy_estimates(known, EnergyConstants(5.0, 5.0, 0.2, 0.1))
    neurons = sum(int(np.prod(one.shape)) for one in known.layers.values())
    graded = 50 + 20 * 16
    assert (plain.spiking, plain.analog) == (known.energy_spiking, 4.0)
    assert plain.spiking == pytest.approx((1300 * 1.0 + graded * 4.0) / 1000)
    assert memory.spiking - plain.spiking == pytest.approx((1300 * 15 + graded * 10 + neurons * 16 * 10) / 1000)
    assert memory.analog - plain.analog == pytest.approx((1000 * 10 + neurons * 5) / 1000)
    assert quantised.name == "against a quantised network of 5 bits"  # 17 levels need five
    assert quantised.spiking == pytest.approx((1300 * 0.1 + graded * 0.3) / 1000)
    assert quantised.analog == pytest.approx(1000 * (0.2 * 5 / 8 + 0.1) / 1000)
    assert energy_estimates(replace(measures, energy_analog=None)) == ()


def test_what_to_try_next_comes_with_its_command(comparison: sw.Comparison, measures: Measures) -> None:
    soon = with_curve(measures, [0.5, 0.9, 0.9, 0.9], 0.9)
    what, option = next_step(soon)
    assert what.startswith("2 timesteps instead of 4: the same answers to within 0.5 points for about 50 % of the work")
    assert option == "--timesteps 2"
    candidate = replace(comparison.candidates[0], measures=soon)
    section = first_answers(candidate, {"command": "spikewright convert 'my net.onnx' data -T 4"})
    assert "<pre>spikewright convert &#x27;my net.onnx&#x27; data -T 2</pre>" in section
    assert "<pre>" not in first_answers(candidate, {})


def test_of_a_network_that_knows_nothing_data_are_to_be_looked_at(measures: Measures) -> None:
    head = replace(measures.head, scores={"accuracy": np.full(4, 0.3)}, analog={"accuracy": 0.3})
    known_little = replace(measures, heads={"output": replace(head, chance={"accuracy": 0.4})})
    what = "look at data and preprocessing: the trained network itself knows little of these samples."
    assert next_step(known_little) == (what, "")


def test_timesteps_of_recordings_follow_from_dt(measures: Measures) -> None:
    soon = with_curve(measures, [0.5, 0.9, 0.9, 0.9], 0.9)
    assert next_step(replace(soon, run=replace(soon.run, dt=1e-3)))[1] == ""
    late = replace(with_curve(measures, [0.1, 0.2, 0.4, 0.5], 0.9), errors=None)
    assert next_step(replace(late, run=replace(late.run, dt=1e-3)))[0].startswith("a larger gain of the first layer")


@pytest.mark.parametrize(
    ("command", "option", "wanted"),
    [
        ("spikewright demo --timesteps 64", "--timesteps 8", "spikewright demo --timesteps 8"),
        ("spikewright demo --timesteps=64", "--timesteps 8", "spikewright demo --timesteps=8"),
        ("spikewright convert a b -T 64", "--timesteps 8", "spikewright convert a b -T 8"),
        ("spikewright convert a b", "--correct v_init:8", "spikewright convert a b --correct v_init:8"),
        (None, "--timesteps 8", ""),
        ("spikewright 'open", "--timesteps 8", ""),
    ],
)
def test_a_command_with_another_option(command: str | None, option: str, wanted: str) -> None:
    assert with_option(command, option) == wanted


def test_the_band_is_that_of_the_intervals(comparison: sw.Comparison, measures: Measures) -> None:
    band = measures.head.band()
    assert band is not None
    for t in measures.head.steps:
        span = measures.head.interval(t)
        assert span is not None
        assert (band[0][t - 1], band[1][t - 1]) == pytest.approx((span.low, span.high))
    chart = curves.score(comparison.candidates, "output", "accuracy")
    drawn = [trace for trace in chart["data"] if trace.get("fill") == "toself"]
    assert len(drawn) == 2
    assert drawn[0]["y"][:16] == pytest.approx((100 * band[0]).tolist())


def test_rates_over_time_are_those_of_the_first_sample(comparison: sw.Comparison, measures: Measures) -> None:
    conversion = comparison.candidates[0].conversion
    builder = residual(1)
    x = builder.samples(60)
    run = sw.simulate(conversion, x[20:21], 16, quiet=True)
    for name, rate in measures.rate_over_time.items():
        assert rate.shape == (16,)
        assert rate.mean() == pytest.approx(run.sent[name].sum() / run.sent[name].size / 16)
    chart = charts.rate_over_time(next(iter(measures.rate_over_time.values())), 0)
    assert chart["layout"]["xaxis"]["tickformat"] == "d"


def test_whole_numbers_have_no_fractions_between() -> None:
    assert charts.whole_numbers(5) == {"tickformat": "d", "dtick": 1}
    assert charts.whole_numbers(64) == {"tickformat": "d"}


ANSWERED = Answered(
    3, np.array([0, 0, 1, 2, 2, 1]), np.array([0, 1, 1, 2, 0, 0]), np.array([0, 1, 1, 2, 0, 1])
)  # the second and fifth: only the spiking network is wrong; the last: only the trained one


def test_answers_by_class() -> None:
    assert ANSWERED.confusion().tolist() == [[1, 0, 1], [1, 2, 0], [0, 0, 1]]
    count, spiking, analog = ANSWERED.by_class()
    assert analog is not None
    assert count.tolist() == [2, 3, 1]
    assert spiking.tolist() == [0.5, pytest.approx(2 / 3), 1.0]
    assert analog.tolist() == [1.0, pytest.approx(2 / 3), 1.0]
    assert ANSWERED.only_spiking_wrong().tolist() == [1, 4]
    unlabelled = replace(ANSWERED, targets=None)
    assert unlabelled.only_spiking_wrong().tolist() == [1, 4, 5]
    assert unlabelled.by_class()[2] is None


def test_answers_of_a_measurement(comparison: sw.Comparison, measures: Measures) -> None:
    answered = measures.head.answered
    assert answered is not None
    assert measures.accuracy is not None
    assert np.trace(answered.confusion()) / 40 == pytest.approx(measures.accuracy[-1])
    assert answered.analog is not None
    assert (answered.analog == answered.targets).mean() == pytest.approx(measures.analog_accuracy)
    assert (answered.spiking == answered.analog).mean() == pytest.approx(measures.head.agreement["accuracy"][-1])
    wrong = answered.only_spiking_wrong().tolist()
    assert list(comparison.pictures) == wrong[:24]


def test_the_section_on_classes(comparison: sw.Comparison, measures: Measures) -> None:
    candidate = replace(
        comparison.candidates[0],
        measures=replace(measures, heads={"output": replace(measures.head, answered=ANSWERED)}),
    )
    pictures = {1: np.zeros((1, 4, 4), np.float32), 4: np.ones((3, 4, 4), np.float32)}
    text = by_class(candidate, pictures)
    rows = re.findall(r"<tr><td>(.*?)</td><td class=number>(.*?)</td><td class=number>(.*?)</td>", text)
    assert rows == [("0", "2", "50.0"), ("1", "3", "66.7"), ("2", "1", "100.0")]  # the worst first
    assert text.count('src="data:image/png;base64,') == 2
    assert "2 of 6 samples." in text
    assert "0, not 1" in text
    many = Answered(300, np.arange(300) % 7, np.arange(300), np.arange(300))
    head = replace(measures.head, answered=many)
    large = by_class(replace(candidate, measures=replace(measures, heads={"output": head})), {})
    assert "The 100 worst of 300 classes." in large
    assert "most often" in large
    assert "confusion" not in large


def test_regression_has_no_classes(tmp_path: Path) -> None:
    builder = residual(3)
    x = builder.samples(30)
    y = builder.random.normal(size=(20, 3)).astype(np.float32)
    found = sw.compare(builder.graph(), x[:10], (x[10:], y), ["max"], 4)
    assert found.measures["max"].head.answered is None
    assert "Class by class" not in sw.report(tmp_path / "r.html", found).read_text(encoding="utf-8")


def test_short_names_keep_what_differs() -> None:
    names = [f"model.backbone.features.denseblock{k}.denselayer{j}.relu" for k in (1, 2) for j in (1, 2, 10)]
    found = short_names(["input", *names])
    assert found["input"] == "input"
    assert len(set(found.values())) == 7
    assert max(map(len, found.values())) <= 23
    alike = [f"{'a' * 20}{k}{'b' * 20}" for k in range(3)]
    assert len(set(short_names(alike).values())) == 3
    assert short_names([]) == {}
    assert short_names(["x" * 40]) == {"x" * 40: f"{'x' * 7}…{'x' * 14}"}


def repeated(blocks: int, before: Callable[[Builder], None] | None = None) -> Builder:
    """A stem, what comes before blocks, so many residual blocks that are alike, and an end."""
    b = Builder(0, (3, 8, 8))
    b.conv(4, 3, padding=((1, 1), (1, 1)))
    b.relu()
    if before is not None:
        before(b)
    for _ in range(blocks):
        start = b.at
        b.conv(4, 3, padding=((1, 1), (1, 1)))
        b.relu()
        b.conv(4, 3, padding=((1, 1), (1, 1)))
        b.sum(b.at, start)
        b.relu()
    b.flatten()
    b.linear(3)
    return b


def test_blocks_that_repeat_are_drawn_once() -> None:
    whole = diagram(repeated(12).graph())
    less = folded(whole)
    assert len(less.vertices) == len(whole.vertices) - 11 * 3  # two populations and a joint each
    notes = [note for arrow in less.arrows for note in arrow.notes]
    assert len([note for note in notes if note == "12 times such a block,"]) == 1
    targets = {arrow.target for arrow in less.arrows}
    assert targets == set(range(1, len(less.vertices)))  # every vertex but the input is reached
    assert folded(less) == less or len(folded(less).vertices) == len(less.vertices)


def test_blocks_begin_and_end_at_neurons() -> None:
    """Blocks behind one with another shortcut began where its branches meet."""

    def other(b: Builder) -> None:
        start, _ = b.at, b.conv(4, 3, padding=((1, 1), (1, 1)))
        body, b.at = b.at, start
        b.conv(4, 1, padding=((0, 0), (0, 0)))
        b.sum(body, b.at)
        b.relu()

    less = folded(diagram(repeated(3, other).graph()))
    (first,) = (arrow for arrow in less.arrows if "3 times such a block," in arrow.notes)
    assert less.vertices[first.source].kind == "neurons"


def test_columns_hold_everything_once() -> None:
    whole = diagram(repeated(12).graph())
    parts = sections(whole)
    found = columns(whole, [100.0] * len(parts), 500.0)
    assert len(found) > 2
    names = [vertex.node for one in found for vertex in one.vertices]
    for before, after in pairwise(found):
        assert before.vertices[-1] == after.vertices[0]
    assert list(dict.fromkeys(names)) == [vertex.node for vertex in whole.vertices]
    assert sum(len(one.arrows) for one in found) == len(whole.arrows)


def test_small_networks_are_drawn_whole_and_large_ones_in_columns() -> None:
    small = network_pictures(repeated(1).graph())
    assert len(small.columns) == 1
    assert small.whole is None
    large = network_pictures(repeated(30).graph())
    assert large.whole is not None
    assert large.whole.height > 3000
    assert max(one.height for one in large.columns) <= 1500
    assert "30 times such a block" in large.columns[0].svg


def test_contents_and_sorting() -> None:
    body = '<h1>x</h1><section class="first"><h2>In short</h2></section><h2>A &amp; b</h2><h2>C</h2>'
    found = with_contents(body)
    assert found.startswith('<h1>x</h1><nav class="contents"')
    assert '<a href="#s2">A &amp; b</a>' in found
    assert '<a class="anchor" id="s3"></a><h2>C</h2>' in found
    assert with_contents("<h2>one</h2>") == "<h2>one</h2>"
    assert 'class="sortable"' in table(["a", "b"], [["x", "1"], ["y", "2"], ["z", "3"]], 1)
    assert "sortable" not in table(["a", "b"], [["x", "1"], ["", "2"], ["z", "3"]], 1)


def test_the_page_says_these_numbers(comparison: sw.Comparison, measures: Measures, tmp_path: Path) -> None:
    text = unescape(sw.report(tmp_path / "r.html", comparison).read_text(encoding="utf-8"))
    for sentence in [*timesteps_sentences(measures), *energy_sentences(measures)]:
        assert sentence in text
    for one in energy_estimates(measures):
        upto = less_energy_up_to(one.spiking, one.analog, 16) or "none"
        cells = [f"{one.spiking / 1000:.3g}", f"{one.analog / 1000:.3g}", f"{one.spiking / one.analog:.3g}", str(upto)]
        row = "".join(f"<td class=number>{cell}</td>" for cell in cells)
        assert f"<td>{one.name}</td>{row}" in text
    found = re.search(r'id="charts">(.*?)</script>', text)
    assert found is not None
    drawn = [chart for chart in json.loads(found[1]) if chart["layout"]["xaxis"]["title"]["text"] == "µJ per sample"]
    assert len(drawn) == 2
    for chart, candidate in zip(drawn, comparison.candidates, strict=True):
        energy = 1000 * sum(sum(trace["x"]) for trace in chart["data"])
        assert energy == pytest.approx(candidate.measures.energy_spiking, rel=1e-4)
