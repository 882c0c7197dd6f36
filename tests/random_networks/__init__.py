"""Whole networks drawn at random, odd operators among them, and what must hold for each of them."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from random_networks.drawing import Network

FRAMEWORKS = ("torch", "onnx", "keras")


def generator(framework: str) -> Callable[[int], Network]:
    """What makes a network of a framework from a seed."""
    made: Callable[[int], Network] = getattr(
        import_module(f"random_networks.{framework}_networks"), f"{framework}_network"
    )
    return made
