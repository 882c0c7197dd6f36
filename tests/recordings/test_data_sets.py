"""Folders and tables of recordings as data sets, on the command line too; gain swept on events."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

import spikewright as sw
from networks import Builder
from spikewright.data import load_data
from spikewright.data.recordings import Recordings
from spikewright.errors import DataError, SettingsError

FILES = Path(__file__).parent / "files"
AEDAT = b"#!AER-DAT3.1\r\n#Source 1: DVS128\r\n#End Of ASCII Header\r\n"


def bin_file(path, seed, events=200, side=34, where=None):
    """An N-MNIST file with events around a place."""
    random = np.random.default_rng(seed)
    place = random.integers(0, side, (2, events)) if where is None else random.normal(where, 3, (2, events))
    x, y = place.clip(0, side - 1).astype(np.int64)
    t = np.sort(random.integers(0, 50_000, events))
    t[0], t[-1] = 0, 49_999
    p = random.integers(0, 2, events)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(np.stack([x, y, p << 7 | t >> 16, t >> 8 & 255, t & 255], axis=1).astype(np.uint8).tobytes())
    return path


@pytest.fixture
def nmnist(tmp_path):
    """As it is unpacked: Train and Test, with a folder for each digit."""
    for part, count in (("Train", 6), ("Test", 3)):
        for digit in "012":
            for k in range(count):
                bin_file(
                    tmp_path / "nmnist" / part / digit / f"{k:05}.bin", 100 * int(digit) + k, where=6 + 10 * int(digit)
                )
    return tmp_path / "nmnist"


def test_folders_of_class_folders(nmnist):
    data = load_data(str(nmnist), split="train", binning="frames=1,sensor=34x34")
    assert isinstance(data, Recordings)
    assert len(data) == 18
    assert data.classes == ("0", "1", "2")
    assert data.targets.tolist() == [0] * 6 + [1] * 6 + [2] * 6
    test = load_data(
        str(nmnist), split="test", binning=sw.Binning(frames=1, sensor=(34, 34)), inputs={"x": (2, 34, 34)}
    )
    assert len(test) == 9
    assert next(iter(test.batches(9)))[0].shape == (9, 2, 34, 34)


def test_one_file(nmnist):
    data = load_data(str(nmnist / "Test/1/00000.bin"), binning="dt=10ms,sensor=34x34")
    assert (len(data), len(data.frames), data.has_labels) == (1, 5, False)


def gesture(folder, name="user01_led", table=None):
    """A recording of DVS128 Gesture with its table."""
    number = 400
    t = np.arange(number) * 1000
    words = np.stack([(np.arange(number) % 128) << 17 | 5 << 2 | 3, t], axis=1).astype("<u4")
    head = np.array([1, 8, 4, 0, number, number, number], "<i4")
    packet = np.array([1, 1], "<i2").tobytes() + head[1:].tobytes()
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.aedat").write_bytes(AEDAT + packet + words.tobytes())
    text = "class,startTime_usec,endTime_usec\n1,10000,60000\n3,100000,180000\n1,200000,210000\n"
    (folder / f"{name}_labels.csv").write_text(text if table is None else table)


def test_tables_of_labelled_stretches(tmp_path):
    folder = tmp_path / "gesture"
    gesture(folder)
    gesture(folder, "user02_led")
    data = load_data(str(folder), split="train", binning="dt=20ms,polarity=merged")
    assert data.shape == (1, 128, 128)
    assert data.targets.tolist() == [0, 2, 0] * 2
    assert [len(item) for item in data.items] == [50, 80, 10] * 2
    assert [item.start for item in data.items[:3]] == [10000, 100000, 200000]
    (folder / "trials_to_test.txt").write_text("user02_led.aedat\n")
    assert len(load_data(str(folder), binning="dt=20ms")) == 3
    one = load_data(str(folder / "user01_led.aedat"), binning="frames=4")
    assert (len(one), len(one.frames)) == (3, 12)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("a,b\n1,2\n", "a table of labelled stretches begins with class,startTime_usec,endTime_usec, not 'a,b'"),
        ("class,start,end\n1,x,2\n", "line 2: '1,x,2' is no class with its first and last µs"),
        ("class,start,end\n1,5,2\n", "line 2: a stretch that ends at 2 before it begins at 5"),
        ("class,start,end\n", "hold no stretches"),
        ("", "begins with class"),
    ],
)
def test_tables_that_are_none(tmp_path, table, said):
    gesture(tmp_path / "g", table=table)
    with pytest.raises(DataError, match=said):
        load_data(str(tmp_path / "g"), binning="frames=1")


def test_what_is_refused(nmnist, tmp_path):
    with pytest.raises(DataError, match="become frames by a binning: give binning='dt=50ms'"):
        load_data(str(nmnist))
    with pytest.raises(DataError, match=r"preprocessing is for pictures and arrays"):
        load_data(str(nmnist), binning="frames=1", preprocessing=sw.Preprocessing(scale=2))
    np.save(tmp_path / "x.npy", np.zeros((3, 5)))
    with pytest.raises(DataError, match="a recording has four columns"):
        next(load_data(str(tmp_path / "x.npy"), binning="frames=1,sensor=4x4").batches(1))
    with pytest.raises(DataError, match="does not say how large its sensor is"):
        load_data(str(nmnist / "Train"), binning="frames=1").shape  # noqa: B018
    with pytest.raises(DataError, match="holds no recordings of event cameras, which a binning is for"):
        load_data(__file__, binning="frames=1")
    (tmp_path / "text.raw").write_text("hello")
    with pytest.raises(DataError, match="no known format of recordings") as caught:
        load_data(str(tmp_path / "text.raw"), binning="frames=1")
    assert str(caught.value).count("text.raw") == 1, "a file is named once"
    bin_file(nmnist / "Train/0/99999.dat", 0)
    mixed = load_data(str(nmnist), split="train", binning="frames=1,sensor=34x34")
    with pytest.raises(DataError, match=r"99999.dat: damaged or not what its name says"):
        list(mixed.batches(100))


def net():
    made = Builder(7, (2, 34, 34))
    made.conv(3, stride=4)
    made.relu()
    made.flatten()
    made.linear(3)
    return made.graph()


def test_the_gain_swept_on_events(nmnist):
    data = load_data(str(nmnist), split="train", binning="frames=1,sensor=34x34")
    found = sw.tune(net(), data, ["gain=1..3", "spikes=multi"], dt=1e-3, seed=1)
    assert found.timesteps.values == (50,)
    assert [one.point["gain"] for one in found.tried] == ["1", "2", "3"]
    assert found.dt == 1e-3
    rates = [row.firing_rate for row in found.rows]
    assert rates == sorted(rates)
    assert rates[-1] > rates[0]
    told = found.summary()["points"][0]
    assert told["synops_per_second"] == pytest.approx(found.rows[0].synops / 0.05)
    assert "synaptic operations/s" in str(found)
    assert found.conversion.binning == data.binning
    with pytest.raises(SettingsError, match="say how long a timestep is, dt=1e-3"):
        sw.tune(net(), data, ["gain=1..3"])


def test_on_the_command_line(nmnist, tmp_path, capsys):
    from spikewright.cli.app import run as command

    sw.save(net(), tmp_path / "net.safetensors")

    def run(*words):
        status = command([*map(str, words)])
        said = capsys.readouterr()
        return status, said.out + said.err

    binning = ("--binning", "frames=1,sensor=34x34")
    spiking = tmp_path / "spiking.safetensors"
    made = ("convert", tmp_path / "net.safetensors", "--data", nmnist, *binning, "-o", spiking, "--spikes", "multi")
    assert run(*made)[0] == 0
    status, said = run("simulate", spiking, "--data", nmnist, "--dt", "1ms", "--json", "--allow-overlap")
    assert status == 0
    told, _ = json.JSONDecoder().raw_decode(said[said.index("{") :])
    assert (told["timesteps"], told["samples"], told["dt"]) == (50, 9, 0.001)
    assert run("simulate", spiking, "--data", nmnist)[0] == 2
    status, said = run("simulate", spiking, "--data", nmnist, "--dt", "1ms", "-T", "8")
    assert status == 2
    assert "the number of timesteps follows from the recordings and --dt" in said
    status, said = run(*made, "--force", "--test", nmnist)
    assert status == 2
    assert "recordings are measured on their events" in said


def test_real_recordings_run():
    """N-MNIST's own sample, and a DAVIS camera on a road where SPIKEWRIGHT_DATA has it."""
    sample = load_data(str(FILES / "sample_nmnist.bin"), binning="frames=1,sensor=34x34")
    conversion = sw.convert(net(), sample, "max", neurons="max_spikes=multi", correct="gain:5")
    run = sw.simulate(conversion, sample, dt=1e-3, quiet=True)
    assert (run.timesteps, run.engine) == (311, "event")
    assert sum(counts.sum() for counts in run.counts.values()) > 0
    road = Path(os.environ.get("SPIKEWRIGHT_DATA", "/nowhere"), "events/road_davis346.aedat4")
    if not road.exists():
        pytest.skip("SPIKEWRIGHT_DATA does not hold the recording of a road")
    data = load_data(str(road), binning="dt=100ms,crop=136x136,downsample=4,noise=5ms")
    assert data.shape == (2, 34, 34)
    found = sw.simulate(sw.convert(net(), data, "max", neurons="max_spikes=multi"), data, dt=1e-3, quiet=True)
    assert found.timesteps == 2360
