"""What a recording is: lazy, counted, in batches; arrays of any names, order and unit."""

from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np
import pytest

import spikewright as sw
from spikewright.errors import DataError, SettingsError
from spikewright.recordings.durations import duration_text, seconds_of

FILES = Path(__file__).parent / "files"
X, Y, T, P = [5, 0, 3], [1, 2, 0], [100, 250, 100_000], [1, 0, 1]
TONIC = [("x", "i2"), ("y", "i2"), ("t", "i8"), ("p", "?")]


def table(kind=TONIC, t=T):
    values = {"x": X, "y": Y, "t": t, "p": P}
    found = np.zeros(3, kind)
    for name in found.dtype.names:
        found[name] = values[name]
    return found


def check(recording):
    assert [column.tolist() for column in recording.columns()] == [X, Y, T, [True, False, True]]


def test_arrays_in_hand():
    check(sw.load_recording(table()))
    check(sw.load_recording(table()[[2, 0, 1]]))  # put into the order of times
    mixed = [("t", "f8"), ("p", "i1"), ("y", "u2"), ("x", "u2")]
    check(sw.load_recording(table(mixed, t=np.array(T) / 1e6)))
    check(sw.load_recording(np.stack([T, X, Y, P], axis=1), order="txyp"))
    check(sw.load_recording(np.stack([np.array(T) * 1000, X, Y, P], axis=1), order="txyp", unit="ns"))
    signed = table([("x", "i2"), ("y", "i2"), ("t", "i8"), ("p", "i1")])
    signed["p"] = [1, -1, 1]
    check(sw.load_recording(signed))


@pytest.mark.parametrize("suffix", [".npz", ".npy"])
def test_structured_arrays_in_files(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    np.savez(path, events=table()) if suffix == ".npz" else np.save(path, table())
    check(sw.load_recording(path))


def test_npz_by_names_with_its_sensor(tmp_path):
    np.savez(tmp_path / "a.npz", ts=np.array(T) / 1e3, xs=X, ys=Y, pol=P, width=8, height=6)
    recording = sw.load_recording(tmp_path / "a.npz", unit="ms")
    check(recording)
    assert recording.sensor_size == (8, 6)


def test_hdf5_in_all_its_forms(tmp_path):
    with h5py.File(tmp_path / "dsec.h5", "w") as file:
        for name, values in (("x", X), ("y", Y), ("p", P), ("t", np.array(T) - 100)):
            file[f"events/{name}"] = np.asarray(values, "u4")
        file["t_offset"] = 100
        file["ms_to_idx"] = [0, 2]
    check(sw.load_recording(tmp_path / "dsec.h5", sensor=(640, 480)))
    with h5py.File(tmp_path / "plain.h5", "w") as file:
        file["a/b"] = table()
        file.attrs["width"], file.attrs["height"] = 8, 6
    recording = sw.load_recording(tmp_path / "plain.h5")
    check(recording)
    assert recording.sensor_size == (8, 6)
    with h5py.File(tmp_path / "mvsec.h5", "w") as file:
        file["davis/left/events"] = np.stack([X, Y, np.array(T) / 1e6, np.array(P) * 2.0 - 1], axis=1)
    check(sw.load_recording(tmp_path / "mvsec.h5"))
    with h5py.File(tmp_path / "none.h5", "w") as file:
        file["a"] = [1]
    with pytest.raises(DataError, match="no group of it holds x, y, t and p"):
        len(sw.load_recording(tmp_path / "none.h5"))


def test_nothing_is_read_before_it_is_asked_for(tmp_path, monkeypatch):
    read = []
    recording = sw.load_recording(FILES / "peer_faery.dat")
    monkeypatch.setattr("spikewright.recordings.formats.dat.words", lambda *a: read.append(a) or iter(()))
    assert "304×240" in repr(recording)
    assert not read
    assert len(recording) == 0
    assert read


def test_events_outside_the_sensor_are_counted():
    recording = sw.load_recording(table(), sensor=(4, 6))
    with pytest.warns(match="this array: 1 event outside the sensor"):
        assert len(recording) == 2
    assert recording.outside == 1
    assert recording.notes == ("this array: 1 event outside the sensor",)


def test_times_that_fall_are_counted(tmp_path):
    (tmp_path / "a.dat").write_bytes(b"\0\x08" + np.array([[10, 0], [7, 1], [20, 2]], "<u4").tobytes())
    recording = sw.load_recording(tmp_path / "a.dat", sensor=(4, 4))
    with pytest.warns(match="1 event dated before an event that came before"):
        assert recording.columns("t")[0].tolist() == [10, 7, 20]
    assert [piece.t.tolist() for piece in recording.ordered()] == [[10, 10, 20]]
    assert (recording.start, recording.duration) == (10, 11e-6)


def test_batches_by_time_and_by_count():
    recording = sw.load_recording(FILES / "peer_faery.dat")
    t = recording.columns("t")[0]
    by_count = [len(batch) for batch in recording.batches(count=300)]
    assert by_count == [300] * 6 + [200]
    windows = list(recording.batches(time="10ms"))
    assert np.array_equal(np.concatenate([w.t for w in windows]), t)
    for k, window in enumerate(windows):
        assert ((window.t - t[0]) // 10_000 == k).all()
    assert any(len(window) == 0 for window in windows)
    for length in (0.010, "0.01s", "10000us"):
        assert len(list(recording.batches(time=length))) == len(windows)


def test_stretches():
    recording = sw.load_recording(FILES / "peer_faery.dat")
    t = recording.columns("t")[0]
    stretch = recording.between(20_000, 60_000)
    assert stretch.columns("t")[0].tolist() == [one for one in t.tolist() if 20_000 <= one < 60_000]
    assert (stretch.start, stretch.duration) == (20_000, 0.04)
    assert len(list(stretch.batches(time="10ms"))) == 4


def test_batches_of_a_stretch_end_with_it():
    recording = sw.load_recording(table(), sensor=(9, 9)).between(0, 1000)
    assert [len(batch) for batch in recording.batches(time="100us")] == [0, 1, 1] + [0] * 7


def test_a_long_recording_is_never_in_memory(tmp_path):
    """Some hours of it: two million events of which one piece at a time is there."""
    import tracemalloc

    words = np.zeros((2_000_000, 2), "<u4")
    words[:, 0] = np.linspace(0, 2**32 - 1, len(words)).astype("<u4")
    (tmp_path / "a.dat").write_bytes(b"\0\x08" + words.tobytes())
    recording = sw.load_recording(tmp_path / "a.dat", sensor=(1, 1))
    tracemalloc.start()
    assert sum(len(batch) for batch in recording.batches(time="1min")) == 2_000_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100e6


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda f: sw.load_recording(f / "none.bin"), DataError, "none.bin: no such file"),
        (lambda f: sw.load_recording(f), DataError, "cannot be read"),
        (
            lambda f: sw.load_recording(f / "by_peers.py"),
            DataError,
            "no known format of recordings; name one of aedat2,",
        ),
        (lambda f: sw.load_recording(f / "tiny.dat", "evt9"), SettingsError, "unknown format 'evt9' of recordings"),
        (lambda f: sw.load_recording(f / "tiny.dat", unit="h"), SettingsError, "unknown unit 'h' of times; choose one"),
        (lambda f: sw.load_recording(f / "tiny.dat", unit="s"), SettingsError, "this format says its units"),
        (
            lambda _: sw.load_recording(np.zeros((2, 4)), order="xxtp"),
            SettingsError,
            "names each of x, y, t and p once",
        ),
        (
            lambda _: sw.load_recording(np.zeros((2, 4))),
            DataError,
            "this array: four columns do not say which is which: give order='txyp'",
        ),
        (lambda _: sw.load_recording(np.zeros((2, 3))), DataError, "an array of the shape"),
        (
            lambda _: sw.load_recording(np.zeros(2, [("a", "i4"), ("t", "i4")])),
            DataError,
            "with the fields a, t; a rec",
        ),
        (lambda f: sw.load_recording(f / "tiny.dat", sensor=(0, 4)), SettingsError, "must be 1 or more"),
        (lambda f: sw.load_recording(f / "tiny.dat", sensor=4), SettingsError, r"a sensor is \(columns, rows\)"),
        (
            lambda f: sw.load_recording(f / "sample_ncars.dat").sensor_size,
            DataError,
            "sensor=78x42 in a binning would hold its events",
        ),
        (lambda f: sw.load_recording(f / "tiny.dat").batches(), SettingsError, "by time or by count"),
        (lambda f: sw.load_recording(f / "tiny.dat").batches(time="5 days"), SettingsError, "like 1ms, 500us or 0.02"),
        (lambda f: sw.load_recording(f / "tiny.dat").columns("z"), SettingsError, "no column 'z'"),
        (lambda f: sw.load_recording(f / "tiny.dat").between(5, 5), SettingsError, "ends after it begins"),
        (lambda _: sw.load_recording(table(t=np.array([0, 1, 2**62]))), DataError, "that is no number of microseconds"),
    ],
)
def test_bad_input(call, error, said):
    with pytest.raises(error, match=said) as caught:
        call(FILES)
    assert "\n" not in str(caught.value)


def test_times_absurdly_far_apart():
    recording = sw.load_recording(table(t=[0, 1, 2**60]), sensor=(9, 9))
    with pytest.raises(DataError, match="make more than 16,777,216 windows of 1,000 µs; take longer ones"):
        list(recording.batches(time="1ms"))


def test_lengths_of_time_read_back():
    for seconds in (1e-3, 5e-5, 0.5, 1 / 3, 2.0, 7e-6, 0.0125, 1e-9):
        assert seconds_of(duration_text(seconds), "it") == seconds
    assert [duration_text(s) for s in (1e-3, 5e-5, 0.5, 2.0)] == ["1ms", "50us", "500ms", "2s"]
    assert all(a != b for a, b in pairwise([seconds_of(t, "it") for t in ("1ms", "2 ms", "3us", "1min")]))
