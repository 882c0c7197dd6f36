"""How far answers are from labels, and from those of the trained network.

torch is imported where they are computed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from spikewright.errors import SettingsError
from spikewright.tasks import Head
from spikewright.tasks.dense import IGNORED

if TYPE_CHECKING:
    from torch import Tensor


def label_loss(head: Head, means: Tensor, answers: Tensor, targets: Tensor) -> Tensor:
    """How far the answers of one output are from its labels.

    Cross-entropy for classes and maps of classes, that of a yes or no for binary answers and maps of one channel, else
    the mean squared error. Positions of maps that are to be ignored have no part in it.

    Args:
        head: the output, and what its labels mean.
        means: ``(B, *shape)``: its values before the activation: logits.
        answers: ``(B, *shape)``: those behind it.
        targets: ``(B, …)``, as ``Task.targets`` gives them.

    Raises:
        SettingsError: for a task that has no loss here.
    """
    import torch.nn.functional as F

    name = head.task.name
    if name == "classification":
        return F.cross_entropy(means.flatten(1), targets.long().flatten())
    if name == "dense":
        wanted, logits = targets.long().flatten(1), means.flatten(2)
        counted = wanted != IGNORED
        if means.shape[1] == 1:
            chosen = wanted[counted].to(means.dtype)
            total = F.binary_cross_entropy_with_logits(logits[:, 0][counted], chosen, reduction="sum")
        else:
            total = F.cross_entropy(logits, wanted, ignore_index=IGNORED, reduction="sum")
        return total / counted.sum().clamp(min=1)
    if name == "binary":
        return F.binary_cross_entropy_with_logits(means.flatten(), targets.to(means.dtype).flatten())
    if name == "regression":
        return F.mse_loss(answers.flatten(1), targets.to(answers.dtype).flatten(1))
    raise SettingsError(
        f"no loss is known for labels of the task '{name}': learn from the trained network's answers alone (labels=0)"
    )


def distillation_loss(head: Head, means: Tensor, taught: Tensor) -> Tensor:
    """How far the answers of one output are from those of the trained network.

    For classes the Kullback-Leibler divergence of their probabilities (Hinton et al. 2015, arXiv 1503.02531, at a
    temperature of 1), else the squared error as a share of the variance of what is taught; of its mean square, where it
    is one number, as in a last batch of one sample, or always the same.

    Args:
        head: the output, and what its answers mean.
        means: ``(B, *shape)``: its values before the activation.
        taught: the same of the trained network.
    """
    import torch.nn.functional as F

    if head.task.name in ("classification", "dense") and means.ndim > 1 and means.shape[1] > 1:
        own, theirs = means.log_softmax(1), taught.log_softmax(1)
        return F.kl_div(own, theirs, reduction="none", log_target=True).sum(1).mean()
    spread = taught.var() if taught.numel() > 1 else taught.new_zeros(())
    return F.mse_loss(means, taught) / (spread if spread > 0 else taught.square().mean()).clamp(min=1e-12)
