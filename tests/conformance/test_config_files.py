"""CONTRACT D.6, D.7 and the rows of D.5 about configuration: every file, in a process of its own."""

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import numpy as np
import pytest
import trustme

from serving.protos import prediction_log_pb2
from tests.conformance import test_grpc
from tests.conformance.server import Server, command, error, refused, started, wait_until
from tests.conformance.test_flags import LINE, ask
from tests.programs import Program, free_port
from tests.serving.model_server import versions

pytestmark = pytest.mark.own_process


def config(name: str, base_path: Path | str, more: str = "") -> str:
    platform = "" if "model_platform" in more else 'model_platform: "tensorflow" '
    return f'config {{ name: "{name}" base_path: "{base_path}" {platform}{more} }} '


def listed(*configs: str) -> str:
    return f"model_config_list {{ {' '.join(configs)} }}"


@pytest.fixture(scope="module")
def tree(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """line/{1,2,3}, of which 2 is written with leading zeros and 3 is as 1, and what is no version."""
    root = tmp_path_factory.mktemp("tree")
    for source, name in (("line/1", "1"), ("line_2/2", "002"), ("line/1", "3"), ("line/1", "notes")):
        shutil.copytree(models / source, root / "line" / name)
    return root


POLICIES = [
    ("D.6 Default policy: latest 1", "", {3}),
    ("D.6 latest", "model_version_policy { latest { num_versions: 2 } }", {2, 3}),
    ("D.6 all", "model_version_policy { all {} }", {1, 2, 3}),
    ("D.6 specific", "model_version_policy { specific { versions: 1 versions: 3 } }", {1, 3}),
]
LABELLED = 'model_version_policy { all {} } version_labels { key: "stable" value: 1 }'


@pytest.fixture(scope="module")
def server(tree: Path) -> Iterator[Server]:
    """A model for each policy; and a file that is read again every second."""
    file = tree / "models.config"
    file.write_text(listed(*(config(f"m{n}", tree / "line", row[1]) for n, row in enumerate(POLICIES))))
    with started(f"--model_config_file={file}", "--model_config_file_poll_wait_seconds=1", rest=False) as server:
        yield server


@pytest.mark.parametrize(
    ("number", "expected"), [pytest.param(number, row[2], id=row[0]) for number, row in enumerate(POLICIES)]
)
def test_policies(server: Server, number: int, expected: set[int]) -> None:
    listed = [(version, "AVAILABLE") for version in sorted(expected, reverse=True)]
    wait_until(lambda: server.states(f"m{number}") == listed)


REFUSED = [
    (
        "D.5 Duplicate in config",
        lambda tree: listed(config("a", tree / "line"), config("a", tree / "line")),
        "INVALID_ARGUMENT",
        "Illegal to list model a multiple times in config list",
    ),
    (
        "D.5 Relative path",
        lambda tree: listed(config("a", "line")),
        "INVALID_ARGUMENT",
        "Expected model a to have an absolute path or URI; got base_path()=line",
    ),
    (
        "D.5 Platform change",
        lambda tree: listed(config("m0", tree / "line", 'model_platform: "other"')),
        "INVALID_ARGUMENT",
        "Illegal to change a model's platform",
    ),
    (
        "D.5 Label to unloaded version",
        lambda tree: listed(config("m0", tree / "line", 'version_labels { key: "x" value: 9 }')),
        "FAILED_PRECONDITION",
        "Request to assign label to version 9 of model m0, which is not currently available for inference",
    ),
    (  # the last one: the real server compares the next platforms with these, until it reads the file again
        "D.12 Unknown platform",
        lambda tree: listed(config("m0", tree / "line"), config("d", tree / "line", 'model_platform: "zz"')),
        "INVALID_ARGUMENT",
        "Model d requests unsupported platform zz",
    ),
]


@pytest.mark.parametrize(("text", "code", "message"), [pytest.param(*row[1:], id=row[0]) for row in REFUSED])
def test_reload_refused(server: Server, tree: Path, text: object, code: str, message: str) -> None:
    found = error(server, "HandleReloadConfigRequest", f"config {{ {text(tree)} }}")
    assert (found[0], message in found[1]) == (code, True), found
    assert ask(server, "m0") == [3.0, 4.0, 5.0], "the configuration before stays"


def test_kind_change(server: Server) -> None:
    """D.5 Kind change: from a list of models to a custom configuration."""
    code, _ = error(server, "HandleReloadConfigRequest", "config { custom_model_config {} }")
    assert code in ("FAILED_PRECONDITION", "INVALID_ARGUMENT")


def test_reload_replaces_all_and_a_file_is_polled(server: Server, tree: Path) -> None:
    """D.3 HandleReloadConfigRequest: a full replacement, which waits; D.2 --model_config_file_poll_wait_seconds."""
    new = listed(config("new", tree / "line", LABELLED.partition("version_labels")[0]))
    (tree / "models.config").write_text(new)
    assert server.program
    everything = [(3, "AVAILABLE"), (2, "AVAILABLE"), (1, "AVAILABLE")]
    server.program.wait_until(lambda: known(server, "new") == everything)
    server.program.wait_until(lambda: known(server, "m0") == [(3, "END")])
    with pytest.raises(grpc.RpcError, match="Servable not found for request"):
        ask(server, "m0")
    names = ["/tensorflow/serving/request_log_count", "/no/such/metric"]
    wanted = " ".join(f'metric_names: "{name}"' for name in names)
    labelled = listed(config("new", tree / "line", LABELLED))
    draft = tree / "models.config.new"
    draft.write_text(labelled)
    draft.replace(tree / "models.config")  # else the next look at it takes the label away again
    response = server.call("HandleReloadConfigRequest", f"config {{ {labelled} }} {wanted}")
    assert (response.status.error_code, response.status.error_message) == (0, "")
    assert {metric.name: metric.int64_value_increase for metric in response.metric} == dict.fromkeys(names, 0)
    assert ask(server, "new", 'version_label: "stable"') == [3.0, 4.0, 5.0]
    assert ask(server, "new", "version { value: 2 }") == [4.0, 5.0, 6.0]


def known(server: Server, model: str) -> list[tuple[int, str]]:
    """States of a model, which the server may not know yet."""
    try:
        return server.states(model)
    except grpc.RpcError:
        return []


@pytest.fixture
def own(models: Path) -> Iterator[Server]:
    """A server of one model that a case may give other configurations by RPC."""
    labels = "--allow_version_labels_for_unavailable_models"
    with started(f"--model_base_path={models / 'line'}", "--max_num_load_retries=0", labels, rest=False) as server:
        yield server


def test_a_reload_that_adds_a_broken_model(own: Server, models: Path, tmp_path: Path) -> None:
    """D.2 "model(s)" is said where a reload adds models."""
    (tmp_path / "1").mkdir()
    text = listed(config("default", models / "line"), config("bad", tmp_path))
    code, message = error(own, "HandleReloadConfigRequest", f"config {{ {text} }}")
    assert code == "UNKNOWN"
    assert message.startswith("1 model(s) did not become available: {{{name: bad version: 1} due to error: NOT_FOUND: ")
    assert ask(own) == [3.0, 4.0, 5.0]


def test_a_label_that_comes_with_its_model(own: Server, models: Path) -> None:
    """D.12 Refused until the version has loaded, even with --allow_version_labels_for_unavailable_models."""
    default = config("default", models / "line")
    labelled = listed(default, config("new", models / "line", 'version_labels { key: "stable" value: 1 }'))
    found = error(own, "HandleReloadConfigRequest", f"config {{ {labelled} }}")
    problem = "Request to assign label to version 1 of model new, which is not currently available for inference"
    assert found == ("FAILED_PRECONDITION", problem)
    own.call("HandleReloadConfigRequest", f"config {{ {listed(default, config('new', models / 'line'))} }}")
    wait_until(lambda: known(own, "new") == [(1, "AVAILABLE")])
    own.call("HandleReloadConfigRequest", f"config {{ {labelled} }}")
    assert ask(own, "new", 'version_label: "stable"') == [3.0, 4.0, 5.0]


def test_a_label_that_comes_with_its_model_by_the_file(models: Path, tmp_path: Path) -> None:
    """D.12 It is tried again at each poll."""
    file, draft = tmp_path / "models.config", tmp_path / "models.config.new"
    default = config("default", models / "line")
    file.write_text(listed(default))
    flags = [f"--model_config_file={file}", "--model_config_file_poll_wait_seconds=1"]
    with started(*flags, "--allow_version_labels_for_unavailable_models", rest=False) as server:
        draft.write_text(listed(default, config("new", models / "line", 'version_labels { key: "stable" value: 1 }')))
        draft.replace(file)
        assert server.program
        server.program.wait_for("Request to assign label to version 1 of model new, which is not currently available")
        assert ask(server) == [3.0, 4.0, 5.0]


def test_a_reload_that_adds_a_missing_base_path(own: Server, models: Path, tmp_path: Path) -> None:
    """D.12 It hangs until the caller's deadline, and later reloads queue behind it."""
    default = config("default", models / "line")
    late = listed(default, config("late", tmp_path / "late"))
    for text in (late, listed(default)):
        code, _ = error(own, "HandleReloadConfigRequest", f"config {{ {text} }}", timeout=2)
        assert code == "DEADLINE_EXCEEDED"
    assert ask(own) == [3.0, 4.0, 5.0]
    shutil.copytree(models / "line" / "1", tmp_path / "incoming" / "1")
    (tmp_path / "incoming").rename(tmp_path / "late")
    own.call("HandleReloadConfigRequest", f"config {{ {late} }}")
    assert ask(own, "late") == [3.0, 4.0, 5.0]


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        pytest.param("improper config file", ["Invalid protobuf file: '"], id="D.5 Bad text proto"),
        pytest.param(
            "improper config file",
            ["Error parsing text-format tensorflow.serving.ModelServerConfig"],
            id="D.8 testBadModelConfig",
        ),
        pytest.param(
            listed(config("a", "/m", 'version_labels { key: "x" value: 1 }')),
            ["FAILED_PRECONDITION: Request to assign label to version 1 of model a"],
            id="D.6 labels are applied before loading",
        ),
    ],
)
def test_a_model_config_is_refused_at_start(tmp_path: Path, text: str, messages: list[str]) -> None:
    file = tmp_path / "models.config"
    file.write_text(text)
    said = refused(f"--port={free_port()}", f"--model_config_file={file}")
    assert [message for message in messages if message not in said] == [], said


def test_an_empty_config_file(models: Path, tmp_path: Path) -> None:
    """D.5 Empty config file: no action at start; later no transition."""
    file, draft = tmp_path / "models.config", tmp_path / "models.config.new"
    file.write_text("")
    flags = [f"--model_config_file={file}", "--model_config_file_poll_wait_seconds=1"]
    with started(*flags, rest=False) as server:
        assert server.program
        assert "Taking no action for empty config." in server.program.output
        draft.write_text(listed(config("a", models / "line")))
        draft.replace(file)
        wait_until(lambda: known(server, "a") == [(1, "AVAILABLE")])
        draft.write_text("")
        draft.replace(file)
        server.program.wait_for("Cannot transition to requested config")
        assert ask(server, "a") == [3.0, 4.0, 5.0]


LOGGING = "logging_config { log_collector_config { type: 'x' } }"


def test_a_request_logger_is_refused_after_the_models_have_loaded(models: Path, tmp_path: Path) -> None:
    """D.5, D.12 logging_config set."""
    file = tmp_path / "models.config"
    file.write_text(listed(config("a", models / "line", LOGGING)))
    said = refused(f"--port={free_port()}", f"--model_config_file={file}")
    assert "Successfully loaded servable version {name: a version: 1}" in said
    assert "Failed to start server. Error: INVALID_ARGUMENT: No request-logger-creator provided." in said


def test_a_request_logger_is_not_spoken_of_while_a_model_is_missing(tmp_path: Path) -> None:
    """D.12 A missing model directory keeps it from being said at all."""
    file = tmp_path / "models.config"
    file.write_text(listed(config("a", tmp_path / "missing", LOGGING)))
    program = Program([*command(), f"--port={free_port()}", f"--model_config_file={file}"])
    try:
        program.wait_for(f"Could not find base path {tmp_path / 'missing'} for servable a", 120)
        assert program.process.poll() is None
        assert "request-logger-creator" not in program.output
    finally:
        program.stop()


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
def test_batching_parameters_that_cannot_be_followed(models: Path, tmp_path: Path, text: str, message: str) -> None:
    flags = [f"--port={free_port()}", f"--model_base_path={models / 'line'}"]
    assert message in refused(*flags, *batching(tmp_path, text))


SESSION_RUN = prediction_log_pb2.PredictionLog()
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
def test_a_file_that_is_not_there(models: Path, flag: str) -> None:
    flags = [f"--port={free_port()}", f"--rest_api_port={free_port()}", f"--model_base_path={models / 'line'}"]
    refused(*flags, f"--{flag}=/no/such/file", "--enable_batching")


def test_a_monitoring_file_is_not_missed_without_rest(models: Path) -> None:
    """D.12 A missing --monitoring_config_file is never noticed where the REST port is off."""
    with started(
        f"--model_base_path={models / 'line'}", "--monitoring_config_file=/no/such/file", rest=False
    ) as server:
        assert ask(server) == [3.0, 4.0, 5.0]
