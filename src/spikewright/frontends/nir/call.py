"""One NIR node as its rule sees it: fields checked as they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikewright.frontends.common.refusals import Refusal
from spikewright.frontends.nir.notes import read_notes
from spikewright.graph import Array, Node, Shape


@dataclass(frozen=True)
class Call:
    """A node, and where it stands.

    Attributes:
        name: unique in the flattened graph.
        kind: its NIR type.
        fields: as NIR names them.
        source: the node it reads.
        shape: of what it reads; None where something before it was refused, so that only its fields can be judged.
        dt: length of a timestep, in seconds.
        fresh: a name that no node has yet.
        readers: the NIR types of what reads it.
        batch: the size of the batch that its fields may count in front of a sample's axes.
    """

    name: str
    kind: str
    fields: Mapping[str, Any]
    source: str
    shape: Shape | None
    dt: float
    fresh: Callable[[str], str] = field(repr=False)
    readers: tuple[str, ...] = ()
    batch: int | None = None

    @property
    def notes(self) -> dict[str, Any]:
        """What the exporter noted in its metadata."""
        return read_notes(self.fields.get("metadata"), f"{self.kind} '{self.name}'")

    @property
    def base(self) -> dict[str, Any]:
        """Name and inputs of a node that reads what this one reads."""
        return {"name": self.name, "inputs": (self.source,)}

    def array(self, label: str, default: Any = None) -> Array:
        """A field of numbers."""
        value = self.fields.get(label)
        if value is None:
            value = default
        if value is None:
            raise Refusal(f"it has no {label}")
        return numbers(value, label)

    def integers(self, label: str, axes: int, least: int) -> Shape:
        """A field of whole numbers: one for each axis, or one for all."""
        values = numbers(self.fields[label], label) if label in self.fields else None
        if values is None or values.size not in (1, axes) or values.ndim > 1:
            raise Refusal(f"its {label} must be {axes} whole number(s)")
        flat = [float(value) for value in np.broadcast_to(values, (axes,))]
        if any(value != np.floor(value) or not least <= value < 2**31 for value in flat):
            raise Refusal(f"its {label} must be whole numbers, {least} or more, not {flat}")
        return tuple(int(value) for value in flat)

    def spread(self, label: str, default: float | None = None) -> NDArray[np.float64]:
        """A parameter of a population, in double precision: one for all (shape ``()``) or one for each neuron."""
        values = self.array(label, default).astype(np.float64)
        if not np.isfinite(values).all():
            raise Refusal(f"its {label} is not finite")
        if values.size == 1:
            return values.reshape(())
        values = self.of_one(values)
        if self.shape is not None and values.shape != self.shape:
            raise Refusal(f"its {label} has the shape {values.shape}, its input {self.shape}")
        return values

    def of_one(self, values: Array) -> Array:
        """Values for a sample, where they may be stated for each of a batch, alike."""
        if self.batch is None or self.shape is None or values.shape != (self.batch, *self.shape):
            return values
        return values[0] if (values == values[0]).all() else values

    def check_stated(self, label: str, actual: Shape) -> None:
        """Refuse a node that states another shape than the one that arrives."""
        if self.fields.get(label) is None:
            return
        stated = shape_of(self.fields[label], label)
        if stated != actual and (self.batch is None or stated != (self.batch, *actual)):
            raise Refusal(f"it states an input of shape {stated}, and {actual} arrives")


Rule = Callable[[Call], tuple[Node, ...]]
"""The nodes that a NIR node becomes, the last of them under its name; none where it does nothing."""


def numbers(value: Any, label: str) -> Array:
    """An array of real numbers, of whatever framework."""
    detach = getattr(value, "detach", None)  # some simulators leave their own tensors in the nodes
    try:
        array = np.asarray(value if detach is None else detach().cpu())
    except (ValueError, TypeError, OverflowError):
        array = np.asarray(None)
    if array.dtype.kind not in "fiub":
        raise Refusal(f"its {label} is not made of numbers")
    numeric: Array = array
    return numeric


def shape_of(value: Any, label: str) -> Shape:
    """The shape of a sample that a field states."""
    values = numbers(value, label).ravel().tolist()
    if not values or any(n != n or n < 1 or n != int(min(n, 2**62)) for n in values):
        raise Refusal(f"its {label} is {tuple(values)}, which is no shape")
    return tuple(int(n) for n in values)
