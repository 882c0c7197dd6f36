"""What is made like an activation and full of one number, and what joins activations with constants."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import spikewright as sw
from layers import Call
from spikewright.errors import SpikewrightError
from spikewright.forward import Forward

FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "zeros_like": lambda x: torch.where(x > 0.3, x, torch.zeros_like(x)),
    "ones_like": lambda x: torch.minimum(x, torch.ones_like(x)),
    "full_like": lambda x: x - torch.full_like(x, 0.3),
    "new_zeros": lambda x: torch.where(x > 0.3, x, x.new_zeros(x.shape)),
    "new_full": lambda x: torch.maximum(x, x.new_full((6, 2), 0.2)),
    "bounds": lambda x: torch.clamp(x, min=torch.zeros_like(x), max=torch.ones_like(x) * 0.6),
    "constants behind": lambda x: torch.cat([x.relu(), torch.zeros_like(x)], 1),
    "constants before": lambda x: torch.cat([torch.ones_like(x) * 0.5, x.relu()], 1),
    "one alone": lambda x: torch.cat([torch.ones_like(x[:, :, :1]), x], 2),
    "on all sides": lambda x: torch.cat([torch.ones_like(x), x, -torch.ones_like(x), 2 * x, torch.zeros_like(x)], 2),
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("door", ["torch", "onnx"])
def test_they_are_what_they_are_there(name: str, door: str, tmp_path: Path) -> None:
    module, x = Call(FUNCTIONS[name]).eval(), torch.rand(5, 6, 2, generator=torch.Generator().manual_seed(0)) - 0.3
    if door == "torch":
        graph = sw.load(module, shape=(6, 2))
    else:
        pytest.importorskip("onnx")
        open_batch: dict[str, Any] = {"input_names": ["x"], "dynamic_axes": {"x": {0: "batch"}}}
        with pytest.warns(DeprecationWarning, match="legacy"):
            torch.onnx.export(module, (x[:1],), str(tmp_path / "model.onnx"), dynamo=False, **open_batch)
        graph = sw.load(tmp_path / "model.onnx")
    (found,) = Forward(graph)(x).values()
    torch.testing.assert_close(found, module(x), rtol=0, atol=1e-6)


def test_of_another_number_for_each_sample() -> None:
    with pytest.raises(SpikewrightError, match="batch"):
        sw.load(Call(lambda x: x + torch.ones_like(x[:, 0]).sum(0)), shape=(6, 2))


def test_constants_make_wider() -> None:
    module = Call(lambda x: x[:, :, None] * torch.arange(1.0, 4.0)[:, None] + torch.tensor([[0.1], [0.2], [0.3]]))
    x = torch.rand(4, 6, 2, generator=torch.Generator().manual_seed(0))
    (found,) = Forward(sw.load(module.eval(), shape=(6, 2)))(x).values()
    torch.testing.assert_close(found, module(x), rtol=0, atol=1e-6)


def test_joined_constants_fit() -> None:
    graph = sw.load(Call(lambda x: torch.cat([x, torch.tensor([[1.0, 2.0]]).expand(len(x), 2)], 1)), shape=(6,))
    (found,) = Forward(graph)(torch.zeros(2, 6)).values()
    assert found.tolist() == [[0.0] * 6 + [1.0, 2.0]] * 2


def test_keras() -> None:
    keras = pytest.importorskip("keras")
    ops = keras.ops
    functions = [
        lambda x: ops.where(x > 0.3, x, ops.zeros_like(x)),
        lambda x: ops.maximum(x, ops.ones_like(x) * 0.1),
        lambda x: ops.where(ops.greater(x, 0.1), x, ops.full_like(x, 0.2)),
        lambda x: ops.concatenate([ops.ones_like(x), x], -1),
    ]
    x = np.random.default_rng(0).random((5, 6), np.float32)
    for function in functions:
        given = keras.Input((6,))
        model = keras.Model(given, function(given))
        (found,) = Forward(sw.load(model))(torch.from_numpy(x)).values()
        np.testing.assert_allclose(found.numpy(), np.asarray(model(x).detach()), rtol=0, atol=1e-6)
