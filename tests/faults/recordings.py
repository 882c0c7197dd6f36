"""Every format of recordings, as ``formats`` has all else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from faults import mutations as m
from faults.format import Format
from spikewright.recordings import load_recording

FILES = Path(__file__).parents[1] / "recordings/files"
RECORDINGS = {
    "sample_nmnist.bin": ".bin",
    "peer_faery_evt2.raw": ".raw",
    "vectors_evt3.raw": ".raw",
    "peer_faery.dat": ".dat",
    "peer_event_stream.es": ".es",
    "aedat2": ".aedat",
    "aedat3": ".aedat",
    "tiny.aedat4": ".aedat4",
    "peer_dv_lz4.aedat4": ".aedat4",
    "peer_dv_zstd.aedat4": ".aedat4",
    "npz": ".npz",
    "hdf5": ".h5",
}


def recordings() -> list[Format]:
    return [recording(name, suffix) for name, suffix in RECORDINGS.items()]


def recording(name: str, suffix: str) -> Format:
    """A recording in a format; ``name`` is that of the good file among the tests', or of a way to write one."""
    target = f"recording_{name.partition('.')[0]}{suffix}"

    def write(folder: Path) -> None:
        place = folder / target
        random = np.random.default_rng(0)
        table = {key: random.integers(0, 30, 200) for key in "xyp"} | {"t": np.cumsum(random.integers(0, 999, 200))}
        facts = json.loads((FILES / "facts.json").read_text())
        if name in facts:
            fact = facts[name]
            place.write_bytes(bytes.fromhex(fact if isinstance(fact, str) else fact["hex"]))
        elif suffix == ".npz":
            np.savez_compressed(place, **table, width=34, height=34)
        elif suffix == ".h5":
            import h5py

            with h5py.File(place, "w") as file:
                for key, values in table.items():
                    file[f"events/{key}"] = values
                file["t_offset"] = 5
        else:
            content = (FILES / name).read_bytes()
            place.write_bytes(content[: 5 * 400] if suffix == ".bin" else content)

    def read(folder: Path) -> Any:
        recording = load_recording(folder / target, sensor=(346, 260))
        counts = [len(batch) for batch in recording.batches(count=100)]
        facts = recording.facts
        if (facts.last - facts.first) / 1e6 < 60:
            counts += [len(batch) for batch in recording.batches(time=0.1)]
        return counts, facts, [column.tobytes() for column in recording.columns()], recording.source.sensor_size

    inside = {".npz": (m.in_zip(),), ".h5": (m.in_hdf5,)}.get(suffix, ())
    return Format(target, write, read, inside)
