"""What reading a data set of any kind takes in memory, by its number of samples.

    python benchmarks/data_memory.py [KIND …]

For each kind of data set a process reads 2,000 samples of 48 KiB, another 60,000, as calibration does (batches of
float32, with digests and labels noted on the way), and looks at its private memory (RssAnon) after every batch. What is
told is how much that peak exceeds what was there before the data set was opened, and by how much the two differ. Rows
of kinds that are not measured stay in the result.
"""

from __future__ import annotations

import gzip
import io
import multiprocessing
import os
import platform
import shutil
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

COUNTS, SHAPE, BATCH = (2_000, 60_000), (3, 128, 128), 64
KINDS_OF_SAMPLES = 251
NOISE = np.random.default_rng(0).integers(0, 16, int(np.prod(SHAPE)) + KINDS_OF_SAMPLES, np.uint8)
"""Half of it is left when it is packed, as of pictures: what shrinks a hundredfold is refused."""
RESULT = Path(__file__).parent / "results" / "data_memory.md"


def sample(k: int) -> np.ndarray:
    start = k % KINDS_OF_SAMPLES
    return NOISE[start : start + int(np.prod(SHAPE))].reshape(SHAPE)


def blocks(count: int) -> Iterator[np.ndarray]:
    for start in range(0, count, 500):
        yield np.stack([sample(k) for k in range(start, min(start + 500, count))])


def picture(k: int) -> bytes:
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(np.moveaxis(sample(k), 0, -1)).save(stream, "PNG")
    return stream.getvalue()


def npy(folder: Path, count: int) -> str:
    x = np.lib.format.open_memmap(folder / "d.npy", "w+", np.uint8, (count, *SHAPE))
    for k, part in enumerate(blocks(count)):
        x[500 * k : 500 * k + len(part)] = part
    return str(folder / "d.npy")


def npz(folder: Path, count: int, packed: bool) -> str:
    npy(folder, count)
    np.save(folder / "y.npy", np.arange(count) % 10)
    method = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
    with zipfile.ZipFile(folder / "d.npz", "w", method, compresslevel=1) as archive:
        archive.write(folder / "d.npy", "x.npy")
        archive.write(folder / "y.npy", "y.npy")
    (folder / "d.npy").unlink()
    return str(folder / "d.npz")


def idx(folder: Path, count: int) -> str:
    with gzip.open(folder / "a-images-idx4-ubyte.gz", "wb", 1) as file:
        file.write(bytes([0, 0, 8, 4]) + np.array([count, *SHAPE], ">u4").tobytes())
        for part in blocks(count):
            file.write(part.tobytes())
    return str(folder / "a-images-idx4-ubyte.gz")


def pictures(folder: Path, count: int) -> str:
    for k in range(10):
        (folder / f"class{k}").mkdir()
        (folder / f"class{k}" / "000000.png").write_bytes(picture(k))
    for k in range(10, count):
        os.link(folder / f"class{k % 10}" / "000000.png", folder / f"class{k % 10}" / f"{k:06}.png")
    return str(folder)


def table(folder: Path, count: int, suffix: str) -> str:
    import pyarrow as pa
    from pyarrow import parquet

    schema = pa.schema({"image": pa.binary(), "label": pa.int64()})
    path = str(folder / f"d{suffix}")
    made = [picture(k) for k in range(KINDS_OF_SAMPLES)]
    with parquet.ParquetWriter(path, schema) if suffix == ".parquet" else pa.ipc.new_file(path, schema) as out:
        for start in range(0, count, 1000):
            rows = range(start, min(start + 1000, count))
            out.write_table(
                pa.table({"image": [made[k % len(made)] for k in rows], "label": [k % 10 for k in rows]}, schema)
            )
    return path


def numbers(folder: Path, count: int) -> str:
    import pyarrow as pa
    from pyarrow import parquet

    kind = pa.list_(pa.uint8(), int(np.prod(SHAPE)))
    with parquet.ParquetWriter(folder / "d.parquet", pa.schema({"x": kind})) as out:
        for part in blocks(count):
            out.write_table(pa.table({"x": pa.FixedSizeListArray.from_arrays(part.reshape(-1), kind.list_size)}))
    return str(folder / "d.parquet")


def items(_: Path, count: int) -> Any:
    from torch.utils.data import Dataset

    class Items(Dataset):
        def __len__(self) -> int:
            return count

        def __getitem__(self, k: int) -> Any:
            if not 0 <= k < count:
                raise IndexError(k)
            return sample(k), k % 10

    return Items()


def iterable(_: Path, count: int) -> Any:
    from torch.utils.data import IterableDataset

    class Stream(IterableDataset):
        def __iter__(self) -> Iterator[Any]:
            return ((sample(k), k % 10) for k in range(count))

    return Stream()


def loader(folder: Path, count: int) -> Any:
    from torch.utils.data import DataLoader

    return DataLoader(items(folder, count), batch_size=50)


def keras(_: Path, count: int) -> Any:
    class PyDataset:  # what of keras.utils.PyDataset is used; Keras itself need not be there
        num_batches = count // 50

        def __len__(self) -> int:
            return self.num_batches

        def __getitem__(self, k: int) -> Any:
            return np.stack([sample(50 * k + j) for j in range(50)]), np.arange(50) % 10

    return PyDataset()


KINDS: dict[str, Callable[[Path, int], Any]] = {
    ".npy": npy,
    ".npz": lambda folder, count: npz(folder, count, False),
    ".npz, compressed": lambda folder, count: npz(folder, count, True),
    "idx.gz": idx,
    "folder of pictures": pictures,
    "Parquet, encoded pictures": lambda folder, count: table(folder, count, ".parquet"),
    "Arrow, encoded pictures": lambda folder, count: table(folder, count, ".arrow"),
    "Parquet, lists of numbers": numbers,
    "torch Dataset": items,
    "torch IterableDataset": iterable,
    "DataLoader": loader,
    "Keras PyDataset": keras,
    "generator": lambda folder, count: iter(iterable(folder, count)),
    "reservoir of 500 of a generator": lambda folder, count: iter(iterable(folder, count)),
}


def private() -> float:
    """Private memory in MB."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("RssAnon:")[2].split()[0]) * 1024 / 1e6


def read(kind: str, given: Any, count: int, answer: Connection) -> None:
    """Read all samples of a data set that lies there, and say by how much private memory grew at most."""
    import torch

    from spikewright.data import as_dataset, load_data

    torch.set_num_threads(1)
    folder = Path()
    inputs = {"x": SHAPE}
    if not isinstance(given, str):
        given = KINDS[kind](folder, count)
    warm = as_dataset(np.zeros((BATCH, *SHAPE), np.uint8), inputs)
    _ = warm.fingerprint, list(warm.batches(BATCH))
    before, started, most, seen = private(), time.process_time(), 0.0, 0
    data = load_data(given, inputs=inputs) if isinstance(given, str) else as_dataset(given, inputs)
    if kind.startswith("reservoir"):
        data = data.sample(500)
    for x, _ in data.noting_batches(BATCH):
        seen += len(x)
        most = max(most, private())
    _ = data.fingerprint, data.targets
    assert seen == (500 if kind.startswith("reservoir") else count), seen
    answer.send((max(most, private()) - before, time.process_time() - started))


def measured(kind: str, count: int) -> tuple[float, float]:
    folder = Path(tempfile.mkdtemp(prefix="spikewright-data-memory-"))
    try:
        given = KINDS[kind](folder, count)
        context = multiprocessing.get_context("spawn")
        here, there = context.Pipe()
        process = context.Process(target=read, args=(kind, given if isinstance(given, str) else None, count, there))
        process.start()
        there.close()
        found: tuple[float, float] = here.recv()
        process.join()
        return found
    finally:
        shutil.rmtree(folder)


def known() -> dict[str, str]:
    """The rows of the result that is there, by kind."""
    lines = RESULT.read_text(encoding="utf-8").splitlines() if RESULT.exists() else []
    return {kind: line for line in lines for kind in KINDS if line.startswith(f"| {kind} |")}


def main() -> None:
    rows = known()
    head = [
        "# Memory of data sets",
        "",
        "Growth of private memory, at its peak, while all samples of 48 KiB are read as calibration reads them: "
        f"batches of {BATCH} as float32 (12.6 MB each), digests and labels noted on the way. A process each; the "
        "reservoir keeps 500 samples (25 MB).",
        "",
        f"| data set | {COUNTS[0]:,} samples, MB | {COUNTS[1]:,} samples, MB | difference, MB | CPU ms a sample |",
        "|---|---|---|---|---|",
    ]
    foot = ["", f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}.", ""]
    for kind in sys.argv[1:] or KINDS:
        (few, _), (many, seconds) = (measured(kind, count) for count in COUNTS)
        rows[kind] = f"| {kind} | {few:.0f} | {many:.0f} | {many - few:+.0f} | {1000 * seconds / COUNTS[1]:.2f} |"
        print(rows[kind], flush=True)
        RESULT.write_text("\n".join(head + [rows[k] for k in KINDS if k in rows] + foot), encoding="utf-8")


if __name__ == "__main__":
    main()
