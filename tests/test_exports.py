"""The shipped models are fully trained, complete, small, and free of local paths."""

import math
import re

import pytest
from PIL import Image

from serving.artifacts import manifest, model_card, models_config
from tests.conftest import SHIPPED
from tests.programs import EXPORTS, shipped


@pytest.mark.parametrize("model", SHIPPED)
def test_the_live_version_is_fully_trained_and_complete(model: str) -> None:
    version = shipped(model)
    assert manifest.check(version) is None
    card = model_card.read(version)
    assert not card.training.quick and card.data.stand_in is None
    assert card.gate and card.gate.accepted and not card.gate.forced
    assert all(check.passed for check in card.gate.checks)
    assert card.parity and card.parity.onnx_reason is None
    for output, gap in card.parity.onnx_to_saved_model.items():  # a rank between distances amplifies rounding
        assert gap < (1e-3 if output.endswith("/typicality") else 1e-5), output
    assert (version / "assets" / "card.json").read_bytes() == (version / manifest.CARD_FILE).read_bytes()


def test_the_shipped_versions_are_small() -> None:
    files = [file for model in SHIPPED for file in shipped(model).rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) < 18_000_000


@pytest.mark.parametrize("model", SHIPPED)
def test_files_name_no_path_of_the_training_machine(model: str) -> None:
    for file in shipped(model).rglob("*"):
        if file.is_file() and file.suffix != ".png":
            assert not re.search(rb"/(home|root|work|tmp|Users|mnt|usr)/", file.read_bytes()), file


def test_the_sprite_has_the_pictures_of_all_references() -> None:
    version = shipped("fashion_metric")
    card = model_card.read(version)
    assert card.neighbours and card.neighbours.sprite and card.image
    grid, rows = card.neighbours.sprite, math.ceil(card.neighbours.references / card.neighbours.sprite.columns)
    assert (grid.width, grid.height) == (card.image.width, card.image.height)
    with Image.open(version / "assets.extra" / grid.file) as sprite:
        assert sprite.size == (grid.columns * grid.width, rows * grid.height)
        assert "MIT, Copyright © 2017 Zalando SE" in sprite.info["Copyright"]
    assert "Zalando" in card.data.licence and card.metrics["reference_recall_at_10"] > 0.9
    assert sum(file.stat().st_size for file in version.rglob("*") if file.is_file()) < 1_900_000


def test_models_config_names_the_shipped_models() -> None:
    models = models_config.read(EXPORTS / "models.config")
    assert set(models) >= set(SHIPPED)
    assert all(models[name].base_path == f"/models/{name}" and "stable" in models[name].labels for name in SHIPPED)
