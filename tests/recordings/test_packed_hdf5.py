"""HDF5 that is packed by filters of plugins: DSEC's with Blosc, Prophesee's with its own."""

from importlib.util import find_spec

import h5py
import numpy as np
import pytest

import spikewright as sw
from spikewright.cli.app import run
from spikewright.errors import DataError

BLOSC, ECF, NOBODYS = 32001, 0x8ECF, 32999
OFFSET = 58_000_000


def columns(count=6000):
    random = np.random.default_rng(0)
    return {
        "p": random.integers(0, 2, count).astype(np.uint8),
        "t": np.sort(random.integers(0, 200_000, count)).astype(np.uint32),
        "x": random.integers(0, 640, count).astype(np.uint16),
        "y": random.integers(0, 480, count).astype(np.uint16),
    }


def packed(place, number):
    """A file of DSEC whose chunks say that a filter packed them."""
    with h5py.File(place, "w") as file:
        file["t_offset"] = np.int64(OFFSET)
        for label, values in columns(8).items():
            made = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            made.set_chunk((8,))
            made.set_filter(number, h5py.h5z.FLAG_OPTIONAL, ())
            space, kind = h5py.h5s.create_simple((8,)), h5py.h5t.py_create(values.dtype)
            group = file.require_group("events")
            h5py.h5d.create(group.id, label.encode(), kind, space, made).write_direct_chunk((0,), b"packed", 0)
    return place


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (BLOSC, r"filter 32001, which is not there: pip install 'spikewright\[dsec\]' for Blosc, Zstandard and others"),
        (NOBODYS, "filter 32999, which is not there"),
        (ECF, r"filter 36559 \(ECF, Prophesee's own\), which no free package reads: write it as EVT 3.0"),
    ],
)
def test_a_filter_that_is_not_there_is_named_in_a_line(tmp_path, capsys, number, said):
    if number == BLOSC and find_spec("hdf5plugin"):
        pytest.skip("the filter is there")
    place = packed(tmp_path / "events.h5", number)
    with pytest.raises(DataError, match=said) as raised:
        sw.load_recording(place, sensor=(640, 480)).columns("x")
    assert "\n" not in str(raised.value)
    words = ["convert", "net.onnx", "--data", str(place), "--binning", "frames=1,sensor=640x480", "-o", "x.safetensors"]
    assert run(words) == 2
    assert len([line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]) == 1


def test_a_damaged_file_whose_filters_are_there_is_not_said_to_lack_any(tmp_path):
    place = tmp_path / "events.h5"
    with h5py.File(place, "w") as file:
        for label, values in columns().items():
            file.create_dataset(f"events/{label}", data=values, chunks=(6000,), compression="gzip")
        chunk = file["events/t"].id.get_chunk_info(0)
    content = bytearray(place.read_bytes())
    content[chunk.byte_offset + 40 : chunk.byte_offset + 400] = bytes(360)
    place.write_bytes(content)
    with pytest.raises(DataError, match="damaged") as raised:
        sw.load_recording(place, sensor=(640, 480)).columns("t")
    assert "pip install" not in str(raised.value)


def test_chunks_that_crash_a_filter_are_one_line(tmp_path):
    """Blosc may crash on what it did not pack; a process of its own finds that out first."""
    pytest.importorskip("hdf5plugin")
    with pytest.raises(DataError, match=r"HDF5 gets lost in it|damaged or not what its name says") as raised:
        sw.load_recording(packed(tmp_path / "events.h5", BLOSC), sensor=(640, 480)).columns("x")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("codec", ["zstd", "lz4", "blosclz"])
def test_files_of_dsec(tmp_path, codec):
    """As DSEC has them: four columns, a table of milliseconds, and an offset of all times."""
    hdf5plugin = pytest.importorskip("hdf5plugin")
    wanted = columns()
    with h5py.File(tmp_path / "events.h5", "w") as file:
        for label, values in wanted.items():
            how = hdf5plugin.Blosc(cname=codec, clevel=1)
            file.create_dataset(f"events/{label}", data=values, chunks=(1024,), **how)
        file["ms_to_idx"] = np.searchsorted(wanted["t"], np.arange(200) * 1000).astype(np.uint64)
        file["t_offset"] = np.int64(OFFSET)
    recording = sw.load_recording(tmp_path / "events.h5", sensor=(640, 480))
    x, y, t, p = recording.columns("x", "y", "t", "p")
    assert (t == wanted["t"].astype(np.int64) + OFFSET).all()
    for found, label in ((x, "x"), (y, "y"), (p, "p")):
        assert (found == wanted[label]).all()
