"""NIR files: hostile, damaged, of other types, with notes of others."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spikewright as sw
from spikewright.errors import ModelFileError, SpikewrightError, UnsupportedModelError

nir = pytest.importorskip("nir")
h5py = pytest.importorskip("h5py")

from nir_networks import network, neuron  # noqa: E402


def written(path: Path, change: Callable[[Any], object] = str) -> Path:
    graph = network((4,), a=nir.Affine(np.ones((4, 4), np.float32), np.zeros(4, np.float32)), n=neuron((4,)))
    graph.nodes["output"] = nir.Output(np.array([4]))
    nir.write(path, graph)
    with h5py.File(path, "r+") as file:
        change(file)
    return path


def _replace(file: Any, name: str, make: Callable[[str], Any]) -> None:
    del file[name]
    make(name)


WEIGHT = "node/nodes/a/weight"


def _huge(file: Any) -> None:
    _replace(file, WEIGHT, lambda n: file.create_dataset(n, (2**40,), "f4", chunks=(1024,)))


def _unwritten(file: Any) -> None:
    _replace(file, WEIGHT, lambda n: file.create_dataset(n, (4, 4), "f4", chunks=(4, 4)))


def _bomb(file: Any) -> None:
    _replace(file, WEIGHT, lambda n: file.create_dataset(n, data=np.zeros((9000, 9000), np.float32), compression=9))


def _soft(file: Any) -> None:
    _replace(file, WEIGHT, lambda n: file.__setitem__(n, h5py.SoftLink("/node/nodes/n/r")))


def _external(file: Any) -> None:
    _replace(file, WEIGHT, lambda n: file.__setitem__(n, h5py.ExternalLink("/etc/passwd", "/x")))


def _raw(file: Any) -> None:
    _replace(file, WEIGHT, lambda n: file.create_dataset(n, (4, 4), "u1", external=[("/etc/passwd", 0, 16)]))


def _virtual(file: Any) -> None:
    layout = h5py.VirtualLayout((4, 4), "f4")
    layout[:] = h5py.VirtualSource("other.h5", "x", (4, 4))
    _replace(file, WEIGHT, lambda n: file.create_virtual_dataset(n, layout))


def _loop(file: Any) -> None:
    file["node/nodes/a/weight_again"] = file["node/nodes"]


def _reference(file: Any) -> None:
    _replace(file, WEIGHT, lambda n: file.create_dataset(n, data=file["node"].ref, dtype=h5py.ref_dtype))


def _pickle(file: Any) -> None:
    _replace(file, WEIGHT, lambda n: file.create_dataset(n, data=np.void(b"cos\nsystem\n(S'x'\ntR.")))


def _compound(file: Any) -> None:
    _replace(file, WEIGHT, lambda n: file.create_dataset(n, data=np.zeros(2, [("a", "f4"), ("b", "i4")])))


def _deep(file: Any) -> None:
    group = file["node/nodes/a"]
    for _ in range(80):
        group = group.create_group("metadata")


def _long_edges(file: Any) -> None:
    """Many entries that point at one long text."""
    _replace(
        file,
        "node/edges",
        lambda n: file.create_dataset(n, data=np.full((9, 7), "x" * 99, object), dtype=h5py.string_dtype()),
    )


def _notes(file: Any) -> None:
    file["node/nodes/n"].create_group("metadata")["spikewright"] = "[" * 10**5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_huge, "/node/nodes/a/weight unpacks to far more than the file's own size"),
        (_unwritten, "/node/nodes/a/weight declares 16 values and holds none"),
        (_bomb, "/node/nodes/a/weight unpacks to far more than the file's own size"),
        (_soft, "/node/nodes/a/weight is a link to somewhere else"),
        (_external, "/node/nodes/a/weight is a link to somewhere else"),
        (_raw, "/node/nodes/a/weight keeps its values in another file"),
        (_virtual, "/node/nodes/a/weight keeps its values in another file"),
        (_loop, "stands in the file under two names"),
        (_reference, "/node/nodes/a/weight holds object, neither numbers nor text"),
        (_pickle, "/node/nodes/a/weight holds |V20, neither numbers nor text"),
        (_compound, "neither numbers nor text"),
        (_deep, "lies 64 groups deep"),
        (_long_edges, "/node/edges holds text in the shape (9, 7)"),
        (_notes, "IF 'n': its Spikewright metadata is damaged"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_hostile_files(change: Callable[[Any], None], message: str, tmp_path: Path) -> None:
    path = written(tmp_path / "n.nir", change)
    with pytest.raises(ModelFileError) as caught:
        sw.load(path)
    assert message in str(caught.value)
    assert str(caught.value).startswith(str(path))
    assert len(str(caught.value).splitlines()) == 1


def _unknown(file: Any) -> None:
    file["node/nodes/a/type"][()] = "os"
    file["node/nodes/n/type"][()] = "Izhikevich"


def _broad(file: Any) -> None:
    """What nir itself would make an array of 10^10 values of."""
    for label in ("tau_syn", "tau_mem", "v_leak"):
        file["node/nodes/n"][label] = np.ones(10**5)
    file["node/nodes/n/w_in"] = np.ones((10**5, 1))
    file["node/nodes/n/type"][()] = "CubaLIF"


@pytest.mark.parametrize(
    ("change", "names"), [(_unknown, ["os at 'a'", "Izhikevich at 'n'"]), (_broad, ["CubaLIF at 'n'"])]
)
def test_node_types_in_files_are_refused_by_name(
    change: Callable[[Any], None], names: list[str], tmp_path: Path
) -> None:
    with pytest.raises(UnsupportedModelError) as caught:
        sw.load(written(tmp_path / "n.nir", change))
    assert [f"{p.operator} at {p.where}" for p in caught.value.problems] == names


def test_files_that_are_no_nir(tmp_path: Path) -> None:
    (tmp_path / "junk.nir").write_bytes(b"\x89HDF\r\n\x1a\n" + b"\xff" * 200)
    whole = written(tmp_path / "whole.nir").read_bytes()
    (tmp_path / "cut.nir").write_bytes(whole[: len(whole) // 2])
    with h5py.File(tmp_path / "other.nir", "w") as file:
        file["data"] = 1
    with h5py.File(tmp_path / "node.nir", "w") as file:
        file["node/type"] = "Scale"
    for name, message in {
        "none": "no such file",
        "junk": "damaged or not a NIR file",
        "cut": "damaged or not a NIR file",
        "other": "not a NIR file: it has no group 'node'",
        "node": "holds a Scale, not a NIRGraph",
    }.items():
        with pytest.raises(ModelFileError, match=message):
            sw.load(tmp_path / f"{name}.nir")


def test_damage_anywhere_is_one_clear_error(tmp_path: Path) -> None:
    """Bytes changed at random: a graph, or an error of ours.

    The heaps of texts are left alone: on some damaged ones the HDF5 library itself never comes back.
    """
    whole = written(tmp_path / "whole.nir").read_bytes()
    heaps = [found.start() for found in re.finditer(b"GCOL", whole)]
    refused = 0
    for seed in range(150):
        random = np.random.default_rng(seed)
        damaged = bytearray(whole)
        for place in random.integers(0, len(whole), 12):
            if any(0 <= place - heap < 4096 for heap in heaps):
                continue
            damaged[place] = random.integers(256)
        (tmp_path / "n.nir").write_bytes(damaged)
        try:
            sw.load(tmp_path / "n.nir", dt=1e-4)
        except SpikewrightError:
            refused += 1
    assert refused


@pytest.mark.parametrize(
    "notes", [{"max_spikes": "many"}, {"reset": 3}, {"leak": "x"}, {"name": 7}, {"sum": []}, [], 3]
)
def test_notes_that_are_not_ours(notes: Any, tmp_path: Path) -> None:
    """A graph or one clear error, whatever the metadata say."""

    def change(file: Any) -> None:
        file["node/nodes/n"].create_group("metadata")["spikewright"] = json.dumps(notes)

    try:
        sw.load(written(tmp_path / "n.nir", change))
    except (ModelFileError, UnsupportedModelError) as error:
        assert len(str(error).splitlines()) == 1  # noqa: PT017
