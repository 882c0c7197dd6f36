"""INI files with torch models, listed samples, and max pooling that becomes average pooling."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import spikewright as sw
from spikewright.compat import snntoolbox as st
from spikewright.errors import DataError, GraphError

MODEL = """\
from torch import nn


class Model(nn.Sequential):
    def __init__(self):
        super().__init__(
            nn.Conv2d(1, 4, 3{padding}), nn.ReLU(), nn.MaxPool2d(2{padded}), nn.Flatten(), nn.Linear({width}, 3)
        )
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "net.py").write_text(MODEL.format(padding="", padded="", width=36))
    torch.manual_seed(2)
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 3))
    torch.save(net.state_dict(), tmp_path / "net.pth")
    random = np.random.default_rng(0)
    x = random.uniform(0, 1, (9, 1, 8, 8)).astype(np.float32)
    np.savez(tmp_path / "x_norm.npz", random.uniform(0, 1, (20, 1, 8, 8)))
    np.savez(tmp_path / "x_test.npz", x)
    with torch.no_grad():
        np.savez(tmp_path / "y_test.npz", net(torch.from_numpy(x)).argmax(1).numpy())
    return tmp_path


def ini(folder: Path, **options: str) -> Path:
    lines = ["[paths]", "filename_ann = net", "[input]", "model_lib = pytorch", "[simulation]", "duration = 30"]
    lines += ["num_to_test = 9", "batch_size = 9"]
    parts: dict[str, list[str]] = {}
    for name, value in options.items():
        section, _, option = name.partition("__")
        parts.setdefault(section, []).append(f"{option} = {value}")
    for section, rows in parts.items():
        place = lines.index(f"[{section}]") + 1 if f"[{section}]" in lines else len(lines) + 1
        lines = [*lines[:place], *([] if f"[{section}]" in lines else [f"[{section}]"]), *rows, *lines[place:]]
    path = folder / "net.ini"
    path.write_text("\n".join(lines))
    return path


def test_a_torch_model_with_its_weights_beside_it(folder: Path) -> None:
    said: list[str] = []
    (accuracy,) = st.run_pipeline(ini(folder), say=said.append)
    assert said[0] == "Trained network: 100.00% of 9 samples."
    assert accuracy >= 5 / 9
    conversion = sw.load(folder / "net_INI.safetensors")
    assert isinstance(conversion, sw.Conversion)
    assert {node.policy for node in conversion.spiking if node.type == "SpikeMaxPool"} == {"avg_max"}


def test_max_pooling_becomes_average_pooling(folder: Path) -> None:
    st.run_pipeline(ini(folder, conversion__max2avg_pool="True"), say=lambda _: None)
    conversion = sw.load(folder / "net_INI.safetensors")
    assert isinstance(conversion, sw.Conversion)
    kinds = [node.type for node in conversion.folded]
    assert "AvgPool" in kinds
    assert "MaxPool" not in kinds
    x = np.load(folder / "x_test.npz")["arr_0"]
    weights = torch.load(folder / "net.pth", weights_only=True)
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(36, 3))
    net.load_state_dict(weights)
    with torch.no_grad():
        expected = net(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(st.get_activations_batch(conversion.folded, x)[-1][0], expected, atol=1e-5)


def test_windows_with_padding_have_no_mean(folder: Path) -> None:
    (folder / "net.py").write_text(MODEL.format(padding=", padding=1", padded=", padding=1", width=100))
    (folder / "net.pth").unlink()
    with pytest.raises(GraphError, match="max2avg_pool: its windows have padding"):
        st.run_pipeline(ini(folder, conversion__max2avg_pool="True", tools__evaluate_ann="False"), say=lambda _: None)


def test_samples_that_are_listed(folder: Path) -> None:
    st.run_pipeline(ini(folder, simulation__sample_idxs_to_test="[7, 2]"), say=lambda _: None)
    held = np.load(folder / "log" / "gui" / "test" / "log_vars" / "0.npz")
    np.testing.assert_array_equal(held["input_image_b_l"], np.load(folder / "x_test.npz")["arr_0"][[7, 2]])
    with pytest.raises(DataError, match="sample 9 is asked for, the test set has 9"):
        st.run_pipeline(ini(folder, simulation__sample_idxs_to_test="[9]"), say=lambda _: None)
