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
from spikewright.frontends.common.files import check_exists
from spikewright.frontends.torch.archives import check_unpacked, pickled_objects
from spikewright.text import first_line

if TYPE_CHECKING:
    from torch.export import ExportedProgram

# Records by name, in the archives of torch 2.8 and later (in one folder) and in those before (in none).
_DESCRIPTION = re.compile(r"([^/]+/)?(models/[^/]+|data/(weights|constants)/[^/]+|serialized_exported_program)\.json")
_PROGRAM = re.compile(r"([^/]+/)?(models/[^/]+|serialized_exported_program)\.json")
_PICKLED = re.compile(r"([^/]+/)?(data/(weights|constants)/[^/]+|serialized_(state_dict|constants))\.pt")
_SAMPLE_INPUTS = re.compile(r"([^/]+/)?(data/sample_inputs/[^/]+|serialized_example_inputs)\.pt")
_PLAIN = re.compile(
    r"([^/]+/)?(data/(weights|constants)/\w+|archive_format|archive_version|version|byteorder|\.data/\w+)"
)

_OPERATOR = re.compile(
    r"torch\.ops\.(aten|prims|higher_order)\.(?!from_file\b)((?!__)\w+|__(and|or|xor|lshift|rshift)__)(\.(?!__)\w+)?"
    r"|torch\.ops\.prim\.device\.\w+"
    r"|_operator\.(add|sub|mul|floordiv|truediv|mod|pow|neg|pos|and_|or_|not_|eq|ne|lt|le|gt|ge|getitem)"
    r"|torch\._?sym_\w+|math\.(?!__)\w+"
)
_LITERAL = re.compile(r"'([a-z]+\d+|[\d.e+-]+)'|\d+\.\d+")
_SIZE = re.compile(r"[\w\s+\-*/(),<>=]*")
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

    check_exists(path)
    try:
        copy = _checked_copy(path)
    except (OSError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise ModelFileError(
            f"{path}: not a whole archive that torch.export.save wrote ({first_line(error)}); {_SAVE}"
        ) from error
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"{path}: its description is damaged ({first_line(error)}); {_SAVE}") from error
    try:
        return torch.export.load(copy)
    except Exception as error:
        raise damaged(path, error) from error


def damaged(path: Path, error: Exception) -> ModelFileError:
    """What to say of a file whose program torch does not understand."""
    import torch

    return ModelFileError(
        f"{path}: torch {torch.__version__} cannot read it ({type(error).__name__}: {first_line(error)}); "
        "it is damaged or was saved by another version of torch"
    )


def _checked_copy(path: Path) -> io.BytesIO:
    """The archive again, without its sample inputs and without records of no known use.

    A copy, so that torch's reader of zip files cannot see other records than the ones checked here.
    """
    copy = io.BytesIO()
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(copy, "w", zipfile.ZIP_STORED) as target:
        names = source.namelist()
        check_unpacked(source, path)
        if len({name.lower() for name in names}) != len(names):
            raise ValueError("two records have the same name")
        if any("aotinductor" in name.lower() for name in names):
            raise ModelFileError(f"{path}: holds compiled code, not an exported program; {_SAVE}")
        if not any(_PROGRAM.fullmatch(name) for name in names):
            raise ModelFileError(f"{path}: not a whole archive that torch.export.save wrote; {_SAVE}")
        for name in names:
            if _SAMPLE_INPUTS.fullmatch(name):
                target.writestr(name, b"")
            elif _DESCRIPTION.fullmatch(name):
                target.writestr(name, _checked_description(path, source.read(name)))
            elif _PICKLED.fullmatch(name):
                target.writestr(name, _checked_pickle(path, name, source.read(name)))
            elif _PLAIN.fullmatch(name):
                target.writestr(name, source.read(name))
    copy.seek(0)
    return copy


def _checked_description(path: Path, content: bytes) -> bytes:
    for key, value, quoted in _items(json.loads(content)):
        _check_item(path, key, value, quoted)
    return content


def _checked_pickle(path: Path, name: str, content: bytes) -> bytes:
    import torch

    try:
        torch.load(io.BytesIO(content), weights_only=True, map_location="cpu")
    except Exception as error:
        raise pickled_objects(f"{path}: {name}", _SAVE) from error
    return content


def _items(tree: Any) -> Iterator[tuple[str, Any, bool]]:
    """Every key and value at any depth, also in strings that are JSON themselves, and whether it is in one."""
    waiting = [(tree, False)]
    while waiting:
        found, quoted = waiting.pop()
        if isinstance(found, dict):
            yield from ((key, value, quoted) for key, value in found.items())
            waiting.extend((value, quoted) for value in found.values())
        elif isinstance(found, list):
            waiting.extend((value, quoted) for value in found)
        elif isinstance(found, str) and found.lstrip()[:1] in ("{", "[", '"'):
            try:
                waiting.append((json.loads(found), True))
            except ValueError:
                continue


def _check_item(path: Path, key: str, value: Any, quoted: bool) -> None:
    pickled = (key == "use_pickle" and value) or (
        key == "path_name" and str(value).startswith(("custom_obj", "opaque_obj"))
    )
    if pickled:
        raise pickled_objects(f"{path}:", _SAVE)
    if key in _RUNNABLE_KEYS:
        raise ModelFileError(f"{path}: its inputs or outputs are of a type that reading would import; use tensors")
    # Operators are looked up only outside of quoted JSON, where "target" is but a note on an operator's origin.
    if key == "target" and not quoted and isinstance(value, str) and not _OPERATOR.fullmatch(value):
        raise ModelFileError(f"{path}: calls {value}, which is no operator of PyTorch, and was not read")
    if key == "expr_str" and isinstance(value, str):
        bare = _LITERAL.sub("1", value)
        words = _WORD.findall(bare)
        if not _SIZE.fullmatch(bare) or not all(_SIZE_WORD.fullmatch(word) for word in words):
            raise ModelFileError(f"{path}: has a size '{value[:60]}' that is no plain arithmetic, and was not read")
