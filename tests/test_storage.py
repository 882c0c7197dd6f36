"""Graphs come back from disk as they went, and a failed write leaves what was there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

import spikewright as sw
from networks import ALL, Builder, pools
from spikewright.conversion import Neurons
from spikewright.errors import ModelFileError, StorageError
from spikewright.files import atomic_path, write_text
from spikewright.graph import Graph
from spikewright.storage import load_graph, load_stored


def assert_same(one: Graph, two: Graph) -> None:
    assert [str(n) for n in one] == [str(n) for n in two]
    for a, b in zip(one, two, strict=True):
        assert (a.inputs, a.settings) == (b.inputs, b.settings)
        assert a.arrays.keys() == b.arrays.keys()
        for label, array in a.arrays.items():
            np.testing.assert_array_equal(array, b.arrays[label])
    assert dict(one.meta) == dict(two.meta)


@pytest.mark.parametrize("network", ALL)
def test_analog_graphs_come_back(network: Callable[[int], Builder], tmp_path: Path) -> None:
    graph = network(1).graph()
    sw.save(graph, tmp_path / "g.safetensors")
    assert_same(graph, load_graph(tmp_path / "g.safetensors"))


def test_spiking_graphs_come_back_and_spike_alike(tmp_path: Path) -> None:
    b = pools(1)
    x = b.samples()
    method = sw.threshold_method("max:channels")
    scales = sw.calibrate(sw.prepare(b.graph())[0], x, [method]).scales(method)
    neurons = Neurons(leak=0.9, max_spikes=None, v_min=-1.0)
    graph = sw.convert(b.graph(), scales, neurons=neurons, view="thresholds").spiking
    sw.save(graph, tmp_path / "g.safetensors")
    found = load_graph(tmp_path / "g.safetensors")
    assert_same(graph, found)
    np.testing.assert_array_equal(sw.simulate(graph, x, 9).output, sw.simulate(found, x, 9).output)


def test_files_that_are_no_graphs(tmp_path: Path) -> None:
    save_file({"weight": np.zeros(3)}, tmp_path / "weights.safetensors")
    (tmp_path / "junk.safetensors").write_bytes(b"\xff" * 100)
    good = tmp_path / "good.safetensors"
    sw.save(pools(1).graph(), good)
    (tmp_path / "cut.safetensors").write_bytes(good.read_bytes()[:-100])
    for name, message in {
        "none": "no such file",
        "weights": "holds bare weights, not a Spikewright graph",
        "junk": "not a readable Spikewright graph",
        "cut": "not a readable Spikewright graph",
    }.items():
        with pytest.raises(ModelFileError, match=message):
            load_stored(tmp_path / f"{name}.safetensors")


@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failed_write_changes_nothing(failure: BaseException, tmp_path: Path) -> None:
    path = tmp_path / "result.txt"
    write_text(path, "good")
    expected = StorageError if isinstance(failure, OSError) else KeyboardInterrupt

    def write() -> None:
        with atomic_path(path, force=True) as temporary:
            temporary.write_text("half")
            raise failure

    with pytest.raises(expected) as caught:
        write()
    assert path.read_text() == "good"
    assert list(tmp_path.iterdir()) == [path]
    if isinstance(failure, OSError):
        assert str(caught.value) == f"cannot write {path}: No space left on device; nothing was changed there"


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot write"):
        write_text(tmp_path / "file" / "below.txt", "text")
