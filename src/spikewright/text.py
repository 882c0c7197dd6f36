"""Numbers, shapes, names and what went wrong as people read them: the same in the terminal and on the page."""

from __future__ import annotations

import re
from collections.abc import Container, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any
from unicodedata import category

LONGEST = 600
"""Characters of a message: three lines of a wide terminal."""
QUOTED = 200
"""Characters of a message that another library made."""


def short(number: float) -> str:
    """1234567 as 1.23 M."""
    for size, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if abs(number) >= 0.9995 * size:  # which three digits round up
            return f"{number / size:.3g}{unit}"
    return f"{number:.3g}"


def significant(number: float, digits: int = 3) -> str:
    """12345.6 as 12,346 and 0.0123456 as 0.0123: so many digits that count, and no powers of ten in large numbers."""
    rounded = f"{number:.{digits}g}"
    return f"{number:,.0f}" if "e+" in rounded else rounded


def energy_text(nanojoules: float) -> str:
    """An energy as people read it: 60213 nanojoules as ``60.2 µJ``."""
    for size, unit in ((1e9, "J"), (1e6, "mJ"), (1e3, "µJ")):
        if nanojoules >= 0.9995 * size:
            return f"{nanojoules / size:.3g} {unit}"
    return f"{nanojoules:.3g} nJ"


def size_text(count: float) -> str:
    """A number of bytes as people read it, in thousands: ``184 MB``."""
    for unit, power in (("GB", 9), ("MB", 6), ("kB", 3)):
        if count >= 10**power:
            value = count / 10**power
            return f"{value:,.0f} {unit}" if value >= 10 else f"{value:.1f} {unit}"
    return f"{count:.0f} bytes"


def percent(share: float, up: bool = False) -> str:
    """0.5 as ``50``, and 0.998 as ``99.8``: a hundred is all of it, and nothing less.

    Args:
        share: of one.
        up: whether it is rounded up: what is needed at least.
    """
    for digits in range(6):
        value = round(100 * share, digits)
        if up and value < 100 * share - 1e-9:
            value += 10.0**-digits
        if value < 100 or share >= 1:
            break
    return f"{value:.{digits}f}"


def shape_text(shape: Sequence[int]) -> str:
    """(1, 28, 28) as 1×28×28."""
    return "×".join(map(str, shape)) or "scalar"


def steps_to_show(timesteps: int) -> list[int]:
    """The last few powers of two, and T itself."""
    powers = [2**k for k in range(2, 24) if 2**k < timesteps]
    return [*powers[-4:], timesteps]


def visible(text: object) -> str:
    """Text with everything written out that would steer a terminal, break a line or turn its direction: ``\\x1b``."""
    found = str(text)
    return found if found.isprintable() else "".join(map(_visible, found))


def _visible(character: str) -> str:
    steers = category(character) in ("Cc", "Cs", "Zl", "Zp") or character in _TURNS
    return character.encode("unicode_escape").decode("ascii") if steers else character


_TURNS = {chr(code) for code in (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))}
"""Marks of writing direction, by which a name can look like another."""


def one_line(text: object, longest: int = LONGEST) -> str:
    """Text as one line without control characters, its middle left out where it is too long.

    The middle, since messages begin with what is wrong and end with what to do.
    """
    found = visible(re.sub(r"\s*[\r\n]+\s*", " ", str(text)).strip())
    if len(found) <= longest:
        return found
    head, tail = longest * 2 // 3 - 2, longest - longest * 2 // 3 - 1
    return f"{found[:head]} … {found[len(found) - tail :]}"


def first_line(error: BaseException) -> str:
    """What a library said went wrong: its first line without the full stop, and never empty."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    return one_line(lines[0].strip().removesuffix("."), QUOTED) if lines else type(error).__name__


def listed(words: Sequence[object], most: int = 10) -> str:
    """``a, b, c``, or ``a, b and 98 more``."""
    if len(words) <= most:
        return ", ".join(map(str, words))
    return f"{', '.join(map(str, words[:most]))} and {len(words) - most} more"


def with_article(noun: str) -> str:
    """``a generator``, ``an IterableDataset``."""
    return f"{'an' if noun[:1].lower() in 'aeio' else 'a'} {noun}"


def ranges(numbers: Sequence[int]) -> str:
    """``0-4, 7`` for 0, 1, 2, 3, 4 and 7."""
    found: list[list[int]] = []
    for one in numbers:
        if found and one == found[-1][-1] + 1:
            found[-1] = [found[-1][0], one]
        else:
            found.append([one])
    return ", ".join("-".join(map(str, ends)) for ends in found)


def free_name(wanted: str, taken: Container[str]) -> str:
    """The wanted name, or the first that is free of ``relu_2``, ``relu_3`` and so on."""
    name, count = wanted, 1
    while name in taken:
        count += 1
        name = f"{wanted}_{count}"
    return name


def brief(self: Any) -> str:
    """``FiringRate(mean=0.13, silent=0, histogram=int64 50)``: a dataclass without the numbers of its arrays.

    It is the ``__repr__`` of values that hold arrays or mappings: ``__repr__ = brief``.
    """
    shown = [(f.name, _brief_value(getattr(self, f.name))) for f in fields(self) if f.repr and hasattr(self, f.name)]
    return f"{type(self).__name__}({', '.join(f'{name}={text}' for name, text in shown)})"


def _brief_value(value: Any) -> str:
    """A value in a few words: an array's type and shape, the names of a mapping, few of many."""
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        return f"{value.item():.6g}" if value.shape == () else f"{value.dtype} {shape_text(value.shape)}"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, Mapping):
        return f"{{{listed(list(value), 4)}}}"
    if isinstance(value, list | tuple):
        few = [_brief_value(one) for one in value[:8]]
        more = [f"and {len(value) - 8:,} more"] if len(value) > 8 else []
        comma = "," if isinstance(value, tuple) and len(value) == 1 else ""
        inside = ", ".join([*few, *more]) + comma
        return f"({inside})" if isinstance(value, tuple) else f"[{inside}]"
    text = repr(value)
    if len(text) <= QUOTED:
        return text
    return f"a {type(value).__name__}" if is_dataclass(value) else one_line(text, QUOTED)
