"""The floor plan of a chip: a card a core, with three boxes, its memories, as full as its layer makes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from spikewright.chips.bandwidth import Bandwidth, LayerLoad
from spikewright.chips.chip import Chip, Core, Speck
from spikewright.chips.layer_fit import LayerFit, Used
from spikewright.chips.network import ChipNetwork
from spikewright.drawing import Picture, resource, shortened, text_width, whole, xml
from spikewright.drawing.vector import number
from spikewright.text import shape_text, short

WIDTH, PADDING, GAP, MARGIN = 244.0, 14.0, 12.0, 20.0
"""The width of a card, and the room within it, between cards and around all of them, in pixels."""
INNER = WIDTH - 2 * PADDING
WIDE, WIDEST = 330.0, 640.0
"""The widths of a card of a chip whose neurons are all together, and of lines where nothing is drawn."""
COLUMNS = 3
NAME, LINE = 13.0, 11.5
"""Sizes of letters; ``floor_plan.css`` has the same."""
BOLD = 1.06
MEMORIES: tuple[Literal["kernel", "neuron", "bias"], ...] = ("kernel", "neuron", "bias")


@dataclass(frozen=True)
class Memory:
    """One memory of a core.

    Attributes:
        kind: "kernel", "neuron" or "bias".
        words: that a layer takes; 0 where there is none.
        room: how many it has.
        largest: how many the largest of its kind on the chip has.
    """

    kind: str
    words: int
    room: int
    largest: int

    @property
    def share(self) -> float:
        """How full it is: above 1 where a layer does not go in."""
        return self.words / self.room if self.room else float(self.words > 0)

    def __str__(self) -> str:
        return f"{self.kind} {self.words:,} of {self.room:,} words"


@dataclass(frozen=True)
class Place:
    """A core with the layer that it gets, a core that is free, or a layer without a core.

    Attributes:
        core: its number; None for a layer without one.
        fast: whether the core computes in parallel.
        layer: its name; empty where the core is free.
        shape: from what to what, and by what kernel.
        memories: how full they are; of a layer without a core beside the largest of each kind.
        sends: where its spikes go.
        load: how busy it is; None where nobody knows.
        limit: the most operations a second that somebody gave; None where nobody did.
        broken: whether a limit is broken here.
    """

    core: int | None
    fast: bool
    layer: str
    shape: str
    memories: tuple[Memory, ...]
    sends: str = ""
    load: LayerLoad | None = None
    limit: float | None = None
    broken: bool = False

    @property
    def title(self) -> str:
        """``core 3``, or that there is none."""
        return "no core" if self.core is None else f"core {self.core}"

    @property
    def exceeded(self) -> bool:
        """Whether its operations a second are more than a limit that was given."""
        return self.load is not None and self.limit is not None and self.load.busiest > self.limit

    def __str__(self) -> str:
        fast = ", fast" if self.fast else ""
        if not self.layer:
            return f"{self.title}{fast}: free"
        told = [*map(str, self.memories), *([self.sends] if self.sends else []), *self.busy]
        return f"{self.title}{fast}: {self.layer}, {', '.join(told)}"

    @property
    def busy(self) -> tuple[str, ...]:
        """How busy it is, in a line; nothing where nobody knows."""
        if self.load is None:
            return ()
        most = "" if self.load.peak is None else f", peak {short(self.load.peak)}"
        return (f"{short(self.load.mean)} synops/s{most}",)


def places_of(
    chip: Chip,
    layers: Sequence[LayerFit],
    network: ChipNetwork | None,
    busy: Bandwidth | None,
    limit_of: Callable[[int | None], float | None],
) -> tuple[Place, ...]:
    """Every core of a chip in order, and then every layer without one; none of a chip of another kind.

    Args:
        chip: whose cores they are.
        layers: of the network.
        network: as layers of the chip, which says where spikes go.
        busy: how busy cores are, where that is known.
        limit_of: of a core's number the most operations a second.
    """
    if not isinstance(chip, Speck):
        return ()
    largest = Core(-1, *(max(getattr(core, f"{kind}_words") for core in chip.cores) for kind in MEMORIES))
    cores = {one.core: one for one in layers if one.core is not None}
    numbers = {one.layer: one.core for one in layers}
    loads = {} if busy is None else {load.layer: load for load in busy.layers}

    def place(core: Core | None, layer: LayerFit | None) -> Place:
        own = largest if core is None else core
        memories = tuple(
            Memory(
                kind,
                0 if layer is None else getattr(layer, f"{kind}_words"),
                getattr(own, f"{kind}_words"),
                getattr(largest, f"{kind}_words"),
            )
            for kind in MEMORIES
        )
        which = None if core is None else core.number
        empty = Place(which, core is not None and core.parallel, "", "", memories)
        if layer is None:
            return empty
        shape = f"{shape_text(layer.input_shape)} → {shape_text(layer.output_shape)}, kernel {layer.kernel}"
        sends = "" if network is None else _sends(network, layer.layer, numbers)
        load = loads.get(layer.layer)
        told = replace(empty, layer=layer.layer, shape=shape, sends=sends, load=load, limit=limit_of(which))
        return replace(told, broken=bool(layer.broken))

    return (
        *(place(core, cores.get(core.number)) for core in chip.cores),
        *(place(None, one) for one in layers if one.core is None),
    )


def _sends(network: ChipNetwork, name: str, cores: dict[str, int | None]) -> str:
    """``to core 3 (pool 2), read``."""
    layer = network[name]
    found = []
    for one in layer.destinations:
        core = cores.get(one.layer)
        where = one.layer if core is None else f"core {core}"
        found.append(f"to {where}" + (f" (pool {one.pool})" if one.pool > 1 else ""))
    found += ["read"] if any(read.layer == name for read in network.readout) else []
    passes = f", 1 of {layer.decimator} spikes" if layer.decimator > 1 else ""
    return ", ".join(found) + passes


def floor_plan(
    places: Sequence[Place], used: Sequence[Used] = (), *, title: str = "", lines: Sequence[str] = ()
) -> Picture:
    """All cards in one picture, which stands alone.

    Args:
        places: the cores, and layers without one.
        used: of a chip whose neurons are all together, what it has so much of.
        title: above them; "" for none.
        lines: what is said where there is nothing else to draw.
    """
    cards = [_card(place) for place in places] or [_used(used)] * bool(used) or [_told(lines)] * bool(lines)
    columns, wide = max(1, min(COLUMNS, len(cards))), WIDTH if places else WIDE if used else WIDEST
    top = MARGIN + (30.0 if title else 0.0)
    height = max((tall for _, tall in cards), default=0.0)
    rows = -(-len(cards) // columns)
    width = max(columns * (wide + GAP) - GAP, text_width(title, 16 * BOLD)) + 2 * MARGIN
    tall = top + rows * (height + GAP) - GAP * bool(rows) + MARGIN
    inside = f'<text class="title" x="{number(MARGIN)}" y="{number(MARGIN + 14)}">{xml(title)}</text>' if title else ""
    for k, (drawn, _) in enumerate(cards):
        row, column = divmod(k, columns)
        x, y = MARGIN + column * (WIDTH + GAP), top + row * (height + GAP)
        inside += f'<g transform="translate({number(x)} {number(y)})">{drawn}</g>'
    style = resource("palette.css") + resource("floor_plan.css", "spikewright.chips")
    label = "; ".join(filter(None, [title, *map(str, places or used or lines)]))
    return Picture(whole(inside, width, tall, kind="floor", label=label, style=style), width, tall)


def cards(places: Sequence[Place], used: Sequence[Used] = ()) -> Iterator[str]:
    """Each card as an SVG element of its own, for a page that has the style sheet."""
    for place in places:
        drawn, tall = _card(place)
        yield whole(drawn, WIDTH, tall, kind="floor", label=str(place))
    if used and not places:
        drawn, tall = _used(used)
        yield whole(drawn, WIDE, tall, kind="floor", label="; ".join(map(str, used)))


def _card(place: Place) -> tuple[str, float]:
    """A card, and its height: the same for all of them."""
    kind = "out" if place.core is None or place.broken else "" if place.layer else "free"
    right = WIDTH - PADDING
    lines = [_text(place.title, "line", PADDING, 21)]
    if place.fast:
        lines.append(_text("fast", "tag", right, 21, end=True))
    name = shortened(place.layer, INNER, NAME * BOLD) or "free"
    lines += [_text(name, "name", PADDING, 40), _text(shortened(place.shape, INNER, LINE), "line", PADDING, 56)]
    y = 70.0
    for memory in place.memories:
        lines.append(_bar(y, memory.kind, memory.words, memory.room, memory.share, memory.room / (memory.largest or 1)))
        y += 31
    for text, over in ((place.sends, False), *((line, place.exceeded) for line in place.busy)):
        lines.append(_text(shortened(text, INNER, LINE), "over" if over else "line", PADDING, y + 10))
        y += 16
    height = 70.0 + 31 * len(MEMORIES) + 2 * 16 + 8
    outline = _outline(height)
    groups = " ".join(filter(None, ["core", kind, "fast" if place.fast else ""]))
    return f'<g class="{groups}"><title>{xml(str(place))}</title>{outline}{"".join(lines)}</g>', height


def _told(lines: Sequence[str]) -> tuple[str, float]:
    shown = (shortened(line, WIDEST, LINE) for line in lines)
    return "".join(_text(line, "line", 0, 12 + 18.0 * k) for k, line in enumerate(shown)), 18.0 * len(lines)


def _used(used: Sequence[Used]) -> tuple[str, float]:
    height = 31.0 * len(used) + 20
    bars = [
        _bar(14 + 31 * k, one.what, one.number, one.most, one.number / one.most, 1, WIDE) for k, one in enumerate(used)
    ]
    return f'<g class="core">{_outline(height, WIDE)}{"".join(bars)}</g>', height


def _outline(height: float, width: float = WIDTH) -> str:
    return f'<rect class="card" x="1" y="1" width="{number(width - 2)}" height="{number(height - 2)}" rx="7"/>'


def _bar(y: float, what: str, words: int, room: int, share: float, size: float, width: float = WIDTH) -> str:
    """A box as long as there is room, filled as far as it is used, with both in words above it."""
    style = "over" if share > 1 else "number"
    told = _text(what, "line", PADDING, y + 10)
    told += _text(f"{words:,} of {room:,}", style, width - PADDING, y + 10, end=True)
    long = max((width - 2 * PADDING) * size, 2.0)
    told += _rectangle("memory", y, long)
    return told + (_rectangle("over" if share > 1 else "full", y, max(long * min(share, 1.0), 1.5)) if words else "")


def _rectangle(style: str, y: float, width: float) -> str:
    box = f'x="{number(PADDING)}" y="{number(y + 15)}" width="{number(width)}" height="9" rx="2"'
    return f'<rect class="{style}" {box}/>'


def _text(text: str, style: str, x: float, y: float, *, end: bool = False) -> str:
    side = ' text-anchor="end"' if end else ""
    return f'<text class="{style}" x="{number(x)}" y="{number(y)}"{side}>{xml(text)}</text>' if text else ""
