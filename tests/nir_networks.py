"""Small NIR graphs, and what they answer."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from spikewright.forward import run
from spikewright.graph import Array

nir = pytest.importorskip("nir")
h5py = pytest.importorskip("h5py")

from spikewright.frontends.nir import from_nir  # noqa: E402

RANDOM = np.random.default_rng(0)


def values(*shape: int) -> Array:
    return RANDOM.normal(size=shape).astype(np.float32)


def network(shape: tuple[int, ...], *nodes: Any, **named: Any) -> Any:
    """A chain from an input of a shape to an output."""
    inner = {**{f"n{k}": node for k, node in enumerate(nodes)}, **named}
    names = ["input", *inner, "output"]
    ends = {"input": nir.Input(np.array(shape)), "output": nir.Output(None)}
    return nir.NIRGraph({**ends, **inner}, list(pairwise(names)), type_check=False)


def answer(graph: Any, x: Array) -> Array:
    return run(from_nir(graph), x)["output"]


def conv(weight: Array, **changes: Any) -> Any:
    kind = nir.Conv1d if weight.ndim == 3 else nir.Conv2d
    settings = {"input_shape": None, "stride": 1, "padding": 0, "dilation": 1, "groups": 1, **changes}
    return kind(weight=weight, bias=settings.pop("bias", values(len(weight))), **settings)


def neuron(shape: tuple[int, ...] = (), kind: str = "IF", **changes: Any) -> Any:
    """R·dt, or R·dt/τ, is 1 for the usual timestep."""
    fields = {"r": 1e4, "v_threshold": 1.0, "v_reset": 0.0}
    if kind == "LIF":
        fields = {"tau": 1e-3, "r": 10.0, "v_leak": 0.0, "v_threshold": 1.0, "v_reset": 0.0}
    return getattr(nir, kind)(**{k: np.broadcast_to(v, shape).astype(float) for k, v in {**fields, **changes}.items()})
