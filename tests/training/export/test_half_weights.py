"""Weights of float16 halve the files; SavedModel and ONNX export hold the same numbers."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from serving.onnx_runtime import onnxruntime
from training.export import onnx_export
from training.export.exported_model import Endpoint
from training.export.half_weights import compact


def network() -> keras.Model:
    """A convolution, a depthwise one and a dense layer, with normalisation that is not the identity."""
    keras.utils.set_random_seed(1)
    x = inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(64, 3, use_bias=False)(x)
    x = layers.ReLU(6.0)(layers.BatchNormalization()(x))
    x = layers.DepthwiseConv2D(3, use_bias=False)(x)
    x = layers.BatchNormalization()(x)
    model = keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling2D()(x)))
    rng = np.random.default_rng(1)
    model.set_weights([rng.uniform(0.1, 1, weight.shape) for weight in model.get_weights()])
    return model


def test_a_compact_network_gives_nearly_the_same_with_half_the_bytes(tmp_path: Path) -> None:
    model, x = network(), np.random.default_rng(2).uniform(-1, 1, (4, 8, 8, 3)).astype(np.float32)
    smaller = compact(model)
    truth, found = model.predict_on_batch(x), smaller.predict_on_batch(x)
    assert np.abs(truth - found).max() < 2e-3 * np.abs(truth).max()
    assert not any(isinstance(layer, layers.BatchNormalization) for layer in smaller.layers)

    sizes = {}
    for name, one in {"full": model, "half": smaller}.items():
        endpoint = Endpoint(
            lambda image, one=one: {"out": one(image, training=False)},
            {"image": tf.TensorSpec((None, 8, 8, 3), tf.float32, "image")},
            {"out": ("float32", (None, 3))},
            {"image": x},
        )
        assert onnx_export.write({"serving_default": endpoint}, tmp_path / f"{name}.onnx") is None
        sizes[name] = (tmp_path / f"{name}.onnx").stat().st_size
    session = onnxruntime.InferenceSession(tmp_path / "half.onnx", providers=["CPUExecutionProvider"])
    assert np.abs(session.run(None, {"image": x})[0] - found).max() < 1e-5 * np.abs(found).max()
    assert sizes["half"] < sizes["full"] - 3000  # of 6,912 bytes in the only large kernel


def test_refuses_normalisation_that_cannot_be_folded() -> None:
    inputs = keras.Input((8, 8, 3))
    with pytest.raises(ValueError, match="no convolution without bias"):
        compact(keras.Model(inputs, layers.BatchNormalization()(layers.Conv2D(4, 3)(inputs))))
