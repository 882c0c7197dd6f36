"""Average pools that keep nothing: the values and gradients of torch's own."""

import pytest
import torch

from spikewright.nodes import AvgPool
from spikewright.training.pools import mean_of_tiles, tiles


@pytest.mark.parametrize("kernel", [(2, 2), (3, 2), (1, 4)])
@pytest.mark.parametrize("size", [(6, 8), (7, 9)])
def test_windows_side_by_side(kernel: tuple[int, int], size: tuple[int, int]) -> None:
    x = torch.randn(3, 2, 4, *size, dtype=torch.float64, requires_grad=True)
    found = mean_of_tiles(x, kernel)
    expected = torch.nn.functional.avg_pool2d(x.flatten(0, 1), kernel, kernel).unflatten(0, (3, 2))
    torch.testing.assert_close(found, expected)
    weights = torch.randn_like(found)
    (own,) = torch.autograd.grad((found * weights).sum(), x)
    (theirs,) = torch.autograd.grad((expected * weights).sum(), x)
    torch.testing.assert_close(own, theirs)


def test_which_pools_are_such() -> None:
    def pool(stride: int = 2, pad: int = 0, **more: object) -> AvgPool:
        settings = {"kernel": (2, 2), "stride": (stride, stride), "padding": ((pad, pad),) * 2, **more}
        return AvgPool(name="p", inputs=("x",), **settings)  # type: ignore[arg-type]

    assert tiles(pool(), (3, 8, 8))
    assert not tiles(pool(stride=1), (3, 8, 8))
    assert not tiles(pool(pad=1), (3, 8, 8))
    assert not tiles(pool(overhang=(1, 1)), (3, 7, 7))
    line = AvgPool(name="p", inputs=("x",), kernel=(2,), stride=(2,), padding=((0, 0),))
    assert not tiles(line, (3, 8))
