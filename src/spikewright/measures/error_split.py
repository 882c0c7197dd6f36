"""Why a spiking network differs from the trained one: the error of every population, split into what causes it.

Of one neuron on one sample, in units of λ: a is the trained activation, r the spikes it sent in T steps over T, and z̄
the mean of its current over these steps, given what the earlier layers sent. With f the trained activation function, s
the shift that rounds (½, or as trained) and φ the most spikes a step::

    ã = f(z̄)                                 what the trained neuron would answer to this input
    c = min(ã, φ)                            as far as spikes reach
    q = clip(floor(T·z̄ + s), 0, φT) / T      rounded to what T steps can count
    d                                        the rate of the neuron, from its own initial potential, if its current were
                                             constant in each half of the run, with the means that they have

    r − a  =  (ã − a)  +  (c − ã)  +  (q − c)  +  (d − q)  +  (r − d)
             inherited    clipping    rounding    transient   unevenness

Inherited is the error of earlier layers, of weights rounded to 8 bits, and what corrections add on purpose; the other
four are the layer's own. A transient is a current that has not settled, or an initial potential that shifts the count:
both belong to the start of a run, and a longer one forgets them. Unevenness is the order in which spikes arrive, for
one mean: a spike that was sent too early cannot be taken back. Where neurons leak or reset to zero, q is what they send
for a constant current, so that what they lose by that counts as rounding.

Means over a window are exact without recording any train: linear layers keep means, so the currents follow from counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from spikewright.text import brief

PARTS = ("inherited", "clipping", "rounding", "transient", "unevenness")
"""What an error is split into, in the order in which it comes about."""
OWN = PARTS[1:]
"""The parts that a population adds itself."""


@dataclass(frozen=True)
class PopulationError:
    """The error of one population's rates after T steps, in units of λ.

    Attributes:
        name: of the population.
        timesteps: T.
        shares: by part of ``PARTS``, ``E[part · error]``: they sum up to the mean squared error. One below zero makes
            up for others.
        own: by part of ``OWN``, ``E[part · (r − ã)]``: they sum up to the mean square of what the population adds to
            the errors of earlier ones.
        means: by part, its mean: its sign says whether spikes are missing or too many.
        signal: ``E[a²]``, the mean square of the trained activations.
    """

    name: str
    timesteps: int
    shares: Mapping[str, float]
    own: Mapping[str, float]
    means: Mapping[str, float]
    signal: float

    @property
    def mean_square(self) -> float:
        """``E[(r − a)²]``."""
        return sum(self.shares.values())

    @property
    def added(self) -> float:
        """What the population adds itself, against the signal: ``E[(r − ã)²] / E[a²]``; 0 where nothing is active."""
        return sum(self.own.values()) / self.signal if self.signal else 0.0

    def relative(self, part: str) -> float:
        """One part's share of the mean squared error against the signal; 0 where nothing is active."""
        return self.shares[part] / self.signal if self.signal else 0.0

    def summary(self) -> dict[str, Any]:
        """The numbers as plain JSON-like values."""
        return {
            "shares": dict(self.shares),
            "own": dict(self.own),
            "means": dict(self.means),
            "signal": self.signal,
        }


@dataclass(frozen=True)
class ErrorSplit:
    """The errors of all populations after several numbers of steps.

    Attributes:
        samples: how many were looked at.
        populations: by T and by population, in the order of the network.
        of: how many there are.
    """

    samples: int
    populations: Mapping[int, Mapping[str, PopulationError]]
    of: int

    __repr__ = brief

    def summary(self) -> dict[str, Any]:
        """The numbers as plain JSON-like values."""
        at = {str(t): {name: one.summary() for name, one in all_of.items()} for t, all_of in self.populations.items()}
        return {"samples": self.samples, "timesteps": at}
