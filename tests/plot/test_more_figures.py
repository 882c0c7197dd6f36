"""Figures about work, of tuning, of chips and of data sets: each shows the numbers of what it is given."""

from __future__ import annotations

import numpy as np
import pytest

import spikewright as sw
from networks import residual
from spikewright.errors import DataError, SettingsError

pytest.importorskip("matplotlib")

from matplotlib.axes import Axes

METHODS = ["max", "percentile:99"]


@pytest.fixture(scope="module")
def comparison() -> sw.Comparison:
    builder = residual(3)
    x = builder.samples(12)
    labels = builder.random.integers(0, 3, 12)
    return sw.compare(builder.graph(), x, (x, labels), METHODS, 8, allow_overlap=True)


@pytest.fixture(scope="module")
def tuning() -> sw.Tuning:
    builder = residual(3)
    x = builder.samples(40)
    labels = builder.random.integers(0, 3, 40)
    return sw.tune(builder.graph(), (x, labels), ["method=max", "method=percentile:99", "gain=1..3"], timesteps="2..4")


def lines(axes: Axes) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    return {str(one.get_label()): (np.asarray(one.get_xdata()), np.asarray(one.get_ydata())) for one in axes.lines}


def test_accuracy_over_work(comparison: sw.Comparison) -> None:
    (axes,) = sw.plot.accuracy_over_work(comparison).axes
    found = lines(axes)
    for one in comparison.candidates:
        work, accuracy = found[one.label]
        assert work[-1] == pytest.approx(one.measures.total_synops)
        assert one.measures.accuracy is not None
        np.testing.assert_allclose(accuracy, 100 * one.measures.accuracy)


def test_energy_is_all_of_it_one_part_behind_the_other(comparison: sw.Comparison) -> None:
    (axes,) = sw.plot.energy(comparison, method="percentile:99").axes
    bars = [bar for group in axes.containers for bar in group]
    assert 1000 * sum(bar.get_width() for bar in bars) == pytest.approx(
        comparison["percentile:99"].measures.energy_spiking
    )
    places = {round(bar.get_y() + bar.get_height() / 2, 6) for bar in bars}
    assert places == set(range(len(places)))  # none beside another


def test_rates_over_time(comparison: sw.Comparison) -> None:
    measures = comparison.candidates[0].measures
    figure = sw.plot.rates_over_time(measures)
    for axes, rate in zip(figure.axes, measures.rate_over_time.values(), strict=True):
        np.testing.assert_allclose(lines(axes)["rate"][1], rate)


def test_the_front_and_the_gain(tuning: sw.Tuning) -> None:
    for against, cost in (("synops", "synops"), ("firing rate", "firing_rate"), ("timesteps", "timesteps")):
        (axes,) = sw.plot.pareto(tuning, against=against).axes
        dots = np.concatenate([x for name, (x, _) in lines(axes).items() if name.startswith("method=")])
        assert sorted(dots) == pytest.approx(sorted(getattr(row, cost) for row in tuning.rows))
    (axes,) = sw.plot.gain(tuning, against="gain").axes
    assert lines(axes)["T=2"][0].tolist() == [1, 2, 3]


def test_only_one_entry_says_what_dotted_lines_are(comparison: sw.Comparison) -> None:
    legend = sw.plot.accuracy(comparison).axes[0].get_legend()
    assert legend is not None
    names = [text.get_text() for text in legend.get_texts()]
    assert names[:3] == [*METHODS, "quantised"]
    assert len(names) == 4


def test_memories_of_a_chip() -> None:
    builder = residual(3)
    fit = sw.check(sw.convert(builder.graph(), builder.samples(12), "max"), "speck2f")
    (axes,) = sw.plot.floor_plan(fit).axes
    shown = {group.get_label(): [bar.get_width() for bar in group] for group in axes.containers}
    for kind, widths in shown.items():
        assert widths == [next(one.share for one in place.memories if one.kind == kind) for place in fit.places]
    assert [text.get_text().partition(":")[0] for text in axes.get_yticklabels()] == [one.title for one in fit.places]


def test_values_and_classes_of_a_data_set() -> None:
    x = np.random.default_rng(0).normal(size=(30, 3, 4, 4)).astype(np.float32)
    data = sw.data.ArrayDataset(x, np.repeat([0, 1, 2], [5, 10, 15]), classes=("a", "b", "c"))
    values, classes = sw.plot.distributions(data).axes
    assert set(lines(values)) == {"channel 0", "channel 1", "channel 2"}
    shares = lines(values)["channel 1"][1][:-1]
    assert np.nansum(shares) == pytest.approx(1)
    assert [bar.get_width() for bar in classes.patches] == [5, 10, 15]
    assert [text.get_text() for text in classes.get_yticklabels()] == ["a", "b", "c"]
    (alone,) = sw.plot.distributions(sw.data.ArrayDataset(x[:, :1]), samples=10).axes
    assert alone.get_title(loc="left") == "values of 10 samples"


def test_what_cannot_be_drawn(comparison: sw.Comparison, tuning: sw.Tuning) -> None:
    nothing = sw.data.ArrayDataset(np.zeros((0, 3), np.float32))
    for wrong, kind, words in (
        (lambda: sw.plot.accuracy_over_work(tuning), SettingsError, "draws a comparison, not a Tuning"),
        (lambda: sw.plot.energy(3), SettingsError, "draws a comparison, not a int"),
        (lambda: sw.plot.pareto(comparison), SettingsError, "what sw.tune found, not a Comparison"),
        (lambda: sw.plot.pareto(tuning, against="money"), SettingsError, "no axis 'money'; there are synops"),
        (lambda: sw.plot.gain(tuning, name="leak"), SettingsError, "'leak' was not tried .* there are gain"),
        (lambda: sw.plot.floor_plan(comparison), SettingsError, "what sw.check found, not a Comparison"),
        (lambda: sw.plot.distributions([1]), SettingsError, "draws a data set"),
        (lambda: sw.plot.distributions(nothing), DataError, "no samples"),
    ):
        with pytest.raises(kind, match=words):
            wrong()  # type: ignore[no-untyped-call]
