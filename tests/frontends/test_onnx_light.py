"""The networks in the ONNX package's own test data: shapes, work and answers, or all that is missing.

Their weights are all 0.02, so that the stored answers say little; two of them are run with random weights as well.
"""

from __future__ import annotations

import subprocess
import sys
from math import prod
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

import spikewright as sw
from spikewright.errors import UnsupportedModelError
from spikewright.forward import run
from spikewright.frontends.onnx import from_onnx
from spikewright.nodes import Conv, Linear, Output, Softmax

FOLDER = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
READ = ("densenet121", "inception_v2", "resnet50", "shufflenet", "squeezenet", "vgg19")
REFUSED = {"bvlc_alexnet": ("n2", "n6"), "inception_v1": ("n3", "n8"), "zfnet512": ("n2", "n6")}
"""Those with local response normalisation, and where it stands."""


def model_of(name: str) -> onnx.ModelProto:
    return onnx.load(FOLDER / f"light_{name}.onnx")


def expected_work(model: onnx.ModelProto) -> tuple[dict[str, tuple[int, ...]], int]:
    """Each operator's output shape without the batch, and the multiply-accumulates of all layers, by ONNX's account."""
    inferred = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    shapes = {v.name: tuple(d.dim_value for d in v.type.tensor_type.shape.dim) for v in inferred.value_info}
    shapes |= {v.name: tuple(d.dim_value for d in v.type.tensor_type.shape.dim) for v in inferred.output}
    shapes |= {t.name: tuple(t.dims) for t in inferred.initializer}
    work = 0
    for node in inferred.node:
        if node.op_type in ("Conv", "Gemm"):
            positions = shapes[node.output[0]][2:] if node.op_type == "Conv" else ()
            work += prod(shapes[node.input[1]]) * prod(positions)
    outputs = {node.name: shapes[node.output[0]][1:] for node in inferred.node if node.op_type != "ConstantOfShape"}
    return outputs, work


@pytest.mark.parametrize("name", READ)
def test_light_networks(name: str) -> None:
    model = model_of(name)
    graph = from_onnx(FOLDER / f"light_{name}.onnx")
    shapes, work = expected_work(model)
    compared = [node for node in graph if node.name in shapes]
    assert len(compared) >= 0.6 * len(shapes)
    assert {node.name: graph.shapes[node.name] for node in compared} == {n.name: shapes[n.name] for n in compared}
    assert sum(graph.macs(node) for node in graph.of_type(Conv, Linear)) == work
    x = (np.arange(150528, dtype=np.float32) / 150528).reshape(1, 3, 224, 224)  # what the answers were made from
    stored = onnx.TensorProto.FromString((FOLDER / f"light_{name}_output_0.pb").read_bytes())
    found = run(graph, x)["output"]
    np.testing.assert_allclose(found, numpy_helper.to_array(stored), rtol=1e-4, atol=1e-6)
    folded, _ = sw.prepare(graph)
    assert folded.shapes["output"] == graph.shapes["output"]
    assert (folded.of_type(Output)[0].activation == "softmax") == bool(graph.of_type(Softmax))


@pytest.mark.parametrize("name", REFUSED)
def test_light_networks_with_local_response_normalisation(name: str) -> None:
    with pytest.raises(UnsupportedModelError) as caught:
        from_onnx(FOLDER / f"light_{name}.onnx")
    assert [(p.operator, p.where) for p in caught.value.problems] == [("LRN", f"'{n}'") for n in REFUSED[name]]


@pytest.mark.parametrize(("name", "opset"), [("shufflenet", 15), ("squeezenet", 9)])
def test_light_networks_with_random_weights(name: str, opset: int) -> None:
    """The graph, and what preparing makes of it, up to the softmax, against ONNX's own reference.

    That takes an older batch norm for one in training, and an older softmax for one over the last axis.
    """
    model, random = model_of(name), np.random.default_rng(0)
    lengths = {t.name: tuple(numpy_helper.to_array(t)) for t in model.graph.initializer}
    nodes = [node for node in model.graph.node if node.op_type != "ConstantOfShape"]
    for node in model.graph.node:
        if node.op_type == "ConstantOfShape":
            shape = lengths[node.input[0]]
            fan_in = prod(shape[1:])
            values = random.normal(size=shape) * np.sqrt(2 / fan_in) if fan_in > 1 else random.uniform(0.5, 1.5, shape)
            model.graph.initializer.append(numpy_helper.from_array(values.astype(np.float32), node.output[0]))
    del model.graph.node[:]
    model.graph.node.extend(nodes[:-1])
    model.graph.output[0].CopyFrom(onnx.helper.make_empty_tensor_value_info(nodes[-1].input[0]))
    model.opset_import[0].version = opset
    x = random.normal(size=(1, 3, 224, 224)).astype(np.float32)
    data = next(v.name for v in model.graph.input if len(v.type.tensor_type.shape.dim) == 4 and "data" in v.name)
    (expected,) = ReferenceEvaluator(model).run(None, {data: x})
    graph = from_onnx(model)
    assert expected.std() > 1e-4
    for same in (graph, sw.prepare(graph)[0]):
        error = np.abs(run(same, x)["output"] - expected).max()
        assert error < 1e-5 * np.abs(expected).max()


def test_reading_takes_hardly_more_memory_than_the_weights() -> None:
    program = (
        "import resource, sys; import torch; from spikewright.frontends.onnx import from_onnx\n"
        "used = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024\n"
        "before = used(); graph = from_onnx(sys.argv[1]); print(used() - before, graph.parameters * 4)"
    )
    path = FOLDER / "light_vgg19.onnx"
    done = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True)
    used, weights = map(int, done.stdout.split())
    assert weights == 4 * 143_667_240
    assert used < 1.3 * weights
