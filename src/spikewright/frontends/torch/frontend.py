"""PyTorch: any ``nn.Module`` through ``torch.export``, ``.pt2`` files, and ``FILE.py:FACTORY`` on the command line."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spikewright.causes import Cause
from spikewright.errors import GraphError, ModelFileError, SpikewrightError, UnsupportedModelError
from spikewright.frontends.common.inputs import channels_noted
from spikewright.frontends.torch.batches import BatchError, check_sizes
from spikewright.frontends.torch.modules import runnable
from spikewright.frontends.torch.original import by_name, in_float32, module_original, program_original
from spikewright.frontends.torch.rules import rules
from spikewright.frontends.torch.trace import model_class
from spikewright.frontends.torch.walk import Walk
from spikewright.frontends.verify import SECONDS, UNSEEN, BatchDependence, verified
from spikewright.graph import Graph, Shape
from spikewright.text import first_line

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.export import ExportedProgram

Example = Any
"""A batch for a model: a tensor or array ``(B, *shape)``, or a tuple with one for each argument."""


AT_ANY_SIZE = frozenset({Cause.CURVED, Cause.EQUALITY, Cause.NORM_OF_SAMPLE, Cause.RECURRENT, Cause.EMBEDDING})
"""Why layers are refused whatever the size of the batch: tracing at one size would find the same."""


def from_torch(
    module: nn.Module,
    example: Example,
    *,
    name: str | None = None,
    verify: bool | None = None,
    verify_seconds: float = SECONDS,
) -> Graph:
    """A module as a graph.

    The module is traced in evaluation mode by ``torch.export`` and left as it was. Its axis 0 must be the batch.
    Before it is returned, the graph is run beside the module on random samples, and on the example.

    Args:
        module: trained. One in half precision is taken as what it is in float32.
        example: a batch ``(B, *shape)`` of any size, as tensor or array; a tuple for several arguments.
        name: of the model, for messages and ``meta``; its class name otherwise.
        verify: False leaves the comparison out; True refuses what cannot be compared.
        verify_seconds: after which no further batch of samples is begun.

    Returns:
        the graph; its nodes are named after the modules, such as ``"blocks.0.conv1"``.

    Raises:
        ModelFileError: when the module fails on the example, or cannot be traced.
        UnsupportedModelError: with every operator that cannot be converted, and its place in the module.
        GraphError: for weights that are not finite, and for a graph that does not compute what the module does.
    """
    module = runnable(module)
    model = name or type(module).__name__
    wide = in_float32(module)
    if wide is not None and _runs(wide, example, model):
        module = wide
    inputs = _inputs(module, example, model)
    with _evaluating(module), _quietly():
        _check_runs(module, inputs, model)
        refused: SpikewrightError | None = None
        try:
            program = _exported(module, inputs, model, dynamic=True)
            walk, graph = _read(program, model)
            check_sizes(program, model)
        except BatchError:
            raise
        except SpikewrightError as error:
            if isinstance(error, UnsupportedModelError) and any(p.cause in AT_ANY_SIZE for p in error.problems):
                raise
            # A module written for one batch size, such as x.view(1, -1), can only be traced at that size.
            try:
                walk, graph = _read(_exported(module, inputs, model, dynamic=False), model)
                refused = error if isinstance(error, UnsupportedModelError) else None
            except SpikewrightError as again:
                told = error if isinstance(error, UnsupportedModelError) else again
                raise told from told.__cause__
        if verify is False:
            return UNSEEN.on(graph)
        original = module_original(module, inputs, walk, graph)
        if module is wide:
            original = replace(original, notes=("in float32, from weights in half precision",))
        given = by_name(inputs, walk)
        try:
            return verified(graph, original, model, example=given, seconds=verify_seconds, strict=verify is True)
        except BatchDependence:
            raise
        except GraphError as differs:
            if refused is None:
                raise
            raise refused from differs  # what could not be taken for batches of any size is what makes the difference


def from_exported(
    program: ExportedProgram,
    *,
    name: str | None = None,
    verify: bool | None = None,
    verify_seconds: float = SECONDS,
) -> Graph:
    """A program of ``torch.export.export`` as a graph.

    Args:
        program: exported in evaluation mode, axis 0 of every input the batch.
        name: of the model; the class name the program remembers otherwise.
        verify: False leaves out the comparison with the program; True refuses what cannot be compared.
        verify_seconds: after which no further batch of samples is begun.

    Raises:
        UnsupportedModelError: with every operator that cannot be converted, and its place in the module.
        ModelFileError: when no output depends on an input.
        GraphError: for weights that are not finite, and for a graph that does not compute what the program does.
    """
    model = name or model_class(program) or "model"
    with _quietly():
        walk, graph = _read(program, model)
        if verify is False:
            return UNSEEN.on(graph)
        original = program_original(walk, graph)
        return verified(graph, original, model, seconds=verify_seconds, strict=verify is True)


def _read(program: ExportedProgram, model: str) -> tuple[Walk, Graph]:
    """The graph of a program, and how it came to be."""
    # An empty table decomposes nothing, but turns what changes its arguments into what returns new ones.
    try:
        functional = program.run_decompositions({})
    except Exception as error:  # as for a forward pass that changes what the module holds
        raise ModelFileError(
            f"{model}: torch.export cannot make a fixed program of it: {first_line(error)}; "
            "write forward() so that it changes nothing outside of itself"
        ) from error
    walk = Walk(functional, rules(), model)
    return walk, channels_noted(walk.graph({"source": "torch", "model": model}))


def load_pt2(path: Path | str, *, verify: bool | None = None, verify_seconds: float = SECONDS) -> Graph:
    """A ``.pt2`` file, as ``torch.export.save`` writes it, as a graph.

    Nothing in the file is executed but the operators of PyTorch that reading it has looked at.

    Args:
        path: of the file.
        verify: False leaves out the comparison with the program; True refuses what cannot be compared.
        verify_seconds: after which no further batch of samples is begun.

    Raises:
        ModelFileError: for a file that is missing, damaged, no ``.pt2`` archive, or holds pickled objects.
        UnsupportedModelError: with every operator that cannot be converted.
        GraphError: for a graph that does not compute what the program does.
    """
    from spikewright.frontends.torch.pt2 import damaged, read_program

    with _quietly():
        program = read_program(Path(path))
    try:
        return from_exported(program, verify=verify, verify_seconds=verify_seconds)
    except SpikewrightError:
        raise
    except Exception as error:  # a program that torch could load may still make no sense to it
        raise damaged(Path(path), error) from error


def from_file(
    spec: str,
    weights: Path | None = None,
    shape: Shape | None = None,
    *,
    verify: bool | None = None,
    verify_seconds: float = SECONDS,
) -> Graph:
    """A module from the command line's words. The Python file named in ``spec`` is executed.

    Args:
        spec: ``FILE.py:NAME``, where NAME is a function or class that gives the module when called without arguments.
        weights: a state dict: ``.safetensors``, or what ``torch.save(model.state_dict(), …)`` wrote.
        shape: of one sample, channels first.
        verify: False leaves out the comparison with the module; True refuses what cannot be compared.
        verify_seconds: after which no further batch of samples is begun.

    Returns:
        the graph; ``meta["initialised"]`` is ``"as constructed"`` where no weights were given.

    Raises:
        ModelFileError: for a missing file, factory or shape, and for weights that cannot be read or do not fit.
        UnsupportedModelError: with every operator that cannot be converted.
        GraphError: for a graph that does not compute what the module does.
    """
    import torch

    from spikewright.frontends.torch.module_file import build_module

    if not shape:
        raise ModelFileError(f"{spec}: the shape of one sample is needed to trace it; give it, such as 1,28,28")
    module = build_module(spec, weights)
    example = torch.rand(2, *shape, generator=torch.Generator().manual_seed(0))
    graph = from_torch(module, example, verify=verify, verify_seconds=verify_seconds)
    return graph if weights is not None else graph.with_nodes(graph, initialised="as constructed")


def _inputs(module: nn.Module, example: Example, model: str) -> tuple[Tensor, ...]:
    """The example as tensors where the module is, in its floating type."""
    import torch

    given = tuple(example) if isinstance(example, tuple | list) else (example,)
    if not given:
        raise ModelFileError(f"{model}: the example holds no tensor; give a batch for each argument of forward()")
    like = next((p for p in [*module.parameters(), *module.buffers()] if p.is_floating_point()), torch.zeros(0))
    tensors = []
    for value in given:
        if not isinstance(value, torch.Tensor | np.ndarray):
            raise ModelFileError(f"{model}: an example must be a tensor or an array, not a {type(value).__name__}")
        try:
            tensor = torch.as_tensor(value).detach()
        except TypeError:  # numpy knows more types: text, objects, bfloat16 by another package
            dtype = value.dtype
            raise ModelFileError(f"{model}: an example of {dtype} is no tensor; give it as float32") from None
        if tensor.is_complex() or tensor.is_meta or tensor.is_sparse or tensor.is_quantized:
            raise ModelFileError(
                f"{model}: the example must hold plain numbers, not be complex, sparse, quantised or without values"
            )
        if not tensor.ndim or not len(tensor):
            raise ModelFileError(
                f"{model}: the example of shape {tuple(tensor.shape)} is no batch; axis 0 is the batch"
            )
        tensors.append(tensor.to(like.device, like.dtype if tensor.is_floating_point() else tensor.dtype))
    return tuple(tensors)


def _check_runs(module: nn.Module, inputs: tuple[Tensor, ...], model: str) -> None:
    """Refuse a module that fails on the example, or whose answer holds no tensor.

    Raises:
        ModelFileError: saying how it fails, or what it returns.
    """
    import torch
    from torch.utils import _pytree as pytree

    try:
        with torch.no_grad():
            outputs = module(*(x.clone() for x in inputs))
    except Exception as error:
        shapes = ", ".join(str(tuple(x.shape)) for x in inputs)
        whole = next((f" and its type, {x.dtype}" for x in inputs if not x.is_floating_point()), "")
        raise ModelFileError(
            f"{model}: fails on an example of shape {shapes}: {first_line(error)}; check the shape of one sample{whole}"
        ) from error
    leaves = pytree.tree_leaves(outputs)
    foreign = [y for y in leaves if not isinstance(y, torch.Tensor | int | float | None)]
    if foreign or not any(isinstance(y, torch.Tensor) for y in leaves):
        kind = type((foreign or [outputs])[0]).__name__
        raise ModelFileError(
            f"{model}: its forward() returns {'None' if kind == 'NoneType' else f'a {kind}'}; it must return a tensor, "
            "or tuples, lists or dictionaries of tensors"
        )


def _runs(module: nn.Module, example: Example, model: str) -> bool:
    """Whether a copy of a module takes the example."""
    try:
        with _evaluating(module), _quietly():
            _check_runs(module, _inputs(module, example, model), model)
    except SpikewrightError:
        return False
    return True


def _exported(module: nn.Module, inputs: tuple[Tensor, ...], model: str, *, dynamic: bool) -> ExportedProgram:
    """The module traced at the example's batch size, or at any batch size."""
    import torch
    from torch._subclasses.fake_tensor import DataDependentOutputException, DynamicOutputShapeException
    from torch.fx.experimental.symbolic_shapes import GuardOnDataDependentSymNode

    decisions = (GuardOnDataDependentSymNode, DataDependentOutputException, DynamicOutputShapeException)
    sizes: Any = None
    if dynamic:
        # A size of 0 or 1 would be taken for fixed.
        inputs = tuple(torch.cat([x[:1]] * 3) for x in inputs)
        sizes = _by_argument(module, tuple({0: torch.export.Dim.AUTO} for _ in inputs))
    try:
        with redirect_stdout(StringIO()), redirect_stderr(StringIO()):  # it prints what it could not trace
            return torch.export.export(module, inputs, dynamic_shapes=sizes, strict=False)
    except Exception as error:
        if any(isinstance(one, decisions) for one in _chain(error)):
            what = "forward() decides by the values of a tensor (if, while, .item() or indexing by values)"
            raise ModelFileError(f"{model}: {Cause.DECISION.message(what)}") from error
        raise ModelFileError(
            f"{model}: torch.export cannot trace it: {first_line(error)}; write forward() with tensor operations only"
        ) from error


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error, and what it was raised from."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _by_argument(module: nn.Module, sizes: tuple[Any, ...]) -> Any:
    """The sizes as ``torch.export`` wants them: a ``*args`` takes them as one tuple."""
    import inspect

    first = next(iter(inspect.signature(module.forward).parameters.values()), None)
    return (sizes,) if first is not None and first.kind is inspect.Parameter.VAR_POSITIONAL else sizes


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
