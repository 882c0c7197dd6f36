"""Scores of answers by their definitions, written down as plainly as they can be: loops over timesteps and classes."""

from __future__ import annotations

import numpy as np

from spikewright.graph import Array


def brute_force(
    task: str, outputs: Array, y: Array, end: str | None = None, *, agreement: bool = False, ignore: int | None = None
) -> dict[str, Array]:
    """Every score ``(T,)``.

    Args:
        task: its name.
        outputs: ``(N, T, *shape)``.
        y: labels, or for agreement what the analog network answered, ``(N, *shape)``.
        end: the activation of the output.
        agreement: whether ``y`` is an answer.
        ignore: a label that marks what is left out.
    """
    found: dict[str, list[float]] = {}
    for t in range(outputs.shape[1]):
        for name, value in SCORES[task](outputs[:, t].astype(np.float64), y, end, agreement, ignore).items():
            found.setdefault(name, []).append(value)
    return {name: np.array(values) for name, values in found.items()}


def classification(answers: Array, y: Array, end: str | None, agreement: bool, _: int | None) -> dict[str, float]:
    labels = y.argmax(1) if y.ndim > 1 else y
    right = [int(np.argmax(row)) == label for row, label in zip(answers, labels, strict=True)]
    first = [label in np.argsort(-row, kind="stable")[:5] for row, label in zip(answers, labels, strict=True)]
    top5 = {"top5": float(np.mean(first))} if answers.shape[1] > 5 and not agreement else {}
    return {"accuracy": float(np.mean(right)), **top5}


def yes(values: Array, end: str | None) -> Array:
    return values > (0.5 if end == "sigmoid" else 0)


def binary(answers: Array, y: Array, end: str | None, agreement: bool, _: int | None) -> dict[str, float]:
    truth = yes(y, end) if agreement else y > 0
    return {"accuracy": float(np.mean(yes(answers, end).ravel() == truth.ravel()))}


def dense(answers: Array, y: Array, end: str | None, agreement: bool, ignore: int | None) -> dict[str, float]:
    def classes(values: Array) -> Array:
        return yes(values[:, 0], end).astype(int) if values.shape[1] == 1 else values.argmax(1)

    truth = (classes(y) if agreement else y).ravel()
    guess = classes(answers).ravel()
    guess, truth = guess[truth != ignore], truth[truth != ignore]
    shares = []
    for c in range(max(answers.shape[1], 2)):
        either = np.sum((guess == c) | (truth == c))
        if either:
            shares.append(np.sum((guess == c) & (truth == c)) / either)
    return {"accuracy": float(np.mean(guess == truth)), "mean_iou": float(np.mean(shares))}


def regression(answers: Array, y: Array, _end: str | None, _agreement: bool, _: int | None) -> dict[str, float]:
    truth = y.astype(np.float64).reshape(answers.shape)
    error, spread = truth - answers, truth - truth.mean(0)
    r2 = 1 - np.sum(error**2) / np.sum(spread**2)
    return {"mse": float(np.mean(error**2)), "mae": float(np.mean(np.abs(error))), "r2": float(r2)}


SCORES = {"classification": classification, "binary": binary, "dense": dense, "regression": regression}
