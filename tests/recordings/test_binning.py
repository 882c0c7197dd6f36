"""Frames of recordings: every setting by its definition, its text, and what it refuses."""

import numpy as np
import pytest

import spikewright as sw
from spikewright.data.recordings import Recordings
from spikewright.errors import DataError, SettingsError
from spikewright.recordings import binning_of
from spikewright.recordings.filters import NoiseFilter, hot_pixels

KIND = [("x", "i2"), ("y", "i2"), ("t", "i8"), ("p", "?")]


def recorded(*events, sensor=(6, 4)):
    return sw.load_recording(np.array(list(events), KIND), sensor=sensor)


def frames(recording, text):
    return list(binning_of(text).frames_in(recording))


A = recorded((0, 0, 1000, 1), (5, 3, 1500, 0), (0, 0, 2999, 1), (2, 1, 3000, 0), (3, 1, 7900, 1))


def test_by_time():
    found = frames(A, "dt=2ms")  # 6.9 ms: three whole frames, and one that is less than half
    assert [int(frame.sum()) for frame in found] == [3, 1, 0]
    assert found[0].shape == (2, 4, 6)
    assert found[0][1, 0, 0] == 2
    assert found[0][0, 3, 5] == 1
    assert [int(frame.sum()) for frame in frames(A, "dt=4ms")] == [4, 1]  # the last one is 2.9 ms of 4
    assert [int(frame.sum()) for frame in frames(A, "dt=1s")] == [5]


def test_by_count_and_in_frames_of_equal_length():
    assert [int(frame.sum()) for frame in frames(A, "count=2")] == [2, 2, 1]
    assert [int(frame.sum()) for frame in frames(A, "count=4")] == [4]
    assert [int(frame.sum()) for frame in frames(A, "count=9")] == [5]
    assert [int(frame.sum()) for frame in frames(A, "frames=2")] == [4, 1]
    assert [int(frame.sum()) for frame in frames(A, "frames=7")] == [2, 0, 2, 0, 0, 0, 1]


def test_polarities():
    (merged,) = frames(A, "frames=1,polarity=merged")
    (signed,) = frames(A, "frames=1,polarity=signed")
    (apart,) = frames(A, "frames=1")
    assert merged.shape == signed.shape == (1, 4, 6)
    assert np.array_equal(merged[0], apart[0] + apart[1])
    assert np.array_equal(signed[0], apart[1] - apart[0])


def test_places():
    (whole,) = frames(A, "frames=1,polarity=merged")
    assert np.array_equal(frames(A, "frames=1,polarity=merged,mirror=columns")[0], whole[:, :, ::-1])
    assert np.array_equal(frames(A, "frames=1,polarity=merged,mirror=rows")[0], whole[:, ::-1])
    assert np.array_equal(frames(A, "frames=1,polarity=merged,mirror=both")[0], whole[:, ::-1, ::-1])
    assert np.array_equal(frames(A, "frames=1,polarity=merged,crop=2x3")[0], whole[:, 1:3, 1:4])
    assert np.array_equal(frames(A, "frames=1,polarity=merged,crop=2x3,corner=0x0")[0], whole[:, :2, :3])
    half = frames(A, "frames=1,polarity=merged,downsample=2")[0]
    assert np.array_equal(half, whole.reshape(1, 2, 2, 3, 2).sum((2, 4)))
    assert frames(A, "frames=1,downsample=4")[0].shape == (2, 1, 2)


def test_constants_and_normalisation():
    (whole,) = frames(A, "frames=1")
    assert np.array_equal(frames(A, "frames=1,scale=1/4")[0], whole / 4)
    assert frames(A, "frames=1,normalise=max")[0].max() == 1
    with pytest.raises(SettingsError, match="train on frames with a constant scale"):
        binning_of("frames=1,normalise=max").check_runs_on_events()


def test_noise_filter_against_its_definition():
    random = np.random.default_rng(1)
    made = np.zeros(600, KIND)
    made["x"], made["y"], made["p"] = random.integers(0, 6, 600), random.integers(0, 4, 600), 1
    made["t"] = np.sort(random.integers(0, 60_000, 600))
    recording = sw.load_recording(made, sensor=(6, 4))
    kept = []
    for k, (x, y, t, _) in enumerate(made.tolist()):
        near = [one for one in made[:k].tolist() if max(abs(one[0] - x), abs(one[1] - y)) == 1 and t - one[2] <= 300]
        kept.append(bool(near))
    for size in (600, 7):
        check = NoiseFilter(6, 4, 300)
        found = np.concatenate([check(piece) for piece in recording.batches(count=size)])
        assert found.tolist() == kept
    assert 0 < sum(kept) < 600
    assert frames(recording, "frames=1,noise=300us")[0].sum() == sum(kept)


def test_hot_pixels():
    noisy = recorded(*((1, 1, t, 1) for t in range(0, 1_000_000, 1000)), (2, 2, 1_000_000, 1))
    assert np.argwhere(hot_pixels(noisy, 500)).tolist() == [[1, 1]]
    (frame,) = frames(noisy, "frames=1,hot=500")
    assert frame.sum() == 1
    with pytest.raises(DataError, match="every pixel that sends anything sends more than"):
        frames(noisy, "frames=1,hot=0.1")


@pytest.mark.parametrize(
    "text",
    [
        "dt=50ms",
        "count=5000,polarity=merged",
        "frames=10,polarity=signed,crop=32x24,corner=4x0,mirror=both,downsample=2",
        "dt=1ms,noise=5ms,hot=1000.0,scale=0.1,sensor=346x260,normalise=max",
        "dt=333.333333us",
    ],
)
def test_its_text_reads_back(text):
    assert str(binning_of(text)) == text
    assert binning_of(str(binning_of(text))) == binning_of(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "frames are cut by one of dt=50ms, count=5000 or frames=10, and none is given"),
        ("dt=1ms,count=3", "not dt and count at once"),
        ("dt=1x", "dt takes a time above 0 like 1ms"),
        ("dt=0.1us", "dt is 1us or more, as times are in microseconds"),
        ("frames=0", "frames must be 1 or more"),
        ("frames=many", "frames takes a whole number, not 'many'"),
        ("frames=1,polarity=up", "polarity must be 'apart' or 'merged' or 'signed'"),
        ("frames=1,colour=red", "unknown 'colour=red'; write dt=…, count=…"),
        ("frames=1,frames=2", "frames is given twice"),
        ("frames=1,crop=3x", "crop takes rows and columns like 32x32"),
        ("frames=1,corner=1x1", "corner is the first row and column of a crop"),
        ("frames=1,scale=0", "scale is what an event stands for"),
        ("frames=1,hot=-1", "hot is a rate above 0"),
        ("frames=1,sensor=0x4", "columns and rows of a sensor must be 1 or more"),
    ],
)
def test_bad_texts(text, said):
    with pytest.raises(SettingsError, match=said):
        binning_of(text)


@pytest.mark.parametrize(
    ("binning", "said"),
    [
        (
            "frames=1,crop=5x5",
            "a crop of 5x5 from row -1 and column 0 does not lie inside a sensor of 4 rows",
        ),
        ("frames=1,crop=2x2,corner=3x0", "a crop of 2x2 from row 3 and column 0 does not lie inside"),
    ],
)
def test_crops_outside(binning, said):
    with pytest.raises(DataError, match=said):
        frames(A, binning)


def test_absurdly_many_frames():
    with pytest.raises(DataError, match=r"frames of dt=1us; at most 1,048,576"):
        frames(recorded((0, 0, 0, 1), (0, 0, 2**40, 1)), "dt=1us")


def test_a_data_set_of_recordings():
    items = (A, recorded((1, 1, 0, 1), (2, 2, 999, 1)))
    data = Recordings(items, binning_of("dt=2ms,polarity=merged"), np.array([4, 7]))
    assert (len(data), data.shape, len(data.frames)) == (2, (1, 4, 6), 4)
    assert data.frames.targets.tolist() == [4, 4, 4, 7]
    every = np.concatenate([x for x, _ in data.frames.batches(3)])
    assert [int(x.sum()) for x in every] == [3, 1, 0, 2]
    chosen = data.frames.subset(np.array([3, 0, 2, 1]))
    assert np.array_equal(np.concatenate([x for x, _ in chosen.batches(9)]), every[[3, 0, 2, 1]])
    assert chosen.targets.tolist() == [7, 4, 4, 4]
    (means,) = (x for x, _ in data.batches(9))
    assert np.allclose(means[0], every[:3].mean(0))
    assert len(data.part(1, 2)) == 1
    assert data.part(1, 2).first_sample == 1
    assert data.frames.fingerprint != Recordings(items, binning_of("dt=4ms,polarity=merged")).fingerprint
