"""What is exported: named signatures over inference alone.

Preprocessing is inside the graph and the outside speaks raw units; augmentation is not: a Keras model with RandomZoom
exports its seed generator and an assignment to it, which makes the served graph answer differently each time. Names
and shapes are DESIGN's; every input and output has the batch dimension first, because TensorFlow Serving's own batching
refuses anything else.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from serving.artifacts.model_card import Kind, NeighboursRecipe, SeriesRecipe, SignalRecipe, TableRecipe
from serving.preprocessing.image import ImageRecipe
from training.core.job import Array
from training.forecasting.forecaster import Forecaster

Function = Callable[..., dict[str, tf.Tensor]]


@dataclass(frozen=True)
class Endpoint:
    """One signature: a function of tensors, the specification of its inputs by name, and examples to call it with."""

    function: Function
    inputs: Mapping[str, tf.TensorSpec]
    outputs: Mapping[str, tuple[str, tuple[int | None, ...]]]  # dtype and shape, for the card
    samples: Mapping[str, Array]  # rows to check and warm up with
    convertible: bool = True  # false: the ONNX twin leaves it out


@dataclass(frozen=True)
class ExportedModel:
    """Everything that a version answers, and the Keras models whose variables it holds."""

    kind: Kind
    endpoints: Mapping[str, Endpoint]
    models: tuple[keras.Model, ...]
    image: ImageRecipe | None = None
    neighbours: NeighboursRecipe | None = None
    series: SeriesRecipe | None = None
    table: TableRecipe | None = None
    signal: SignalRecipe | None = None


def image_servable(
    network: keras.Model, recipe: ImageRecipe, samples: Array, prepare: Callable[[tf.Tensor], tf.Tensor]
) -> ExportedModel:
    """An image classifier and encoder.

    Args:
        network: prepared pictures, float32 [n, height, width, c] → {"probabilities": [n, k], "embedding": [n, d]};
            inference alone, no augmentation.
        recipe: the pictures that the outside sends, uint8 [n, height, width, channels].
        samples: such pictures, for the checks and the warm-up.
        prepare: uint8 pictures as float32 → what the network takes.
    """
    shape = (recipe.height, recipe.width, recipe.channels)
    classes = network.output["probabilities"].shape[-1]
    width = network.output["embedding"].shape[-1]
    pictures = tf.TensorSpec((None, *shape), tf.uint8, "image")

    def infer(image: tf.Tensor) -> dict[str, tf.Tensor]:
        outputs: dict[str, tf.Tensor] = network(prepare(tf.cast(image, tf.float32)), training=False)
        return outputs

    def classify(image: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"probabilities": infer(image)["probabilities"]}

    def embed(image: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"embedding": infer(image)["embedding"]}

    def decode(encoded: tf.Tensor) -> tf.Tensor:
        picture = tf.io.decode_image(encoded, channels=recipe.channels, expand_animations=False)
        picture = tf.image.resize(picture, (recipe.height, recipe.width), antialias=True)
        return tf.ensure_shape(tf.cast(tf.round(picture), tf.uint8), shape)

    def classify_bytes(image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        return classify(tf.map_fn(decode, image_bytes, fn_output_signature=tf.TensorSpec(shape, tf.uint8)))

    encoded = np.empty(len(samples), object)
    encoded[:] = [tf.io.encode_png(picture).numpy() for picture in samples]
    probabilities = {"probabilities": ("float32", (None, classes))}
    return ExportedModel(
        kind="image",
        image=recipe,
        models=(network,),
        endpoints={
            "serving_default": Endpoint(classify, {"image": pictures}, probabilities, {"image": samples}),
            "embed": Endpoint(
                embed, {"image": pictures}, {"embedding": ("float32", (None, width))}, {"image": samples}
            ),
            "serving_bytes": Endpoint(
                classify_bytes,
                {"image_bytes": tf.TensorSpec((None,), tf.string, "image_bytes")},
                probabilities,
                {"image_bytes": encoded},
                convertible=False,
            ),
        },
    )


def encoder_servable(
    encoder: keras.Model, recipe: ImageRecipe, samples: Array, prepare: Callable[[tf.Tensor], tf.Tensor]
) -> ExportedModel:
    """An encoder of large pictures, without classes: ``embed`` alone.

    The rows of a batch pass one by one, so that what a server needs in memory is what one picture needs.

    Args:
        encoder: prepared pictures, float32 [n, height, width, c] → [n, d].
        recipe, samples, prepare: as of :func:`image_servable`.
    """
    width = encoder.outputs[0].shape[-1]
    pictures = tf.TensorSpec((None, recipe.height, recipe.width, recipe.channels), tf.uint8, "image")

    def encode(picture: tf.Tensor) -> tf.Tensor:
        return encoder(prepare(tf.cast(picture, tf.float32))[tf.newaxis], training=False)[0]

    def embed(image: tf.Tensor) -> dict[str, tf.Tensor]:
        row = tf.TensorSpec((width,), tf.float32)
        return {"embedding": tf.map_fn(encode, image, parallel_iterations=1, fn_output_signature=row)}

    outputs = {"embedding": ("float32", (None, width))}
    return ExportedModel(
        kind="image",
        image=recipe,
        models=(encoder,),
        endpoints={"embed": Endpoint(embed, {"image": pictures}, outputs, {"image": samples})},
    )


def series_servable(network: keras.Model, forecaster: Forecaster, spread: Array, samples: Array) -> ExportedModel:
    """A forecaster, up to the longest horizon asked for.

    Args:
        network: the Keras model that the forecaster's functions call.
        spread: float32 [2, max_horizon], the forecaster's ``calibrate``.
        samples: raw histories, [n, window].
    """
    recipe = forecaster.recipe
    samples = samples.astype(np.float32)
    history_spec = tf.TensorSpec((None, recipe.window), tf.float32, "history")

    def predict(history: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"prediction": forecaster.step(history)}

    def forecast(history: tf.Tensor, horizon: tf.Tensor) -> dict[str, tf.Tensor]:
        mean = forecaster.ahead(history, tf.clip_by_value(tf.reduce_max(horizon), 0, recipe.max_horizon))
        lower, upper = forecaster.interval(history, mean, spread)
        return {"mean": mean, "lower": lower, "upper": upper}

    ahead = ("float32", (None, None))
    return ExportedModel(
        kind="series",
        series=recipe,
        models=(network,),
        endpoints={
            "serving_default": Endpoint(
                predict, {"history": history_spec}, {"prediction": ("float32", (None,))}, {"history": samples}
            ),
            "forecast": Endpoint(
                forecast,
                {"history": history_spec, "horizon": tf.TensorSpec((None,), tf.int32, "horizon")},
                {"mean": ahead, "lower": ahead, "upper": ahead},
                {
                    "history": samples,
                    "horizon": np.resize(np.array([recipe.max_horizon, 1, 5], np.int32), len(samples)),
                },
            ),
        },
    )


def call(endpoint: Endpoint, rows: Any = slice(None)) -> dict[str, Array]:
    """What the Keras model itself answers to the samples: the truth that the exported version is held against."""
    feed = {name: tf.constant(values[rows]) for name, values in endpoint.samples.items()}
    return {name: output.numpy() for name, output in endpoint.function(**feed).items()}
