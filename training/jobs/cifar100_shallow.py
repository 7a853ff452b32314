"""CIFAR-100 by four convolutions, two of them asymmetric.

Course document 001_8afefdba80e9ed1e, exercises 8 and 9.

    vitrine train cifar100_shallow                     3 minutes on two CPU cores
    vitrine train cifar100_shallow --quick --stand-in  15 seconds on synthetic pictures

The net of exercise 7 on colour pictures, with a softmax over 100 classes.

The course prints a training loss of 4.5997 in the first epoch and 3.6734 in the eighth, and test accuracy .1357,
thirteen times that of a guess. Expect a test accuracy of .126 to .131 and a loss of 3.73; more
epochs would improve both.
"""

from dataclasses import replace

import keras
from keras import layers

from training.core.examples import Evaluation, Examples
from training.core.gate import GatePolicy
from training.core.job import Job, JobOptions, require_parameters
from training.core.recipe import Recipe
from training.data import cifar100
from training.evaluation.metrics import classification
from training.export.exported_model import ExportedModel
from training.export.image import image_model


def load(options: JobOptions, recipe: Recipe) -> Examples:
    examples = cifar100.load(stand_in=options.stand_in, at_most=recipe.examples)
    return replace(examples, validation=examples.test, shown=10)  # exercise 10 measures the test part each epoch


def build(examples: Examples, options: JobOptions, recipe: Recipe) -> keras.Model:
    model = keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(32, 3, strides=2, padding="same", activation="relu"),
            layers.Conv2D(64, (1, 3), strides=(1, 2), padding="same", activation="relu"),
            layers.Conv2D(64, (3, 1), strides=(2, 1), padding="same", activation="relu"),
            layers.Conv2D(128, 3, strides=3, activation="relu"),
            layers.GlobalAveragePooling2D(name="embedding"),
            layers.Dense(100, activation="softmax"),
        ]
    )
    require_parameters(model, 106_212)
    return compiled(model, recipe)


def compiled(model: keras.Model, recipe: Recipe) -> keras.Model:
    """Compile with plain gradient descent, as the course does for both nets."""
    model.compile(
        loss="sparse_categorical_crossentropy",
        optimizer=keras.optimizers.SGD(recipe.learning_rate),
        metrics=["accuracy"],
    )
    return model


def evaluate(model: keras.Model, examples: Examples) -> Evaluation:
    evaluation = classification(model, examples)
    over_guess = evaluation.metrics["test_accuracy"] * len(examples.labels)
    return replace(evaluation, metrics={**evaluation.metrics, "times_better_than_a_guess": over_guess})


def serve(model: keras.Model, examples: Examples) -> ExportedModel:
    outputs = {"probabilities": model.outputs[0], "embedding": model.get_layer("embedding").output}
    network = keras.Model(model.inputs, outputs)
    return image_model(network, cifar100.RECIPE, examples.test[0][:32], lambda pictures: pictures)


JOB = Job(
    name="cifar100_shallow",
    title="CIFAR-100 by four convolutions",
    course="001_8afefdba80e9ed1e, exercises 8 and 9",
    recipe=Recipe(epochs=8, batch_size=100, learning_rate=0.05, save_every=2),
    quick=Recipe(epochs=2, batch_size=100, learning_rate=0.05, examples=5_000),
    policy=GatePolicy("test_accuracy", bound=0.1, largest_loss=0.02),
    load=load,
    build=build,
    evaluate=evaluate,
    serve=serve,
    takes=frozenset({"stand_in"}),
    printed={"loss": 3.6734, "test_accuracy": 0.1357},
)
