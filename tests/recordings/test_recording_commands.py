"""Every command that takes data, given recordings: it runs, or says in a line why it does not."""

import json
import shutil

import numpy as np
import pytest

import spikewright as sw
from networks import Builder
from spikewright.cli.app import run as command

BINNING = ("--binning", "frames=1,sensor=8x8")
KIND = [("x", "i2"), ("y", "i2"), ("t", "i8"), ("p", "?")]


def made(seed, milliseconds, label):
    random = np.random.default_rng(seed)
    found = np.zeros(300, KIND)
    found["x"], found["y"] = random.integers(0, 4, 300) + 4 * label, random.integers(0, 8, 300)
    found["t"] = np.sort(random.integers(0, milliseconds * 1000, 300))
    found["t"][0], found["t"][-1] = 0, milliseconds * 1000 - 1
    found["p"] = random.integers(0, 2, 300)
    return found


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Class folders of recordings of one length and of several, a recording, and networks."""
    folder = tmp_path_factory.mktemp("recordings")
    for name, lengths in (("equal", (20, 20)), ("uneven", (12, 20, 25))):
        for part, first, count in (("Train", 0, 6), ("Test", 500, 3)):
            for label in (0, 1):
                own = folder / name / part / "ab"[label]
                own.mkdir(parents=True)
                for k in range(count):
                    np.save(own / f"{k}.npy", made(first + 50 * label + k, lengths[k % len(lengths)], label))
    np.savez(folder / "one.npz", **{label: made(3, 20, 1)[label] for label in "xytp"})
    net = Builder(3, (2, 8, 8))
    net.conv(4)
    net.relu()
    net.avg_pool()
    net.flatten()
    net.linear(2)
    sw.save(net.graph(), folder / "net.safetensors")
    made_so = ("--spikes", "multi", "--correct", "gain:4")
    for name in ("equal", "uneven"):
        words = ["convert", folder / "net.safetensors", "--data", folder / name, *BINNING, *made_so]
        assert command([*map(str, words), "-o", str(folder / f"{name}.safetensors")]) == 0
    words = ["convert", folder / "net.safetensors", "--data", folder / "equal", *BINNING, "--readout", "count"]
    assert command([*map(str, words), "-o", str(folder / "counts.safetensors")]) == 0
    words = ["quantise", folder / "counts.safetensors", "--chip", "speck2f", "-o", folder / "chip.safetensors"]
    assert command([*map(str, words)]) == 0
    return folder


@pytest.fixture
def run(place, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(place)

    def runs(text):
        capsys.readouterr()
        status = command(text.replace("OUT", str(tmp_path)).split())
        said = capsys.readouterr()
        assert "Traceback" not in said.out + said.err
        return status, said.out, said.err

    return runs


@pytest.mark.parametrize("name", ["equal", "uneven"])
def test_measured_while_converting(run, tmp_path, name):
    words = f"convert net.safetensors --data {name} --binning frames=1,sensor=8x8 --method max --method percentile:99"
    status, out, _ = run(f"{words} --test {name} --dt 1ms -o OUT/a.safetensors --report OUT/a.html --json")
    assert status == 0
    told = json.loads(out)
    assert {one["timesteps"] for one in told["measures"].values()} == {20 if name == "equal" else 25}
    assert (tmp_path / "a.html").exists()


@pytest.mark.parametrize("name", ["equal", "uneven"])
def test_fine_tuned(run, tmp_path, name):
    limits = "--synops-limit total=1e6 --chip speck2f" if name == "equal" else ""
    words = f"finetune counts.safetensors --data {name} --dt 1ms --epochs 1 -o OUT/f.safetensors"
    status, out, _ = run(f"{words} --checkpoint OUT/c.safetensors --test {name} {limits}")
    assert status == 0
    assert "before and after training" in out
    assert "written" in out
    assert ("total is of the layers that hear spikes of neurons; the table counts " in out) == bool(limits)
    assert run("simulate OUT/f.safetensors --data equal --dt 1ms")[0] == 0


def test_fine_tuned_at_longer_timesteps_than_it_runs_at(run):
    """As docs/recordings.md does it: nothing to warn of, however many more timesteps the runs have."""
    words = "finetune equal.safetensors --data equal --dt 10ms --epochs 1 -o OUT/f.safetensors --test equal"
    assert run(words)[0] == 0
    status, _, err = run("simulate OUT/f.safetensors --data equal --dt 1ms")
    assert (status, "was made for" in err) == (0, False)


def test_fine_tuned_to_a_chip_without_a_public_limit(run, tmp_path):
    """A timestep must be said of recordings; it does not ask for a limit of the chip."""
    words = (
        "finetune counts.safetensors --data equal --dt 1ms --epochs 1 --test equal -o OUT/f.safetensors --chip speck2f"
    )
    status, out, said = run(f"{words} --report OUT/f.html")
    assert status == 0, said
    assert "speck2f, after: fits" in out
    assert "speck2f holds it (" in (tmp_path / "f.html").read_text()
    assert max(len(line) for line in out.splitlines() if str(tmp_path) not in line) <= 80
    assert "spikes/step" in out


def test_the_page_of_a_run(run, tmp_path):
    status, out, _ = run("simulate equal.safetensors --data one.npz --dt 1ms --report OUT/page.html")
    assert status == 0
    assert "page.html, of one.npz" in out
    text = (tmp_path / "page.html").read_text()
    assert "A run on its events" in text
    assert text.count("<image ") == 20
    assert any(line.startswith("at 0.001 s a timestep: ") and line.endswith(" mW") for line in out.splitlines())
    status, out, _ = run("simulate uneven.safetensors --data uneven --dt 1ms --report OUT/b.html --json")
    assert json.loads(out)["report"].endswith("b.html")


def test_rates_and_synapses(run):
    assert run("simulate counts.safetensors --data uneven --dt 1ms -o OUT/run.npz")[0] == 0
    assert run("synapses counts.safetensors --rates OUT/run.npz")[0] == 0
    assert run("synapses counts.safetensors --data uneven --dt 1ms")[0] == 0
    status, by_rates, _ = run("check counts.safetensors --chip speck2f --rates OUT/run.npz --json")
    assert status == 0
    status, by_events, _ = run("check counts.safetensors --chip speck2f --data uneven --dt 1ms --json")
    means = [[one["mean"] for one in json.loads(out)["bandwidth"]["layers"]] for out in (by_rates, by_events)]
    assert means[0] == pytest.approx(means[1])


def test_tuned_with_corrections_and_a_test(run):
    words = "tune net.safetensors --data equal --binning frames=1,sensor=8x8 --dt 1ms --grid spikes=multi"
    status, out, _ = run(f"{words} --grid gain=1..2 --grid correct=v_init --test equal")
    assert status == 0
    (line,) = (line for line in out.splitlines() if line.startswith("spikewright convert"))
    assert "--dt 1ms" in line
    assert "-T" not in line
    assert run(line.removeprefix("spikewright ").replace("chosen", "OUT/chosen"))[0] == 0


def test_one_recording_by_the_binning_of_its_network(run):
    """A file of a recording is a data set of one: its crop and sensor are those of the network."""
    status, out, _ = run("check counts.safetensors --chip speck2f --data one.npz --dt 1ms --json")
    assert (status, json.loads(out)["data"]["samples"]) == (0, 1)
    assert run("simulate chip.safetensors --data one.npz --dt 1ms")[0] == 0


NO_VALUES = "reasons are those of runs on values"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("convert net.safetensors --data equal -o OUT/x.safetensors", "become frames by a binning"),
        ("convert net.safetensors --data equal {b} --test equal -o OUT/x.safetensors", "measured on their events: say"),
        (
            "convert net.safetensors --data equal {b} --test equal --dt 1ms -T 9 -o OUT/x.safetensors",
            "--timesteps",
        ),
        (
            "convert net.safetensors --data equal {b} --dt 1ms -o OUT/x.safetensors",
            "--dt would change",
        ),
        (
            "convert net.safetensors --data equal {b} --method auto:8 -o OUT/x.safetensors",
            "auto:8 chooses",
        ),
        ("convert net.safetensors --data equal {b} --correct v_init -o OUT/x.safetensors", "v_init looks at runs, and"),
        (
            "convert net.safetensors --data uneven {b} --correct bias --dt 1ms -o OUT/x.safetensors",
            "of one length",
        ),
        ("simulate equal.safetensors --data equal", "say how long a timestep is, dt=1e-3 (--dt 1ms)"),
        ("simulate equal.safetensors --data equal --dt 1ms --readout-from 3", "recordings answer at their own ends"),
        (
            "simulate equal.safetensors --data equal --dt 1ms --early-exit 0.1 --calibration equal",
            "answer at their own",
        ),
        ("simulate equal.safetensors --data equal --dt 1ms --no-explain", NO_VALUES),
        ("simulate equal.safetensors --data equal --dt 1ms --encoder poisson", "poisson makes spikes of values"),
        (
            "simulate equal.safetensors --data equal --dt 1ms --binning dt=5ms,sensor=8x8",
            "was converted with",
        ),
        ("simulate chip.safetensors --data equal --dt 1ms {b}", "a chip is sent one recording at a time"),
        ("check chip.safetensors --data equal --dt 1ms {b}", "a chip is sent one recording at a time"),
        ("check counts.safetensors --data equal --dt 1ms -T 4 --chip speck2f", "--timesteps would change nothing"),
        ("check counts.safetensors --data equal --chip speck2f", "need to know how long a step is: say --dt 1ms"),
        ("synapses equal.safetensors --data equal", "how long a timestep is: give dt=1e-3 (--dt 1ms)"),
        ("finetune equal.safetensors --data equal -o OUT/f.safetensors", "say how long a timestep is (--dt 1ms)"),
        ("finetune equal.safetensors --data equal --dt 1ms -T 4 -o OUT/f.safetensors", "--timesteps would change noth"),
        ("finetune equal.safetensors --data one.npz --dt 1ms -o OUT/f.safetensors", "too few to hold some out"),
        (
            "finetune equal.safetensors --data equal --dt 1s -o OUT/f.safetensors",
            "1s is longer than the frames",
        ),
        ("simulate equal.safetensors --data equal --dt 21ms", "a timestep of 21ms is longer than the frames of these"),
        (
            "tune net.safetensors --data equal {b} --grid gain=1..2 --dt 1s",
            "frames=1,sensor=8x8, 20ms at most",
        ),
        ("tune net.safetensors --data equal {b} --grid gain=1..2", "say how long a timestep is, dt=1e-3 (--dt 1ms)"),
        ("tune net.safetensors --data equal {b} --grid correct=bursts --dt 1ms", "bursts: tries runs on values"),
    ],
)
def test_what_is_refused_says_why(run, tmp_path, words, said):
    status, _, err = run(words.replace("{b}", " ".join(BINNING)))
    assert status == 2
    errors = [line for line in err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert said in " ".join(err.split())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "array", "said"),
    [
        ("empty", made(0, 20, 0)[:0], "0.npy: it holds no events; take it out"),
        ("outside", None, "0.npy: it holds no events, 300 lie outside of its sensor; take it out"),
        ("columns", np.zeros((3, 4)), "0.npy: four columns do not say which is which"),
        ("cut", b"", "0.npy: damaged or not what its name says"),
        ("far", None, "timesteps of 0.001 s, and a run has at most 16,777,216"),
    ],
)
def test_an_odd_recording_among_good_ones(run, place, tmp_path, name, array, said):
    """It is named in a line; nothing is left out without a word, and nothing is written."""
    shutil.copytree(place / "equal", tmp_path / "data")
    for part in ("Train", "Test"):
        file = tmp_path / "data" / part / "a" / "0.npy"
        found = np.load(file)
        if name == "outside":
            found["x"] += 30
        elif name == "far":
            found["t"][-1] = 10**15
        if name == "cut":
            file.write_bytes(file.read_bytes()[:700])
        else:
            np.save(file, found if array is None else array)
    wanted = ["simulate equal.safetensors --data OUT/data --dt 1ms"]
    wanted += ["finetune equal.safetensors --data OUT/data --dt 1ms --epochs 1 -o OUT/f.safetensors"]
    if name != "far":
        wanted.append(f"convert net.safetensors --data OUT/data {' '.join(BINNING)} -o OUT/x.safetensors")
    for words in wanted:
        status, _, err = run(words)
        assert status == 2
        assert said in " ".join(err.split())
    assert [entry.name for entry in tmp_path.iterdir()] == ["data"]


@pytest.mark.parametrize("name", ["one", "moment", "unsorted", "negative"])
def test_odd_times_run(run, tmp_path, name):
    found = made(901, 20, 0)
    if name == "one":
        found = found[:1]
    elif name == "moment":
        found["t"] = 5
    elif name == "unsorted":
        found = found[np.random.default_rng(0).permutation(len(found))]
    else:
        found["t"] -= 10**6
    np.save(tmp_path / "r.npy", found)
    status, out, err = run("simulate equal.safetensors --data OUT/r.npy --dt 1ms --json")
    assert status == 0, err
    assert json.loads(out)["timesteps"] == (20 if name in ("unsorted", "negative") else 1)


def test_a_long_recording_is_measured(run):
    """Of more timesteps than are drawn."""
    status, out, _ = run("simulate equal.safetensors --data one.npz --dt 10us --json")
    assert (status, json.loads(out)["timesteps"]) == (0, 2000)
