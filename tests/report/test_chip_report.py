"""The page about a network on a chip: its numbers are those of the fit and of the runs that it shows."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_report import COUNT, charts_of, chromium, counts, with_script

import spikewright as sw
from networks import Builder, plain
from spikewright.chips.course import course
from spikewright.chips.network import ChipNetwork
from spikewright.chips.simulation.busy import bandwidth_of
from spikewright.chips.simulation.comparing import ChipComparison
from spikewright.chips.simulation.stepped import TrainFrames
from spikewright.cli.app import run
from spikewright.errors import SettingsError
from spikewright.graph import Graph
from spikewright.nodes import Output
from spikewright.text import short

DT, T, LIMIT = 1e-3, 8, 50_000.0


def network(seed: int = 7) -> tuple[Graph, Any]:
    builder = plain(seed)
    return builder.graph(), np.abs(builder.samples(40))


@pytest.fixture(scope="module")
def conversion() -> sw.Conversion:
    graph, x = network()
    return sw.convert(graph, x[:20], "max", readout="count")


@pytest.fixture(scope="module")
def data() -> tuple[Any, Any]:
    _, x = network()
    return x[20:32], np.arange(12) % 4


@pytest.fixture(scope="module")
def fit(conversion: sw.Conversion, data: tuple[Any, Any]) -> sw.Fit:
    settings: dict[str, Any] = {"dt": DT, "data": data, "timesteps": T, "synops_limit": LIMIT}
    return sw.check(conversion, "speck2f", try_remedies=True, **settings)


@pytest.fixture(scope="module")
def compared(conversion: sw.Conversion, data: tuple[Any, Any]) -> ChipComparison:
    trains = sw.PictureTrains(timesteps=T, dt=DT)
    quantised = sw.quantise(conversion, "speck2f")
    return sw.compare_on_chip(quantised, data, trains, beside=conversion, every_neuron=True)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory, fit: sw.Fit, compared: ChipComparison) -> Path:
    path = tmp_path_factory.mktemp("chip") / "chip.html"
    return sw.report(path, fit, compared, title="<script>alert(1)</script>", settings={"command": "check </script>"})


def words(page: Path) -> str:
    """The text of a page, without its scripts and styles."""
    text = page.read_text(encoding="utf-8").partition('<script type="application/json"')[0].partition("</style>")[2]
    return unescape(re.sub(r"<[^>]*>", "|", text))


def rows(page: Path, heading: str) -> list[list[str]]:
    """The cells of the first table behind a heading."""
    section = page.read_text(encoding="utf-8").partition(f">{heading}</h")[2].partition("</table>")[0]
    found = re.findall(r"<tr>(.*?)</tr>", section)
    return [[unescape(cell) for cell in re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row)] for row in found]


def test_the_page_needs_nothing_else_and_runs_nothing_of_users(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert not re.findall(r"<(?:script|link|img|iframe)[^>]*(?:src|href)=.?(?:https?:)?//", text)
    assert "Content-Security-Policy\" content=\"default-src 'none';" in text
    assert "<script>alert(" not in text
    for heading in ("The cores", "What was rewritten", "How busy the cores are", "What would save work"):
        assert f"<h2>{heading}</h2>" in text
    for heading in ("What integers cost", "Floats, steps and chip", "To reproduce it"):
        assert f"<h2>{heading}</h2>" in text


def test_cards_and_table_show_the_memory_of_the_fit(page: Path, fit: sw.Fit) -> None:
    text = page.read_text(encoding="utf-8")
    cards = re.findall(r'<svg [^>]*class="floor"[^>]*aria-label="([^"]*)"', text)
    assert len(cards) == 9
    for layer in fit.layers:
        card = cards[fit.cores[layer.layer]]
        assert f": {layer.layer}, kernel {layer.kernel_words:,} of " in card
        assert f"neuron {layer.neuron_words:,} of " in card
    assert [card.startswith(f"core {k}, fast:") for k, card in enumerate(cards)] == [True, True] + [False] * 7
    assert sum(card.endswith(": free") for card in cards) == 9 - len(fit.layers)
    table = {row[0]: row for row in rows(page, "The cores")[1:]}
    for layer in fit.layers:
        own = table[layer.layer]
        assert own[6:9] == [f"{layer.kernel_words:,}", f"{layer.neuron_words:,}", f"{layer.bias_words:,}"]
        assert own[10] == str(layer.core)


def test_operations_over_time_are_those_of_the_fit(page: Path, fit: sw.Fit) -> None:
    busy = fit.bandwidth
    assert busy is not None
    peaks, means = charts_of(page)[:2]
    *lines, limit = peaks["data"]
    assert limit["y"] == [LIMIT, LIMIT]
    assert limit["line"]["dash"] == "dash"
    assert limit["name"].startswith("limit, 50 k")
    for line, mean, load in zip(lines, means["data"], busy.layers, strict=False):
        assert line["name"] == f"{load.layer}, core {fit.cores[load.layer]}"
        assert max(line["y"]) == pytest.approx(load.peak, rel=1e-4)
        assert np.mean(mean["y"]) == pytest.approx(load.mean, rel=1e-4)
        assert len(line["x"]) == T
    table = {row[0]: row for row in rows(page, "How busy the cores are")[1:]}
    for load in busy.layers:
        assert table[load.layer][2:5] == [short(load.events), short(load.mean), short(load.peak or 0)]


def test_limits_remedies_and_rewrites_are_those_of_the_fit(page: Path, fit: sw.Fit) -> None:
    text = words(page)
    assert not fit.runs
    for line in fit.exceeded:
        assert line in text
    table = rows(page, "What would save work")[1:]
    for saving, row in zip(fit.savings, table, strict=True):
        assert row[0] == saving.layer
        assert row[2:] == [f"{saving.share:.0%}", "yes" if saving.train else "no", "yes" if saving.enough else "no"]
    first, *others = fit.tried
    for trial, row in zip(others, rows(page, "Tried")[1:], strict=True):
        assert row[1] == f"{100 * trial.score:.1f}"
        assert float(row[2].replace("−", "-")) == pytest.approx(100 * (first.score - trial.score), abs=0.051)
    assert [row[0] for row in rows(page, "What was rewritten")[1:]] == list(fit.rewrites)


def test_the_comparison_shows_what_ran(page: Path, compared: ChipComparison, conversion: sw.Conversion) -> None:
    on_chip, stepped, trained = compared.score("output", "accuracy")
    assert compared.stepped is not None
    encoder = TrainFrames(compared.quantised.network, compared.chip.trains)  # type: ignore[arg-type]
    alone = sw.measure(conversion, (network()[1][20:32], np.arange(12) % 4), T, encoder=encoder, explain=False)
    assert alone.accuracy is not None
    assert stepped == alone.accuracy[-1]
    text = words(page)
    for value, title in ((on_chip, "on the chip"), (stepped, "in steps, on the same events")):
        assert f"{100 * (value or 0):.2f} %||accuracy {title}|" in text
    assert f"{100 * (trained or 0):.2f} %||accuracy of the trained network|" in text
    curves = next(chart for chart in charts_of(page) if chart["layout"]["xaxis"]["title"]["text"] == "steps")
    chip, steps, level = curves["data"]
    assert chip["y"][-1] == pytest.approx(100 * on_chip, rel=1e-4)
    assert steps["y"][-1] == pytest.approx(100 * (stepped or 0), rel=1e-4)
    assert level["y"][0] == pytest.approx(100 * (trained or 0), rel=1e-4)
    bars = next(chart for chart in charts_of(page) if "spikes per sample" in chart["layout"]["xaxis"]["title"]["text"])
    for k, name in enumerate(compared.chip.layers):
        fired, in_steps = compared.spikes(name)
        assert bars["data"][0]["x"][k] == pytest.approx(fired, rel=1e-4)
        assert bars["data"][1]["x"][k] == pytest.approx(in_steps, rel=1e-4)
    losses = {row[0]: row for row in rows(page, "What integers cost")[1:]}
    for loss in compared.quantised.losses:
        assert losses[loss.layer][4] == f"{loss.weights:.2%}"


def one_neuron(weight: int) -> sw.Quantised:
    """A neuron that reads one input, with a threshold of 100: the case of the vendor's guide."""
    builder = Builder(0, (1, 1, 1))
    builder.conv(1, 1, padding=((0, 0), (0, 0)))
    builder.relu()
    graph = Graph([*builder.nodes, Output(name="output", inputs=(builder.at,))])
    made = sw.quantise(sw.convert(graph, np.ones((4, 1, 1, 1)), "max", readout="count"), "speck2f")
    (first,) = made.network.layers
    first = first.replace(weights=np.full((1, 1, 1, 1), weight), threshold=100, bias=None, v_init=np.int64(0))
    return replace(made, network=ChipNetwork(made.network.inputs, (first,), made.network.readout))


@pytest.mark.parametrize(("weight", "above"), [(127, 1), (100, 0)])
def test_neurons_that_keep_firing_are_shown(weight: int, above: int, tmp_path: Path) -> None:
    """Weights of 127 and a threshold of 100: each event leaves 27 more, and the neuron waits in the end."""
    made = one_neuron(weight)
    trains = sw.PictureTrains(timesteps=5, dt=DT)
    compared = sw.compare_on_chip(
        made, np.ones((1, 1, 1, 1), np.float32), trains, every_neuron=True, allow_overlap=True
    )
    name = made.network.layers[0].name
    found = compared.keeps_firing(name)
    assert (found.weight, found.threshold, found.above) == (weight, 100, above)
    assert compared.chip.layers[name].fired == 5
    waits = weight * 5 - 500 >= 100
    assert found.share == compared.chip.layers[name].waiting == float(waits)
    assert found.channels == (((0, 1.0),) if waits else ())
    fit = sw.check(made, dt=DT, busy=bandwidth_of(made.network, compared.chip, 1e-3))
    page = sw.report(tmp_path / "one.html", fit, compared)
    row = rows(page, "Neurons that keep firing")[1]
    assert row[:6] == [name, str(weight), "100", f"{weight / 100:.2f}", str(above), f"{found.share:.2%}"]
    assert ("Here no weight exceeds its threshold." in words(page)) == (not above)


def test_integers_are_as_busy_as_the_chip_was(compared: ChipComparison, data: tuple[Any, Any]) -> None:
    """What each neuron sent, times its fan-out, is what the simulation counted one by one."""
    network = compared.quantised.network
    fit = sw.check(compared.quantised, dt=DT, data=data, timesteps=T)
    assert fit.bandwidth is not None
    assert fit.losses == compared.quantised.losses
    assert fit.chip.name == "speck2f"
    for layer in network.layers:
        ran = compared.chip.layers[layer.name]
        assert fit.bandwidth[layer.name].mean == pytest.approx(ran.synops_per_second, rel=1e-9)
        assert fit.bandwidth[layer.name].peak == ran.peak
        course = compared.chip.over_time[layer.name]
        assert course.mean.mean() == pytest.approx(ran.synops_per_second)
        assert compared.chip.waiting[layer.name].mean() == pytest.approx(ran.waiting)
    with pytest.raises(SettingsError, match="integers are sent regular trains of the data: leave rates, encoder"):
        sw.check(compared.quantised, dt=DT, data=data, try_remedies=True)
    with pytest.raises(SettingsError, match="the integers are those of speck2f; give what they were made of"):
        sw.check(compared.quantised, "xylo_imu")


def test_a_course_is_thinned_without_losing_its_peak() -> None:
    random = np.random.default_rng(0)
    totals, mosts = random.random(1000) * 9, random.random(1000)
    whole = course(totals, mosts, 10, 1e-3, 2e-3)
    few = whole.thinned(64)
    assert len(few.begins) == 64
    assert few.peak[0] == whole.peak[0] == mosts.max() / 2e-3
    assert few.begins[0] == 0
    assert whole.mean[3] == pytest.approx(totals[3] / (10 * 2e-3))
    assert whole.thinned(1000) is whole


def test_a_network_that_does_not_fit_has_a_page_and_a_picture(tmp_path: Path) -> None:
    b = Builder(0, (2, 8, 8))
    b.conv(64)
    b.relu()
    b.conv(65)
    b.relu()
    b.max_pool()
    fit = sw.check(Graph([*b.nodes, Output(name="output", inputs=(b.at,))]))
    text = words(sw.report(tmp_path / "wide.html", fit))
    assert "|no||it does not fit speck2f|" in text
    for problem in fit.problems:
        assert problem.advice in text
    for layer in fit.layers:
        for limit in layer.broken:
            assert limit in text
        for change in layer.changes:
            assert f"|{change}|" in text
    path = sw.write_picture(tmp_path / "wide.svg", fit)
    svg = path.read_text(encoding="utf-8")
    assert svg.count('<g class="core out') == sum(layer.core is None for layer in fit.layers) == 1
    assert ">131,072 of 65,536</text>" in svg
    assert ">speck2f: it does not fit</text>" in svg


@pytest.mark.parametrize(("name", "words_"), [("xylo_imu", "hidden neurons"), ("akida_1_0", "only maxima are pooled")])
def test_chips_of_other_kinds_have_pages_and_pictures(
    name: str, words_: str, conversion: sw.Conversion, tmp_path: Path
) -> None:
    fit = sw.check(conversion, name)
    text = words(sw.report(tmp_path / "page.html", fit))
    assert words_ in text
    for used in fit.used:
        assert f"{used.number:,} of {used.most:,}" in text
        assert str(used) in str(fit)
    assert bool(fit.used) == (name == "xylo_imu")
    assert words_ in sw.write_picture(tmp_path / "page.svg", fit).read_text(encoding="utf-8")


def test_a_notebook_shows_its_picture_and_what_it_prints(fit: sw.Fit) -> None:
    html = fit._repr_html_()
    assert html.startswith('<div style="overflow-x: auto"><img ')
    assert 'src="data:image/svg+xml;base64,' in html
    assert "<style" not in html  # which would change the notebook around it
    assert "speck2f: it fits, but exceeds the limit that was given" in html
    assert str(fit).startswith(fit.verdict)
    assert fit.summary()["bandwidth"]["over_time"].keys() == {load.layer for load in fit.bandwidth.layers}  # type: ignore[union-attr]
    assert fit.summary()["synops_limit"] == LIMIT


def test_only_comparisons_stand_beside_a_fit(fit: sw.Fit, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"beside what check\(...\) gives a report shows what compare_on_chip"):
        sw.report(tmp_path / "r.html", fit, 3)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


@pytest.mark.browser
def test_a_browser_draws_it_narrow(page: Path, tmp_path: Path) -> None:
    shown, console = chromium(with_script(page, tmp_path, COUNT), tmp_path, "--dump-dom", "--window-size=500,2400")
    assert console == ""
    found = counts(shown)
    assert found["shown"] == found["drawn"] >= 3
    assert found["wide"] <= 500  # Chromium has no narrower window
    assert found["fetched"] == 0


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, conversion: sw.Conversion, data: tuple[Any, Any]) -> Path:
    monkeypatch.chdir(tmp_path)
    sw.save(conversion, "snn.safetensors")
    sw.save_quantised(sw.quantise(conversion, "speck2f"), tmp_path / "chip.safetensors")
    np.savez("test.npz", x=data[0], y=data[1])
    np.savez("negative.npz", x=-data[0], y=data[1])
    return tmp_path


@pytest.mark.parametrize(
    ("typed", "status", "said"),
    [
        ("check snn.safetensors --report a.html", 0, "is seen on samples: --data"),
        ("check snn.safetensors --data test.npz -T 8 --dt 1ms --report a.html", 0, "accuracy in steps, on the same"),
        ("check snn.safetensors --data negative.npz -T 8 --dt 1ms --report a.html", 0, "Nothing is compared: input"),
        ("check chip.safetensors --data test.npz -T 8 --dt 1ms --report a.html", 0, "What integers cost"),
        ("check snn.safetensors --chip xylo_imu --report a.html", 1, "it does not fit xylo_imu"),
        ("simulate chip.safetensors --data test.npz -T 8 --report a.html", 0, "accuracy on the chip"),
        (
            "simulate chip.safetensors --data test.npz -T 8 --beside snn.safetensors --report a.html",
            0,
            "accuracy in steps, on the same",
        ),
    ],
)
def test_commands_write_the_page(
    typed: str, status: int, said: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(typed.split()) == status
    assert "report: a.html" in capsys.readouterr().out
    assert said in words(home / "a.html")
    assert f"spikewright {typed}" in words(home / "a.html")


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("check snn.safetensors --report there.html/a.html", "there.html"),
        ("check snn.safetensors --report a.pdf", "a.pdf: a report is a .html file"),
        ("check snn.safetensors --report there.html", "there.html"),
        ("check snn.safetensors --force", "--force would change nothing: nothing is written without --report"),
        ("check snn.safetensors --report snn.safetensors", "is what NET reads; choose another path for --report"),
        ("check chip.safetensors --try --data test.npz --dt 1ms", "--try would change nothing: chip.safetensors holds"),
        ("check chip.safetensors --chip akida_1_0", "the integers are those of speck2f"),
        ("simulate chip.safetensors --data test.npz --report there.html/a.html", "there.html"),
        ("simulate chip.safetensors --data test.npz --dt 0.5 --report a.html", "the slow clock ticks 10 to 10000"),
        ("simulate snn.safetensors --data test.npz --report a.html", "--report is of recordings, and of what 'spikewr"),
    ],
)
def test_bad_input_of_pages(typed: str, message: str, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "there.html").write_text("mine", encoding="utf-8")
    assert run(typed.split()) == 2
    said = capsys.readouterr().err
    assert [line.startswith("error: ") for line in said.splitlines() if not line.startswith("samples: ")] == [True]
    assert message in " ".join(said.split())
    assert (home / "there.html").read_text(encoding="utf-8") == "mine"
    assert not (home / "a.html").exists()
