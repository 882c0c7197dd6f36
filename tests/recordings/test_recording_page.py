"""The page of a recording: raster, frames, and a run as an animation."""

import re
import zlib
from base64 import b64decode

import numpy as np
import pytest

import spikewright as sw
from networks import Builder
from spikewright.errors import SettingsError
from spikewright.reports.pixels import BRIGHT, DARK, frame_picture, png
from spikewright.reports.recording import raster, recording_report


def recording(count=9000):
    random = np.random.default_rng(0)
    made = np.zeros(count, [("x", "i2"), ("y", "i2"), ("t", "i8"), ("p", "?")])
    made["x"], made["y"], made["p"] = random.integers(0, 8, (3, count)) % [[8], [8], [2]]
    made["t"] = np.sort(random.integers(0, 50_000, count))
    return sw.load_recording(made, sensor=(8, 8))


def pixels(address):
    made = b64decode(address.partition(",")[2])
    start = made.index(b"IDAT") + 4
    size = int.from_bytes(made[start - 8 : start - 4], "big")
    columns, rows = (int.from_bytes(made[at : at + 4], "big") for at in (16, 20))
    lines = np.frombuffer(zlib.decompress(made[start : start + size]), np.uint8).reshape(rows, 1 + 4 * columns)
    return lines[:, 1:].reshape(rows, columns, 4)


def test_pictures_of_frames():
    shown = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    assert np.array_equal(pixels(png(shown)), shown)
    apart = np.array([[[0, 2]], [[4, 0]]])
    found = pixels(frame_picture(apart, 4.0))
    assert found[0, 0].tolist() == [*BRIGHT, 255]
    assert found[0, 1, :3].tolist() == list(DARK)
    signed = pixels(frame_picture(np.array([[[-4, 4, 0]]]), 4.0))
    assert signed[0, :, :3].tolist()[:2] == [list(DARK), list(BRIGHT)]
    assert signed[0, :, 3].tolist() == [255, 255, 0]


def test_a_raster_of_many_events_shows_some():
    chart = raster(recording())
    assert sum(len(trace["x"]) for trace in chart["data"]) == 4500
    assert "one of 2 events" in chart["layout"]["xaxis"]["title"]["text"]


def test_the_page(tmp_path):
    made = Builder(3, (2, 8, 8))
    made.conv(3)
    made.relu()
    made.flatten()
    made.linear(4)
    data = sw.Recordings((recording(),), sw.Binning(dt=0.01))
    conversion = sw.convert(made.graph(), data.frames, "max", neurons="max_spikes=multi")
    page = recording_report(tmp_path / "a.html", recording(), "dt=10ms", conversion, "1ms")
    text = page.read_text()
    assert text.count("<img alt='frame") == 5
    assert text.count("<image ") == 50
    assert len(re.findall(r"attributeName='width'", text)) == 4
    assert "50 ms" in text
    assert "9 k" in text
    with pytest.raises(SettingsError, match="give dt, as in dt='1ms'"):
        recording_report(tmp_path / "b.html", recording(), "dt=10ms", conversion)
    assert not (tmp_path / "b.html").exists()
