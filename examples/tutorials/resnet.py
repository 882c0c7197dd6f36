# %% [markdown]
# # A ResNet from PyTorch
#
# Your network is an `nn.Module`. This page builds a small ResNet, trains it for some
# seconds on pictures that come with Spikewright, and converts it: strided blocks,
# shortcuts with a projection, batch norms, a global average. Nothing in the module is
# written with spikes in mind.

# %%
import math

import torch
from torch import Tensor, nn

import spikewright as sw
from spikewright.demo import demo_data
from spikewright.errors import UnsupportedModelError

# %% [markdown]
# ## The network


# %%
class Block(nn.Module):
    """Two convolutions, and the input added to what they make of it."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(after)
        self.shortcut = nn.Sequential()
        if stride > 1 or before != after:
            self.shortcut = nn.Sequential(
                nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after)
            )

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(y)) + self.shortcut(x))


def resnet(width: int = 12) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, width, 3, 2, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(),
        Block(width, width, 1), Block(width, 2 * width, 2),
        Block(2 * width, 4 * width, 2),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4 * width, 10),
    )  # fmt: skip


# %% [markdown]
# ## Training
#
# 1,500 labelled pictures of clothes, ten epochs. With so little data it will know four
# fifths of the test pictures; trained on all 60,000 it would know more, and everything
# below would stay as it is.

# %%
EPOCHS, BATCH = 10, 50

train, test = demo_data(labelled=True)
pictures, labels = (torch.from_numpy(array) for array in train.arrays())

torch.manual_seed(0)
module = resnet()
optimiser = torch.optim.AdamW(module.parameters(), 1e-2)
schedule = torch.optim.lr_scheduler.OneCycleLR(
    optimiser, 1e-2, total_steps=EPOCHS * math.ceil(len(pictures) / BATCH)
)
for epoch in range(EPOCHS):
    for rows in torch.randperm(len(pictures)).split(BATCH):
        loss = nn.functional.cross_entropy(module(pictures[rows]), labels[rows])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    print(f"epoch {epoch + 1}: loss {loss.item():.2f}")
module = module.eval()

# %% [markdown]
# ## Load
#
# `load` follows the forward pass with `torch.export`, so that `torch.relu`, `+` and
# modules within modules are all seen. Before the graph is given out it is run beside
# the module on random samples; what would differ is refused.

# %%
graph = sw.load(module, shape=(1, 28, 28))
print(graph)
v = graph.meta["verified"]
print(
    f"compared with {v['against']}: {v['samples']} samples, {v['difference']:.0e} off"
)

# %% [markdown]
# What has no spiking form is refused at once, with all of its places and what to do
# instead. A GELU in place of the first ReLU, say:

# %%
wrong = resnet()
wrong[2] = nn.GELU()
try:
    sw.load(wrong, shape=(1, 28, 28))
except UnsupportedModelError as error:
    print(error)

# %% [markdown]
# ## Convert
#
# `,channels` gives every channel a λ of its own. The picture shows what became of the
# shortcuts: where two branches meet, their currents are added, and a population of
# neurons takes the place of the ReLU behind the sum.

# %%
conversion = sw.convert(graph, train, "percentile:99.9,channels")
conversion.spiking

# %%
conversion.to_pandas()

# %% [markdown]
# ## Measure
#
# A comparison calibrates once, and measures each method on the same test pictures.

# %%
methods = [
    "max",
    "percentile:99.9,channels",
    "percentile:99,channels",
    "mmse:16,channels",
]
comparison = sw.compare(graph, train, test.take(200), methods, timesteps=64)
comparison

# %%
sw.plot.accuracy(comparison)

# %% [markdown]
# `max` clips nothing and needs the longest time. A deep network needs more time than a
# shallow one: its last layer hears nothing before spikes have come through all the
# others.
#
# ## Where is it lost?
#
# What a rate should be, and what it is, layer by layer. The deeper a layer, the further
# off it is: it sums up what all layers before it lose.

# %%
sw.plot.correlation(comparison, layers=["*relu*"], method="percentile:99.9,channels")

# %% [markdown]
# Corrections set potentials and biases for the T that you will run, one layer after the
# other, while all layers before spike. They need calibration samples only, and no
# labels. What they bring back is the trained network's answer, so look at the
# agreement: whether an answer is right, too, is partly luck.

# %%
T = 4
plain = sw.convert(graph, train, "percentile:99,channels")
corrected = sw.convert(
    graph, train, "percentile:99,channels", correct=f"v_init_and_bias:{T}"
)
for name, one in (("plain", plain), ("corrected", corrected)):
    measures = sw.measure(one, test.take(200), timesteps=T)
    right, same = measures.accuracy[-1], measures.agreement[-1]
    print(f"{name:9} T={T}: {right:.1%} right, {same:.1%} as the trained network")

# %% [markdown]
# ## Answers over time
#
# `simulate` gives the answers at every timestep as an array, so that anything can be
# made of them: here after how many steps an answer is what it will be in the end.

# %%
run = sw.simulate(plain, test.take(200), timesteps=32)
answers = run.output.argmax(-1)  # (samples, timesteps)
final = (answers == answers[:, -1:]).mean(axis=0)
for t in (1, 2, 4, 8, 16, 32):
    print(f"after {t:>2} steps {final[t - 1]:.0%} of the answers are final")

# %% [markdown]
# ## Now you
#
# - Make the network deeper: three more blocks of `Block(48, 48, 1)`. How many timesteps
#   does it need now?
# - Put your own module in the place of `resnet()`. `spikewright inspect model.py:Net`
#   says the same on the command line.
# - Which forms of layers can be read: [layers](../../docs/layers.md),
#   [imports](../../docs/importing.md). Why corrections help:
#   [corrections](../../docs/corrections.md).
