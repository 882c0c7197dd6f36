"""What is done to samples before the network sees them: stated in one line, stored with the converted network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import MISSING, dataclass, fields
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from spikewright.data.resize import PIXELS, Filter, Size, cropped, padded, resized, size_of
from spikewright.errors import DataError, SettingsError
from spikewright.graph import Array, Shape
from spikewright.settings import check_fields, digits, number

IMAGENET = "mean=0.485:0.456:0.406,std=0.229:0.224:0.225"
PRESETS = {
    "totensor": "range=1",
    "imagenet": f"resize=256,crop=224,range=1,{IMAGENET}",
    "keras:tf": "range=255,scale=1/127.5,mean=1",
    "keras:caffe": "order=bgr,range=255,mean=103.939:116.779:123.68",
    "keras:torch": f"range=255,scale=1/255,{IMAGENET}",
}
"""What is done where these words stand; each starts anew with what is done to values, and leaves sizes as they are."""


@dataclass(frozen=True)
class Preprocessing:
    """``(x · scale − mean) / std``, in float32, and before that what makes a picture fit.

    Done in this order: channels and alpha; resize; pad; crop; order; range; scale; mean; std.

    Attributes:
        scale: a factor.
        mean, std: one number, or one a channel, in the order in which the network has them.
        channels: of which pictures are read: 1 grey, 3 colours, 4 with alpha; None for as many as the network takes.
            1 is repeated for a network that takes more.
        alpha: what becomes of transparency where the network takes none: "refuse", "drop" (the colour that lies
            beneath, as torchvision and Keras read it), or a colour behind it, "white" or "black".
        resize: the length of the shorter side, or (rows, columns).
        filter: of resizing: "bilinear", "nearest" or "bicubic".
        antialias: whether it takes the mean over what becomes one pixel, as PIL and torchvision do; without, as
            ``tf.image.resize`` does.
        pad: zeros at the left, the top, the right and the bottom.
        crop: (rows, columns) of the middle that is left.
        order: "bgr" for a network that takes blue first.
        range: whole numbers are brought from 0 to the largest number of their type (255 of 8 bits, 65535 of 16) to 0 to
            this; floats stay.
    """

    scale: float = 1.0
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    channels: Literal[1, 3, 4] | None = None
    alpha: Literal["refuse", "drop", "white", "black"] = "refuse"
    resize: int | Size | None = None
    filter: Filter = "bilinear"
    antialias: bool = True
    pad: tuple[int, int, int, int] = (0, 0, 0, 0)
    crop: Size | None = None
    order: Literal["rgb", "bgr"] = "rgb"
    range: float | None = None

    def __post_init__(self) -> None:
        check_fields(self, "preprocessing")
        _check_float32("scale", [self.scale])
        _check_float32("mean", self.mean)
        _check_float32("std", self.std)
        _check_float32("range", [self.range or 1.0])
        if not self.scale:
            raise SettingsError("preprocessing: scale must not be 0, which makes every value 0")
        if not all(s > 0 for s in self.std):
            raise SettingsError(f"preprocessing: std must be positive, not {self.std}")
        if self.range is not None and self.range <= 0:
            raise SettingsError(f"preprocessing: range must be positive, not {self.range}")
        if self.filter == "bicubic" and not self.antialias:
            raise SettingsError("preprocessing: bicubic without antialias means something else in every framework")
        sizes = [s if isinstance(s, tuple) else (s, 1) for s in (self.resize, self.crop) if s is not None]
        if any(len(s) != 2 or min(s) < 1 or s[0] * s[1] > PIXELS for s in (*sizes, *_outer(self.pad))):
            raise SettingsError(f"preprocessing: sizes are from 1 to {PIXELS:,} pixels, and padding is 0 or more")

    @property
    def spatial(self) -> bool:
        """Whether it changes rows and columns."""
        return self.resize is not None or self.crop is not None or any(self.pad)

    def size_after(self, size: Size) -> Size:
        """The rows and columns that are left of a picture."""
        left, top, right, bottom = self.pad
        rows, columns = size_of(size, self.resize)
        return self.crop or (rows + top + bottom, columns + left + right)

    def picture(self, picture: Array) -> Array:
        """One picture ``(rows, columns)`` or ``(rows, columns, channels)``, resized, padded and cropped."""
        return cropped(padded(resized(picture, self.resize, self.filter, self.antialias), self.pad), self.crop)

    def shape_after(self, shape: Shape, axis: int = 1) -> Shape:
        """The shape of a sample, without the batch; ``axis`` as for the call."""
        if not self.spatial:
            return shape
        places = _sizes(len(shape) + 1, axis)
        found = list(shape)
        for place, length in zip(places, self.size_after((shape[places[0] - 1], shape[places[1] - 1])), strict=True):
            found[place - 1] = length
        return tuple(found)

    def __call__(self, x: Array, axis: int = 1) -> NDArray[np.float32]:
        """A batch ``(B, ...)`` preprocessed, its channels along ``axis``.

        Raises:
            DataError: for channels that are not as many as the settings', or pictures without rows and columns.
        """
        kind = x.dtype
        if self.channels not in (None, x.shape[axis]):
            raise DataError(
                f"preprocessing: channels={self.channels} is for pictures in files; these arrays have {x.shape[axis]}"
            )
        if self.spatial:
            if x.ndim != 4:
                raise DataError(f"preprocessing: only pictures are resized, padded and cropped, not {x.shape[1:]}")
            x = np.moveaxis(np.stack([self.picture(p) for p in np.moveaxis(x, axis, -1)]), -1, axis)
        return self.values(x, kind, axis)

    def values(self, x: Array, kind: np.dtype[Any], axis: int = 1) -> NDArray[np.float32]:
        """What is done to values: order, range, scale, mean and std. ``kind`` is the type that they had at first."""
        count = x.shape[axis]
        for values in (self.mean, self.std):
            if len(values) not in (1, count):
                raise DataError(f"preprocessing has {len(values)} channels, the data {count}")
        if self.order == "bgr":
            if count not in (3, 4):
                raise DataError(f"preprocessing: order=bgr is for pictures of three colours, the data have {count}")
            x = x.take([2, 1, 0, 3][:count], axis)

        def by_channel(values: Sequence[float]) -> NDArray[np.float32]:
            view = [1] * x.ndim
            view[axis] = -1
            return np.asarray(values, np.float32).reshape(view)

        with np.errstate(over="ignore"):  # what is too large becomes infinite, and is refused by whoever looks
            y = x.astype(np.float32)
            factor = self._factor(kind)
            if factor != 1:
                y = y * np.float32(factor) if factor > 1 else y / np.float32(1 / factor)
            if self.scale != 1:
                y = y * np.float32(self.scale)
            if any(self.mean):
                y = y - by_channel(self.mean)
            return y / by_channel(self.std) if any(s != 1 for s in self.std) else y

    def _factor(self, kind: np.dtype[Any]) -> float:
        if self.range is None or kind.kind == "f":
            return 1.0
        largest = {"uint8": 255, "uint16": 65535, "bool": 1}.get(kind.name)
        if largest is None:
            raise DataError(
                f"preprocessing: pictures have 8 or 16 bits, these values are {kind}; give astype(np.uint8), or "
                "scale=1/255 in place of a preset"
            )
        return self.range / largest

    def __str__(self) -> str:
        """The command-line form, which ``parse`` reads back."""
        words = []
        for f in fields(self):
            value = getattr(self, f.name)
            if f.default is MISSING or value != f.default:
                words.append(f"{f.name}={_text(f.name, value)}")
        return ",".join(words)

    @classmethod
    def parse(cls, text: str) -> Preprocessing:
        """The preprocessing that a text says.

        Args:
            text: ``imagenet,resize=128`` or ``scale=1/255,mean=0.485:0.456:0.406,std=0.229:0.224:0.225``, say.

        Raises:
            SettingsError: for an unknown word or something that is not a number.
        """
        settings: dict[str, Any] = {}
        known = [f.name for f in fields(cls)]
        for word in filter(None, text.replace(" ", "").split(",")):
            label, equals, value = word.partition("=")
            if word in PRESETS:
                settings = {k: v for k, v in settings.items() if k not in ("scale", "mean", "std", "order", "range")}
                settings |= _given(cls.parse(PRESETS[word]))
            elif label in known and equals:
                settings[label] = _read(label, value)
            else:
                raise SettingsError(
                    f"preprocessing: unknown '{word[:40]}'; write {', '.join(f'{k}=...' for k in known)}, or a preset: "
                    f"{', '.join(PRESETS)}"
                )
        return cls(**settings)


def _given(steps: Preprocessing) -> dict[str, Any]:
    return {f.name: getattr(steps, f.name) for f in fields(steps) if getattr(steps, f.name) != f.default}


def _check_float32(label: str, values: Sequence[float]) -> None:
    """Refuse numbers that samples, which are float32, make infinity or 0 of.

    Raises:
        SettingsError: naming the number.
    """
    least, most = (float(limit) for limit in (np.finfo(np.float32).tiny, np.finfo(np.float32).max))
    for value in values:
        if abs(value) > most or (0 < abs(value) < least and label != "mean"):
            raise SettingsError(f"preprocessing: {label} must be a number that float32 holds, not {value}")


def _outer(pad: tuple[int, ...]) -> list[Size]:
    """Sides of padding as sizes that are checked like all others."""
    return [(n + 1, n + 1) for n in pad] if len(pad) == 4 else [(0, 0)]


def _sizes(rank: int, axis: int) -> Size:
    """The axes of rows and columns in a batch whose channels lie along ``axis``."""
    return (1, 2) if axis in (-1, rank - 1) else (rank - 2, rank - 1)


def _text(label: str, value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ("x" if label in ("resize", "crop") else ":").join(map(repr, value))
    if label == "scale" and 0 < value < 1 and len(repr(value)) > 8 and 1 / round(1 / value) == value:
        return f"1/{round(1 / value)}"  # as people write it
    return str(value) if isinstance(value, str) or value is None else repr(value)


def _read(label: str, text: str) -> Any:
    """The value of a field, from the command line."""
    if text == "none" and label in ("resize", "crop", "channels", "range"):
        return None
    if label in ("alpha", "filter", "order"):
        return text.lower()
    if label == "antialias":
        return {"yes": True, "no": False}.get(text.lower(), text)
    if label in ("resize", "crop", "pad", "channels"):
        return _whole(label, text)
    numbers = tuple(_number(label, v) for v in text.split(":"))
    return numbers if label in ("mean", "std") else numbers[0] if len(numbers) == 1 else _wrong(label, text)


def _whole(label: str, text: str) -> Any:
    """One size or several: 224, 224x192, 1:2:3:4."""
    found = [digits(word) for word in text.lower().split(":" if label == "pad" else "x")]
    numbers = tuple(one for one in found if one is not None)
    if len(numbers) < len(found):
        return _wrong(label, text)
    if label == "pad" and len(numbers) in (1, 2, 4):
        return numbers * (4 // len(numbers))
    if label == "crop" and len(numbers) == 1:
        return numbers * 2
    if len(numbers) == 1 and label != "pad":
        return numbers[0]
    return numbers if len(numbers) == 2 and label in ("resize", "crop") else _wrong(label, text)


def _wrong(label: str, text: str) -> Any:
    forms = {
        "resize": "the shorter side, like 256, or rows and columns, like 224x192",
        "crop": "a size like 224, or rows and columns, like 224x192",
        "pad": "whole numbers: 2, or left and top, 2:4, or left, top, right and bottom, 1:2:3:4",
        "channels": "1, 3 or 4",
    }
    raise SettingsError(f"preprocessing: {label} takes {forms.get(label, 'one number')}, not '{text[:40]}'")


def _number(label: str, text: str) -> float:
    top, slash, bottom = text.partition("/")
    above, below = number(top), number(bottom) if slash else 1.0
    if above is None or not below:
        raise SettingsError(f"preprocessing: {label} takes numbers like 0.5 or 1/255, not '{text[:40]}'")
    return above / below


AS_THEY_ARE = Preprocessing()
"""Nothing is done: what data sets have where nobody says more."""
