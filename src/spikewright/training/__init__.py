"""Training a converted network on: a torch module of it, surrogate gradients, losses and limits, fine-tuning.

>>> net = sw.training.module(conversion, "atan")
>>> loss = torch.nn.functional.cross_entropy(net(x, timesteps=8)[:, -1], labels)
>>> loss.backward()
>>> better = sw.training.conversion(net)
"""

from __future__ import annotations

from spikewright.training.finetuning import Finetuned, finetune
from spikewright.training.losses import FiringRateLoss, SynOpsLoss
from spikewright.training.making import conversion as conversion
from spikewright.training.making import module
from spikewright.training.recipe import Recipe
from spikewright.training.slopes import SpikeGradient
from spikewright.training.surrogates import Surrogate, surrogate

__all__ = [
    "Finetuned",
    "FiringRateLoss",
    "Recipe",
    "SpikeGradient",
    "Surrogate",
    "SynOpsLoss",
    "finetune",
    "module",
    "surrogate",
]
"""All but ``conversion``, which a star would put in the way of the module of that name."""
