"""The export check refuses graphs that are random, stateful or differ from the trained model."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from serving.preprocessing.image import ImageRecipe
from training.export import onnx_export
from training.export.check import CheckError, check, impure
from training.export.image import encoder_model


def save(path: Path, function: object, shape: tuple[int | None, ...]) -> None:
    archive = keras.export.ExportArchive()
    archive.add_endpoint("serving_default", function, input_signature=[tf.TensorSpec(shape, tf.float32, "x")])
    archive.write_out(str(path), verbose=False)


def test_augmentation_is_refused(tmp_path: Path) -> None:
    net = keras.Sequential([keras.Input((8, 8, 1)), layers.RandomZoom(0.3), layers.GlobalAveragePooling2D()])
    save(tmp_path / "v", lambda x: {"y": net(x, training=True)}, (None, 8, 8, 1))
    x = np.random.default_rng(0).random((2, 8, 8, 1)).astype(np.float32)
    with pytest.raises(CheckError, match=r"not pure inference: it contains .*Assign"):
        check(tmp_path / "v", {"serving_default": ({"x": x}, {"y": np.zeros((2, 1), np.float32)})})


def test_a_different_model_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "v", lambda x: {"y": 2 * x}, (None,))
    x = np.ones(3, np.float32)
    with pytest.raises(CheckError, match="differs from the Keras model by 1 in serving_default/y"):
        check(tmp_path / "v", {"serving_default": ({"x": x}, {"y": x})})
    with pytest.raises(CheckError, match="signature embed is missing"):
        check(tmp_path / "v", {"embed": ({"x": x}, {"y": x})})
    report = check(tmp_path / "v", {"serving_default": ({"x": x}, {"y": 2 * x})})
    assert report.saved_model == {"serving_default/y": 0.0}


def test_an_incomplete_version_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "v", lambda x: {"y": x}, (None,))
    (tmp_path / "v" / "saved_model.pb").write_bytes(b"half")
    with pytest.raises(CheckError, match="cannot be loaded"):
        check(tmp_path / "v", {"serving_default": ({"x": np.ones(1, np.float32)}, {"y": np.ones(1, np.float32)})})


def test_an_encoder_s_rows_pass_one_by_one_in_both_engines(tmp_path: Path) -> None:
    encoder = keras.Sequential([keras.Input((8, 8, 1)), layers.Conv2D(3, 3), layers.GlobalAveragePooling2D()])
    recipe = ImageRecipe(height=8, width=8, channels=1, colour="rgb")
    pictures = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 1), np.uint8)
    exported = encoder_model(encoder, recipe, pictures, lambda x: x / 255)
    truth = exported.endpoints["embed"].call()
    np.testing.assert_allclose(truth["embedding"], encoder(pictures / 255), atol=1e-5)
    archive = keras.export.ExportArchive()
    for name, endpoint in exported.endpoints.items():
        archive.add_endpoint(name, endpoint.function, input_signature=list(endpoint.inputs.values()))
    archive.write_out(str(tmp_path / "v"), verbose=False)
    assert onnx_export.write(exported.endpoints, tmp_path / "v" / "assets.extra" / "model.onnx") is None
    report = check(tmp_path / "v", {"embed": ({"image": pictures}, truth)})
    assert report.onnx.keys() == report.saved_model.keys() == {"embed/embedding"}


def test_impure_operations_by_name() -> None:
    assert impure(["MatMul", "StatelessWhile", "StatelessIf", "Relu"]) == []
    assert impure(["RandomUniform", "AssignVariableOp", "StatelessRandomUniformV2"]) == [
        "AssignVariableOp",
        "RandomUniform",
        "StatelessRandomUniformV2",
    ]
