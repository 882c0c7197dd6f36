"""Small files that claim to be huge: refused before any memory is taken."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spikewright as sw
from faults.formats import analog, samples, spiking
from faults.worker import peak
from spikewright.calibration import Statistics
from spikewright.data import load_data
from spikewright.errors import SpikewrightError
from spikewright.frontends.torch.module_file import load_weights
from spikewright.rates import load_rates
from spikewright.synapse_graph.writers.pickle import dump_to_csv
from spikewright.tensors import MOST_PARTS, strict_json

ROOM = 150e6
"""Bytes; what is claimed below is a quarter of a gigabyte or more."""


def safetensors(path: Path) -> None:
    header = json.dumps({"w": {"dtype": "F32", "shape": [2**30], "data_offsets": [0, 2**32]}}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + b"1234")


def endless_header(path: Path) -> None:
    path.write_bytes((2**62).to_bytes(8, "little") + b"{}")


def hdf5(attribute: bool) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        import h5py

        with h5py.File(path, "w") as file:
            home = file.create_group("model_weights/d") if attribute else file.create_group("node")
            home.create_dataset("w", (2**16, 2**16), "f4", chunks=(64, 64))
            settings = {"name": "d", "units": 2**16, "batch_input_shape": [None, 2**16]}
            config = {"class_name": "Dense", "config": settings}
            file.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": [config]})
            home.attrs["weight_names"] = ["w", "w"]
            file[home.parent.name].attrs["layer_names"] = ["d"]
            if not attribute:
                home["type"] = "NIRGraph"

    return write


def archive(*members: str, size: int = 2**28) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
            for name in members:
                with file.open(name, "w") as member:
                    for _ in range(size // 2**24):
                        member.write(bytes(2**24))

    return write


def onnx(path: Path) -> None:
    import onnx as package
    from onnx import TensorProto

    from onnx_models import model

    proto = model([("MatMul", ["", "w"], {})], ["N", 2**15], w=np.zeros((2, 2), np.float32))
    proto.graph.initializer[0].dims[:] = (2**15, 2**15)
    assert proto.graph.initializer[0].data_type == TensorProto.FLOAT
    package.save_model(proto, str(path))


def rates(path: Path) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (2**30,)})
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("network.npy", header.getvalue())


def text(path: Path) -> None:
    """One synapse whose group has a name of two gigabytes."""
    path.write_bytes(b"\x80\x04}X\xff\xff\xff\x7fabc.")


def png(path: Path) -> None:
    """A picture of 60,000 × 60,000 pixels in a hundred bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    head = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(9))) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)


def idx(labels: bool) -> Callable[[Path], None]:
    """Pictures, or the labels beside them, that are gigabytes once they are unpacked."""

    def write(path: Path) -> None:
        shape = (2, 6, 6) if labels else (2**25, 6, 6)
        with gzip.open(path, "wb", compresslevel=1) as file:
            file.write(b"\0\0\x08\3" + struct.pack(">III", *shape))
            for _ in range(1 if labels else 2**4):
                file.write(bytes(72 if labels else 2**24))
        if labels:
            beside = path.with_name(path.name.replace("images-idx3", "labels-idx1"))
            beside.write_bytes(gzip.compress(b"\0\0\x08\1" + struct.pack(">I", 2**31) + bytes(2)))

    return write


def read_samples(path: Path) -> Any:
    shape = (3, 12, 12) if path.suffix == ".png" else (1, 6, 6)
    return list(load_data(str(path), shape=shape).batches(1))


def read_weights(path: Path) -> Any:
    from torch import nn

    load_weights(nn.Linear(2, 2), path)


LIES: dict[str, tuple[Callable[[Path], None], Callable[[Path], Any]]] = {
    "graph.safetensors": (safetensors, sw.load),
    "header.safetensors": (endless_header, sw.load),
    "statistics.safetensors": (safetensors, Statistics.load),
    "weights.safetensors": (safetensors, read_weights),
    "weights.pt": (archive("x/data.pkl", "x/data/0"), read_weights),
    "net.h5": (hdf5(attribute=True), sw.load),
    "net.nir": (hdf5(attribute=False), sw.load),
    "net.keras": (archive("config.json", "model.weights.h5"), sw.load),
    "net.pt2": (archive("x/models/model.json"), sw.load),
    "net.onnx": (onnx, sw.load),
    "rates.npz": (rates, lambda path: load_rates(path, spiking())),
    "huge.png": (png, read_samples),
    "a-images-idx3-ubyte.gz": (idx(labels=False), read_samples),
    "b-images-idx3-ubyte.gz": (idx(labels=True), read_samples),
    "dump.pickle": (text, lambda path: dump_to_csv(path, path.with_suffix(".csv"))),
}


@pytest.mark.parametrize("name", LIES)
def test_lies_about_sizes(name: str, tmp_path: Path) -> None:
    write, read = LIES[name]
    write(tmp_path / name)
    spiking()  # which takes memory of its own
    before = peak()
    with pytest.raises(SpikewrightError) as caught:
        read(tmp_path / name)
    assert peak() - before < ROOM
    assert len(str(caught.value)) <= 600


def test_parquet_that_claims_rows(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    graph = spiking()
    sw.simulate(graph, np.zeros((2, *graph.sample_shape), np.float32), 4, events_to=tmp_path / "events")
    facts = json.loads((tmp_path / "events/events.json").read_text())
    for entry in facts["populations"]:
        entry["events"] = 10**15
    facts.pop("digest")
    (tmp_path / "events/events.json").write_text(json.dumps(facts))
    with pytest.raises(SpikewrightError, match="not the 1000000000000000 events"):
        sw.load_events(tmp_path / "events")


def varint(number: int) -> bytes:
    """A whole number as the footer of a Parquet file has it: zigzag, seven bits a byte."""
    left, found = number * 2, b""
    while left >= 128:
        left, found = left >> 7, found + bytes([left & 127 | 128])
    return found + bytes([left])


@pytest.mark.parametrize("claimed", [2**24, 2**40])
def test_parquet_whose_footer_claims_rows(claimed: int, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    from pyarrow.parquet import read_metadata

    graph = spiking()
    sw.simulate(graph, samples(graph), 64, events_to=tmp_path / "events")
    stored = sw.load_events(tmp_path / "events")
    name = next(name for name, count in stored.counts.items() if count >= 64)
    path = sorted((tmp_path / "events").glob("*.parquet"))[list(stored.counts).index(name)]
    raw = path.read_bytes()
    length = int.from_bytes(raw[-8:-4], "little")
    assert read_metadata(path).num_rows == stored.counts[name]
    footer = raw[-8 - length : -8].replace(varint(stored.counts[name]), varint(claimed))
    path.write_bytes(raw[: -8 - length] + footer + len(footer).to_bytes(4, "little") + raw[-4:])
    assert read_metadata(path).num_rows == claimed
    before = peak()
    with pytest.raises(SpikewrightError, match="does not hold as many rows as it claims"):
        stored[name]
    assert peak() - before < ROOM


def test_events_that_are_fewer_than_the_run_had(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    from pyarrow.parquet import read_table, write_table

    graph = spiking()
    sw.simulate(graph, samples(graph), 8, events_to=tmp_path / "events")
    stored = sw.load_events(tmp_path / "events")
    name, count = next((name, count) for name, count in stored.counts.items() if count)
    path = sorted((tmp_path / "events").glob("*.parquet"))[list(stored.counts).index(name)]
    write_table(read_table(path).slice(0, count - 1), path)
    with pytest.raises(SpikewrightError, match=f"{count - 1} events, not the {count} of the run"):
        stored[name]


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("[]", "it is no table"),
        ('{"a": NaN}', "NaN is no number"),
        ('{"a": -Infinity}', "-Infinity is no number"),
        ('{"a": 1e999}', "no number that a float can hold"),
        ('{"a": ' + "9" * 500 + "}", "500 digits"),
        ('{"a": 1, "a": 2}', "two entries have one name"),
        ('{"a": ' + "[" * 200 + "]" * 200 + "}", "more than 100 levels"),
        ('{"a": [' + "[]," * MOST_PARTS + "[]]}", "absurdly large"),
    ],
    ids=range(8),
)
def test_descriptions_that_are_refused(said: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        strict_json(said)


def test_a_flipped_bit_of_a_weight_is_seen(tmp_path: Path) -> None:
    """Though the number that it makes is a weight like any other."""
    sw.save(analog(), tmp_path / "g.safetensors")
    made = bytearray((tmp_path / "g.safetensors").read_bytes())
    made[-3] ^= 1
    (tmp_path / "g.safetensors").write_bytes(made)
    with pytest.raises(SpikewrightError, match="do not have the digest that it states"):
        sw.load(tmp_path / "g.safetensors")


def test_hdf5_that_has_no_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A helper that is lost is replaced, and says what happened."""
    from spikewright import hdf5

    good = tmp_path / "x.h5"
    hdf5_file = pytest.importorskip("h5py").File(good, "w")
    hdf5_file.close()
    hdf5.check_readable(good)
    helper = hdf5._running[0]
    helper.process.kill()
    helper.process.wait()
    hdf5.check_readable(good)  # by another one
    assert hdf5._running[0] is not helper
    script = tmp_path / "probe.py"
    script.write_text("import time\nprint('ready', flush=True)\ninput()\ntime.sleep(60)\n")
    hdf5._forget()
    monkeypatch.setattr(hdf5, "SECONDS", 0.2)
    monkeypatch.setattr(hdf5, "__file__", str(tmp_path / "__init__.py"))
    with pytest.raises(OSError, match="no end after"):
        hdf5.check_readable(good)
    assert not hdf5._running


def test_pickles_that_are_no_synapses(tmp_path: Path) -> None:
    whole = {"source_group": "a", "source_neuron": (1,), "dest_group": "b", "dest_neuron": (2,), "edge": 0.5}
    for label, value in (("source_group", 3), ("source_neuron", ("x",)), ("dest_neuron", None), ("edge", "=1")):
        (tmp_path / "d.pickle").write_bytes(pickle.dumps({**whole, label: value}, protocol=4))
        with pytest.raises(SpikewrightError, match=f"its {label} cannot be"):
            dump_to_csv(tmp_path / "d.pickle", tmp_path / "d.csv")
    assert not (tmp_path / "d.csv").exists()
