"""The worked example of ``native/README.md``: the engine finds every number that the page gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spikewright.engines.event import is_built

if not is_built():
    pytest.skip("the native core was not built", allow_module_level=True)
from spikewright.engines.event import _native

PAGE = Path(__file__).parents[2] / "native" / "README.md"
POSITIONS, STEPS, BIAS = 2, 4, 0.125
SPIKES = {(0, 0, "a"): "1000", (0, 1, "a"): "0010", (0, 1, "b"): "0101"} | {
    (1, 0, "a"): "1000",
    (1, 1, "b"): "0001",
    (1, 2, "a"): "0010",
    (1, 2, "b"): "0001",
}
"""The train of each neuron that fires, by row, column and channel; as in the picture."""


def table(first: str) -> dict[str, list[str]]:
    """The rows of the page's table that has a row called ``first``, by the words in their first column."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    start = end = next(k for k, line in enumerate(lines) if line.startswith(f"| {first} |"))
    while lines[start - 1].startswith("|"):
        start -= 1
    while lines[end].startswith("|"):
        end += 1
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[start:end]]
    return {row[0]: row[1:] for row in rows}


def numbers(cells: list[str]) -> np.ndarray:
    return np.array([float(cell.replace("−", "-")) for cell in cells])


WEIGHTS = np.stack([numbers(table("a")[channel]).reshape(2, 2) for channel in "ab"])
"""(channel, row, column)"""


def frames() -> np.ndarray:
    found = np.zeros((1, STEPS, 2, 3, 2), np.float32)
    for (row, column, channel), train in SPIKES.items():
        found[0, :, row, column, "ab".index(channel)] = [int(bit) for bit in train]
    return found.reshape(1, STEPS, 12)


def ran(kind: str, wanted: str, gather: bool) -> np.ndarray:
    """What a layer of that kind behind the page's convolution gives at every step: (steps, positions)."""
    plan: Any = _native.Plan()
    plan.input(6, 2, 1)
    one, none = np.ones(1, np.float32), np.zeros(0, np.float32)
    if kind == "neurons":
        plan.neurons(POSITIONS, 1, one, one / 2, none, 1.0, True, 0.0, 1)
    else:
        plan.output(POSITIONS, 1)
    axes = [[1, 2, 3], 2, [1, 2, 2], [1, 1, 1], [0, 0, 0], [1, 1, 1], [1, 1, 2], 1]
    plan.conv(1, 0, np.zeros(0, np.int32), *axes, np.ascontiguousarray(WEIGHTS.reshape(-1), np.float32))
    plan.finish(_native.instruction_sets()[0], gather)
    assert plan.gathering()[1] is gather
    found = np.zeros((1, STEPS, POSITIONS), np.float32)
    base = np.full(POSITIONS, BIAS, np.float32)
    plan.run(1, STEPS, 1, 64, [(0, "frames", frames()), (1, "base", base)], [(1, wanted, found)])
    return found[0]


def listed(position: int) -> list[list[int]]:
    """The rows of weights of each step, by the page's rule for entries."""
    found = []
    for t in range(STEPS):
        rows = []
        for column in (0, 1):
            for k, channel in enumerate("ab"):
                upper, lower = (int(SPIKES.get((row, position + column, channel), "0000")[t]) for row in (0, 1))
                if upper or lower:
                    rows.append(6 * column + 3 * k + upper + 2 * lower - 1)
        found.append(rows)
    return found


def test_rows_of_weights_are_those_of_the_page() -> None:
    page = table("their sum")
    panel = [row for column in (0, 1) for w in WEIGHTS for row in (w[0, column], w[1, column], w[:, column].sum())]
    rows = [*listed(0), *listed(1)]
    assert page["rows of weights"] == [", ".join(map(str, step)) for step in rows]
    np.testing.assert_array_equal(numbers(page["their sum"]), [sum(panel[row] for row in step) for step in rows])
    np.testing.assert_array_equal(numbers(page["current"]), numbers(page["their sum"]) + BIAS)


@pytest.mark.parametrize("gather", [True, False])
def test_currents_and_spikes_are_those_of_the_page(gather: bool) -> None:
    page = table("their sum")
    totals = ran("output", "totals", gather)
    np.testing.assert_array_equal(np.diff(totals, axis=0, prepend=0).T.reshape(-1), numbers(page["current"]))
    np.testing.assert_array_equal(ran("neurons", "spikes", gather).T.reshape(-1), numbers(page["spike"]))


@pytest.mark.parametrize("gather", [True, False])
def test_potentials_are_those_of_the_page(gather: bool) -> None:
    page = table("their sum")
    left = ran("neurons", "potentials", gather).T.reshape(-1)
    np.testing.assert_array_equal(left, numbers(page["left"]))
    np.testing.assert_array_equal(left + numbers(page["spike"]), numbers(page["potential"]))
