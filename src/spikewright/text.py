"""Numbers, shapes and times as people read them: the same in the terminal and on the page."""

from __future__ import annotations

from collections.abc import Sequence


def short(number: float) -> str:
    """1234567 as 1.23 M."""
    for size, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if abs(number) >= size:
            return f"{number / size:.3g}{unit}"
    return f"{number:.3g}"


def shape_text(shape: Sequence[int]) -> str:
    """(1, 28, 28) as 1×28×28."""
    return "×".join(map(str, shape)) or "scalar"


def steps_to_show(timesteps: int) -> list[int]:
    """The last few powers of two, and T itself."""
    powers = [2**k for k in range(2, 24) if 2**k < timesteps]
    return [*powers[-4:], timesteps]
