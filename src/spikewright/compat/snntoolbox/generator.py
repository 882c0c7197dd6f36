"""Arguments of Keras' ``ImageDataGenerator`` and its ``flow_from_directory``: what each becomes of pictures here.

As of INI options: taken; idle, whatever it says; or fixed: another value than the default is refused by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from spikewright.data import Preprocessing
from spikewright.errors import SettingsError

_WHOLE = "pictures are taken as they are: augment them when training"
_SEEN = "is measured on the pictures themselves: give mean and std to `spikewright convert --preprocess`"
_ALL = "all pictures are taken: put those of one part into a folder of their own"
GENERATOR: dict[str, tuple[Any, str]] = {
    **dict.fromkeys(("featurewise_center", "samplewise_center", "zca_whitening"), (False, _SEEN)),
    **dict.fromkeys(("featurewise_std_normalization", "samplewise_std_normalization"), (False, _SEEN)),
    **dict.fromkeys(("rotation_range", "width_shift_range", "height_shift_range", "shear_range"), (0, _WHOLE)),
    **dict.fromkeys(("zoom_range", "channel_shift_range"), (0, _WHOLE)),
    **dict.fromkeys(("horizontal_flip", "vertical_flip"), (False, _WHOLE)),
    "brightness_range": (None, _WHOLE),
    "preprocessing_function": (None, "no code is executed: `spikewright convert --preprocess` has imagenet, mean, std"),
    "validation_split": (0, _ALL),
}
"""What is fixed of ``datagen_kwargs``, by name: its default, and what to do instead."""
FLOW: dict[str, tuple[Any, str]] = {
    "subset": (None, _ALL),
    "save_to_dir": (None, "no picture is written"),
    "keep_aspect_ratio": (False, "pictures are resized to target_size as they are"),
}
"""The same of ``dataflow_kwargs``."""
TAKEN = {"datagen": ("rescale",), "dataflow": ("target_size", "interpolation", "color_mode", "classes", "class_mode")}
IDLE = {
    "datagen": {"data_format", "dtype", "zca_epsilon", "fill_mode", "cval", "interpolation_order"},
    "dataflow": {"batch_size", "seed", "shuffle", "follow_links", "save_prefix", "save_format", "directory"},
}
"""What changes nothing, or, as shuffle and seed do, only which pictures are tested."""
CHANNELS = {"grayscale": 1, "rgb": 3, "rgba": 4}
FILTERS = ("nearest", "bilinear", "bicubic")
TARGET = (256, 256)
"""The size that pictures have by default."""


def refused_arguments(made: Mapping[str, Any], flow: Mapping[str, Any]) -> list[str]:
    """A line for every argument that is not known, or asks for what is not done.

    Args:
        made: ``datagen_kwargs``.
        flow: ``dataflow_kwargs``.
    """
    lines = []
    for kind, given, fixed in (("datagen", made, GENERATOR), ("dataflow", flow, FLOW)):
        known = {*fixed, *TAKEN[kind], *IDLE[kind]}
        for name, value in given.items():
            if name not in known:
                lines.append(f"[input] {kind}_kwargs: '{name[:40]}' is no argument there")
            elif name in fixed and value != fixed[name][0] and value is not None:
                lines.append(f"[input] {kind}_kwargs: '{name}': {fixed[name][1]}")
    if flow.get("class_mode", "categorical") not in ("categorical", "sparse"):
        lines.append("[input] dataflow_kwargs: 'class_mode': labels are classes: categorical or sparse")
    for name, choices in (("color_mode", tuple(CHANNELS)), ("interpolation", FILTERS)):
        if flow.get(name, choices[0]) not in choices:
            lines.append(f"[input] dataflow_kwargs: '{name}' is one of {', '.join(choices)}")
    names = flow.get("classes")
    if names is not None and not (isinstance(names, list | tuple) and all(isinstance(one, str) for one in names)):
        lines.append("[input] dataflow_kwargs: 'classes' is a list of names of folders")
    return lines


def preprocessing_of(made: Mapping[str, Any], flow: Mapping[str, Any]) -> Preprocessing:
    """What is done to pictures.

    Args:
        made: ``datagen_kwargs``.
        flow: ``dataflow_kwargs``, of which nothing is refused.

    Raises:
        SettingsError: for sizes and factors that cannot be.
    """
    size, mode = flow.get("target_size", TARGET), flow.get("color_mode")
    try:
        wanted = None if size is None else tuple(int(length) for length in size)
        return Preprocessing(
            scale=float(made.get("rescale") or 1.0),
            resize=cast(Any, wanted),
            filter=cast(Any, flow.get("interpolation", "nearest")),
            channels=None if mode is None else cast(Any, CHANNELS[mode]),
            alpha="drop",
        )
    except (TypeError, ValueError) as error:
        raise SettingsError(f"rescale is a number and target_size two: {error}") from None
