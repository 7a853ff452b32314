"""Encoder of 1024×1024 pictures by four convolutions.

Course document 001_8afefdba80e9ed1e, exercise 7.

    vitrine train conv2d_1024          3 minutes on two CPU cores
    vitrine train conv2d_1024 --quick  20 seconds, two epochs on 320 textures

The exercise defines shapes and parameters but no task. The job fits a self-supervised one: two parts of a generated
texture in different light get more similar embeddings than parts of different textures (InfoNCE, van den Oord et al.
2018, with a projection head that is dropped afterwards, Chen et al. 2020). The convolutions accept any size, so
the fit uses parts of 128×128. The model is served as an encoder, for ``:embed``.

The metric is how often the nearest other texture of full size is of the same kind, before and after the fit. Expect
.42 → .75; grey-level histograms reach .42 and a guess .12.
"""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from serving.artifacts.model_card import Data
from serving.preprocessing.image import ImageRecipe
from training.core.array import Array
from training.core.errors import JobError
from training.core.examples import Evaluation, Examples
from training.core.gate import GatePolicy
from training.core.job import Job, JobOptions, require_parameters
from training.core.recipe import Recipe
from training.data import sources, textures
from training.export.exported_model import ExportedModel
from training.export.image import encoder_model

RECIPE = ImageRecipe(height=1024, width=1024, channels=1, colour="rgb")
SHAPES = [(512, 512, 32), (512, 256, 64), (256, 256, 64), (85, 85, 128), (128,)]
PART = 128
TEMPERATURE = 0.1


def load(options: JobOptions, recipe: Recipe) -> Examples:
    views = textures.pairs(recipe.examples or 1200, PART, seed=2)
    test = textures.generate(3 * len(textures.KINDS) if options.quick else 64, RECIPE.height, seed=999)
    return Examples(
        train=(views, np.zeros(len(views), np.int64)),  # no labels
        test=test,
        inputs=sources.picture_statistics(test[0]),
        data=Data(
            name="generated textures",
            source="training.data.textures",
            licence="none needed",
            rows={"train": len(views), "test": len(test[0])},
            sha256=sources.digest(views),
        ),
    )


def build(examples: Examples, options: JobOptions, recipe: Recipe) -> keras.Model:
    encoder = keras.Sequential(
        [
            keras.Input((None, None, 1)),
            layers.Conv2D(32, 3, strides=2, padding="same", activation="relu"),
            layers.Conv2D(64, (1, 3), strides=(1, 2), padding="same", activation="relu"),
            layers.Conv2D(64, (3, 1), strides=(2, 1), padding="same", activation="relu"),
            layers.Conv2D(128, 3, strides=3, activation="relu"),
            layers.GlobalAveragePooling2D(),
        ],
        name="encoder",
    )
    require_parameters(encoder, 92_736)
    found = shapes(encoder)
    if found != SHAPES:
        raise JobError(f"the layers of the encoder give {found}; the exercise's give {SHAPES}")
    head = keras.Sequential([layers.BatchNormalization(), layers.Dense(64)])
    views = keras.Input((2, PART, PART, 1))
    x = layers.Rescaling(1 / 127.5, offset=-1)(views)
    model = keras.Model(views, ops.stack([head(encoder(x[:, view])) for view in (0, 1)], axis=1))
    model.compile(loss=info_nce, optimizer=keras.optimizers.Adam(recipe.learning_rate))
    return model


def shapes(encoder: keras.Model) -> list[tuple[int, ...]]:
    """Return the output shape of each layer for a picture of 1024×1024."""
    found, shape = [], (None, RECIPE.height, RECIPE.width, RECIPE.channels)
    for layer in encoder.layers:
        shape = layer.compute_output_shape(shape)
        found.append(shape[1:])
    return found


def info_nce(_: keras.KerasTensor, projections: keras.KerasTensor) -> keras.KerasTensor:
    """Return the InfoNCE loss [n] of two views each [n, 2, d].

    It is the cross-entropy of a choice of the matching second view for each first one.
    """
    one, other = (ops.normalize(projections[:, view]) for view in (0, 1))
    alike = ops.matmul(one, ops.transpose(other)) / TEMPERATURE
    return keras.losses.sparse_categorical_crossentropy(ops.arange(ops.shape(alike)[0]), alike, from_logits=True)


def scaled(pictures: Any) -> Any:
    """Scale 0…255 to -1…1, for arrays and tensors."""
    return pictures / 127.5 - 1


def same_kind(vectors: Array, kinds: Array) -> float:
    """Return how often the nearest other vector [n, d] by angle is of the same kind."""
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    alike = vectors @ vectors.T
    np.fill_diagonal(alike, -np.inf)
    return float((kinds[alike.argmax(axis=1)] == kinds).mean())


def watch(model: keras.Model, examples: Examples) -> Mapping[str, float]:
    encoder = model.get_layer("encoder")
    pictures, kinds = examples.test
    embeddings = np.concatenate([encoder.predict_on_batch(scaled(picture[None])) for picture in pictures])
    return {"nearest_of_same_kind": same_kind(embeddings, kinds)}


def evaluate(model: keras.Model, examples: Examples) -> Evaluation:
    """Measure the same metric on histograms of 64 grey levels, for comparison."""
    pictures, kinds = examples.test
    histograms = np.stack([np.histogram(picture, 64, (0, 256))[0] for picture in pictures])
    note = "The weights come from a synthetic task: matching the parts of generated textures."
    return Evaluation({"nearest_by_histogram": same_kind(histograms, kinds)}, kinds, kinds, (note,))


def serve(model: keras.Model, examples: Examples) -> ExportedModel:
    encoder = keras.Sequential([keras.Input((RECIPE.height, RECIPE.width, 1)), *model.get_layer("encoder").layers])
    return encoder_model(encoder, RECIPE, examples.test[0][:2], scaled)


JOB = Job(
    name="conv2d_1024",
    title="Encoder of 1024×1024 pictures by four convolutions",
    course="001_8afefdba80e9ed1e, exercise 7",
    recipe=Recipe(epochs=8, batch_size=32, learning_rate=0.002),
    quick=Recipe(epochs=2, batch_size=32, learning_rate=0.002, examples=320),
    whole_batches=True,
    policy=GatePolicy("nearest_of_same_kind", bound=0.3, largest_loss=0.05),
    load=load,
    build=build,
    evaluate=evaluate,
    serve=serve,
    watch=watch,
)
