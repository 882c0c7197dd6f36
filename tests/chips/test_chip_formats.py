"""What is handed over reads back exact: settings of cores in the vendor's names, arrays, a C header, memory files."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from shutil import which
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest
from numpy.typing import NDArray

import spikewright as sw
from spikewright.chips.formats import chip_formats, export_chip
from spikewright.chips.formats.json import INTERVALS, core_settings
from spikewright.chips.formats.zip import memory_file
from spikewright.chips.integers import integers_of
from spikewright.chips.known import chip as known_chip
from spikewright.chips.known.speck2f import CHIP
from spikewright.chips.network import ChipInput, ChipLayer, ChipNetwork, Destination, Readout
from spikewright.chips.quantise import Quantised
from spikewright.errors import SettingsError, StorageError

HERE = Path(__file__).parent
WORKED: dict[str, Any] = json.loads((HERE / "worked_cores.json").read_text(encoding="utf-8"))


def quantised(network: ChipNetwork, chip: str = "speck2f") -> Quantised:
    made = integers_of(network, CHIP, bias_bits=8)
    return Quantised(chip, made.network, made.losses)


def layer(name: str, weights: Any, shape: tuple[int, int, int], *to: Destination, **fields: Any) -> ChipLayer:
    kernel = np.asarray(weights, np.float64)
    return ChipLayer(name, fields.pop("sources", ("input",)), shape, kernel, v_min=-1.0, destinations=to, **fields)


def worked(case: str) -> ChipNetwork:
    """The networks of the facts, with their float weights."""
    facts = WORKED[case]
    shape, floats = tuple(facts["input_shape"]), facts["float"]
    if case == "A":
        layers = [layer("0", floats["weight"], shape, bias=np.array(floats["bias"]))]
    elif case == "B":
        mean = np.array(floats["w2"]).reshape(3, 2, 3, 3) / 4
        layers = [
            layer("0", floats["w1"], shape, Destination("1", 2)),
            layer("1", mean, (2, 3, 3), sources=("0",)),
        ]
    else:
        same: dict[str, Any] = {"padding": (1, 1)}
        layers = [
            layer("0", floats["w1"], shape, Destination("1"), Destination("2"), **same),
            layer("1", floats["w2"], (2, 8, 8), Destination("2"), sources=("0",), **same),
            layer("2", floats["w3"], (2, 8, 8), sources=("0", "1"), stride=(4, 4)),
        ]
    read = Readout("output", layers[-1].name, tuple(range(int(np.prod(layers[-1].output_shape)))))
    return ChipNetwork((ChipInput("input", shape, (Destination("0"),)),), tuple(layers), (read,))  # type: ignore[arg-type]


@pytest.mark.parametrize("case", ["A", "B", "D"])
def test_worked_examples_in_the_vendors_fields(case: str) -> None:
    made = core_settings(quantised(worked(case)))
    core_of = {name: int(core) for core, name in made["layers"].items()}
    for name, facts in WORKED[case]["cores"].items():
        core = made["cnn_layers"][str(core_of[name])]
        for label in ("dimensions", "threshold_high", "threshold_low", "return_to_zero", "leak_enable", "biases"):
            assert core[label] == facts[label], label
        assert core["monitor_enable"] == facts["monitor_enable"]
        assert core["weights"] == facts["weights"]
        assert list(np.shape(core["weights"])) == facts["weights_shape"]
        assert (np.sum(core["weights"]), np.abs(core["weights"]).sum()) == (
            facts["weights_sum"],
            facts["weights_abs_sum"],
        )
        assert list(np.shape(core["neurons_initial_value"])) == facts["neurons_initial_value_shape"]
        assert not np.any(core["neurons_initial_value"])
        expected = [{**to, "layer": core_of[str(to["layer"])] if to["enable"] else 0} for to in facts["destinations"]]
        assert core["destinations"] == expected
        assert (core["output_decimator_enable"], core["output_decimator_interval"]) == (False, 0)
    assert [to["layer"] for to in made["inputs"][0]["destinations"]] == [core_of["0"]]
    if case != "D":  # there every layer fits every core, and the busiest two stand on those that compute in parallel
        assert core_of == WORKED[case]["layer2core"]


def lenet() -> ChipNetwork:
    """E of the facts: the LeNet of sinabs, without biases."""
    draw = np.random.default_rng(0)
    sizes = [(1, 20, 5, 28, 2), (20, 32, 5, 12, 2), (32, 128, 3, 4, 2), (128, 500, 1, 1, 1), (500, 10, 1, 1, 0)]
    layers = []
    for k, (inputs, outputs, kernel, side, pool) in enumerate(sizes):
        to = (Destination(str(k + 1), pool),) if pool else ()
        weights = draw.normal(size=(outputs, inputs, kernel, kernel))
        source = ("input",) if k == 0 else (str(k - 1),)
        layers.append(layer(str(k), weights, (inputs, side, side), *to, sources=source))
    read = Readout("output", "4", tuple(range(10)))
    return ChipNetwork((ChipInput("input", (1, 28, 28), (Destination("0"),)),), tuple(layers), (read,))


def test_lenet_has_the_memory_of_the_facts_and_valid_cores() -> None:
    network, facts = lenet(), WORKED["E"]
    made = core_settings(quantised(network))
    core_of = {name: int(core) for core, name in made["layers"].items()}
    assert sorted(core_of) == sorted(facts["layer2core"])
    for one in network.layers:
        core = CHIP.cores[core_of[one.name]]
        assert one.kernel_words == facts["memory"]["kernel"][one.name] <= core.kernel_words
        assert one.neuron_words == facts["memory"]["neuron"][one.name] <= core.neuron_words
    assert {core_of["2"], core_of["3"]} == {5, 6}  # the only ones with 65,536 words of kernels
    assert core_of["0"] == 0  # as in the facts
    pools = {name: made["cnn_layers"][str(core)]["destinations"][0]["pooling"] for name, core in core_of.items()}
    assert pools == {"0": 2, "1": 2, "2": 2, "3": 1, "4": 1}


@pytest.mark.parametrize("number", CHIP.decimators)
def test_a_decimator_of_two_is_zero_and_is_on(number: int) -> None:
    one = layer("one", np.ones((1, 1, 1, 1)), (1, 4, 2), decimator=number, reset="zero", stride=(2, 1), padding=(1, 3))
    network = ChipNetwork((ChipInput("input", (1, 4, 2), (Destination("one"),)),), (one,))
    core = core_settings(quantised(network))["cnn_layers"]["0"]
    assert core["output_decimator_enable"] is (number > 1)
    if number > 1:
        assert core["output_decimator_interval"] == {2: 0, 4: 1, 8: 2, 16: 3, 32: 4, 128: 5, 256: 6, 512: 7}[number]
        assert INTERVALS[core["output_decimator_interval"]] == number
    assert core["return_to_zero"] is True
    assert core["dimensions"]["stride"] == {"x": 1, "y": 2}
    assert core["dimensions"]["padding"] == {"x": 3, "y": 1}
    assert core["dimensions"]["input_shape"] == {"size": {"x": 2, "y": 4}, "feature_count": 1}


@pytest.mark.parametrize("chip", ["speck2b", "dynapcnndevkit"])
def test_chips_without_decimators_have_kill_bits_instead(chip: str) -> None:
    """One for every weight, bias and potential, and none of them set: 1 is off."""
    core = core_settings(quantised(worked("A"), chip))["cnn_layers"]["0"]
    assert not any("decimator" in name for name in core)
    for label, of in (
        ("weights_kill_bit", "weights"),
        ("biases_kill_bit", "biases"),
        ("neurons_value_kill_bit", "neurons_initial_value"),
    ):
        assert np.shape(core[label]) == np.shape(core[of])
        assert not np.any(core[label])
    usual = core_settings(quantised(worked("A")))["cnn_layers"]["0"]
    assert not any("kill_bit" in name for name in usual)
    assert {name for name in core if "kill" not in name} == {name for name in usual if "decimator" not in name}


def test_columns_stand_before_rows_and_a_lowest_threshold_is_never_zero() -> None:
    weights = np.arange(8).reshape(1, 2, 2, 2)
    potentials = np.arange(6).reshape(1, 3, 2)
    one = ChipLayer("one", ("input",), (2, 4, 3), weights, threshold=9, v_min=0, v_init=potentials)
    network = ChipNetwork((ChipInput("input", (2, 4, 3), (Destination("one"),)),), (one,))
    core = core_settings(Quantised("speck2f", network, ()))["cnn_layers"]["0"]
    assert core["weights"] == [[[[0, 2], [1, 3]], [[4, 6], [5, 7]]]]
    assert core["neurons_initial_value"] == [[[0, 2, 4], [1, 3, 5]]]
    assert core["threshold_low"] == -1
    free = core_settings(Quantised("speck2f", ChipNetwork(network.inputs, (one.replace(v_min=None),)), ()))
    assert free["cnn_layers"]["0"]["threshold_low"] == -(2**15)


def test_the_readout_on_the_chip_sees_every_fourth_channel() -> None:
    made = core_settings(quantised(worked("B")), chip_readout=True)
    core = made["cnn_layers"]["1"]
    assert core["dimensions"]["output_shape"]["feature_count"] == 9
    assert np.abs(core["weights"])[[1, 2, 3, 5, 6, 7]].sum() == 0
    assert np.array(core["weights"])[[0, 4, 8]].tolist() == WORKED["B"]["cores"]["1"]["weights"]
    assert core["destinations"][0] == {"layer": 12, "enable": True, "pooling": 1, "feature_shift": 0}
    assert made["readout"][0]["neurons"] == [0, 4, 8]


def test_the_loader_of_the_docs_sets_every_field(tmp_path: Path) -> None:
    """On a stand-in for the vendor's package, which is neither here nor public: what is written where."""
    from types import SimpleNamespace

    text = (HERE.parents[1] / "docs" / "chips.md").read_text(encoding="utf-8")
    loader = next(block for block in re.findall(r"```py\n(.*?)```", text, re.S) if "samna" in block)
    export_chip(quantised(worked("D")), tmp_path / "speck.json")
    cores = [SimpleNamespace(destinations=[SimpleNamespace(), SimpleNamespace()]) for _ in range(9)]
    config = SimpleNamespace(cnn_layers=cores, dvs_layer=SimpleNamespace())
    applied: list[Any] = []
    module = SimpleNamespace(
        configuration=SimpleNamespace(SpeckConfiguration=lambda: config),
        validate_configuration=lambda made: (made is config, ""),
    )
    device = SimpleNamespace(get_model=lambda: SimpleNamespace(apply_configuration=applied.append))
    samna = SimpleNamespace(speck2f=module, device=SimpleNamespace(open_device=lambda _: device))
    code = loader.replace("import samna\n", "").replace("speck.json", str(tmp_path / "speck.json"))
    exec(compile(code, "loader", "exec"), {"samna": samna})
    assert applied == [config]
    expected = json.loads((tmp_path / "speck.json").read_text())["cnn_layers"]
    for core, settings in expected.items():
        made = cores[int(core)]
        for label, value in settings.items():
            found = [vars(one) for one in made.destinations] if label == "destinations" else getattr(made, label)
            assert found == value, label


def arrays_of(network: ChipNetwork) -> dict[str, NDArray[Any]]:
    """What a file of integers has to hold."""
    found: dict[str, NDArray[Any]] = {}
    for one in network.layers:
        name = f"layer_{one.name}"
        found[f"{name}/weights"] = one.weights
        found[f"{name}/bias"] = np.zeros(len(one.weights), int) if one.bias is None else one.bias
        found[f"{name}/threshold"] = np.array(one.threshold)
        found[f"{name}/v_min"] = np.array(-(2**15) if one.v_min is None else one.v_min)
        found[f"{name}/v_init"] = np.broadcast_to(one.v_init, one.output_shape)
    return found


def from_npz(path: Path) -> dict[str, NDArray[Any]]:
    with np.load(path) as archive:
        found = {name: archive[name] for name in archive.files}
    facts = json.loads(str(found.pop("description")))
    assert facts["chip"] == "speck2f"
    assert facts["layers"]["layer_0"]["destinations"][0]["layer"] == "1"
    for name, values in found.items():
        assert values.dtype == (np.int8 if name.endswith("weights") else np.int16)
    return found


def from_header(path: Path) -> dict[str, NDArray[Any]]:
    """As a C compiler would read it: shapes from brackets, initial values from braces."""
    text, found = path.read_text(), dict[str, NDArray[Any]]()
    pattern = r"static const (\w+)_t (layer_\d)_(\w+?)((?:\[\d+\])+) =\s*(.*?);"
    for kind, name, label, shape, values in re.findall(pattern, text, re.S):
        assert kind == ("int8" if label == "weights" else "int16")
        sizes = [int(size) for size in re.findall(r"\d+", shape)]
        found[f"{name}/{label}"] = np.array(json.loads(values.replace("{", "[").replace("}", "]")))
        assert list(found[f"{name}/{label}"].shape) == sizes
    for name, label, value in re.findall(r"#define (LAYER_\d)_(THRESHOLD|V_MIN) \((-?\d+)\)", text):
        found[f"{name.lower()}/{label.lower()}"] = np.array(int(value))
    assert "#define LAYER_0_DECIMATOR (1)" in text
    return found


def read_memory(text: str) -> list[int]:
    """What ``$readmemh`` makes of a file, into signed words as wide as their digits."""
    found = []
    for word in re.sub(r"//[^\n]*", "", text).split():
        bits = 4 * len(word)
        value = int(word, 16)
        found.append(value - (1 << bits) if value >> (bits - 1) else value)
    return found


def from_memory_files(path: Path) -> dict[str, NDArray[Any]]:
    found = {}
    with ZipFile(path) as archive:
        facts = json.loads(archive.read("layers.json"))
        for file in archive.namelist():
            if file.endswith(".mem"):
                name, label = re.fullmatch(r"(layer_\d)_(\w+)\.mem", file).groups()  # type: ignore[union-attr]
                text = archive.read(file).decode()
                assert {len(word) for word in text.splitlines()[1:]} == {2 if label == "weights" else 4}
                found[f"{name}/{label}"] = np.array(read_memory(text))
    assert facts["layers"]["layer_0"]["output_shape"]
    return found


@pytest.mark.parametrize(
    ("suffix", "read"), [("npz", from_npz), ("h", from_header), ("zip", from_memory_files)], ids=["npz", "h", "zip"]
)
def test_integers_read_back_exact(suffix: str, read: Any, tmp_path: Path) -> None:
    made = quantised(worked("D"))
    first = made.network.layers[0].replace(v_min=None, v_init=np.arange(-64, 64).reshape(2, 8, 8))
    network = ChipNetwork(made.network.inputs, (first, *made.network.layers[1:]), made.network.readout)
    path = tmp_path / f"chip.{suffix}"
    export_chip(Quantised("speck2f", network, ()), path)
    found, expected = read(path), arrays_of(network)
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        assert np.array_equal(found[name].reshape(values.shape), values), name
    first_bytes = path.read_bytes()
    export_chip(Quantised("speck2f", network, ()), path, force=True)
    assert path.read_bytes() == first_bytes


@pytest.mark.skipif(which("cc") is None, reason="there is no C compiler")
@pytest.mark.parametrize("language", ["c99", "c++11"])
def test_a_compiler_takes_the_header_without_a_warning(language: str, tmp_path: Path) -> None:
    """And the program that prints its arrays prints what was written."""
    made = quantised(worked("D"))
    first = made.network.layers[0].replace(v_init=np.arange(-64, 64).reshape(2, 8, 8), decimator=4)
    network = ChipNetwork(made.network.inputs, (first, *made.network.layers[1:]), made.network.readout)
    export_chip(Quantised("speck2f", network, ()), tmp_path / "chip.h")
    values = arrays_of(network)
    names = [
        f"{layer}/{label}" for layer in ("layer_0", "layer_1", "layer_2") for label in ("weights", "bias", "v_init")
    ]
    loops = "".join(
        f"  for (int i = 0; i < {values[name].size}; i++) "
        f'printf("%d ", (&{name.replace("/", "_")}{"[0]" * values[name].ndim})[i]);\n'
        for name in names
    )
    macros = '  printf("%d %d %d\\n", LAYER_0_DECIMATOR, LAYER_2_STRIDE_X, LAYER_1_V_MIN);\n'
    program = tmp_path / ("main.c" if language == "c99" else "main.cpp")
    program.write_text(f'#include <stdio.h>\n#include "chip.h"\nint main(void) {{\n{loops}{macros}  return 0;\n}}\n')
    flags = [f"-std={language}", "-Wall", "-Wextra", "-pedantic", "-Werror"]
    compiled = subprocess.run(
        ["cc", *flags, str(program), "-o", str(tmp_path / "main")], capture_output=True, check=False
    )
    assert compiled.returncode == 0, compiled.stderr.decode()
    printed = subprocess.run([str(tmp_path / "main")], capture_output=True, check=True).stdout.split()
    expected = [value for name in names for value in values[name].ravel().tolist()]
    assert [int(word) for word in printed] == [*expected, 4, 4, network.layers[1].v_min]


def test_memory_files_are_in_twos_complement() -> None:
    text = memory_file(np.array([[0, 1], [-1, -128]], np.int8), "weights")
    assert text == "// 2x2 words [out][in][row][column], 8 bits, two's complement\n00\n01\nff\n80\n"
    assert memory_file(np.array(-2, np.int16), "threshold").splitlines()[-1] == "fffe"


def test_names_become_those_of_every_language(tmp_path: Path) -> None:
    names = ("conv.1", "conv 1", "été", "")
    layers = tuple(ChipLayer(name, ("input",), (1, 1, 1), np.ones((1, 1, 1, 1), int)) for name in names)
    network = ChipNetwork((ChipInput("input", (1, 1, 1), tuple(Destination(name) for name in names)),), layers)
    export_chip(Quantised("speck2f", network, ()), tmp_path / "chip.h")
    found = re.findall(r"int8_t (\w+)_weights", (tmp_path / "chip.h").read_text())
    assert len(set(found)) == 4
    assert all(re.fullmatch(r"[a-z_][a-z0-9_]*", name) for name in found)


def test_what_cannot_be_is_said_and_nothing_is_written(tmp_path: Path) -> None:
    made = quantised(worked("A"))
    path = tmp_path / "speck.json"
    wide = ChipLayer("wide", ("input",), (1, 1, 1), np.ones((1100, 1, 1, 1), int), stride=(3, 3))
    too_wide = ChipNetwork((ChipInput("input", (1, 1, 1), (Destination("wide"),)),), (wide,))
    with pytest.raises(
        SettingsError, match="does not fit speck2f: layer 'wide': its stride of 3x3 is not of 1, 2, 4, 8"
    ):
        export_chip(Quantised("speck2f", too_wide, ()), path)
    with pytest.raises(SettingsError, match=r"no network in a chip's integers is written under the suffix '\.nir'"):
        export_chip(made, tmp_path / "speck.nir")
    with pytest.raises(SettingsError, match="chip_readout"):
        export_chip(made, tmp_path / "speck.h", chip_readout=True)
    with pytest.raises(SettingsError, match="'spikewright quantise SPIKING --chip speck2f' first"):
        export_chip(object(), path)  # type: ignore[arg-type]
    large = ChipLayer("large", ("input",), (1, 1, 1), np.full((1, 1, 1, 1), 300))
    network = ChipNetwork((ChipInput("input", (1, 1, 1), (Destination("large"),)),), (large,))
    with pytest.raises(SettingsError, match="layer 'large': its weights do not fit words of 8 bits"):
        export_chip(Quantised("speck2f", network, ()), path)
    assert not list(tmp_path.iterdir())
    path.write_text("mine")
    with pytest.raises(StorageError, match="exists"):
        export_chip(made, path)
    assert path.read_text() == "mine"


def test_every_format_and_the_cores_of_check() -> None:
    assert set(chip_formats.own) == {"json", "npz", "h", "zip"}
    assert known_chip("speck2f").name == "speck2f"
    assert sw.export_chip is export_chip
