"""What the commands print with: consoles, tables, warnings, progress."""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, cast

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from spikewright.errors import SpikewrightWarning
from spikewright.provenance import PROVENANCE, Provenance
from spikewright.text import one_line, visible

WIDEST = 10_000
"""Columns that no table needs."""


class Terminal(Console):
    """A console that prints text as it is: names and paths are no markup, no emoji, and steer no terminal."""

    def __init__(self, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, markup=False, emoji=False)

    def print(self, *objects: Any, **options: Any) -> None:
        """Print; a text stays one line however wide the terminal is, so that no number is torn from its unit."""
        if all(isinstance(one, str) for one in objects):
            options.setdefault("soft_wrap", True)
        options.setdefault("crop", False)
        super().print(*objects, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        """Text with its control characters written out, but for the ends of lines."""
        return super().render_str("\n".join(map(visible, text.split("\n"))), **options)


class PlainTable(Table):
    """A table whose cells hold one line each, whatever is in the names they show, and whose title may be wider.

    Where it is wider than the terminal its lines are longer than that: names stay whole, to be copied.
    """

    heading = ""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Its title, as wide as the terminal, and what stands below."""
        if self.heading:
            yield Text(self.heading, style="table.title")
        whole = [str(cell) for column in self.columns if column.no_wrap for cell in column.cells]
        if 2 * max(map(cell_len, whole), default=0) > options.max_width:  # else numbers make room
            span = self.__rich_measure__(console, options.update(max_width=WIDEST))
            options = options.update(width=max(span.minimum, options.max_width))
        yield from super().__rich_console__(console, options)

    def add_row(self, *cells: RenderableType | None, **options: Any) -> None:
        """Add a row whose texts are printed as they are, without markup."""
        super().add_row(*(visible(cell) if isinstance(cell, str) else cell for cell in cells), **options)


out = Terminal()
err = Terminal(stderr=True)


@contextmanager
def warnings_as_lines() -> Iterator[None]:
    """What the library warns of, as a line each on the error stream, and the same line once only."""
    shown: set[str] = set()
    with warnings.catch_warnings():
        warnings.simplefilter("always", SpikewrightWarning)
        others = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
            if not issubclass(category, SpikewrightWarning):
                others(message, category, *place, **more)
            elif str(message) not in shown:
                shown.add(str(message))
                err.print(f"warning: {one_line(message)}", highlight=False, markup=False, soft_wrap=True)

        warnings.showwarning = cast(Any, show)  # put back with the filters
        yield


def compact_table(
    title: str, header: Sequence[str], text: int, *, last_is_text: bool = False, footer: Sequence[str] = ()
) -> Table:
    """A table without vertical lines, so that much fits into 80 columns, and without rows yet.

    Args:
        title: above it.
        header: names of the columns.
        text: how many columns at the left are text; the rest are numbers.
        last_is_text: whether the last one is text too.
        footer: of each column; empty for none.
    """
    table = PlainTable(
        box=SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
        show_footer=bool(footer),
    )
    table.heading = visible(title)
    for k, (name, below) in enumerate(zip(header, footer or [""] * len(header), strict=True)):
        left = k < text or (last_is_text and k == len(header) - 1)
        table.add_column(name, below, justify="left" if left else "right", overflow="fold", no_wrap=k < text)
    return table


@contextmanager
def progress(label: str, quiet: bool = False) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on the error stream; gives the function that moves it."""
    with stages(quiet) as tell:
        yield lambda done, total: tell(label, done, total)


@contextmanager
def stages(quiet: bool = False) -> Iterator[Callable[[str, int, int], None]]:
    """Progress bars on the error stream, one after the other; gives the function that moves the bar of a label."""
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True, disable=quiet or not err.is_terminal) as bars:
        tasks: dict[str, TaskID] = {}
        last = [0.0]

        def move(label: str, done: int, total: int) -> None:
            if label not in tasks:
                for old in tasks.values():
                    bars.update(old, visible=False)
                tasks[label] = bars.add_task(visible(label), total=None)
            if done == total or time.monotonic() - last[0] > 0.1:
                last[0] = time.monotonic()
                bars.update(tasks[label], completed=done, total=total or None)  # nobody may know

        yield move


def print_json(values: Mapping[str, Any]) -> None:
    """One JSON object on the output stream, with the command line and the versions that made it."""
    told = values if PROVENANCE in values else {**values, PROVENANCE: Provenance.now().description}
    print(json.dumps(told, indent=2, allow_nan=False))
