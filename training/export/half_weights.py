"""Store weights as float16, in half the bytes: the smallest honest form of a large network.

Calculation stays float32: the graph casts the weights. Batch normalisation is folded into the convolutions before
rounding, so that SavedModel and ONNX export (:mod:`training.export.onnx_graph.exact_halves`) hold the same numbers.
"""

from collections.abc import Sequence

import keras
import numpy as np
from keras import layers

from training.core.array import Array

_CONVOLUTIONS = (layers.Conv2D, layers.DepthwiseConv2D)


class HalfStored(keras.dtype_policies.DTypePolicy):  # type: ignore[misc]
    """Variables of float16, calculation in float32."""

    def __init__(self) -> None:
        super().__init__("float32")
        self._variable_dtype = "float16"


class _PassThrough(layers.Layer):  # type: ignore[misc]
    """Takes the place of a folded normalisation, and the arguments of its calls."""

    def call(self, x: keras.KerasTensor, mask: object = None) -> keras.KerasTensor:
        return x


def compact(network: keras.Model) -> keras.Model:
    """Return a copy for inference whose convolutions have folded normalisation and float16 weights.

    Args:
        network: a functional model in which each batch normalisation follows a convolution without bias.

    Raises:
        ValueError: a batch normalisation follows another layer.
    """
    folded: dict[str, Sequence[Array]] = {}
    for layer in network.layers:
        if isinstance(layer, layers.BatchNormalization):
            convolution = layer.input._keras_history.operation
            if not isinstance(convolution, _CONVOLUTIONS) or convolution.use_bias:
                raise ValueError(f"{layer.name} follows {convolution.name}, which is no convolution without bias")
            folded[convolution.name] = _fold(convolution, layer)

    def copy(layer: keras.Layer) -> keras.Layer:
        if isinstance(layer, layers.BatchNormalization):
            return _PassThrough(name=layer.name)
        config = layer.get_config()
        if layer.name in folded:
            config |= {"use_bias": True, "dtype": HalfStored()}
        return type(layer).from_config(config)

    smaller = keras.models.clone_model(network, clone_function=copy)
    for layer in smaller.layers:
        layer.set_weights(
            folded.get(layer.name) or network.get_layer(layer.name).get_weights() if layer.weights else []
        )
    return smaller


def _fold(convolution: keras.Layer, normalisation: layers.BatchNormalization) -> Sequence[Array]:
    """Return kernel and bias of the convolution with its normalisation."""
    gamma, beta, mean, variance = normalisation.get_weights()
    scale = gamma / np.sqrt(variance + normalisation.epsilon)
    (kernel,) = convolution.get_weights()
    by_input = isinstance(convolution, layers.DepthwiseConv2D)
    return [kernel * (scale[:, None] if by_input else scale), beta - mean * scale]
