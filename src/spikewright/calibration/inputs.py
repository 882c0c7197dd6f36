"""What the data of an input are like, and λ of an input: what one event of it stands for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from math import isfinite
from typing import TYPE_CHECKING, Any, get_type_hints

import numpy as np
from numpy.typing import NDArray

from spikewright.calibration.requests import Quantile, Request
from spikewright.calibration.requests._exact import ExactSums
from spikewright.calibration.thresholds import Method, NodeFacts, threshold_method
from spikewright.errors import CalibrationError, SettingsError
from spikewright.parts import storable
from spikewright.settings import fits, number, plain

if TYPE_CHECKING:
    from torch import Tensor

InputScale = Method | float
"""How λ of an input comes about: by a threshold method on the sizes ``|x|`` of its values, or as a number."""


@dataclass(frozen=True)
class InputRange:
    """The values of one input over the whole data set, as the network sees them.

    Attributes:
        lowest, highest, mean: of all values.
        whole: whether all of them are whole numbers.
        alike: whether all samples are the same; of one sample nobody knows: False.
        quantiles: percentiles of the sizes ``|x|`` that were asked for, by ``Quantile.key``; NaN where all is zero.
    """

    lowest: float
    highest: float
    mean: float
    whole: bool = False
    alike: bool = False
    quantiles: Mapping[str, float] = field(default_factory=dict)

    @property
    def facts(self) -> dict[str, Any]:
        """Its fields as JSON holds them; a percentile that does not exist is null."""
        quantiles = {key: value if isfinite(value) else None for key, value in self.quantiles.items()}
        return {**asdict(self), "quantiles": quantiles}

    @classmethod
    def of_facts(cls, facts: Mapping[str, Any]) -> InputRange:
        """The range whose ``facts`` a file held.

        Raises:
            ValueError: for facts that are missing, of another kind, or contradict each other.
        """
        hints = {**get_type_hints(cls), "quantiles": dict[str, float | None]}
        if facts.keys() != hints.keys() or not all(fits(facts[label], hint) for label, hint in hints.items()):
            raise ValueError(f"the range of an input cannot be {facts!s:.60}")
        known = {key: float("nan") if value is None else value for key, value in facts["quantiles"].items()}
        found = cls(**{**facts, "quantiles": known})
        valid = all((made := Quantile.parse(key)) and made.key == key for key in found.quantiles)
        if not valid or not found.lowest <= found.highest or any(v <= 0 for v in found.quantiles.values()):
            raise ValueError(f"the range of an input cannot be {facts!s:.60}")
        return found

    @property
    def layer(self) -> int:
        """No weighted layer lies before it."""
        return 0

    @property
    def maximum(self) -> NDArray[np.float64]:
        """``(1,)``: the largest size."""
        return np.array([max(-self.lowest, self.highest)])

    def __getitem__(self, request: Request[Any]) -> Any:
        """A percentile of the sizes.

        Raises:
            CalibrationError: when it was not asked for.
        """
        if request.key not in self.quantiles:
            have = ", ".join(self.quantiles) or "none"
            raise CalibrationError(
                f"the statistics hold no {request} of the input (they hold {have})", "calibrate again"
            )
        return np.asarray(self.quantiles[request.key])

    def event_value(self, scale: InputScale) -> float:
        """λ: positive and finite, whatever the data; 1 where all values are zero.

        Raises:
            CalibrationError: for a percentile that was not asked for.
        """
        value = float(scale.scale(NodeFacts(self))) if isinstance(scale, Method) else scale
        return value if isfinite(value) and value > 0 else 1.0

    def __str__(self) -> str:
        if self.lowest == self.highest:
            return f"every value is {self.lowest:.6g}"
        return f"{self.lowest:.6g} to {self.highest:.6g}, mean {self.mean:.4g}"


def parse_input_scale(value: Any) -> InputScale:
    """λ of an input as people give it: ``max``, ``percentile:99.9`` (``99.9%``), or a number such as 255.

    Raises:
        SettingsError: for anything else, a number that is not positive, and a method by channels.
    """
    if isinstance(value, str):
        found = number(value)
        value = threshold_method(value) if found is None else found
    if isinstance(value, Method):
        if getattr(value, "channels", False):
            raise SettingsError("input scale: one event stands for the same in every channel; leave out ',channels'")
        if not all(isinstance(request, Quantile) for request in value.requests(0)):
            raise SettingsError(f"input scale: give max, a percentile such as 99.9%, or a positive number, not {value}")
        return value
    given = plain(value)
    if not isinstance(given, int | float) or isinstance(given, bool) or not 0 < given < float("inf"):
        raise SettingsError(
            f"input scale: give max, a percentile such as 99.9%, or a positive number, not {str(value)[:40]}"
        )
    return float(given)


def input_scale_text(scale: InputScale) -> str:
    """The text that ``parse_input_scale`` reads back."""
    return str(scale) if isinstance(scale, Method) else repr(scale)


@storable
class InputWatcher:
    """Looks at one input batch by batch, in the first pass over the data."""

    def __init__(self) -> None:
        self.lowest, self.highest, self.sum = np.inf, -np.inf, ExactSums(1)
        self.count = self.samples = 0
        self.whole = self.alike = True
        self.first: NDArray[np.float32] | None = None

    def __call__(self, x: Tensor) -> None:
        """Look at a batch ``(B, *shape)``."""
        import torch

        low, high = (float(end) for end in x.aminmax())
        self.lowest, self.highest = min(self.lowest, low), max(self.highest, high)
        self.sum.add(np.array([_sum(x)]))
        self.count += x.numel()
        self.samples += len(x)
        if self.first is None:
            self.first = x[:1].cpu().numpy().copy()
        self.whole = self.whole and bool((x == x.round()).all())
        self.alike = self.alike and bool((x == torch.from_numpy(self.first).to(x.device)).all())

    def merge(self, other: InputWatcher) -> None:
        """Take in what another one has seen of other samples."""
        self.lowest, self.highest = min(self.lowest, other.lowest), max(self.highest, other.highest)
        self.sum.merge(other.sum)
        self.count += other.count
        self.samples += other.samples
        self.whole = self.whole and other.whole
        if self.first is None:
            self.first = other.first
        self.alike = self.alike and other.alike
        if self.first is not None and other.first is not None:
            self.alike = self.alike and bool((self.first == other.first).all())

    def result(self, percentiles: Mapping[str, float]) -> InputRange:
        """What was seen, with the percentiles of the sizes by ``Quantile.key``."""
        return InputRange(
            lowest=self.lowest + 0.0,  # not minus zero
            highest=self.highest + 0.0,
            mean=self.sum.whole / self.count,
            whole=self.whole,
            alike=self.alike and self.samples > 1,
            quantiles=percentiles,
        )


def _sum(x: Tensor) -> float:
    """In double precision, whatever the batch."""
    import torch

    return float(x.sum(dtype=torch.float64))
