"""What is done to samples before the network sees them: stated in one line, stored with the converted network."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikewright.errors import DataError, SettingsError
from spikewright.graph import Array
from spikewright.settings import check_fields


@dataclass(frozen=True)
class Preprocessing:
    """``(x · scale − mean) / std``, in float32.

    Attributes:
        scale: a factor, first of all.
        mean, std: one number, or one a channel.
    """

    scale: float = 1.0
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)

    def __post_init__(self) -> None:
        check_fields(self)
        if not all(s > 0 for s in self.std):
            raise SettingsError(f"preprocessing: std must be positive, not {self.std}")

    def __call__(self, x: Array) -> NDArray[np.float32]:
        """A batch ``(B, C, ...)`` preprocessed."""
        for values in (self.mean, self.std):
            if len(values) not in (1, x.shape[1]):
                raise DataError(f"preprocessing has {len(values)} channels, the data {x.shape[1]}")
        view = (-1, *(1 for _ in x.shape[2:]))
        mean, std = (np.asarray(v, np.float32).reshape(view) for v in (self.mean, self.std))
        y = x.astype(np.float32)
        if self.scale != 1:
            y = y * np.float32(self.scale)
        if any(self.mean):
            y = y - mean
        result: NDArray[np.float32] = y / std if any(s != 1 for s in self.std) else y
        return result

    def __str__(self) -> str:
        """The command-line form, which ``parse`` reads back."""
        default = Preprocessing()
        words = []
        for f in fields(self):
            value = getattr(self, f.name)
            if value != getattr(default, f.name):
                words.append(f"{f.name}={':'.join(map(repr, value)) if isinstance(value, tuple) else repr(value)}")
        return ",".join(words)

    @classmethod
    def parse(cls, text: str) -> Preprocessing:
        """From a form like ``scale=1/255,mean=0.485:0.456:0.406,std=0.229:0.224:0.225``.

        Raises:
            SettingsError: for an unknown word or something that is not a number.
        """
        settings: dict[str, Any] = {}
        known = [f.name for f in fields(cls)]
        for word in filter(None, text.replace(" ", "").split(",")):
            label, equals, values = word.partition("=")
            if label not in known or not equals:
                raise SettingsError(f"preprocessing: unknown '{word}'; write {', '.join(f'{k}=...' for k in known)}")
            numbers = tuple(_number(label, v) for v in values.split(":"))
            settings[label] = numbers[0] if label == "scale" else numbers
        return cls(**settings)


def _number(label: str, text: str) -> float:
    try:
        top, slash, bottom = text.partition("/")
        return float(top) / float(bottom) if slash else float(top)
    except (ValueError, ZeroDivisionError):
        raise SettingsError(f"preprocessing: {label} takes numbers like 0.5 or 1/255, not '{text}'") from None
