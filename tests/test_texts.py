"""What people print is short, and says what it is; warnings point to their own line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from torch import nn

import spikewright as sw
from spikewright.text import energy_text, percent, short, significant, size_text


@pytest.fixture(scope="module")
def conversion() -> sw.Conversion:
    module = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 64, 1))
    graph = sw.load(module.eval(), shape=(1, 8, 8))
    return sw.convert(graph, _images(200), "max")


def _images(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((count, 1, 8, 8), np.float32)


def test_values_have_a_short_text(conversion: sw.Conversion) -> None:
    images = _images(20, seed=1)
    data = sw.data.as_dataset((images, images.mean((1, 2, 3))))
    measures = sw.measure(conversion, data, timesteps=8, allow_overlap=True)
    rates = sw.simulated_rates(conversion, images, timesteps=8)
    synapses = sw.synapses(conversion, rates)
    statistics = sw.calibrate(conversion.folded, _images(200), ["max"])
    texts = {
        repr(conversion.folded): "Graph(6 nodes, input 1×8×8 to output 1, 593 parameters)",
        repr(conversion.spiking): "Graph(spiking, 1 populations, 6 nodes, input 1×8×8 to output 1, 593 parameters)",
        repr(data): "ArrayDataset(20 samples of 1×8×8, labelled)",
        repr(sw.simulate(conversion, images, timesteps=8)): "Run(20 samples, 8 timesteps, event engine: output 20×8×1)",
        repr(statistics): "Statistics(200 samples, of 1, output)",
        repr(synapses): f"Synapses({len(synapses):,} in 2 projections of 3 groups, with rates)",
    }
    for text, wanted in texts.items():
        assert text.replace("reference engine", "event engine") == wanted
    assert repr(rates).startswith("Rates(20 samples, 8 timesteps, means: input 0.")
    assert str(synapses.summary()).startswith(f"577 neurons in 3 groups, {len(synapses):,} synapses\n")
    lines = str(measures).splitlines()
    assert lines[0] == "Measures of 20 samples at T=8"
    assert lines[1].startswith("  output, regression: mean squared error ")
    assert "(trained " in lines[1]
    assert len(str(measures)) < 1000


def test_pictures_have_a_text(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    for k, name in enumerate(("cats", "dogs")):
        (tmp_path / name).mkdir()
        image.new("RGB", (6, 8), color=(k, k, k)).save(tmp_path / name / "0.png")
    assert repr(sw.load_data(str(tmp_path))) == "PictureDataset(2 samples of 3×8×6, cats, dogs)"


def test_a_warning_points_to_the_line_that_asked(conversion: sw.Conversion) -> None:
    few = _images(10, seed=2)
    for act in (
        lambda: sw.convert(conversion.folded, few, "max"),
        lambda: sw.calibrate(conversion.folded, few, ["max"]),
    ):
        with pytest.warns(sw.SpikewrightWarning, match="calibrated on 10 samples only") as caught:
            act()
        assert {warning.filename for warning in caught} == {__file__}


@pytest.mark.parametrize(
    ("share", "up", "text"),
    [
        (0.5, False, "50"),
        (0.998, False, "99.8"),
        (0.99864, True, "99.9"),
        (0.999996, False, "99.9996"),
        (0.981, True, "99"),
        (0.98, True, "98"),
        (1.0, False, "100"),
        (0.0, False, "0"),
        (-1.5, False, "-150"),
    ],
)
def test_less_than_all_is_never_told_as_a_hundred_percent(share: float, up: bool, text: str) -> None:
    assert percent(share, up) == text


def test_sizes_in_thousands() -> None:
    sizes = (0, 999, 1000, 12_345, 9_999_999, 184_243_780, 130_933_513_691)
    assert [size_text(size) for size in sizes] == [
        "0 bytes",
        "999 bytes",
        "1.0 kB",
        "12 kB",
        "10.0 MB",
        "184 MB",
        "131 GB",
    ]


def test_large_and_small_numbers_have_three_digits_and_a_unit() -> None:
    """Never ``1e+03``, nor ``k nJ``."""
    assert [short(number) for number in (0.5, 999.4, 999.9, 1234567)] == ["0.5", "999", "1 k", "1.23 M"]
    assert [energy_text(number) for number in (102, 999.6, 60213, 7.83e6, 2e9)] == [
        *("102 nJ", "1 µJ", "60.2 µJ", "7.83 mJ", "2 J"),
    ]
    assert [significant(number) for number in (0.0012345, 99.96, 999.5, 1094.2, 71_234.5)] == [
        *("0.00123", "100", "1,000", "1,094", "71,234"),
    ]
    assert [significant(number, 2) for number in (0.905, 99.6, 123)] == ["0.91", "100", "123"]
