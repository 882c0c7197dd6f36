"""Where training stands, as a file to go on from: arrays and a description, nothing that is run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from spikewright.errors import ModelFileError, SettingsError
from spikewright.files import atomic_path
from spikewright.tensors import Kind, check_facts, read_tensors, write_tensors

KIND = Kind(
    key="spikewright-training",
    noun="state of training",
    contents="state of training",
    format=1,
    facts=frozenset({"recipe", "network", "data", "epoch", "history", "steps", "losses"}),
    again="take it away and begin anew",
)
SUFFIX = ".safetensors"


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """Where training stands.

    Attributes:
        recipe: its settings, as plain values.
        network: the fingerprint of the network that it began with.
        data: that of the samples.
        epoch: how many epochs are done.
        history: the mean loss of each.
        steps: how many steps of the optimiser are done of the epoch after them.
        losses: the sum of the losses of their samples.
        arrays: parameters and what the optimiser remembers, by name.
    """

    recipe: Mapping[str, Any]
    network: str
    data: str
    epoch: int
    history: tuple[float, ...]
    steps: int
    losses: float
    arrays: Mapping[str, NDArray[Any]]

    def save(self, path: Path | str) -> None:
        """Write it in the place of the one before."""
        labels = ("recipe", "network", "data", "epoch", "history", "steps", "losses")
        with atomic_path(path, force=True) as temporary:
            write_tensors(temporary, KIND, {label: getattr(self, label) for label in labels}, dict(self.arrays))


def load_checkpoint(path: Path | str, recipe: Mapping[str, Any], network: str, data: str) -> Checkpoint | None:
    """Where training stood, if it was this training; None where there is no file.

    Args:
        path: of the file.
        recipe: the settings that training goes on with.
        network: the fingerprint of the network that it began with.
        data: that of the samples.

    Raises:
        SettingsError: for a file of another network, other data or settings.
        ModelFileError: for a damaged file.
    """
    if not Path(path).exists():
        return None
    facts, arrays = read_tensors(path, KIND)
    hints = {"recipe": dict[str, Any], "network": str, "data": str, "epoch": int, "history": list[float]}
    hints |= {"steps": int, "losses": float}
    try:
        check_facts(facts, hints)
    except ModelFileError as error:
        raise ModelFileError(f"{path}: {error}; {KIND.again}") from error
    differing = [label for label in recipe if facts["recipe"].get(label) != recipe[label]]  # on which data may depend
    said = [_difference(label, facts["recipe"].get(label), recipe[label]) for label in differing]
    for what, own, theirs in (("network", network, facts["network"]), ("data set", data, facts["data"])):
        said += [f"another {what}"] * (own != theirs)
    if said:
        raise SettingsError(f"{path}: is the state of a training with {said[0]}; {KIND.again}")
    if not 0 <= facts["epoch"] == len(facts["history"]) or facts["steps"] < 0:
        raise ModelFileError(f"{path}: its epochs do not agree; {KIND.again}")
    history = tuple(map(float, facts["history"]))
    return Checkpoint(facts["recipe"], network, data, facts["epoch"], history, facts["steps"], facts["losses"], arrays)


def _difference(label: str, theirs: Any, own: Any) -> str:
    """How a setting differs: ``epochs=1, not 2``; of what nobody types so, only that it does."""
    if any(isinstance(one, Mapping) or "(" in str(one) for one in (theirs, own)):
        return f"another {label}"
    return f"{label}={theirs!s:.40}, not {own!s:.40}"


def check_checkpoint(path: Path | str) -> None:
    """Refuse a name that no state of training is kept under.

    Raises:
        SettingsError: for another suffix.
    """
    if Path(path).suffix.lower() != SUFFIX:
        raise SettingsError(f"{path}: the state of training is kept as {SUFFIX}: give {Path(path).with_suffix(SUFFIX)}")
