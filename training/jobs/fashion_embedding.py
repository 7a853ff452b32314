"""Fashion-MNIST encoder with an embedding of 64 values.

Course document 002_6c90a8e4e790d781, exercise 4.

    vitrine train fashion_embedding          1 minute on two CPU cores
    vitrine train fashion_embedding --quick  10 seconds, two epochs

The net is trained as a classifier on the first 10,000 pictures. Two other losses measure it before and after: the
contrastive and the triplet loss of the embeddings of the first 50 training pictures.

The course prints contrastive .1603 → .0673 and triplet .3183 → .1004. Expect .093 → .091 and .485 → .083, and a test
accuracy of .86.
"""

import random
from collections.abc import Mapping
from dataclasses import replace

import keras
from keras import layers

from training.core.examples import Evaluation, Examples
from training.core.gate import GatePolicy
from training.core.job import Job, JobOptions, require_parameters
from training.core.recipe import Recipe
from training.data import fashion_mnist
from training.evaluation.metrics import classification, recall
from training.export.exported_model import ExportedModel
from training.export.image import image_model
from training.models import losses
from training.models.layers import details


def load(options: JobOptions, recipe: Recipe) -> Examples:
    return fashion_mnist.load(stand_in=options.stand_in, at_most=recipe.examples)


def build(examples: Examples, options: JobOptions, recipe: Recipe) -> keras.Model:
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(32, 3, strides=2, activation="relu"),
            layers.Conv2D(64, 3, strides=2, activation="relu"),
            layers.Conv2D(64, 3, strides=2, activation="relu"),
            layers.Flatten(),
            layers.Dense(64, activation="relu", name="embedding"),
            layers.Dropout(0.25),
            layers.Dense(10, activation="softmax"),
        ]
    )
    require_parameters(model, 72_842)
    model.compile(
        loss="sparse_categorical_crossentropy",
        optimizer=keras.optimizers.Adam(recipe.learning_rate),
        metrics=["accuracy"],
    )
    return model


def encoder(model: keras.Model) -> keras.Model:
    """Return the encoder: pictures of 0…255 [n, 28, 28, 1] → embeddings [n, 64]."""
    return keras.Model(model.inputs, model.get_layer("embedding").output)


def watch(model: keras.Model, examples: Examples) -> Mapping[str, float]:
    return course_losses(encoder(model), examples)


def course_losses(encoder: keras.Model, examples: Examples) -> dict[str, float]:
    """Measure both losses over the first 50 training pictures.

    Pairs are drawn after ``random.seed(1)``, as in the course.
    """
    pictures, labels = examples.train[0][:50], examples.train[1][:50]
    embeddings = encoder.predict(pictures, verbose=0)
    rng = random.Random(1)  # nosec B311 # the same pairs in each run
    partners = losses.draw_pairs(len(labels), rng)
    return {
        "contrastive": losses.contrastive(labels, embeddings, partners),
        "triplet": losses.triplet(embeddings, *losses.draw_triplets(labels, rng)),
    }


def evaluate(model: keras.Model, examples: Examples) -> Evaluation:
    evaluation = classification(model, examples)
    pictures, labels = examples.test
    found = recall(encoder(model).predict(pictures, batch_size=256, verbose=0), labels)
    return replace(evaluation, metrics={**evaluation.metrics, **found})


def serve(model: keras.Model, examples: Examples) -> ExportedModel:
    inputs = keras.Input((28, 28, 1))
    x = first = model.layers[1](inputs)  # after scaling
    for layer in model.layers[2:-2]:  # up to the embedding
        x = layer(x)
    network = keras.Model(inputs, {"probabilities": model.layers[-1](x), "embedding": x, "details": details(first)})
    samples, exposure = examples.test[0][:32], fashion_mnist.exposure(examples.train)
    return image_model(network, fashion_mnist.RECIPE, samples, lambda pictures: pictures / 255, exposure)


JOB = Job(
    name="fashion_embedding",
    title="Fashion-MNIST encoder with an embedding of 64 values",
    course="002_6c90a8e4e790d781, exercise 4",
    recipe=Recipe(epochs=20, batch_size=32, learning_rate=0.001, examples=10_000, save_every=5),
    quick=Recipe(epochs=2, batch_size=32, learning_rate=0.001, examples=5_000),
    policy=GatePolicy("test_accuracy", bound=0.82, largest_loss=0.01),
    load=load,
    build=build,
    evaluate=evaluate,
    serve=serve,
    watch=watch,
    takes=frozenset({"stand_in"}),
    printed={
        "contrastive_before": 0.1603,
        "contrastive": 0.0673,
        "triplet_before": 0.3183,
        "triplet": 0.1004,
    },
)
