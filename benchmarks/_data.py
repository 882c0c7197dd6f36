"""Data for benchmarks: from SPIKEWRIGHT_DATA, else from a cache folder filled from the official address."""

from __future__ import annotations

import hashlib
import os
import urllib.request
from pathlib import Path

ADDRESSES = {
    "mnist": "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "fashion-mnist": "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
}
SHA256 = {
    "fashion-mnist/t10k-images-idx3-ubyte.gz": "cc1d090a38ace84dfa1aa66e3ada7c336ef481a96936906477e6dd344da56eaa",
    "fashion-mnist/t10k-labels-idx1-ubyte.gz": "8d3605d196f4be44669e46906da9733c8131fef761fdbfec72c424d5222f1a05",
    "fashion-mnist/train-images-idx3-ubyte.gz": "b0564c3eedabfbf835052cff8503ea422014ce006caf5b757f851416ee8300c7",
    "fashion-mnist/train-labels-idx1-ubyte.gz": "0ae29f65d86684f32d1b9c85147786c547b9c6aebcaf235f0400a0cce308b056",
    "mnist/t10k-images-idx3-ubyte.gz": "1a1a05eab793c14bb050b398624a11b0ffd1a2953baed553b1b9bd079e2a20be",
    "mnist/t10k-labels-idx1-ubyte.gz": "b91679a0acfe4ba0e50a2437a903084cba1f5f92592b016a25a7dfd00455798b",
    "mnist/train-images-idx3-ubyte.gz": "0b367032e93c5d0cea0925647cfdb18614af8ee15f83e6f2fc2ad904a6835971",
    "mnist/train-labels-idx1-ubyte.gz": "1787548bbe0bff1ec2ecdc0ef292b02df999e2d1a6002d27500982c652b17203",
}


def folder(name: str) -> Path:
    """The folder of a data set's idx.gz files, complete and checked.

    Raises:
        SystemExit: when a file is damaged or cannot be fetched.
    """
    given = os.environ.get("SPIKEWRIGHT_DATA")
    root = Path(given) if given else Path.home() / ".cache" / "spikewright"
    for path, digest in SHA256.items():
        if not path.startswith(f"{name}/"):
            continue
        file = root / path
        if not file.exists():
            if given:
                raise SystemExit(f"{file} is missing; put it there or unset SPIKEWRIGHT_DATA")
            fetch(ADDRESSES[name] + file.name, file)
        if hashlib.sha256(file.read_bytes()).hexdigest() != digest:
            raise SystemExit(f"{file} is not the official file; remove it and try again")
    return root / name


def fetch(address: str, file: Path) -> None:
    """Download one file, whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(".part")
    try:
        urllib.request.urlretrieve(address, part)
    except OSError as error:
        raise SystemExit(f"cannot fetch {address}: {error}; set SPIKEWRIGHT_DATA to a folder that has it") from error
    part.replace(file)
