"""The commands put together, and what happens when one fails."""

from __future__ import annotations

import os
import shlex
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Annotated, Any, cast

import typer
from typer.main import get_command

from spikewright import __version__
from spikewright.cli.commands import Commands, register
from spikewright.cli.terminal import warnings_as_lines
from spikewright.cli.verbosity import talking
from spikewright.errors import Interruption, SpikewrightError, UnsupportedModelError
from spikewright.files import Written, reason, recording, shown, unfinished
from spikewright.provenance import commanded
from spikewright.text import first_line, one_line, visible

app = typer.Typer(
    name="spikewright",
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
INTERRUPTED = 130
"""What typer makes of Ctrl-C: 128 and the number of the signal."""
INTERRUPTED_EARLY = "interrupted; nothing was written"
CLOSED = 1
"""What typer makes of a pipe that nobody reads any more."""
ANYWHERE = ("--quiet", "--verbose", "--debug")
"""Words that may stand before a command and behind it."""
CHANGING_NOTHING = {*ANYWHERE, "--force", "--resume", "--json"}
"""Words that results are the same without: their provenance leaves them out."""
FAULT = 1
"""Exit status where it was not the user's mistake."""
USAGE_ERROR = cast(type[Exception], typer.BadParameter.__base__)
"""The base class of click's errors; typer carries click inside itself or not, depending on its version."""

register(app)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"spikewright {__version__}")
        raise typer.Exit


@app.callback()
def options(
    quiet: Annotated[bool, typer.Option("--quiet", help="Print results and errors, no progress or notes.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Say versions first, and time and memory last.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show it.")] = False,
) -> None:
    """Trained networks in, spiking networks out.

    --quiet, --verbose and --debug may stand behind a command too. Exit status: 0 done; 2 refused, with what to do;
    1 a fault of Spikewright, or nobody reads what it prints; 130 interrupted (Ctrl-C).
    """


@cache
def _commands() -> Any:
    """What understands a command line, made once."""
    return get_command(app)


def run(arguments: Sequence[str]) -> int:
    """Run one command.

    Returns:
        the exit status: 0; 2 for everything that was refused; 130 where it was interrupted; 1 for a fault of
        Spikewright itself, or where nobody reads what is printed any more.
    """
    unfinished.clear()  # of commands before
    words, wanted = hoisted(arguments)
    with recording() as written, talking(quiet="--quiet" in wanted, verbose="--verbose" in wanted):
        return _run(words, written)


def hoisted(arguments: Sequence[str]) -> tuple[list[str], set[str]]:
    """The words of a command line with those that may stand anywhere in front, and which of these there are."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    wanted = {word for word in arguments[:end] if word in ANYWHERE}
    rest = [word for word in arguments[:end] if word not in ANYWHERE]
    return [*sorted(wanted), *rest, *arguments[end:]], wanted


def _run(arguments: Sequence[str], written: Written) -> int:
    debug = "--debug" in arguments
    try:
        command = shlex.join(["spikewright", *arguments])  # for the settings that a report shows
        with warnings_as_lines(), commanded([word for word in arguments if word not in CHANGING_NOTHING]):
            result = _commands()(list(arguments), prog_name="spikewright", standalone_mode=False, obj=command)
        sys.stdout.flush()
    except SpikewrightError as error:
        if debug:
            raise
        listed = isinstance(error, UnsupportedModelError) and len(error.lines) > 2
        told = error.lines if listed else [str(error)]  # type: ignore[attr-defined]
        status = INTERRUPTED if isinstance(error, Interruption) else 2
        return _failed("\n".join([*told, *_left(written)]), status)
    except typer.Exit as error:
        result = error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        result = INTERRUPTED
    except BrokenPipeError:  # whoever reads what is printed has seen enough
        _silence()
        return CLOSED
    except OSError as error:
        if debug:
            raise
        _silence()
        return _failed(_of_the_system(error, written))
    except USAGE_ERROR as error:
        return _misused(cast(Any, error))
    except MemoryError:
        if debug:
            raise
        return _failed("out of memory; a smaller --batch-size or fewer --samples need less")
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
        left = _left(written)
        return _failed("; ".join(["interrupted", *left]) if left else INTERRUPTED_EARLY, INTERRUPTED)
    return result if isinstance(result, int) else 0


def _left(written: Written) -> list[str]:
    """What a command that did not end well has left on the disk, in words."""
    kept = list(dict.fromkeys(text for tell in unfinished if (text := tell())))
    return ([f"written before that: {written}"] if written.paths else []) + kept


def _of_the_system(error: OSError, written: Written) -> str:
    """An error that nobody foresaw, most often of the stream that results are printed to: full, or closed."""
    where = "the output" if error.filename is None else shown(str(error.filename))
    return f"{where}: {reason(error)}" + (f"; written: {written}" if written.paths else "")


def _silence() -> None:
    """Let go of a stream that is closed or full: what is left in it would fail once more when the program ends."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _with_debug(arguments: Sequence[str]) -> str:
    return shlex.join(["spikewright", "--debug", *arguments])


def _misused(error: Any) -> int:
    """One line for words that no command knows; the help where no words were given."""
    if type(error).__name__ == "NoArgsIsHelpError":
        error.show()
        return 2
    path = getattr(error.ctx, "command_path", "spikewright")
    message = one_line(error.format_message()).rstrip(".")
    return _failed(f"{message[:1].lower()}{message[1:]}; see '{path} --help'")


def _failed(message: str, status: int = 2) -> int:
    print(f"error: {message}", file=sys.stderr)
    return status
