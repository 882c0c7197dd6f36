# %% [markdown]
# # Fine-tuning for few timesteps
#
# A conversion computes what the trained network does once it has the time. In one or
# two timesteps much of it is lost, however λ are chosen. Training the spiking network
# itself, from where conversion ended, brings most of that back. This page does so in a
# minute: first for the score alone, then under a limit on synaptic operations.

# %%
import torch
from torch import nn

import spikewright as sw
from spikewright.demo import demo_data, demo_graph

# %% [markdown]
# ## Converted, as well as it goes
#
# The network and the pictures are those that come with Spikewright, this time with the
# labels of the 1,500 training pictures. The network was trained on 60,000 of them; a
# little data goes a long way when one starts from there.
#
# One timestep: each neuron sends a spike or none, and the answer is read. This is what
# conversion makes of it, plain, and with potentials and biases tuned for T = 1.

# %%
T = 1

train, test = demo_data(labelled=True)
test = test.take(400)
graph = demo_graph()
plain = sw.convert(graph, train, "percentile:99.9")
tuned = sw.convert(
    graph, train, "percentile:97,channels", correct=f"v_init_and_bias:{T}"
)
before = {
    name: sw.measure(one, test, timesteps=T)
    for name, one in (("plain", plain), ("tuned", tuned))
}
for name, measures in before.items():
    print(f"{name:16} T={T}: {measures.accuracy[-1]:.1%}")
print(f"{'trained network':16} {measures.analog_accuracy:.1%}")

# %% [markdown]
# ## Trained on
#
# A spike is 0 or 1: it has no slope to learn by, so something smooth stands for it on
# the way back, a *surrogate gradient*. `finetune` learns from the labels, and from the
# answers of the trained network; either alone will do. The weights need little change,
# so that few epochs are enough.

# %%
FINETUNING = 4

found = sw.training.finetune(tuned, train, timesteps=T, epochs=FINETUNING, seed=0)
print("mean loss of each epoch:", *(f"{loss:.3f}" for loss in found.history))
after = sw.measure(found.conversion, test, timesteps=T)
print(
    f"T={T}: {before['tuned'].accuracy[-1]:.1%} before, {after.accuracy[-1]:.1%} after"
)

# %% [markdown]
# Accuracy in one timestep, and how long the plain conversion takes to get there:

# %%
long_run = sw.measure(plain, test.take(200), timesteps=32)
curve = [one.accuracy[-1] for one in (before["tuned"], after)]
reached = int((long_run.accuracy >= after.accuracy[-1]).argmax()) + 1
print(f"the plain conversion is as good from T = {reached} on")
sw.plot.accuracy(
    {"plain": long_run, "tuned for T=1": curve[:1], "fine-tuned for T=1": curve[1:]}
)

# %% [markdown]
# What comes out is a conversion like the one that went in: `save`, `simulate`, `check`,
# `export` take it. It remembers what it was trained on, and `measure` refuses these
# samples:

# %%
try:
    sw.measure(found.conversion, train, timesteps=T)
except sw.SpikewrightError as error:
    print(error)

# %% [markdown]
# ## With a limit on operations
#
# Every spike costs an operation at each neuron that it reaches. `synops_limit` adds
# what exceeds a limit to the loss, so that the network learns to answer with fewer
# spikes. The limit is half of what it takes in four timesteps:

# %%
STEPS = 4

four = sw.convert(
    graph, train, "percentile:98,channels", correct=f"v_init_and_bias:{STEPS}"
)
cost = sw.measure(four, test, timesteps=STEPS)
limit = {"total": cost.total_synops / 2}
cheap = sw.training.finetune(
    four,
    train,
    timesteps=STEPS,
    epochs=FINETUNING,
    synops_limit=limit,
    seed=0,
)
cheaper = sw.measure(cheap.conversion, test, timesteps=STEPS)
for name, one in (("before", cost), ("after", cheaper)):
    work, right = one.total_synops, one.accuracy[-1]
    print(f"{name:7} {work:,.0f} operations a sample, accuracy {right:.1%}")

# %% [markdown]
# A third is saved for two points. Four epochs on so few pictures do not reach the
# limit: more of them come closer, and `synops_weight` pulls harder. Where it was saved,
# layer by layer:

# %%
table = cost.to_pandas("layers")[["layer", "synops of spikes"]]
table["after fine-tuning"] = cheaper.to_pandas("layers")["synops of spikes"]
table.set_index("layer").round().astype(int)

# %% [markdown]
# ## In a loop of your own
#
# `sw.training.module` makes an ordinary `nn.Module` of a conversion, for any loss and
# any optimiser, and `sw.training.conversion` makes a conversion of that again.

# %%
pictures, labels = (torch.from_numpy(array) for array in train.take(64).arrays())
net = sw.training.module(tuned, "atan:alpha=2")
optimiser = torch.optim.Adam(net.parameters(), 1e-3)
answers = net(pictures, timesteps=4)
print("samples, timesteps, classes:", tuple(answers.shape))
loss = nn.functional.cross_entropy(answers[:, -1], labels)
loss.backward()
optimiser.step()
print("layers that learned:", *sw.training.conversion(net).changed)

# %% [markdown]
# ## Now you
#
# - Train with `labels=0`: from the trained network's answers alone, as one does without
#   labels. What is lost?
# - `chip="speck2f"` lets the network run in a chip's integers while it learns: see [a
#   network on a chip](chip.ipynb).
# - What it gains with all of the training pictures, and how it is done:
#   [training](../../docs/training.md),
#   [measured](../../benchmarks/results/training.md).
