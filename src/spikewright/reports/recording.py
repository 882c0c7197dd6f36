"""The page of a recording: its events over time, its frames, and what a network makes of it while it goes on."""

from __future__ import annotations

from html import escape
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikewright.conversion import Conversion, spiking_graph
from spikewright.data.recordings import Recordings
from spikewright.engines import Run, simulate
from spikewright.errors import SettingsError
from spikewright.files import write_text
from spikewright.graph import Graph
from spikewright.recordings import Binning, Recording, binning_of
from spikewright.recordings.columns import Columns
from spikewright.recordings.durations import seconds_of
from spikewright.reports.charts import LARGE, Chart, framed
from spikewright.reports.document import Document, check_report
from spikewright.reports.pixels import frame_picture
from spikewright.reports.reproducing import settings_section
from spikewright.text import short

EVENTS, FRAMES, MOMENTS, SECONDS = 6000, 12, 60, 6
"""How many events and frames are drawn, moments of the animation, and seconds that it takes."""
ANSWERS = 30
"""Classes up to which an answer is drawn."""


def recording_report(
    path: Path | str,
    recording: Recording,
    binning: Binning | str,
    network: Conversion | Graph | None = None,
    dt: float | str | None = None,
    *,
    force: bool = False,
) -> Path:
    """Write what is in a recording as one HTML page that needs nothing else, whole or not at all.

    Args:
        path: of the page.
        recording: of a camera.
        binning: how it becomes frames.
        network: run on its events, as a short animation.
        dt: of that run: seconds, or a text like "1ms".
        force: whether a file that stands there is replaced.

    Returns:
        the path.

    Raises:
        SettingsError: for a name that is no page's, or a network without dt.
        DataError: for a damaged recording, and frames that the network does not take.
        StorageError: when a file stands there, or it cannot be written.
    """
    check_report(path, force)
    cut = binning_of(binning)
    if network is not None and dt is None:
        raise SettingsError("a network runs on the events at a timestep: give dt, as in dt='1ms'")
    document = Document()
    frames = list(islice(cut.frames_in(recording), FRAMES))
    sections = [
        f"<h1>{escape(recording.name)}</h1>{_facts(recording)}",
        "<h2>Events</h2>" + document.figure(raster(recording), "Rows of the sensor against time"),
        f"<h2>Frames</h2><p class='soft'>{escape(_told(cut, recording, len(frames)))}</p>{_frames(frames)}",
    ]
    if network is not None and dt is not None:
        step = seconds_of(dt, "dt")
        data = Recordings((recording,), cut)
        run = simulate(network, data, dt=step, quiet=True)
        classes = network.classes if isinstance(network, Conversion) else ()
        sections.append(f"<h2>A run on its events</h2>{animation(data, run, step, classes)}")
    settings = {"recording": recording.name, "binning": str(cut), "dt": dt}
    if network is not None:
        settings["network"] = spiking_graph(network).fingerprint
    sections.append(settings_section(settings))
    title = f"Recording {Path(recording.name).name}"
    write_text(path, document.html(title, "\n".join(sections)), force)
    return Path(path)


def raster(recording: Recording) -> Chart:
    """Its events: row against time, brighter and darker ones; of many evenly some."""
    every = max(1, -(-len(recording) // EVENTS))
    kept: list[Columns] = []
    seen = 0
    for piece in recording.ordered():
        first = -seen % every
        kept.append(piece[first::every])
        seen += len(piece)
    shown = Columns.joined(kept)
    traces = [
        {
            "x": ((shown.t[which] - recording.start) / 1000).tolist(),
            "y": shown.y[which].tolist(),
            "name": name,
            "mode": "markers",
            "marker": {"size": 3, "color": colour, "opacity": 0.6},
            "hovertemplate": "%{x} ms, row %{y}",
        }
        for name, colour, which in (("brighter", "c0", shown.p), ("darker", "c1", ~shown.p))
    ]
    some = "" if every == 1 else f" (one of {every:,} events)"
    rows = {"autorange": "reversed", "zeroline": False}
    length = {"range": [0, max(recording.duration * 1000, 1e-3)], "zeroline": False}
    return framed(traces, f"milliseconds{some}", "row", xaxis=length, yaxis=rows, height=LARGE, legend=True)


def _facts(recording: Recording) -> str:
    width, height = recording.sensor_size
    count, seconds = len(recording), recording.duration
    facts = (
        (short(count), "events"),
        (f"{seconds:.4g} s", "long"),
        (f"{width}×{height}", "sensor"),
        (short(count / seconds) if seconds else "0", "events a second"),
    )
    cards = "".join(f"<div class='fact'><b>{escape(a)}</b><span>{escape(b)}</span></div>" for a, b in facts)
    notes = "".join(f"<li class='warning'>{escape(note)}</li>" for note in recording.notes)
    return f"<div class='facts'>{cards}</div>" + (f"<ul class='seen'>{notes}</ul>" if notes else "")


def _told(binning: Binning, recording: Recording, shown: int) -> str:
    total = binning.frames_of(recording)
    some = f"the first {shown} of {total:,}" if shown < total else f"{total:,}"
    return f"Binning {binning}: {some} frame{'s' * (total != 1)}; blue is brighter, orange darker."


def _frames(frames: list[NDArray[np.float32]]) -> str:
    most = max((float(np.abs(frame).max()) for frame in frames), default=1.0)
    style = "width:min(140px,calc(50% - 12px));image-rendering:pixelated;border:1px solid var(--line);margin:4px"
    return "".join(
        f"<img alt='frame {k}' style='{style}' src='{frame_picture(frame, most)}'>" for k, frame in enumerate(frames, 1)
    )


def animation(data: Recordings, run: Run, dt: float, classes: tuple[str, ...]) -> str:
    """What came and what the network answered, moment after moment, as an SVG picture that moves by itself.

    Args:
        data: the one recording.
        run: of a network on it.
        dt: seconds of its timesteps.
        classes: the names of the classes, where they have any.
    """
    batch = data.events(dt).batch(0, 1)
    moments = min(MOMENTS, run.timesteps)
    ends = np.linspace(0, run.timesteps, moments + 1).astype(np.int64)
    shape = data.binning.shape(data.items[0].sensor_size)
    size = int(np.prod(shape))
    pictures = []
    for first, last in pairwise(ends):
        here = (batch.timestep >= first) & (batch.timestep < last)
        frame = np.bincount(batch.neuron[here], batch.value[here], size)
        laid = frame.reshape(*shape[1:], shape[0]) if data.channels_last else frame.reshape(shape)
        pictures.append(np.moveaxis(laid, -1, 0) if data.channels_last else laid)
    most = max(float(np.abs(picture).max()) for picture in pictures)
    images = "".join(
        f"<image x='0' y='0' width='300' height='300' href='{frame_picture(one, most)}' opacity='0' "
        f"style='image-rendering:pixelated'>{_at(k, moments)}</image>"
        for k, one in enumerate(pictures)
    )
    answers = run.output[0]
    bars = _bars(answers[ends[1:] - 1], classes) if answers.ndim == 2 and answers.shape[1] <= ANSWERS else ""
    times = "".join(
        f"<text x='0' y='322' opacity='0'>{1000 * dt * int(end):.4g} ms{_at(k, moments)}</text>"
        for k, end in enumerate(ends[1:])
    )
    return (
        f"<figure><figcaption>{run.timesteps:,} timesteps of {1000 * dt:g} ms, shown in {SECONDS} s: events that came, "
        "and the answer so far</figcaption><div class='moving'>"
        "<svg viewBox='-6 -6 780 340' role='img' style='width:100%;max-width:780px' "
        f"font-size='13' fill='currentColor'>{images}<rect x='0' y='0' width='300' height='300' fill='none' "
        f"stroke='currentColor' stroke-opacity='0.3'/>{times}{bars}</svg></div></figure>"
    )


def _bars(answers: NDArray[Any], classes: tuple[str, ...]) -> str:
    """A bar for each class, as long as its answer lies above the lowest."""
    low, high = float(answers.min()), float(answers.max())
    lengths = 300 * (answers - low) / ((high - low) or 1.0)
    height = min(26.0, 300 / answers.shape[1])
    best = answers.argmax(axis=1)
    found = []
    for k in range(answers.shape[1]):
        name = classes[k] if k < len(classes) else str(k)
        top = k * height
        strength = [1 if one == k else 0.35 for one in best.tolist()]
        found.append(
            f"<text x='385' y='{top + 0.65 * height:.1f}' text-anchor='end'>{escape(name[:12])}</text>"
            f"<rect x='395' y='{top + 2:.1f}' height='{height - 4:.1f}' width='0' fill='var(--c0)'>"
            f"{_moving('width', [round(float(one), 1) for one in lengths[:, k]])}"
            f"{_moving('fill-opacity', strength)}</rect>"
        )
    return "".join(found)


def _at(moment: int, moments: int) -> str:
    """What makes something seen at one moment alone."""
    return _moving("opacity", [int(k == moment) for k in range(moments)])


def _moving(what: str, values: list[Any]) -> str:
    """An attribute that takes one value after the other, again and again."""
    told = ";".join(map(str, values))
    return (
        f"<animate attributeName='{what}' values='{told}' dur='{SECONDS}s' calcMode='discrete' "
        "repeatCount='indefinite'/>"
    )
