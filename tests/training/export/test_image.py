"""Signatures of image models."""

import keras
import numpy as np
import tensorflow as tf
from PIL import Image

from serving.preprocessing.image import ImageRecipe, decode
from tests.serving.preprocessing.picture_files.files import encoded
from training.export.image import image_model


def test_serving_bytes_pads_a_photo_as_the_gateway_does() -> None:
    """The model answers the mean colour, which black bars darken. A wide photo fills a quarter of the square."""
    recipe = ImageRecipe(height=32, width=32, channels=3, colour="rgb")
    inputs = keras.Input((32, 32, 3))
    mean = keras.layers.GlobalAveragePooling2D()(inputs)
    network = keras.Model(inputs, {"probabilities": mean, "embedding": mean})
    model = image_model(network, recipe, np.zeros((1, 32, 32, 3), np.uint8), lambda pictures: pictures / 255)
    photo = Image.new("RGB", (128, 32), (200, 100, 50))
    photo.paste((180, 90, 40), (0, 0, 20, 20))
    wide = encoded(photo)
    by_pixels = model.endpoints["serving_default"].function(image=tf.constant(decode(wide, recipe)[None]))
    by_bytes = model.endpoints["serving_bytes"].function(image_bytes=tf.constant([wide]))
    np.testing.assert_allclose(by_bytes["probabilities"], by_pixels["probabilities"], atol=0.01)
    assert 0.15 < float(by_bytes["probabilities"][0, 0]) < 0.25
