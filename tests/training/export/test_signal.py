"""A classifier of 1-D signals, from data to a version."""

from pathlib import Path

import numpy as np
import pytest

from serving.artifacts.registry import ModelRegistry
from serving.onnx_runtime import onnxruntime
from training.core.catalogue import find
from training.core.job import JobOptions
from training.core.pipeline import Publication, run
from training.data import waveforms


def test_conv1d_b_is_published_completely(tmp_path: Path) -> None:
    outcome = run(
        find("conv1d_b"), JobOptions(quick=True), Publication(ModelRegistry(tmp_path / "exports")), tmp_path / "runs"
    )
    assert outcome.version == 1 and outcome.card
    card = outcome.card
    assert card.kind == "signal" and card.signal and (card.signal.length, card.signal.channels) == (1024, 1)
    assert card.labels == ("sine", "square", "sawtooth") and card.parameters == 6_075
    assert card.inputs.keys() == {"level", "strength"}
    assert card.predicted and sum(card.predicted.classes) == pytest.approx(1) and len(card.predicted.classes) == 3
    assert 1 / 3 <= card.predicted.confidence.mean <= 1
    assert any("synthetic" in note for note in card.notes)
    assert card.parity and card.parity.onnx_reason is None
    assert card.signatures["serving_default"].inputs["signal"].shape == (None, 1024, 1)
    assert card.typicality and card.typicality.auroc.keys() == {"noise", "constant"}
    assert min(card.typicality.auroc.values()) > 0.9
    assert card.calibration and card.calibration.rows + card.typicality.rows == card.data.rows["test"]
    assert card.gate and [check.name for check in card.gate.checks] == ["expected_calibration_error"]
    assert card.parity.onnx_to_saved_model.keys() >= {"assessed/probabilities", "assessed/typicality"}
    assert card.signatures["assessed"].inputs == card.signatures["serving_default"].inputs
    extra = tmp_path / "exports" / "conv1d_b" / "1" / "assets.extra"
    assert {"history.png", "confusion.png", "tf_serving_warmup_requests"} <= {path.name for path in extra.iterdir()}
    session = onnxruntime.InferenceSession(extra / "model.onnx", providers=["CPUExecutionProvider"])
    x, y = waveforms.generate(200, seed=3)
    probabilities = session.run(["probabilities"], {"signal": x})[0]
    assert probabilities.shape == (200, 3)
    typical = session.run(["typicality"], {"signal": x})[0]
    assert typical.shape == (200,) and 0 < typical.min() < typical.max() <= 1 and (typical < 0.05).mean() < 0.25
    assert np.mean(probabilities.argmax(axis=1) == y) > 0.6
