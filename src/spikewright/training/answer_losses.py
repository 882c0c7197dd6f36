"""How far answers are from labels, and from those of the trained network.

torch is imported where they are computed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from spikewright.errors import SettingsError
from spikewright.tasks import Head

if TYPE_CHECKING:
    from torch import Tensor


def label_loss(head: Head, means: Tensor, answers: Tensor, targets: Tensor) -> Tensor:
    """How far the answers of one output are from its labels.

    Cross-entropy for classes and maps of classes, that of a yes or no for binary answers, else the mean squared error.

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
        return F.cross_entropy(means.view(len(means), means.shape[1], -1), targets.long().view(len(targets), -1))
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
    temperature of 1), else the squared error as a share of the variance of what is taught.

    Args:
        head: the output, and what its answers mean.
        means: ``(B, *shape)``: its values before the activation.
        taught: the same of the trained network.
    """
    import torch.nn.functional as F

    if head.task.name in ("classification", "dense") and means.ndim > 1 and means.shape[1] > 1:
        own, theirs = means.log_softmax(1), taught.log_softmax(1)
        return F.kl_div(own, theirs, reduction="none", log_target=True).sum(1).mean()
    return F.mse_loss(means, taught) / taught.var().clamp(min=1e-12)
