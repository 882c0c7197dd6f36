# %% [markdown]
# # An SNN Toolbox project, moved over
#
# You have a folder for SNN Toolbox: a Keras model as `.h5`, `x_norm.npz`, `x_test.npz`,
# `y_test.npz`, and an INI file. This page takes such a folder and goes three steps,
# each of which you can stop at: run the INI file as it is; do the same with the
# functions you know; say it in Spikewright's own words, and need fewer timesteps.

# %%
import logging
import os

os.environ.setdefault("KERAS_BACKEND", "torch")

from pathlib import Path

import keras
import numpy as np
from keras import layers
from matplotlib import pyplot as plt

import spikewright as sw
from spikewright.compat import snntoolbox
from spikewright.demo import demo_data

# %% [markdown]
# ## The project
#
# You have one already, so skip to the next heading. Here it is made: a small network,
# trained for some seconds on every second pixel of the pictures of clothes that come
# with Spikewright.

# %%
EPOCHS = 8

logging.getLogger("absl").setLevel(logging.ERROR)  # Keras would rather write .keras


def for_keras(data: sw.Dataset) -> tuple[np.ndarray, np.ndarray]:
    x, y = data.arrays()
    return np.moveaxis(x[:, :, ::2, ::2], 1, -1), np.eye(10)[np.asarray(y)]


train, test = demo_data(labelled=True)
x_norm, y_norm = for_keras(train)
x_test, y_test = for_keras(test.take(200))

keras.utils.set_random_seed(0)
model = keras.Sequential(
    [
        keras.Input((14, 14, 1)),
        layers.Conv2D(16, 3, padding="same", activation="relu", name="conv1"),
        layers.BatchNormalization(name="norm1"),
        layers.AveragePooling2D(2, name="pool1"),
        layers.Conv2D(32, 3, activation="relu", name="conv2"),
        layers.AveragePooling2D(2, name="pool2"),
        layers.Flatten(name="flatten"),
        layers.Dense(10, activation="softmax", name="classes"),
    ]
)
model.compile(keras.optimizers.Adam(3e-3), "categorical_crossentropy")
model.fit(x_norm, y_norm, batch_size=50, epochs=EPOCHS, verbose=0)

project = Path("project")
project.mkdir(exist_ok=True)
model.save(project / "clothes.h5")
np.savez_compressed(project / "x_norm.npz", x_norm)
np.savez_compressed(project / "x_test.npz", x_test)
np.savez_compressed(project / "y_test.npz", y_test)

(project / "config.ini").write_text(
    """\
[paths]
filename_ann = clothes

[normalization]
percentile = 99.9

[simulation]
simulator = INI
duration = 50
num_to_test = 100
batch_size = 50

[output]
plot_vars = {'error_t', 'correlation', 'normalization_activations'}
""",
    encoding="utf-8",
)
sorted(path.name for path in project.iterdir())

# %% [markdown]
# ## Step 1: the INI file, as it is
#
# In a terminal it is `python -m spikewright.compat.snntoolbox project/config.ini`. The
# same from Python. Neither Keras nor TensorFlow runs for it: the `.h5` file is read as
# the description and the arrays that it holds.

# %%
scores = snntoolbox.run_pipeline(project / "config.ini")

# %% [markdown]
# It wrote what SNN Toolbox writes, where SNN Toolbox writes it: accuracies of every
# batch, scale factors by layer, the pictures that `plot_vars` names. And one page with
# all of it, `report.html`.

# %%
log = project / "log" / "gui" / "test"
print(
    *sorted(
        path.relative_to(project).as_posix()
        for path in log.rglob("*")
        if path.is_file()
    ),
    sep="\n",
)
print()
print((log / "accuracy.txt").read_text(encoding="utf-8"))
print((log / "normalization" / "99.9.json").read_text(encoding="utf-8"))

# %% [markdown]
# What `error_t` is there, accuracy after every timestep:

# %%
figure, axis = plt.subplots(figsize=(7, 4.4))
axis.imshow(plt.imread(log / "Error_vs_time.png"))
axis.axis("off")
figure.tight_layout()

# %% [markdown]
# An option that cannot be honoured is never passed over in silence. All of them are
# told before anything is read:

# %%
changed = project / "other.ini"
changed.write_text(
    (project / "config.ini")
    .read_text(encoding="utf-8")
    .replace("simulator = INI", "simulator = brian2")
    + "\n[cell]\ntau_refrac = 2\n",
    encoding="utf-8",
)
try:
    snntoolbox.run_pipeline(changed)
except snntoolbox.OptionsError as error:
    print(*error.problems, sep="\n")

# %% [markdown]
# ## Step 2: the functions you know
#
# `snntoolbox.conversion.utils` by name, with the same arguments. What they return is
# exact over any amount of data, in memory that does not grow with it.

# %%
activations = snntoolbox.get_activations_layer(project / "clothes.h5", "conv2", x_norm)
factor = snntoolbox.get_scale_fac(activations[activations > 0], 99.9)
print(activations.shape, f"scale factor {factor:.3f}")

# %% [markdown]
# ## Step 3: the same in our words
#
# | SNN Toolbox | here |
# |---|---|
# | parsed model | the graph, `sw.load` |
# | scale factor | λ: what one spike stands for |
# | `normalize_parameters` | inside `sw.convert` |
# | `duration / dt` | `timesteps` |
# | `INI` simulator | `sw.simulate`, `sw.measure` |
# | `v_thresh = 1`, potentials from 0 | neurons with `v_init=0` |

# %%
graph = sw.load(project / "clothes.h5")
same = sw.convert(graph, x_norm, "percentile:99.9", neurons=sw.Neurons(v_init=0.0))
labels = y_test.argmax(axis=1)
measures = sw.measure(same, (x_test, labels), timesteps=50)
measures

# %%
print({name: round(float(value), 3) for name, value in same.scales.items()})

# %% [markdown]
# These are the scale factors of the JSON file above.
#
# ## What you gain
#
# A potential that starts at half a threshold rounds instead of cutting off, which is
# the default here; a λ for each channel wastes no levels; `v_init:8` tunes potentials
# for the T that you want. All of it is found from `x_norm` alone.

# %%
networks = {
    "as SNN Toolbox": same,
    "potentials from θ/2": sw.convert(graph, x_norm, "percentile:99.9"),
    "channels, v_init:8": sw.convert(
        graph, x_norm, "percentile:99,channels", correct="v_init:8"
    ),
}
found = {
    name: sw.measure(one, (x_test, labels), timesteps=8)
    for name, one in networks.items()
}
for name, one in found.items():
    told = (f"T={t}: {one.accuracy[t - 1]:.1%}" for t in (2, 4, 8))
    print(f"{name:20}", *told, sep="  ")
print(f"{'trained network':20}  {measures.analog_accuracy:.1%}")

# %%
sw.plot.accuracy(found, linear=True)

# %% [markdown]
# ## Now you
#
# - `percentile = 99` in the INI file, and `normalization_schedule = True`: what do they
#   change?
# - The parameter sweep is a grid now: `sw.tune(graph, x_norm, ["gain=1..3",
#   "v_init=0..1:0.5"], timesteps=8)`.
# - The word list of all functions and every option: [coming from SNN
#   Toolbox](../../docs/from-snntoolbox.md).
