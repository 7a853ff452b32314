"""1,024-sample signals by three 1-D convolutions with strides.

Course document 001_8afefdba80e9ed1e, exercise 6, B.

    vitrine train conv1d_b          15 seconds on two CPU cores
    vitrine train conv1d_b --quick  10 seconds, 1,000 signals

The net of `conv1d_a` with strides of 4 instead of pooling: the second convolution gives (64, 32), the third (64, 8),
with the same 6,075 parameters and a quarter of the operations. Expect a test accuracy of .99.
"""

import keras
from keras import layers

from training.core.examples import Examples
from training.core.gate import GatePolicy
from training.core.job import Job, JobOptions, require_outputs, require_parameters
from training.core.recipe import Recipe
from training.jobs.conv1d_a import compiled, evaluate, load, serve


def build(examples: Examples, options: JobOptions, recipe: Recipe) -> keras.Model:
    model = keras.Sequential(
        [
            keras.Input((1024, 1)),
            layers.Conv1D(16, 8, strides=4, padding="same", activation="relu", name="conv1"),
            layers.Conv1D(32, 8, strides=4, padding="same", activation="relu", name="conv2"),
            layers.Conv1D(8, 1, padding="same", activation="relu", name="conv3"),
            layers.Flatten(),
            layers.Dense(3, activation="softmax"),
        ]
    )
    require_parameters(model, 6_075)
    require_outputs(model, {"conv1": (256, 16), "conv2": (64, 32), "conv3": (64, 8)})
    return compiled(model, recipe)


JOB = Job(
    name="conv1d_b",
    title="Signals of 1,024 samples by 1-D convolutions with strides",
    course="001_8afefdba80e9ed1e, exercise 6, B",
    recipe=Recipe(epochs=10, batch_size=32, learning_rate=0.002, examples=6000, save_every=5),
    quick=Recipe(epochs=4, batch_size=32, learning_rate=0.002, examples=1000, save_every=4),
    policy=GatePolicy("test_accuracy", bound=0.6, largest_loss=0.02),
    load=load,
    build=build,
    evaluate=evaluate,
    serve=serve,
)
