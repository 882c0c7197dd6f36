"""The peers, each simulating exactly our spiking network in its fastest way on a CPU.

The same weights and thresholds are put into torch modules with the peer's own neurons between them, so that only the
engines differ and every spike can be compared. SpikingJelly: its single step as a pure function, compiled, with
channels-last weights; and its documented loop over timesteps. sinabs: state carried from step to step, the layers
before the first neurons evaluated once, in chunks of the batch.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from spikewright.graph import Graph
from spikewright.nodes import IF, Add, AvgPool, ChannelAffine, Conv, Flatten, Input, Linear, Output

warnings.filterwarnings("ignore")


class Affine(nn.Module):
    def __init__(self, node: ChannelAffine) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(node.scale).view(-1, 1, 1))
        self.bias = nn.Parameter(torch.tensor(node.bias).view(-1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale + self.bias


class Network(nn.Module):
    """A spiking graph as a module: one call is one step.

    What it does is written down as plain names and modules, which torch can compile.
    """

    def __init__(self, graph: Graph, neurons: Callable[[IF], nn.Module]) -> None:
        super().__init__()
        self.parts = nn.ModuleDict()
        self.steps: list[tuple[str, str, tuple[str, ...]]] = []
        after: set[str] = set()  # populations, and what comes after them
        for node in graph:
            part = neurons(node) if isinstance(node, IF) else module_of(node)
            kind = "module" if part is not None else node.type
            if part is not None:
                self.parts[key(node.name)] = part
            self.steps.append((key(node.name), kind, tuple(map(key, node.inputs))))
            if node.population or after & set(node.inputs):
                after.add(node.name)
        self.first = [step for step, node in zip(self.steps, graph, strict=True) if node.name not in after]
        self.rest = [step for step, node in zip(self.steps, graph, strict=True) if node.name in after]
        self.last = self.steps[-1][0]

    def forward(self, x: Tensor) -> Tensor:
        return self.walk(self.steps, {}, x)[self.last]

    def walk(
        self, steps: list[tuple[str, str, tuple[str, ...]]], values: dict[str, Tensor], x: Tensor
    ) -> dict[str, Tensor]:
        for name, kind, inputs in steps:
            if kind == "Input":
                values[name] = x
            elif kind == "Add":
                values[name] = values[inputs[0]] + values[inputs[1]]
            elif kind == "Output":
                values[name] = values[inputs[0]]
            else:
                values[name] = self.parts[name](values[inputs[0]])
        return values


def key(name: str) -> str:
    return name.replace(".", "_")


def module_of(node: object) -> nn.Module | None:
    if isinstance(node, Conv):
        filters, per_group = node.weight.shape[:2]
        low = [a for a, _ in node.padding]
        conv = nn.Conv2d(per_group * node.groups, filters, node.kernel, node.stride, low, node.dilation, node.groups)
        conv.weight.data, conv.bias.data = torch.tensor(node.weight), torch.tensor(node.bias)
        return conv
    if isinstance(node, Linear):
        linear = nn.Linear(*node.weight.shape[::-1])
        linear.weight.data, linear.bias.data = torch.tensor(node.weight), torch.tensor(node.bias)
        return linear
    if isinstance(node, AvgPool):
        return nn.AvgPool2d(node.kernel, node.stride)
    if isinstance(node, ChannelAffine):
        return Affine(node)
    if isinstance(node, Flatten):
        return nn.Flatten()
    if isinstance(node, Input | Output | Add):
        return None
    raise SystemExit(f"the peers' side of the benchmark has no {node}")


class SpikingJelly:
    """Counts of every population are gathered on request only: it costs time."""

    def __init__(self, graph: Graph) -> None:
        from spikingjelly.activation_based import neuron

        def neurons(node: IF) -> nn.Module:
            return neuron.IFNode(v_threshold=float(node.threshold), v_reset=None, step_mode="s")

        self.graph = graph
        self.network = Network(graph, neurons).eval().to(memory_format=torch.channels_last)
        self.compiled: Callable[..., tuple[tuple[Tensor], tuple[Tensor, ...]]] | None = None

    def _start(self, x: Tensor) -> tuple[Tensor, ...]:
        from spikingjelly.activation_based import base, functional

        functional.reset_net(self.network)
        self.network(x)
        shapes = [torch.zeros_like(v) for v in base.memories(self.network)]
        functional.reset_net(self.network)
        first = [float(node.v_init) for node in self.graph.of_type(IF)]
        return tuple(v + start for v, start in zip(shapes, first, strict=True))

    @torch.inference_mode()
    def compiled_steps(self, x: Tensor, timesteps: int) -> Tensor:
        from spikingjelly.activation_based import base

        if self.compiled is None:
            self.compiled = torch.compile(base.to_functional_forward(self.network), fullgraph=True, dynamic=False)
        x = x.contiguous(memory_format=torch.channels_last)
        states, total = self._start(x), torch.zeros(())
        for _ in range(timesteps):
            (out,), states = self.compiled((x,), states)
            total = total + out
        return total

    @torch.inference_mode()
    def documented_loop(self, x: Tensor, timesteps: int) -> Tensor:
        from spikingjelly.activation_based import functional

        functional.reset_net(self.network)
        total = torch.zeros(())
        for t in range(timesteps):
            if t == 0:
                self._load(self._start(x))
            total = total + self.network(x)
        return total

    def _load(self, states: tuple[Tensor, ...]) -> None:
        from spikingjelly.activation_based import base

        nodes = [m for m in self.network.modules() if isinstance(m, base.MemoryModule)]
        for node, v in zip(nodes, states, strict=True):
            node.v = v

    @torch.inference_mode()
    def counts(self, x: Tensor, timesteps: int) -> dict[str, float]:
        """Spikes of each population."""
        found = {node.name: 0.0 for node in self.graph.populations}

        def counter(name: str) -> Callable[..., None]:
            def count(_: nn.Module, __: object, spikes: Tensor) -> None:
                found[name] += float(spikes.double().sum())

            return count

        states = self._start(x)
        handles = [self.network.parts[key(name)].register_forward_hook(counter(name)) for name in found]
        self._load(states)
        for _ in range(timesteps):
            self.network(x)
        for handle in handles:
            handle.remove()
        return found


class Sinabs:
    def __init__(self, graph: Graph, chunk: int = 50) -> None:
        import sinabs.activation as activation
        import sinabs.layers as layers

        def neurons(node: IF) -> nn.Module:
            settings = {"spike_threshold": torch.tensor(float(node.threshold)), "spike_fn": activation.SingleSpike}
            return layers.IAFSqueeze(batch_size=chunk, min_v_mem=None, **settings)

        self.graph, self.chunk = graph, chunk
        self.network = Network(graph, neurons).eval()

    @torch.inference_mode()
    def hoisted(self, x: Tensor, timesteps: int) -> Tensor:
        return torch.cat([self._part(part, timesteps) for part in x.split(self.chunk)])

    def _part(self, x: Tensor, timesteps: int) -> Tensor:
        known = self.network.walk(self.network.first, {}, x)  # a constant input leaves it the same at every step
        for module, node in self._neurons():
            module.batch_size, module.num_timesteps = len(x), -1
            shape = (len(x), *self.graph.shapes[node.name])
            module.v_mem = torch.full(shape, float(node.v_init))
        total = torch.zeros(())
        for _ in range(timesteps):
            total = total + self.network.walk(self.network.rest, dict(known), x)[self.network.last]
        return total

    def _neurons(self) -> Iterator[tuple[nn.Module, IF]]:
        for node in self.graph.of_type(IF):
            yield self.network.parts[key(node.name)], node
