"""A node: one primitive of a network, and what follows from how it moves or connects values."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from dataclasses import replace as dataclass_replace
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from spikewright.connections import Connections
from spikewright.connections.moves import moved, scale_moved, table_of, times_moved
from spikewright.connections.scales import across_channels, channel_scale
from spikewright.errors import GraphError, NotFiniteError
from spikewright.text import brief

if TYPE_CHECKING:
    from torch import Tensor

Shape = tuple[int, ...]
Array = NDArray[Any]
ToTensor = Callable[[Array], "Tensor"]
"""Puts a numpy array on the device, and in the precision, of the run at hand."""

MOST_VALUES = 2**31
"""No tensor of a network has more values for one sample: what claims to is damaged, or was made to fill the memory."""


def check_size(where: object, shape: Shape) -> None:
    """Refuse shapes that no memory could hold, before anything is made of them.

    Raises:
        GraphError: for more than ``MOST_VALUES`` values a sample.
    """
    if prod(shape) > MOST_VALUES:
        raise GraphError(f"{where}: {shape} is more than 2^31 values for one sample, which no network has")


@dataclass(frozen=True, eq=False, kw_only=True)
class Node(ABC):
    """One primitive: its parameters are its fields, and its file says everything about it.

    Arrays are kept as read-only float32. Shapes are per sample and channels first: no batch axis.

    Attributes:
        name: unique in its graph.
        inputs: the names of the nodes it reads, in order.
    """

    name: str
    inputs: tuple[str, ...] = ()

    arity: ClassVar[int | None] = 1
    """How many inputs it takes; None for one or more."""
    weighted: ClassVar[bool] = False
    """Whether it has weights that can take a scale in and give a scale out."""
    windowed: ClassVar[bool] = False
    """Whether it slides over the positions of a channel, which must then be in one scale."""
    population: ClassVar[bool] = False
    """Whether it is made of spiking neurons."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "inputs", tuple(self.inputs))
        for f in fields(self):
            value = getattr(self, f.name)
            if isinstance(value, np.ndarray):
                object.__setattr__(self, f.name, self._frozen(f.name, value))
        if self.arity is not None and len(self.inputs) != self.arity:
            raise GraphError(f"{self}: takes {self.arity} input(s), was given {len(self.inputs)}")
        if self.arity is None and not self.inputs:
            raise GraphError(f"{self}: needs at least one input")

    def _frozen(self, label: str, value: Array) -> Array:
        """A read-only float32 copy, refused if it holds anything that is not a finite number."""
        own = value.base is None and not value.flags.writeable and value.flags.c_contiguous
        with np.errstate(over="ignore"):  # what is too large becomes infinite, and is refused below
            array = value if own and value.dtype == np.float32 else np.array(value, dtype=np.float32, order="C")
        if not np.isfinite(array).all():
            where = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
            raise NotFiniteError(
                f"{self}: {label}{list(where)} is {array[where]}, not a finite float32; "
                "the trained weights are damaged: train or export the network again"
            )
        array.setflags(write=False)
        return array

    def __init_subclass__(cls) -> None:
        if "__repr__" not in vars(cls):  # else a dataclass makes one that prints every weight
            type.__setattr__(cls, "__repr__", brief)

    def __str__(self) -> str:
        return f"{type(self).__name__} '{self.name}'"

    def __reduce__(self) -> tuple[Any, ...]:
        return _made, (type(self), {f.name: getattr(self, f.name) for f in fields(self)})

    @property
    def type(self) -> str:
        """The name of its class, which is what files call it."""
        return type(self).__name__

    @property
    def arrays(self) -> dict[str, Array]:
        """Its array fields by name."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name: value for name, value in values.items() if isinstance(value, np.ndarray)}

    @property
    def settings(self) -> dict[str, Any]:
        """Its fields other than arrays, name and inputs: what a table or a file header shows."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        hidden = {"name", "inputs", *self.arrays}
        return {name: value for name, value in values.items() if name not in hidden}

    @property
    def parameters(self) -> int:
        """How many trained numbers it holds."""
        return sum(array.size for array in self.arrays.values())

    def alike(self, other: Node | None) -> bool:
        """Whether another node is the same to the last bit: its type, name, inputs, settings and arrays."""
        if other is self:
            return True
        if other is None or self.arrays.keys() != other.arrays.keys():
            return False
        one, two = ((node.type, node.name, node.inputs, node.settings) for node in (self, other))
        return one == two and all(
            array.shape == other.arrays[label].shape and array.tobytes() == other.arrays[label].tobytes()
            for label, array in self.arrays.items()
        )

    def replace(self, **changes: Any) -> Self:
        """A copy with some fields changed."""
        return dataclass_replace(self, **changes)

    @abstractmethod
    def infer_shape(self, *inputs: Shape) -> Shape:
        """The shape of its output, per sample.

        Raises:
            GraphError: when the input shapes do not fit.
        """

    def shape_after(self, *inputs: Shape) -> Shape:
        """``infer_shape``, checked, and worked out once: graphs are edited often, and most of their nodes stay.

        Raises:
            GraphError: when the input shapes do not fit, or the output would be empty or absurdly large.
        """
        known: tuple[tuple[Shape, ...], Shape] | None = self.__dict__.get("_shape_after")
        if known is None or known[0] != inputs:
            shape = tuple(int(n) for n in self.infer_shape(*inputs))
            if any(n < 1 for n in shape):
                given = ", ".join(map(str, inputs))
                raise GraphError(f"{self}: its output would be empty, {shape}, for an input of {given}")
            check_size(self, shape)
            known = (inputs, shape)
            object.__setattr__(self, "_shape_after", known)
        return known[1]

    @abstractmethod
    def bind(self, to_tensor: ToTensor) -> Callable[..., Tensor]:
        """Its forward function on batches, with its arrays put in place once."""

    # How its values hang together: a node moves them, or connects them, or adds up its inputs, or makes spikes of them.

    def moves(self, *numbers: NDArray[np.int64]) -> NDArray[np.int64] | None:
        """Which value of its inputs stands at each place of its output; None for a node that does more than move.

        Args:
            numbers: for each input an array in its shape: every value is called by a number of its own, 0 or more.

        Returns:
            in the shape of the output, the number of the value that stands there, −1 where there is always zero.
        """
        return None

    def connections(self, *inputs: Shape) -> Connections | None:
        """What connects its input to its output; None for a node that only moves values, or adds them up."""
        return None

    def moving(self, *inputs: Shape) -> NDArray[np.int64] | None:
        """``moves`` for inputs of some shapes, with their values numbered one after the other."""
        return table_of(self.moves, inputs)

    def macs(self, *inputs: Shape) -> int:
        """Multiply-accumulates for one sample of the analog network (zero for what only moves values)."""
        made = self.connections(*inputs) if self.weighted else None
        return 0 if made is None else int(made.fan_out().sum())

    def fan_out(self, *inputs: Shape) -> tuple[NDArray[np.int64], ...]:
        """How many connections leave each neuron of each input, in the shape of that input; borders are exact.

        Of a node that only moves values: to how many places each goes.
        """
        made, table = self.connections(*inputs), self.moving(*inputs)
        if made is not None:
            return (made.fan_out(),)
        return tuple(np.ones(shape, np.int64) for shape in inputs) if table is None else times_moved(table, inputs)

    def events(self, *counts: NDArray[np.float64]) -> NDArray[np.float64]:
        """The events that arrive at each of its outputs when each input neuron sends the given number.

        The operator with every connection's weight set to one. ``counts`` are per sample, without batch axis.
        """
        shapes = [count.shape for count in counts]
        made, table = self.connections(*shapes), self.moving(*shapes)
        if made is not None:
            return made.arriving(counts[0])
        if table is None:
            raise GraphError(f"{self}: no events pass through a {self.type}")
        return moved(table, counts)

    def carry_scale(self, *scales: Array) -> Array | None:
        """The scale of its output, given the scale of each input (same shape as the values themselves).

        What moves values moves their scales, a pool passes on that of its channel; None for what takes its own scale.
        """
        table = self.moving(*(scale.shape for scale in scales))
        if table is not None:
            return scale_moved(table, scales)
        made = self.connections(*(scale.shape for scale in scales)) if scales else None
        if made is None or not made.pools:
            return None
        return across_channels(channel_scale(self, scales[0]), made.outputs)

    def rescale(self, before: Array, after: Array) -> Self:
        """The same operator between a normalised input and a normalised output: ``W·before/after``, ``b/after``.

        Args:
            before: what one unit of each normalised input value stands for, in the shape of the input.
            after: the same for the output.
        """
        raise GraphError(f"{self}: a {self.type} has no weights that could be scaled")

    def reweigh(self, change: Callable[[Array], Array]) -> Self:
        """The same operator with other weights.

        Args:
            change: is given its weights with their output channels first, ``(outputs, ...)``, and gives others in the
                same shape.
        """
        raise GraphError(f"{self}: a {self.type} does not say which of its weights belong to which output channel")

    def followed_by(self, scale: Array, shift: Array) -> Self:
        """The same operator with ``scale · y + shift`` of each output channel behind it, in one."""
        raise GraphError(f"{self}: a {self.type} has no weights that could take in what follows")

    def preceded_by(self, scale: Array, shift: Array, shape: Shape) -> Self:
        """The same operator with ``scale · x + shift`` of each input channel before it, in one.

        Args:
            scale: of each input channel, ``(channels,)``.
            shift: the same.
            shape: of its input.
        """
        raise GraphError(f"{self}: a {self.type} has no weights that could take in what comes before")


N = TypeVar("N", bound=Node)


def _made(kind: type[N], values: Mapping[str, Any]) -> N:
    """A node copied or unpickled: made anew, so that what holds of every node holds of it."""
    return kind(**values)
