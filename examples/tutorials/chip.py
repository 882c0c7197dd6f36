# %% [markdown]
# # A network on a chip
#
# Will it fit, what would make it fit, how busy are its cores, and what does the chip's
# arithmetic cost? This page answers for a Speck, a chip of nine cores that computes
# event by event in small integers, before there is a board, and without the vendor's
# software.

# %%
import math
from collections import OrderedDict

import torch
from torch import nn

import spikewright as sw
from spikewright.demo import demo_data

# %% [markdown]
# ## Ask before you train
#
# `check` takes a network that is not trained yet: whether it fits is a matter of sizes.
# A usual small CNN:

# %%
usual = nn.Sequential(
    OrderedDict(
        conv1=nn.Conv2d(1, 32, 5, padding=2), relu1=nn.ReLU(), pool1=nn.AvgPool2d(2),
        conv2=nn.Conv2d(32, 64, 3, padding=1), relu2=nn.ReLU(), pool2=nn.MaxPool2d(2),
        flat=nn.Flatten(), fc1=nn.Linear(64 * 49, 128), relu3=nn.ReLU(),
        fc2=nn.Linear(128, 10),
    )
)  # fmt: skip
fit = sw.check(sw.load(usual.eval(), shape=(1, 28, 28)), "speck2f", dt=1e-3)
fit

# %% [markdown]
# The floor plan has the nine cores, what fills their memories, and below them the layer
# that none can hold. Two things are in the way, and both are said with what would do
# instead: a chip adds up events and cannot find the largest, so no max pooling; and the
# dense layer is larger than any core.

# %% [markdown]
# ## One that fits
#
# Average pools are free. A third convolution and another pool make the map small before
# the dense layer.

# %%
EPOCHS, BATCH = 8, 50

train, test = demo_data(labelled=True)
pictures, labels = (torch.from_numpy(array) for array in train.arrays())

torch.manual_seed(0)
module = nn.Sequential(
    OrderedDict(
        conv1=nn.Conv2d(1, 8, 3, padding=1, bias=False), norm1=nn.BatchNorm2d(8),
        relu1=nn.ReLU(), pool1=nn.AvgPool2d(2),
        conv2=nn.Conv2d(8, 16, 3, padding=1, bias=False), norm2=nn.BatchNorm2d(16),
        relu2=nn.ReLU(), pool2=nn.AvgPool2d(2),
        conv3=nn.Conv2d(16, 32, 3, bias=False), norm3=nn.BatchNorm2d(32),
        relu3=nn.ReLU(),
        flat=nn.Flatten(), fc=nn.Linear(800, 10),
    )
)  # fmt: skip
optimiser = torch.optim.AdamW(module.parameters(), 1e-2)
schedule = torch.optim.lr_scheduler.OneCycleLR(
    optimiser, 1e-2, total_steps=EPOCHS * math.ceil(len(pictures) / BATCH)
)
for _ in range(EPOCHS):
    for rows in torch.randperm(len(pictures)).split(BATCH):
        loss = nn.functional.cross_entropy(module(pictures[rows]), labels[rows])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
graph = sw.load(module.eval(), shape=(1, 28, 28))

# %% [markdown]
# ## Convert for the chip
#
# The chip cannot read potentials, so the answer is the class that sends most spikes:
# `readout="count"`. Given data, `check` runs some samples and says how many synaptic
# operations every core would do in a second.

# %%
conversion = sw.convert(graph, train, "percentile:99.9,channels", readout="count")
fit = sw.check(conversion, "speck2f", dt=1e-3, data=test.take(20), timesteps=32)
fit

# %% [markdown]
# Folded batch norms leave biases. On the chip these are added at each tick of a slow
# clock, once a timestep of `dt`, and a line above says at which rate it must tick.
#
# ## In the chip's integers
#
# Weights become integers of 8 bits, thresholds and potentials of 16. `quantise` chooses
# the factor of each layer on calibration samples, and says what every layer loses.

# %%
quantised = sw.quantise(conversion, "speck2f", data=train.take(100))
print(quantised)

# %% [markdown]
# What is lost by rounding, and by the chip working event by event instead of step by
# step? The same pictures, as the same events, for the trained network, for the spiking
# network in steps, and for the chip:

# %%
compared = sw.compare_on_chip(
    quantised, test.take(100), sw.PictureTrains(timesteps=32), beside=conversion
)
print(compared)

# %% [markdown]
# ## Less work
#
# Operations are what a chip's energy goes into. Half the gain of λ means half the
# spikes:

# %%
for gain in (1.0, 0.5):
    one = sw.convert(
        graph,
        train,
        "percentile:99.9,channels",
        readout="count",
        correct=f"gain:{gain}",
    )
    measures = sw.measure(one, test.take(100), timesteps=32)
    work, right = measures.total_synops, measures.accuracy[-1]
    print(f"gain {gain}: {work:,.0f} operations a sample, accuracy {right:.1%}")

# %% [markdown]
# ## Hand it over
#
# Settings of the cores as JSON for the vendor's package, arrays, a C header, memory
# files for FPGAs: the suffix says which. And a page with all of the above.

# %%
for name in ("speck.json", "chip.npz", "chip.h", "chip.zip"):
    sw.export_chip(quantised, name, force=True)
sw.report("chip.html", fit, compared, force=True)
print(fit.cores)

# %% [markdown]
# ## Now you
#
# - Give a limit, `synops_limit=1e5` for every core: which core is too busy, and what
#   does `try_remedies=True` find?
# - Train it further in the chip's integers: `sw.training.finetune(conversion, train,
#   timesteps=8, chip="speck2f")`, as in [fine-tuning](fine_tuning.ipynb).
# - A residual network that fits, other chips, a chip of your own:
#   [chips](../../docs/chips.md). How the chip is simulated: [what a chip
#   computes](../../docs/chip_simulation.md).
