"""A conversion comes back from its file as it went; what is damaged is refused in one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

import spikewright as sw
from networks import ALL, plain, pools
from spikewright.conversion import Correction
from spikewright.errors import ModelFileError, SettingsError
from spikewright.storage import load_graph
from spikewright.storage.conversions import KIND
from zoo import architecture

OPTIONS: tuple[dict[str, Any], ...] = (
    {},
    {"view": "thresholds", "neurons": "leak=0.9,v_min=-1; *: spikes=multi"},
    {"readout": "count"},
)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("network", ALL)
def test_conversions_come_back(network: Any, options: dict[str, Any], tmp_path: Path) -> None:
    b = network(1)
    x = b.samples(5)
    data = sw.ArrayDataset(x, None, sw.Preprocessing(mean=(0.1,) * x.shape[1]), classes=("one", "two"))
    made = sw.convert(b.graph(), data, "percentile:99,channels", task="regression", **options)
    made = made.corrected(made.spiking, Correction("shift", (("by", 0.5), ("why", "a try"), ("all", True))))
    sw.save(made, tmp_path / "c.safetensors")
    found = sw.load(tmp_path / "c.safetensors")
    assert found == made
    assert repr(found) == repr(made)
    assert found != replace(made, view="thresholds" if made.view == "weights" else "weights")
    assert (found == 3) is False
    np.testing.assert_array_equal(sw.simulate(found, x, 5).output, sw.simulate(made, x, 5).output)


def test_weights_that_follow_from_others_are_stored_once(tmp_path: Path) -> None:
    module, batch = architecture("MobileNetV1")
    conversion = sw.convert(sw.load(module, example=batch), batch.numpy(), "max")
    weights = sum(array.nbytes for node in conversion.folded for array in node.arrays.values())
    sw.save(conversion, tmp_path / "c.safetensors")
    assert (tmp_path / "c.safetensors").stat().st_size < 1.1 * weights + 100_000


def test_what_was_changed_by_hand_is_stored_as_it_is(tmp_path: Path) -> None:
    b = pools(2)
    made = sw.convert(b.graph(), b.samples(4), "max")
    spiking = made.spiking
    conv = next(node for node in spiking if node.type == "Conv")
    changed = made.with_spiking(spiking.replaced(conv.replace(bias=conv.arrays["bias"] + np.float32(0.01))))
    sw.save(changed, tmp_path / "c.safetensors")
    assert sw.load(tmp_path / "c.safetensors") == changed != made
    another = made.with_spiking(spiking.with_nodes(spiking, note="by hand"))
    sw.save(another, tmp_path / "c.safetensors", force=True)
    assert sw.load(tmp_path / "c.safetensors") == another != made


Header = dict[str, Any]
Change = Callable[[Header, dict[str, np.ndarray]], object]


def rewritten(folder: Path, change: Change) -> Path:
    path = folder / "c.safetensors"
    b = plain(1)
    sw.save(sw.convert(b.graph(), b.samples(4), "max"), path)
    with safe_open(path, "numpy") as file:
        header = json.loads(file.metadata()[KIND.key])
        arrays = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    header.pop("digest")  # or nothing else would be looked at
    change(header, arrays)
    save_file(arrays, path, {KIND.key: json.dumps(header)})
    return path


def fact(label: str, value: Any) -> Change:
    return lambda header, _: header.update({label: value})


def first(arrays: dict[str, np.ndarray], before: str) -> str:
    return next(name for name in sorted(arrays) if name.startswith(before))


DAMAGED: list[tuple[Change, str]] = [
    (fact("format", 2), "conversion format 2, this version reads 1; upgrade spikewright"),
    (lambda header, _: header.pop("scales", header.pop("view")), "description of its conversion lacks view"),
    (fact("more", 1), "has an unknown part 'more'"),
    (fact("view", "sideways"), "its view cannot be sideways"),
    (fact("readout", "count"), "the conversion inside is damaged"),
    (fact("trained", {"nodes": [], "meta": {}}), "the conversion inside is damaged"),
    (fact("trained", {"nodes": {}, "meta": {}}), "its nodes are no list"),
    (lambda header, _: header["trained"]["meta"].update(answer="maybe"), "its fact 'answer' cannot be maybe"),
    (fact("spiking", ["nobody"]), "no node 'nobody' in the graph"),
    (fact("spiking", [3]), "a node has no name, or reads what has none"),
    (fact("fingerprint", "0" * 64), "makes another spiking network of what is stored; convert the network again"),
    (fact("neurons", {"reset": "zero"}), "its neurons cannot be"),
    (lambda header, _: header["neurons"].update(leak=2), "leak must be in"),
    (lambda header, _: header["neurons"].update(leak=0.5), "makes another spiking network"),
    (fact("exceptions", [["zzz", {}]]), "its neurons cannot be"),
    (fact("became", {"a": 1}), "its became cannot be"),
    (fact("tasks", []), "its tasks cannot be"),
    (fact("preprocessing", "colour=blue"), "preprocessing: unknown 'colour=blue'"),
    (fact("classes", [1]), "its classes cannot be"),
    (fact("calibration", {"method": "max"}), "the conversion inside is damaged: it lacks 'inputs'"),
    (lambda header, _: header["calibration"].update(samples=9), "calibration facts of 9 samples cannot have"),
    (lambda header, _: header["calibration"].update(samples=True), "calibration facts of True samples"),
    (lambda header, _: header["calibration"].update(inputs={"x": [2.0, 1.0]}), r"range over \(2.0, 1.0\)"),
    (lambda header, _: header["calibration"].update(seed=1), "the conversion inside is damaged"),
    (fact("corrections", [["x", {"a": None}]]), "a correction has a name and settings"),
    (fact("corrections", [["x"]]), "the conversion inside is damaged"),
    (lambda _, arrays: arrays.pop("digests"), "the conversion inside is damaged: it lacks 'digests'"),
    (
        lambda header, _: header["trained"]["nodes"][0].update(settings=[]),
        "another kind than it must be .'list' object",
    ),
    (lambda _, arrays: arrays.update(digests=np.zeros(4, np.int64)), "cannot have int64 digests"),
    (lambda _, arrays: arrays.pop(first(arrays, "scale/relu")), "has no scale"),
    (lambda _, arrays: arrays.update({"scale/nobody": np.ones(())}), "a scale of 'nobody' cannot be float64, or there"),
    (lambda _, arrays: arrays.update({first(arrays, "scale/"): np.ones((), np.float32)}), "cannot be float32"),
    (lambda _, arrays: arrays.update({first(arrays, "scale/"): np.full((), -1.0)}), "the conversion inside is damaged"),
    (lambda _, arrays: arrays.update({first(arrays, "trained/"): np.ones(3, np.int8)}), "the conversion inside is"),
    (lambda _, arrays: arrays.update(odd=np.ones(3)), "it holds 'odd', which is of no node"),
]


@pytest.mark.parametrize(("change", "message"), DAMAGED, ids=[f"{k} {m[:30]}" for k, (_, m) in enumerate(DAMAGED)])
def test_damaged_conversions(change: Change, message: str, tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=message) as caught:
        sw.load(rewritten(tmp_path, change))
    assert str(caught.value).startswith(str(tmp_path / "c.safetensors"))
    assert "\n" not in str(caught.value)


def test_a_bit_that_fell_is_seen(tmp_path: Path) -> None:
    b = plain(1)
    sw.save(sw.convert(b.graph(), b.samples(4), "max"), tmp_path / "c.safetensors")
    whole = bytearray((tmp_path / "c.safetensors").read_bytes())
    whole[-5] ^= 1
    (tmp_path / "c.safetensors").write_bytes(whole)
    with pytest.raises(ModelFileError, match="damaged, its contents do not have the digest that it states"):
        sw.load(tmp_path / "c.safetensors")


def test_one_kind_of_file_is_not_the_other(tmp_path: Path) -> None:
    b = plain(1)
    conversion = sw.convert(b.graph(), b.samples(4), "max")
    sw.save(conversion, tmp_path / "c.safetensors")
    sw.save(conversion.spiking, tmp_path / "g.safetensors")
    assert load_graph(tmp_path / "g.safetensors").fingerprint == conversion.spiking.fingerprint
    assert sw.load(tmp_path / "g.safetensors").fingerprint == conversion.spiking.fingerprint
    statistics = sw.calibrate(sw.prepare(b.graph())[0], b.samples(4), "max")
    statistics.save(tmp_path / "s.safetensors")
    with pytest.raises(ModelFileError, match="holds statistics, not a network"):
        sw.load(tmp_path / "s.safetensors")
    with pytest.raises(ModelFileError, match="holds a conversion, not statistics of Spikewright; give another path"):
        sw.Statistics.load(tmp_path / "c.safetensors")
    with pytest.raises(ModelFileError, match="holds statistics, not a graph of Spikewright; give another path"):
        load_graph(tmp_path / "s.safetensors")
    save_file({"w": np.ones(3, np.float32)}, tmp_path / "w.safetensors")
    with pytest.raises(ModelFileError, match="a safetensors file, but not statistics of Spikewright; give another"):
        sw.Statistics.load(tmp_path / "w.safetensors")
    with pytest.raises(SettingsError, match="a graph or a conversion is saved, not a dict"):
        sw.save({}, tmp_path / "d.safetensors")  # type: ignore[arg-type]
