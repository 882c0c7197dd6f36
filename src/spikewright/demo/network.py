"""The network of the demo: three convolutions, one of them in a residual block, for 28x28 grey pictures."""

from __future__ import annotations

import torch
from torch import nn


class DemoNet(nn.Module):
    """conv-BN-ReLU-pool, a residual block, pool, conv-BN-ReLU, global average, linear: 22,000 parameters."""

    def __init__(self, width: int = 24, classes: int = 10) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, 2 * width, 3, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(2 * width)
        self.relu = nn.ReLU()
        self.pool = nn.AvgPool2d(2)
        self.dropout = nn.Dropout(0.2)
        self.fc = nn.Linear(2 * width * 9, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Ten logits ``(B, 10)`` for pictures ``(B, 1, 28, 28)``."""
        x = self.pool(self.relu(self.bn1(self.conv1(x))))
        x = self.relu(self.bn2(self.conv2(x)) + x)
        x = self.relu(self.bn3(self.conv3(self.pool(x))))
        x = self.pool(x).flatten(1)
        logits: torch.Tensor = self.fc(self.dropout(x))
        return logits
