"""Reading ``.pt2`` files without running anything in them.

``torch.export.load`` unpickles freely: sample inputs that a careful reader refuses are read again by one that runs
code, tensors may be marked as pickled, operators are looked up by any dotted name, and sizes are evaluated as Python.
So the archive is checked first, and only a copy made of what was checked goes to torch.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikewright.errors import ModelFileError

if TYPE_CHECKING:
    from torch.export import ExportedProgram

_OPERATOR = re.compile(
    r"torch\.ops\.(aten(?!\.from_file)|prims|prim|higher_order)\.\w+(\.\w+)?"
    r"|_operator\.(add|sub|mul|floordiv|truediv|mod|pow|neg|pos|and_|or_|not_|eq|ne|lt|le|gt|ge|getitem)"
    r"|torch\.sym_\w+|torch\._sym_\w+|math\.\w+"
)
_QUOTED = re.compile(r"'([a-z]+\d+|[\d.e+-]+)'")
_SIZE = re.compile(r"[\w\s+\-*/(),.<>=]*")
_WORD = re.compile(r"[A-Za-z_]\w*")
_SIZE_WORD = re.compile(
    r"[a-z]{1,3}\d+|Symbol|Integer|Rational|Float|Add|Mul|Pow|Max|Min|Mod|PythonMod|FloorDiv|CleanDiv|CeilDiv"
    r"|ModularIndexing|IntTrueDiv|positive|nonnegative|nonzero|integer|real|finite|precision|True|False|oo|int_oo"
)
_RUNNABLE_KEYS = ("__enum__", "default_factory_module")
_SAVE = "save it again with torch.export.save, or give the module as FILE.py:FACTORY with its weights"


def read_program(path: Path) -> ExportedProgram:
    """The program in a ``.pt2`` file.

    Raises:
        ModelFileError: for a file that is missing, damaged, no ``.pt2`` archive, written by another version of
            torch, or that holds anything that reading would execute.
    """
    import torch

    if not path.is_file():
        raise ModelFileError(f"{path}: no such file")
    try:
        copy = _checked_copy(path)
    except (OSError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise ModelFileError(f"{path}: not a whole archive that torch.export.save wrote ({error}); {_SAVE}") from error
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"{path}: its description is damaged ({error}); {_SAVE}") from error
    try:
        return torch.export.load(copy)
    except Exception as error:
        first = (str(error).splitlines() or [""])[0]
        raise ModelFileError(
            f"{path}: torch {torch.__version__} cannot read it ({type(error).__name__}: {first[:160]}); "
            "it is damaged or was saved by another version of torch"
        ) from error


def _checked_copy(path: Path) -> io.BytesIO:
    """The archive again, record by record, with the sample inputs left out.

    A copy, so that torch's reader of zip files cannot see other records than the ones checked here.
    """
    copy = io.BytesIO()
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(copy, "w", zipfile.ZIP_STORED) as target:
        names = source.namelist()
        if len({name.lower() for name in names}) != len(names):
            raise ValueError("two records have the same name")
        if not any(re.fullmatch(r"([^/]+/)?(models/[^/]+|serialized_exported_program)\.json", n) for n in names):
            raise ModelFileError(f"{path}: not a whole archive that torch.export.save wrote; {_SAVE}")
        for name in names:
            content = source.read(name)
            if re.search(r"(^|/)(data/sample_inputs/|serialized_example_inputs)", name):
                content = b""
            else:
                _check_record(path, name, content)
            target.writestr(name, content)
    copy.seek(0)
    return copy


def _check_record(path: Path, name: str, content: bytes) -> None:
    """Refuse a record that would make torch run something."""
    if "aotinductor" in name or name.endswith((".so", ".dll")):
        raise ModelFileError(f"{path}: holds compiled code ({name}), no exported program; {_SAVE}")
    if name.endswith(".json"):
        for key, value in _items(json.loads(content)):
            _check_item(path, key, value)
    elif name.endswith(".pt") and content:
        _check_pickle(path, name, content)


def _check_pickle(path: Path, name: str, content: bytes) -> None:
    import torch

    try:
        torch.load(io.BytesIO(content), weights_only=True, map_location="cpu")
    except Exception as error:
        raise ModelFileError(
            f"{path}: {name} holds pickled objects that could run code, and was not read; {_SAVE}"
        ) from error


def _items(tree: Any) -> Iterator[tuple[str, Any]]:
    """Every key with its value, at any depth; also inside strings that are JSON themselves."""
    waiting = [tree]
    while waiting:
        found = waiting.pop()
        if isinstance(found, dict):
            yield from found.items()
            waiting.extend(found.values())
        elif isinstance(found, list):
            waiting.extend(found)
        elif isinstance(found, str) and found[:1] in ("{", "["):
            try:
                waiting.append(json.loads(found))
            except ValueError:
                continue


def _check_item(path: Path, key: str, value: Any) -> None:
    pickled = (key == "use_pickle" and value) or (
        key == "path_name" and str(value).startswith(("custom_obj", "opaque_obj"))
    )
    if pickled:
        raise ModelFileError(f"{path}: holds pickled objects that could run code, and was not read; {_SAVE}")
    if key in _RUNNABLE_KEYS:
        raise ModelFileError(f"{path}: its inputs or outputs are of a type that reading would import; use tensors")
    if (
        key == "target"
        and isinstance(value, str)
        and value.startswith(("torch.", "_operator", "math", "#", "builtins"))
    ):
        if not _OPERATOR.fullmatch(value):
            raise ModelFileError(f"{path}: calls {value}, which is no operator of PyTorch, and was not read")
    elif key == "expr_str" and isinstance(value, str):
        bare = _QUOTED.sub("1", value)
        words = _WORD.findall(bare)
        if not _SIZE.fullmatch(bare) or not all(_SIZE_WORD.fullmatch(word) for word in words):
            raise ModelFileError(f"{path}: has a size '{value[:60]}' that is no plain arithmetic, and was not read")
