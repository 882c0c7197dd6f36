"""Every format of recordings: bytes of the facts, files that the formats' own libraries wrote, real recordings."""

import json
import os
import sys
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from spikewright.errors import DataError
from spikewright.recordings import load_recording, raw, recording_formats

FILES = Path(__file__).parent / "files"
FACTS = json.loads((FILES / "facts.json").read_text())
TINY = [[t, x, y, p] for t, x, y, p in FACTS["tiny_txyp"]]
sys.path.insert(0, str(FILES))

from by_peers import events  # noqa: E402

PEERS = sorted(path.name for path in FILES.glob("peer_*"))


def txyp(recording):
    return [
        list(row) for row in zip(*(column.tolist() for column in recording.columns("t", "x", "y", "p")), strict=True)
    ]


def written(folder, name, content):
    (folder / name).write_bytes(bytes.fromhex(content) if isinstance(content, str) else content)
    return folder / name


def test_all_formats_are_found():
    known = "aedat2 aedat3 aedat4 dat es evt2 evt3 hdf5 nmnist npz"
    assert sorted(recording_formats()) == known.split()


@pytest.mark.parametrize(
    ("name", "key", "size"),
    [
        ("a.es", "es", (640, 480)),
        ("a.raw", "evt2", (640, 480)),
        ("a.raw", "evt3", (640, 480)),
        ("a.dat", "dat", (640, 480)),
    ],
)
def test_bytes_of_the_facts(tmp_path, name, key, size):
    recording = load_recording(written(tmp_path, name, FACTS[key]))
    assert txyp(recording) == TINY
    assert recording.sensor_size == size


@pytest.mark.parametrize("name", ["tiny.aedat4", "tiny.dat", "tiny_evt2.raw", "tiny_evt3.raw"])
def test_tiny_files(name):
    recording = load_recording(FILES / name)
    assert txyp(recording) == TINY
    assert len(recording) == 5
    assert recording.sensor_size == (640, 480)


@pytest.mark.parametrize("key", ["aedat2", "aedat3"])
def test_bytes_of_aedat(tmp_path, key):
    recording = load_recording(written(tmp_path, "a.aedat", FACTS[key]["hex"]), sensor=(128, 128))
    assert txyp(recording) == [[t, x, y, p] for x, y, p, t in FACTS[key]["xypt"]]


@pytest.mark.filterwarnings("ignore::spikewright.errors.SpikewrightWarning")
@pytest.mark.parametrize("key", ["nmnist", "nmnist_overflow"])
def test_bytes_of_nmnist(tmp_path, key):
    recording = load_recording(written(tmp_path, "a.bin", FACTS[key]["hex"]), sensor=(34, 34))
    assert txyp(recording) == [[t, x, y, p] for x, y, t, p in FACTS[key]["xytp"]]


@pytest.mark.parametrize("name", PEERS)
def test_files_of_peers(name):
    recording = load_recording(FILES / name, sensor=(304, 240) if "expelliarmus" in name else None)
    for found, wanted in zip(recording.columns(), events(), strict=True):
        assert np.array_equal(found, wanted)
    assert recording.sensor_size == (304, 240)
    assert recording.notes == ()


def test_vectors_of_evt3_as_expelliarmus_reads_them():
    """x, y and p; its times lose what lies over gaps."""
    recording = load_recording(FILES / "vectors_evt3.raw")
    found = [sha256(column.astype("<i4").tobytes()).hexdigest()[:16] for column in recording.columns("x", "y", "p")]
    assert found == ["6d3f04fd35848bf1", "63ec68cb954f2205", "79285c37eee842e7"]
    assert len(recording) == 17216


def test_evt3_against_a_plain_loop(tmp_path):
    """Any words, in any order, against what the format's description says one word at a time."""
    random = np.random.default_rng(0)
    kinds = random.choice(
        [0, 2, 3, 4, 5, 6, 8, 7, 1, 14], 5000, p=[0.15, 0.2, 0.1, 0.1, 0.1, 0.1, 0.05, 0.1, 0.05, 0.05]
    )
    words = (kinds.astype("<u2") << 12) | random.integers(0, 4096, 5000).astype("<u2")
    path = written(tmp_path, "a.raw", b"% evt 3.0\n% end\n" + words.tobytes())
    wanted, row, base, bright, high, low, turns = [], None, None, 0, None, 0, 0
    for word in words.tolist():
        kind, data = word >> 12, word & 0xFFF
        if kind == 0:
            row = data & 0x7FF
        elif kind == 3:
            base, bright = data & 0x7FF, data >> 11
        elif kind == 8:
            turns += 0 if high is None else (data - high < -2048) - (data - high > 2048)
            high, low = data, 0
        elif kind == 6:
            low = data
        t = None if high is None else (turns << 24) + (high << 12) + low
        found = [(data & 0x7FF, data >> 11)] if kind == 2 else []
        if kind in (4, 5) and base is not None:
            size = 12 if kind == 4 else 8
            found = [(base + bit, bright) for bit in range(size) if data >> bit & 1]
            base += size
        if row is not None and t is not None:
            wanted += [[t, x, row, bool(p)] for x, p in found]
    with pytest.warns(match="of no known kind"):
        assert txyp(load_recording(path)) == wanted


def test_real_recordings():
    nmnist = load_recording(FILES / "sample_nmnist.bin", sensor=(34, 34))
    x, y, t, p = nmnist.columns()
    assert (len(nmnist), nmnist.outside) == (4325, 0)
    assert [x[0], y[0], t[0], p[0]] == [7, 15, 654, 1]
    assert [x[-1], y[-1], t[-1], p[-1]] == [21, 14, 311175, 1]
    assert [int((~p).sum()), int(p.sum())] == [2180, 2145]
    ncars = load_recording(FILES / "sample_ncars.dat", sensor=(120, 100))
    assert len(ncars) == 2009
    assert txyp(ncars)[:3] == [[0, 25, 8, 0], [35, 67, 35, 0], [152, 56, 27, 1]]


def test_a_real_davis_recording():
    path = Path(os.environ.get("SPIKEWRIGHT_DATA", "/nowhere"), "events/road_davis346.aedat4")
    if not path.exists():
        pytest.skip("SPIKEWRIGHT_DATA does not hold the recording")
    recording = load_recording(path)
    assert (len(recording), recording.sensor_size) == (78830, (346, 260))
    x, y, t = recording.columns("x", "y", "t")
    assert [t[0], x[0], y[0]] == [1589163147368868, 215, 164]


@pytest.mark.filterwarnings("ignore::spikewright.errors.SpikewrightWarning")
@pytest.mark.parametrize("name", [*PEERS, "vectors_evt3.raw", "sample_nmnist.bin", "sample_ncars.dat"])
def test_pieces_of_any_size_are_the_whole(name, monkeypatch):
    whole = load_recording(FILES / name).columns()
    monkeypatch.setattr(raw, "WORDS", 7)
    monkeypatch.setattr("spikewright.recordings.formats.es.PIECE", 11)
    for found, wanted in zip(load_recording(FILES / name).columns(), whole, strict=True):
        assert np.array_equal(found, wanted)


def test_clocks_begin_anew(tmp_path):
    """32 bits of dat and aedat2 every 71 minutes, 34 of EVT2, 24 of EVT3 every 16.8 s, 31 of aedat3 with a count."""
    late = 2**32 - 10
    times = np.array([[late, 1], [late + 5, 1], [3, 1], [2**31, 1], [2**32 - 1, 1], [7, 1]], "<u4")
    dat = load_recording(written(tmp_path, "a.dat", b"\x00\x08" + times.tobytes()))
    wanted = [late, late + 5, 2**32 + 3, 2**32 + 2**31, 2**33 - 1, 2**33 + 7]
    assert dat.columns("t")[0].tolist() == wanted
    swapped = np.ascontiguousarray(times[:, ::-1]).astype(">u4")
    aedat = load_recording(written(tmp_path, "a.aedat", b"#!AER-DAT2.0\r\n" + swapped.tobytes()))
    assert aedat.columns("t")[0].tolist() == wanted
    highs = np.array([0x8FFFFFFF, 0x10000000, 0x80000000, 0x10000000], "<u4")
    evt2 = load_recording(written(tmp_path, "a.raw", b"% evt 2.0\n" + highs.tobytes()))
    assert evt2.columns("t")[0].tolist() == [2**34 - 64, 2**34]
    words = np.array([0x0000, 0x8FFF, 0x2001, 0x8000, 0x2001], "<u2")
    evt3 = load_recording(written(tmp_path, "b.raw", b"% evt 3.0\n" + words.tobytes()))
    assert evt3.columns("t")[0].tolist() == [2**24 - 4096, 2**24]
    packet = np.array([[1, 0]], "<u4")
    head = bytes.fromhex("0100010008000000040000000200000001000000") + b"\1\0\0\0\1\0\0\0" + packet.tobytes()
    aedat3 = load_recording(written(tmp_path, "b.aedat", b"#!AER-DAT3.1\r\n#End Of ASCII Header\r\n" + head))
    assert aedat3.columns("t")[0].tolist() == [2**32]


def test_davis_cameras_of_aedat2(tmp_path):
    header = b"#!AER-DAT2.0\r\n# AEChip: eu.seebetter.ini.chips.davis.DAVIS240C\r\n"
    address = 100 << 22 | 50 << 12 | 1 << 11
    words = np.array([[address, 10], [address | 1 << 31, 11], [address | 1 << 10, 12]], ">u4")
    recording = load_recording(written(tmp_path, "a.aedat", header + words.tobytes()))
    assert recording.sensor_size == (240, 180)
    assert txyp(recording) == [[10, 50, 100, True]]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.es", b"Event Stream\x02\0\0\x02\x10\0\x10\0", "it holds ATIS events, where DVS events are read"),
        ("a.es", b"Event Stream\x01\0\0\x01\x10\0\x10\0", "Event Stream 1, where version 2 is read"),
        ("a.dat", b"% Width 4\n\x07\x08", "events of kind 0708"),
        ("a.aedat", b"#!AER-DAT3.1\r\n#End Of ASCII Header\r\n" + b"\xff" * 28, "a packet of -1 events"),
        ("a.aedat4", b"#!AER-DAT4.0\r\n\xff\xff\xff\x7f", "a header of 2,147,483,647 bytes"),
        ("a.npz", b"PK", "damaged or not what its name says"),
    ],
)
def test_damaged_files_are_one_line(tmp_path, name, content, said):
    with pytest.raises(DataError, match=said) as caught:
        len(load_recording(written(tmp_path, name, content)))
    assert "\n" not in str(caught.value)
    assert name in str(caught.value)


@pytest.mark.parametrize(
    ("name", "key", "said"),
    [
        ("a.bin", "nmnist_overflow", "4 bytes left over at the end"),
        ("a.aedat", "aedat2", "7 bytes left over at the end"),
        ("a.dat", "dat", "7 bytes left over at the end"),
        ("a.es", "es", "4 bytes left over at the end"),
    ],
)
def test_files_that_are_cut_are_counted(tmp_path, name, key, said):
    fact = FACTS[key]
    content = bytes.fromhex(fact if isinstance(fact, str) else fact["hex"])[:-1]
    with pytest.warns(match=said):
        found = load_recording(written(tmp_path, name, content)).columns("t")[0]
    assert len(found) >= 1
