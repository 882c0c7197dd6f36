"""Every kind of bad input, typed: three lines and 600 characters at most, exit status 2, nothing written."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

import spikewright as sw
from networks import plain
from spikewright.calibration import Max
from spikewright.cli.app import run

CODE = """
import sys
import numpy as np
from torch import nn
def net(): return nn.Sequential(nn.Linear(4, 3), nn.ReLU())
def ends(): sys.exit(5)
def fails(): raise ValueError("one\\n" * 500)
def number(): return 3
def takes(x): return x
def ended_data(): sys.exit("bye")
def failed_data(): raise ValueError("one\\n" * 500)
def no_data(): return None
def named_data(): return {"x": np.zeros((2, 3)), "y": [0, 1]}
class Ending:
    def __len__(self): return 2
    def __getitem__(self, k): sys.exit(3)
def ending_items(): return Ending()
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Good and bad files; no case changes any of it."""
    home = tmp_path_factory.mktemp("refusals")
    builder = plain(1)
    graph, x = builder.graph(), builder.samples(6)
    sw.save(graph, home / "net.safetensors")
    scales = sw.calibrate(sw.prepare(graph)[0], x, [Max()]).scales(Max())
    sw.save(sw.convert(graph, scales), home / "snn.safetensors")
    sw.save(sw.convert(graph, scales, neurons="few_spike"), home / "few.safetensors")
    sw.save(sw.convert(graph, scales, neurons="signed"), home / "signed.safetensors")
    y = np.arange(6) % 3
    labels = {
        "text": np.array(["cat"] * 6),
        "complex": y * 1j,
        "nan": np.full(6, np.nan),
        "high": y + 90,
        "below": y - 5,
        "huge": np.full(6, 2**64 - 1, np.uint64),
        "short": y[:4],
        "none": np.zeros((6, 0)),
        "maps": np.zeros((6, 5, 5), np.int64),
        "floats": np.linspace(0.1, 0.9, 6),
    }
    np.savez(home / "data.npz", x=x, y=y)
    for name, wrong in labels.items():
        np.savez(home / f"y_{name}.npz", x=x, y=wrong)
    samples = {"empty": x[:0], "nan": np.full_like(x, np.nan), "wide": np.zeros((2, 99)), "text": np.array([["a"]])}
    for name, odd in samples.items():
        np.savez(home / f"x_{name}.npz", x=odd)
    whole = {name: (home / name).read_bytes() for name in ("data.npz", "snn.safetensors")}
    for name, content in {
        "code.py": CODE.encode(),
        "broken.py": b"def x(:\n",
        "ends.py": b"import sys\nsys.exit(5)\n",
        "half.npz": whole["data.npz"][:300],
        "half.safetensors": whole["snn.safetensors"][:-5],
        "a-images-idx3-ubyte.gz": gzip.compress(b"\0\0\x08\3" + struct.pack(">III", 2**31, 2**31, 2)),
        "text.png": b"no picture",
        **{f"junk{suffix}": b"junk" for suffix in (".onnx", ".pt2", ".keras", ".h5", ".nir", ".pt", ".safetensors")},
        **{f"empty{suffix}": b"" for suffix in (".onnx", ".pt2", ".keras", ".h5", ".nir", ".safetensors")},
    }.items():
        (home / name).write_bytes(content)
    (home / "folder").mkdir()
    (home / "circle").symlink_to("circle")
    return home


CONVERT = "convert net.safetensors --data data.npz -o new.safetensors"
SIMULATE = "simulate snn.safetensors --data data.npz -T 2"
TUNE = "tune net.safetensors --data data.npz --grid gain=1..2"
SYNAPSES = "synapses snn.safetensors"
REFUSED: dict[str, str] = {
    # models
    "inspect nowhere.onnx": "no such file",
    "inspect folder": "is a folder",
    "inspect data.npz": "unknown kind of model",
    "inspect half.safetensors": "not a readable Spikewright graph",
    "inspect circle": "",
    **{f"inspect junk{s}": "" for s in (".onnx", ".pt2", ".keras", ".h5", ".nir", ".pt", ".safetensors")},
    **{f"inspect empty{s}": "" for s in (".onnx", ".pt2", ".keras", ".h5", ".nir", ".safetensors")},
    "inspect code.py:net": "the shape of one sample is needed",
    "inspect code.py:missing --shape 4": "has no function or class 'missing'; it has",
    "inspect code.py:ends --shape 4": "code.py:ends: failed with SystemExit: 5",
    "inspect code.py:fails --shape 4": "code.py:fails: failed with ValueError: one",
    "inspect code.py:number --shape 4": "returned a int, not a torch.nn.Module",
    "inspect code.py:takes --shape 4": "needs the arguments (x)",
    "inspect broken.py:x --shape 4": "cannot be imported: SyntaxError",
    "inspect ends.py:x --shape 4": "ends.py: cannot be imported: SystemExit: 5",
    "inspect code.py:net --shape 4 --weights nowhere.pt": "no such weights file",
    "inspect code.py:net --shape 4 --weights junk.pt": "",
    "inspect code.py:net --shape 4 --weights junk.safetensors": "not a whole safetensors file",
    "inspect code.py:net --shape 7": "check the shape of one sample",
    "inspect code.py:net --shape 99999,99999": "a sample has at most 2,147,483,648 values",
    "inspect net.safetensors --weights junk.pt": "weights belong to code",
    **{
        f"inspect code.py:net --shape {shape}": f"--shape takes positive numbers like 1,28,28, not '{shape}'"
        for shape in ("0", "-4", "4.0", "nan", ",", "4,", "²", "٣", "1_0", "9" * 30)
    },
    "inspect net.safetensors --picture net.bmp": "a picture is a .svg, .html or .png file",
    # data
    f"{SIMULATE} --data nowhere.npz": "no such file or folder",
    f"{SIMULATE} --data folder": "no data here",
    f"{SIMULATE} --data circle": "",
    f"{SIMULATE} --data code.py": "unknown kind of data",
    f"{SIMULATE} --data half.npz": "damaged or not what its name says",
    f"{SIMULATE} --data text.png": "",
    f"{SIMULATE} --data a-images-idx3-ubyte.gz": "",
    f"{SIMULATE} --data x_empty.npz": "the data set is empty",
    f"{SIMULATE} --data x_nan.npz": "sample 0 holds NaN or infinity",
    f"{SIMULATE} --data x_wide.npz": "samples have the shape (99,), the network takes",
    f"{SIMULATE} --data x_text.npz": "data must be numbers, not text",
    f"{SIMULATE} --data y_text.npz": "labels are text, such as 'cat'",
    f"{SIMULATE} --data y_complex.npz": "labels are complex128",
    f"{SIMULATE} --data y_nan.npz": "the label of sample 0 holds NaN or infinity",
    f"{SIMULATE} --data y_high.npz": "label 90 does not exist",
    f"{SIMULATE} --data y_below.npz": "label -5 does not exist",
    f"{SIMULATE} --data y_huge.npz": "is too large to be a class",
    f"{SIMULATE} --data y_short.npz": "6 samples but 4 labels",
    f"{SIMULATE} --data y_none.npz": "no task is seen in that",
    f"{SIMULATE} --data y_maps.npz": "no task is seen in that",
    f"{SIMULATE} --data y_floats.npz": "no task is seen in that",
    f"{SIMULATE} --data nomodule:f": "neither a file nor an importable module",
    f"{SIMULATE} --data code.py:missing": "has no function 'missing'",
    f"{SIMULATE} --data code.py:ended_data": "fails with SystemExit: bye",
    f"{SIMULATE} --data code.py:failed_data": "fails with ValueError: one",
    f"{SIMULATE} --data code.py:no_data": "cannot read data from a NoneType",
    f"{SIMULATE} --data code.py:named_data": "a dictionary of x, y: arrays by name are for",
    f"{SIMULATE} --data code.py:ending_items": "item 0 of the Ending cannot be read: 3",
    f"{SIMULATE} --task juggling": "unknown task 'juggling'",
    f"{SIMULATE} --task dense": "that is no dense prediction",
    f"{SIMULATE} --task regression": "that is no regression",
    f"{SIMULATE} --task other=binary": "a task is of an output 'other'",
    f"{SIMULATE} --task binary --task regression": "two tasks of all outputs are said",
    f"{SIMULATE} --task dense:ignore=nan": "ignore takes a whole number, not 'nan'",
    f"{SIMULATE} --samples 2 --first-samples 2": "not both",
    # settings
    **{f"{SIMULATE} {option}": "" for option in ("--samples 0", "--batch-size 0", "--sample-seed -1", "--seed x")},
    **{f"{SIMULATE} -T {number}": "" for number in ("0", "-3", "nan", "1e400", "²", "9" * 30)},
    f"{SIMULATE} --engine steam": "engine must be",
    f"{SIMULATE} --dtype float16": "unknown dtype",
    f"{SIMULATE} --device meta": "device 'meta' cannot be used here; 'cpu' always works",
    f"{SIMULATE} --device toaster": "device 'toaster' cannot be used here",
    f"{SIMULATE} --encoder morse": "unknown encoder 'morse'",
    f"{SIMULATE} --input-scale 3": "add --encoder poisson",
    **{
        f"{SIMULATE} --encoder poisson --input-scale {number}": "" for number in ("0", "-1", "nan", "inf", "1e400", "x")
    },
    **{f"{CONVERT} --spikes {cap}": "--spikes takes single, multi" for cap in ("0", "-1", "²", "9" * 30, "x")},
    **{f"{CONVERT} --v-min {number}": "" for number in ("1", "nan", "inf", "x")},
    **{f"{CONVERT} --leak {number}": "" for number in ("-0.1", "1.5", "nan")},
    **{f"{CONVERT} --v-init {number}": "" for number in ("nan", "inf")},
    **{f"{CONVERT} --method {text}": "" for text in ("magic", "percentile:0", "percentile:nan", "scale:2", "max:3")},
    f"{CONVERT} --correct magic": "unknown corrector 'magic'; choose one of",
    f"{CONVERT} --correct v_init:8..4": "a range of timesteps goes up, as in 4..8, not 8..4",
    f"{CONVERT} --correct v_init:0": "timesteps must be 1 or more, not 0",
    f"{CONVERT} --correct v_init:rounds=0": "v_init: rounds must be 1 or more, not 0",
    f"{CONVERT} --correct v_init:layers": "v_init: unknown option 'layers'; it has timesteps, neurons, rounds",
    f"{CONVERT} --correct bias:form=linear": "bias: a form is one of biases by step; write bias:steps,form=linear",
    f"{CONVERT} --correct bias:steps,form=wavy": "bias: form is one of table, linear, not 'wavy'",
    f"{CONVERT} --correct bias:rate=2": "bias: rate must be above 0 and at most 1, not 2",
    f"{CONVERT} --correct gain:0": "gain: the factor must be above 0, not 0",
    f"{CONVERT} --correct gain:2,8": "gain: it is the same for every T; leave 8 out",
    f"{CONVERT} --correct v_init:4 --correct gain:2": "the gain comes first",
    f"{CONVERT} --correct bursts:1": "bursts: the cap must be 2 or more, not 1",
    f"{CONVERT} --correct bursts:4,budget=0.5": "bursts: the budget must be 1 or more",
    f"{CONVERT} --method mmse:0": "timesteps must be 1 or more, not 0",
    f"{CONVERT} --method mmse:32..4": "a range of timesteps goes up, as in 4..32, not 32..4",
    f"{CONVERT} --method mmse:4,8": "mmse: timesteps is given twice",
    f"{CONVERT} --method gauss:1.5": "timesteps are a whole number or a range, as in 16 or 4..32, not '1.5'",
    f"{CONVERT} --method gauss:8,zeros": "gauss: unknown option 'zeros'; it has timesteps, channels",
    f"{CONVERT} --method ltb:0": "ltb: batches must be 1 or more, not 0",
    f"{CONVERT} --method ltb:20,size=half": "ltb: size takes a number, not 'half'",
    f"{CONVERT} --input-scale ltb": "input scale: give max, a percentile such as 99.9%",
    f"{CONVERT} --input-scale mmse:16": "input scale: give max, a percentile such as 99.9%",
    **{f"{CONVERT} --input-scale {text}": "" for text in ("0", "-1", "nan", "101%", "min")},
    f"{CONVERT} --preprocess scale=0": "preprocessing: scale must not be 0",
    f"{CONVERT} --preprocess scale=1e-400": "preprocessing: scale must not be 0",
    f"{CONVERT} --preprocess scale=1e300": "preprocessing: scale must be a number that float32 holds, not 1e+300",
    f"{CONVERT} --preprocess std=1e-50": "preprocessing: std must be a number that float32 holds, not 1e-50",
    f"{CONVERT} --preprocess mean=1e39": "preprocessing: mean must be a number that float32 holds, not 1e+39",
    f"{CONVERT} --preprocess range=1e39": "preprocessing: range must be a number that float32 holds, not 1e+39",
    f"{CONVERT} --preprocess mean=nan": "preprocessing: mean must be a row of finite numbers, not (nan,)",
    f"{CONVERT} --preprocess range=0": "preprocessing: range must be positive, not 0.0",
    f"{CONVERT} --preprocess scale=1/0": "scale takes numbers like 0.5 or 1/255, not '1/0'",
    f"{CONVERT} --preprocess resize=²": "preprocessing: resize takes the shorter side",
    f"{CONVERT} --preprocess pad={'9' * 30}": "preprocessing: pad takes whole numbers",
    f"{CONVERT} --preprocess frob=1": "preprocessing: unknown 'frob=1'",
    f"{CONVERT} --neurons signed --reset zero": "Neurons: signed neurons send −1 for what they sent",
    f"{CONVERT} --neurons signed,leak=0.9": "they need reset='subtract' and no leak",
    f"{CONVERT} --neurons signed=yes": "neurons: signed is a word of its own, or takes true or false, not 'yes'",
    f"{CONVERT} --neurons sign": "neurons: unknown setting 'sign'",
    f"{CONVERT} --neurons signed,signed": "neurons: signed is given twice",
    f"{CONVERT} --neurons no_debt=1": "neurons: no_debt is a word of its own, or takes true or false, not '1'",
    f"{CONVERT} --device meta": "device 'meta' cannot be used here; 'cpu' always works",
    # windows
    f"{CONVERT} --neurons layered,leak=0.5": "layered neurons add up a window, then send: leak must be 1.0, not 0.5",
    f"{CONVERT} --neurons few_spike,signed": "few_spike neurons add up a window, then send: signed must be False",
    f"{CONVERT} --neurons layered --spikes multi": "max_spikes must be 1, not None",
    f"{CONVERT} --neurons layered --reset zero": "reset must be subtract, not zero",
    f"{CONVERT} --neurons layered --max-pool avg_max": "max_pool must be count_max, not avg_max",
    f"{CONVERT} --neurons relu*:layered": "'relu*' is layered, all others free: a network has one schedule",
    f"{CONVERT} --neurons schedule=slow": "schedule must be 'free' or 'layered' or 'few_spike', not 'slow'",
    f"{CONVERT} --neurons layered,few_spike": "schedule is given twice",
    "simulate few.safetensors --data data.npz": "a window has at most 24 timesteps, not 64; 4 to 8 are usual",
    "simulate few.safetensors --data data.npz -T 4 --dtype int16": "few_spike networks run in float32 or int8, or",
    "export few.safetensors -o new.nir": "its neurons exchange window by window (few_spike); NIR knows",
    # what is refused before anything is read, that would be noticed only when its turn comes
    **{
        f"{CONVERT} --test y_high.npz {options}": said
        for options, said in {
            "--neurons few_spike": "a window has at most 24 timesteps, not 64",
            "--neurons few_spike -T 4 --correct v_init:25": "a window has at most 24 timesteps, not 25",
            "--neurons layered -T 4 --early-exit 1": "layered networks answer once, at the end of a window",
            "--neurons layered -T 4 --readout-from 1": "an answer is read over its own window: leave readout_from away",
            "--neurons layered -T 4 --correct v_init": "another network for each T, not one for 4..32",
            "--neurons layered -T 4 --correct bias:4,steps": "take bias, v_init or weights",
            "--neurons layered -T 4 --correct bursts:4": "bursts: neurons that exchange window by window",
            "--method auto:32,allow=few_spike": "a window has at most 24 timesteps, not 32",
            "--method auto:8,allow=signed --reset zero": "auto:8,allow=signed: Neurons: signed neurons send −1",
            "--correct v_init:4 --correct gain:2": "the gain comes first: v_init was made for other rates",
            "-T 1000000000": "--timesteps must be 16,777,216 or less, not 1000000000",
        }.items()
    },
    f"{SIMULATE}000000000": "--timesteps must be 16,777,216 or less, not 2000000000",
    # how much there may be
    f"{CONVERT} --method auto:1000000": "auto:1000000: nothing is tuned for 1,000,000 timesteps",
    f"{CONVERT} --correct bias:1000000,steps": "bias:1000000,steps: nothing is tuned for 1,000,000 timesteps",
    f"{CONVERT} --correct v_init:4..99999": "give 65,536 or fewer, 4 to 64 are usual",
    f"{CONVERT} --correct v_init:rounds=2000000000": "v_init: rounds must be 10,000 or less, not 2000000000",
    f"{CONVERT} --correct bias:rounds=20000": "bias: rounds must be 10,000 or less",
    f"{CONVERT} --correct weights:fitting=20000": "weights: fitting must be 10,000 or less",
    f"{CONVERT} --method ltb:2000000000": "ltb: batches must be 100,000 or less",
    f"{CONVERT} --neurons max_pool=fir_max,horizon=999999": "horizon must be 1 to 65,536 timesteps",
    f"{TUNE} -T 1000000": "tune: nothing is tuned for 1,000,000 timesteps",
    f"{TUNE} --grid correct=none --grid correct=bias:1000000,steps": "the point gain=1 correct=bias:1000000,steps",
    # how answers are read
    **{
        f"{start} {option}": said
        for start in (SIMULATE, f"{CONVERT} --test y_high.npz -T 2")
        for option, said in {
            "--readout-from 2": "read from timestep 2 on needs more than 2 timesteps, not 2",
            "--readout-from x": "--readout-from takes a number of timesteps, or auto, not 'x'",
            "--readout-from -1": "or auto, not '-1'",
            "--readout-from ²": "or auto, not '²'",
            "--early-exit -1": "--early-exit takes so many of 100 answers, 0 or more and below 100, not -1",
            "--early-exit 100": "0 or more and below 100, not 100",
            "--early-exit nan": "0 or more and below 100, not nan",
            "--early-exit few": "",
        }.items()
    },
    f"{SIMULATE} --readout-from auto": "--readout-from auto is found on samples of calibration: give them with",
    f"{SIMULATE} --early-exit 1": "--early-exit is found on samples of calibration: give them with --calibration",
    f"{SIMULATE} --calibration data.npz": "--calibration would change nothing: it is for --early-exit and",
    f"{SIMULATE} --early-exit 1 --calibration nowhere.npz": "no such file or folder",
    f"{SIMULATE} --task regression --early-exit 1 --calibration data.npz": "",
    **{
        f"{CONVERT} {option}": f"{option.split()[0]} would change nothing: it is a setting of the measurement"
        for option in ("--readout-from 1", "--early-exit 1", "--no-explain", "--allow-overlap")
    },
    # samples of calibration
    f"{CONVERT} --test data.npz": "6 of the 6 samples to measure with are those of calibration",
    f"{TUNE} --test data.npz": "6 of the 6 samples to measure with are those of calibration",
    f"{TUNE} --test data.npz --hold-out 2 --rule best": "or insist with allow_overlap=True (--allow-overlap)",
    # what is tuned
    f"{CONVERT} --method auto:0": "timesteps must be 1 or more",
    f"{CONVERT} --method auto:4,allow=magic": "nothing that neurons may be allowed is called 'magic'",
    f"{CONVERT} --method auto:4 --correct v_init": "auto:4 chooses corrections itself; leave v_init out",
    f"{TUNE} --grid correct=magic": "unknown corrector 'magic'",
    f"{TUNE} --grid method=auto:4": "auto:4 chooses by itself what a grid would",
    "tune net.safetensors --data data.npz": "missing option '--grid'",
    **{
        f"{TUNE} --grid {word}": said
        for word, said in {
            "gain": "a setting is written NAME=VALUE, as in gain=1..10, not 'gain'",
            "speed=3": "nothing is called 'speed' that could be varied; there are method",
            "gain=0": "gain takes a number above 0",
            "gain=9..1": "gain: a range is written 1..10",
            "method=magic": "unknown threshold method 'magic'",
            "v_init=1..1e9": "is too long; it may have 100,000",
            "neurons=nowhere:spikes=3": "no population is called 'nowhere'",
        }.items()
    },
    f"{TUNE} --rule nonsense": "no rule is written 'nonsense'; write one like",
    f"{TUNE} -T 0": "timesteps must be 1 or more",
    f"{TUNE} -T x": "timesteps are a whole number or a range, as in 16 or 4..32, not 'x'",
    f"{TUNE} --trials 3": "--trials draws 3 of 2 points: give fewer, or leave it out",
    f"{TUNE} --trials 0": "",
    f"{TUNE} --hold-out 6": "6 of 6 different calibration samples cannot be held out",
    f"{TUNE} --seed -1": "",
    f"{TUNE} --encoder morse": "unknown encoder 'morse'",
    f"{TUNE} --store new.csv": "new.csv: a sweep is kept as .parquet",
    f"{TUNE} --report page.txt": "a report is a .html file",
    f"{TUNE} --output snn.safetensors": "snn.safetensors exists",
    f"{TUNE} --test y_high.npz": "label 90 does not exist",
    "tune snn.safetensors --data data.npz --grid gain=1": "is a conversion already; give the trained network",
    # outputs
    f"{CONVERT} -o snn.safetensors": "snn.safetensors exists",
    f"{CONVERT} -o new.h5": "a network is written as .safetensors",
    f"{CONVERT} -o /": "a network is written as .safetensors",
    f"{CONVERT} -o code.py/new.safetensors": "is a file, not a folder",
    f"{CONVERT} -o circle/new.safetensors": "Too many levels of symbolic links",
    f"{CONVERT} -o {'x' * 300}.safetensors": "File name too long",
    f"{CONVERT} --statistics new.safetensors": "give each a path of its own",
    f"{CONVERT} --statistics snn.safetensors": "not statistics of Spikewright",
    f"{CONVERT} --report page.html": "--report needs --test: data to measure with",
    f"{SIMULATE} -o data.npz": "data.npz is what --data reads",
    f"{SIMULATE} -o new.csv": "curves and rates are written as .npz",
    f"{SIMULATE} --events data.npz --force": "data.npz is what --data reads",
    f"{SIMULATE} --events . --force": "is not a folder of events and is not replaced",
    f"{SYNAPSES} -o /": "is a folder; give the name of a file",
    f"{SYNAPSES} -o .": "is a folder; give the name of a file",
    f"{SYNAPSES} -o new.foo": "which format?",
    f"{SYNAPSES} -o new --format foo": "unknown format 'foo'",
    f"{SYNAPSES} --rates data.npz": "holds no rates",
    f"{SYNAPSES} --rates half.npz": "damaged or not what its name says",
    f"{SYNAPSES} --rates data.npz --data data.npz": "give --rates or --data, not both",
    **{
        f"{SYNAPSES} -o new.csv --shard {share}": f"--shard takes a share like 2/8, not '{share}'"
        for share in ("²/8", "1/²", "0/1", "3/2", "1", "1/0", "a/b", f"1/{'9' * 30}")
    },
    f"{SYNAPSES} --workers 0": "",
    "synapses data.npz": "not a readable Spikewright graph",
    "synapses net.safetensors": "has no spiking populations",
    "export snn.safetensors -o new.onnx": "no format is written under the suffix '.onnx'",
    **{f"export snn.safetensors -o new.nir --dt {dt}": "" for dt in ("0", "-1", "nan", "1e400", "x")},
    "export signed.safetensors -o new.nir": "no NIR neurons, two for each of them included, remember that",
    "demo --timesteps 0": "--timesteps must be 1 or more, not 0",
    "demo --folder data.npz": "is a file, not a folder",
}


def seen(folder: Path) -> dict[str, tuple[int, int]]:
    found = {path: path.lstat() for path in sorted(folder.rglob("*")) if "__pycache__" not in path.parts}
    return {str(path): (status.st_size, status.st_mtime_ns) for path, status in found.items()}


@pytest.mark.parametrize("typed", REFUSED)
def test_refused_in_a_line(
    typed: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    before = seen(folder)
    assert run(typed.split(" ")) == 2
    said = capsys.readouterr()
    assert said.out == ""
    message = said.err[said.err.index("error: ") :]  # behind what was seen in the data
    assert REFUSED[typed] in message
    assert 1 <= message.count("\n") <= 3
    assert len(message) <= 607
    assert message.strip("\n").replace("\n", "").isprintable()
    assert "Traceback" not in said.err
    assert "RuntimeWarning" not in said.err
    assert "a fault of spikewright" not in said.err
    assert seen(folder) == before
