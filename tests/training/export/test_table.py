"""A model of table rows: raw units, and from data to a version."""

from pathlib import Path

import keras
import numpy as np
import pytest

from serving.artifacts.model_card import Column, TableRecipe
from serving.artifacts.registry import ModelRegistry
from serving.onnx_runtime import onnxruntime
from training.core.catalogue import find
from training.core.job import JobOptions
from training.core.pipeline import Publication, run
from training.export.table import table_model


def test_scaling_is_inside_the_graph() -> None:
    recipe = TableRecipe(
        columns=(Column(name="a", description="one"), Column(name="b", description="two")),
        target=Column(name="c", description="their weighted sum"),
    )
    net = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, kernel_initializer="ones")])
    rows = np.array([[3, 50], [5, 90]], np.float32)
    exported = table_model(net, recipe, rows, center=np.array([1, 10]), scale=np.array([2, 20]))
    assert exported.endpoints["serving_default"].call()["prediction"].tolist() == [1 + 2, 2 + 4]


def test_compound_interest_is_published_completely(tmp_path: Path) -> None:
    outcome = run(
        find("compound_interest"), JobOptions(), Publication(ModelRegistry(tmp_path / "exports")), tmp_path / "runs"
    )
    assert outcome.version == 1 and outcome.card
    assert outcome.card.kind == "table" and outcome.card.table
    assert [column.name for column in outcome.card.table.columns] == ["principal", "rate", "months"]
    assert outcome.card.trainable_parameters == 0 and outcome.card.training.recipe["epochs"] == 0
    assert outcome.card.parity and outcome.card.parity.onnx_reason is None
    extra = tmp_path / "exports" / "compound_interest" / "1" / "assets.extra"
    assert {path.name for path in extra.iterdir()} == {
        "MANIFEST.sha256",
        "card.json",
        "model.onnx",
        "prediction.png",
        "tf_serving_warmup_requests",
    }
    session = onnxruntime.InferenceSession(extra / "model.onnx", providers=["CPUExecutionProvider"])
    rows = np.array([[1000, 0.01, 12], [1000, 0.01, 0], [1000, 0.01, 361], [1000, 0.01, -1]], np.float32)
    year, nothing, beyond, before = session.run(["prediction"], {"features": rows})[0]
    assert year == pytest.approx(1000 * 1.01**12, rel=12 * 2**-23) and nothing == 1000
    assert np.isnan(beyond) and np.isnan(before)  # out of range
