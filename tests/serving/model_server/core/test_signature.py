"""Signatures read from saved_model.pb."""

from pathlib import Path

from serving.model_server.core import signature
from serving.model_server.core.signature import TensorInfo
from serving.tfs_api import messages
from serving.tfs_api.status_codes import Code
from tests.serving.model_server import versions
from tests.serving.model_server.statuses import raises_status


def test_aliases_types_and_shapes(tmp_path: Path) -> None:
    found = signature.read(versions.write(tmp_path / "1"), ["serve"])
    assert list(found.by_name) == ["both", "describe", "serving_default", "slow"]
    both = found.by_name["both"]
    assert dict(both.inputs) == {
        "shift": TensorInfo("both_shift:0", messages.DT_INT32, (None, 1)),
        "x": TensorInfo("both_x:0", messages.DT_FLOAT, (None, 3)),
    }
    assert list(both.outputs) == ["y", "z"]


def test_signature_def_map_equals_the_saved_models(tmp_path: Path) -> None:
    found = signature.read(versions.write(tmp_path / "1"), ["serve"])
    sent = messages.SignatureDefMap.FromString(found.signature_def_map)
    assert sent.signature_def["serving_default"].inputs["x"].name == "serving_default_x:0"
    assert sent.signature_def.keys() == found.by_name.keys()


def test_foreign_models(foreign: Path) -> None:
    free = signature.read(foreign / "free" / "1", ["serve"]).by_name["serving_default"]
    assert free.inputs["x"].shape is None
    old = signature.read(foreign / "old" / "1", ["serve"]).by_name["serving_default"]
    assert old.inputs["x"] == TensorInfo("x:0", messages.DT_FLOAT, ())
    assert old.method == "tensorflow/serving/predict"


def test_no_saved_model(tmp_path: Path) -> None:
    with raises_status(
        Code.NOT_FOUND, match=r"Could not find SavedModel \.pb or \.pbtxt at supplied export directory path"
    ):
        signature.read(tmp_path, ["serve"])


def test_a_damaged_saved_model(tmp_path: Path) -> None:
    path = tmp_path / "saved_model.pb"
    for content in (versions.saved_model()[:-5], b"this is no protobuf message"):
        path.write_bytes(content)
        with raises_status(Code.DATA_LOSS, match=f"Can't parse {path} as binary proto"):
            signature.read(tmp_path, ["serve"])


def test_a_text_saved_model(tmp_path: Path) -> None:
    (tmp_path / "saved_model.pbtxt").write_text(
        'meta_graphs { meta_info_def { tags: "serve" } signature_def { key: "s" value { method_name: "m" } } }'
    )
    assert signature.read(tmp_path, ["serve"]).by_name["s"].method == "m"
    (tmp_path / "saved_model.pbtxt").write_text("meta_graphs {")
    with raises_status(Code.DATA_LOSS, match="Can't parse"):
        signature.read(tmp_path, ["serve"])


def test_no_graph_with_the_tags(tmp_path: Path) -> None:
    with raises_status(Code.NOT_FOUND, match=r"Could not find meta graph def matching supplied tags: \{ serve gpu \}"):
        signature.read(versions.write(tmp_path / "1"), ["serve", "gpu"])
