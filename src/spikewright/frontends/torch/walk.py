"""The walk over an exported ATen graph: folds what is constant, names what remains, collects what is refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from spikewright.causes import Cause
from spikewright.errors import GraphError, ModelFileError, Problem
from spikewright.frontends.common.choices import Choices
from spikewright.frontends.common.names import Names
from spikewright.frontends.common.refusals import REFUSED, Problems, Refusal, problem_of
from spikewright.frontends.common.rules import words
from spikewright.frontends.torch.call import Call, Handler, Value
from spikewright.frontends.torch.constants import fold
from spikewright.frontends.torch.names import NO_OPERATION, REARRANGING, cause_of, readable
from spikewright.frontends.torch.trace import (
    base_name,
    composite,
    first,
    leaves,
    module_stack,
    same_size,
    scope,
    scope_class,
)
from spikewright.graph import Array, Graph, Node, Shape
from spikewright.nodes import Input, Output

if TYPE_CHECKING:
    from torch import Tensor, fx
    from torch.export import ExportedProgram


MOVES = NO_OPERATION | REARRANGING | frozenset(("cat", "chunk", "select", "slice", "split", "split_with_sizes"))
"""Operators that whole numbers pass unchanged."""
ANSWERING = frozenset(
    words(
        "gt ge lt le greater greater_equal less less_equal signbit logical_not logical_and logical_or logical_xor "
        "bitwise_not bitwise_and bitwise_or bitwise_xor __and_ __or_ __xor_"
    )
)
"""Operators that say true or false, of whose rules each looks after the kind of numbers that it is given."""
CHANGES = (
    "forward() changes it and computes with it, so that every call answers differently; keep it out of the network"
)


class Walk:
    """Turns one exported program into a graph.

    Args:
        program: functional (no operator changes its arguments).
        handlers: what to do with each ATen operator, by its name without namespace.
        model: the class name of the model, for messages.

    Attributes:
        values: what became of each node of the program: a node of the graph, several, or a constant.
        batch: the size of the batch axis, a number or a symbol.
        sources: the program's node that is each input of the graph.
        targets: which of the program's results each output of the graph is.
        live: the program's nodes that its results depend on.
        depending: those that depend on the values of an input.
        problems: what of it cannot be converted.
    """

    def __init__(self, program: ExportedProgram, handlers: Mapping[str, Handler], model: str) -> None:
        self.program, self.handlers, self.model = program, handlers, model
        self.values: dict[fx.Node, Any] = {}
        self.nodes: list[Node] = []
        self.choices = Choices(self.nodes)
        self.problems = Problems()
        self.names = Names()
        self.arrays: dict[int, tuple[Tensor, Array]] = {}
        self.batch: Any = None
        self.sources: dict[str, fx.Node] = {}
        self.targets: dict[str, int] = {}
        self.by_batch: dict[fx.Node, list[Any]] = {}
        self.constants = self._constants()
        self.live = self._live()
        self.depending = self._depending()
        self.changing = self._changing()
        self.calls = self._calls()

    # What the program holds.

    def _constants(self) -> dict[str, Any]:
        """Parameters, buffers and lifted tensors by placeholder name."""
        from torch.export.graph_signature import InputKind

        found: dict[str, Any] = {}
        for spec in self.program.graph_signature.input_specs:
            name = getattr(spec.arg, "name", None)
            if name is not None and spec.kind is not InputKind.USER_INPUT:
                target = spec.target or ""
                stored = self.program.state_dict.get(target, self.program.constants.get(target))
                found[name] = stored.detach() if hasattr(stored, "detach") else stored
        return found

    def results(self) -> list[Any]:
        """What the program returns to its user: nodes of the exported graph, or constants."""
        from torch.export.graph_signature import OutputKind

        last: Any = next(node for node in reversed(self.program.graph.nodes) if node.op == "output")
        specs = self.program.graph_signature.output_specs
        return [r for r, spec in zip(last.args[0], specs, strict=True) if spec.kind is OutputKind.USER_OUTPUT]

    def _live(self) -> set[fx.Node]:
        """The nodes that the results depend on."""
        from torch import fx

        waiting = [r for r in self.results() if isinstance(r, fx.Node)]
        live = set(waiting)
        while waiting:
            for source in waiting.pop().all_input_nodes:
                if source not in live:
                    live.add(source)
                    waiting.append(source)
        return live

    def _depending(self) -> set[fx.Node]:
        """The nodes that depend on the values of an input, and not only on how many samples there are."""
        depending: set[fx.Node] = set()
        for node in self.program.graph.nodes:
            given = node.op == "placeholder" and node.name not in self.constants
            made = not depending.isdisjoint(node.all_input_nodes) and hasattr(first(node.meta.get("val")), "shape")
            if given or made:
                depending.add(node)
        return depending

    def _changing(self) -> dict[str, str]:
        """The buffers that a call of the module changes and computes with, by placeholder name; but not statistics."""
        signature = self.program.graph_signature
        changed = set(signature.buffers_to_mutate.values())
        named = {name: buffer for name, buffer in signature.inputs_to_buffers.items() if buffer in changed}
        return {
            node.name: named[node.name]
            for node in self.program.graph.nodes
            if node.name in named and any(u in self.live and "batch_norm" not in base_name(u) for u in node.users)
        }

    def _calls(self) -> Counter[tuple[str, bool]]:
        """How many operators each module call makes on activations: rearranging ones, and others."""
        counts: Counter[tuple[str, bool]] = Counter()
        for node in self.program.graph.nodes:
            if node.op == "call_function" and node in self.live and node in self.depending:
                name = base_name(node)
                if name and (name not in NO_OPERATION or "Dropout" in scope_class(node)):
                    counts[scope(node)[0], name in REARRANGING] += 1
        return counts

    # Names.

    def name_of(self, node: fx.Node, operator: str) -> str:
        """The module's path where the call is all that the module does, otherwise path and operator."""
        key, path, _ = scope(node)
        rearranges = base_name(node) in REARRANGING
        others, moves = self.calls[key, False], self.calls[key, True]
        alone = others == 0 and moves == 1 if rearranges else others == 1
        if path and alone and path not in self.parents:
            return path
        return f"{path}.{operator}" if path else operator

    @cached_property
    def parents(self) -> set[str]:
        """The paths of modules that have modules inside them."""
        paths = {path for node in self.live for _, path, _ in module_stack(node)}
        return {path.rpartition(".")[0] for path in paths if path}

    # Values.

    def array(self, tensor: Tensor) -> Array:
        """A constant as float32, the same array each time it is used."""
        if id(tensor) not in self.arrays:
            if tensor.numel() > 2**24 and tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
                raise GraphError(
                    f"a constant of shape {tuple(tensor.shape)} repeats the few numbers that are stored of it; "
                    "it would fill the memory"
                )
            with np.errstate(over="ignore"):
                array = tensor.detach().cpu().double().numpy().astype(np.float32, order="C")
            if np.isfinite(array).all():  # otherwise the node that gets it refuses it, and can name itself
                array.setflags(write=False)
            self.arrays[id(tensor)] = (tensor, array)
        return self.arrays[id(tensor)][1]

    def resolve(self, argument: Any) -> Any:
        """An argument of a call, with what was computed before put in the place of graph nodes."""
        from torch import fx

        if isinstance(argument, fx.Node):
            return self.values[argument]
        if isinstance(argument, list | tuple):
            return [self.resolve(a) for a in argument]
        return argument

    def sample_shape(self, example: Any) -> Shape | None:
        """The shape of a traced tensor without its batch axis; None where that axis does not stand first."""
        shape = list(getattr(example, "shape", ()))
        if not shape or not same_size(shape[0], self.batch) or any(not isinstance(n, int) for n in shape[1:]):
            return None
        return tuple(int(n) for n in shape[1:])

    # The walk.

    def graph(self, meta: dict[str, Any]) -> Graph:
        """The whole program as a graph.

        Raises:
            UnsupportedModelError: with every operator that cannot be converted.
            ModelFileError: for a program without tensor inputs or outputs.
            NotFiniteError: for weights that are not finite.
        """
        self._inputs()
        ends = self._named_outputs()
        for node in self.program.graph.nodes:
            if node in self.live and node not in self.values:
                self.values[node] = self._visit(node)
        outputs = self._outputs(ends)
        self.problems.check([*self.nodes, *outputs])
        return Graph([*self.nodes, *outputs], meta).needed()

    def _inputs(self) -> None:
        found = [n for n in self.program.graph.nodes if n.op == "placeholder" and n.name not in self.constants]
        tensors = [n for n in found if n in self.live and hasattr(n.meta.get("val"), "shape")]
        if not tensors:
            raise ModelFileError(f"{self.model}: its output does not depend on any input tensor")
        if not len(tensors[0].meta["val"].shape):
            raise ModelFileError(f"{self.model}: the input '{tensors[0].name}' has no axes; axis 0 must be the batch")
        self.batch = tensors[0].meta["val"].shape[0]
        names = self.names.inputs("input" if len(tensors) == 1 else node.name for node in tensors)
        for name, node in zip(names, tensors, strict=True):
            shape = self.sample_shape(node.meta["val"])
            if shape is None:
                raise ModelFileError(f"{self.model}: axis 0 of the input '{node.name}' is not the batch")
            self.nodes.append(Input(name=name, shape=shape))
            self.values[node] = Value(name, shape)
            self.sources[name] = node

    def _visit(self, node: fx.Node) -> Any:
        import operator

        import torch

        if node.op == "placeholder":
            if node.name in self.changing:
                buffer = f"buffer '{self.changing[node.name]}'"
                return self._lost(Problem(buffer, f"forward of {self.model}", CHANGES), node)
            return self.constants.get(node.name)
        if node.op == "get_attr":
            found: Any = self.program.graph_module
            for part in str(node.target).split("."):
                found = getattr(found, part)
            return found
        if node.target is operator.getitem:
            return self._item(node)
        result = node.meta.get("val")
        if isinstance(result, torch.SymInt | torch.SymFloat | torch.SymBool | int | float | bool):
            return result
        whole = next((c for c in map(composite, module_stack(node)) if c), None)
        if whole:
            return self._lost(whole, node)
        if not isinstance(node.target, torch._ops.OpOverload):
            target = str(node.target)
            return self._lost(Problem.of(target, self.where(node), cause_of(target)), node)
        try:
            folded = fold(self, node)
        except Refusal as refusal:
            return self._refused(refusal, node)
        return self._convert(node) if folded is None else folded

    def _item(self, node: fx.Node) -> Any:
        """One of the results of a call that has several."""
        source, index = self.resolve(node.args[0]), node.args[1]
        if not isinstance(source, Value):
            source = source[index]
        elif index != 0 and source.name:  # of an operator with one result that depends on data
            source = None
        if source is not None:
            return source
        call: Any = node.args[0]
        return self._lost(Problem.of(readable(base_name(call)), self.where(call), Cause.POSITIONS), node)

    def _convert(self, node: fx.Node) -> Any:
        name = base_name(node)
        handler = self.handlers.get(name)
        lost = any(isinstance(a, Value) and a.shape is None for a in leaves([self.resolve(a) for a in node.args]))
        try:
            if handler is None:
                Call(self, node).refuse()
            if lost:
                return Value("", None)
            self._check_numbers(node, name)
            value = handler(Call(self, node))
            if isinstance(value, Value) and value.name:
                self._check_shape(node, value.sample)
        except REFUSED as error:
            return self._refused(error, node)
        return value

    def _check_shape(self, node: fx.Node, found: Shape) -> None:
        """Refuse a result of another shape than tracing saw, or without values."""
        shape = self.sample_shape(first(node.meta.get("val")))
        if shape is None:
            raise Refusal(Cause.BATCH_AXIS)
        if shape != found:
            raise Refusal(Cause.REPETITION, f"it takes values of {found} to {shape}")
        if 0 in shape:
            raise Refusal(f"it leaves nothing, {shape}")

    def _check_numbers(self, node: fx.Node, name: str) -> None:
        """Refuse to compute with numbers that are not floating-point: they wrap, round, or are complex."""
        given = [source for source in node.all_input_nodes if isinstance(self.values[source], Value)]
        given = [n for n in given if n.op == "placeholder" or not _answers(n)]  # what comparisons say is 0 or 1
        given += [] if name in ANSWERING else [node]
        types = [getattr(first(n.meta.get("val")), "dtype", None) for n in given]
        if name not in MOVES and any(t is not None and not t.is_floating_point for t in types):
            raise Refusal(Cause.NOT_FLOATS)

    def where(self, node: fx.Node) -> str:
        """The module that a call stands in."""
        return scope(node)[1] or f"forward of {self.model}"

    def _refused(self, error: Exception, node: fx.Node) -> Value:
        """Note what a rule raised for a call."""
        return self._lost(problem_of(error, readable(base_name(node)), self.where(node), "arguments"), node)

    def _lost(self, problem: Problem, node: fx.Node) -> Value:
        """Note a problem, and go on with the shape the refused call would have had."""
        self.problems.add(problem)
        shape = self.sample_shape(first(node.meta.get("val")))
        return Value("", None if shape is None or 0 in shape else shape)

    def _named_outputs(self) -> dict[int, str]:
        """The names of the results that depend on an input: the keys and fields that hold them, where they have any."""
        from torch.utils import _pytree as pytree

        results = self.results()
        names = [""] * len(results)
        structure = pytree.tree_unflatten(list(range(len(results))), self.program.call_spec.out_spec)
        for path, place in pytree.tree_flatten_with_path(structure)[0]:
            keys = (getattr(entry, "key", getattr(entry, "name", None)) for entry in path)
            names[place] = ".".join(str(key) for key in keys if key is not None)
        positions = [position for position, result in enumerate(results) if result in self.depending]
        return dict(zip(positions, self.names.outputs([names[position] for position in positions]), strict=True))

    def _outputs(self, names: Mapping[int, str]) -> list[Node]:
        results = self.results()
        outputs: list[Node] = []
        for place, name in names.items():
            value = self.resolve(results[place])
            if isinstance(value, Value):
                outputs.append(Output(name=name, inputs=(value.name,)))
                self.targets[name] = place
        if not outputs:
            raise ModelFileError(f"{self.model}: none of its outputs depends on an input tensor")
        return outputs


def _answers(node: fx.Node) -> bool:
    """Whether a value of the program is true or false."""
    import torch

    return getattr(first(node.meta.get("val")), "dtype", None) == torch.bool
