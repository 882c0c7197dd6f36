"""What a result remembers of its making, whatever kind of file or folder it is."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from zipfile import BadZipFile

from spikewright.cli.pictures import record_in
from spikewright.errors import SettingsError, SpikewrightError
from spikewright.files import shown
from spikewright.provenance import PROVENANCE, History, Provenance, described
from spikewright.text import first_line, listed

NOTHING = "it was made in Python, or by an earlier version: no command is stored in it"
LARGEST = 1 << 28
"""Bytes of a page, or of a text, that is looked through."""
NETWORKS = (".onnx", ".pt2", ".keras", ".h5", ".nir")
"""Suffixes of networks, beside which a file of JSON is no log."""
IN_PAGE = re.compile(rf'<script type="application/json" id="{PROVENANCE}">(.*?)</script>')
IN_HEADER = re.compile(rf"^/\* {PROVENANCE}: (.*) \*/$", re.MULTILINE)


@dataclass(frozen=True)
class Result:
    """A result that holds no network to be looked at.

    Attributes:
        lines: what it is, in a few lines.
        provenance: how it was made, the last step last; none where it does not say so.
    """

    lines: tuple[str, ...]
    provenance: History


def making_of(path: Path) -> History:
    """How a result was made.

    Raises:
        SpikewrightError: for a file that is none, or is damaged.
    """
    found = result(path)
    if found is not None:
        return found.provenance
    if path.suffix.lower() == ".nir":
        from spikewright.frontends.nir.file import read_file
        from spikewright.frontends.nir.notes import read_notes

        return described(read_notes(read_file(path).get("metadata"), "the graph").get(PROVENANCE))
    if path.suffix.lower() == ".safetensors":
        from spikewright.conversion import Conversion
        from spikewright.storage import load_stored

        network = load_stored(path)
        return network.provenance if isinstance(network, Conversion) else ()
    raise SpikewrightError(f"{shown(path)}: a command line stands in a .toml file, or in a result that one made")


def result(path: Path) -> Result | None:
    """A result with how it was made; None for what is a network, or no result.

    Raises:
        SpikewrightError: for a damaged one.
    """
    read = _reader(path)
    found = None if read is None else read(path)
    return None if found is not None and read in ANYBODYS and not found.provenance else found


def _reader(path: Path) -> Callable[[Path], Result] | None:
    if path.is_dir():
        return _events if (path / "events.json").is_file() else _graph if _has_log(path) else None
    by_suffix: Mapping[str, Callable[[Path], Result]] = {
        ".npz": _arrays,
        ".json": _printed,
        ".html": _page,
        ".htm": _page,
        ".h": _header,
        ".zip": _archive,
        ".safetensors": _tensors,
        ".parquet": _sweep if not _has_log(path) else _graph,
        **dict.fromkeys((".svg", ".png", ".pdf"), _figure),
    }
    read = by_suffix.get(path.suffix.lower())
    if read is None:
        return _graph if path.suffix.lower() not in NETWORKS and _has_log(path) else None
    return read if read is not _tensors or _is_ours(path) else None


def _has_log(path: Path) -> bool:
    from spikewright.synapse_graph.staging import logs_of

    return bool(path.name) and path.exists() and logs_of(path)[0].is_file()


def _is_ours(path: Path) -> bool:
    """Whether a safetensors file is of ours, and no network of floats."""
    from spikewright.calibration.statistics import KIND
    from spikewright.chips.storage import is_quantised
    from spikewright.tensors import holds

    return is_quantised(path) or holds(path, KIND)


def _events(path: Path) -> Result:
    from spikewright.events import load_events

    found = load_events(path)
    total, of = sum(found.counts.values()), listed([f"{name} {count:,}" for name, count in found.counts.items()])
    line = f"{total:,} events of {found.samples:,} samples over {found.timesteps:,} timesteps: {of}"
    return Result((line,), found.provenance)


def _graph(path: Path) -> Result:
    from spikewright.synapse_graph.staging import logs_of

    facts = _json(logs_of(path)[0].read_text(encoding="utf-8"))
    groups, synapses = facts.get("groups"), facts.get("synapses")
    if not isinstance(groups, list) or not isinstance(synapses, int):
        raise SettingsError("the log beside it is not that of a graph of synapses")
    line = f"{synapses:,} synapses between {len(groups)} groups of neurons"
    return Result((line, f"layout: {facts.get('layout')}"), described(facts.get(PROVENANCE)))


def _arrays(path: Path) -> Result:
    from spikewright.npz import npz_headers, read_npz

    names = npz_headers(path, "simulate again with -o")
    key = PROVENANCE if PROVENANCE in names else "description"
    told = read_npz(path, [key], advice="simulate again with -o") if key in names else {}
    made: History = ()
    if key in told:
        text = str(told[key])
        made = (Provenance.parse(text),) if key == PROVENANCE else described(_json(text).get(PROVENANCE))
    return Result((f"{len(names):,} arrays: {listed(list(names))}",), made)


def _printed(path: Path) -> Result:
    facts = _json(_text(path))
    return Result((f"JSON of {listed(list(facts))}",), described(facts.get(PROVENANCE)))


def _page(path: Path) -> Result:
    found = IN_PAGE.search(_text(path))
    return Result(("a page",), described(None if found is None else json.loads(found[1])))


def _header(path: Path) -> Result:
    found = IN_HEADER.search(_text(path))
    return Result(("a header for C",), described(None if found is None else json.loads(found[1])))


def _archive(path: Path) -> Result:
    from zipfile import ZipFile

    with ZipFile(path) as archive:
        if archive.getinfo("layers.json").file_size > LARGEST:
            raise SettingsError("too large for a description")
        facts = _json(archive.read("layers.json").decode())
    return Result(("memory files for FPGAs",), described(facts.get(PROVENANCE)))


def _tensors(path: Path) -> Result:
    from spikewright.chips.storage import is_quantised, load_quantised

    if is_quantised(path):
        found = load_quantised(path)
        return Result((f"a network in integers of {found.chip}", *str(found).splitlines()), found.provenance)
    from spikewright.calibration import Statistics

    statistics = Statistics.load(path)
    return Result((repr(statistics),), statistics.provenance)


def _sweep(path: Path) -> Result:
    from spikewright.arrow import pyarrow
    from spikewright.experiment.tuning.sweep import KEY, made_of

    pyarrow()
    from pyarrow import parquet

    file = parquet.read_metadata(path)
    known = file.metadata or {}
    line = f"what tuning found: {file.num_rows:,} rows, one for a point, a number of samples and a timestep"
    return Result((line,), made_of(known) if KEY in known else ())


def _figure(path: Path) -> Result:
    if path.stat().st_size > LARGEST:
        raise SettingsError("larger than any figure of Spikewright")
    found = record_in(path.read_bytes(), path.suffix.lower())
    return Result(("a figure",), described(None if found is None else json.loads(found)))


ANYBODYS = (_arrays, _printed, _page, _header, _archive, _sweep, _figure)
"""Files of others look the same, and do not say what made them."""


def _text(path: Path) -> str:
    if path.stat().st_size > LARGEST:
        raise SettingsError("larger than any result of Spikewright")
    return path.read_text(encoding="utf-8")


def _json(text: str) -> dict[str, Any]:
    found = json.loads(text)
    if not isinstance(found, dict):
        raise SettingsError("it is no result of Spikewright")
    return found


Found = TypeVar("Found")
DAMAGE = (OSError, ValueError, LookupError, AttributeError, TypeError, RuntimeError, BadZipFile, zlib.error)
"""What reading a damaged file may end in."""


def read(path: Path) -> Result | None:
    """``result``, with what is wrong with a file in one line behind its name.

    Raises:
        SpikewrightError: for a damaged one.
    """
    return _told(path, result)


def read_history(path: Path) -> History:
    """``making_of``, with what is wrong with a file in one line behind its name.

    Raises:
        SpikewrightError: for a file that is none, or is damaged.
    """
    return _told(path, making_of)


def _told(path: Path, look: Callable[[Path], Found]) -> Found:
    try:
        return look(path)
    except SettingsError as error:
        raise SettingsError(f"{shown(path)}: {error}") from None
    except SpikewrightError:
        raise
    except FileNotFoundError:
        raise SettingsError(f"{shown(path)}: no such file") from None
    except DAMAGE as error:
        raise SettingsError(f"{shown(path)}: no result of Spikewright, or damaged ({first_line(error)})") from error
