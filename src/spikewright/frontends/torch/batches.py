"""Whether a module is one network for every batch size; what it answers must not depend on how many samples there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spikewright.errors import ModelFileError

if TYPE_CHECKING:
    pass

MANY = 2**20
"""No batch is as large: what holds up to there holds for all."""


class BatchError(ModelFileError):
    """A module that asks how large its batch is."""
