"""Whether the figures of the gate tell a heat map from a wrong one."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from serving.preprocessing.image import ImageRecipe
from training.evaluation import faithfulness
from training.export.exported_model import Endpoint
from training.export.image import image_model


@pytest.fixture(scope="module")
def endpoints() -> dict[str, Endpoint]:
    """The class is that of the brighter half of a bright square's place: left or right."""
    inputs = keras.Input((14, 14, 1))
    sides = [keras.layers.GlobalAveragePooling2D()(part) for part in (inputs[:, :, :7], inputs[:, :, 7:])]
    both = keras.layers.Concatenate()(sides)
    network = keras.Model(inputs, {"probabilities": keras.layers.Softmax()(8 * both), "embedding": both})
    recipe = ImageRecipe(height=14, width=14, channels=1, colour="grey")
    model = image_model(network, recipe, pictures()[:4], lambda pictures: pictures / 255)
    return dict(model.endpoints)


def pictures() -> np.ndarray:
    random = np.random.default_rng(0)
    rows = np.zeros((60, 14, 14, 1), np.uint8)
    for row in rows:
        top, left = random.integers(0, 11), random.choice([0, 1, 2, 8, 9, 10])
        row[top : top + 4, left : left + 4] = 255
    return rows


def test_the_map_of_the_model_passes(endpoints: dict[str, Endpoint]) -> None:
    found = faithfulness.measure(endpoints, pictures())
    assert found.marked > 10 * abs(found.random)
    assert found.check().passed
    assert found.check().rows == 60
    assert found.metrics() == {"loss_by_marked_fifth": found.marked, "loss_by_random_fifth": found.random}


@pytest.mark.parametrize("wrong", ["opposite", "constant"])
def test_a_wrong_map_fails(endpoints: dict[str, Endpoint], wrong: str) -> None:
    def explain(image: tf.Tensor) -> dict[str, tf.Tensor]:
        heat = -endpoints["explain"].function(image)["heatmap"]
        return {"heatmap": heat if wrong == "opposite" else tf.zeros_like(heat)}

    explanation = Endpoint(explain, endpoints["explain"].inputs, {}, {})
    found = faithfulness.measure({**endpoints, "explain": explanation}, pictures())
    assert not found.check().passed


def test_large_pictures_are_few(endpoints: dict[str, Endpoint]) -> None:
    many = np.repeat(pictures(), 5, axis=0)
    assert len(faithfulness.measure(endpoints, many).differences) == faithfulness.MOST_PICTURES
