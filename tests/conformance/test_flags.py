"""CONTRACT D.2: every flag, each in a process of its own unless several go together."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import text_format

from serving.tfs_api import messages
from tests.conformance import test_grpc
from tests.conformance.server import Server, command, error, is_embedded, refused, started, wait_until
from tests.programs import REPOSITORY, Program, free_port
from tests.serving.model_server import versions

pytestmark = pytest.mark.own_process

LINE = test_grpc.tensor("x", "DT_FLOAT", "1 3", "float_val: [2, 4, 6]")


def ask(server: Server, model: str = "default", more: str = "") -> list[float]:
    response = server.call("Predict", test_grpc.spec(model, more) + LINE)
    return test_grpc.values(response, "y")[0]


def base(models: Path) -> str:
    return f"--model_base_path={models / 'line'}"


def test_defaults(models: Path) -> None:
    """--model_name default, --model_base_path alone, no REST, no Prometheus."""
    with started(base(models), rest=False) as server:
        assert ask(server) == [3.0, 4.0, 5.0]
        with pytest.raises(ConnectionRefusedError):
            server.http("GET", "/v1/models/default")


#: Flags that change nothing that a client sees, with a value other than their default.
QUIET = [
    "--grpc_max_threads=200",
    "--rest_api_num_threads=3",
    "--rest_api_timeout_in_ms=20000",
    "--file_system_poll_wait_seconds=2",
    "--num_load_threads=2",
    "--num_unload_threads=2",
    "--max_num_load_retries=0",
    "--load_retry_interval_micros=1000",
    "--noflush_filesystem_caches",
    "--per_process_gpu_memory_fraction=0.5",
    "--saved_model_tags=serve",
    "--tensorflow_intra_op_parallelism=1",
    "--tensorflow_inter_op_parallelism=1",
    "--enable_model_warmup=false",
    "--thread_pool_factory_config_file=",
    "--num_request_iterations_for_warmup=1",
    "--enforce_session_run_timeout=false",
    "--enable_profiler=false",
    "--remove_unused_fields_from_bundle_metagraph=false",
    "--allow_version_labels_for_unavailable_models",
    "--grpc_channel_arguments=grpc.max_connection_age_ms=200000",
]


def test_together(models: Path, tmp_path: Path) -> None:
    """The quiet ones, with a name, a Unix socket, CORS, tensor_content and the health service."""
    socket = tmp_path / "socket"
    loud = [
        f"--grpc_socket_path={socket}",
        "--rest_api_enable_cors_support",
        "--enable_serialization_as_tensor_content",
    ]
    with started(base(models), "--model_name=mine", "--enable_grpc_healthcheck_service", *loud, *QUIET) as server:
        assert ask(server, "mine") == [3.0, 4.0, 5.0]
        assert error(server, "Predict", test_grpc.spec("default") + LINE)[0] == "NOT_FOUND"
        over_socket = Server(f"unix:{socket}", "")
        response = over_socket.call("Predict", test_grpc.spec("mine") + LINE)
        assert len(response.outputs["y"].tensor_content) == 12 and not response.outputs["y"].float_val
        origin = {"Origin": "http://example.org"}
        answer = server.http("OPTIONS", "/v1/models/mine:predict", headers=origin)
        assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (200, "*")
        for service in (b"ModelService", b"PredictionService"):
            with server.channel() as channel:
                check = channel.unary_unary("/grpc.health.v1.Health/Check")
                assert check(b"\x0a" + bytes([len(service)]) + service, timeout=10) == b"\x08\x01", "SERVING"


def test_strings_in_tensor_content(models: Path, tmp_path: Path) -> None:
    """D.2, D.12 --enable_serialization_as_tensor_content: strings too, both ways, and in a warm-up record."""
    copied = tmp_path / "text" / "1"
    shutil.copytree(models / "text" / "1", copied)
    content = test_grpc.tensor("words", "DT_STRING", "2", r'tensor_content: "\002\000ab"')
    log = messages.PredictionLog()
    text_format.Parse(test_grpc.spec("default") + content, log.predict_log.request)
    extra = copied / "assets.extra"
    extra.mkdir()
    (extra / "tf_serving_warmup_requests").write_bytes(versions.record(log.SerializeToString()))
    flags = [f"--model_base_path={copied.parent}", "--max_num_load_retries=0"]
    with started(*flags, "--enable_serialization_as_tensor_content=true", rest=False) as server:
        for values in (content, test_grpc.tensor("words", "DT_STRING", "2", 'string_val: ["ab", ""]')):
            response = server.call("Predict", test_grpc.spec("default") + values)
            for alias, expected in (("upper", b"\x02\x00AB"), ("same_bytes", b"\x02\x00ab")):
                assert response.outputs[alias].tensor_content == expected
                assert not response.outputs[alias].string_val
        long = test_grpc.tensor("words", "DT_STRING", "1", f'string_val: "{"x" * 2982}"')
        response = server.call("Predict", test_grpc.spec("default") + long)
        assert response.outputs["same_bytes"].tensor_content == b"\xa6\x17" + b"x" * 2982


@pytest.mark.parametrize(
    "form", [["--model_name=mine"], ["--model_name", "mine"]], ids=["--flag=value", "--flag value"]
)
def test_forms(models: Path, form: list[str]) -> None:
    if len(form) == 2 and not is_embedded():
        pytest.skip("TensorFlow's own flag parser has --flag=value alone")
    with started(base(models), *form, "--enable_batching=false", rest=False) as server:
        assert ask(server, "mine") == [3.0, 4.0, 5.0]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        pytest.param(
            ["--port=0", "--model_base_path=/m"],
            "At least one of server_options.grpc_port or server_options.grpc_socket_path must be set.",
            id="D.12 --port=0 without a socket",
        ),
        pytest.param(
            [], "Both server_options.model_base_path and server_options.model_config_file are empty!", id="D.2 no model"
        ),
        pytest.param(
            ["--batching_parameters_file=/m", "--model_base_path=/m"],
            "INVALID_ARGUMENT: server_options.batching_parameters_file is set without setting "
            "server_options.enable_batching to true.",
            id="D.2 --batching_parameters_file",
        ),
    ],
)
def test_refused(flags: list[str], message: str) -> None:
    port = [] if any(flag.startswith("--port") for flag in flags) else [f"--port={free_port()}"]
    assert message in refused(*port, *flags)


def test_an_unknown_flag(models: Path) -> None:
    """D.12 An unknown flag prints itself and the usage, and the server goes on."""
    with started(base(models), "--no_such_flag=1", rest=False) as server:
        assert ask(server) == [3.0, 4.0, 5.0]
        assert server.program
        assert "unknown argument: --no_such_flag=1\n" in server.program.output
        assert "usage: " in server.program.output and "--model_base_path" in server.program.output


def test_a_socket_alone(models: Path, tmp_path: Path) -> None:
    """D.12 --port=0 with a socket path: gRPC listens there alone."""
    socket = tmp_path / "socket"
    program = Program([*command(), "--port=0", f"--grpc_socket_path={socket}", base(models)])
    try:
        program.wait_for("Running gRPC ModelServer at", 300)
        wait_until(socket.exists)
        assert ask(Server(f"unix:{socket}", "")) == [3.0, 4.0, 5.0]
    finally:
        program.stop()


CANNOT_BE_LOADED = [
    pytest.param(lambda saved: None, ["NOT_FOUND: Could not find SavedModel"], id="D.2 nothing in the version"),
    pytest.param(
        lambda saved: saved[:-100],
        ["OUT_OF_RANGE: Read less bytes than requested", "DATA_LOSS: "],  # the second one by the embedded server
        id="D.12 a truncated saved_model.pb",
    ),
    pytest.param(
        lambda saved: b"this is no protobuf message", ["DATA_LOSS: "], id="D.12 a saved_model.pb of something else"
    ),
]


@pytest.mark.parametrize(("change", "messages"), CANNOT_BE_LOADED)
def test_a_model_that_fails_to_load(models: Path, tmp_path: Path, change: Any, messages: list[str]) -> None:
    """D.2 On failure: N servable(s) did not become available; --max_num_load_retries, --load_retry_interval_micros."""
    (tmp_path / "1").mkdir()
    content = change((models / "line/1/saved_model.pb").read_bytes())
    if content is not None:
        (tmp_path / "1/saved_model.pb").write_bytes(content)
    flags = [f"--model_base_path={tmp_path}", "--max_num_load_retries=1", "--load_retry_interval_micros=1000"]
    said = refused(f"--port={free_port()}", *flags)
    start = "Failed to start server. Error: UNKNOWN: 1 servable(s) did not become available: "
    assert any(f"{start}{{{{{{name: default version: 1}} due to error: {message}" in said for message in messages), said


def test_a_version_that_is_retried(models: Path, tmp_path: Path) -> None:
    """D.12 A version that is being retried is LOADING with error code OK; the error appears at END."""
    shutil.copytree(models / "line" / "1", tmp_path / "line" / "1")
    flags = ["--max_num_load_retries=1", "--load_retry_interval_micros=3000000"]
    with started(f"--model_base_path={tmp_path / 'line'}", *flags, rest=False) as server:
        assert server.program
        (tmp_path / "line" / "2").mkdir()
        server.program.wait_for("Loading servable: {name: default version: 2} failed: ")

        def newest() -> tuple[int, int, str]:
            status = server.call("GetModelStatus", test_grpc.spec("default")).model_version_status[0]
            return status.version, status.state, status.status.error_message

        assert newest() == (2, 20, ""), "LOADING"
        wait_until(lambda: newest()[1] == 50)
        assert newest()[2].startswith("Could not find SavedModel")
        assert ask(server) == [3.0, 4.0, 5.0], "the version before stays"


def test_files_that_configure_tensorflow(models: Path, tmp_path: Path) -> None:
    """D.2 --tensorflow_session_config_file, --platform_config_file; the embedded server warns of those.

    Meanwhile one with --file_system_poll_wait_seconds below 0 waits for ever.
    """
    waiting = Program([*command(), f"--port={free_port()}", base(models), "--file_system_poll_wait_seconds=-1"])
    session, platform = tmp_path / "session.config", tmp_path / "platform.config"
    session.write_text("intra_op_parallelism_threads: 1")
    platform.write_text(
        'platform_configs { key: "tensorflow" value { source_adapter_config { '
        "[type.googleapis.com/tensorflow.serving.SavedModelBundleSourceAdapterConfig] { } } } }"
    )
    try:
        for flag in (f"--tensorflow_session_config_file={session}", f"--platform_config_file={platform}"):
            with started(base(models), flag, "--tensorflow_session_parallelism=1", rest=False) as server:
                assert ask(server) == [3.0, 4.0, 5.0]
        assert waiting.process.poll() is None
        assert "Running gRPC ModelServer" not in waiting.output
    finally:
        waiting.stop()


def test_version() -> None:
    """D.2 --version says which and serves nothing."""
    ended = subprocess.run([*command(), "--version"], cwd=REPOSITORY, capture_output=True, text=True, timeout=60)
    assert (ended.returncode, "TensorFlow ModelServer" in ended.stdout) == (0, True)


def test_threads_run_out(models: Path, tmp_path: Path) -> None:
    """D.2 --grpc_max_threads, D.11: refused with RESOURCE_EXHAUSTED; the batching queue holds the first call."""
    file = tmp_path / "batching.config"
    file.write_text("batch_timeout_micros { value: 60000000 } num_batch_threads { value: 1 }")
    batching = ["--enable_batching", f"--batching_parameters_file={file}"]
    with started(base(models), *batching, "--grpc_max_threads=2", rest=False) as server, server.channel() as channel:
        predict = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
        data = text_format.Parse(test_grpc.spec("default") + LINE, messages.PredictRequest()).SerializeToString()
        calls = [predict.future(data, timeout=5) for _ in range(12)]
        codes = [call.code() for call in calls]
        assert grpc.StatusCode.RESOURCE_EXHAUSTED in codes


def test_method_names_and_tflite(models: Path, tmp_path: Path) -> None:
    """D.2 --enable_signature_method_name_check: TensorFlow 2 exports for predict alone; --prefer_tflite_model."""
    file = tmp_path / "models.config"
    entry = 'config {{ name: "{0}" base_path: "{1}/{0}" model_platform: "tensorflow" }}'
    entries = " ".join(entry.format(name, models) for name in ("lite", "half_plus_two", "old"))
    file.write_text(f"model_config_list {{ {entries} }}")
    flags = [f"--model_config_file={file}", "--enable_signature_method_name_check", "--prefer_tflite_model"]
    with started(*flags, rest=False) as server:
        found = error(server, "Regress", test_grpc.signature("regress") + test_grpc.examples(1))
        assert found[0] == "INVALID_ARGUMENT"
        assert "tensorflow/serving/regress" in found[1]
        old = test_grpc.spec("old", 'signature_name: "regress"') + test_grpc.examples(1)
        assert server.call("Regress", old).result.regressions[0].value == 2.5
        request = test_grpc.spec("lite") + test_grpc.tensor("x", "DT_FLOAT", "1", "float_val: 2")
        assert test_grpc.values(server.call("Predict", request), "y") == [3.0]


def test_a_new_version_replaces_the_old_one(models: Path, tmp_path: Path) -> None:
    """D.2 --file_system_poll_wait_seconds: 1 by default; D.6 the newest answers, the one before is unloaded; D.12 the
    lines of the log."""
    shutil.copytree(models / "line" / "1", tmp_path / "line" / "1")
    with started(f"--model_base_path={tmp_path / 'line'}", rest=False) as server:
        assert ask(server) == [3.0, 4.0, 5.0]
        shutil.copytree(models / "line_2" / "2", tmp_path / "incoming")
        (tmp_path / "incoming").rename(tmp_path / "line" / "2")
        assert server.program
        server.program.wait_until(lambda: ask(server) == [4.0, 5.0, 6.0])
        after = [(2, "AVAILABLE"), (1, "END")]
        server.program.wait_until(lambda: server.states("default") == after)
        for version, what in ((1, "Approving load for"), (1, "Successfully loaded"), (2, "Successfully loaded")):
            server.program.wait_for(f"{what} servable version {{name: default version: {version}}}")
        for what in ("Quiescing", "Done unloading"):
            server.program.wait_for(f"{what} servable version {{name: default version: 1}}")
        assert server.states("default") == after, "D.12 END versions are kept, below those that answer"


def test_no_versions_yet(models: Path, tmp_path: Path) -> None:
    """D.6 No versions of servable … found: the server waits for one."""
    (tmp_path / "line" / "notes").mkdir(parents=True)
    shutil.copytree(models / "line" / "1", tmp_path / "incoming")
    port = free_port()
    program = Program([*command(), f"--port={port}", f"--model_base_path={tmp_path / 'line'}"])
    try:
        program.wait_for(f"No versions of servable default found under base path {tmp_path / 'line'}", 300)
        assert "Did you forget to name your leaf directory as a number (eg. '/1/')?" in program.output
        (tmp_path / "incoming").rename(tmp_path / "line" / "1")
        program.wait_for("Running gRPC ModelServer", 300)
        assert ask(Server(f"127.0.0.1:{port}", "")) == [3.0, 4.0, 5.0]
    finally:
        program.stop()
