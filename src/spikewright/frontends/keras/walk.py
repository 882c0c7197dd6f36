"""The walk over a Keras network: every call of every layer by its rule, and everything refused collected."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import Any

from spikewright.causes import Cause
from spikewright.errors import ModelFileError, Problem
from spikewright.frontends.common.choices import Choices
from spikewright.frontends.common.files import open_shape
from spikewright.frontends.common.names import Names
from spikewright.frontends.common.refusals import REFUSED, Problems, Refusal, problem_of
from spikewright.frontends.common.rules import words
from spikewright.frontends.keras.activations import activate
from spikewright.frontends.keras.call import Call, Rule, Value, channels_moved, straight
from spikewright.frontends.keras.file import AGAIN
from spikewright.frontends.keras.moves import FUNCTIONS
from spikewright.frontends.keras.names import PREPROCESSING
from spikewright.frontends.keras.net import Layer, Net, Ref, Site
from spikewright.frontends.keras.weights import snake
from spikewright.graph import MOST_VALUES, Node, Shape
from spikewright.nodes import Input

CALLS = 20_000
"""More calls of layers than any network has; models that call models could otherwise grow without end."""
OPERATIONS = {
    *words("Add Subtract Multiply TrueDivide Divide Negative Relu Relu6 LeakyRelu Softmax LogSoftmax Sigmoid Tanh"),
    *words("Squeeze Reshape Mean Sum Max Amax Maximum Minimum Concatenate"),
    *FUNCTIONS,
}
"""Functions of keras.ops that have a rule; some share it with a layer of that name."""
CALLED_WITH = {"Pad": ("constant_values",)}
"""Further arguments of calls that rules read."""


class Walk:
    """What is known while going through a network.

    Args:
        rules: what to do with each layer.
        net: the whole network; what its layers say of their layout settles that of its inputs.
        shape: of one sample, channels first, for a network with one input that leaves it open.

    Attributes:
        inputs: of the whole network, in Keras' order.
        outputs: the names of the whole network's outputs.
        layers: what came of the outermost layers that are called once and give one tensor, by their names.
        problems: what of it cannot be converted.
    """

    def __init__(self, rules: Mapping[str, Rule], net: Net, shape: Shape | None) -> None:
        self.rules, self.net, self.shape = rules, net, shape
        self.layout, self.version = _layout(net), net.version
        self.nodes: list[Node] = []
        self.choices = Choices(self.nodes)
        self.problems = Problems()
        self.damage: ModelFileError | None = None
        self.names = Names()
        starts = list(dict.fromkeys(ref.layer for ref in net.inputs))
        self.input_names = dict(zip(starts, self.names.inputs(starts), strict=True))
        self.outputs = self.names.outputs(_output_names(net))
        self.read: set[str] = set()
        self.calls = 0
        self.inputs: list[Value] = []
        self.layers: dict[str, Value] = {}

    def order(self, rank: int) -> Shape:
        """How axes lie where values come in and go out: channels first, as far as there are channels."""
        return channels_moved(rank) if self.layout == "channels_last" else straight(rank)

    def run(self, net: Net, path: str = "", given: Sequence[Value] | None = None) -> list[Value]:
        """Call every layer of a model.

        Args:
            net: the model.
            path: of the model, with a slash behind it.
            given: what it reads; None for the whole network, whose inputs are made.

        Returns:
            its outputs.

        Raises:
            ModelFileError: where calls wait for each other, or read what does not exist.
        """
        known = {layer.name: layer for layer in net.layers}
        if len(net.inputs) != len(given or net.inputs):
            raise ModelFileError(
                f"'{path[:-1]}' takes {len(net.inputs)} inputs and is given {len(given or ())}; {AGAIN}"
            )
        done: dict[tuple[str, int], tuple[Value, ...]] = {}
        for position, ref in enumerate(net.inputs):
            if ref.layer not in known:
                raise ModelFileError(f"an input of '{net.name}' is '{ref.layer}', which does not exist; {AGAIN}")
            value = self._input(known[ref.layer]) if given is None else given[position]
            if given is None:
                self.inputs.append(value)
            done[ref.layer, ref.call] = (value,)
        waiting = [
            (layer, call) for layer in net.layers for call in range(len(layer.sites)) if (layer.name, call) not in done
        ]
        for layer, call in waiting:
            self._check_references(layer, layer.sites[call], known)
        while waiting:
            left = []
            for layer, call in waiting:
                site = layer.sites[call]
                refs = [ref for ref in site.inputs if isinstance(ref, Ref)]
                if all((ref.layer, ref.call) in done for ref in refs):
                    inputs = tuple(_tensor(done, i) if isinstance(i, Ref) else i for i in site.inputs)
                    done[layer.name, call] = self._called(layer, f"{path}{layer.name}", site, inputs)
                else:
                    left.append((layer, call))
            if len(left) == len(waiting):
                stuck = ", ".join(f"'{path}{layer.name}'" for layer, _ in left[:3])
                raise ModelFileError(f"{stuck} wait for each other; only feed-forward networks can be converted")
            waiting = left
        if given is None:
            self.layers = {
                layer.name: done[layer.name, 0][0]
                for layer in net.layers
                if len(layer.sites) == 1 and len(done[layer.name, 0]) == 1
            }
        return [_tensor(done, ref) for ref in net.outputs]

    def _check_references(self, layer: Layer, site: Site, known: Mapping[str, Layer]) -> None:
        for ref in site.inputs:
            if not isinstance(ref, Ref):
                continue
            found = known.get(ref.layer)
            if found is None or not 0 <= ref.call < max(len(found.sites), found.kind == "InputLayer"):
                raise ModelFileError(
                    f"'{layer.name}' reads '{ref.layer}' (call {ref.call}), which does not exist; {AGAIN}"
                )

    def _input(self, layer: Layer) -> Value:
        """An input of the network, channels first."""
        config = layer.config
        batched = config.get("batch_shape") or config.get("batch_input_shape")
        if config.get("sparse") or config.get("ragged"):
            raise ModelFileError(
                f"the input '{layer.name}' takes sparse or ragged tensors; only dense ones have a shape"
            )
        sample = None if batched is None else tuple(batched[1:])
        rank = len(self.shape or ()) if sample is None else len(sample)
        order = self.order(rank)
        if sample is None or None in sample:
            sample = self._filled(layer.name, sample or (None,) * rank, order)
        if not sample or not all(isinstance(n, int) and n > 0 for n in sample) or prod(sample) > MOST_VALUES:
            raise ModelFileError(f"the input '{layer.name}' has the shape {sample}; no network takes samples like that")
        value = Value(self.input_names[layer.name], sample, order)
        first = len(sample) > 1 and order == straight(rank)  # a row is what Keras makes of channels last
        self.nodes.append(Input(name=value.node, shape=value.node_shape, channels="first" if first else "moved"))
        return value

    def _filled(self, name: str, sample: tuple[int | None, ...], order: Shape) -> Shape:
        """An open shape, filled in by what the user says."""
        given = self.shape if len(self.net.inputs) == 1 else None
        if given is None or len(given) != len(sample) or not sample:
            raise open_shape(f"the input '{name}'", sample)
        filled = tuple(given[place] for place in order)
        if any(n is not None and n != m for n, m in zip(sample, filled, strict=True)):
            raise ModelFileError(f"the input '{name}' takes samples of {sample}, which {given}, channels first, is not")
        return filled

    def _called(self, layer: Layer, name: str, site: Site, inputs: tuple[Any, ...]) -> tuple[Value, ...]:
        self.calls += 1
        if self.calls > CALLS:
            raise ModelFileError(f"calls more than {CALLS:,} layers; only a damaged or hostile file does")
        values = [i for i in inputs if isinstance(i, Value)]
        if layer.inside is not None and not layer.custom:
            try:
                _check_call(layer, site)
            except Refusal as refusal:
                self.problems.add(problem_of(refusal, layer.kind, f"'{name}'"))
            return tuple(self.run(layer.inside, f"{name}/", values))
        return self._taken(Call(self, layer, name, inputs, site.settings), site)

    def _taken(self, call: Call, site: Site) -> tuple[Value, ...]:
        """One call by its rule, and what its activation makes of that."""
        if not call.values:
            self.problems.add(Problem(call.layer.kind, f"'{call.name}'", "it does not depend on the input"))
            return (Value("", (1,), (0,), lost=True),)

        def rule() -> Value | tuple[Value, ...]:
            _check_call(call.layer, site)
            if call.layer.kind not in (OPERATIONS if call.layer.is_operation else self.rules):
                call.refuse()
            value = self.rules[call.layer.kind](call)
            if call.name not in self.read:
                call.weights()  # none: what the model holds for the layer is too much
            return value

        result = self._tried(call, rule, call.values[0], any(value.lost for value in call.values))
        if call.layer.kind == "Activation" or "activation" not in call.config or call.layer.kind not in self.rules:
            return result
        (value,) = result
        return self._tried(call, lambda: activate(call, value, call.config["activation"]), value, value.lost)

    def _tried(
        self, call: Call, rule: Callable[[], Value | tuple[Value, ...]], x: Value, lost: bool
    ) -> tuple[Value, ...]:
        """What a rule gives; where it refuses, ``x`` stands for what there should be, and counts as lost.

        Behind something lost, shapes may be wrong: only what a layer's settings rule out is a problem there.
        """
        try:
            found = rule()
            return found if isinstance(found, tuple) else (found,)
        except ModelFileError as error:
            if not lost and self.damage is None:
                self.damage = error
        except REFUSED as error:
            problem = problem_of(error, call.layer.kind, f"'{call.name}'")
            if not lost or isinstance(error, Refusal):
                self.problems.add(problem)
        return (replace(x, lost=True),)


def _output_names(net: Net) -> tuple[str, ...]:
    """Those that the network's author gave: the keys of a dictionary, or the layers that several outputs come from.

    Names that Keras made up say nothing: "dense_3" is another one each time the model is built.
    """
    kinds = {layer.name: snake(layer.kind) for layer in net.layers}
    ends = tuple(ref.layer for ref in net.outputs)
    made_up = any(re.fullmatch(rf"{re.escape(kinds.get(name, name))}(_\d+)?|tf\..+", name) for name in ends)
    several = len(set(ends)) == len(ends) > 1
    return net.labels or (ends if several and not made_up else ("",) * len(ends))


def _layout(net: Net) -> str:
    """Where a network has its channels, by the first layer that says so.

    Where none does, the last axis of images are channels; of matrices it may be anything, and they stay as they are.
    """
    for layer in net.walk():
        if layer.config.get("data_format") and layer.kind != "Flatten":
            return str(layer.config["data_format"])
    starts = [layer.config for layer in net.layers if layer.kind == "InputLayer"]
    shapes = [config.get("batch_shape") or config.get("batch_input_shape") or () for config in starts]
    return "channels_last" if any(len(shape) > 3 for shape in shapes) else "channels_first"


def _check_call(layer: Layer, site: Site) -> None:
    """What holds for every layer."""
    if layer.custom:
        home = "your own script" if layer.module is None else layer.module
        raise Refusal(Cause.OWN_CODE, f"its class is of {home}")
    if site.settings.get("training") is True and layer.kind not in PREPROCESSING:
        raise Refusal(Cause.TRAINING, "it is called with training=True")
    if _said(site.settings.get("mask")):
        raise Refusal(Cause.MASK)
    read = ("training", "mask", *CALLED_WITH.get(layer.kind, ()))
    further = sorted(k for k, v in site.settings.items() if k not in read and _said(v))
    if further:
        raise Refusal(f"it is called with {', '.join(further)}, which no rule reads; take that out")
    policy = layer.config.get("dtype")
    if isinstance(policy, dict) and "Quantized" in str(policy.get("class_name")):
        raise Refusal(Cause.QUANTISED, "its weights are quantised")


def _said(setting: Any) -> bool:
    """Whether a setting of a call says anything; it may be one for each of several inputs."""
    if isinstance(setting, dict | list | tuple):
        return any(_said(part) for part in (setting.values() if isinstance(setting, dict) else setting))
    return setting is not None and setting is not False


def _tensor(done: Mapping[tuple[str, int], tuple[Value, ...]], ref: Ref) -> Value:
    values = done.get((ref.layer, ref.call), ())
    if len(values) == 1 and values[0].lost:  # of a function with several results
        return values[0]
    if not 0 <= ref.tensor < len(values):
        raise ModelFileError(f"'{ref.layer}' has no tensor {ref.tensor} (call {ref.call}); {AGAIN}")
    return values[ref.tensor]
