"""Data behind a network, and what is chosen then where nobody names it: one rule for every command that takes data.

``--data`` takes data and nothing more. Behind the network they are for the impatient: required options that are not
typed get a sensible value, T is the one that the network was corrected for, and all of it is said as if it were typed.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

import typer

from spikewright.cli.options import is_typed
from spikewright.cli.samples import say
from spikewright.conversion import Conversion
from spikewright.conversion.tuned import made_for
from spikewright.errors import SettingsError

DataArgument = Annotated[
    str | None, typer.Argument(help="As --data; what nobody names is then chosen, and said.", metavar="DATA")
]
Value = TypeVar("Value")


def data_of(behind: str | None, option: str | None, what: str = "") -> str:
    """The data of a command, wherever they stand.

    Args:
        behind: the network.
        option: behind ``--data``.
        what: there is nothing to do with without any.

    Raises:
        SettingsError: for no data, or data in both places.
    """
    data = some_data(behind, option)
    if data is None:
        raise SettingsError(f"nothing to {what}: give data behind the network, or with --data")
    return data


def some_data(behind: str | None, option: str | None) -> str | None:
    """The same where none are needed.

    Raises:
        SettingsError: for data in both places.
    """
    if behind is not None and option is not None:
        raise SettingsError(f"data stand behind the network, {behind}, and behind --data, {option}: give one of them")
    return option if behind is None else behind


def chosen(behind: str | None, option: str, given: Value | None, preset: Value, words: str = "") -> Value:
    """An option's value: as it was typed, or for the impatient the preset, which is said.

    Args:
        behind: the data that stand behind the network, or None.
        option: as it is typed.
        given: what was typed; None or nothing for nothing.
        preset: otherwise.
        words: how it would be typed, if not as the option and its value.

    Raises:
        SettingsError: where it was not typed, and data do not stand behind the network.
    """
    if given is not None and given != []:
        return given
    if behind is None:
        raise SettingsError(f"missing option '{option}'; data behind the network, without --data, bring a usual one")
    say(f"{option} was not named: {words or f'{option} {preset}'}")
    return preset


def timesteps_for(context: typer.Context, behind: str | None, network: Any, given: int) -> int:
    """T of a run: as it was typed, or for the impatient the one that the network was corrected for, which is said.

    Args:
        context: of the command.
        behind: the data that stand behind the network, or None.
        network: that runs.
        given: what was typed, or what is usual.
    """
    if behind is None or is_typed(context, "timesteps"):
        return given
    for correction in reversed(network.corrections) if isinstance(network, Conversion) else ():
        steps = made_for(correction)
        if steps is not None:
            say(f"-T was not named: -T {steps.last}, which {correction.name} was made for")
            return steps.last
    say(f"-T was not named: -T {given}")
    return given
