"""The commands put together, and what happens when one fails."""

from __future__ import annotations

import os
import shlex
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from spikewright import __version__
from spikewright.cli.console import warnings_as_lines
from spikewright.cli.convert import convert
from spikewright.cli.demo import demo
from spikewright.cli.export import export
from spikewright.cli.inspect import inspect
from spikewright.cli.simulate import simulate
from spikewright.cli.synapses import synapses
from spikewright.errors import SpikewrightError
from spikewright.text import first_line, one_line, visible

app = typer.Typer(
    name="spikewright",
    help="Trained networks in, spiking networks out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
INTERRUPTED = 130
"""What typer makes of Ctrl-C: 128 and the number of the signal."""
USAGE_ERROR = cast(type[Exception], typer.BadParameter.__base__)
"""Of click, which typer carries inside itself or not, depending on its version."""

for command in (inspect, convert, simulate, synapses, export, demo):
    app.command()(command)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"spikewright {__version__}")
        raise typer.Exit


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show it.")] = False,
) -> None:
    """Trained networks in, spiking networks out."""


def run(arguments: Sequence[str]) -> int:
    """Run one command.

    Returns:
        the exit status: 0; 2 for everything that was refused or interrupted; 1 for a fault of Spikewright itself.
    """
    debug = "--debug" in arguments
    try:
        command = shlex.join(["spikewright", *arguments])  # for the settings that a report shows
        with warnings_as_lines():
            result = app(list(arguments), prog_name="spikewright", standalone_mode=False, obj=command)
    except SpikewrightError as error:
        if debug:
            raise
        return _failed(str(error))
    except typer.Exit as error:
        result = error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        return _failed("interrupted; nothing was written")
    except USAGE_ERROR as error:
        return _misused(cast(Any, error))
    except MemoryError:
        if debug:
            raise
        return _failed("out of memory; a smaller --batch-size or fewer --samples need less")
    except BrokenPipeError:  # whoever reads the output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:  # of a place that nobody can read, a name that is too long, a disk that fails
        if debug:
            raise
        return _failed(one_line(f"{error.filename or 'the system'}: {error.strerror or first_line(error)}"))
    except Exception as error:
        if debug:
            raise
        place = [f for f in traceback.extract_tb(error.__traceback__) if "spikewright" in f.filename][-1]
        where = f"{Path(place.filename).name}:{place.lineno}"
        return _failed(
            f"a fault of spikewright {__version__}, not yours: {type(error).__name__} at {where}: {first_line(error)}; "
            f"please report it with what '{visible(_with_debug(arguments))[:120]}' prints",
            FAULT,
        )
    if result == INTERRUPTED:
        return _failed("interrupted; nothing was written")
    return result if isinstance(result, int) else 0


FAULT = 1
"""Exit status where it was not the user's mistake."""


def _with_debug(arguments: Sequence[str]) -> str:
    return shlex.join(["spikewright", "--debug", *arguments])


def _misused(error: Any) -> int:
    """One line for words that no command knows; the help where no words were given."""
    if type(error).__name__ == "NoArgsIsHelpError":
        error.show()
        return 2
    path = getattr(error.ctx, "command_path", "spikewright")
    said = one_line(error.format_message()).rstrip(".")
    return _failed(f"{said[:1].lower()}{said[1:]}; see '{path} --help'")


def _failed(message: str, status: int = 2) -> int:
    print(f"error: {message}", file=sys.stderr)
    return status
