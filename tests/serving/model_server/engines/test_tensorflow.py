"""Foreign SavedModels and signatures without an ONNX export, run by TensorFlow."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest

from serving.artifacts.models_config import ModelConfig
from serving.tfs_api import messages
from tests.serving.model_server.client import Client
from tests.serving.model_server.servers import Server, configure, fails, serving


@pytest.fixture
def client(foreign_server: Server) -> Client:
    return foreign_server.client


@pytest.fixture(scope="module")
def mixed(foreign: Path) -> Iterator[Server]:
    with serving(f"--model_base_path={foreign / 'mixed'}", "--model_name=mixed") as server:
        yield server


def test_tensorflow_2(client: Client) -> None:
    x = np.array([0, 2, 5], np.float32)
    assert client.states("half_plus_two") == {123: "AVAILABLE"}
    np.testing.assert_array_equal(client.predict("half_plus_two", x=x)["y"], [2, 3, 4.5])
    both = client.predict("half_plus_two", "both", x=x)
    np.testing.assert_array_equal(both["z"], [3, 4, 5.5])
    assert client.predict("half_plus_two", "both", outputs=("z",), x=x).keys() == {"z"}


def test_tensorflow_1_with_a_scalar(client: Client) -> None:
    np.testing.assert_array_equal(client.predict("old", x=np.array(2, np.float32))["y"], [2, 4, 6])


def test_string_lookup_tables_and_assets(client: Client) -> None:
    answer = client.predict("text", words=np.array(["shirt", "hat", ""]))
    assert answer["number"].tolist() == [1, -1, -1]
    assert answer["upper"].tolist() == [b"SHIRT", b"HAT", b""]


def test_metadata_has_all_signatures_of_the_saved_model(client: Client) -> None:
    signatures = messages.SignatureDefMap()
    client.metadata("half_plus_two", "signature_def").metadata["signature_def"].Unpack(signatures)
    assert {"serving_default", "both", "__saved_model_init_op"} == set(signatures.signature_def)


def test_wrong_rank_is_invalid_argument(client: Client) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        client.predict("conv", image=np.zeros((8, 8, 1), np.float32))
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "convolution input must be 4-dimensional: [8,8,1]" in raised.value.details()
    assert client.predict("conv", image=np.zeros((0, 8, 8, 1), np.float32))["y"].shape == (0, 6, 6, 4)
    assert client.predict("conv", image=np.zeros((2, 8, 8, 1), np.float32))["y"].shape == (2, 6, 6, 4)


def test_errors_of_the_graph_reach_the_client(client: Client) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        client.predict("free", x=np.zeros((2, 3), np.float32))
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "Matrix size-incompatible: In[0]: [2,3], In[1]: [2,1]" in raised.value.details()
    np.testing.assert_array_equal(client.predict("free", x=np.ones((1, 2), np.float32))["y"], [[3]])


def test_wrong_type(client: Client) -> None:
    with pytest.raises(grpc.RpcError, match=r"Expects arg\[0\] to be float but string is provided"):
        client.predict("half_plus_two", x=np.array(["a"]))


def test_model_without_card_or_describe(client: Client) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        client.predict("half_plus_two", "describe", query=np.array([""]))
    assert raised.value.details() == 'Serving signature key "describe" not found.'


def test_tensorflow_is_imported_only_for_signatures_that_the_export_lacks(mixed: Server) -> None:
    def has_tensorflow() -> bool:
        return "libtensorflow" in Path(f"/proc/{mixed.program.process.pid}/maps").read_text()

    x = np.ones((2, 3), np.float32)
    np.testing.assert_array_equal(mixed.client.predict("mixed", x=x)["y"], 2 * x + 1)
    assert not has_tensorflow()
    assert mixed.client.predict("mixed", "shout", text=np.array(["hey"]))["loud"].tolist() == [b"HEY"]
    assert has_tensorflow()
    np.testing.assert_array_equal(mixed.client.predict("mixed", x=x)["y"], 2 * x + 1)


def test_tensorflow_engine_returns_the_outputs_of_the_export(foreign_server: Server, mixed: Server) -> None:
    x = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    np.testing.assert_allclose(
        foreign_server.client.predict("mixed", x=x)["y"], mixed.client.predict("mixed", x=x)["y"], atol=1e-6
    )
    assert "(ONNX export, " not in foreign_server.program.output
    assert "(ONNX export, 0 warm-up requests)" in mixed.program.output


def test_damaged_saved_models_are_rejected_with_the_reason(foreign: Path, tmp_path: Path) -> None:
    """Without its variables, and with the file of their values cut."""
    for name in ("missing", "cut"):
        shutil.copytree(foreign / "half_plus_two" / "00000123", tmp_path / name / "1")
    shutil.rmtree(tmp_path / "missing" / "1" / "variables")
    os.truncate(tmp_path / "cut" / "1" / "variables" / "variables.data-00000-of-00001", 3)
    text = fails(
        f"--model_config_file={configure(tmp_path, [ModelConfig(n, str(tmp_path / n)) for n in ('cut', 'missing')])}"
    )
    assert "Failed to start server. Error: UNKNOWN: 2 servable(s) did not become available: {{{name: " in text
    assert "{name: cut version: 1} due to error: " in text
    assert "{name: missing version: 1} due to error: " in text
    assert text.count("variables") >= 2
