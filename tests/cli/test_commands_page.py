"""docs/commands.md has every command and every option, and this test is what says so.

``make commands`` writes the page anew (it runs this test with SPIKEWRIGHT_WRITE_DOCS=1).
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest

from spikewright.cli.commands import COMMANDS, loaded
from spikewright.cli.panels import CHOICES, ORDER, PANELS

PAGE = Path(__file__).parents[2] / "docs" / "commands.md"
BEGIN = "<!-- from here on written by make commands -->\n"
NAMES = [name for commands in COMMANDS.values() for name in commands]


def text_of(words: str | None) -> str:
    """Help as Markdown: without the terminal's markup, and one line; what stands in tables has no bars."""
    found = re.sub(r"\[/?bold\]", "`", " ".join((words or "").split()))
    return found.replace("|", "\\|").replace("<", "&lt;")


def values_of(parameter: Any) -> str:
    """What is typed behind an option."""
    if parameter.is_flag:
        return ""
    described = parameter.type_descriptor
    if described.is_choice and described.choices is not None:
        return " ".join(f"`{getattr(one, 'value', one)}`" for one in described.choices)
    if parameter.name in CHOICES:
        return " ".join(f"`{one}`" for one in CHOICES[parameter.name])
    if parameter.metavar:
        return str(parameter.metavar)
    given = parameter.type_descriptor
    kinds = {"path": "PATH", "int": "NUMBER", "float": "NUMBER", "str": "TEXT"}
    return next((word for kind, word in kinds.items() if kind in repr(given).lower()), "TEXT")


def default_of(parameter: Any) -> str:
    value = parameter.default
    if callable(value) or value in (None, "", False, ()) or parameter.required:
        return "required" if parameter.required else ""
    return "" if parameter.is_flag else f"`{value}`"


def section(name: str) -> str:
    """A command: what it does, an example, its arguments, and its options in their groups."""
    command = loaded(name)
    says, *examples = [text_of(part) for part in re.split(r"\n\s*\n", command.help)]
    lines = [f"### spikewright {name}", "", says, ""]
    for example in examples:
        lines += [example, ""]
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    if arguments:
        lines += ["| argument | |", "|---|---|"]
        lines += [f"| `{one.metavar}` | {text_of(one.help)} |" for one in arguments] + [""]
    for panel in ORDER:
        found = [one for one in command.params if PANELS.get(one.name) == panel and one.param_type_name == "option"]
        if found:
            lines += [f"**{panel}**", "", "| option | value | default | |", "|---|---|---|---|"]
            for one in found:
                typed = ", ".join(f"`{opt}`" for opt in (*reversed(one.opts), *one.secondary_opts))
                lines.append(f"| {typed} | {values_of(one)} | {default_of(one)} | {text_of(one.help)} |")
            lines.append("")
    return "\n".join(lines)


def written() -> str:
    """The part of the page that is made."""
    parts = []
    for panel, commands in COMMANDS.items():
        parts += [f"## {panel}", ""]
        parts += [section(name) for name in commands]
    return "\n".join(parts).rstrip("\n") + "\n"


def test_the_page_of_the_commands_is_current() -> None:
    before, mark, after = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    assert mark, "the page has a line behind which it is written"
    made = written()
    if os.environ.get("SPIKEWRIGHT_WRITE_DOCS"):
        PAGE.write_text(f"{before}{BEGIN}\n{made}", encoding="utf-8")
    else:
        assert after == f"\n{made}", "docs/commands.md is older than the options: make commands"


@pytest.mark.parametrize("name", NAMES)
def test_every_option_stands_in_a_group(name: str) -> None:
    options = [one for one in loaded(name).params if one.param_type_name == "option"]
    assert [one.name for one in options if one.name not in PANELS] == []
    assert all(one.rich_help_panel == PANELS[one.name] for one in options)
    assert all(one.help for one in loaded(name).params)
