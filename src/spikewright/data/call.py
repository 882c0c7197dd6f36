"""Data that code makes: ``module:function`` or ``FILE.py:function``."""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from spikewright.errors import DataError, SpikewrightError

FUNCTION = re.compile(r"(?P<source>.+\.py|[^\W\d]\w+(\.[^\W\d]\w*)*):(?P<name>[^\W\d]\w*)")
"""A single letter before the colon is a drive, and no module."""


def is_function(spec: str) -> bool:
    """Whether a text has the form of ``module:function`` or ``FILE.py:function``."""
    return FUNCTION.fullmatch(spec) is not None


def called(spec: str) -> Any:
    """What the function gives; it is called without arguments.

    Raises:
        DataError: for a file or module that is not there, a name that is no function, and whatever goes wrong inside.
    """
    found = FUNCTION.fullmatch(spec)
    assert found is not None
    source, name = found["source"], found["name"]
    try:
        function = getattr(_module(source, spec), name, None)
        if not callable(function):
            raise DataError(f"{source}: has no function '{name}'")
        return function()
    except SpikewrightError:
        raise
    except (Exception, SystemExit) as error:  # code of the user's own
        reason = (str(error).splitlines() or [""])[0][:160]
        raise DataError(f"{spec}: fails with {type(error).__name__}: {reason} (--debug shows where)") from error


@contextmanager
def _here() -> Iterator[None]:
    """With modules of the current folder importable, as under ``python -m``; behind all others, so as to hide none."""
    folder = os.getcwd()  # noqa: PTH109 - as sys.path has it
    if folder in sys.path or "" in sys.path:
        yield
        return
    sys.path.append(folder)
    try:
        yield
    finally:
        sys.path.remove(folder)


def _module(source: str, spec: str) -> ModuleType:
    if not source.endswith(".py"):
        try:
            with _here():
                return importlib.import_module(source)
        except ImportError as error:
            raise DataError(f"{spec}: neither a file nor an importable module ({error})") from error
    path = Path(source).expanduser()
    if not path.is_file():
        raise DataError(f"{source}: no such file")
    found = importlib.util.spec_from_file_location(path.stem, path)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    sys.modules.setdefault(path.stem, module)
    found.loader.exec_module(module)
    return module
