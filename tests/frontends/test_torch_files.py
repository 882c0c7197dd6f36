"""Modules named on the command line, their weights, and ``.pt2`` files: nothing in a data file is executed."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from spikewright.errors import ModelFileError, SpikewrightError, UnsupportedModelError
from spikewright.forward import run
from spikewright.frontends.torch import from_file, load_pt2
from spikewright.frontends.torch.archives import names_objects
from spikewright.frontends.verify import verification

SOURCE = """
from torch import nn

class Net(nn.Sequential):
    def __init__(self, width: int = 4):
        super().__init__(nn.Conv2d(1, width, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * width, 2))

def wide():
    return Net(6)

def sized(width):
    return Net(width)

def wrong():
    return "a string"

def broken():
    raise ValueError("no such layer")
"""


class Runs:
    """Unpickling it creates a file."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> Any:
        return (Path.touch, (self.target,))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "nets.py"
    path.write_text(SOURCE)
    return path


def network(width: int = 4) -> nn.Sequential:
    torch.manual_seed(3)
    return nn.Sequential(nn.Conv2d(1, width, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * width, 2))


def message(call: Callable[[], Any]) -> str:
    with pytest.raises(ModelFileError) as caught:
        call()
    return str(caught.value)


@pytest.mark.parametrize("name", ["weights.safetensors", "weights.pt", "checkpoint.pth"])
def test_a_file_a_factory_and_weights(source: Path, tmp_path: Path, name: str) -> None:
    module, path = network(), tmp_path / name
    state = module.state_dict()
    if path.suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save({"epoch": 3, "state_dict": state} if path.suffix == ".pth" else state, path)
    graph = from_file(f"{source}:Net", path, (1, 4, 4))
    x = torch.randn(3, 1, 4, 4)
    with torch.no_grad():
        np.testing.assert_allclose(run(graph, x)["output"], module(x), atol=1e-6)
    assert {key: graph.meta[key] for key in graph.meta if key != "verified"} == {"source": "torch", "model": "Net"}


def test_a_function_without_weights(source: Path) -> None:
    graph = from_file(f"{source}:wide", shape=(1, 4, 4))
    assert graph.shapes["0"] == (6, 2, 2)
    assert graph.meta["initialised"] == "as constructed"


def test_what_can_be_wrong_with_the_file_and_the_factory(source: Path, tmp_path: Path) -> None:
    def said(spec: str, shape: tuple[int, ...] | None = (1, 4, 4)) -> str:
        return message(lambda: from_file(spec, None, shape))

    assert said(f"{tmp_path}/none.py:Net") == f"{tmp_path}/none.py: no such file"
    assert said("nets").endswith("give a Python file and what makes the module in it, as FILE.py:FACTORY")
    assert said(f"{source}:net") == (
        f"{source}: has no function or class 'net'; it has Net, wide, sized, wrong, broken"
    )
    assert said(f"{source}:sized") == (
        f"{source}:sized: needs the arguments (width); name a function that takes none and returns the module"
    )
    assert said(f"{source}:wrong") == f"{source}:wrong: returned a str, not a torch.nn.Module"
    assert said(f"{source}:broken") == f"{source}:broken: failed with ValueError: no such layer"
    assert said(f"{source}:Net", None) == (
        f"{source}:Net: the shape of one sample is needed to trace it; give it, such as 1,28,28"
    )
    assert "Net: fails on an example of shape (2, 1, 9, 9)" in said(f"{source}:Net", (1, 9, 9))
    source.write_text("import nothing_of_this_name")
    assert "cannot be imported: ModuleNotFoundError: No module named 'nothing_of_this_name'" in said(f"{source}:Net")


def test_weights_that_do_not_fit(source: Path, tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_file(network(5).state_dict(), path)
    assert message(lambda: from_file(f"{source}:Net", path, (1, 4, 4))) == (
        f"{path}: does not fit Net: of another shape: 0.weight (5, 1, 3, 3) for (4, 1, 3, 3), 0.bias (5,) for (4,), "
        "3.weight (2, 20) for (2, 16); load the weights of this very model"
    )
    save_file({f"module.{k}": v for k, v in network().state_dict().items()}, path)
    assert message(lambda: from_file(f"{source}:Net", path, (1, 4, 4))) == (
        f"{path}: does not fit Net: missing: 0.weight, 0.bias, 3.weight and 1 more; "
        "unexpected: module.0.bias, module.0.weight, module.3.bias and 1 more; load the weights of this very model"
    )


@pytest.mark.parametrize("name", ["w.pt", "w.safetensors"])
def test_weights_that_are_missing_or_cut_off(source: Path, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    assert message(lambda: from_file(f"{source}:Net", path, (1, 4, 4))) == f"{path}: no such weights file"
    if name.endswith(".pt"):
        torch.save(network().state_dict(), path)
    else:
        save_file(network().state_dict(), path)
    path.write_bytes(path.read_bytes()[:-100])
    assert message(lambda: from_file(f"{source}:Net", path, (1, 4, 4))).startswith(f"{path}: not a whole ")
    path.write_bytes(b"")
    assert message(lambda: from_file(f"{source}:Net", path, (1, 4, 4))).startswith(f"{path}: not a ")


@pytest.mark.parametrize("writer", ["torch", "pickle"])
def test_weights_that_would_run_code_are_not_read(source: Path, tmp_path: Path, writer: str) -> None:
    path, target = tmp_path / "w.pt", tmp_path / "ran"
    if writer == "torch":
        torch.save({"state_dict": network().state_dict(), "x": Runs(target)}, path)
    else:
        path.write_bytes(pickle.dumps(Runs(target)))
    assert message(lambda: from_file(f"{source}:Net", path, (1, 4, 4))) == (
        f"{path}: holds pickled objects that could run code, and was not read; "
        "save it with torch.save(model.state_dict(), …) or as safetensors"
    )
    assert not target.exists()


def test_a_pickle_posing_as_safetensors(source: Path, tmp_path: Path) -> None:
    path, target = tmp_path / "w.safetensors", tmp_path / "ran"
    path.write_bytes(pickle.dumps(Runs(target)))
    assert "not a whole safetensors file" in message(lambda: from_file(f"{source}:Net", path, (1, 4, 4)))
    assert not target.exists()


def test_a_whole_module_is_no_state_dict(source: Path, tmp_path: Path) -> None:
    path = tmp_path / "w.pt"
    torch.save([torch.zeros(3)], path)
    assert f"{path}: holds a list, not a state dict" in message(lambda: from_file(f"{source}:Net", path, (1, 4, 4)))


# .pt2 files


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network saved with a batch axis of any size."""
    path = tmp_path_factory.mktemp("pt2") / "net.pt2"
    batch = torch.export.Dim("batch", min=2, max=64)
    program = torch.export.export(
        network().eval(), (torch.zeros(2, 1, 4, 4),), dynamic_shapes=({0: batch},), strict=False
    )
    torch.export.save(program, path)
    return path


def changed(archive: Path, path: Path, change: Callable[[str, bytes], bytes]) -> Path:
    """The archive with some of its records changed."""
    with zipfile.ZipFile(archive) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            target.writestr(name, change(name, source.read(name)))
    return path


def test_a_pt2_file(archive: Path) -> None:
    graph = load_pt2(archive)
    x = torch.randn(3, 1, 4, 4)
    with torch.no_grad():
        np.testing.assert_allclose(run(graph, x)["output"], network()(x), atol=1e-6)
    assert [node.name for node in graph] == ["input", "0", "1", "2", "3", "output"]
    assert (graph.meta["source"], graph.meta["model"]) == ("torch", "Sequential")
    assert verification(graph).against == "PyTorch"


def test_pickled_sample_inputs_are_left_alone(archive: Path, tmp_path: Path) -> None:
    target, buffer = tmp_path / "ran", io.BytesIO()
    torch.save(((Runs(target),), {}), buffer)

    def change(name: str, content: bytes) -> bytes:
        return buffer.getvalue() if "sample_inputs" in name else content

    path = changed(archive, tmp_path / "net.pt2", change)
    assert len(load_pt2(path)) == 6
    assert not target.exists()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (b'"use_pickle": false', b'"use_pickle": true', "holds pickled objects that could run code, and was not read"),
        (b"torch.ops.aten.relu.default", b"torch.os.system", "calls torch.os.system, which is no operator of PyTorch"),
        (b"torch.ops.aten.relu.default", b"torch.ops.aten.from_file.default", "which is no operator of PyTorch"),
        (b"torch.ops.aten.relu.default", b"torch2.os.system", "which is no operator of PyTorch"),
        (b"torch.ops.aten.relu.default", b"torch.ops.aten.__class__.x", "which is no operator of PyTorch"),
        (
            b'"context\\": \\"[]\\"',
            b'"context\\": \\" {\\\\\\"__enum__\\\\\\": 1}\\"',
            "of a type that reading would import",
        ),
        (b"torch.ops.aten.relu.default", b"_operator.methodcaller", "which is no operator of PyTorch"),
        (b"Symbol('", b"exit('", "has a size 'exit('"),
        (b"Symbol('", b"Symbol.__class__('", "has a size 'Symbol.__class__('"),
    ],
)
def test_an_archive_that_would_run_code_is_not_read(
    archive: Path, tmp_path: Path, old: bytes, new: bytes, said: str
) -> None:
    found = []

    def change(name: str, content: bytes) -> bytes:
        found.append(old in content)
        return content.replace(old, new) if name.endswith(".json") else content

    path = changed(archive, tmp_path / "net.pt2", change)
    assert any(found)
    assert said in message(lambda: load_pt2(path))


def test_a_program_under_another_name_is_not_read(archive: Path, tmp_path: Path) -> None:
    path = tmp_path / "net.pt2"
    with zipfile.ZipFile(archive) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            target.writestr(name, content)
            if name.endswith("models/model.json"):
                target.writestr(f"{name[:-5]}.bin", content.replace(b"torch.ops.aten.relu.default", b"torch.os.system"))
    assert len(load_pt2(path)) == 6


def test_compiled_code_is_not_loaded(archive: Path, tmp_path: Path) -> None:
    path = changed(archive, tmp_path / "net.pt2", lambda _, content: content)
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("net/data/aotinductor/model/model.so", b"")
    assert f"{path}: holds compiled code, not an exported program" in message(lambda: load_pt2(path))


def test_weights_pickled_in_the_old_way_are_checked(archive: Path, tmp_path: Path) -> None:
    target, buffer = tmp_path / "ran", io.BytesIO()
    torch.save({"x": Runs(target)}, buffer)
    path = changed(archive, tmp_path / "net.pt2", lambda _, content: content)
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("net/data/weights/model.pt", buffer.getvalue())
    assert "data/weights/model.pt holds pickled objects that could run code" in message(lambda: load_pt2(path))
    assert not target.exists()


def test_what_is_no_pt2_archive(archive: Path, tmp_path: Path) -> None:
    path, target = tmp_path / "net.pt2", tmp_path / "ran"
    assert message(lambda: load_pt2(path)) == f"{path}: no such file"
    for cut in (300, 3000):
        path.write_bytes(archive.read_bytes()[:-cut])
        assert message(lambda: load_pt2(path)).startswith(f"{path}: not a whole ")
    path.write_bytes(pickle.dumps(Runs(target)))
    assert message(lambda: load_pt2(path)).startswith(f"{path}: not a whole archive that torch.export.save wrote")
    torch.save(network().state_dict(), path)
    assert message(lambda: load_pt2(path)).startswith(f"{path}: not a whole archive that torch.export.save wrote")
    torch.save(Runs(target), path)
    assert message(lambda: load_pt2(path)).startswith(f"{path}: not a whole archive that torch.export.save wrote")
    assert not target.exists()


def test_a_damaged_archive(archive: Path, tmp_path: Path) -> None:
    path = tmp_path / "net.pt2"
    changed(archive, path, lambda name, content: content[:200] if name.endswith("model.json") else content)
    assert message(lambda: load_pt2(path)).startswith(f"{path}: its description is damaged")
    changed(archive, path, lambda name, content: content[:8] if "weight_" in name else content)
    assert "cannot read it" in message(lambda: load_pt2(path))


def test_records_that_unpack_to_more_than_the_file(archive: Path, tmp_path: Path) -> None:
    path = changed(archive, tmp_path / "net.pt2", lambda _, content: content)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as file:
        file.writestr("net/data/weights/more", bytes(10**7))
    assert "its records unpack to more than the file holds" in message(lambda: load_pt2(path))


class Constant(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.relu() + torch.ones(2**36).sum()


def test_constants_that_would_fill_the_memory(tmp_path: Path) -> None:
    path = tmp_path / "net.pt2"
    torch.export.save(torch.export.export(Constant(), (torch.zeros(2, 4),)), path)
    with pytest.raises(UnsupportedModelError, match=r"ones at .*: its constant value would fill the memory"):
        load_pt2(path)


def test_weights_said_to_be_far_larger_than_they_are(tmp_path: Path) -> None:
    whole, path = tmp_path / "whole.pt2", tmp_path / "net.pt2"
    program = torch.export.export(nn.Linear(4, 3, bias=False).eval(), (torch.zeros(2, 4),))
    torch.export.save(program, whole)

    def change(name: str, content: bytes) -> bytes:
        said = content.replace(b'"as_int": 3', b'"as_int": 268435456') if name.endswith(".json") else content
        stride = b'"strides": [{"as_int": 4}', b'"strides": [{"as_int": 0}'
        return said.replace(*stride) if "weights" in name and name.endswith(".json") else said

    changed(whole, path, change)
    with pytest.raises(SpikewrightError, match=r"repeats the few numbers that are stored of it|cannot read it"):
        load_pt2(path)


def test_damaged_descriptions(archive: Path, tmp_path: Path) -> None:
    """Values of other kinds, anywhere in the description: a clear error, or a graph that runs."""
    path, random = tmp_path / "net.pt2", np.random.default_rng(0)
    others = [None, -1, 0, 2**40, True, "", "x", [], {}, 1.5, [2**40]]

    def damage(name: str, content: bytes) -> bytes:
        if not name.endswith("model.json"):
            return content
        tree = json.loads(content)
        place: Any = tree["graph_module"]
        for _ in range(random.integers(1, 8)):
            key = random.choice(list(place)) if isinstance(place, dict) else int(random.integers(len(place)))
            if not isinstance(place[key], dict | list) or not place[key]:
                break
            parent, place = place, place[key]
        else:
            place, key = parent, key
        place[key] = others[random.integers(len(others))]
        return json.dumps(tree).encode()

    for _ in range(60):
        changed(archive, path, damage)
        with suppress(SpikewrightError):
            run(load_pt2(path), np.zeros((2, 1, 4, 4), np.float32))


@pytest.mark.parametrize("archive", [False, True])
@pytest.mark.parametrize("length", [b"\x8e" + (2**62).to_bytes(8, "little"), b"T" + (2**31 - 1).to_bytes(4, "little")])
def test_a_damaged_length_makes_no_room(length: bytes, archive: bool, tmp_path: Path) -> None:
    """A pickle says how long its texts are; what it says is believed as far as the file reaches."""
    pickled = b"\x80\x02" + length + b"few."
    weights = tmp_path / "weights.pt"
    if archive:
        with zipfile.ZipFile(weights, "w") as made:
            made.writestr("weights/data.pkl", pickled)
    else:
        weights.write_bytes(pickled)
    assert not names_objects(weights)
