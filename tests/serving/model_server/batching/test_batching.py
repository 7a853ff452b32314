"""Batching in a real server, with both engines: outputs, limits and errors."""

import concurrent.futures
from collections.abc import Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest

from tests.serving.model_server import versions
from tests.serving.model_server.servers import Server, fails, serving

#: Batches run when they are full; a lone call waits half a second.
PATIENT = """
max_batch_size { value: 8 } batch_timeout_micros { value: 500000 } max_enqueued_batches { value: 100 }
num_batch_threads { value: 2 } allowed_batch_sizes: 4 allowed_batch_sizes: 8
"""


def flags(folder: Path, parameters: str) -> list[str]:
    file = folder / "batching.config"
    file.write_text(parameters)
    return ["--enable_batching", f"--batching_parameters_file={file}"]


@pytest.fixture(scope="module", params=["ONNX", "SavedModel"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, foreign: Path) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("batching")
    base = foreign / "mixed"
    engine = "auto" if request.param == "ONNX" else "tensorflow"
    with serving(*flags(folder, PATIENT), f"--model_base_path={base}", f"--engine={engine}") as running:
        yield running


def test_merged_calls_get_their_own_outputs(server: Server) -> None:
    def call(number: int) -> None:
        rows = np.full((number % 3 + 1, 3), number, np.float32)
        np.testing.assert_allclose(server.client.predict("default", x=rows)["y"], 2 * rows + 1, atol=1e-5)

    with concurrent.futures.ThreadPoolExecutor(16) as callers:
        list(callers.map(call, range(64)))


def test_failed_batch_fails_for_all_its_calls_only(server: Server) -> None:
    def call(columns: int) -> str:
        try:
            server.client.predict("default", x=np.ones((4, columns), np.float32))
            return "OK"
        except grpc.RpcError as error:
            return error.code().name

    with concurrent.futures.ThreadPoolExecutor(2) as callers:
        refused = set(callers.map(call, [3, 4]))
    assert refused <= {"OK", "FAILED_PRECONDITION", "INVALID_ARGUMENT"}
    assert "OK" not in refused or len(refused) == 2
    assert call(3) == "OK"


@pytest.mark.parametrize(("rows", "message"), [(9, "Task size 9 is larger than maximum input batch size 8")])
def test_a_call_that_is_too_large(server: Server, rows: int, message: str) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        server.client.predict("default", x=np.ones((rows, 3), np.float32))
    assert (caught.value.code(), caught.value.details()) == (grpc.StatusCode.INVALID_ARGUMENT, message)


def test_a_large_call_is_cut_and_joined(tmp_path: Path) -> None:
    versions.write(tmp_path / "line" / "1", slope=2.0)
    splitting = """
        max_batch_size { value: 64 } max_execution_batch_size { value: 4 }
        enable_large_batch_splitting { value: true } max_enqueued_batches { value: 20 }
    """
    with serving(*flags(tmp_path, splitting), f"--model_base_path={tmp_path / 'line'}") as server:
        rows = np.arange(150, dtype=np.float32).reshape(50, 3)
        np.testing.assert_allclose(server.client.predict("default", x=rows)["y"], 2 * rows)


def test_full_queue_rejects_calls(tmp_path: Path) -> None:
    versions.write(tmp_path / "line" / "1")
    narrow = """
        max_batch_size { value: 2 } batch_timeout_micros { value: 60000000 } max_enqueued_batches { value: 1 }
    """
    with serving(*flags(tmp_path, narrow), f"--model_base_path={tmp_path / 'line'}") as server:
        server.client.predict("default", x=np.ones((2, 3), np.float32))  # full: it does not wait
        request = versions.predict_request("default", x=np.ones((1, 3), np.float32))
        method = server.client.channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
        waiting = method.future(request.SerializeToString(), timeout=60)
        seen = None
        while seen is None:  # until the first is in the queue, two rows get through
            try:
                server.client.predict("default", x=np.ones((2, 3), np.float32))
            except grpc.RpcError as error:
                seen = error
        assert seen.code() is grpc.StatusCode.UNAVAILABLE
        assert "The batch scheduling queue to which this task was submitted is full" in seen.details()
        server.client.predict("default", x=np.ones((1, 3), np.float32))  # fills the batch
        assert waiting.result()


def test_parameters_of_a_version(tmp_path: Path) -> None:
    own = versions.write(tmp_path / "own" / "1")
    (own / "batching_params.pbtxt").write_text("max_batch_size { value: 3 }")
    versions.write(tmp_path / "none" / "1")
    config = tmp_path / "models.config"
    listed = [
        f'config {{ name: "{name}" base_path: "{tmp_path / name}" model_platform: "tensorflow" }}'
        for name in ("own", "none")
    ]
    config.write_text(f"model_config_list {{ {' '.join(listed)} }}")
    more = [*flags(tmp_path, PATIENT), "--enable_per_model_batching_parameters", f"--model_config_file={config}"]
    with serving(*more) as server:
        server.client.predict("none", x=np.ones((9, 3), np.float32))
        with pytest.raises(grpc.RpcError, match="Task size 4 is larger than maximum input batch size 3"):
            server.client.predict("own", x=np.ones((4, 3), np.float32))


def test_invalid_parameters_fail_the_load(tmp_path: Path) -> None:
    versions.write(tmp_path / "line" / "1")
    base = f"--model_base_path={tmp_path / 'line'}"
    said = fails(base, *flags(tmp_path, "max_batch_size: 8"))
    assert f"INVALID_ARGUMENT: Invalid protobuf file: '{tmp_path / 'batching.config'}'" in said
    said = fails(base, *flags(tmp_path, "allowed_batch_sizes: 8"))
    assert "Last entry in allowed_batch_sizes must match max_batch_size; last entry was 8; expected 1000" in said
    said = fails(base, *flags(tmp_path, "")[1:])
    assert "batching_parameters_file is set without setting server_options.enable_batching to true" in said
