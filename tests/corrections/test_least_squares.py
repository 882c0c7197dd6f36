"""Conjugate gradients against numpy's least squares, and what they are stopped for."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from spikewright.corrections.least_squares import least_squares


class Line:
    """A matrix and a bias, and samples of what they should give."""

    def __init__(self, samples: int = 40) -> None:
        random = np.random.default_rng(0)
        self.x = torch.from_numpy(random.normal(size=(samples, 6)))
        self.wanted = torch.from_numpy(random.normal(size=(samples, 3)))
        self.weight = torch.from_numpy(random.normal(size=(3, 6))).requires_grad_()
        self.bias = torch.zeros(3, dtype=torch.float64).requires_grad_()

    def batches(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        for rows in torch.arange(len(self.x)).split(16):
            yield self.x[rows] @ self.weight.T + self.bias, self.wanted[rows]

    def error(self) -> float:
        return sum(float((out - wanted).detach().square().sum()) for out, wanted in self.batches())


def test_as_many_steps_as_parameters_give_the_least_squares() -> None:
    line = Line()
    least_squares([line.weight, line.bias], line.batches, 21)
    wide = np.concatenate([line.x.numpy(), np.ones((len(line.x), 1))], axis=1)
    expected = np.linalg.lstsq(wide, line.wanted.numpy(), rcond=None)[0].T
    np.testing.assert_allclose(line.weight.detach(), expected[:, :-1], atol=1e-8)
    np.testing.assert_allclose(line.bias.detach(), expected[:, -1], atol=1e-8)


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_every_step_lowers_the_error(steps: int) -> None:
    fewer, more = Line(), Line()
    least_squares([fewer.weight, fewer.bias], fewer.batches, steps - 1)
    least_squares([more.weight, more.bias], more.batches, steps)
    assert more.error() < fewer.error()


def test_what_is_right_stays() -> None:
    line = Line()
    with torch.no_grad():
        line.wanted = line.x @ line.weight.T + line.bias
    before = line.weight.detach().clone()
    least_squares([line.weight, line.bias], line.batches, 5)
    assert torch.equal(line.weight, before)
