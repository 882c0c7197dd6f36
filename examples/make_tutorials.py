"""The tutorials as notebooks: each is cut from its source in ``tutorials/``, run, and kept with what it shows.

    python examples/make_tutorials.py [NAME …]

A source is a program: a line ``# %%`` begins a cell of code, ``# %% [markdown]`` one of text, which stands in comments.
Editors run such files cell by cell. Running them here needs nbclient, nbformat and ipykernel: ``make notebooks``.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
TUTORIALS = HERE / "tutorials"
ORDER = ("first_conversion", "resnet", "keras_model", "snntoolbox_project", "events_and_gain", "chip", "fine_tuning")
MARK = re.compile(r"^# %%(?: (\[markdown\]))?\n", re.MULTILINE)
OF_THE_KERNEL = re.compile(r"^\S*/ipykernel_\d+/\d+\.py:\d+: ", re.MULTILINE)
"""Where a warning was given: a file that nobody can open."""
SECONDS = 900


def cells(source: Path) -> list[tuple[str, str]]:
    """Kind and text of every cell of a source, "markdown" or "code".

    Args:
        source: the program.
    """
    before, *parts = MARK.split(source.read_text(encoding="utf-8"))
    if before.strip():
        raise ValueError(f"{source.name}: what stands before the first '# %%' is in no cell")
    found = []
    for mark, text in zip(parts[::2], parts[1::2], strict=True):
        if mark:
            found.append(("markdown", re.sub(r"^# ?", "", text.strip(), flags=re.MULTILINE)))
        else:
            found.append(("code", text.strip().replace("  # fmt: skip", "")))  # for the formatter, not for readers
    return found


def write(notebook: Path, found: list[tuple[str, str]], folder: Path, seconds: int = SECONDS) -> None:
    """Run cells and write them with what they show.

    Args:
        notebook: the file.
        found: kind and text of every cell.
        folder: where they run.
        seconds: that a cell may take.

    Raises:
        nbclient.exceptions.CellExecutionError: for a cell that fails.
    """
    import nbformat
    from nbclient import NotebookClient

    new = {"markdown": nbformat.v4.new_markdown_cell, "code": nbformat.v4.new_code_cell}
    book = nbformat.v4.new_notebook(cells=[new[kind](text) for kind, text in found])
    for number, cell in enumerate(book.cells):
        cell["id"] = f"cell-{number}"
    place = {"metadata": {"path": str(folder)}}
    NotebookClient(book, timeout=seconds, startup_timeout=seconds, resources=place).execute()
    for cell in book.cells:
        cell.get("metadata", {}).pop("execution", None)
        if "outputs" in cell:
            cell["outputs"] = tidied(cell["outputs"])
    book.metadata = {"language_info": {"name": "python"}}
    nbformat.write(book, notebook)
    print(f"{notebook.name}: {notebook.stat().st_size / 1e3:.0f} kB", flush=True)


def tidied(outputs: list[Any]) -> list[Any]:
    """Outputs without the place of warnings, and pieces of one stream in one.

    Args:
        outputs: of a cell.
    """
    kept: list[Any] = []
    for output in outputs:
        if output["output_type"] == "stream":
            if output["name"] == "stderr":
                # the line of the code that warned stands in the cell
                output["text"] = re.sub(r"\n  .*\n", "\n", OF_THE_KERNEL.sub("", output["text"]))
            if kept and kept[-1].get("name") == output["name"]:
                kept[-1]["text"] += output["text"]
                continue
        kept.append(output)
    return kept


def main() -> None:
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # so that sums, and what is trained, come out the same
    for name in sys.argv[1:] or ORDER:
        with tempfile.TemporaryDirectory() as folder:
            write(TUTORIALS / f"{name}.ipynb", cells(TUTORIALS / f"{name}.py"), Path(folder))


if __name__ == "__main__":
    main()
