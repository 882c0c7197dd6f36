"""PyTorch: any ``nn.Module`` through ``torch.export``, ``.pt2`` files, and ``FILE.py:FACTORY`` on the command line."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spikewright.errors import GraphError, ModelFileError, SpikewrightError, UnsupportedModelError
from spikewright.forward import Forward
from spikewright.frontends.torch.batches import BatchError, check_batches, check_sizes
from spikewright.graph import Graph, Shape

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.export import ExportedProgram

Example = Any
"""A batch for a model: a tensor or array ``(B, *shape)``, or a tuple with one for each argument."""


def from_torch(module: nn.Module, example: Example, *, name: str | None = None) -> Graph:
    """A module as a graph.

    The module is traced in evaluation mode by ``torch.export`` and left as it was. Its axis 0 must be the batch.
    The graph is run on the example and compared with the module before it is returned.

    Args:
        module: trained.
        example: a batch ``(B, *shape)`` of any size, as tensor or array; a tuple for several arguments. Its
            values do not matter.
        name: of the model, for messages and ``meta``; its class name otherwise.

    Returns:
        the graph; its nodes are named after the modules, such as ``"blocks.0.conv1"``.

    Raises:
        ModelFileError: when the module fails on the example, or cannot be traced.
        UnsupportedModelError: with every operator that cannot be converted, and its place in the module.
        GraphError: for weights that are not finite.
    """
    model = name or type(module).__name__
    inputs = _inputs(module, example, model)
    with _evaluating(module), _quietly():
        expected = _expected(module, inputs, model)
        try:
            graph = _read(module, inputs, model, dynamic=True)
        except BatchError:
            raise
        except SpikewrightError as error:
            # A module written for one batch size, such as x.view(1, -1), can only be traced at that size.
            try:
                graph = _read(module, inputs, model, dynamic=False)
            except SpikewrightError as again:
                told = error if isinstance(error, UnsupportedModelError) else again
                raise told from told.__cause__
    _check(graph, inputs, expected, model)
    return graph


def from_exported(program: ExportedProgram, *, name: str | None = None) -> Graph:
    """A program of ``torch.export.export`` as a graph.

    Args:
        program: exported in evaluation mode, axis 0 of every input the batch.
        name: of the model; the class name the program remembers otherwise.

    Raises:
        UnsupportedModelError: with every operator that cannot be converted, and its place in the module.
        ModelFileError: when no output depends on an input.
        GraphError: for weights that are not finite.
    """
    from spikewright.frontends.torch.activations import ACTIVATIONS
    from spikewright.frontends.torch.operators import OPERATORS
    from spikewright.frontends.torch.pools import POOLS
    from spikewright.frontends.torch.trace import model_class
    from spikewright.frontends.torch.walk import Walk

    model = name or model_class(program) or "model"
    with _quietly():
        # An empty table decomposes nothing, but turns what changes its arguments into what returns new ones.
        functional = program.run_decompositions({})
        return Walk(functional, OPERATORS | POOLS | ACTIVATIONS, model).graph({"source": "torch", "model": model})


def load_pt2(path: Path | str) -> Graph:
    """A ``.pt2`` file, as ``torch.export.save`` writes it, as a graph. Nothing in the file is executed.

    Raises:
        ModelFileError: for a file that is missing, damaged, no ``.pt2`` archive, or holds pickled objects.
        UnsupportedModelError: with every operator that cannot be converted.
    """
    from spikewright.frontends.torch.pt2 import damaged, read_program

    with _quietly():
        program = read_program(Path(path))
    try:
        return from_exported(program)
    except SpikewrightError:
        raise
    except Exception as error:  # a program that torch could load may still make no sense to it
        raise damaged(Path(path), error) from error


def from_file(spec: str, weights: Path | None = None, shape: Shape | None = None) -> Graph:
    """A module from the command line's words. The Python file named in ``spec`` is executed.

    Args:
        spec: ``FILE.py:NAME``, where NAME is a function or class that gives the module when called without arguments.
        weights: a state dict: ``.safetensors``, or what ``torch.save(model.state_dict(), …)`` wrote.
        shape: of one sample, channels first.

    Raises:
        ModelFileError: for a missing file, factory or shape, and for weights that cannot be read or do not fit.
        UnsupportedModelError: with every operator that cannot be converted.
    """
    import torch

    from spikewright.frontends.torch.module_file import build_module

    if not shape:
        raise ModelFileError(f"{spec}: the shape of one sample is needed to trace it; give it, such as 1,28,28")
    module = build_module(spec, weights)
    example = torch.rand(2, *shape, generator=torch.Generator().manual_seed(0))
    return from_torch(module, example)


def _read(module: nn.Module, inputs: tuple[Tensor, ...], model: str, *, dynamic: bool) -> Graph:
    """The graph of a module traced at the example's batch size, or at any; samples may not know of each other."""
    program = _exported(module, inputs, model, dynamic=dynamic)
    graph = from_exported(program, name=model)
    check_sizes(program, model)
    check_batches(module, inputs, model)
    return graph


def _inputs(module: nn.Module, example: Example, model: str) -> tuple[Tensor, ...]:
    """The example as tensors where the module is, in its floating type."""
    import torch

    given = tuple(example) if isinstance(example, tuple | list) else (example,)
    like = next((p for p in [*module.parameters(), *module.buffers()] if p.is_floating_point()), torch.zeros(0))
    tensors = []
    for value in given:
        if not isinstance(value, torch.Tensor | np.ndarray):
            raise ModelFileError(f"{model}: an example must be a tensor or an array, not a {type(value).__name__}")
        tensor = torch.as_tensor(value).detach()
        if not tensor.ndim or not len(tensor):
            raise ModelFileError(
                f"{model}: the example of shape {tuple(tensor.shape)} is no batch; axis 0 is the batch"
            )
        tensors.append(tensor.to(like.device, like.dtype if tensor.is_floating_point() else tensor.dtype))
    return tuple(tensors)


def _expected(module: nn.Module, inputs: tuple[Tensor, ...], model: str) -> list[Tensor]:
    """What the module gives for the example."""
    import torch
    from torch.utils import _pytree as pytree

    try:
        with torch.no_grad():
            outputs = module(*(x.clone() for x in inputs))
    except Exception as error:
        shapes = ", ".join(str(tuple(x.shape)) for x in inputs)
        raise ModelFileError(
            f"{model}: fails on an example of shape {shapes}: {_line(error)}; check the shape of one sample"
        ) from error
    return [y for y in pytree.tree_leaves(outputs) if isinstance(y, torch.Tensor)]


def _exported(module: nn.Module, inputs: tuple[Tensor, ...], model: str, *, dynamic: bool) -> ExportedProgram:
    """The module traced at the example's batch size, or at any batch size."""
    import torch

    sizes: Any = None
    if dynamic:
        # A size of 0 or 1 would be taken for fixed.
        inputs = tuple(torch.cat([x[:1]] * 3) for x in inputs)
        sizes = _by_argument(module, tuple({0: torch.export.Dim.AUTO} for _ in inputs))
    try:
        with redirect_stdout(StringIO()), redirect_stderr(StringIO()):  # it prints what it could not trace
            return torch.export.export(module, inputs, dynamic_shapes=sizes, strict=False)
    except Exception as error:
        if "data-dependent" in str(error).lower() or "DataDependent" in type(error).__name__:
            raise ModelFileError(
                f"{model}: forward() decides by the values of a tensor (if, while, .item() or indexing by values), "
                "so it is not one fixed network; take that decision out of it"
            ) from error
        raise ModelFileError(
            f"{model}: torch.export cannot trace it: {_line(error)}; write forward() with tensor operations only"
        ) from error


def _by_argument(module: nn.Module, sizes: tuple[Any, ...]) -> Any:
    """The sizes as ``torch.export`` wants them: a ``*args`` takes them as one tuple."""
    import inspect

    first = next(iter(inspect.signature(module.forward).parameters.values()), None)
    return (sizes,) if first is not None and first.kind is inspect.Parameter.VAR_POSITIONAL else sizes


def _check(graph: Graph, inputs: tuple[Tensor, ...], expected: list[Tensor], model: str) -> None:
    """Run the graph on the example.

    Raises:
        GraphError: when it does not compute what the module computes.
    """
    import torch

    forward = Forward(graph)
    if len(forward.input_names) != len(inputs) or len(forward.output_names) != len(expected):
        return
    found = forward({n: x.float().cpu() for n, x in zip(forward.input_names, inputs, strict=True)})
    for ours, theirs in zip(found.values(), expected, strict=True):
        if theirs.dtype in (torch.float16, torch.bfloat16) or not torch.isfinite(theirs).all():
            continue
        tolerance = 1e-3 if theirs.device.type == "cpu" else 1e-2  # a GPU may multiply with ten-bit mantissas
        theirs = theirs.float().cpu()
        apart = float((ours.reshape(theirs.shape) - theirs).abs().max())
        size = float(theirs.abs().max())
        if apart > tolerance * size + 1e-5:
            raise GraphError(
                f"{model}: the imported graph differs from the module by {apart:.3g} where values reach {size:.3g}; "
                "nothing was converted: please report this model"
            )


@contextmanager
def _evaluating(module: nn.Module) -> Iterator[None]:
    """Evaluation mode, and afterwards the mode each part was in."""
    before = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, training in before:
            part.training = training


@contextmanager
def _quietly() -> Iterator[None]:
    """Without the exporter's own warnings: what matters to a user is in our errors."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _line(error: BaseException) -> str:
    """The first line of an error that says something."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__).rstrip(".")[:200]
