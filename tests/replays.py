"""What the native core is told and what comes of it, written down for native/tests/replay.cpp, which has no Python.

A ``ReplayWriter`` stands where the native module's ``Plan`` and ``Chip`` do, passes every call on, and writes it down
with its results. The file has numbers, lists and texts one after the other, without names: the program knows the order.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import DTypeLike

from spikewright.engines.event import _native

SIGNATURES = {
    "input": "iii",
    "relay": "ii",
    "output": "ii",
    "neurons": "iifffdidiiiff",
    "pool": "iiitill",
    "join": "iilNNF",
    "conv": "iinlilllllif",
    "dense": "iinif",
    "sparse": "iillf",
    "finish": "ii",
    "image": "iillllllf",
}
"""What a plan is told: whole numbers, doubles, texts, lists of 32-bit (n) or 64-bit (l) integers or floats (f), and
lists of such lists, in capitals."""
LISTS: dict[str, DTypeLike] = {"n": np.int32, "l": np.int64, "f": np.float32}


class ReplayWriter:
    """A file of cases for the program; every plan and chip that is made while it is in use goes there.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.runs = path, 0
        self._file: Any = None

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """The native module's plans and chips are written down."""
        with pytest.MonkeyPatch.context() as patch, self.path.open("wb") as self._file:
            plan, chip = _native.Plan, _native.Chip
            patch.setattr(_native, "Plan", lambda: _WrittenPlan(self, plan()))
            patch.setattr(_native, "Chip", lambda isa="": _WrittenChip(self, chip(isa)))
            yield

    def case(self, name: str) -> None:
        """What follows belongs to a case, which the program names where it disagrees."""
        self.texts("case", name)

    def texts(self, *texts: str) -> None:
        """Texts, each its length and its letters."""
        for text in texts:
            self.integers(len(text))
            self._file.write(text.encode("ascii"))

    def integers(self, *numbers: Any) -> None:
        """64-bit integers."""
        self._file.write(struct.pack(f"<{len(numbers)}q", *(int(number) for number in numbers)))

    def doubles(self, *numbers: float) -> None:
        """Doubles."""
        self._file.write(struct.pack(f"<{len(numbers)}d", *numbers))

    def values(self, values: Any, dtype: DTypeLike) -> None:
        """A list; none is an empty one."""
        array = np.zeros(0, dtype) if values is None else np.ascontiguousarray(values, dtype)
        self.integers(array.size)
        self._file.write(array.tobytes())


class _WrittenPlan:
    """A plan that writes down what it is told."""

    def __init__(self, writer: ReplayWriter, plan: Any) -> None:
        self._writer, self._plan = writer, plan
        writer.texts("plan")

    def __getattr__(self, name: str) -> Any:
        if name not in SIGNATURES:
            return getattr(self._plan, name)

        def told(*arguments: Any) -> Any:
            found = getattr(self._plan, name)(*arguments)
            self._write(
                name, arguments[1:] if name == "finish" else arguments
            )  # which instruction set, is not replayed
            if name == "image":
                self._writer.integers(found)
            return found

        return told

    def _write(self, name: str, arguments: Sequence[Any]) -> None:
        signature = SIGNATURES[name]
        self._writer.texts(name)
        for kind, argument in zip(signature, [*arguments, *[None] * (len(signature) - len(arguments))], strict=True):
            if kind == "i":
                self._writer.integers(argument or 0)
            elif kind == "d":
                self._writer.doubles(argument)
            elif kind == "t":
                self._writer.texts(argument)
            elif kind.isupper():
                self._writer.integers(len(argument or ()))
                for values in argument or ():
                    self._writer.values(values, LISTS[kind.lower()])
            else:
                self._writer.values(argument, LISTS[kind])

    def run(
        self,
        samples: int,
        steps: int,
        threads: int,
        chunk: int,
        inputs: Sequence[tuple[int, str, Any]],
        outputs: Sequence[tuple[int, str, Any]],
        events: Sequence[int] = (),
        given: Sequence[tuple[int, Any, Any, Any]] = (),
        lengths: Any = None,
        totals: Sequence[tuple[int, str, Any]] = (),
    ) -> Any:
        """See the native module."""
        if any(np.asarray(array).any() for _, _, array in (*outputs, *totals)):
            raise ValueError("arrays for results must be zero")
        found = self._plan.run(
            samples, steps, threads, chunk, inputs, outputs, list(events), list(given), lengths, list(totals)
        )
        writer = self._writer
        writer.runs += 1
        writer.texts("run")
        writer.integers(samples, steps, threads, min(chunk, steps, 64))
        writer.values(lengths, np.int64)
        for arrays, dtype in ((inputs, np.float32), (None, None), (outputs, np.float32), (totals, np.float64)):
            if arrays is None:
                self._write_given(given)
                continue
            writer.integers(len(arrays))
            for layer, kind, array in arrays:
                writer.integers(layer)
                writer.texts(kind)
                writer.values(array, dtype)
        writer.integers(len(events))
        for layer, (counts, timestep, neuron, value) in zip(events, found, strict=True):
            writer.integers(layer)
            writer.values(counts, np.int64)
            writer.values(timestep, np.int32)
            writer.values(neuron, np.int32)
            writer.values(value, np.float32)
        return found

    def _write_given(self, given: Sequence[tuple[int, Any, Any, Any]]) -> None:
        self._writer.integers(len(given))
        for layer, start, index, value in given:
            self._writer.integers(layer)
            self._writer.values(start, np.int64)
            self._writer.values(index, np.int32)
            self._writer.values(value, np.float32)


class _WrittenChip:
    """A chip that writes down what it is told; of every layer the events and the potentials must be asked for."""

    def __init__(self, writer: ReplayWriter, chip: Any) -> None:
        self._writer, self._chip = writer, chip
        writer.texts("chip")

    def input(self, channels: int, height: int, width: int) -> Any:
        """See the native module."""
        self._writer.texts("chip input")
        self._writer.integers(channels, height, width)
        return self._chip.input(channels, height, width)

    def layer(self, **settings: Any) -> Any:
        """See the native module."""
        found, writer = self._chip.layer(**settings), self._writer
        weights = np.asarray(settings["weights"])
        writer.texts("chip layer")
        writer.integers(len(settings["sources"]), *(number for source in settings["sources"] for number in source))
        writer.integers(*settings["shape"], weights.shape[0], weights.shape[2], *settings["stride"])
        writer.integers(*settings["padding"], *(settings[name] for name in ("threshold", "v_min", "decimator")))
        writer.integers(settings["subtract"])
        for name in ("weights", "bias", "v_init"):
            writer.values(settings[name], np.int16)
        return found

    def run(self, **request: Any) -> Any:
        """See the native module."""
        found, writer = self._chip.run(**request), self._writer
        writer.runs += 1
        writer.texts("chip run")
        writer.integers(request["samples"], request["first"])
        kinds = {"turn": np.int32, "place": np.int32, "time": np.int64, "tick": np.uint8}
        for name in ("start", "turn_start", *kinds):
            writer.values(request[name], kinds.get(name, np.int64))
        writer.integers(*(request[name] for name in ("fires_above", "counts_neurons", "ticks_add")))
        writer.integers(request["permute"] is not None, request["permute"] or 0)
        writer.values(request["totals"], np.int64)
        writer.integers(request["window"])
        writer.values(request["windowed"], np.int64)
        for (counts, turns, neurons), (_, potentials) in zip(found, request["potentials"], strict=True):
            writer.values(counts, np.int64)
            writer.values(turns, np.int32)
            writer.values(neurons, np.int32)
            writer.values(potentials, np.int16)
        return found
