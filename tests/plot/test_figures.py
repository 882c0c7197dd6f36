"""Figures show what the report shows, drawn from the same charts, and are kept as files that are whole."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spikewright as sw
from networks import residual
from spikewright.errors import SettingsError, StorageError

pytest.importorskip("matplotlib")

from matplotlib.figure import Figure

from spikewright.plot.canvas import drawn
from spikewright.plot.panel import Panel
from spikewright.plot.scales import plain_number

METHODS = ["max", "percentile:99,channels"]


@pytest.fixture(scope="module")
def comparison() -> sw.Comparison:
    builder = residual(3)
    x = builder.samples(12)
    labels = builder.random.integers(0, 3, 12)
    return sw.compare(builder.graph(), x, (x, labels), METHODS, 16, allow_overlap=True)


def texts(figure: Figure) -> list[str]:
    """All that is written in a figure: titles, axes, legends, notes."""
    found = []
    for axes in figure.axes:
        found += [axes.get_title(loc="left"), axes.get_xlabel(), axes.get_ylabel(), *(t.get_text() for t in axes.texts)]
        found += [child.get_xlabel() for child in axes.child_axes]
        legend = axes.get_legend()
        found += [] if legend is None else [text.get_text() for text in legend.get_texts()]
    return found


def charts_of(page: Path) -> list[Any]:
    found = re.search(r'id="charts">(.*?)</script>', page.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    charts: list[Any] = json.loads(found[1])
    return charts


def test_every_chart_of_the_report_becomes_a_figure(comparison: sw.Comparison, tmp_path: Path) -> None:
    charts = charts_of(sw.report(tmp_path / "page.html", comparison))
    assert len(charts) > 10
    for chart in charts:
        figure = drawn([Panel(chart)])
        figure.draw_without_rendering()
        titles = [chart["layout"][axis]["title"]["text"] for axis in ("xaxis", "yaxis")]
        assert [figure.axes[0].get_xlabel(), figure.axes[0].get_ylabel()] == titles


def test_every_chart_of_tuning_becomes_a_figure(tmp_path: Path) -> None:
    builder = residual(3)
    x = builder.samples(40)
    labels = builder.random.integers(0, 3, 40)
    tuning = sw.tune(
        builder.graph(), (x, labels), ["method=max", "method=percentile:99", "gain=1..3"], timesteps="2..4"
    )
    charts = charts_of(sw.tuning_report(tmp_path / "page.html", tuning))
    assert len(charts) > 2
    for chart in charts:
        drawn([Panel(chart)]).draw_without_rendering()


def test_a_word_that_is_not_drawn_is_refused(comparison: sw.Comparison, tmp_path: Path) -> None:
    chart = charts_of(sw.report(tmp_path / "page.html", comparison))[0]
    for place in (chart["layout"], chart["data"][0], chart["layout"]["xaxis"]):
        place["sliders"] = 3
        with pytest.raises(ValueError, match="'sliders'"):
            drawn([Panel(chart)])
        del place["sliders"]


def test_activations_and_weights_before_and_after(comparison: sw.Comparison) -> None:
    figure = sw.plot.before_and_after(comparison)
    conversion = comparison.candidates[0].conversion
    written = " | ".join(texts(figure))
    for name, scale in conversion.scales.items():
        if name in conversion.units and name not in conversion.folded.inputs:
            assert f"{name}: activations" in written
            assert f"λ = {float(scale):.3g}" in written
    assert "activation before normalising" in written
    assert "after normalising, in units of λ" in written
    assert "before, " in written
    assert "after, " in written
    by_channel = texts(sw.plot.activations(comparison, method=METHODS[1]))
    assert any(text.startswith("median λ") for text in by_channel)


def test_the_upper_axis_stands_over_the_lower_one(comparison: sw.Comparison) -> None:
    name = next(iter(comparison.candidates[0].measures.layers))
    (axes,) = sw.plot.activations(comparison, layers=name).axes
    scale = float(comparison.candidates[0].conversion.scales[name])
    (upper,) = axes.child_axes
    figure = axes.figure
    assert isinstance(figure, Figure)
    figure.draw_without_rendering()
    np.testing.assert_allclose(np.array(upper.get_xlim()) * scale, axes.get_xlim(), rtol=1e-3)


def test_bars_hold_the_streamed_histogram(comparison: sw.Comparison) -> None:
    name = next(iter(comparison.candidates[0].measures.layers))
    (axes,) = sw.plot.activations(comparison, layers=name).axes
    shares = sum(bar.get_height() for bar in axes.patches if hasattr(bar, "get_height"))
    assert shares == pytest.approx(1, abs=1e-3)


def test_rates_against_activations(comparison: sw.Comparison) -> None:
    measures = comparison.candidates[0].measures
    figure = sw.plot.correlation(measures)
    assert len(figure.axes) == len(measures.layers)
    for axes, layer in zip(figure.axes, measures.layers.values(), strict=True):
        assert layer.correlation is not None
        points = axes.lines[1].get_xydata()
        np.testing.assert_allclose(points, np.stack([layer.correlation.analog, layer.correlation.spiking], 1))
    rates = sw.plot.firing_rates(comparison)
    assert len(rates.axes) == len(measures.layers)


def test_accuracy_by_mode(comparison: sw.Comparison) -> None:
    figure = sw.plot.accuracy(comparison)
    lines = {line.get_label(): np.asarray(line.get_ydata()) for line in figure.axes[0].lines}
    for candidate in comparison.candidates:
        accuracy = candidate.measures.accuracy
        assert accuracy is not None
        np.testing.assert_allclose(lines[candidate.label], 100 * accuracy)
    curves = {"max": [0.5, 0.75], "1.0/2": [0.25, 1.0]}
    figure = sw.plot.accuracy(curves, trained=0.9, linear=True)
    assert [text for text in texts(figure) if text][2:] == ["max", "1.0/2", "analog, 90.00 %"]
    np.testing.assert_array_equal(figure.axes[0].lines[0].get_xdata(), [1, 2])
    named = sw.plot.accuracy(comparison.measures)
    assert METHODS[1] in texts(named)


def test_rasters_and_operations(comparison: sw.Comparison) -> None:
    trains = comparison.candidates[0].measures.raster
    (axes,) = sw.plot.raster(comparison).axes
    spikes = sum(int(np.count_nonzero(train)) for train in trains.values())
    assert sum(len(np.asarray(line.get_xdata())) for line in axes.lines) == spikes
    assert "synaptic operations per sample" in texts(sw.plot.operations(comparison))


def test_one_layer_has_all_that_there_is_of_it(comparison: sw.Comparison) -> None:
    name = next(iter(comparison.candidates[0].measures.layers))
    written = texts(sw.plot.layer(comparison, name))
    parts = ("activations", "weights", "correlation", "mean")
    assert all(any(part in text for text in written) for part in parts)


def test_firing_rates_of_if_neurons_are_relu_up_to_one() -> None:
    """The experiment of SpikingJelly's tutorial: 128 timesteps, inputs from −0.2 to 1.2."""
    figure = sw.plot.if_experiment()
    inputs, spikes, rates = figure.axes
    x = np.arange(-0.2, 1.2, 0.04).round(2)
    np.testing.assert_allclose(np.asarray(inputs.lines[0].get_ydata()), x, rtol=1e-6)
    relu, rate = (np.asarray(line.get_ydata()) for line in rates.lines)
    np.testing.assert_allclose(relu, np.maximum(x, 0), rtol=1e-6)
    np.testing.assert_allclose(rate, np.clip(x, 0, 1), atol=1 / 128)
    assert len(np.asarray(spikes.lines[0].get_xdata())) == round(128 * rate.sum())
    zero = sw.plot.if_experiment([0.3, 0.6], 10, reset="zero")
    np.testing.assert_allclose(np.asarray(zero.axes[2].lines[1].get_ydata()), [0.2, 0.5])


@pytest.mark.parametrize("kind", ["svg", "png", "pdf"])
def test_files_are_whole_and_the_same_every_time(comparison: sw.Comparison, tmp_path: Path, kind: str) -> None:
    first = sw.plot.save(sw.plot.raster(comparison), tmp_path / f"a.{kind}").read_bytes()
    second = sw.plot.save(sw.plot.raster(comparison), tmp_path / f"b.{kind}").read_bytes()
    assert first == second
    assert first.startswith({"svg": b"<?xml", "png": b"\x89PNG", "pdf": b"%PDF"}[kind])
    with pytest.raises(StorageError, match="exists"):
        sw.plot.save(sw.plot.raster(comparison), tmp_path / f"a.{kind}")


def test_all_pictures_of_a_comparison(comparison: sw.Comparison, tmp_path: Path) -> None:
    paths = sw.plot.save_all(tmp_path / "plots", comparison)
    names = [str(path.relative_to(tmp_path / "plots")) for path in paths]
    over = [*("accuracy", "accuracy_over_work", "operations", "energy", "activations", "weights", "correlation")]
    over += ["firing_rates", "rates_over_time", "raster"]
    assert names[:10] == [f"{name}.svg" for name in over]
    assert len(names) == 10 + len(comparison.candidates[0].measures.layers) + 1
    assert names[10].startswith("layers/0_")
    assert all(path.is_file() for path in paths)
    candidate = comparison.candidates[0]
    few = sw.plot.save_all(tmp_path / "few", candidate.conversion, kind="png")
    assert few[0].name == "weights.png"
    measured = sw.plot.save_all(tmp_path / "more", candidate.conversion, candidate.measures, comparison.statistics)
    assert len(measured) == len(paths) - 3
    with pytest.raises(StorageError, match="exists"):
        sw.plot.save_all(tmp_path / "plots", comparison)
    sw.plot.check_plots(tmp_path / "plots", force=True)
    (tmp_path / "plots" / "notes.txt").write_text("mine")
    with pytest.raises(StorageError, match=r"holds notes\.txt, which is no figure"):
        sw.plot.save_all(tmp_path / "plots", comparison, force=True)


def test_what_cannot_be_drawn(comparison: sw.Comparison, tmp_path: Path) -> None:
    conversion, measures = comparison.candidates[0].conversion, comparison.candidates[0].measures
    for wrong, words in (
        (lambda: sw.plot.activations(conversion), "give its statistics"),
        (lambda: sw.plot.weights(comparison, layers="nothing*"), r"no layer 'nothing\*'; there are"),
        (lambda: sw.plot.weights(measures), "a conversion or a comparison, not a Measures"),  # type: ignore[arg-type]
        (lambda: sw.plot.correlation(conversion), "measures or a comparison, not a Conversion"),  # type: ignore[arg-type]
        (lambda: sw.plot.layer(comparison, "nowhere"), "no layer 'nowhere'"),
        (lambda: sw.plot.accuracy({}), "of a comparison, or of"),
        (lambda: sw.plot.accuracy({"a": [[1.0]]}), "a: a curve is a row of scores"),  # type: ignore[list-item]
        (lambda: sw.plot.accuracy(comparison, score="speed"), "no score 'speed'; there are"),
        (lambda: sw.plot.accuracy(comparison, output="b"), "no output 'b'"),
        (lambda: sw.plot.weights(comparison, method="ltb"), "no 'ltb' was compared"),
        (lambda: sw.plot.operations(measures), "draws a comparison, not a Measures"),  # type: ignore[arg-type]
        (lambda: sw.plot.if_experiment([0.1], 0), "timesteps"),
        (lambda: sw.plot.if_experiment([[0.1]]), "a row of finite numbers"),  # type: ignore[list-item]
        (lambda: sw.plot.save(sw.plot.raster(comparison), tmp_path / "a.jpg"), r"written as \.svg, \.png or \.pdf"),
        (lambda: sw.plot.save_all(tmp_path / "a", comparison, kind="jpg"), "svg, png, pdf, not as 'jpg'"),
    ):
        with pytest.raises(sw.SpikewrightError, match=words):
            wrong()


def test_without_matplotlib(comparison: sw.Comparison, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spikewright.plot.figures.find_spec", lambda _: None)
    for draw in (lambda: sw.plot.raster(comparison), sw.plot.if_experiment):
        with pytest.raises(SettingsError, match=r"pip install 'spikewright\[plots\]'"):
            draw()
    assert "matplotlib" in sys.modules  # of this test, not of the package: see test_light_start


def test_names_with_dollars_markup_and_foreign_letters(tmp_path: Path) -> None:
    figure = sw.plot.accuracy({"$a$ <b>": [0.5], "神经元": [0.2, 0.3]})
    assert r"\$a\$ <b>" in texts(figure)
    sw.plot.save(figure, tmp_path / "a.svg")
    assert b"$a$ &lt;b&gt;" in (tmp_path / "a.svg").read_bytes()


def test_bars_of_one_neuron_are_seen_and_an_empty_chart_says_so() -> None:
    axis = {"title": {"text": ""}}
    layout = {"xaxis": axis, "yaxis": {**axis, "type": "log", "dtick": 1}, "height": 270}
    bars = {"type": "bar", "x": [0.1, 0.2], "y": [1, 5], "marker": {"color": "c0"}}
    (axes,) = drawn([Panel({"data": [bars], "layout": layout})]).axes
    assert axes.get_ylim() == (0.5, 7.5)
    (axes,) = drawn([Panel({"data": [bars | {"y": [None, None]}], "layout": layout})]).axes
    assert [text.get_text() for text in axes.texts] == ["none"]


def test_numbers_are_written_without_powers() -> None:
    assert [plain_number(value) for value in (10, 0.1, 1e-5, 12.5)] == ["10", "0.1", "0.00001", "12.5"]
