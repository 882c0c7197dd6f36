"""What was calibrated on is not measured on: refused before anything runs, or said beside the scores."""

import numpy as np
import pytest

import spikewright as sw
from networks import plain
from spikewright.data import as_dataset, sample_digests
from spikewright.errors import DataError
from spikewright.measures.protocol import Overlap, check_overlap, overlap_of

X = np.random.default_rng(3).random((400, 1, 4, 4), np.float32)


def test_a_copy_or_two_are_natural() -> None:
    """One sample in a hundred."""
    assert Overlap(4, 400).natural
    assert not Overlap(5, 400).natural
    assert Overlap(0, 3).natural
    assert not Overlap(1, 3).natural
    digests = sample_digests(as_dataset(X[:10]))
    assert overlap_of(digests, as_dataset(X[7:])) == Overlap(3, 393)
    assert overlap_of(digests[:0], as_dataset(X)) == Overlap(0, 400, known=False)


def test_what_is_said() -> None:
    assert str(Overlap(0, 9)) == "none of the samples it is measured on was calibrated on"
    assert str(Overlap(1, 400)) == "1 of these samples was used for calibration too: as may be by nature"
    assert str(Overlap(30, 400)).endswith(
        "30 of these 400 samples were used for calibration too: scores on others may be lower"
    )
    assert "nobody knows" in str(Overlap(0, 9, known=False))
    with pytest.raises(DataError) as caught:
        check_overlap(Overlap(30, 400), allowed=False)
    assert str(caught.value) == (
        "30 of the 400 samples to measure with are those of calibration, so that scores would flatter: take others, or "
        "insist with allow_overlap=True (--allow-overlap), which then stands beside the scores"
    )
    check_overlap(Overlap(30, 400), allowed=True)


def test_measure_refuses_before_it_simulates() -> None:
    b = plain(1)
    x = b.samples(40)
    conversion = sw.convert(b.graph(), x[:20], "max")
    seen: list[int] = []
    with pytest.raises(DataError, match="20 of the 40 samples to measure with are those of calibration"):
        sw.measure(conversion, x, 2, progress=lambda done, _: seen.append(done))
    assert not seen
    with pytest.warns(sw.SpikewrightWarning, match="20 of these 40 samples were used for calibration too"):
        measures = sw.measure(conversion, x, 2, allow_overlap=True)
    assert measures.protocol is not None
    assert measures.protocol.overlap == Overlap(20, 40)
    assert "20 of these 40 samples were used for calibration too: scores on others may be lower" in str(measures)
    assert measures.summary()["protocol"]["disjoint"] is False
    apart = sw.measure(conversion, x[20:], 2)
    assert apart.protocol is not None
    assert apart.protocol.summary()["disjoint"] is True
    assert apart.protocol.lines[0].startswith("chosen on calibration data: thresholds (max of 20 samples")


def test_a_margin_that_was_chosen_on_test_samples_is_refused() -> None:
    b = plain(1)
    x = b.samples(60)
    conversion = sw.convert(b.graph(), x[:20], "max")
    settings = sw.RunSettings(4)
    apart = sw.measure(conversion, x[40:], 4, early_exit=sw.choose_exit(conversion, x[20:40], 0.1, settings))
    assert apart.protocol is not None
    assert apart.protocol.overlap == Overlap(0, 20)
    on_test = sw.choose_exit(conversion, x[40:], 0.1, settings)
    assert on_test == sw.EarlyExit(on_test.margin, 0.1, 20)  # which samples is no part of the rule
    seen: list[int] = []
    for network in (conversion, conversion.spiking):
        with pytest.raises(DataError, match="20 of the 20 samples to measure with are those of calibration"):
            sw.measure(network, x[40:], 4, early_exit=on_test, progress=lambda done, _: seen.append(done))
    assert not seen
    with pytest.warns(sw.SpikewrightWarning, match="20 of these 20 samples were used for calibration too"):
        insisted = sw.measure(conversion, x[40:], 4, early_exit=on_test, allow_overlap=True)
    assert insisted.protocol is not None
    assert insisted.protocol.overlap == Overlap(20, 20)
    given = sw.measure(conversion, x[40:], 4, early_exit=sw.EarlyExit(on_test.margin))
    assert given.protocol is not None
    assert given.protocol.overlap == Overlap(0, 20)


def test_compare_refuses_before_it_calibrates() -> None:
    b = plain(1)
    x, y = b.samples(20), np.arange(20) % 4
    told: list[str] = []
    with pytest.raises(DataError, match="20 of the 20 samples"):
        sw.compare(b.graph(), x, (x, y), "max", 2, progress=lambda what, _done, _all: told.append(what))
    assert not told


def test_the_page_says_how_it_was_measured(tmp_path: object) -> None:
    b = plain(1)
    x, y = b.samples(40), np.arange(40) % 4
    found = sw.compare(b.graph(), x[:20], (x[20:], y[20:]), ["max", "scale:0.5"], 4)
    text = sw.report(f"{tmp_path}/r.html", found).read_text(encoding="utf-8")
    for words in (
        "How it was measured",
        "none of the samples it is measured on was calibrated on",
        "nothing on the samples it is measured on",
        "seeds: intervals 0",
        "What is lost, and why",
        "quantised network",
        "above max, paired",
        "lost by unevenness",
    ):
        assert words in text
