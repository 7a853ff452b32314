"""The program: start, errors at the start, and shutdown."""

import os
import signal
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import numpy as np
import pytest

from serving.artifacts.models_config import ModelConfig
from serving.tfs_api import messages
from tests.programs import REPOSITORY, Program, free_port, running
from tests.serving.model_server import versions
from tests.serving.model_server.client import Client
from tests.serving.model_server.servers import configure, fails, flags, serving

X = np.ones((1, 3), np.float32)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A base path with version 1 of y = x + 1."""
    versions.write(tmp_path / "line" / "1", offset=1)
    return tmp_path / "line"


def test_one_model_by_flags(model: Path) -> None:
    with serving(f"--model_base_path={model}", "--enable_serialization_as_tensor_content") as server:
        answer = server.client.send(versions.predict_request("default", x=X))
        assert answer.outputs["y"].tensor_content == (X + 1).tobytes()
        assert f"Running gRPC ModelServer at 0.0.0.0:{server.port} ..." in server.program.output


def test_unknown_argument_is_reported_and_ignored(model: Path) -> None:
    with serving(f"--model_base_path={model}", "--no_such_flag=1", "stray") as server:
        assert "unknown argument: --no_such_flag=1\nunknown argument: stray\nusage: " in server.program.output
        np.testing.assert_array_equal(server.client.predict("default", x=X)["y"], X + 1)


def test_a_unix_socket_alone(model: Path, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    ready = f"Running gRPC ModelServer at unix:{path}"
    with running(
        "-m",
        "serving.model_server",
        "--port=0",
        f"--grpc_socket_path={path}",
        f"--model_base_path={model}",
        ready=ready,
    ) as program:
        assert "ModelServer at 0.0.0.0" not in program.output
        with Client(f"unix:{path}") as client:
            np.testing.assert_array_equal(client.predict("default", x=X)["y"], X + 1)


def test_a_unix_socket_and_channel_arguments(model: Path, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    more = [f"--grpc_socket_path={path}", "--grpc_channel_arguments=grpc.max_connection_age_ms=20000"]
    with (
        serving(f"--model_base_path={model}", "--model_name=line", *more),
        Client(f"unix:{path}") as client,
    ):
        np.testing.assert_array_equal(client.predict("line", x=X)["y"], X + 1)


def test_flags_without_effect_are_logged(model: Path) -> None:
    with serving(f"--model_base_path={model}", "--flush_filesystem_caches", "--noenable_profiler") as server:
        assert "--flush_filesystem_caches has no effect" in server.program.output
        assert "--enable_profiler has no effect" in server.program.output


def test_the_health_service(model: Path) -> None:
    with serving(f"--model_base_path={model}", "--enable_grpc_healthcheck_service") as server:
        check = server.client.channel.unary_unary("/grpc.health.v1.Health/Check")
        watch = server.client.channel.unary_stream("/grpc.health.v1.Health/Watch")
        for service in ("", "ModelService", "PredictionService"):
            request = messages.HealthCheckRequest(service=service).SerializeToString()
            assert check(request, timeout=10) == b"\x08\x01"  # SERVING
            watching = watch(request, timeout=10)
            assert next(watching) == b"\x08\x01"
            watching.cancel()
        with pytest.raises(grpc.RpcError) as refused:
            check(messages.HealthCheckRequest(service="x").SerializeToString(), timeout=10)
        assert refused.value.code() is grpc.StatusCode.NOT_FOUND


def test_health_watch_does_not_delay_the_shutdown(model: Path) -> None:
    with serving(f"--model_base_path={model}", "--enable_grpc_healthcheck_service") as server:
        watching = server.client.channel.unary_stream("/grpc.health.v1.Health/Watch")(b"")
        assert next(watching) == b"\x08\x01"
        server.program.process.terminate()
        assert list(watching) == []
        assert server.program.process.wait(20) == 0


def test_mount_replaces_a_path_prefix(model: Path) -> None:
    config = configure(model.parent, [ModelConfig("line", "/models/line", labels={"stable": 1})])
    labels = "--allow_version_labels_for_unavailable_models"
    with serving(f"--model_config_file={config}", "--mount", f"/models={model.parent}", labels) as server:
        np.testing.assert_array_equal(server.client.predict("line", label="stable", x=X)["y"], X + 1)


def test_start_fails_without_a_model(model: Path) -> None:
    assert "Failed to start server. Error: INVALID_ARGUMENT: Both server_options.model_base_path" in fails()
    assert "Error: NOT_FOUND: /nowhere/models.config; No such file" in fails(
        "--model_config_file=/nowhere/models.config"
    )
    assert (
        "Error: INVALID_ARGUMENT: Expected model default to have an absolute path or URI; got base_path()=line"
        in fails("--model_base_path=line")
    )


def test_start_fails_with_an_invalid_configuration(model: Path) -> None:
    path = model.parent / "models.config"
    path.write_text("model_config_list { config { name: 'x' ")
    text = fails(f"--model_config_file={path}")
    assert "Error parsing text-format tensorflow.serving.ModelServerConfig" in text
    assert f"Failed to start server. Error: INVALID_ARGUMENT: Invalid protobuf file: '{path}'" in text
    entry = f'config {{ name: "x" base_path: "{model}" model_platform: "tensorflow" }}'
    path.write_text(f"model_config_list {{ {entry} {entry} }}")
    assert "Error: INVALID_ARGUMENT: Illegal to list model x multiple times in config list" in fails(
        f"--model_config_file={path}"
    )
    path.write_text(f'model_config_list {{ config {{ name: "x" base_path: "{model}" }} }}')
    assert "Illegal setting neither ModelServerConfig::model_type" in fails(f"--model_config_file={path}")


def test_start_fails_with_a_label_on_an_unavailable_version(model: Path) -> None:
    config = configure(model.parent, [ModelConfig("line", str(model), labels={"stable": 1})])
    text = fails(f"--model_config_file={config}")
    assert (
        "Failed to start server. Error: FAILED_PRECONDITION: Request to assign label to version 1 of model line, "
        "which is not currently available for inference" in text
    )
    assert "--allow_version_labels_for_unavailable_models would allow it" in text


def test_start_fails_if_a_model_cannot_be_loaded(model: Path) -> None:
    (model / "1" / "saved_model.pb").write_bytes(b"changed")
    text = fails(f"--model_base_path={model}", "--model_name=line")
    assert (
        "Failed to start server. Error: UNKNOWN: 1 servable(s) did not become available: "
        "{{{name: line version: 1} due to error: DATA_LOSS: " in text
    )
    assert "saved_model.pb is not the file that was published" in text


def test_start_fails_if_the_port_is_in_use(model: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert f"Error: UNKNOWN: cannot listen on 0.0.0.0:{port}" in fails(
            f"--model_base_path={model}", f"--port={port}"
        )


def test_port_opens_after_every_model_has_loaded(tmp_path: Path) -> None:
    (tmp_path / "line").mkdir()
    port = free_port()
    program = Program([sys.executable, *flags(port, f"--model_base_path={tmp_path / 'line'}", "--model_name=line")])
    try:
        program.wait_for("No versions of servable line found under base path")
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0
        versions.write(tmp_path / ".staging", offset=1).rename(tmp_path / "line" / "1")
        program.wait_for("Running gRPC ModelServer")
        with Client(f"127.0.0.1:{port}") as client:
            assert client.predict("line", x=X)["y"][0, 0] == 2
    finally:
        assert program.stop() == 0


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_signal_stops_a_server_that_waits_for_a_model(tmp_path: Path, how: signal.Signals) -> None:
    (tmp_path / "line").mkdir()
    program = Program([sys.executable, *flags(free_port(), f"--model_base_path={tmp_path / 'line'}")])
    program.wait_for("No versions of servable")
    assert program.stop(how, timeout=10) == 0
    assert "Traceback" not in program.output


def test_calls_in_flight_finish_before_the_exit(model: Path) -> None:
    rows = np.ones((2_000_000, 3), np.float32)
    content = "--enable_serialization_as_tensor_content"
    with serving(f"--model_base_path={model}", "--model_name=line", content) as server, ThreadPoolExecutor(4) as pool:
        server.client.predict("line", x=X)
        calls = [pool.submit(server.client.predict, "line", x=rows) for _ in range(4)]
        _wait_for_load(server.program.process.pid)
        assert server.program.stop(signal.SIGTERM) == 0
        answers = []
        for call in calls:
            try:
                answers.append(call.result()["y"].shape)
            except Exception as error:  # a call after the signal
                assert "UNAVAILABLE" in repr(error) or "CANCELLED" in repr(error)
    assert rows.shape in answers
    assert "Traceback" not in server.program.output


def _wait_for_load(pid: int) -> None:
    """Wait until the process has used another 0.2 s of processor time."""

    def used() -> float:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    before = used()
    while used() < before + 0.2:
        threading.Event().wait(0.01)


def test_calls_above_grpc_max_threads_are_rejected(model: Path) -> None:
    rows = np.ones((2_000_000, 3), np.float32)
    one = ["--grpc_max_threads=1", "--enable_serialization_as_tensor_content"]
    with (
        serving(f"--model_base_path={model}", "--model_name=line", *one) as server,
        ThreadPoolExecutor(4) as pool,
    ):
        errors: list[BaseException | None] = []
        for _ in range(20):  # until two calls overlap
            calls = [pool.submit(server.client.predict, "line", x=rows) for _ in range(4)]
            errors += [call.exception() for call in calls]
            if any(errors):
                break
    assert None in errors
    (text,) = {repr(error) for error in errors if error} or {""}
    assert "RESOURCE_EXHAUSTED" in text and "Server Threadpool Exhausted" in text


def test_onnx_exports_run_without_tensorflow(model: Path) -> None:
    with serving(f"--model_base_path={model}", "--model_name=line") as server:
        server.client.predict("line", x=X)
        mapped = Path(f"/proc/{server.program.process.pid}/maps").read_text()
    assert "libonnxruntime" in mapped or "onnxruntime" in mapped
    assert "libtensorflow" not in mapped
    assert "_pywrap_tensorflow" not in mapped


def test_large_packages_are_not_imported_at_the_start() -> None:
    """Imports take most of a cold start."""
    heavy = "pydantic", "PIL", "uvicorn", "tensorflow.python", "fastapi", "httpx"
    code = f"import sys, serving.model_server.server; print([name for name in {heavy!r} if name in sys.modules])"
    ended = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"
