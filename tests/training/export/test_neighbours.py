"""Neighbours in TensorFlow and in the ONNX export, compared with a search with NumPy."""

import math
from pathlib import Path

import keras
import numpy as np
import onnx
import pytest
import tensorflow as tf
from PIL import Image

from serving.onnx_runtime import onnxruntime
from serving.preprocessing.image import ImageRecipe
from training.evaluation import plots
from training.export import onnx_export
from training.export.exported_model import ExportedModel
from training.export.image import image_model
from training.export.neighbours import MOST_NEIGHBOURS, with_neighbours

RECIPE = ImageRecipe(height=4, width=4, channels=1, colour="grey")
RNG = np.random.default_rng(1)
PICTURES = RNG.integers(0, 256, (6, 4, 4, 1)).astype(np.uint8)
REFERENCES = RNG.normal(0, 1e-3, (300, 3)).astype(np.float32) + np.float32([3, -4, 5])  # close together, far from 0
LABELS = RNG.integers(0, 10, 300)


@pytest.fixture(scope="module")
def exported() -> ExportedModel:
    keras.utils.set_random_seed(1)
    x = inputs = keras.Input((4, 4, 1))
    x = keras.layers.Dense(3, kernel_initializer=keras.initializers.RandomNormal(stddev=1e-3))(
        keras.layers.Flatten()(x)
    )
    x = x + np.float32([3, -4, 5])
    network = keras.Model(inputs, {"embedding": x, "probabilities": keras.layers.Softmax()(x)})
    plain = image_model(network, RECIPE, PICTURES, lambda pictures: pictures / 255)
    return with_neighbours(plain, REFERENCES, LABELS, "items made up, in order")


def test_neighbours_equal_a_search_with_numpy(exported: ExportedModel, tmp_path: Path) -> None:
    k = np.array([7, 1, 2, 3, 4, 5], np.int32)
    embedding = exported.endpoints["embed"].function(tf.constant(PICTURES))["embedding"].numpy()
    by_hand = np.linalg.norm(embedding[:, None].astype(np.float64) - REFERENCES, axis=2)
    nearest = by_hand.argsort(axis=1)[:, :7]
    answer = {n: v.numpy() for n, v in exported.endpoints["neighbours"].function(PICTURES, tf.constant(k)).items()}
    assert onnx_export.write(exported.endpoints, tmp_path / "model.onnx") is None
    names = ["indices", "distance", "labels"]
    from_onnx = onnxruntime.InferenceSession(tmp_path / "model.onnx").run(names, {"image": PICTURES, "k": k})
    for found in (answer, dict(zip(names, from_onnx, strict=True))):
        assert {name: str(array.dtype) for name, array in found.items()} == {
            "indices": "int32",
            "distance": "float32",
            "labels": "int32",
        }
        assert found["indices"].tolist() == nearest.tolist()
        assert found["labels"].tolist() == LABELS[nearest].tolist()
        np.testing.assert_allclose(found["distance"], np.take_along_axis(by_hand, nearest, 1), rtol=1e-3)


@pytest.mark.parametrize(("k", "columns"), [(0, 1), (-5, 1), (1000, MOST_NEIGHBOURS)])
def test_k_is_clipped_to_its_range(exported: ExportedModel, k: int, columns: int) -> None:
    answer = exported.endpoints["neighbours"].function(PICTURES[:1], tf.constant([k]))
    assert {tuple(output.shape) for output in answer.values()} == {(1, columns)}


@pytest.mark.parametrize("count", [MOST_NEIGHBOURS - 1, 10_001])
def test_too_many_and_too_few_references_are_refused(exported: ExportedModel, count: int) -> None:
    with pytest.raises(ValueError, match=f"{count} references are given; 100 to 10000"):
        with_neighbours(exported, np.zeros((count, 3), np.float32), np.zeros(count), "zeros")


def test_the_references_share_one_constant_of_the_onnx_export(exported: ExportedModel, tmp_path: Path) -> None:
    assert onnx_export.write(exported.endpoints, tmp_path / "model.onnx") is None
    graph = onnx.load(tmp_path / "model.onnx").graph
    assert sum(REFERENCES.size == math.prod(one.dims) for one in graph.initializer) == 1


@pytest.mark.parametrize(("channels", "error"), [(1, 8), (3, 16)])
def test_a_sprite_shows_each_picture_in_its_cell(channels: int, error: int, tmp_path: Path) -> None:
    tones = RNG.integers(0, 256, (7, 1, 1, channels))
    plots.sprite(np.broadcast_to(tones, (7, 4, 5, channels)).astype(np.uint8), 3, "© A", tmp_path / "references.png")
    with Image.open(tmp_path / "references.png") as sprite:
        assert (sprite.size, sprite.info["Copyright"]) == ((15, 12), "© A")
        cells = np.asarray(sprite.convert("RGB")).astype(int).reshape(3, 4, 3, 5, 3).swapaxes(1, 2).reshape(9, 4, 5, 3)
    assert np.abs(cells[:7] - tones).max() <= error
    assert not cells[7:].any()
