"""Which pictures lie in a folder, and what their folders say of them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from spikewright.data.decode import SUFFIXES
from spikewright.data.sampling import Rows
from spikewright.errors import DataError

Split = Literal["train", "test"]
SPLITS = {
    "train": ("train", "training"),
    "test": ("test", "testing", "val", "valid", "validation"),
}
"""Folders above class folders, in the order in which they are taken."""
CLUTTER = {"__macosx", "@eadir", "$recycle.bin", "thumbs.db", "desktop.ini"}


@dataclass(frozen=True)
class Kind:
    """What files a folder is looked through for.

    Attributes:
        noun: one of them, in words.
        suffixes: the endings of their names, in small letters.
    """

    noun: str
    suffixes: frozenset[str]

    def fits(self, file: Path) -> bool:
        """Whether a file is of the kind, by its name."""
        return file.suffix.lower() in self.suffixes


PICTURES = Kind("picture", frozenset(SUFFIXES))
RECORDINGS = Kind(
    "recording", frozenset({".bin", ".aedat", ".aedat4", ".dat", ".raw", ".es", ".h5", ".hdf5", ".npz", ".npy"})
)


@dataclass(frozen=True, eq=False)
class Pictures:
    """The files of a folder: pictures or recordings.

    Attributes:
        files: class after class, each in sorted order.
        labels: ``(N,)`` the index of each picture's class; None where pictures lie in no class folder.
        classes: the names of the class folders, sorted.
        notes: what was left out, one line each.
    """

    files: tuple[Path, ...]
    labels: Rows | None
    classes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def kind_in(path: Path) -> Kind:
    """What a folder holds: recordings where the first file of either kind, as names sort, is one; else pictures."""
    for file in _walk(path):
        if PICTURES.fits(file) or RECORDINGS.fits(file):
            return PICTURES if PICTURES.fits(file) else RECORDINGS
    return PICTURES


def pictures_in(path: Path, split: Split, classes: Sequence[str] = (), kind: Kind = PICTURES) -> Pictures:
    """The files of a kind in a folder: of class folders, of one split of these, or all in one without labels.

    Args:
        path: the folder.
        split: which of the folders train and test (or val) is meant where there are such.
        classes: names in the order that labels are to have, where that is known already.
        kind: pictures or recordings.

    Raises:
        DataError: for no such files, for a split that is not there, and for class folders that do not fit the classes.
    """
    notes: list[str] = []
    root, known = _root(path, split, notes, kind)
    found = {folder.name: _walk(folder) for folder in _folders(root, notes)}
    listed = {name: list(files) for name, files in found.items()}
    empty = sorted(name for name, files in listed.items() if not any(map(kind.fits, files)))
    loose = [Path(entry) for entry in _visible(root) if entry.is_file()]
    inside = [file for files in listed.values() for file in files]
    names = sorted(set(listed) - set(empty))
    if empty and names:
        notes.append(f"{root}: no class, since there are no {kind.noun}s in them: {_some(empty)}")
    _note_others([*inside, *loose], root, notes, kind)
    pictures = sorted(filter(kind.fits, loose))
    if not names:
        if not pictures:
            if kind is RECORDINGS:
                raise DataError(f"{path}: no recordings here ({', '.join(sorted(kind.suffixes))})")
            raise DataError(
                f"{path}: no data here: expected idx or npz files, or pictures ({', '.join(sorted(SUFFIXES))}), in "
                "class folders or all in this one"
            )
        return Pictures(tuple(pictures), None, (), tuple(notes))
    if pictures:
        notes.append(f"{root}: {_count(len(pictures), kind.noun)} beside the class folders left out")
    order = _order(root, names, tuple(classes), known, notes, kind)
    files = [(file, order.index(name)) for name in names for file in listed[name] if kind.fits(file)]
    files.sort(key=lambda pair: (pair[1], pair[0]))
    return Pictures(tuple(f for f, _ in files), np.array([k for _, k in files], np.int64), order, tuple(notes))


def _root(path: Path, split: Split, notes: list[str], kind: Kind) -> tuple[Path, tuple[str, ...]]:
    """Where class folders lie: here, or in the folder of a split; and the names of those to train with, if apart."""
    folders = [f for f in _folders(path, []) if any(map(kind.fits, _walk(f)))]
    roles = {f.name.lower(): f for f in folders}
    known = [name for names in SPLITS.values() for name in names]
    if not folders or any(name not in known for name in roles):
        only = folders[0] if len(folders) == 1 else None
        if only is None or any(e.is_file() and kind.fits(Path(e)) for e in (*_visible(path), *_visible(only))):
            return path, ()
        notes.append(f"{path}: its one folder holds folders of {kind.noun}s; taken from {only.name}{os.sep}")
        return _root(only, split, notes, kind)
    chosen = next((roles[name] for name in SPLITS[split] if name in roles), None)
    if chosen is None:
        there = ", ".join(f.name + os.sep for f in folders)
        raise DataError(f"{path}: holds {there} and nothing to {split} with; name the folder that is meant")
    training = next((roles[name] for name in SPLITS["train"] if name in roles), chosen)
    classes = [f.name for f in _folders(training, []) if any(map(kind.fits, _walk(f)))]
    return chosen, tuple(sorted(classes)) if training != chosen else ()


def _order(
    root: Path, names: list[str], given: tuple[str, ...], training: tuple[str, ...], notes: list[str], kind: Kind
) -> tuple[str, ...]:
    """The classes whose index is the label: those that are known, else the folders that there are."""
    wanted, source = (given, "the network was converted with") if given else (training, "the training folder has")
    if not wanted or (given and not set(given) & set(names)):
        if given:
            notes.append(f"{root}: its folders have other names than the classes {_some(given)}; numbered as they sort")
        return tuple(names)
    strange = sorted(set(names) - set(wanted))
    if strange:
        raise DataError(
            f"{root}: {_some(strange)} {'is no class' if len(strange) == 1 else 'are no classes'} that {source} "
            f"({_some(wanted)}); labels would not agree"
        )
    missing = [name for name in wanted if name not in names]
    if missing:
        notes.append(f"{root}: no {kind.noun}s of {_some(missing)}")
    return wanted


def _folders(path: Path, notes: list[str]) -> list[Path]:
    """The folders of a folder that may hold pictures, sorted; the others are noted."""
    with os.scandir(path) as entries:
        found = sorted(entry.name for entry in entries if entry.is_dir())
    hidden = [name for name in found if _is_hidden(name)]
    if hidden:
        notes.append(f"{path}: hidden folders left out: {_some(hidden)}")
    return [path / name for name in found if name not in hidden]


def _walk(path: Path, above: frozenset[tuple[int, int]] = frozenset()) -> Iterator[Path]:
    """Every visible file in a folder and those inside it, sorted; links that lead round are followed once."""
    status = path.stat()
    here = above | {(status.st_dev, status.st_ino)}
    if here == above:
        return
    for entry in sorted(_visible(path), key=lambda entry: entry.name):
        if entry.is_dir():
            yield from _walk(Path(entry.path), here)
        elif entry.is_file():
            yield Path(entry.path)


def _visible(path: Path) -> list[os.DirEntry[str]]:
    with os.scandir(path) as entries:
        return [entry for entry in entries if not _is_hidden(entry.name)]


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name.lower() in CLUTTER


def _note_others(files: Sequence[Path], root: Path, notes: list[str], kind: Kind) -> None:
    others = sorted({file.relative_to(root).as_posix() for file in files if not kind.fits(file)})
    if others:
        verb = f"is no {kind.noun}" if len(others) == 1 else f"are no {kind.noun}s"
        notes.append(f"{root}: {_count(len(others), 'file')} {verb} of a known kind: {_some(others)}")


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8:,} more" if len(names) > 8 else "")
