"""CONTRACT D.6, D.7 and the rows of D.5 about the other files: batching, TLS, warm-up and monitoring."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import numpy as np
import pytest
import trustme

from serving.tfs_api import messages
from tests.conformance import test_grpc
from tests.conformance.server import Server, error, refused, started
from tests.conformance.test_flags import LINE, ask
from tests.programs import free_port
from tests.serving.model_server import versions

pytestmark = pytest.mark.own_process


def batching(folder: Path, text: str) -> list[str]:
    file = folder / "batching.config"
    file.write_text(text)
    return ["--enable_batching", f"--batching_parameters_file={file}", "--grpc_max_threads=200"]


def rows(count: int, columns: int = 3) -> str:
    model = test_grpc.spec("default")
    return model + test_grpc.tensor("x", "DT_FLOAT", f"{count} {columns}", "float_val: 1")


PATIENT = """
max_batch_size { value: 4 } batch_timeout_micros { value: 1000000 } max_enqueued_batches { value: 2 }
num_batch_threads { value: 2 } thread_pool_name { value: "threads" } allowed_batch_sizes: 2 allowed_batch_sizes: 4
"""


def test_batching(models: Path, tmp_path: Path) -> None:
    """D.6 batching_parameters_file; D.5 Batch larger than max, Mixed shapes, Queue full, Deadline in queue."""
    flags = [f"--model_base_path={models / 'matrix'}", f"--monitoring_config_file={models / 'monitoring.config'}"]
    flags.append("--rest_api_timeout_in_ms=300")  # shorter than a batch that is not full waits
    with started(*flags, *batching(tmp_path, PATIENT)) as server:
        assert error(server, "Predict", rows(5)) == (
            "INVALID_ARGUMENT",
            "Task size 5 is larger than maximum input batch size 4",
        )
        with ThreadPoolExecutor(16) as callers:
            merged = list(callers.map(lambda _: server.call("Predict", rows(1)), range(8)))
            assert [list(answer.outputs["y"].float_val) for answer in merged] == [[2.0, 2.0, 2.0]] * 8

            mixed = list(callers.map(lambda columns: error(server, "Predict", rows(2, columns)), [2, 3]))
            assert {code for code, _ in mixed} == {"FAILED_PRECONDITION"}
            assert "from different tasks have different shapes and padding is turned off" in mixed[0][1]

            def late() -> str:
                return error(server, "Predict", rows(1), timeout=0.2)[0]

            assert callers.submit(late).result() in ("DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED")
        answer = server.http("POST", "/v1/models/default:predict", {"instances": [[1.0, 2.0, 3.0]]})
        assert answer.json == {"error": "Run() timeout exceeded while waiting in batching queue"}
        assert answer.status == 429
        page = server.http("GET", "/monitoring/prometheus/metrics").text
        prefix = ":tensorflow:serving:batching_session"
        for metric in ("queuing_latency", "padding_size", "input_batch_size", "processed_batch_size"):
            assert f"# TYPE {prefix}:{metric} histogram\n" in page
        assert f"{prefix}:wrapped_run_count{{}} " in page
        assert f'{prefix}:padding_size_bucket{{execution_batch_size="4",le="1"}} ' in page
        assert f"{prefix}:queuing_latency_bucket{{thread_pool_name=" in page


def test_a_full_batching_queue(models: Path, tmp_path: Path) -> None:
    """D.5 Queue full: one batch may wait, and what does not fit it is refused."""
    narrow = PATIENT.replace("value: 1000000", "value: 5000000").replace("value: 2 }\nnum", "value: 1 }\nnum")
    with (
        started(f"--model_base_path={models / 'line'}", *batching(tmp_path, narrow), rest=False) as server,
        ThreadPoolExecutor(8) as callers,
    ):

        def code(_: int) -> tuple[str, str]:
            try:
                server.call("Predict", rows(3))
                return "OK", ""
            except grpc.RpcError as failed:
                return failed.code().name, failed.details() or ""

        found = list(callers.map(code, range(8)))
        full = [message for name, message in found if name == "UNAVAILABLE"]
        assert full and {name for name, _ in found} == {"OK", "UNAVAILABLE"}
        assert full[0].startswith("The batch scheduling queue to which this task was submitted is full")


def test_padding_and_splitting(models: Path, tmp_path: Path) -> None:
    """D.6 pad_variable_length_inputs, enable_large_batch_splitting, max_execution_batch_size, own file of a version."""
    text = """
        max_batch_size { value: 16 } batch_timeout_micros { value: 5000000 } max_enqueued_batches { value: 100 }
        pad_variable_length_inputs: true enable_large_batch_splitting { value: true }
        max_execution_batch_size { value: 4 }
    """
    model = tmp_path / "matrix"
    shutil.copytree(models / "matrix", model)
    (model / "1" / "batching_params.pbtxt").write_text(text)
    flags = [f"--model_base_path={model}", "--enable_batching", "--enable_per_model_batching_parameters"]
    with started(*flags, rest=False) as server, ThreadPoolExecutor(2) as callers:
        response = server.call("Predict", rows(16))
        assert list(response.outputs["y"].float_val) == [2.0] * 48
        widths = [
            answer.outputs["y"].tensor_shape.dim[1].size
            for answer in callers.map(lambda columns: server.call("Predict", rows(2, columns)), [2, 3])
        ]
        assert widths == [3, 3], "D.11 each answer comes back as wide as the widest of its batch"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("max_batch_size: 4", "Invalid protobuf file: '", id="D.5 Bad text proto: batching"),
        pytest.param(
            "allowed_batch_sizes: 8",
            "servable(s) did not become available: {{{name: default version: 1} due to error: INVALID_ARGUMENT: "
            "Last entry in allowed_batch_sizes must match max_batch_size; last entry was 8; expected 1000",
            id="D.12 allowed_batch_sizes: the load fails",
        ),
    ],
)
def test_invalid_batching_parameters(models: Path, tmp_path: Path, text: str, message: str) -> None:
    flags = [f"--port={free_port()}", f"--model_base_path={models / 'line'}"]
    assert message in refused(*flags, *batching(tmp_path, text))


SESSION_RUN = messages.PredictionLog()
SESSION_RUN.session_run_log.SetInParent()


def quoted(pem: bytes) -> str:
    return '"' + pem.decode().replace("\n", "\\n") + '"'


@pytest.mark.parametrize("verified", [False, True], ids=["D.6 ssl_config_file", "D.6 client_verify"])
def test_tls(models: Path, tmp_path: Path, verified: bool) -> None:
    authority = trustme.CA()
    own = authority.issue_cert("localhost")
    root = authority.cert_pem.bytes()
    key, chain = own.private_key_pem.bytes(), own.cert_chain_pems[0].bytes()
    file = tmp_path / "ssl.config"
    file.write_text(
        f"server_key: {quoted(key)} server_cert: {quoted(chain)} custom_ca: {quoted(root)} "
        f"client_verify: {str(verified).lower()}"
    )
    stranger = grpc.ssl_channel_credentials(root)
    known = grpc.ssl_channel_credentials(root, key, chain) if verified else stranger
    flags = [f"--model_base_path={models / 'line'}", f"--ssl_config_file={file}"]
    with started(*flags, rest=False, credentials=known, host="localhost") as server:
        assert ask(server) == [3.0, 4.0, 5.0]
        if verified:
            code, _ = error(Server(server.grpc, "", None, stranger), "Predict", test_grpc.spec("default") + LINE)
            assert code == "UNAVAILABLE"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"no TFRecord at all", "DATA_LOSS", id="D.7 Not a TFRecord"),
        pytest.param(
            versions.record(versions.predict_log("nosig")),
            "Serving signature key",
            id="D.7 A failing record fails the load",
        ),
        pytest.param(
            versions.record(SESSION_RUN.SerializeToString()),
            "UNIMPLEMENTED: Unsupported log_type for warmup: ",
            id="D.7 A kind of record that is not replayed",
        ),
        pytest.param(
            versions.record(versions.predict_log(x=np.zeros((1, 3), np.float32))) * 1001,
            "Number of warmup records exceeds the maximum (1000)",
            id="D.7 More than 1000 records",
        ),
    ],
)
def test_a_warmup_file_that_fails(models: Path, tmp_path: Path, content: bytes, message: str) -> None:
    copied = tmp_path / "line" / "1"
    shutil.copytree(models / "line" / "1", copied)
    (copied / "assets.extra" / "tf_serving_warmup_requests").write_bytes(content)
    flags = [f"--port={free_port()}", f"--model_base_path={copied.parent}", "--max_num_load_retries=0"]
    assert message in refused(*flags)
    with started(*flags[1:], "--enable_model_warmup=false", rest=False) as server:
        assert ask(server) == [3.0, 4.0, 5.0]


def test_monitoring_is_off_unless_enabled(models: Path, tmp_path: Path) -> None:
    """D.6 monitoring_config_file: enable, path."""
    file = tmp_path / "monitoring.config"
    file.write_text('prometheus_config { enable: true path: "/here" }')
    with started(f"--model_base_path={models / 'line'}", f"--monitoring_config_file={file}") as server:
        assert server.http("GET", "/here").status == 200
        assert server.http("GET", "/monitoring/prometheus/metrics").status == 404


@pytest.mark.parametrize("flag", ["monitoring_config_file", "ssl_config_file", "batching_parameters_file"])
def test_a_missing_file(models: Path, flag: str) -> None:
    flags = [f"--port={free_port()}", f"--rest_api_port={free_port()}", f"--model_base_path={models / 'line'}"]
    refused(*flags, f"--{flag}=/no/such/file", "--enable_batching")


def test_a_missing_monitoring_file_is_ignored_without_rest(models: Path) -> None:
    """D.12 A missing --monitoring_config_file is never noticed where the REST port is off."""
    with started(
        f"--model_base_path={models / 'line'}", "--monitoring_config_file=/no/such/file", rest=False
    ) as server:
        assert ask(server) == [3.0, 4.0, 5.0]
