"""MobileNetV2 with its ImageNet weights, as a frozen encoder of pictures (Sandler et al. 2018)."""

import logging
import time
from collections.abc import Callable

import keras
import numpy as np

from training.core.array import Array
from training.core.job import require_parameters
from training.data import sources

log = logging.getLogger(__name__)

WEIGHTS = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5"
FEATURES = 1280
_BATCH = 32
_REPORT_SECONDS = 20


def imagenet_encoder(side: int) -> keras.Model:
    """Return the frozen encoder: pictures of -1…1 [n, side, side, 3] → features [n, 1280].

    The weights were trained at 224×224; they serve other sizes too.

    Raises:
        JobError: the weights are not in VITRINE_DATA and cannot be downloaded.
    """
    local = sources.local(WEIGHTS)
    at_224 = sources.download(
        "MobileNetV2's ImageNet weights",
        lambda: keras.applications.MobileNetV2(
            input_shape=(224, 224, 3), include_top=False, weights=str(local) if local else "imagenet"
        ),
        WEIGHTS,
        stand_in=None,
    )
    base = keras.applications.MobileNetV2(input_shape=(side, side, 3), include_top=False, weights=None, pooling="avg")
    base.set_weights(at_224.get_weights())
    base.trainable = False
    require_parameters(base, 2_257_984, trainable=0)
    return base


def encode(
    encoder: keras.Model, pictures: Array, prepare: Callable[[Array], Array], say: Callable[[str], None] = log.info
) -> Array:
    """Encode pictures uint8 [n, side, side, 3] as float32 [n, features].

    Args:
        encoder: the frozen encoder.
        pictures: the pictures.
        prepare: from uint8 pictures as float32 to the encoder's input.
        say: receives the progress of long work.
    """
    features = np.empty((len(pictures), encoder.output.shape[-1]), np.float32)
    reported = time.monotonic()
    for start in range(0, len(pictures), _BATCH):
        batch = pictures[start : start + _BATCH].astype(np.float32)
        features[start : start + _BATCH] = encoder.predict_on_batch(prepare(batch))
        if time.monotonic() - reported > _REPORT_SECONDS:
            reported = time.monotonic()
            say(f"encoding pictures: {start + len(batch):,} of {len(pictures):,}")
    return features
