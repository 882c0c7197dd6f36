"""Which samples of a data set a command uses, and what it says of them."""

from __future__ import annotations

from typing import Annotated

import typer

from spikewright.cli.terminal import err
from spikewright.data import Choice, Dataset
from spikewright.errors import SettingsError
from spikewright.text import visible

SamplesOption = Annotated[
    int | None,
    typer.Option(min=1, help="At most so many samples: a draw in proportion to the classes, the same every time."),
]
FirstOption = Annotated[
    int | None, typer.Option("--first-samples", min=1, help="Instead of --samples: the first so many.")
]
DrawOption = Annotated[int, typer.Option("--sample-seed", min=0, help="Of the draw that --samples makes.")]


def picked(
    data: Dataset, samples: int | None, first: int | None, seed: int = 0, usual: int | None = None
) -> tuple[Dataset, Choice]:
    """The samples that are used, and which these are; a word on the error stream where something is left out.

    Args:
        data: all of them.
        samples: how many are drawn; None for ``usual``.
        first: or how many of the first.
        seed: of the draw.
        usual: how many where nothing is said; None for all.

    Raises:
        SettingsError: for a draw and the first at the same time.
    """
    if samples is not None and first is not None:
        raise SettingsError("give --samples, a draw, or --first-samples, not both")
    for note in data.notes:
        say(f"note: {note}")
    count = samples or usual
    used = data.take(first) if first is not None else data if count is None else data.sample(count, seed)
    choice = used.choice(data)
    if choice.missing:
        gone = ", ".join(choice.missing[:10]) + (", …" if len(choice.missing) > 10 else "")
        way_out = "; --samples draws from all classes" if first is not None else ""
        missing = f"{len(choice.missing)} of {choice.all_classes} classes"
        say(f"warning: {missing} are not among the {choice.used:,} samples that are used ({gone}){way_out}")
    return used, choice


def seeds_of(choice: Choice, first: int | None, seed: int, what: str = "calibration samples") -> dict[str, int]:
    """The seed of a draw of samples by its name, where there was one, as conversions remember it.

    Args:
        choice: which samples were used.
        first: how many of the first were asked for; None where they were drawn.
        seed: of the draw.
        what: was drawn.
    """
    return {} if first is not None or choice.used == choice.total else {what: seed}


def named(choice: Choice) -> str:
    """``1,000 of 6,000, all 10 classes``, with the names of the classes where they have such."""
    names = ", ".join(choice.names[:10]) + (", …" if len(choice.names) > 10 else "")
    return f"{choice} ({names})" if names else str(choice)


def say(text: str) -> None:
    """One line on the error stream, whatever is in the names it shows."""
    err.print(visible(text), highlight=False, markup=False, soft_wrap=True)
