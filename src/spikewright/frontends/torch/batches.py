"""Whether a module is one network whatever the size of its batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spikewright.errors import ModelFileError

if TYPE_CHECKING:
    from torch.export import ExportedProgram

MANY = 2**20
"""No batch is as large: what holds up to there holds for all."""


class BatchError(ModelFileError):
    """A module that asks how large its batch is."""


def check_sizes(program: ExportedProgram, model: str) -> None:
    """Refuse a program that was traced for batches of any size, and holds for some sizes only.

    Raises:
        BatchError: where ``forward()`` asked how large the batch is.
    """
    for span in program.range_constraints.values():
        if span.lower > 2 or span.upper < MANY:
            sizes = f"more than {span.lower - 1}" if span.lower > 2 else f"up to {span.upper}"
            raise BatchError(
                f"{model}: forward() does one thing for batches of {sizes} samples and another for others, "
                "so it is not one fixed network; take that decision out of it"
            )
