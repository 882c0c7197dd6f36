"""What people give in the place of a torch module: a line of advice each, and no traceback."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import spikewright as sw
from spikewright.errors import ModelFileError, SettingsError, SpikewrightError
from spikewright.frontends.torch import from_torch
from spikewright.frontends.torch.modules import runnable
from spikewright.frontends.verify import verification


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))


def quantised() -> nn.Module:
    return torch.ao.quantization.quantize_dynamic(net(), {nn.Linear}, torch.qint8)


class Returns(nn.Module):
    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value

    def forward(self, _: Tensor) -> Any:
        return self.value


SCRIPT = (
    "which cannot be followed; give the nn.Module that it was made from, or save that with torch.export.save as .pt2"
)
STATE = "a state dict holds weights without the network: build the module, call load_state_dict on it, and give it"
RETURNS = "it must return a tensor, or tuples, lists or dictionaries of tensors"
REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "traced": (lambda: torch.jit.trace(net(), torch.zeros(1, 4)), f"Sequential is TorchScript (torch.jit), {SCRIPT}"),
    "scripted": (lambda: torch.jit.script(net()), f"Sequential is TorchScript (torch.jit), {SCRIPT}"),
    "a scripted part": (
        lambda: nn.Sequential(torch.jit.script(nn.Linear(4, 4))),
        f"Sequential: its RecursiveScriptModule '0' is TorchScript (torch.jit), {SCRIPT}",
    ),
    "meta": (
        lambda: net().to("meta"),
        "Sequential: its Linear '0' is on the meta device, where weights have no values; "
        "call module.to_empty(device='cpu') and load its weights first",
    ),
    "quantised": (
        quantised,
        "Sequential: its Linear '0' is quantised, and its weights are whole numbers; "
        "give the network as it was before it was quantised, in floats",
    ),
    "lazy": (
        lambda: nn.Sequential(nn.LazyLinear(4)),
        "Sequential: its LazyLinear '0' has no weights yet (a lazy module); run it once on a batch first",
    ),
    "state dict": (lambda: net().state_dict(), STATE),
    "checkpoint": (lambda: {"epoch": 1, "state_dict": net().state_dict()}, STATE),
    "class": (lambda: nn.Linear, "Linear is a class; give a module made of it: Linear()"),
    "None": (lambda: Returns(None), f"Returns: its forward() returns None; {RETURNS}"),
    "text": (lambda: Returns("cat"), f"Returns: its forward() returns a str; {RETURNS}"),
    "object": (lambda: Returns(object()), f"Returns: its forward() returns a object; {RETURNS}"),
    "number": (lambda: Returns(3), f"Returns: its forward() returns a int; {RETURNS}"),
    "function": (
        lambda: net,
        "cannot read a network from a function; give a torch or Keras model, ONNX, NIR, or a path",
    ),
    "optimiser": (
        lambda: torch.optim.SGD(net().parameters()),
        "cannot read a network from a SGD; give a torch or Keras model, ONNX, NIR, or a path",
    ),
    "bytes": (lambda: b"x", "cannot read a network from a bytes; give a torch or Keras model, ONNX, NIR, or a path"),
    "nothing": (
        lambda: None,
        "cannot read a network from a NoneType; give a torch or Keras model, ONNX, NIR, or a path",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.filterwarnings("ignore")
def test_what_is_no_module_gets_advice(name: str) -> None:
    make, message = REFUSED[name]
    with pytest.raises(ModelFileError) as caught:
        sw.load(make(), shape=(4,))
    assert str(caught.value) == message


def test_an_object_of_another_library() -> None:
    class MLPClassifier:
        def fit(self) -> None: ...

    with pytest.raises(ModelFileError, match="cannot read a network from a MLPClassifier; give a torch or Keras model"):
        sw.load(MLPClassifier(), shape=(4,))
    with pytest.raises(ModelFileError, match=r"is no torch\.nn\.Module"):
        from_torch(MLPClassifier(), torch.zeros(1, 4))


@pytest.mark.filterwarnings("ignore")
def test_what_stands_around_a_module_is_taken_off() -> None:
    module = net()
    assert runnable(nn.DataParallel(module)) is module
    assert runnable(torch.compile(nn.DataParallel(module))) is module
    graph = sw.load(nn.DataParallel(module), shape=(4,))
    assert [node.name for node in graph] == ["input", "0", "1", "2", "output"]
    assert graph.meta["model"] == "Sequential"


def test_a_lazy_module_is_not_initialised_by_looking_at_it() -> None:
    module = nn.Sequential(nn.LazyLinear(4))
    with pytest.raises(ModelFileError):
        sw.load(module, shape=(4,))
    assert module[0].has_uninitialized_params()


def test_hooks_are_part_of_what_a_module_does() -> None:
    module = net()
    module[0].register_forward_hook(lambda *given: given[-1] * 2)
    graph = sw.load(module, shape=(4,))
    assert verification(graph).against == "PyTorch"
    assert len(graph) == len(sw.load(net(), shape=(4,))) + 1


def test_a_forward_pass_that_changes_what_the_module_holds() -> None:
    class Counts(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("calls", torch.zeros(()))

        def forward(self, x: Tensor) -> Tensor:
            self.calls += 1
            return x.relu() * self.calls

    with pytest.raises(SpikewrightError):
        sw.load(Counts(), shape=(4,))


@pytest.mark.parametrize(
    ("example", "message"),
    [
        ((), "the example holds no tensor; give a batch for each argument of forward()"),
        ({"x": torch.zeros(1, 4)}, "an example must be a tensor or an array, not a dict"),
        ([1, 2], "an example must be a tensor or an array, not a int"),
        (b"x", "an example must be a tensor or an array, not a bytes"),
        (torch.zeros(1, 4, dtype=torch.complex64), "the example must hold plain numbers"),
        (torch.zeros(1, 4, device="meta"), "the example must hold plain numbers"),
        (np.array([[object()] * 4]), "an example of object is no tensor; give it as float32"),
        (np.array([["a"] * 4]), "an example of <U1 is no tensor; give it as float32"),
    ],
    ids=["nothing", "dictionary", "list", "bytes", "complex", "meta", "object", "text"],
)
def test_examples_that_are_none(example: Any, message: str) -> None:
    with pytest.raises(ModelFileError) as caught:
        sw.load(net(), example=example)
    assert message in str(caught.value)


def test_examples_of_other_types() -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    for example in (torch.zeros(1, 4).bfloat16(), np.zeros((2, 4))):
        assert verification(sw.load(nn.Linear(4, 2), example=example)).against == "PyTorch"
    with pytest.raises(ModelFileError, match=r"check the shape of one sample and its type, torch.int8"):
        sw.load(net(), example=np.zeros((2, 4), np.int8))
    with pytest.raises(ModelFileError, match="an example of bfloat16 is no tensor; give it as float32"):
        sw.load(net(), example=np.zeros((2, 4), ml_dtypes.bfloat16))


@pytest.mark.parametrize("shape", ["4", (-4,), 4, (4.5,), (0,), ("a",), [None]])
def test_shapes_that_are_none(shape: Any) -> None:
    with pytest.raises(SettingsError, match=r"shape is that of one sample, such as \(1, 28, 28\), not "):
        sw.load(net(), shape=shape)


def test_files_and_folders_that_are_no_model(tmp_path: Path) -> None:
    def said(path: Any) -> str:
        with pytest.raises(ModelFileError) as caught:
            sw.load(path)
        return str(caught.value).replace(str(tmp_path), "")

    (tmp_path / "saved").mkdir()
    known = "give .onnx, .pt2, .keras, .h5, .nir, .safetensors or FILE.py:FACTORY"
    assert said(tmp_path / "saved") == f"/saved: is a folder, not a file; {known}"
    (tmp_path / "saved" / "saved_model.pb").write_bytes(b"")
    assert said(tmp_path / "saved") == (
        "/saved: is a TensorFlow SavedModel, not a file; save the Keras model with model.save('network.keras'), or "
        "what there is with python -m tf2onnx.convert --saved-model FOLDER --output network.onnx"
    )
    torch.jit.script(net()).save(str(tmp_path / "scripted.pt"))
    assert said(tmp_path / "scripted.pt") == (
        "/scripted.pt: holds a TorchScript program, which is not read; save its nn.Module with torch.export.save as "
        ".pt2, or give its code: FILE.py:FACTORY --weights FILE"
    )
    torch.save(net().state_dict(), tmp_path / "weights.pth")
    assert said(tmp_path / "weights.pth").startswith("/weights.pth: holds weights without the network; give its code")
    assert said(tmp_path / "none.xyz") == f"/none.xyz: no such model; {known}"


def test_a_module_that_cannot_be_copied_is_taken_all_the_same() -> None:
    class Unique(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(4, 3).half()

        def __deepcopy__(self, memo: Any) -> Any:
            raise copy.Error("there is only one")

        def forward(self, x: Tensor) -> Tensor:
            return self.fc(x)

    known = verification(sw.load(Unique(), shape=(4,)))
    assert known.against == "PyTorch"
    assert not known.notes
