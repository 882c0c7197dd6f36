"""An imported graph beside the framework it came from, on random samples: what differs is refused, and why is said."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from math import prod
from typing import TYPE_CHECKING

from spikewright.errors import GraphError, SettingsError, SpikewrightError
from spikewright.frontends.verify.fact import Verified
from spikewright.frontends.verify.lockstep import VANISHING, Difference, Lockstep, changed, distance
from spikewright.frontends.verify.original import Original
from spikewright.frontends.verify.samples import Batch, SampleBatch, Sampler
from spikewright.graph import Graph
from spikewright.text import first_line

if TYPE_CHECKING:
    from torch import Tensor

SECONDS = 30.0
"""How long a network is compared, unless something else is asked for."""
MOST_VALUES = 2**28
"""Values of one batch of one node, beyond which nothing is compared unless it is asked for: a gigabyte."""
PROBES = ("standard normal", "uniform from 0 to 1")
"""What a model is tried on to learn which batch sizes it takes."""


class BatchDependence(GraphError):
    """A network whose answer for one sample depends on the batch it stands in."""


def verified(
    graph: Graph,
    original: Original,
    model: str,
    *,
    example: Batch | None = None,
    seconds: float = SECONDS,
    strict: bool = False,
) -> Graph:
    """The graph, with the fact that it does what its framework does.

    Args:
        graph: as a frontend made it.
        original: the model in its framework.
        model: its name, for messages.
        example: a batch of the user's own to be compared too, by the names of the graph's inputs.
        seconds: after which no further batch is begun; one is always compared.
        strict: whether to refuse what cannot be compared, instead of noting it.

    Raises:
        GraphError: naming the first node, or the output, that differs by more than the tolerance; or saying that the
            answer is random, depends on the batch, or is nowhere a finite number.
    """
    return _Comparison(graph, original, model, example, strict).fact(seconds).on(graph)


def check_seconds(seconds: float) -> None:
    """Refuse a time limit that is none.

    Raises:
        SettingsError: for anything but a positive number.
    """
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds > 0:
        raise SettingsError(f"verify_seconds is a positive number of seconds, not {seconds!r}")


class _Comparison:
    def __init__(self, graph: Graph, original: Original, model: str, example: Batch | None, strict: bool) -> None:
        self.graph, self.original, self.model, self.strict = graph, original, model, strict
        self.sampler = Sampler(graph.inputs, original.dtypes, example)
        self.lockstep = Lockstep(graph, original.trace, original.tolerance)
        self.probed: dict[tuple[str, int], Batch] = {}
        self.failures: dict[str, str] = {}
        self.finite: Counter[str] = Counter()
        self.infinite: Counter[str] = Counter()
        self.reach: dict[str, float] = {}
        self.largest = 0.0

    def fact(self, seconds: float) -> Verified:
        """Compare until all is compared or the time is up."""
        end = time.monotonic() + seconds
        sizes = self.original.sizes
        if not self._too_large(sizes):
            sizes = self._sizes()
        if self._too_large(sizes):
            reason = "its layers are too large to be compared unasked; verify=True (--verify) does it all the same"
            return Verified(notes=(reason,))
        notes = list(self.original.notes)
        done: list[SampleBatch] = []
        for given in self.sampler.batches(sizes):
            if done and time.monotonic() > end:
                notes.append(f"stopped after {seconds:g} s")
                break
            theirs = self.probed.pop((given.kind, given.size), None) or self._run(given)
            if theirs is not None and self._compared(given, theirs):
                if not done and len(sizes) > 1 and not self.lockstep.steps:
                    self._check_alone(given)
                done.append(SampleBatch(given.kind, given.size, given.batch if not done else {}))
        if not done:
            return self._impossible()
        samples = sum(given.size for given in done)
        self._check_finite(samples)
        notes += [*self._silent(done[0]), *self._left_out(), *self._one_size(sizes)]
        used = tuple(sorted({given.size for given in done}))
        return Verified(self.original.framework, samples, used, self.largest, tuple(notes))

    # The framework's side.

    def _too_large(self, sizes: tuple[int, ...]) -> bool:
        """Whether a batch of one node would fill the memory, and nobody asked for that."""
        values = max(prod(shape) for shape in self.graph.shapes.values())
        return not self.strict and values * max(sizes) > MOST_VALUES

    def _sizes(self) -> tuple[int, ...]:
        """The batch sizes that the framework takes."""
        trace, wanted = self.original.trace, self.original.sizes
        if self.lockstep.steps and trace is not None and trace.size is not None:
            wanted = (trace.size,)
        for kind in PROBES:
            taken = tuple(size for size in wanted if self._takes(kind, size))
            if taken:
                self.failures.clear()
                return taken
        self.failures.clear()
        return (self.original.own_size,)

    def _takes(self, kind: str, size: int) -> bool:
        theirs = self._run(SampleBatch(kind, size, self.sampler.draw(kind, size)))
        if theirs is None:
            return False
        for name, y in theirs.items():
            if y.ndim == 0 or len(y) != size:
                if y.numel() != size * prod(self.graph.shapes[name]):
                    raise BatchDependence(
                        f"{self.model}: it answers a batch of {size} samples with '{name}' of shape {tuple(y.shape)}, "
                        "which is not one answer for each sample; take what mixes or drops samples out of its code"
                    )
                return False
        self.probed[kind, size] = theirs
        return True

    def _run(self, given: SampleBatch) -> Batch | None:
        """What the framework gives; None where it fails."""
        try:
            return self.original.run(given.batch)
        except Exception as error:  # a framework, and code of the user's, may raise anything
            self.failures[given.kind] = first_line(error)
            return None

    def _impossible(self) -> Verified:
        reason = f"{self.original.framework} cannot run it on random samples ({next(iter(self.failures.values()), '')})"
        if self.strict:
            raise GraphError(f"{self.model}: cannot be verified: {reason}; verify=False (--no-verify) takes it unseen")
        return Verified(notes=(reason,))

    # Comparing.

    def _compared(self, given: SampleBatch, theirs: Batch) -> bool:
        """Whether a batch could be compared.

        Raises:
            GraphError: where an output is another, saying why, or where the first difference stands.
        """
        ours = self._ours(given, theirs)
        if ours is None:
            return False
        for name, value in theirs.items():
            wide = value.detach().float().cpu()
            found = self.lockstep.difference(name, ours[name], wide, given.batch)
            if found is not None:
                raise self._explained(given, theirs, found)
            self._note(name, ours[name], wide)
        return True

    def _ours(self, given: SampleBatch, theirs: Batch) -> Batch | None:
        """What the graph gives; None where there are steps and the framework cannot show what goes into them."""
        if not self.lockstep.steps:
            return self.lockstep.forward(given.batch)
        try:
            found, ours = self.lockstep.walk(given.batch)
        except SpikewrightError:
            raise
        except Exception as error:  # the framework's
            self.failures[given.kind] = first_line(error)
            return None
        if found is not None:
            raise self._explained(given, theirs, found)
        return ours

    def _note(self, name: str, ours: Tensor, theirs: Tensor) -> None:
        """Remember how large an output was, and how much of it could be compared."""
        count = int(theirs.isfinite().sum())
        self.finite[name] += count
        self.infinite[name] += theirs.numel() - count
        apart, reach = distance(ours, theirs)
        self.largest = max(self.largest, apart / max(reach, self.lockstep.floors.get(name, VANISHING)))
        self.reach[name] = max(self.reach.get(name, 0.0), reach)

    # What a difference comes from.

    def _explained(self, given: SampleBatch, theirs: Batch, found: Difference) -> GraphError:
        again = self._run(given)
        moved = changed(theirs, again, self.original.tolerance, self.lockstep.floors) if again else 0.0
        if moved:
            return GraphError(
                f"{self.model}: its answer is random: two runs on the same samples differ by {moved:.3g}; "
                "take the noise or dropout out of what it does when it is not trained"
            )
        mixed = self._mixes(given, theirs, self.original.run)
        if mixed:
            return self._dependent(mixed)
        difference = self._located(given) or found
        name = difference.node
        kind = self.graph[name].type
        where = f"at the output '{name}'" if kind == "Output" else f"at the node '{name}' ({kind})"
        return GraphError(
            f"{self.model}: the graph differs from {self.original.framework} {where}"
            f"{': ' if difference.shapes else ', '}{difference} ({given.kind} samples); nothing was imported: "
            f"{self.original.hint(name) or 'please report this model'}"
        )

    def _dependent(self, apart: float) -> BatchDependence:
        return BatchDependence(
            f"{self.model}: its answer for one sample depends on the batch it stands in (by {apart:.3g}), but a graph "
            "answers each sample for itself; take what uses the batch size, or mixes samples, out of its code"
        )

    def _mixes(self, given: SampleBatch, theirs: Batch, run: Callable[[Batch], Batch]) -> float:
        """How far the answer for a sample moves when others stand beside it."""
        import torch

        for size in dict.fromkeys((*(s for s in self.original.sizes if s != given.size), given.size)):
            others = self.sampler.draw(PROBES[0], size, seed=1)
            batch = {name: torch.cat([given.batch[name][:1], x[1:]]) for name, x in others.items()}
            try:
                found = run(batch)
            except Exception:  # not of this size, then
                continue
            before = {name: y[:1] for name, y in theirs.items() if y.ndim}
            if all(found[name].ndim and len(found[name]) == size for name in before):
                after = {name: found[name][:1] for name in before}
                return changed(before, after, self.original.tolerance, self.lockstep.floors)
        return 0.0

    def _check_alone(self, given: SampleBatch) -> None:
        """Refuse what answers a sample otherwise when it is the only one of its batch."""
        one = {name: x[:1] for name, x in given.batch.items()}
        try:
            theirs = self.original.run(one)
        except Exception:  # not made for one sample
            return
        ours = self.lockstep.forward(one)
        for name, y in theirs.items():
            wide = y.detach().float().cpu()
            found = self.lockstep.difference(name, ours[name], wide, one) if y.ndim and len(y) == 1 else None
            if found is not None:
                raise self._dependent(found.apart)

    def _located(self, given: SampleBatch) -> Difference | None:
        """The first node that differs, where the framework can be asked."""
        trace = self.original.trace
        if trace is None:
            return None
        size = trace.size or given.size
        batch = given.batch if size == given.size else self.sampler.draw(PROBES[0], size)
        try:
            return self.lockstep.walk(batch)[0]
        except Exception:  # what was traced may not run on what the model itself takes
            return None

    # What is looked at in the end.

    def _check_finite(self, samples: int) -> None:
        for name, infinite in self.infinite.items():
            if infinite and not self.finite[name]:
                raise GraphError(
                    f"{self.model}: its output '{name}' is not a finite number for any of {samples} random samples; "
                    "look for a division by zero or an overflow"
                )

    def _silent(self, first: SampleBatch) -> list[str]:
        """Where an output says nothing, the nodes are compared."""
        silent = [name for name in self.lockstep.outputs if not self.reach.get(name)]
        if not silent:
            return []
        found = None if self.lockstep.steps else self._located(first)
        if found is not None:
            raise self._explained(first, self.original.run(first.batch), found)
        return [f"the output '{silent[0]}' was 0 for every sample"]

    def _left_out(self) -> list[str]:
        """What was not compared."""
        notes = [f"it fails on {kind} samples ({reason})" for kind, reason in self.failures.items()]
        for name, infinite in self.infinite.items():
            if infinite:
                share = infinite / (infinite + self.finite[name])
                notes.append(f"{share:.1%} of the values of '{name}' are not finite, and were not compared")
        return notes

    def _one_size(self, sizes: tuple[int, ...]) -> list[str]:
        """What it means that only one batch size was compared."""
        if len(sizes) > 1:
            return []
        if len(self.original.sizes) == 1:
            return [f"it is made for batches of {sizes[0]} only"]
        if self.lockstep.steps and self.original.exact is not None:
            for kind in PROBES:
                given = SampleBatch(kind, sizes[0], self.sampler.draw(kind, sizes[0]))
                # Steps turn rounding into differences, so that this is asked in double precision.
                try:
                    mixed = self._mixes(given, self.original.exact(given.batch), self.original.exact)
                except Exception:  # it cannot be asked, then
                    break
                if mixed:
                    raise self._dependent(mixed)
        return [f"its code was followed for batches of {sizes[0]} only, and what it does with that number is kept"]
