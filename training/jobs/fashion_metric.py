"""Fashion-MNIST encoder by the triplet loss, with search for similar items.

    vitrine train fashion_metric          2 minutes on two CPU cores
    vitrine train fashion_metric --quick  20 seconds

The course measures an encoder by the triplet loss but does not train by it (002_6c90a8e4e790d781, exercise 4). This job
trains the net of `fashion_embedding` by the same recipe, normalises the embedding to length 1, and fine-tunes it with
the triplet loss over all triplets of a batch. Classes come from the nearest of ten prototypes, the classes' mean
embeddings (Snell et al. 2017). ``neighbours`` searches the first 1,000 training pictures; a sprite of them is published
with the version.

The metric is recall among the test pictures, before and after fine-tuning. Expect recall@1 .830 → .840
(`fashion_embedding`: .836) and recall@10 .966 → .966 (.971). More epochs overfit the 10,000 pictures. Recall among the
1,000 references, which the model was trained on, describes ``neighbours``: recall@1 .853, recall@10 .940.
"""

from collections.abc import Mapping
from dataclasses import replace

import keras
import numpy as np
from keras import layers

from training.core.array import Array
from training.core.examples import Evaluation, Examples
from training.core.gate import GatePolicy
from training.core.job import Job, JobOptions
from training.core.recipe import Recipe
from training.data import fashion_mnist
from training.evaluation.metrics import classification, recall, reference_recall
from training.export.exported_model import ExportedModel
from training.export.image import image_model
from training.export.neighbours import with_neighbours
from training.jobs import fashion_embedding
from training.models.layers import details
from training.models.losses import batch_all_triplet

_TEMPERATURE = 0.1  # divides the squared distances to the prototypes
_REFERENCES = 1_000


def load(options: JobOptions, recipe: Recipe) -> Examples:
    return fashion_mnist.load(stand_in=options.stand_in, at_most=recipe.examples)


def build(examples: Examples, options: JobOptions, recipe: Recipe) -> keras.Model:
    """Return the encoder, pre-trained as a classifier.

    Shapes are pictures of 0…255 [n, 28, 28, 1] → embeddings of length 1 [n, 64].
    """
    job = fashion_embedding.JOB
    first = job.quick if options.quick else job.recipe
    classifier = fashion_embedding.build(examples, options, first)
    classifier.fit(*examples.train, batch_size=first.batch_size, epochs=first.epochs, verbose=0)
    encoder = fashion_embedding.encoder(classifier)
    model = keras.Model(encoder.inputs[0], layers.UnitNormalization()(encoder.output))
    model.compile(loss=batch_all_triplet, optimizer=keras.optimizers.Adam(recipe.learning_rate))
    return model


def watch(model: keras.Model, examples: Examples) -> Mapping[str, float]:
    """Measure recall among the test pictures, and the course's two losses."""
    pictures, labels = examples.test
    return recall(_embed(model, pictures), labels) | fashion_embedding.course_losses(model, examples)


def evaluate(model: keras.Model, examples: Examples) -> Evaluation:
    network = _with_prototypes(model, examples)
    measured = classification(keras.Model(network.inputs, network.output["probabilities"]), examples)
    pictures, labels = examples.test
    known, known_labels = _references(examples)
    found = reference_recall(_embed(model, pictures), labels, _embed(model, known), known_labels)
    return replace(measured, metrics={**measured.metrics, **found})


def serve(model: keras.Model, examples: Examples) -> ExportedModel:
    pictures, labels = _references(examples)
    network, exposure = _with_prototypes(model, examples), fashion_mnist.exposure(examples.train)
    exported = image_model(network, fashion_mnist.RECIPE, examples.test[0][:32], lambda pictures: pictures, exposure)
    source = f"the first {len(pictures):,} training pictures of {examples.data.name}; the index counts them from 0"
    return with_neighbours(exported, _embed(model, pictures), labels, source, pictures)


def _references(examples: Examples) -> tuple[Array, Array]:
    """Return the pictures that ``neighbours`` searches, and their labels."""
    pictures, labels = examples.train
    return pictures[:_REFERENCES], labels[:_REFERENCES]


def _with_prototypes(model: keras.Model, examples: Examples) -> keras.Model:
    """Return the net with embedding, details and probabilities.

    Probabilities are the softmax of the negative squared distances to the classes' prototypes.
    """
    embeddings, labels = _embed(model, examples.train[0]), examples.train[1]
    prototypes = np.stack([embeddings[labels == label].mean(axis=0) for label in range(len(examples.labels))])
    head = layers.Dense(len(prototypes), activation="softmax")
    embedding = model.output
    first = next(layer for layer in model.layers if isinstance(layer, layers.Conv2D))
    outputs = {"probabilities": head(embedding), "embedding": embedding, "details": details(first.output)}
    network = keras.Model(model.inputs[0], outputs)
    head.set_weights([2 * prototypes.T / _TEMPERATURE, -np.square(prototypes).sum(axis=1) / _TEMPERATURE])
    return network


def _embed(model: keras.Model, pictures: Array) -> Array:
    embeddings: Array = model.predict(pictures, batch_size=256, verbose=0)
    return embeddings


JOB = Job(
    name="fashion_metric",
    title="Fashion-MNIST encoder fine-tuned by the triplet loss, with similar items",
    course="002_6c90a8e4e790d781, exercise 4, taken further",
    recipe=Recipe(epochs=6, batch_size=128, learning_rate=0.0003, examples=10_000),
    quick=Recipe(epochs=2, batch_size=128, learning_rate=0.0005, examples=5_000),
    whole_batches=True,
    policy=GatePolicy("recall_at_1", bound=0.75, largest_loss=0.01),
    load=load,
    build=build,
    evaluate=evaluate,
    serve=serve,
    watch=watch,
    takes=frozenset({"stand_in"}),
)
