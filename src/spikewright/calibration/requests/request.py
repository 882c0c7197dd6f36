"""What a request and its accumulator are, and the batches that accumulators see."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from spikewright.calibration.requests.float_bits import Block, blocks_of, floats
from spikewright.parts import storable

if TYPE_CHECKING:
    from torch import Tensor

    from spikewright.data import Dataset
    from spikewright.forward import Forward

Found_co = TypeVar("Found_co", covariant=True)
Arrays = dict[str, NDArray[Any]]
Item = TypeVar("Item")
Result = TypeVar("Result")
SERIAL = (1 << 15) - 1
"""Values of a tensor up to which torch runs one operation in one thread."""
UPPER = 1 << 15
"""The upper 16 bits of positive numbers, as many as there are."""


@storable
class Totals:
    """How many values a population had, how many were positive, and the largest: these are always counted.

    Attributes:
        count: of all values.
        positives: ``(channels,)``: how many were positive.
        maximum: ``(channels,)``: the largest positive value, 0 without any.
    """

    def __init__(self, channels: int) -> None:
        self.count = 0
        self.positives = np.zeros(channels, np.int64)
        self.maximum = np.zeros(channels)

    def add(self, values: Values) -> None:
        """Take in a batch."""
        self.count += values.count
        self.positives += values.positives
        self.maximum = np.maximum(self.maximum, values.maximum)

    def merge(self, other: Totals) -> None:
        """Take in the totals of other samples."""
        self.count += other.count
        self.positives += other.positives
        self.maximum = np.maximum(self.maximum, other.maximum)

    def sizes(self, channels: bool) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """``(groups,)`` each: positive values, and zeros, of every channel or of the layer."""
        positives = self.positives if channels else self.positives.sum(keepdims=True)
        return positives, self.count // (len(self.positives) if channels else 1) - positives


@dataclass(frozen=True, eq=False)
class Seen:
    """What was counted of a batch of rectified values, or of sizes.

    Attributes:
        largest: ``(C,)``: the largest pattern of each channel, of NaN and infinity too.
        positives: ``(C,)``.
        histogram: ``(2^15,)``: positive values by the upper 16 bits of their patterns.
    """

    largest: NDArray[np.int32]
    positives: NDArray[np.int64]
    histogram: NDArray[np.int64]

    @classmethod
    def nothing(cls, channels: int) -> Seen:
        """That of no values."""
        return cls(np.zeros(channels, np.int32), np.zeros(channels, np.int64), np.zeros(UPPER, np.int64))


class Values:
    """A batch of values of one population, and what accumulators share of it.

    Args:
        given: ``(B, C, ...)``: rectified values, of an input their sizes ``|x|``; or values before rectification.
        floor: ``(C,)``: patterns from which ``upper`` gives values.
        pool: of threads that count side by side.
        threads: how many these are.

    Attributes:
        seen: what the native core counted of them, where it did.
    """

    def __init__(
        self,
        given: Tensor,
        floor: NDArray[np.int64] | None = None,
        pool: ThreadPoolExecutor | None = None,
        threads: int = 1,
    ) -> None:
        self.given, self.floor, self.pool, self.threads = given, floor, pool, threads
        self.count = given.numel()
        self.seen: Seen | None = None

    @property
    def rows(self) -> Tensor:
        """``(B, C, positions)``."""
        return self.given.reshape(*self.given.shape[:2], -1)

    @property
    def chunk(self) -> int:
        """Values to count at once: with several threads so few that torch does not divide them once more."""
        return SERIAL if self.threads > 1 else 1 << 17

    def each(self, function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
        """The results for some items, found side by side."""
        return list(map(function, items) if self.pool is None else self.pool.map(function, items))

    @cached_property
    def maximum(self) -> NDArray[np.float64]:
        """``(C,)``; NaN and infinity where there are any."""
        if self.seen is not None:
            return self.seen.largest.view(np.float32).astype(np.float64)
        channels = self.given.shape[1]
        found = [block.tops.reshape(-1, channels, block.positions).amax(dim=(0, 2)) for block in self.blocks]
        return np.asarray(np.max([most.double().cpu().numpy() for most in found], axis=0))

    @cached_property
    def blocks(self) -> list[Block]:
        """The samples by runs, with the largest value of each run at every place."""
        return blocks_of(self.rows)

    @cached_property
    def positives(self) -> NDArray[np.int64]:
        """``(C,)``."""
        if self.seen is not None:
            return self.seen.positives
        found = np.zeros(self.given.shape[1], np.int64)
        if self.given.device.type != "cpu":
            found += (self.rows > 0).sum(dim=(0, 2)).cpu().numpy()
            return found
        for rows in self.chunks(self.rows, 1 << 17, 255):  # so many ones fit 8 bits
            positive = np.greater(rows.numpy(), 0).view(np.uint8)
            found += positive.sum(axis=0, dtype=np.uint8).sum(axis=1, dtype=np.int64)
        return found

    @staticmethod
    def chunks(rows: Tensor, least: int = 1 << 19, most: int | None = None) -> tuple[Tensor, ...]:
        """Samples side by side whose values fit a processor's cache, or are ``least`` at least; ``most`` samples."""
        if rows.device.type != "cpu":
            return (rows,)
        step = max(1, -(-least // rows[0].numel()))
        step = step if most is None else min(step, most)
        return tuple(rows[start : start + step] for start in range(0, len(rows), step))

    @cached_property
    def upper(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The bit patterns of the values from ``floor`` up, and the channel of each."""
        assert self.floor is not None
        low = floats(self.floor)
        found = [block.values_from(low) for block in self.blocks]
        return np.concatenate([p for p, _ in found]).astype(np.int64), np.concatenate([c for _, c in found])


@dataclass(frozen=True)
class Request(ABC, Generic[Found_co]):
    """A small value that says what is to be found of a population's values: ``Counted`` or ``InOrder``.

    ``key`` is its text: statistics hold what was found under it, in memory and in files.
    """

    def __init_subclass__(cls) -> None:
        storable(cls)

    names: ClassVar[tuple[str, ...]]
    """Names of the arrays that hold what was found."""

    @property
    @abstractmethod
    def key(self) -> str:
        """The text that names it in files, and that ``parse`` reads back."""
        ...

    @classmethod
    @abstractmethod
    def parse(cls, key: str) -> Self | None:
        """The request of a key; None for text that is none."""

    @abstractmethod
    def found(self, arrays: Arrays) -> Found_co:
        """What was found, from the arrays of ``Accumulator.arrays``."""

    @abstractmethod
    def check(self, arrays: Arrays, totals: Totals) -> None:
        """Refuse arrays of a file that cannot be of a population with such totals.

        Raises:
            ValueError: for such arrays.
            KeyError: for one that is missing.
        """

    def __str__(self) -> str:
        return self.key


@dataclass(frozen=True)
class Counted(Request[Found_co]):
    """A request that is found batch by batch, in any order and in parts that merge: most are."""

    @property
    def before(self) -> bool:
        """Whether it is about the values before rectification."""
        return False

    @property
    def needs(self) -> tuple[Counted[Any], ...]:
        """Requests whose results its own search starts from."""
        return ()

    @abstractmethod
    def accumulator(self, channels: int, one_pass: bool = False) -> Accumulator:
        """What finds it in a population of so many channels.

        Args:
            channels: of the population.
            one_pass: whether to be content with what the first pass tells.
        """


@dataclass(frozen=True)
class InOrder(Request[Found_co]):
    """A request that depends on the order of the samples: it takes a run of its own over the data, in one place."""

    @property
    @abstractmethod
    def samples(self) -> int:
        """How many samples it runs over, those that come again among them."""

    @abstractmethod
    def gather(self, forward: Forward, data: Dataset, progress: Callable[[int], None]) -> dict[str, Arrays]:
        """What it finds of every ReLU and output, by name.

        Args:
            forward: the network, made for this run: its functions may be replaced.
            data: the samples.
            progress: called with the number of samples that are done.
        """


class Accumulator(ABC):
    """What a request has seen so far: it adds batches, merges with others, and says whether it needs another pass.

    Merged, those of several parts of a data set are equal to one that saw all parts, whatever the order: to the bit,
    but for the rounding of sums of floats. They hold arrays and numbers only, so that they can be sent to another
    machine and back, and kept in a file.
    """

    def __init_subclass__(cls) -> None:
        storable(cls)

    @property
    @abstractmethod
    def passes_left(self) -> int:
        """How many passes are known to come, the one that runs among them."""

    @property
    def needs_pass(self) -> bool:
        """Whether it takes part in the pass that runs, or comes next."""
        return self.passes_left > 0

    @abstractmethod
    def fresh(self) -> Self:
        """One for the same pass that has seen nothing in it yet."""

    @abstractmethod
    def add(self, values: Values) -> None:
        """See a batch."""

    @abstractmethod
    def merge(self, other: Any) -> None:
        """Take in what another one of the same request has seen of other samples in this pass."""

    @abstractmethod
    def finish_pass(self, totals: Totals, needed: Mapping[str, Accumulator]) -> None:
        """After a pass over all samples: settle what that pass tells.

        Args:
            totals: of the population.
            needed: accumulators of the requests in ``Request.needs``, by key, finished before this one.
        """

    @property
    def floor(self) -> NDArray[np.int64] | None:
        """``(channels,)`` or ``(1,)``: the pattern from which it must see values in this pass; None for all or none."""
        return None

    @abstractmethod
    def arrays(self, totals: Totals) -> Arrays:
        """What was found, by name."""
