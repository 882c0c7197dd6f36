"""A torch module, or an exported program, as the other side of a comparison.

A program is run one operator after the other, and only those that its results depend on: the ones that were converted,
or folded, while it was read. So a program from a file executes nothing that reading it did not look at.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING, Any

from spikewright.frontends.torch.call import Value
from spikewright.frontends.torch.walk import Walk
from spikewright.frontends.verify import ON_A_GPU, ROUNDED, SIZES, TOLERANCE, Batch, Original, Trace
from spikewright.graph import Graph

if TYPE_CHECKING:
    from torch import Tensor, fx, nn

_RUNS = count()


def program_original(walk: Walk, graph: Graph) -> Original:
    """An exported program that a walk made a graph of."""
    inputs = {name: node.meta["val"] for name, node in walk.sources.items()}
    fixed = walk.batch if isinstance(walk.batch, int) else None
    results = walk.results()

    def run(batch: Batch) -> Batch:
        wanted = {results[place] for place in walk.targets.values()}
        with _chance():
            found = {node: value.detach() for node, value in interpreted(walk, batch) if node in wanted}
        return {name: found[results[place]] for name, place in walk.targets.items()}

    return Original(
        "PyTorch",
        run,
        {name: value.dtype for name, value in inputs.items()},
        own_size=fixed or SIZES[0],
        sizes=SIZES if fixed is None else (fixed,),
        tolerance=_tolerance(_computed(walk)),
        trace=Trace(tuple(_names(walk, graph)), lambda batch: _values(walk, graph, batch), fixed),
    )


def module_original(module: nn.Module, inputs: Sequence[Tensor], walk: Walk, graph: Graph) -> Original:
    """A module, beside the program that was traced of it."""
    placeholders = _user_inputs(walk)
    places = {name: placeholders.index(node) for name, node in walk.sources.items()}
    program = program_original(walk, graph)
    return replace(
        program,
        run=_runner(module, inputs, places, walk.targets),
        dtypes={name: inputs[place].dtype for name, place in places.items()},
        own_size=len(inputs[0]),
        sizes=SIZES,
        tolerance=max(program.tolerance, _tolerance([*module.parameters(), *module.buffers(), *inputs])),
        exact=lambda batch: _exactly(module, inputs, places, walk.targets, batch),
    )


def by_name(inputs: Sequence[Tensor], walk: Walk) -> Batch:
    """The arguments of a module by the names of the graph's inputs."""
    placeholders = _user_inputs(walk)
    return {name: inputs[placeholders.index(node)] for name, node in walk.sources.items()}


def interpreted(walk: Walk, batch: Batch) -> Iterator[tuple[fx.Node, Any]]:
    """The value of every node that the program's results depend on, one after the other; few are kept."""
    from torch import fx

    graph = walk.program.graph
    given = {node: batch[name] for name, node in walk.sources.items()}
    readers: Counter[fx.Node] = Counter(s for node in walk.live for s in node.all_input_nodes)
    values: dict[fx.Node, Any] = {}
    for node in graph.nodes:
        if node not in walk.live:
            continue
        if node.op == "placeholder":
            stored = walk.constants.get(node.name, node.meta.get("val"))
            values[node] = given[node].to(node.meta["val"].device) if node in given else stored
        elif node.op == "get_attr":
            values[node] = walk.values[node]
        else:
            arguments = fx.map_arg((node.args, node.kwargs), lambda source: values[source])
            values[node] = node.target(*arguments[0], **arguments[1])
        yield node, values[node]
        for source in node.all_input_nodes:
            readers[source] -= 1
            if not readers[source]:
                values.pop(source, None)


def _parts(walk: Walk, graph: Graph, node: fx.Node) -> Iterator[tuple[str, int | None]]:
    """The nodes of the graph that hold a value of the program, and which part of it."""
    if node.op == "placeholder":
        return
    found = walk.values.get(node)
    parts: list[tuple[Any, int | None]] = [(found, None)]
    if isinstance(found, list | tuple):
        parts = [(value, place) for place, value in enumerate(found)]
    yield from ((value.name, place) for value, place in parts if isinstance(value, Value) and value.name in graph)


def _names(walk: Walk, graph: Graph) -> Iterator[str]:
    for node in walk.program.graph.nodes:
        if node in walk.live:
            yield from (name for name, _ in _parts(walk, graph, node))


def _values(walk: Walk, graph: Graph, batch: Batch) -> Iterator[tuple[str, Tensor]]:
    for node, value in interpreted(walk, batch):
        for name, place in _parts(walk, graph, node):
            yield name, value if place is None else value[place]


def _user_inputs(walk: Walk) -> list[fx.Node]:
    return [n for n in walk.program.graph.nodes if n.op == "placeholder" and n.name not in walk.constants]


def _runner(
    module: nn.Module, inputs: Sequence[Tensor], places: dict[str, int], targets: dict[str, int]
) -> Callable[[Batch], Batch]:
    """A function that runs a module on a batch for each of its inputs that matter."""
    import torch
    from torch.utils import _pytree as pytree

    def run(batch: Batch) -> Batch:
        size = len(next(iter(batch.values())))
        # Arguments that nothing depends on are there all the same.
        arguments = [x[:1].expand(size, *x.shape[1:]).clone() for x in inputs]
        for name, place in places.items():
            arguments[place] = batch[name].to(inputs[place].device, inputs[place].dtype, copy=True)
        with torch.no_grad(), _chance():
            leaves = pytree.tree_leaves(module(*arguments))
        return {name: leaves[place].detach() for name, place in targets.items()}

    return run


@contextmanager
def _chance() -> Iterator[None]:
    """Random numbers that are others each time, and those of the user left as they were."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(next(_RUNS))
        yield


def _exactly(
    module: nn.Module, inputs: Sequence[Tensor], places: dict[str, int], targets: dict[str, int], batch: Batch
) -> Batch:
    """What a copy of the module in double precision gives."""
    doubles = [x.double() if x.is_floating_point() else x for x in inputs]
    return _runner(copy.deepcopy(module).double(), doubles, places, targets)(batch)


def _computed(walk: Walk) -> list[Any]:
    """Everything that a program computes with, as tracing saw it."""
    return [value for node in walk.live if hasattr(value := node.meta.get("val"), "dtype")]


def _tolerance(tensors: Sequence[Any]) -> float:
    """By how many bits a number has where it is computed."""
    found = [ROUNDED.get(str(x.dtype).removeprefix("torch."), TOLERANCE) for x in tensors]
    found += [ON_A_GPU for x in tensors if x.device.type not in ("cpu", "meta")]
    return max(found, default=TOLERANCE)


def in_float32(module: nn.Module) -> nn.Module | None:
    """A copy of a module in half precision, in float32; None where it is not in half precision, or has no copy."""
    import torch

    halves = (torch.float16, torch.bfloat16)
    if not any(tensor.dtype in halves for tensor in [*module.parameters(), *module.buffers()]):
        return None
    try:
        return copy.deepcopy(module).float()
    except Exception:  # not every module can be copied
        return None
