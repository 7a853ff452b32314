"""Weights restored from a published version."""

import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from serving.artifacts import model_card
from serving.artifacts.model_card import Data
from tests.programs import shipped
from training.core.errors import JobError
from training.core.examples import Examples
from training.core.job import JobOptions
from training.core.recipe import Recipe
from training.evaluation.calibration import soften
from training.export.weights import restore
from training.jobs import fashion_cnn, fashion_embedding

SHIPPED = shipped("fashion_cnn")


def net(job: object = fashion_cnn) -> keras.Model:
    part = (np.zeros((1, 28, 28, 1), np.uint8), np.zeros(1, np.int64))
    examples = Examples(part, part, Data(name="none", source="test", licence="none", rows={}))
    return job.build(examples, JobOptions(), Recipe(epochs=1, batch_size=1, learning_rate=0.1))  # type: ignore[attr-defined]


def test_a_restored_model_answers_as_the_version_does() -> None:
    """Also for a second net in a process, whose layers are conv2d_1, batch_normalization_2 …"""
    pictures = np.random.default_rng(1).integers(0, 256, (5, 28, 28, 1), np.uint8)
    served = tf.saved_model.load(str(SHIPPED)).signatures["serving_default"]
    truth = served(image=tf.constant(pictures))["probabilities"].numpy()
    calibration = model_card.read(SHIPPED).calibration
    assert calibration
    temperature = calibration.temperature
    for model in (net(), net()):
        assert not np.allclose(model.predict(pictures.astype(np.float32), verbose=0), truth, atol=1e-3)
        restore(model, SHIPPED)
        found = soften(model.predict(pictures.astype(np.float32), verbose=0), temperature)
        np.testing.assert_allclose(found, truth, atol=1e-5)


def test_another_net_is_refused_and_unchanged() -> None:
    model = net(fashion_embedding)
    before = [weight.numpy() for weight in model.weights]
    with pytest.raises(JobError, match=r"version 3 do not fit: .*_0/beta: \(64,\) was found, none is expected"):
        restore(model, SHIPPED)
    assert all((weight.numpy() == old).all() for weight, old in zip(model.weights, before, strict=True))


def test_a_broken_version_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "fashion_cnn" / "7"
    shutil.copytree(SHIPPED, broken)
    (broken / "saved_model.pb").write_bytes(b"half")
    with pytest.raises(JobError, match="weights of fashion_cnn version 7 cannot be read"):
        restore(net(), broken)
    with pytest.raises(JobError, match="weights of fashion_cnn version 8 cannot be read"):
        restore(net(), tmp_path / "fashion_cnn" / "8")
