"""Writes the files ``peer_*`` beside this one with the libraries of others; run once, in an environment of their own.

    pip install faery==0.7.1 dv-processing==2.0.4 event_stream==1.6.3 expelliarmus==1.1.12
    python tests/recordings/files/by_peers.py

What they hold is made of a seed: ``events()``, which the tests call too.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
WIDTH, HEIGHT, COUNT = 304, 240, 2000


def events(seed: int = 15) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """x, y, t and p of some events over 3 s, with many at one time and long gaps."""
    random = np.random.default_rng(seed)
    gaps = random.choice([0, 0, 0, 1, 7, 300, 5000, 40_000], COUNT, p=[0.3, 0.1, 0.1, 0.2, 0.2, 0.08, 0.015, 0.005])
    x, y = random.integers(0, WIDTH, COUNT), random.integers(0, HEIGHT, COUNT)
    return x, y, 1_000 + np.cumsum(gaps), random.integers(0, 2, COUNT)


def main() -> None:
    import dv_processing as dv
    import event_stream
    import expelliarmus
    import faery

    x, y, t, p = events()
    table = np.array(list(zip(t, x, y, p, strict=True)), faery.EVENTS_DTYPE)
    stream = faery.events_stream_from_array(table, (WIDTH, HEIGHT))
    stream.to_file(HERE / "peer_faery_evt2.raw", version="evt2", zero_t0=False)
    stream.to_file(HERE / "peer_faery_evt3.raw", version="evt3", zero_t0=False)
    stream.to_file(HERE / "peer_faery.dat", version="dat2", zero_t0=False)

    with event_stream.Encoder(str(HERE / "peer_event_stream.es"), "dvs", WIDTH, HEIGHT) as encoder:
        encoder.write(np.array(list(zip(t, x, HEIGHT - 1 - y, p, strict=True)), event_stream.dvs_dtype))

    wizard = expelliarmus.Wizard(encoding="dat")
    made = np.array(list(zip(t, x, y, p, strict=True)), [("t", "<i8"), ("x", "<i2"), ("y", "<i2"), ("p", "u1")])
    wizard.save(fpath=str(HERE / "peer_expelliarmus.dat"), arr=made)
    expelliarmus.Wizard(encoding="evt2").save(fpath=str(HERE / "peer_expelliarmus_evt2.raw"), arr=made)

    for name in ("NONE", "LZ4", "ZSTD"):
        config = dv.io.MonoCameraWriter.Config("peer")
        config.compression = getattr(dv.CompressionType, name)
        config.addEventStream((WIDTH, HEIGHT))
        writer = dv.io.MonoCameraWriter(str(HERE / f"peer_dv_{name.lower()}.aedat4"), config)
        store = dv.EventStore()
        for one in zip(t, x, y, p, strict=True):
            store.push_back(int(one[0]), int(one[1]), int(one[2]), bool(one[3]))
        writer.writeEvents(store)
        del writer


if __name__ == "__main__":
    main()
