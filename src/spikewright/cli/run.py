"""``spikewright run``: a command line that stands in a file; and of a result the one that it remembers."""

from __future__ import annotations

import json
import shlex
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from spikewright.cli.commands import COMMANDS, loaded
from spikewright.cli.outputs import ForceOption
from spikewright.cli.remembered import NOTHING, read_history
from spikewright.cli.terminal import err, out
from spikewright.errors import SettingsError
from spikewright.files import shown
from spikewright.provenance import Provenance, commanded
from spikewright.text import first_line, listed

MOST_BYTES = 1 << 20
"""A command line is not longer than this."""
NAMES = tuple(name for commands in COMMANDS.values() for name in commands if name != "run")


def run(
    file: Annotated[
        Path,
        typer.Argument(
            help="A .toml file with a command and its options; or a result, whose command is printed as such a file.",
            metavar="FILE",
        ),
    ],
    force: ForceOption = False,
) -> None:
    """Run the command line that stands in a file: 'command' and its options by name. Of a result, print the command
    that made it as such a file, to look at and run.

    Example: [bold]spikewright run run.toml[/bold]
    """
    if file.suffix.lower() != ".toml":
        _show(file)
        return
    words = words_of(_table(file), str(file))
    command, rest = loaded(words[0]), words[1:]
    if force and "--force" not in rest and any("--force" in one.opts for one in command.params):
        rest.append("--force")
    made = [words[0], *rest]
    with commanded([word for word in made if word != "--force"]):
        typed = shlex.join(["spikewright", *made])
        err.print(typed)
        command.main(rest, prog_name=f"spikewright {words[0]}", standalone_mode=False, obj=typed)


def words_of(table: Mapping[str, Any], where: str) -> list[str]:
    """The words of a command line, behind "spikewright".

    Args:
        table: ``command``, arguments and options by name; ``true`` and ``false`` for options without a value, and
            lists for those that may come again.
        where: it stands, for messages.

    Raises:
        SettingsError: for names that the command does not have, and values that no option takes.
    """
    name = table.get("command")
    if name not in NAMES:
        raise SettingsError(f"{where}: 'command' must be one of {', '.join(NAMES)}, not {str(name)[:40]!r}")
    arguments: dict[str, Any] = {}
    options: dict[str, Any] = {}
    for parameter in loaded(name).params:
        if parameter.param_type_name == "argument":
            arguments[parameter.name] = parameter
        else:
            options |= {opt.lstrip("-"): parameter for opt in parameter.opts if opt.startswith("--")}
    behind: dict[str, str] = {}
    words: list[str] = []
    for label, value in table.items():
        key = label.replace("_", "-")
        if label == "command":
            continue
        if key in options:
            words += _option(options[key], value, f"{where}: '{label}'")
        elif label in arguments:
            behind[label] = _word(value, f"{where}: '{label}'")
        else:
            known = [*arguments, *(opt for opt in options if opt != "help")]
            raise SettingsError(f"{where}: {name} has no '{label[:40]}'; it has {listed(known, 100)}")
    words += ["--"] if any(word.startswith("-") for word in behind.values()) else []
    return [name, *words, *(behind[label] for label in arguments if label in behind)]


def table_of(words: list[str]) -> dict[str, Any]:
    """What stands in a file for the words of a command line: the other way round.

    Raises:
        SettingsError: for words that this version does not know.
    """
    name, *rest = words or [""]
    if name not in NAMES:
        raise SettingsError(f"there is no command '{name[:40]}'")
    arguments = [one.name for one in loaded(name).params if one.param_type_name == "argument"]
    options = {opt: one for one in loaded(name).params for opt in (*one.opts, *getattr(one, "secondary_opts", ()))}
    table: dict[str, Any] = {"command": name}
    free: list[str] = []
    while rest:
        word = rest.pop(0)
        if word == "--":
            free, rest = free + rest, []
        elif not word.startswith("-") or word == "-":
            free.append(word)
        else:
            opt, equals, value = word.partition("=") if word.startswith("--") else (word[:2], word[2:], word[2:])
            if opt not in options:
                raise SettingsError(f"{name} has no option {opt[:40]}")
            parameter = options[opt]
            label = next(one.lstrip("-") for one in parameter.opts if one.startswith("--"))
            if parameter.is_flag:
                table[label] = opt not in parameter.secondary_opts
                continue
            if not equals:
                value = rest.pop(0) if rest else ""
            table[label] = [*table.get(label, []), value] if parameter.multiple else value
    if len(free) > len(arguments):
        raise SettingsError(f"{name} does not take '{free[-1][:40]}'")
    return {"command": name, **dict(zip(arguments, free, strict=False)), **table}


def toml_of(table: Mapping[str, Any]) -> str:
    """A table of texts, truth values and lists of texts as TOML, whose texts are written as JSON's."""
    return "".join(f"{label} = {json.dumps(value)}\n" for label, value in table.items())


def _option(parameter: Any, value: Any, where: str) -> list[str]:
    opt = next(one for one in parameter.opts if one.startswith("--"))
    if parameter.is_flag:
        if not isinstance(value, bool):
            raise SettingsError(f"{where} is true or false, not {str(value)[:40]!r}")
        off = [one for one in parameter.secondary_opts if one.startswith("--")]
        return [opt] if value else off[:1]
    values = value if isinstance(value, list) else [value]
    if len(values) > 1 and not parameter.multiple:
        raise SettingsError(f"{where} has one value, not {len(values)}")
    return [word for one in values for word in (opt, _word(one, where))]


def _word(value: Any, where: str) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise SettingsError(f"{where} must be a text or a number, not {str(value)[:40]!r}")
    return str(value)


def _table(file: Path) -> dict[str, Any]:
    try:
        if file.stat().st_size > MOST_BYTES:
            raise SettingsError(f"{shown(file)}: larger than any command line")
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingsError(f"{shown(file)}: no such file") from None
    except (OSError, ValueError, RecursionError) as error:
        raise SettingsError(f"{shown(file)}: cannot be read as TOML ({first_line(error)})") from None


def _show(file: Path) -> None:
    """Print what a result remembers of its making."""
    found = read_history(file)
    last = found[-1] if found else Provenance()
    if not last.words:
        raise SettingsError(f"{shown(file)}: {NOTHING}")
    try:
        text = toml_of(table_of(list(last.words)))
    except SettingsError as error:
        raise SettingsError(f"{shown(file)}: {error}") from None
    for one in found:
        err.print(f"# {one.command or 'made in Python'}")
        err.print(f"# {', '.join(f'{name} {version}' for name, version in one.versions.items())}")
    out.print(text.rstrip("\n"))
