"""CONTRACT D.6 and the rows of D.5 about models.config: policies, labels and reloads, in a process of its own."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from tests.conformance.server import Server, command, error, refused, started, wait_until
from tests.conformance.test_flags import ask
from tests.programs import Program, free_port

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
    requested = " ".join(f'metric_names: "{name}"' for name in names)
    labelled = listed(config("new", tree / "line", LABELLED))
    draft = tree / "models.config.new"
    draft.write_text(labelled)
    draft.replace(tree / "models.config")  # else the next look at it takes the label away again
    response = server.call("HandleReloadConfigRequest", f"config {{ {labelled} }} {requested}")
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


def test_a_label_added_with_its_model(own: Server, models: Path) -> None:
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


def test_a_label_added_with_its_model_in_the_file(models: Path, tmp_path: Path) -> None:
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


def test_no_request_logger_error_while_a_model_is_missing(tmp_path: Path) -> None:
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
