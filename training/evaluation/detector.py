"""A small net that tells features of training data from those of other pictures: outlier exposure."""

from dataclasses import dataclass

import keras
import numpy as np
from keras import layers

from training.core.array import Array

_UNITS, _EPOCHS, _BATCH = 64, 10, 128
_DECAY = 1e-4
_LEAST = 1e-4  # added to the spread of a feature, so that a constant one counts little


@dataclass(frozen=True)
class Detector:
    """Weights of the net, float32. Its logit of features x is ReLU(x · ``hidden`` + ``bias``) · ``output``.

    Attributes:
        hidden: [f, h].
        bias: [h].
        output: [h].
    """

    hidden: Array
    bias: Array
    output: Array

    def logits(self, features: Array) -> Array:
        """Return logits [n] of features [n, f], large for those unlike the training data."""
        found: Array = np.maximum(features @ self.hidden + self.bias, 0) @ self.output
        return found


def fit(like: Array, unlike: Array, seed: int = 0) -> Detector:
    """Fit the net to features [n, f] of pictures like the training data, and [m, f] of others."""
    mean, spread = like.mean(axis=0), like.std(axis=0) + _LEAST
    x = (np.concatenate([like, unlike]) - mean) / spread
    y = np.repeat([0.0, 1.0], [len(like), len(unlike)])
    order = np.random.default_rng(seed).permutation(len(x))
    first, second = (keras.initializers.GlorotUniform(seed + number) for number in range(2))
    decay = keras.regularizers.L2(_DECAY)
    hidden = layers.Dense(_UNITS, activation="relu", kernel_initializer=first, kernel_regularizer=decay)
    output = layers.Dense(1, kernel_initializer=second)
    net = keras.Sequential([keras.Input(x.shape[1:]), hidden, output])
    net.compile(keras.optimizers.Adam(0.002), keras.losses.BinaryCrossentropy(from_logits=True))
    net.fit(x[order], y[order], batch_size=_BATCH, epochs=_EPOCHS, shuffle=False, verbose=0)
    (weights, bias), (last, _) = hidden.get_weights(), output.get_weights()  # the output's bias is the same for all
    scaled = weights / spread[:, np.newaxis]
    return Detector(hidden=scaled.astype(np.float32), bias=(bias - mean @ scaled).astype(np.float32), output=last[:, 0])
