"""Where a synapse graph is while it is written, and how it gets from there to its place.

Parts gather in a hidden folder beside the place whose name holds the digest of the settings they follow from, so that
no run with others ever takes them for its own. Whoever finds all parts there takes the folder under a name that is only
its own and puts the graph, and the log beside it, in their places. Before the first of those renames it notes what it
is about to place: should it be killed at any point, the next call sees whether that came to stand there, and finishes
or takes back what was begun.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from spikewright.errors import StorageError
from spikewright.files import (
    abandoned,
    exists,
    one_at_a_time,
    put_file,
    put_folder,
    reason,
    shown,
    stem,
    sync,
    this_process,
    token,
)
from spikewright.synapse_graph.sums import SUMS

SETTINGS, PARTS, WHOLE, PLACING = "settings.json", "parts", "whole", "placing.json"
LOGS = (".json", ".txt")
"""What is appended to the name of a graph for the names of its logs."""
LARGEST_LOG = 1 << 26
GOES_ON = "--resume (resume=True) goes on from there"
AT_WORK = "at-work"


def hidden_folder(target: Path, key: str) -> Path:
    """Where parts gather that follow from the settings with a digest."""
    return target.with_name(f"{stem(target)}.{key}.parts")


def begin(target: Path, key: str, facts: str, force: bool) -> Path:
    """The hidden folder for some settings, with what an earlier run with the same left there.

    Raises:
        StorageError: when there is the beginning of another graph and it may not be removed.
        OSError: when the disk refuses.
    """
    hidden = hidden_folder(target, key)
    for other in beginnings(target):
        if other != hidden or _read(other / SETTINGS) != facts:
            _remove_other(other, force)
    if not hidden.exists():
        made = new_private(target, key, facts)
        try:
            made.rename(hidden)
        except OSError:  # another process was first
            shutil.rmtree(made)
            if not hidden.exists():
                raise
    with suppress(FileExistsError, FileNotFoundError):  # it is there; another process has taken all of it
        (hidden / SUMS).mkdir()
    for left in hidden.glob("*.tmp"):
        if abandoned(_owner(left)):
            left.unlink(missing_ok=True)
    return hidden


@contextmanager
def at_work(hidden: Path) -> Iterator[None]:
    """Says that this call is writing parts into a folder, for as long as it is.

    Raises:
        FileNotFoundError: where the folder is gone.
    """
    mark = hidden / f"{AT_WORK}.{this_process()}.{token()}.tmp"
    mark.touch()
    try:
        yield
    finally:
        with suppress(OSError):  # another process has taken the folder
            mark.unlink()


def others_at_work(hidden: Path) -> bool:
    """Whether somebody beside this call is writing parts into a folder."""
    return sum(not abandoned(_owner(mark)) for mark in hidden.glob(f"{AT_WORK}.*.tmp")) > 1


def beginnings(target: Path) -> list[Path]:
    """Folders beside a place in which parts of graphs gather, by any settings."""
    return [folder for folder, words in _folders(target) if words in (["", "parts"], ["parts"])]


def new_private(target: Path, key: str, facts: str) -> Path:
    """A folder for some settings that no other process touches."""
    made = _private(target, key)
    try:
        made.mkdir()
        (made / PARTS).mkdir()
        (made / SETTINGS).write_text(facts, encoding="utf-8")
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise
    return made


def take(target: Path, key: str) -> Path | None:
    """The hidden folder under a name that no other process touches; None where another was first."""
    taken = _private(target, key)
    try:
        hidden_folder(target, key).rename(taken)
    except FileNotFoundError:
        return None
    return taken


def taken_by_others(target: Path, key: str) -> bool:
    """Whether a process of this machine that still runs is about to put a graph with these settings in its place."""
    here = this_process().partition("-")[0]
    owners = [words[2] for folder, words in _folders(target) if len(words) == 4 and f".{key}.parts." in folder.name]
    return any(owner.partition("-")[0] == here and not abandoned(owner) for owner in owners)


def put_in_place(taken: Path, product: str, target: Path, logs: dict[str, str], force: bool, as_named: Path) -> None:
    """Rename a graph that is whole, and its log, to their places.

    The log that stood there goes before the graph does, and the new one comes after the new graph.

    Args:
        taken: the private folder.
        product: what in it is the graph.
        target: of the graph, behind all links.
        logs: the text of each, by what is appended to the graph's name.
        force: whether a graph that stands there is replaced.
        as_named: the place as the user named it.

    Raises:
        StorageError: when a graph came there in the meantime, or it stands there and only its log does not.
        OSError: when the disk refuses; what stood there is in its place then.
    """
    made, stood = taken / product, False
    try:
        for ending, text in logs.items():
            (taken / f"new{ending}").write_text(text, encoding="utf-8")
            sync(taken / f"new{ending}")
        noted = json.dumps({"identity": _identity(made), "logs": list(logs)})
        (taken / "noted").write_text(noted, encoding="utf-8")
        sync(taken / "noted")
        if not made.is_dir():
            sync(made)
        with one_at_a_time(target.parent):
            try:
                (taken / "noted").replace(taken / PLACING)
                for ending in logs:
                    with suppress(FileNotFoundError):
                        _beside(target, ending).replace(taken / f"old{ending}")
                (put_folder if made.is_dir() else put_file)(made, target, force, as_named)
            finally:
                stood = _settle(taken, target, as_named)
    finally:
        if stood:
            shutil.rmtree(taken, ignore_errors=True)
        elif taken.exists() and not (taken / PLACING).exists():
            give_back(taken)


def recover(target: Path) -> None:
    """Finish, or take back, what processes that are no more had begun at a place."""
    for folder, words in _folders(target):
        if len(words) == 4 and abandoned(words[2]):
            taken = _private(target, folder.name.removeprefix(f"{stem(target)}.").partition(".")[0])
            with suppress(FileNotFoundError):  # another process was first
                with one_at_a_time(target.parent):
                    folder.rename(taken)
                    stood = _settle(taken, target, target)
                if stood:
                    shutil.rmtree(taken, ignore_errors=True)


def stands(target: Path, key: str) -> bool:
    """Whether the graph at a place is the one with a digest, as its log says, which never says otherwise."""
    try:
        return bool(
            json.loads(_beside(target, LOGS[0]).read_text(encoding="utf-8"))["digest"] == key and target.exists()
        )
    except (OSError, ValueError, LookupError, TypeError):
        return False


def give_back(taken: Path) -> None:
    """What was taken, but not placed: its parts wait for the next run; without any it goes."""
    with suppress(FileNotFoundError):
        for left in (PLACING, "noted", WHOLE, *(f"{age}{ending}" for age in ("new", "old") for ending in LOGS)):
            found = taken / left
            shutil.rmtree(found) if found.is_dir() else found.unlink(missing_ok=True)
        hidden = Path(str(taken).rsplit(".", 2)[0])
        useful = (taken / SETTINGS).exists() and (taken / PARTS).is_dir() and any((taken / PARTS).iterdir())
        if useful and not hidden.exists():
            taken.rename(hidden)
        else:
            shutil.rmtree(taken)


def _settle(taken: Path, target: Path, as_named: Path) -> bool:
    """Whatever step it stopped at: with the graph in its place its log comes after it, else all is as it was.

    Returns:
        whether the graph stands; what is left of its folder may go then.
    """
    try:
        facts = json.loads(_read(taken / PLACING) or "")
    except ValueError:  # nothing was to be placed yet
        give_back(taken)
        return False
    try:
        stands = bool(_identity(target) == facts["identity"])
    except FileNotFoundError:
        stands = False
    age = "new" if stands else "old"
    try:
        for ending in facts["logs"]:
            waits = taken / f"{age}{ending}"
            if waits.exists() and (stands or not _beside(target, ending).exists()):
                waits.replace(_beside(target, ending))
    except OSError as error:
        which = "is written, but not its log" if stands else "is as it was, but its log is now in " + shown(taken)
        raise StorageError(f"{shown(as_named)} {which}: {reason(error)}") from error
    if not stands:
        give_back(taken)
    return stands


def check_logs(path: Path, target: Path, force: bool) -> None:
    """Refuse a place beside which something stands where the log goes; with ``force`` only what is no log.

    Args:
        path: of the graph as the user named it.
        target: behind all links.
        force: whether a log may be replaced.

    Raises:
        StorageError: saying what stands there.
    """
    for ending in LOGS:
        log = _beside(target, ending)
        if not os.path.lexists(log):
            continue
        place = log if path.is_symlink() else _beside(path, ending)
        if not force:
            raise exists(place)
        if not _is_log(log):
            raise StorageError(f"{shown(place)} is not the log of a graph and is not replaced; choose another path")


def logs_of(path: Path) -> tuple[Path, ...]:
    """What is written beside a graph."""
    return tuple(_beside(path, ending) for ending in LOGS)


def _is_log(path: Path) -> bool:
    try:
        if path.is_symlink() or not path.is_file() or path.stat().st_size > LARGEST_LOG:
            return False
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".txt":
            return re.match(r"[\d,]+ neurons in \d+ groups, [\d,]+ synapses\n", text) is not None
        facts = json.loads(text)
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(facts, dict) and {"writer", "network", "projections"} <= facts.keys()


def _beside(target: Path, ending: str) -> Path:
    if not target.name:  # "." and "/"
        raise StorageError(f"{shown(target)} is a folder; give the name of a file")
    return target.with_name(f"{target.name}{ending}")


def check_begun(target: Path, settings: Mapping[str, Any]) -> None:
    """Refuse a destination where another graph was begun, as far as that is clear before the rates are known.

    Args:
        target: of the graph, behind all links.
        settings: of the graph; its rates are still to come.

    Raises:
        StorageError: when there is the beginning of a graph that these settings cannot give, whatever the rates.
    """
    for other in beginnings(target):
        try:
            found = json.loads(_read(other / SETTINGS) or "null")
        except (ValueError, RecursionError):
            found = None
        known = {**found, "rates": None} if isinstance(found, dict) and found.get("rates") is not None else None
        if known != {**settings, "rates": None}:
            raise _another(other)


def _another(other: Path) -> StorageError:
    return StorageError(
        f"{shown(other)} holds the beginning of another graph (other network, rates or settings); "
        "finish that one, or give --force (force=True) to start anew"
    )


def _remove_other(other: Path, force: bool) -> None:
    if not force:
        raise _another(other)
    if any(not abandoned(_owner(left)) for left in other.glob("*.tmp")):
        raise StorageError(f"{shown(other)} is being written by another process; wait for it, or choose another path")
    gone = other.with_name(f"{other.name}.{this_process()}.{token()}")
    with suppress(FileNotFoundError):  # another process was first
        other.rename(gone)  # whoever begins to write there meanwhile sees that it is gone, and begins anew
        shutil.rmtree(gone)


def _folders(target: Path) -> Iterator[tuple[Path, list[str]]]:
    """Hidden folders of graphs at a place, each with the words of its name but the digest."""
    prefix = f"{stem(target)}."
    for folder in sorted(target.parent.glob(f"{_literal(prefix)}*")) if target.parent.is_dir() else []:
        words = folder.name.removeprefix(prefix).split(".")
        if re.fullmatch(r"[0-9a-f]{32}", words[0]):
            words[0] = ""
        if words[: 1 if words[0] else 2] in (["parts"], ["", "parts"]) and folder.is_dir():
            yield folder, words


def _literal(name: str) -> str:
    return re.sub(r"([*?[])", r"[\1]", name)


def _private(target: Path, key: str) -> Path:
    return target.with_name(f"{hidden_folder(target, key).name}.{this_process()}.{token()}")


def _owner(temporary: Path) -> str:
    """Of a part that is not whole yet: PART.OWNER.TOKEN.tmp."""
    words = temporary.name.rsplit(".", 3)
    return words[1] if len(words) == 4 else ""


def _identity(path: Path) -> list[int]:
    facts = path.stat()
    return [facts.st_dev, facts.st_ino]


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return None
