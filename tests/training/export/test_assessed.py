"""The signature `assessed` and the temperature, in the SavedModel and in ONNX."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from serving.preprocessing.image import ImageRecipe
from training.evaluation import calibration, detector, typicality
from training.export.assessed import with_temperature, with_typicality
from training.export.exported_model import ExportedModel
from training.export.image import image_model
from training.models.layers import details

PICTURES = np.random.default_rng(0).integers(0, 256, (300, 8, 8, 1), np.uint8)


def exported() -> ExportedModel:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 1))
    first = layers.Conv2D(6, 3, activation="relu")(inputs)
    x = layers.GlobalAveragePooling2D()(first)
    outputs = {"probabilities": layers.Dense(3, activation="softmax")(x), "embedding": x, "details": details(first)}
    network = keras.Model(inputs, outputs)
    recipe = ImageRecipe(height=8, width=8, channels=1, colour="grey")
    return image_model(network, recipe, PICTURES[:8], lambda pictures: pictures / 255)


def test_the_graph_gives_the_p_values_of_numpy_and_leaves_serving_default_as_it_is() -> None:
    plain = exported()
    assert plain.infer
    outputs = {name: value.numpy() for name, value in plain.infer(PICTURES).items()}
    for unit in (True, False):
        conformity = typicality.fit(outputs["embedding"][:150], None, outputs["embedding"][150:], unit=unit)
        assessed = with_typicality(plain, conformity)
        found = assessed.endpoints["assessed"].function(image=PICTURES)
        np.testing.assert_allclose(found["typicality"], conformity.p_values(outputs["embedding"]), atol=1e-3)
        assert assessed.endpoints["assessed"].outputs["typicality"] == ("float32", (None,))
        for name, endpoint in plain.endpoints.items():
            before, after = endpoint.call(), assessed.endpoints[name].call()
            assert all(np.array_equal(before[key], after[key]) for key in before)
        np.testing.assert_array_equal(found["probabilities"], outputs["probabilities"])


def test_a_detector_reads_the_details_in_the_graph_as_in_numpy() -> None:
    plain = exported()
    assert plain.infer
    found = plain.infer(PICTURES)
    maps = plain.models[0].layers[1](PICTURES / np.float32(255)).numpy()
    np.testing.assert_allclose(found["details"][:, :6], maps.mean(axis=(1, 2)), atol=1e-5)
    np.testing.assert_allclose(found["details"][:, 6:], maps.std(axis=(1, 2)), atol=1e-3)
    rows = np.concatenate([found["embedding"], found["details"]], axis=1)
    for unit in (True, False):
        features = typicality.features(rows, 6, unit=unit)
        net = detector.fit(features[:100], features[100:200])
        conformity = typicality.fit(rows[:150], None, rows[150:], unit=unit, detector=net, details=12)
        graph = with_typicality(plain, conformity).endpoints["assessed"].function(image=PICTURES)
        np.testing.assert_allclose(graph["typicality"], conformity.p_values(rows), atol=1e-3)
        without = typicality.fit(rows[:150], None, rows[150:], unit=unit, details=12)
        assert np.abs(without.p_values(rows) - conformity.p_values(rows)).max() > 0.1


def test_the_references_are_variables_which_a_saved_model_stores_once() -> None:
    rng = np.random.default_rng(0)
    conformity = typicality.fit(*(rng.normal(size=(500, 6)).astype(np.float32) if n else None for n in (1, 0, 1)))
    endpoint = with_typicality(exported(), conformity).endpoints["assessed"]
    graph = tf.function(endpoint.function, input_signature=list(endpoint.inputs.values())).get_concrete_function()
    shapes = {tuple(variable.shape) for variable in graph.variables}
    assert {conformity.references.shape, conformity.directions.shape} <= shapes


def test_the_temperature_is_in_all_signatures_with_probabilities() -> None:
    plain = exported()
    softened = with_temperature(plain, 1.7)
    expected = calibration.soften(plain.endpoints["serving_default"].call()["probabilities"], 1.7)
    for name in ("serving_default", "serving_bytes"):
        np.testing.assert_allclose(softened.endpoints[name].call()["probabilities"], expected, atol=1e-6)
    embeddings = (one.endpoints["embed"].call()["embedding"] for one in (plain, softened))
    np.testing.assert_array_equal(*embeddings)
    assert softened.infer
    np.testing.assert_allclose(softened.infer(PICTURES[:8])["probabilities"], expected, atol=1e-6)
