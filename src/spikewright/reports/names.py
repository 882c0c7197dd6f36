"""Names of layers, short enough for an axis, with what differs between them left in."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

WIDEST = 22
"""Characters of a name on an axis."""
HEAD = 3
"""Letters that are left of a part of a name before its number."""


def short_names(names: Sequence[str], widest: int = WIDEST) -> dict[str, str]:
    """A short name for each, all of them different: what all long ones share is left out first.

    Args:
        names: all different.
        widest: characters; longer ones are left only where shorter ones would be alike.

    >>> short_names(["model.features.block1.conv", "model.features.block2.conv"])
    {'model.features.block1.conv': '…block1.conv', 'model.features.block2.conv': '…block2.conv'}
    """
    long = [name for name in names if len(name) > widest]
    parts = {name: name.split(".") for name in long}
    fewest = min(map(len, parts.values()), default=1)
    shared = 0
    while len(long) > 1 and shared < fewest - 1 and len({own[shared] for own in parts.values()}) == 1:
        shared += 1

    def without_shared(name: str) -> str:
        return ("…" if shared else "") + ".".join(parts[name][shared:])

    def middle_out(name: str) -> str:
        own = without_shared(name)
        head = widest // 3
        return own if len(own) <= widest else f"{own[:head]}…{own[len(own) - (widest - head - 1) :]}"

    def abbreviated(name: str) -> str:
        words = (re.fullmatch(r"(.*?)([\d_]*)", part) for part in parts[name][shared:])
        return "…" + ".".join(f"{word[1][:HEAD]}{word[2]}" for word in words if word)

    kept = set(names) - set(long)
    levels: list[Callable[[str], str]] = [without_shared, middle_out, abbreviated]
    unlike = [made for level in levels if len({*kept, *(made := [*map(level, long)])}) == len(names)]
    best = min(unlike, key=lambda made: max(max(map(len, made), default=0), widest), default=long)
    shown = dict(zip(long, best, strict=True))
    return {name: shown.get(name, name) for name in names}
