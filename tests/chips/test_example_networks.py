"""The networks that examples/train_chip.py trains fit Speck 2f, as long as they are: weights do not matter for that."""

from __future__ import annotations

from pathlib import Path

import pytest

import spikewright as sw

SCRIPT = Path(__file__).parents[2] / "examples" / "train_chip.py"


@pytest.mark.parametrize(
    ("name", "cores", "kernel_words"),
    [
        ("Mnist", 4, [512, 16_384, 16_384, 512]),
        ("Vgg", 8, [256, 4_096, 8_192, 16_384, 32_768, 65_536, 65_536, 1_024]),
        ("ResNet", 8, [256, 8_192, 24_576, 16_384, 32_768, 16_384, 65_536, 65_536]),
    ],
)
def test_each_fits(name: str, cores: int, kernel_words: list[int]) -> None:
    fit = sw.check(sw.load(f"{SCRIPT}:{name}", shape=(1, 28, 28)), "speck2f", dt=1e-3)
    assert fit.fits, str(fit)
    assert len(set(fit.cores.values())) == cores
    assert [layer.kernel_words for layer in fit.layers] == kernel_words
