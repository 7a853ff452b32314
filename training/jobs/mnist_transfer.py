"""Digits by transfer from the trained Fashion-MNIST net.

Course document 000_66a6b1e9f8078a4d, question 5.

    vitrine train mnist_transfer                   2 minutes on two CPU cores
    vitrine train mnist_transfer --quick           15 seconds, one epoch on 5,000 digits
    vitrine train mnist_transfer --from-version 2  from that version of fashion_cnn instead of the live one

Model: the published net of question 4 with a new softmax layer; no layer is frozen.

The question offers .94–.96, .98–1.00, .87–.90 and .92–.93 for the test accuracy and does not mark the answer. Expect
.988.
"""

from dataclasses import replace

import keras
from keras import layers

from training.core.errors import JobError
from training.core.examples import Evaluation, Examples
from training.core.gate import GatePolicy
from training.core.job import Job, JobOptions, require_parameters
from training.core.recipe import Recipe
from training.data import mnist
from training.evaluation.metrics import classification
from training.export.exported_model import ExportedModel
from training.export.image import image_model
from training.export.weights import restore
from training.jobs import fashion_cnn

OFFERED = ((0.94, 0.96), (0.98, 1.00), (0.87, 0.90), (0.92, 0.93))


def load(options: JobOptions, recipe: Recipe) -> Examples:
    return mnist.load(stand_in=options.stand_in, at_most=recipe.examples)


def build(examples: Examples, options: JobOptions, recipe: Recipe) -> keras.Model:
    if options.start is None:
        raise JobError("mnist_transfer starts from a version of fashion_cnn, and none is given")
    base = fashion_cnn.build(examples, options, recipe)
    restore(base, options.start)
    outputs = layers.Dense(10, activation="softmax")(base.layers[-2].output)
    model = keras.Model(base.inputs, outputs)
    require_parameters(model, 25_674, trainable=25_418)
    return fashion_cnn.compiled(model, recipe)


def evaluate(model: keras.Model, examples: Examples) -> Evaluation:
    evaluation = classification(model, examples)
    return replace(evaluation, notes=(answer(evaluation.metrics["test_accuracy"]),))


def answer(accuracy: float) -> str:
    """Return the offered range that holds the accuracy, rounded to two decimals."""
    found = [f"{low:.2f}–{high:.2f}" for low, high in OFFERED if low <= round(accuracy, 2) <= high]
    return f"Of the ranges that the question offers, the test accuracy is in {found[0] if found else 'none'}."


def serve(model: keras.Model, examples: Examples) -> ExportedModel:
    network = fashion_cnn.inference(model)
    return image_model(network, mnist.RECIPE, examples.test[0][:32], lambda pictures: pictures / 255)


JOB = Job(
    name="mnist_transfer",
    title="Digits by transfer from the trained Fashion-MNIST net",
    course="000_66a6b1e9f8078a4d, question 5",
    recipe=Recipe(epochs=3, batch_size=16, learning_rate=0.002),
    quick=Recipe(epochs=1, batch_size=16, learning_rate=0.002, examples=5_000),
    policy=GatePolicy("test_accuracy", bound=0.85, largest_loss=0.005),
    load=load,
    build=build,
    evaluate=evaluate,
    serve=serve,
    takes=frozenset({"stand_in", "from_version"}),
    starts_from="fashion_cnn",
)
