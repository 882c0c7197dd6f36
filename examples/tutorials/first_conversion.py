# %% [markdown]
# # A first conversion
#
# A trained network goes in, a spiking network that computes the same comes out. This
# page takes a small network that is trained already, converts it, watches it answer,
# and finds out how many timesteps it needs. All of it comes with Spikewright; to run it
# takes `pip install 'spikewright[all,pandas]'`, and less than a minute.

# %%
from matplotlib import pyplot as plt

import spikewright as sw
from spikewright.demo import CLASSES, demo_data, demo_graph

# %% [markdown]
# ## What we start from
#
# Pictures of clothes, 28×28 pixels in grey: 1,500 to calibrate with, whose labels
# nobody needs, and 1,000 labelled ones to test with. And a residual network, trained on
# Fashion-MNIST. `sw.load` would read such a network from PyTorch, Keras, ONNX or NIR;
# this one comes with the package.

# %%
train, test = demo_data()
graph = demo_graph()
pictures, labels = test.take(8).arrays()

figure, axes = plt.subplots(1, 8, figsize=(9, 1.5))
for axis, picture, label in zip(axes, pictures, labels, strict=True):
    axis.imshow(picture[0], cmap="gray_r")
    axis.set_title(CLASSES[label], fontsize=9)
    axis.axis("off")

# %% [markdown]
# Every value of Spikewright shows itself when it ends a cell. A graph is its picture:

# %%
graph

# %% [markdown]
# ## Convert
#
# A ReLU gives a number. A spiking neuron gives spikes, 0 or 1 at each timestep, so its
# *rate* has to stand for that number. The rate ends at one spike a timestep; which
# activation is that? This scale is called λ, one for every population of neurons, and
# it is found by looking at activations: *calibration*.
#
# `percentile:99.9` takes the activation that 99.9 % of the positive ones stay below.
# The few that are larger are clipped.

# %%
conversion = sw.convert(graph, train, "percentile:99.9")
conversion

# %% [markdown]
# Batch norms are gone, folded into the weights of the layers before them; each ReLU
# became a population of integrate-and-fire neurons. A neuron adds up what arrives, and
# sends a spike when its sum, the membrane potential, reaches the threshold. Then the
# threshold is taken off, and the rest stays for later.

# %%
conversion.spiking

# %% [markdown]
# ## Watch it answer
#
# One picture, 32 timesteps. The answer is there at every timestep, as the mean of what
# has arrived so far, and gets better the longer one waits. The ten numbers are those of
# the ten classes.

# %%
run = sw.simulate(conversion, test.take(1), timesteps=32)
print("label:", CLASSES[labels[0]])
for t in (1, 2, 4, 8, 16, 32):
    answer = run.output[0, t - 1]
    print(
        f"T={t:>2}: {CLASSES[answer.argmax()]:8}",
        " ".join(f"{value:6.2f}" for value in answer),
    )

# %% [markdown]
# ## How good is it?
#
# `measure` runs labelled samples through the spiking network and the trained one, and
# says what a reader wants to know: accuracy with its interval, firing rates, synaptic
# operations, energy. `print(measures)` has the sentences alone.

# %%
measures = sw.measure(conversion, test.take(200), timesteps=64)
measures

# %%
sw.plot.accuracy({"percentile:99.9": measures})

# %% [markdown]
# The dashed line is the trained network. In few timesteps much is lost, in many nearly
# nothing: rates in T timesteps have T + 1 levels, and spikes need time to travel
# through the layers.
#
# What a rate should be, and what it is, neuron by neuron. On the diagonal they agree:

# %%
sw.plot.correlation(measures)

# %% [markdown]
# ## Fewer timesteps
#
# Time costs energy: in 64 timesteps the spiking network takes more of it than the
# trained one, by the estimate above. So we want the same in fewer steps. Three things
# can be changed without training: λ, one for every channel instead of one for a
# population (`,channels`); a λ that clips a little more (a lower percentile); and the
# potentials that neurons start from, tuned for the T that we want
# (`correct="v_init:8"`).

# %%
better = sw.convert(graph, train, "percentile:99,channels", correct="v_init:8")
better_measures = sw.measure(better, test.take(200), timesteps=8)
sw.plot.accuracy(
    {
        "percentile:99.9": measures,
        "percentile:99,channels with v_init:8": better_measures,
    }
)

# %%
for name, found in (("percentile:99.9", measures), ("better", better_measures)):
    print(f"{name:16} T=4: {found.accuracy[3]:.1%}   T=8: {found.accuracy[7]:.1%}")
print(f"{'trained network':16} {measures.analog_accuracy:.1%}")

# %% [markdown]
# Four timesteps are enough now. `measures.to_pandas("layers")` is a table of what each
# layer costs, to sort and to plot as you like:

# %%
better_measures.to_pandas("layers").sort_values("synops of spikes", ascending=False)

# %% [markdown]
# ## Keep it
#
# A conversion is one file: both networks, λ, and what it was calibrated on. The report
# is one HTML page with all of the above, and more; open it in a browser.

# %%
sw.save(better, "fashion.safetensors", force=True)
again = sw.load("fashion.safetensors")

methods = ["max", "percentile:99.9", "percentile:99,channels"]
comparison = sw.compare(graph, train, test.take(100), methods, timesteps=16)
sw.report("report.html", comparison, force=True)
comparison

# %% [markdown]
# ## Now you
#
# - Which percentile is best at T = 4? Try `percentile:95,channels` and
#   `percentile:90,channels` with `v_init:4`. Then let `sw.convert(graph, train,
#   "auto:4")` choose, and look at `conversion.calibration.chosen`.
# - Take a network of your own: [a ResNet from PyTorch](resnet.ipynb), [a Keras
#   model](keras_model.ipynb).
# - What is lost, and why: [why is my accuracy low?](../../docs/low-accuracy.md). Which
#   settings there are: [tuning](../../docs/tuning.md).
