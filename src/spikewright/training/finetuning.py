"""Fine-tuning: a conversion trained on, from labels and from the answers of the network that it was made of."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spikewright.conversion import Conversion, Correction, spiking_graph
from spikewright.conversion.over_steps import back_over_steps
from spikewright.data import Dataset, as_dataset, sample_digests
from spikewright.data.recordings import EventDataset, frames_in
from spikewright.encoders import Encoder
from spikewright.encoders.constant import Constant
from spikewright.engines.ends import Ends
from spikewright.engines.on_events import on_events
from spikewright.engines.settings import RunSettings
from spikewright.errors import DataError, SettingsError, SpikewrightError
from spikewright.forward import Forward
from spikewright.graph import Graph
from spikewright.nodes import Output
from spikewright.recordings import events_in
from spikewright.tabular import Table, Tabular
from spikewright.tasks import TaskChoice, heads
from spikewright.training.answer_losses import distillation_loss, label_loss
from spikewright.training.checkpoints import KIND, Checkpoint, check_checkpoint, load_checkpoint
from spikewright.training.chip_rounding import ChipRounding
from spikewright.training.limits import WeightNoise, clip_weights, keep_thresholds
from spikewright.training.losses import FiringRateLoss
from spikewright.training.making import conversion as learned_conversion
from spikewright.training.making import module
from spikewright.training.recipe import Recipe

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from spikewright.training.spiking_module import Pass, SpikingModule

ROWS = 4096
"""So many samples of an epoch are read at a time."""
BETWEEN = 60.0
"""Seconds after which the state of training is kept within an epoch too."""
LARGEST_GRADIENT = 1.0
"""The norm that the gradient of a step is clipped to."""


@dataclass(frozen=True, eq=False)
class Finetuned(Tabular):
    """What came of fine-tuning.

    Attributes:
        conversion: with what was learned; it remembers the samples.
        history: the mean loss of each epoch.
        recipe: how it was trained.
        resumed: how many epochs were done before, by a training that this one went on from.
    """

    conversion: Conversion
    history: tuple[float, ...]
    recipe: Recipe
    resumed: int = 0

    def __repr__(self) -> str:
        loss = f"loss {self.history[0]:.4g} to {self.history[-1]:.4g}" if self.history else "no epoch yet"
        return f"Finetuned(for T = {self.recipe.timesteps}, {len(self.history)} epochs, {loss})"

    def _table(self) -> Table:
        """A row an epoch: its mean loss."""
        rows = [(k, float(loss)) for k, loss in enumerate(self.history, 1)]
        return Table.of_rows(("epoch", "loss"), rows, [repr(self), str(self.recipe)])


def finetune(
    conversion: Conversion,
    data: Any,
    recipe: Recipe | None = None,
    *,
    task: TaskChoice = None,
    encoder: Encoder | None = None,
    checkpoint: Path | str | None = None,
    device: str = "cpu",
    progress: Callable[[str, int, int], None] | None = None,
    **settings: Any,
) -> Finetuned:
    """Train the spiking network of a conversion on, from where conversion ended.

    Args:
        conversion: whose spiking network is trained.
        data: samples to train with, with labels or without; none of them should be among those that accuracy is
            measured on.
        recipe: how.
        task: what labels mean: see ``measure``.
        encoder: turns samples into the input of each step; the values as they are unless given.
        checkpoint: a file that keeps where training stands, every minute and after each epoch; where it is there,
            training goes on from it, and ends in what it would have ended in.
        device: a torch device.
        progress: called with (what is being done, how much of it is done, how much there is).
        settings: fields of ``Recipe`` in place of its own: ``timesteps=4, epochs=1``.

    Raises:
        UnsupportedModelError: for layered and few-spike networks, and for what a chip does not compute.
        DataError: for samples or labels that do not fit.
        SettingsError: for settings that cannot be, or a checkpoint of another training.
        SpikewrightError: for a loss that is no number any more.
    """
    unknown = [label for label in settings if label not in Recipe.__dataclass_fields__]
    if unknown:
        known = ", ".join(Recipe.__dataclass_fields__)
        raise SettingsError(f"finetune: unknown setting '{unknown[0]}'; there are {known}")
    recipe = replace(recipe or Recipe(), **settings)
    if not isinstance(conversion, Conversion):
        raise SettingsError(f"a conversion is trained, as convert(...) gives it, not a {type(conversion).__name__}")
    return Training(conversion, data, recipe, task, encoder, checkpoint, device).run(progress)


class Training:
    """A training ready to run: whatever it refuses is refused when it is made.

    The arguments are those of ``finetune``, and so are the errors.
    """

    def __init__(
        self,
        conversion: Conversion,
        data: Any,
        recipe: Recipe,
        task: TaskChoice = None,
        encoder: Encoder | None = None,
        checkpoint: Path | str | None = None,
        device: str = "cpu",
    ) -> None:
        import torch

        if checkpoint is not None:
            check_checkpoint(checkpoint)
        encoder = encoder or Constant()
        self.recipe, self.conversion, self.checkpoint = recipe, conversion, checkpoint
        self.data: Dataset = as_dataset(data, conversion.spiking.inputs)
        if not len(self.data):
            raise DataError("there are no samples to train with; give at least one")
        prepared = on_events(conversion, self.data, RunSettings(recipe.timesteps, encoder, device=device, dt=recipe.dt))
        self.samples = frames_in(self.data)
        self.data, encoder = prepared.data, prepared.settings.chosen_encoder
        self.steps_a_frame = self.data.steps_a_frame if isinstance(self.data, EventDataset) else None
        if self.steps_a_frame is not None:
            self.recipe = recipe = replace(recipe, timesteps=prepared.settings.timesteps)
        trained = prepared.network
        graph = spiking_graph(trained)
        self.module: SpikingModule = module(
            trained,
            recipe.surrogate,
            detach_reset=recipe.detach_reset,
            biases=recipe.biases,
            thresholds=recipe.thresholds,
            budget=recipe.budget,
        )
        if tuple(self.data.shape) != graph.sample_shape:
            raise DataError(f"the network takes samples of {graph.sample_shape}, the data have {self.data.shape}")
        self.heads = heads(graph, self.data.targets, (conversion.tasks or None) if task is None else task)
        self.labelled = [name for name, head in self.heads.items() if head.targets is not None and recipe.labels]
        if not self.labelled and not recipe.distillation:
            raise DataError("the samples have no labels to learn from: let the trained network teach (distillation)")
        self.encoder = encoder.fitted(graph)
        self.teacher = Forward(_without_activation(conversion.folded), device)
        self.module.to(device)
        noise = [] if not recipe.noise else [WeightNoise(recipe.noise, recipe.seed)]
        rounding = [] if recipe.chip is None else [ChipRounding(self.module, recipe.chip)]
        self.module.stand_ins = (*noise, *rounding)
        self.extra = _extra_losses(conversion, recipe, self.steps_a_frame is not None)
        self.steps = -(-len(self.data) // recipe.batch_size)
        self.optimiser = torch.optim.Adam(self.module.parameters(), lr=recipe.rate)
        self.begun = self._begun()

    def _begun(self) -> Checkpoint:
        """Where training stands: at its beginning, or where it stopped."""
        fresh = Checkpoint(self._settings(), self.conversion.spiking.fingerprint, "", 0, (), 0, 0.0, {})
        if self.checkpoint is None:
            return fresh
        fresh = replace(fresh, data=self._fingerprint())
        found = load_checkpoint(self.checkpoint, fresh.recipe, fresh.network, fresh.data)
        if found is None:
            return fresh
        _restore(found, self.module, self.optimiser)
        return replace(found, arrays={})

    def _keep(self, at: Checkpoint) -> None:
        """Where training stands is kept, if it was asked for."""
        if self.checkpoint is not None:
            replace(at, arrays=_arrays(self.module, self.optimiser)).save(self.checkpoint)

    def run(self, progress: Callable[[str, int, int], None] | None = None) -> Finetuned:
        """All epochs that are left; once only, as the parameters learn.

        Args:
            progress: see ``finetune``.

        Raises:
            SpikewrightError: for a loss that is no number any more.
        """
        at = self.begun
        while at.epoch < self.recipe.epochs:
            at = self._epoch(at, progress or (lambda *_: None))
            self._keep(at)
        spiking = learned_conversion(self.module).spiking
        settings = self.recipe.changed
        if self.steps_a_frame is not None:
            spiking = back_over_steps(spiking, self.conversion.spiking, self.steps_a_frame)
            settings += (("encoder", "recordings"),)
        learned = self.conversion.corrected(spiking, Correction("finetune", settings))
        facts = learned.calibration.with_samples(sample_digests(self.samples)).drawn("fine-tuning", self.recipe.seed)
        return Finetuned(replace(learned, calibration=facts), at.history, self.recipe, self.begun.epoch)

    def _settings(self) -> dict[str, Any]:
        """Everything beside network and data that what comes of it depends on, as plain values."""
        tasks = {name: repr(head.task) for name, head in self.heads.items()}
        return self.recipe.summary() | {"encoder": repr(self.encoder), "task": tasks}

    def _fingerprint(self) -> str:
        """Of samples, and of the labels that are learned from."""
        digest = hashlib.sha256(self.data.fingerprint.encode())
        for name in self.labelled:
            targets = np.ascontiguousarray(self.heads[name].targets)
            digest.update(f"{name} {targets.dtype} {targets.shape}".encode())
            digest.update(targets.tobytes())
        return digest.hexdigest()

    def _epoch(self, at: Checkpoint, progress: Callable[[str, int, int], None]) -> Checkpoint:
        """All samples once, or those that are left, in an order of its own; where training stands then."""
        import torch

        self.module.train()
        epoch, total, kept = at.epoch, at.losses, time.monotonic()
        for done, (first, x, targets) in enumerate(self._batches(epoch, at.steps), at.steps):
            step = epoch * self.steps + done
            for stand_in in self.module.stand_ins:
                if isinstance(stand_in, WeightNoise):
                    stand_in.begin(step)
            share = step / (self.recipe.epochs * self.steps)
            for group in self.optimiser.param_groups:
                group["lr"] = self.recipe.rate * (1 + math.cos(math.pi * share)) / 2
            self.optimiser.zero_grad()
            loss = self._loss(x, targets, first)
            if not torch.isfinite(loss):
                lower = f"take a lower learning rate than {self.recipe.rate:g}"
                raise SpikewrightError(f"the loss is {loss.item():g} in epoch {epoch + 1}: {lower}")
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(self.module.parameters(), LARGEST_GRADIENT)
            self.optimiser.step()
            if self.recipe.clip:
                clip_weights(self.module, self.encoder.event_values)
            elif self.recipe.thresholds:
                keep_thresholds(self.module)
            total += float(loss.detach()) * len(x)
            if time.monotonic() - kept > BETWEEN and done + 1 < self.steps:
                self._keep(replace(at, steps=done + 1, losses=total))
                kept = time.monotonic()
            progress(f"epoch {epoch + 1} of {self.recipe.epochs}", done + 1, self.steps)
        history = (*at.history, total / len(self.data))
        return replace(at, epoch=epoch + 1, history=history, steps=0, losses=0.0)

    def _batches(self, epoch: int, begun: int) -> Iterator[tuple[int, Tensor, Mapping[str, Tensor]]]:
        """From a batch on: where it begins in the epoch, its samples, and by output its targets."""
        import torch

        order = np.random.default_rng([self.recipe.seed, epoch]).permutation(len(self.data))
        step = max(1, ROWS // self.recipe.batch_size) * self.recipe.batch_size
        for begin in range(begun * self.recipe.batch_size, len(order), step):
            some = order[begin : begin + step]
            first = begin
            for x, _ in self.data.subset(some).batches(self.recipe.batch_size):
                chosen = order[first : first + len(x)]
                events = events_in(x)
                values: Any = torch.from_numpy(np.ascontiguousarray(x)) if events is None else events
                yield first, values, self._targets(chosen)
                first += len(x)

    def _targets(self, chosen: NDArray[np.int64]) -> dict[str, Tensor]:
        import torch

        found = {}
        for name in self.labelled:
            targets = self.heads[name].targets
            assert targets is not None
            found[name] = torch.from_numpy(np.ascontiguousarray(targets[chosen]))
        return found

    def _loss(self, x: Tensor, targets: Mapping[str, Tensor], first: int) -> Tensor:
        """Of one batch."""
        import torch

        steps = self.recipe.timesteps
        parameter = next(iter(self.module.parameters()))
        x = x.to(parameter)
        events = events_in(x)
        if events is not None:
            done = self.module.run(events.sequence(), counts=bool(self.extra), ends=Ends(events, events.shape[1]))
            x = events.mean_frame()
        elif type(self.encoder) is Constant:
            done = self.module.run(x, steps, counts=bool(self.extra))
        else:
            frames = torch.stack([self.encoder.at(x, t, first) for t in range(steps)])
            done = self.module.run(frames, counts=bool(self.extra))
        taught = self.teacher(x) if self.recipe.distillation else {}
        loss = parameter.new_zeros(())
        for name, head in self.heads.items():
            if name in targets:
                answers = done.outputs[name][:, -1]
                own = label_loss(head, done.means[name], answers, targets[name].to(parameter.device))
                loss = loss + self.recipe.labels * own
            if name in taught:
                wanted = taught[name].clone().view_as(done.means[name])  # a tensor of inference cannot be kept
                loss = loss + self.recipe.distillation * distillation_loss(head, done.means[name], wanted)
        for weight, extra in self.extra:
            loss = loss + weight * extra(done)
        return loss


def _extra_losses(network: Conversion, recipe: Recipe, recorded: bool) -> list[tuple[float, Callable[[Pass], Tensor]]]:
    found: list[tuple[float, Callable[[Pass], Tensor]]] = []
    operations = recipe.synops_loss(network, recorded)
    if operations is not None:
        found.append((recipe.synops_weight, operations))
    if recipe.firing_rate is not None:
        found.append((1.0, FiringRateLoss(recipe.firing_rate, above=True)))
    return found


def _without_activation(graph: Graph) -> Graph:
    """A trained network whose outputs give what they read."""
    return graph.replaced(*(output.replace(activation=None, ceiling=None) for output in graph.of_type(Output)))


def _arrays(module: SpikingModule, optimiser: torch.optim.Optimizer) -> dict[str, NDArray[Any]]:
    """Parameters and what the optimiser remembers, by name."""
    found = {}
    for key, parameter in module.named_parameters():
        found[f"parameter/{key}"] = parameter.detach().cpu().numpy()
        for label, value in optimiser.state.get(parameter, {}).items():
            found[f"{label}/{key}"] = np.asarray(value.detach().cpu().numpy())
    return found


def _restore(found: Checkpoint, module: SpikingModule, optimiser: torch.optim.Optimizer) -> None:
    """Put a state of training back.

    Raises:
        SettingsError: where it has other parameters.
    """
    import torch

    named = dict(module.named_parameters())
    missing = [key for key in named if f"parameter/{key}" not in found.arrays]
    if missing:
        raise SettingsError(f"the checkpoint lacks the parameter '{missing[0][:40]}'; {KIND.again}")
    for name, array in found.arrays.items():
        label, _, key = name.partition("/")
        if key not in named or (label != "step" and tuple(array.shape) != tuple(named[key].shape)):
            raise SettingsError(f"the checkpoint has a parameter '{key[:40]}' that the network does not have so")
        value = torch.tensor(array)
        if label == "parameter":
            with torch.no_grad():
                named[key].copy_(value)
        else:
            optimiser.state[named[key]][label] = value if label == "step" else value.to(named[key].device)
