"""What is one file each is found where it lies, and what another package gets wrong stands in nobody's way."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from spikewright.calibration.thresholds.method import Method
from spikewright.encoders import encoders
from spikewright.errors import GraphError, SpikewrightWarning
from spikewright.passes import Pass, ordered, passes
from spikewright.registry import Registry, class_of, classes, values
from spikewright.synapse_graph.writers import formats
from spikewright.tasks import tasks

OURS = ["auto", "gauss", "ltb", "max", "mmse", "percentile", "scale"]
HALF = """
from dataclasses import dataclass
from spikewright.calibration.thresholds.method import Method

@dataclass(frozen=True)
class Half(Method):
    def scale(self, node):
        return node.maximum / 2
"""
Announce = Callable[..., Registry[type[Method]]]


@pytest.fixture
def announce(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Announce:
    """A package that announces files as threshold methods, and a registry that has not looked yet."""
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)

    def made(group: str = "spikewright.methods", **files: str) -> Registry[type[Method]]:
        package = "stranger"
        facts = tmp_path / f"{package}-1.2.dist-info"
        facts.mkdir()
        (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.2\n")
        lines = []
        for name, text in files.items():
            lines.append(f"{name} = {text if text.startswith(package) else f'{package}_{name}'}\n")
            (tmp_path / f"{package}_{name}.py").write_text(text)
        (facts / "entry_points.txt").write_text(f"[{group}]\n" + "".join(lines))
        return Registry(
            "spikewright.methods", "a threshold method", class_of(Method), "spikewright.calibration.thresholds"
        )

    yield made
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_a_file_of_another_package_is_found_behind_ours(announce: Announce) -> None:
    found = announce(half=HALF)()
    assert list(found) == [*OURS, "stranger_half"]
    assert str(found["stranger_half"]()) == "stranger_half"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("import nothing_of_that_name", "ModuleNotFoundError: No module named 'nothing_of_that_name'"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("class Skipped(BaseException): ...\nraise Skipped('here')", "Skipped: here"),
        ("def f(:", "SyntaxError: invalid syntax"),
        ("Half = 3", "the file holds no such thing as a threshold method"),
        ("from spikewright.calibration.thresholds.method import Method\nclass Half(Method): ...", "Half lacks scale"),
        ("stranger_half:Half", 'an entry point of spikewright.methods names a file: half = "stranger_half"'),
        ("stranger_missing", "ModuleNotFoundError: No module named 'stranger_missing'"),
    ],
)
def test_a_file_that_cannot_be_used_is_left_out_by_name(announce: Announce, text: str, why: str) -> None:
    registry = announce(half=text)
    with pytest.warns(SpikewrightWarning) as caught:
        assert list(registry()) == OURS
    (message,) = (str(one.message) for one in caught)
    assert message.startswith("package stranger 1.2: a threshold method in stranger_")
    assert f" is left out: {why}" in message
    assert "\n" not in message


def test_a_warning_comes_once(announce: Announce, recwarn: pytest.WarningsRecorder) -> None:
    registry = announce(half="1 / 0")
    assert registry() == registry()
    assert len(recwarn) == 1


def test_a_name_that_is_taken_stays_whose_it_is(announce: Announce, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "max.py").write_text(HALF)
    (tmp_path / "other" / "quarter.py").write_text(HALF)
    (tmp_path / "stranger").mkdir()
    (tmp_path / "stranger" / "quarter.py").write_text(HALF)
    for package, names in (("other", ("max", "quarter")), ("stranger", ("quarter",))):
        facts = tmp_path / f"{package}-2.0.dist-info"
        facts.mkdir()
        (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 2.0\n")
        lines = "".join(f"{name} = {package}.{name}\n" for name in names)
        (facts / "entry_points.txt").write_text(f"[spikewright.methods]\n{lines}")
    registry = Registry(
        "spikewright.methods", "a threshold method", class_of(Method), "spikewright.calibration.thresholds"
    )
    with pytest.warns(SpikewrightWarning) as caught:
        found = registry()
    assert found["quarter"].__module__ == "other.quarter"
    assert found["max"].__module__ == "spikewright.calibration.thresholds.max"
    assert [str(one.message) for one in caught] == [
        "package other 2.0: a threshold method in other.max is left out: the name 'max' is taken by Spikewright",
        "package stranger 2.0: a threshold method in stranger.quarter is left out: the name 'quarter' is taken by "
        "package other 2.0",
    ]


def test_nothing_is_read_before_it_is_asked_for(announce: Announce) -> None:
    announce(half="raise AssertionError('imported')")


def test_importing_spikewright_reads_no_file_of_another_package(tmp_path: Path) -> None:
    """Nor do settings whose names are our own: an encoder's name is looked for among ours first."""
    facts = tmp_path / "stranger-1.2.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger\nVersion: 1.2\n")
    kinds = ("nodes", "torch_rules", "passes", "methods", "requests", "encoders", "tasks", "measures", "exporters")
    points = "".join(f"[spikewright.{kind}]\nx = stranger\n" for kind in (*kinds, "synapse_writers"))
    (facts / "entry_points.txt").write_text(points)
    (tmp_path / "stranger.py").write_text("raise RuntimeError('read')")
    code = (
        "import spikewright as sw, sys; sw.RunSettings(encoder='poisson', seed=3); assert 'stranger' not in sys.modules"
    )
    path = os.pathsep.join([str(tmp_path), *sys.path])
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", "-c", code],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")


RECOGNISE = ("scalars_as_rows", "drop_identities", "quantised_activations", "merge_rectifiers")
REWRITE = (
    "split_leaky",
    "pool_globally",
    "relu_before_max_pool",
    "pads_behind_rectifiers",
    "merge_pads",
    "permutation_into_linear",
    "fold_batch_norm_backwards",
    "norm_behind_max_pool",
    "fold_batch_norm_backwards",
    "fold_batch_norm_forwards",
    "merge_pads",
    "batch_norm_as_affine",
)
LAST = "explicit_projections"


@pytest.mark.parametrize("answer", ["keep", "drop"])
@pytest.mark.parametrize("leaky", ["refuse", "split"])
def test_what_files_say_of_their_passes_makes_the_order(answer: str, leaky: str) -> None:
    found = ordered(passes().values(), {"answer": answer, "leaky": leaky})
    names = {stage: tuple(step.name for step in steps) for stage, steps in found.items()}
    assert list(names) == ["recognise", "rewrite", "scale"]
    assert names["recognise"] == RECOGNISE
    assert names["rewrite"] == (f"{answer}_final_activations", *REWRITE[leaky == "refuse" :])
    assert names["scale"] == (LAST,)
    assert found == ordered(tuple(passes().values())[::-1], {"answer": answer, "leaky": leaky})


def test_the_page_shows_the_order() -> None:
    page = (Path(__file__).parents[1] / "docs" / "architecture.md").read_text(encoding="utf-8")
    table = page[page.index("## Passes") : page.index("Every pass is run")]
    shown = [name for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)]
    assert shown == [*RECOGNISE, "keep_final_activations", "drop_final_activations", *dict.fromkeys(REWRITE), LAST]


def step(name: str, **place: object) -> Pass:
    return Pass(name, "replaced", lambda graph: graph, **place)  # type: ignore[arg-type]


def test_a_pass_is_placed_by_name() -> None:
    more = (step("a", after=("pool_globally",), before=("relu_before_max_pool",)), step("b", before=("a",)))
    found = [one.name for one in ordered((*passes().values(), *more), {"answer": "keep", "leaky": "split"})["rewrite"]]
    assert found.index("b") < found.index("a")
    assert found.index("pool_globally") + 1 == found.index("a") == found.index("relu_before_max_pool") - 1


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ([step("a", after=("b",)), step("b", after=("a",))], "these passes wait for each other: [ab], [ab], [ab]"),
        ([step("a", after=("fold",))], "pass a, in test_registry, is placed by 'fold', which is no pass of its stage"),
        (
            [step("a", before=("merge_rectifiers",))],
            "placed by 'merge_rectifiers', which is no pass of its stage, rewrite",
        ),
    ],
)
def test_passes_without_a_place_are_refused(more: list[Pass], why: str) -> None:
    with pytest.raises(GraphError, match=why):
        ordered((*passes().values(), *more), {})


def test_files_are_read_by_kind() -> None:
    import spikewright.nodes.pool as pool
    from spikewright.node import Node
    from spikewright.passes import fold_batch_norm

    assert list(classes(Node)(pool)) == ["SumPool", "AvgPool"]
    assert list(class_of(Node)(pool)) == ["pool"]
    assert list(values(Pass)(fold_batch_norm)) == [
        "fold_batch_norm_backwards",
        "fold_batch_norm_forwards",
        "batch_norm_as_affine",
    ]


ENCODER = """
from dataclasses import dataclass
from spikewright.encoders import Encoder

@dataclass(frozen=True)
class Late(Encoder):
    def at(self, x, t, first):
        return x
"""
TASK = """
from dataclasses import dataclass
from spikewright.tasks.regression import Regression

@dataclass(frozen=True)
class Angle(Regression):
    pass
"""


@pytest.mark.parametrize(
    ("registry", "text", "name"),
    [(encoders, ENCODER, "stranger_late"), (tasks, TASK, "stranger_late")],
    ids=["encoder", "task"],
)
def test_encoders_and_tasks_of_other_packages_are_found(
    announce: Announce, registry: Registry[object], text: str, name: str
) -> None:
    announce(registry.group, late=text)
    again = Registry(registry.group, registry.what, registry.held, registry.folder)
    assert set(again()) == {*registry.own, name}


@pytest.mark.parametrize(
    ("registry", "text", "why"),
    [
        (tasks, TASK.replace("pass", "measures = ('mse',)"), "its measures must be scores by name"),
        (
            formats,
            "from spikewright.synapse_graph.writers import AtOnce\nclass Late(AtOnce):\n    pass",
            "Late lacks whole",
        ),
        (
            formats,
            "from spikewright.synapse_graph.writers import AtOnce\nclass Late(AtOnce):\n    def whole(self): pass",
            r"its suffixes must be a tuple, such as \('.csv',\)",
        ),
    ],
    ids=["task", "abstract", "suffixes"],
)
def test_what_would_break_other_commands_is_left_out(
    announce: Announce, registry: Registry[object], text: str, why: str
) -> None:
    announce(registry.group, late=text)
    again = Registry(registry.group, registry.what, registry.held, registry.folder)
    with pytest.warns(SpikewrightWarning, match=why):
        assert set(again()) == set(registry.own)
