"""The commands by name. A command's module is imported when it is called: help and completion need none of them."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from spikewright.cli.panels import arranged

COMMANDS: dict[str, dict[str, str]] = {
    "Convert": {
        "inspect": "Show a network as a table, and what conversion will do with each node.",
        "convert": "Make a spiking network of a trained one.",
        "tune": "Try ways to convert a network and recommend one by a rule.",
        "finetune": "Train a spiking network on, from where conversion ended.",
    },
    "Run and explain": {
        "run": "Run a command line that stands in a file, run.toml, or the one that a result remembers.",
        "simulate": "Run a spiking network over a data set: accuracy at every timestep, rates, operations, energy.",
        "synapses": "List every synapse of a spiking network, weighted by how much it carries.",
        "demo": "Convert a small trained network by three methods, compare them, and write a report.",
    },
    "Hand on": {
        "check": "Check a network against a chip: memory, limits, cores, and what would fit instead.",
        "quantise": "Make integers of a spiking network for a chip.",
        "export": "Write a spiking network for other simulators, for a chip, for C or for an FPGA.",
    },
}
"""Each command in one line, by what it is for: a module ``spikewright.cli.NAME`` with a function NAME."""

EVERYWHERE = "--quiet, --verbose and --debug may stand anywhere: see spikewright --help."


class Commands(TyperGroup):
    """The group of all commands, which imports the one that is called."""

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[Any, Any, list[str]]:
        """The command that the first word names, with its options, and the words behind it."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, command and loaded(str(command.name)), rest


@cache
def loaded(name: str) -> Any:
    """The command of that name with all its options; making it takes longer than many a command: once a process."""
    alone = typer.Typer(add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False)
    alone.command(name, epilog=EVERYWHERE)(getattr(import_module(f"spikewright.cli.{name}"), name))
    return arranged(get_command(alone))


def register(app: typer.Typer) -> None:
    """Give an app whose group is ``Commands`` the name and the line of every command."""
    for panel, lines in COMMANDS.items():
        for name, line in lines.items():
            app.command(name, short_help=line, help=line, rich_help_panel=panel)(_stand_in)


def _stand_in() -> None:
    """What help and completion see of a command that was not imported."""
