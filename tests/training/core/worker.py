"""A worker of a group: ``python -m tests.training.core.worker NET RUNS [EPOCH]``, with TF_CONFIG.

Prints its result as JSON. With an epoch, worker 1 kills itself in that epoch.
"""

import hashlib
import json
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

import keras
import numpy as np
from keras import layers

from serving.artifacts.model_card import Data
from training.core import fit
from training.core.checkpoint import Checkpoint
from training.core.errors import WorkerLost
from training.core.examples import Examples
from training.core.recipe import Recipe
from training.core.worker_group import WorkerGroup

RECIPE = Recipe(epochs=5, batch_size=8, learning_rate=0.01, save_every=2)


def examples() -> Examples:
    """41 examples: the last batch has one, so one of two workers gets none."""
    rng = np.random.default_rng(0)
    x = rng.normal(0, 1, (41, 4)).astype(np.float32)
    y = (x.sum(axis=1) > 0).astype(np.int64)
    data = Data(name="toy", source="test", licence="none", rows={"train": 41})
    return Examples(train=(x, y), test=(x, y), data=data, validation=(x[:10], y[:10]))


def build(net: str) -> keras.Model:
    """``random`` has dropout and batch normalisation, ``plain`` has not."""
    fit.seed_everything(RECIPE)
    inner = [layers.Dropout(0.5), layers.BatchNormalization()] if net == "random" else []
    hidden = layers.Dense(8, activation="relu", kernel_regularizer="l2")
    model = keras.Sequential([keras.Input((4,)), hidden, *inner, layers.Dense(2, "softmax")])
    model.compile(loss="sparse_categorical_crossentropy", optimizer=keras.optimizers.Adam(0.01), metrics=["accuracy"])
    return model


def main(net: str, runs: str, dies_in: str = "") -> None:
    group = WorkerGroup.from_environment()
    assert group

    def progress(epoch: int, percent: int, figures: Mapping[str, float]) -> None:
        if dies_in and epoch == int(dies_in) and not group.leads:
            os.kill(os.getpid(), signal.SIGKILL)

    model = build(net)
    try:
        with group.detect_loss():
            group.barrier()
            fitted = fit.fit(model, examples(), RECIPE, Checkpoint(Path(runs), {}), progress, worker_group=group)
        group.finish()
    except WorkerLost as lost:
        print(lost)
        sys.exit(lost.EXIT_CODE)
    weights = model.get_weights()
    out = {
        "history": fitted.history,
        "resumed_at": fitted.resumed_at,
        "sha256": hashlib.sha256(b"".join(value.tobytes() for value in weights)).hexdigest(),
        "weights": [value.tolist() for value in weights],
    }
    print("result " + json.dumps(out))


if __name__ == "__main__":
    main(*sys.argv[1:])
