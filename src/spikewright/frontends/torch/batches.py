"""Whether a module answers for each sample by itself: the size of its batch, and who else is in it, must not matter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from spikewright.errors import ModelFileError

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.export import ExportedProgram

SAMPLES = 3
APART = 1e-3
"""How far apart answers may be, as a share of their range: far more than the order of a sum makes."""
MANY = 2**20
"""No batch is as large: what holds up to there holds for all."""


class BatchError(ModelFileError):
    """A module that asks how large its batch is."""


def check_batches(module: nn.Module, inputs: Sequence[Tensor], model: str) -> None:
    """Run a module on a batch of random samples and on some of them alone.

    A module that takes no such batches was written for one size, and is what it is at that size.

    Args:
        module: in evaluation mode.
        inputs: an example batch for each argument.
        model: its name, for messages.

    Raises:
        ModelFileError: where all samples that were tried are answered otherwise alone; by rounding, one might be.
    """
    import torch

    state = torch.Generator().manual_seed(0)
    batch = [_random(x, state) for x in inputs]
    try:
        together, again = _answers(module, batch), _answers(module, batch)
        if any(not one.equal(other) for one, other in zip(together, again, strict=True)):
            return  # random: comparing the graph will say so
        alone = {k: _answers(module, [x[k : k + 1] for x in batch]) for k in range(1, SAMPLES)}
    except Exception:  # it is not meant for such a batch
        return
    for k, answers in alone.items():
        if not any(_differ(y, one, k) for y, one in zip(together, answers, strict=True)):
            return
    raise ModelFileError(
        f"{model}: its answer for one sample depends on the batch it stands in, but a graph answers each sample for "
        "itself; take what uses the batch size, or mixes samples, out of its code"
    )


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


def _random(example: Tensor, state: Any) -> Tensor:
    import torch

    if example.is_floating_point():
        return torch.randn(SAMPLES, *example.shape[1:], generator=state).to(example.device, example.dtype)
    return torch.cat([example[:1]] * SAMPLES)


def _answers(module: nn.Module, batch: Sequence[Tensor]) -> list[Tensor]:
    import torch
    from torch.utils import _pytree as pytree

    with torch.no_grad():
        found = module(*(x.clone() for x in batch))
    return [y for y in pytree.tree_leaves(found) if isinstance(y, torch.Tensor) and y.is_floating_point()]


def _differ(together: Tensor, alone: Tensor, k: int) -> bool:
    if not together.ndim or len(together) != SAMPLES or together[k].numel() != alone.numel():
        return True
    one, other = together[k].flatten().double(), alone.flatten().double()
    apart = float((one - other).abs().max()) if one.numel() else 0.0
    return apart > APART * float(other.abs().max())  # where anything is no number, it is not so
