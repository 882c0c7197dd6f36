# %% [markdown]
# # Events, and the gain
#
# An event camera sends no pictures. Each of its pixels says, by itself and at once,
# that it became brighter or darker. A spiking network can run on these events as they
# come. This page records some pictures with a simulated camera, trains a network on
# *frames* of the events, converts it, and runs it on the events themselves; then it
# finds the gain that makes it answer well.

# %%
import math

import numpy as np
import torch
from matplotlib import pyplot as plt
from torch import nn

import spikewright as sw
from spikewright.data import Recordings
from spikewright.demo import CLASSES, demo_data
from spikewright.demo.camera import Camera

# %% [markdown]
# ## Recordings
#
# The camera looks at a picture that moves along a triangle for 120 ms, as the one of
# N-MNIST did. It has 34×34 pixels with thresholds that differ a little, a time in which
# they are blind, and noise. Files of real cameras are read by
# `sw.load_recording("user01.aedat4")`; arrays, like these, are recordings too.

# %%
TRAIN, TEST = 1000, 200


def recorded(data: sw.Dataset, first: int) -> tuple[sw.Recording, ...]:
    x, _ = data.arrays()
    events = Camera().record(255 * x[:, 0], first)
    return tuple(
        sw.load_recording(one, sensor=(34, 34), order="xytp", unit="us")
        for one in events
    )


train_pictures, test_pictures = demo_data(labelled=True)
train_pictures, test_pictures = train_pictures.take(TRAIN), test_pictures.take(TEST)
train_recordings = recorded(train_pictures, 0)
test_recordings = recorded(test_pictures, TRAIN)
recording = test_recordings[0]
print(CLASSES[test_pictures.labels[0]], len(recording), "events")

# %% [markdown]
# Times are microseconds, `p` is true where it became brighter. Ten milliseconds each
# from the beginning:

# %%
x, y, t, p = recording.columns("x", "y", "t", "p")
figure, axes = plt.subplots(1, 6, figsize=(9, 1.8))
for k, axis in enumerate(axes):
    now = (t >= 10_000 * k) & (t < 10_000 * (k + 1))
    axis.scatter(x[now], y[now], s=2, c=np.where(p[now], "tab:orange", "tab:blue"))
    axis.set(xlim=(0, 34), ylim=(34, 0), xticks=[], yticks=[], aspect="equal")
    axis.set_title(f"{10 * k} to {10 * k + 10} ms", fontsize=9)

# %%
recording

# %% [markdown]
# ## Frames, to train on
#
# A network is trained on frames: events counted, pixel by pixel, darker and brighter
# apart. How they are cut is one value, the binning, and it is stored with the network.
# Here each recording makes one frame, and an event counts a quarter.

# %%
binning = sw.Binning(frames=1, scale=0.25)
train = Recordings(train_recordings, binning, train_pictures.labels, CLASSES)
test = Recordings(test_recordings, binning, test_pictures.labels, CLASSES)
train

# %%
EPOCHS, BATCH = 8, 50

frames, labels = (torch.from_numpy(array) for array in train.frames.arrays())
torch.manual_seed(0)
module = nn.Sequential(
    nn.Conv2d(2, 8, 5, stride=2), nn.ReLU(), nn.Conv2d(8, 16, 3, stride=2), nn.ReLU(),
    nn.Conv2d(16, 32, 3), nn.ReLU(), nn.Flatten(), nn.Linear(800, 10),
)  # fmt: skip
optimiser = torch.optim.AdamW(module.parameters(), 3e-3, weight_decay=1e-2)
schedule = torch.optim.lr_scheduler.OneCycleLR(
    optimiser, 5e-3, total_steps=EPOCHS * math.ceil(len(frames) / BATCH)
)
for _ in range(EPOCHS):
    for rows in torch.randperm(len(frames)).split(BATCH):
        loss = nn.functional.cross_entropy(module(frames[rows]), labels[rows])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
print(f"loss {loss.item():.2f}")

# %% [markdown]
# ## Convert, and run on events
#
# λ are found on the frames. Then `dt` says how long a timestep is: events reach the
# network in the millisecond in which the camera sent them, and the answer is there at
# every millisecond, while the recording still goes on.

# %%
graph = sw.load(module.eval(), shape=(2, 34, 34))
conversion = sw.convert(graph, train, "percentile:99,channels", neurons="spikes=multi")
measures = sw.measure(conversion, test, dt=1e-3)
measures

# %% [markdown]
# That is far below the trained network on frames. Why? On pictures a neuron hears its
# input again at every timestep. Here every event comes once: over a whole recording a
# neuron sends about activation ÷ λ spikes, one or two, and the layers behind it hear
# the first of them late.
#
# ## The gain
#
# The remedy is a factor on the weights of the first layer, the *gain*: g times as many
# spikes go through the network, which answers sooner and more finely, and works more.
# `tune` tries a grid of gains on recordings that it holds out, and a rule says what is
# wanted.

# %%
grid = ["method=percentile:99,channels", "spikes=multi", "gain=1..9:2"]
tuning = sw.tune(graph, train, grid, rules="fewest synops within 3 points", dt=1e-3)
print(tuning)

# %% [markdown]
# What each gain reaches, and what it takes; the trained network's score on the same
# recordings is the dashed line.

# %%
figure, axis = plt.subplots(figsize=(6, 3.2))
for row in tuning.rows:
    axis.plot(row.synops / 1e6, 100 * row.score, "o", color="tab:blue")
    axis.annotate(f" gain {row.point['gain']}", (row.synops / 1e6, 100 * row.score))
axis.axhline(100 * tuning.reference, ls="--", color="gray")
axis.set(xlabel="million synaptic operations a recording", ylabel="accuracy, %")
figure.tight_layout()

# %% [markdown]
# The recommended network was made on all training recordings. On the test recordings:

# %%
chosen = sw.measure(tuning.conversion, test, dt=1e-3)
chosen

# %%
sw.plot.accuracy({"gain 1": measures, "recommended": chosen}, linear=True)

# %% [markdown]
# The axis is milliseconds. The recommended network knows most of what it will know long
# before the recording ends.
#
# ## See it
#
# `sw.recording_report` writes a page about one recording: its events, its frames, and a
# run on it as an animation.

# %%
page = sw.recording_report(
    "recording.html", recording, binning, tuning.conversion, dt="1ms", force=True
)
print(page.name, f"{page.stat().st_size / 1e3:.0f} kB")

# %% [markdown]
# ## Now you
#
# - Let neurons send spikes of −1 as well: add `"neurons=signed"` to the grid. What does
#   a recording cost now?
# - Train it on, on events: `sw.training.finetune(tuning.conversion, train, dt=5e-3,
#   epochs=2)`; how is told in [fine-tuning](fine_tuning.ipynb).
# - Formats of files, filters, other binnings: [recordings of event
#   cameras](../../docs/recordings.md). More about grids and rules:
#   [tuning](../../docs/tuning.md).
