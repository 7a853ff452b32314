"""The signature ``explain``, as SavedModel and as ONNX export."""

from pathlib import Path

import keras
import numpy as np
import onnx
import pytest
import tensorflow as tf

from serving.model_server.engines.onnx import OnnxEngine
from serving.preprocessing.image import ImageRecipe
from training.core.array import Array
from training.export import onnx_export
from training.export.exported_model import ExportedModel
from training.export.image import image_model


def bright_cell(height: int, width: int, channels: int, rows: slice, columns: slice) -> ExportedModel:
    """Return a model whose second class is the more probable the brighter a part of the picture is."""
    inputs = keras.Input((height, width, channels))
    brightness = keras.layers.GlobalAveragePooling2D(keepdims=True)(inputs[:, rows, columns])
    flat = keras.layers.Flatten()(brightness)
    logit = keras.layers.Dense(1, kernel_initializer="ones", bias_initializer=keras.initializers.Constant(-0.3))(flat)
    both = keras.layers.Softmax()(keras.layers.Concatenate()([-4 * logit, 4 * logit]))
    network = keras.Model(inputs, {"probabilities": both, "embedding": flat})
    recipe = ImageRecipe(height=height, width=width, channels=channels, colour="grey" if channels == 1 else "rgb")
    samples = np.zeros((3, height, width, channels), np.uint8)
    samples[1:, rows, columns] = [[[255]]]
    samples[2, 0, 0] = 255
    return image_model(network, recipe, samples, lambda pictures: pictures / 255)


def explained(model: ExportedModel, pictures: Array) -> Array:
    return model.endpoints["explain"].function(image=tf.constant(pictures))["heatmap"].numpy()


def test_the_cell_that_decides_is_the_hottest() -> None:
    model = bright_cell(28, 28, 1, slice(8, 12), slice(16, 20))
    picture = model.endpoints["serving_default"].samples["image"][1:2]
    (heat,) = explained(model, picture)
    assert heat.shape == (28, 28)
    assert heat.dtype == np.float32
    np.testing.assert_array_equal(heat == heat.max(), picture[0, :, :, 0] > 0)
    assert heat.max() > 1
    np.testing.assert_allclose(heat[picture[0, :, :, 0] == 0], 0, atol=1e-5)


def test_a_picture_does_not_depend_on_its_batch() -> None:
    model = bright_cell(14, 14, 3, slice(4, 6), slice(4, 6))
    pictures = np.random.default_rng(0).integers(0, 256, (5, 14, 14, 3)).astype(np.uint8)
    alone = [explained(model, picture[None])[0] for picture in pictures]
    np.testing.assert_allclose(explained(model, pictures), alone, atol=1e-5)
    assert explained(model, pictures[:0]).shape == (0, 14, 14)


def test_a_blank_picture_has_a_cold_map() -> None:
    model = bright_cell(14, 14, 1, slice(4, 6), slice(4, 6))
    np.testing.assert_array_equal(explained(model, np.full((1, 14, 14, 1), 9, np.uint8)), np.zeros((1, 14, 14)))


@pytest.mark.parametrize(("height", "width", "channels"), [(28, 28, 1), (17, 30, 3), (7, 9, 1)])
def test_the_onnx_export_gives_the_same_map(tmp_path: Path, height: int, width: int, channels: int) -> None:
    model = bright_cell(height, width, channels, slice(2, 5), slice(3, 6))
    assert onnx_export.write(model.endpoints, tmp_path / "assets.extra" / "model.onnx") is None
    engine = OnnxEngine(tmp_path)
    assert engine.signatures == {"serving_default", "embed", "explain"}
    pictures = np.random.default_rng(0).integers(0, 256, (6, height, width, channels)).astype(np.uint8)
    (heat,) = engine.run("explain", {"image": pictures}, ["heatmap"])
    np.testing.assert_allclose(heat, explained(model, pictures), atol=1e-4)


def test_the_onnx_export_of_explain_shares_large_weights(tmp_path: Path) -> None:
    inputs = keras.Input((28, 28, 1))
    embedding = keras.layers.Dense(64, activation="relu")(keras.layers.Flatten()(inputs))
    outputs = keras.layers.Dense(10, activation="softmax")(embedding)
    network = keras.Model(inputs, {"probabilities": outputs, "embedding": embedding})
    recipe = ImageRecipe(height=28, width=28, channels=1, colour="grey")
    pictures = np.random.default_rng(0).integers(0, 256, (2, 28, 28, 1)).astype(np.uint8)
    model = image_model(network, recipe, pictures, lambda pictures: pictures / 255)
    assert onnx_export.write(model.endpoints, tmp_path / "assets.extra" / "model.onnx") is None
    explain = tmp_path / "assets.extra" / "explain.onnx"
    assert explain.stat().st_size < 28 * 28 * 64 < (tmp_path / "assets.extra" / "model.onnx").stat().st_size
    onnx.checker.check_model(str(explain))
    (heat,) = OnnxEngine(tmp_path).run("explain", {"image": pictures}, ["heatmap"])
    np.testing.assert_allclose(heat, explained(model, pictures), atol=1e-4)
