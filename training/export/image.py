"""Signatures of image classifiers and encoders."""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from serving.preprocessing.image import ImageRecipe
from training.core.array import Array
from training.data.pictures.unlike import Exposure
from training.export.explanation import EXPLAIN, explanation
from training.export.exported_model import Endpoint, ExportedModel

#: From uint8 pictures as float32 to the network's input.
Prepare = Callable[[tf.Tensor], tf.Tensor]


def image_model(
    network: keras.Model, recipe: ImageRecipe, samples: Array, prepare: Prepare, exposure: Exposure | None = None
) -> ExportedModel:
    """Export an image classifier: ``serving_default``, ``embed``, ``serving_bytes``, ``explain``.

    Args:
        network: prepared pictures, float32 [n, height, width, c] → {"probabilities": [n, k], "embedding": [n, d]}, and
            ``details`` [n, e] with an exposure; without augmentation.
        recipe: the pictures that callers send, uint8 [n, height, width, channels].
        samples: such pictures, for the check and the warm-up.
        prepare: from uint8 pictures as float32 to the network's input.
        exposure: pictures that the typicality learns from.
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
        if recipe.colour == "rgb":  # padded, as by serving.preprocessing
            picture = tf.image.resize_with_pad(picture, recipe.height, recipe.width, antialias=True)
        else:
            picture = tf.image.resize(picture, (recipe.height, recipe.width), antialias=True)
        return tf.ensure_shape(tf.cast(tf.round(picture), tf.uint8), shape)

    def classify_bytes(image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        return classify(tf.map_fn(decode, image_bytes, fn_output_signature=tf.TensorSpec(shape, tf.uint8)))

    encoded = np.empty(len(samples), object)
    encoded[:] = [tf.io.encode_png(picture).numpy() for picture in samples]
    probabilities = {"probabilities": ("float32", (None, classes))}
    default = Endpoint(classify, {"image": pictures}, probabilities, {"image": samples})
    return ExportedModel(
        kind="image",
        image=recipe,
        models=(network,),
        infer=infer,
        exposure=exposure,
        endpoints={
            "serving_default": default,
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
            EXPLAIN: explanation(default),
        },
    )


def encoder_model(encoder: keras.Model, recipe: ImageRecipe, samples: Array, prepare: Prepare) -> ExportedModel:
    """Export an encoder of large pictures, without classes: ``embed``.

    The graph encodes the pictures of a batch one by one, so that the server's memory suffices for one.

    Args:
        encoder: prepared pictures, float32 [n, height, width, c] → [n, d].
        recipe: the pictures that callers send, uint8 [n, height, width, channels].
        samples: such pictures, for the check and the warm-up.
        prepare: from uint8 pictures as float32 to the encoder's input.
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
