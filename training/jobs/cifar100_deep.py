"""CIFAR-100 by six convolutions, four of them asymmetric.

Course document 001_8afefdba80e9ed1e, exercise 10.

    vitrine train cifar100_deep                     6 minutes on two CPU cores
    vitrine train cifar100_deep --quick --stand-in  15 seconds on synthetic pictures

The net of `cifar100_shallow` with two more asymmetric convolutions before the last one, and twice the epochs.

The course prints a training loss of 4.6027 in the first epoch and 2.7294 in the sixteenth, and test accuracy .2801.
Expect a test accuracy of .27 and a loss of 2.79.
"""

import keras
from keras import layers

from training.core.examples import Examples
from training.core.gate import GatePolicy
from training.core.job import Job, JobOptions, require_parameters
from training.core.recipe import Recipe
from training.jobs.cifar100_shallow import compiled, evaluate, load, serve


def build(examples: Examples, options: JobOptions, recipe: Recipe) -> keras.Model:
    model = keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(32, 3, strides=2, padding="same", activation="relu"),
            layers.Conv2D(64, (1, 3), strides=(1, 2), padding="same", activation="relu"),
            layers.Conv2D(64, (3, 1), strides=(2, 1), padding="same", activation="relu"),
            layers.Conv2D(64, (1, 3), strides=(1, 2), padding="same", activation="relu"),
            layers.Conv2D(64, (3, 1), strides=(2, 1), padding="same", activation="relu"),
            layers.Conv2D(128, 3, activation="relu"),
            layers.GlobalAveragePooling2D(name="embedding"),
            layers.Dense(100, activation="softmax"),
        ]
    )
    require_parameters(model, 130_916)
    return compiled(model, recipe)


JOB = Job(
    name="cifar100_deep",
    title="CIFAR-100 by six convolutions",
    course="001_8afefdba80e9ed1e, exercise 10",
    recipe=Recipe(epochs=16, batch_size=100, learning_rate=0.05, save_every=2),
    quick=Recipe(epochs=2, batch_size=100, learning_rate=0.05, examples=5_000),
    policy=GatePolicy("test_accuracy", bound=0.2, largest_loss=0.02),
    load=load,
    build=build,
    evaluate=evaluate,
    serve=serve,
    takes=frozenset({"stand_in"}),
    printed={"loss": 2.7294, "test_accuracy": 0.2801},
)
