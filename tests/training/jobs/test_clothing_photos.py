"""The job on a few generated photographs, with MobileNetV2's weights."""

import zipfile
from pathlib import Path

import numpy as np
import pytest

from tests.training.data.pictures.photos import photo
from training.core.job import JobOptions
from training.core.recipe import Recipe
from training.data.clothing_photos import ARCHIVE
from training.jobs import clothing_photos
from training.models.mobilenet import WEIGHTS

KINDS = ("disc", "square", "triangle")


def test_the_served_graph_has_the_tuned_weights(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / WEIGHTS).symlink_to(data / WEIGHTS)
    with zipfile.ZipFile(tmp_path / ARCHIVE, "w") as archive:
        for first, (part, count) in enumerate({"train": 6, "validation": 2, "test": 3}.items()):
            for kind in KINDS:
                for number in range(count):
                    archive.writestr(f"{part}/{kind}/{number}.jpg", photo(kind, 100 * first + number, "JPEG"))
    monkeypatch.setenv("VITRINE_DATA", str(tmp_path))
    recipe, options = Recipe(epochs=1, batch_size=8, learning_rate=1e-4), JobOptions()
    examples = clothing_photos.load(options, recipe)
    assert examples.train[0].shape == (clothing_photos.VIEWS * 18, 12, 12, 96)
    assert examples.data.name == "clothing-dataset-small" and examples.title is None
    model = clothing_photos.build(examples, options, recipe)
    before = [weight.copy() for weight in model.get_weights()]
    model.fit(*examples.train, batch_size=8, verbose=0)
    changed = [not np.array_equal(*pair) for pair in zip(before, model.get_weights(), strict=True)]
    assert any(changed) and not all(changed)  # normalisation stays as it was
    evaluation = clothing_photos.evaluate(model, examples)
    assert evaluation.inputs["image"].shape == (9, 192, 192, 3)
    served = clothing_photos.serve(model, examples).endpoints["serving_default"].call()["probabilities"]
    assert evaluation.probabilities is not None
    np.testing.assert_allclose(served, evaluation.probabilities[:8], atol=1e-5)
    tuned = model.predict(examples.test[0], verbose=0)
    np.testing.assert_allclose(served, tuned[:8], atol=0.02)  # float16
