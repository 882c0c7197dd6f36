# %% [markdown]
# # A Keras model
#
# A model that was trained in Keras, kept as a `.keras` file, and converted from that
# file: neither Keras nor TensorFlow is needed for that, only h5py. Keras trains the
# model on this page, here on its PyTorch backend; any other does as well. `pip install
# 'spikewright[all,pandas]' keras` brings all that is used.

# %%
import os

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras
import numpy as np
from keras import layers

import spikewright as sw
from spikewright.demo import CLASSES, demo_data

# %% [markdown]
# ## Data as Keras has them
#
# Keras' pictures have their channels last: rows × columns × channels. We bring the
# pictures that come with Spikewright into that form, with every second pixel, so that
# training takes some seconds.


# %%
def for_keras(data: sw.Dataset) -> tuple[np.ndarray, np.ndarray]:
    x, y = data.arrays()
    return np.moveaxis(x[:, :, ::2, ::2], 1, -1), np.asarray(y)


train, test = demo_data(labelled=True)
x_train, y_train = for_keras(train)
x_test, y_test = for_keras(test.take(300))
print(x_train.shape, x_test.shape)

# %% [markdown]
# ## A model, trained

# %%
EPOCHS = 8

keras.utils.set_random_seed(0)
model = keras.Sequential(
    [
        keras.Input((14, 14, 1)),
        layers.Conv2D(16, 3, padding="same", use_bias=False, name="conv1"),
        layers.BatchNormalization(name="norm1"),
        layers.ReLU(name="relu1"),
        layers.AveragePooling2D(2, name="pool1"),
        layers.Conv2D(32, 3, padding="same", activation="relu", name="conv2"),
        layers.MaxPooling2D(2, name="pool2"),
        layers.Flatten(name="flatten"),
        layers.Dropout(0.3, name="dropout"),
        layers.Dense(10, activation="softmax", name="classes"),
    ]
)
model.compile(
    keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy", metrics=["accuracy"]
)
history = model.fit(x_train, y_train, batch_size=50, epochs=EPOCHS, verbose=0)
model.save("fashion.keras")
print(f"the last epoch's training accuracy: {history.history['accuracy'][-1]:.1%}")

# %% [markdown]
# ## Load the file
#
# The archive holds a description and arrays. They are read as such: nothing in it is
# built or executed. `verify=True` does ask Keras to load it too, and compares on random
# samples.

# %%
graph = sw.load("fashion.keras", verify=True)
v = graph.meta["verified"]
print(
    f"compared with {v['against']}: {v['samples']} samples, {v['difference']:.0e} off"
)
graph

# %% [markdown]
# A graph has its channels first, whatever a framework does. Nodes keep the names of the
# layers; an activation that is a setting of a layer stands behind it: `conv2.relu`.
# Dropout does nothing any more. The softmax at the end is no layer of spikes: it is
# applied to the answer at each timestep.

# %%
graph.to_pandas()

# %% [markdown]
# ## Convert and measure
#
# Data are given as Keras takes them, channels last. They are turned where they meet the
# network.

# %%
conversion = sw.convert(graph, x_train, "percentile:99.9,channels")
measures = sw.measure(conversion, (x_test, y_test), timesteps=64)
measures

# %%
sw.plot.accuracy({"percentile:99.9,channels": measures})

# %% [markdown]
# ## Max pooling
#
# An average of rates is a sum of spikes. A maximum is not: which neuron of a window
# fires most is known only after a while. The default, `count_max`, passes on spikes so
# that the count that leaves is the largest count that came in, at every step. Other
# policies are those of other tools, and what they lose can be measured: the error of
# the rates behind the pool, in units of λ.

# %%
for policy in ("count_max", "avg_max", "exp_max"):
    one = sw.convert(
        graph, x_train, "percentile:99.9,channels", neurons=f"max_pool={policy}"
    )
    found = sw.measure(one, (x_test, y_test), timesteps=16)
    error = found.layers["pool2"].correlation.rms
    print(f"{policy:9}  accuracy {found.accuracy[-1]:.1%}, rms error {error:.4f}")

# %% [markdown]
# ## One picture, step by step
#
# The answer of the spiking network passes through the model's softmax, so that it is a
# probability at every step, as in Keras.

# %%
run = sw.simulate(conversion, x_test[:1], timesteps=32)
told = np.asarray(model(x_test[:1]).detach().cpu())[0]
print("Keras: ", CLASSES[told.argmax()], f"{told.max():.3f}")
for t in (2, 4, 8, 16, 32):
    answer = run.output[0, t - 1]
    print(f"T={t:>2}:  ", CLASSES[answer.argmax()], f"{answer.max():.3f}")

# %% [markdown]
# ## Neurons as Keras counts them
#
# Spikes are numbered through a population's shape, channels first. To find the neuron
# at (row, column, channel) of Keras move the axes back:

# %%
kept = sw.simulate(conversion, x_test[:20], timesteps=32, record=["events"])
spikes = kept.events["conv2.relu"].dense(20, 32)
print("samples, timesteps, channels, rows, columns:", spikes.shape)
rates = np.moveaxis(spikes.mean(axis=1), 1, -1)

until = [layer.name for layer in model.layers].index("conv2")
front = keras.Sequential(model.layers[: until + 1])
activations = np.asarray(front.predict(x_test[:20], verbose=0))
scale = np.asarray(conversion.units["conv2.relu"]).reshape(-1)  # λ of each channel
r = np.corrcoef((rates * scale).ravel(), activations.ravel())[0, 1]
print(f"correlation of rate · λ and Keras' activation: {r:.3f}")

# %% [markdown]
# ## Now you
#
# - Use `layers.AveragePooling2D` in place of the max pool, train again, and compare
#   accuracy at T = 8.
# - Convert a model of `keras.applications`: what is refused, and what is the advice?
#   (`swish` is no rectifier.)
# - All layers and what becomes of them: [Keras models](../../docs/keras.md). Your
#   experiment was an INI file of SNN Toolbox? [Bring it
#   along](snntoolbox_project.ipynb).
