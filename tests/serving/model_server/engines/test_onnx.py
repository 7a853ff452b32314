"""The engine of ONNX exports."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest

from serving.artifacts import manifest
from serving.model_server.engines.onnx import OnnxEngine
from serving.tfs_api.status_codes import Code
from tests.serving.model_server import versions
from tests.serving.model_server.statuses import raises_status

X = np.arange(6, dtype=np.float32).reshape(2, 3)


@pytest.fixture
def engine(tmp_path: Path) -> OnnxEngine:
    return OnnxEngine(versions.write(tmp_path / "1", slope=2, offset=1))


def test_signatures_and_describe(engine: OnnxEngine) -> None:
    assert engine.signatures == {"serving_default", "both", "describe"}
    (y,) = engine.run("serving_default", {"x": X}, ["y"])
    np.testing.assert_array_equal(y, 2 * X + 1)


def test_graph_input_outside_the_signature_is_zero(engine: OnnxEngine) -> None:
    y, z = engine.run("serving_default", {"x": X}, ["y", "z"])
    np.testing.assert_array_equal(y, z)


@pytest.mark.parametrize("rows", [0, 1, 4095, 4096, 4097, 10_000])
def test_chunks_give_the_outputs_of_the_whole_batch(engine: OnnxEngine, rows: int) -> None:
    x = np.random.default_rng(0).normal(size=(rows, 3)).astype(np.float32)
    shift = np.arange(rows, dtype=np.int32)[:, np.newaxis]
    z, y = engine.run("both", {"x": x, "shift": shift}, ["z", "y"])
    np.testing.assert_array_equal(y, 2 * x + 1)
    np.testing.assert_array_equal(z, 2 * x + 1 + shift.astype(np.float32))


def test_a_signature_with_a_file_of_its_own(tmp_path: Path) -> None:
    directory = versions.write(tmp_path / "1", slope=2)
    costly = versions.graph(slope=3, offset=0)
    onnx.helper.set_model_props(costly, {"signatures": '{"costly": {"inputs": ["x"], "outputs": ["y"]}}'})
    onnx.save(costly, directory / "assets.extra" / "costly.onnx")
    engine = OnnxEngine(directory)
    assert "costly" in engine.signatures
    np.testing.assert_array_equal(engine.run("costly", {"x": X}, ["y"]), [3 * X])
    np.testing.assert_array_equal(engine.run("serving_default", {"x": X}, ["y"]), [2 * X])


def test_a_damaged_file_of_a_signature_leaves_the_others(tmp_path: Path) -> None:
    directory = versions.write(tmp_path / "1", slope=2)
    (directory / "assets.extra" / "costly.onnx").write_bytes(b"not onnx")
    engine = OnnxEngine(directory)
    with raises_status(Code.DATA_LOSS, match=r"costly\.onnx cannot be loaded"):
        engine.run("costly", {"x": X}, ["y"])
    np.testing.assert_array_equal(engine.run("serving_default", {"x": X}, ["y"]), [2 * X])


def test_inputs_with_different_numbers_of_rows_are_rejected(engine: OnnxEngine) -> None:
    with raises_status(Code.INVALID_ARGUMENT, match="All inputs must have the same number of rows"):
        engine.run("both", {"x": X, "shift": np.zeros((3, 1), np.int32)}, ["z"])


def test_describe_returns_the_card_for_each_query(engine: OnnxEngine) -> None:
    (cards,) = engine.run("describe", {"query": np.array([b"", b"?"], object)}, ["card"])
    assert [json.loads(card)["slope"] for card in cards] == [2, 2]


def test_describe_limits_its_memory(engine: OnnxEngine) -> None:
    with raises_status(Code.INVALID_ARGUMENT, match="copies of the model card"):
        engine.run("describe", {"query": np.full(10_000_000, b"", object)}, ["card"])


def test_a_damaged_export(tmp_path: Path) -> None:
    directory = versions.write(tmp_path / "1")
    (directory / "assets.extra" / "model.onnx").write_bytes(b"not onnx")
    with raises_status(Code.DATA_LOSS, match=r"The ONNX export .*model\.onnx cannot be loaded"):
        OnnxEngine(directory)


@pytest.mark.parametrize("table", [None, "{", "[]", '{"serving_default": 1}'])
def test_an_export_without_signatures_in_its_metadata(tmp_path: Path, table: str | None) -> None:
    directory = versions.write(tmp_path / "1")
    model = versions.graph(1, 0)
    del model.metadata_props[:]
    if table is not None:
        onnx.helper.set_model_props(model, {"signatures": table})
    onnx.save(model, directory / "assets.extra" / "model.onnx")
    manifest.write(directory)
    with raises_status(Code.DATA_LOSS, match="lists no signatures"):
        OnnxEngine(directory)
