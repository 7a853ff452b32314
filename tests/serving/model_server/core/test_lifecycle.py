"""Versions, labels and configurations that change while requests run."""

import contextlib
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import numpy as np
import pytest

from serving.artifacts.models_config import ModelConfig
from serving.tfs_api import messages
from tests.serving.model_server import versions
from tests.serving.model_server.client import Client
from tests.serving.model_server.servers import configure, serving

ZERO = np.zeros((1, 3), np.float32)


def eventually(condition: Callable[[], bool], expected: str = "the condition") -> None:
    """Poll the server, which does not notify its clients."""
    for _ in range(600):
        if condition():
            return
        threading.Event().wait(0.05)
    raise AssertionError(f"{expected} was not reached within 30 s")


def publish(root: Path, number: int, offset: float | None = None, ballast: int = 0) -> None:
    """Publish a version by one rename, like serving.artifacts.registry."""
    offset = number if offset is None else offset
    staged = versions.write(root / "line" / f".staging-{number}", offset=offset, ballast=ballast)
    staged.rename(root / "line" / str(number))


def answering(client: Client, model: str = "line") -> int:
    request = versions.predict_request(model, x=ZERO)
    answer = client.send(request)
    version = int(answer.model_spec.version.value)
    assert answer.outputs["y"].float_val[0] == version
    return version


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "line").mkdir()
    publish(tmp_path, 1)
    configure(tmp_path, [ModelConfig("line", "/models/line")])
    return tmp_path


@contextlib.contextmanager
def callers(client: Client, count: int = 16, pause: float = 0.0) -> Iterator[list[int]]:
    """Send requests and check every response; yield the versions that answered, in order."""
    stop = threading.Event()
    answered: list[int] = []

    def call() -> None:
        while not stop.wait(pause):
            answered.append(answering(client))

    with ThreadPoolExecutor(count) as pool:
        futures = [pool.submit(call) for _ in range(count)]
        try:
            yield answered
        finally:
            stop.set()
            for future in futures:
                future.result()


def mounted(root: Path) -> list[str]:
    return [f"--model_config_file={root / 'models.config'}", f"--mount=/models={root}"]


def test_version_changes_under_load_lose_no_request(root: Path) -> None:
    with serving(*mounted(root)) as server, callers(server.client) as answered:
        eventually(lambda: answered[-1:] == [1], "version 1")
        for number in range(2, 7):
            publish(root, number)
            eventually(lambda number=number: answered[-1:] == [number], f"version {number}")
        shutil.rmtree(root / "line" / "6")
        eventually(lambda: answered[-1:] == [5], "the return to version 5")
        states = server.client.states("line")
    assert states.pop(5) == "AVAILABLE"
    assert set(states.values()) == {"END"}
    assert set(answered) == set(range(1, 7))


def test_fifty_version_changes_under_load_leak_no_memory(root: Path) -> None:
    ballast = 16

    def resident(pid: int, field: str = "VmRSS") -> int:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith(field)).split()[1]) // 1024

    with serving(*mounted(root)) as server, callers(server.client, 2, 0.005) as answered:
        pid = server.program.process.pid
        eventually(lambda: answered[-1:] == [1], "version 1")
        publish(root, 2, ballast=ballast)
        eventually(lambda: answered[-1:] == [2], "version 2")
        before = resident(pid)
        for number in range(3, 52):
            publish(root, number, ballast=ballast)
            eventually(lambda number=number: answered[-1:] == [number], f"version {number}")
            shutil.rmtree(root / "line" / str(number - 1))
        eventually(lambda: resident(pid) < before + ballast, "the memory without the previous version")
        most = resident(pid, "VmHWM")
    # The new copy, onnxruntime's buffer while it reads it, and an old copy that is not yet trimmed.
    assert most < before + 4 * ballast
    assert set(answered) == set(range(1, 52))


def test_previous_version_serves_while_damaged_versions_fail(root: Path) -> None:
    with serving(*mounted(root)) as server:
        client, program = server.client, server.program
        (root / "line" / "2").mkdir()
        program.wait_for("version: 2} failed: NOT_FOUND: Could not find SavedModel .pb or .pbtxt")
        assert answering(client) == 1
        staged = versions.write(root / "line" / ".staging-3", offset=3)
        (staged / "assets.extra" / "model.onnx").write_bytes(b"something else")
        staged.rename(root / "line" / "3")
        program.wait_for("assets.extra/model.onnx is not the file that was published")
        staged = versions.write(root / "line" / ".staging-4", offset=4)
        (staged / "assets.extra" / "card.json").unlink()
        staged.rename(root / "line" / "4")
        program.wait_for("assets.extra/card.json is missing")
        assert answering(client) == 1
        eventually(lambda: client.states("line") == {4: "END", 3: "END", 2: "END", 1: "AVAILABLE"}, "the end of 4")
        (status,) = client.status("line", 4)
        assert status.status.error_code == grpc.StatusCode.DATA_LOSS.value[0]
        assert "card.json is missing" in status.status.error_message
        publish(root, 5)
        eventually(lambda: answering(client) == 5, "version 5")


@pytest.mark.parametrize("name", ["assets.extra/MANIFEST.sha256", "saved_model.pb", "assets.extra/model.onnx", "x/y"])
def test_special_files_are_rejected_and_the_next_version_loads(root: Path, name: str) -> None:
    with serving(*mounted(root)) as server:
        path = versions.write(root / "line" / "2.new", offset=2).joinpath(name)
        path.parent.mkdir(exist_ok=True)
        path.unlink(missing_ok=True)
        os.mkfifo(path)
        (root / "line" / "2.new").rename(root / "line" / "2")
        server.program.wait_for(f"{name} is a named pipe; regular files are expected")
        publish(root, 3)
        eventually(lambda: answering(server.client) == 3, "version 3")


def test_incomplete_version_loads_after_the_copy_is_complete(root: Path) -> None:
    patient = ["--max_num_load_retries=1000", "--load_retry_interval_micros=50000"]
    with serving(*mounted(root), *patient) as server:
        source = versions.write(root / "elsewhere", offset=2)
        target = root / "line" / "2"
        shutil.copytree(source / "assets.extra", target / "assets.extra")
        server.program.wait_for("saved_model.pb is missing; retry in 0.05 s")
        assert server.client.states("line") == {2: "LOADING", 1: "AVAILABLE"}
        assert answering(server.client) == 1
        shutil.copy(source / "saved_model.pb", target / "saved_model.pb")
        eventually(lambda: answering(server.client) == 2, "version 2")


def test_missing_base_path_unloads_nothing(root: Path) -> None:
    with serving(*mounted(root)) as server:
        (root / "line").rename(root / "away")
        server.program.wait_for("FileSystemStoragePathSource encountered a filesystem access error")
        assert answering(server.client) == 1
        (root / "away").rename(root / "line")
        publish(root, 2)
        eventually(lambda: answering(server.client) == 2, "version 2")


def test_configuration_file_changes_are_applied(root: Path) -> None:
    publish(root, 2)
    versions.write(root / "more" / "1", offset=1)
    with serving(*mounted(root), "--model_config_file_poll_wait_seconds=0.05") as server:
        client = server.client
        assert client.states("line") == {2: "AVAILABLE"}

        configure(root, [ModelConfig("line", "/models/line", specific=(1, 2)), ModelConfig("more", "/models/more")])
        eventually(lambda: client.states("line") == {2: "AVAILABLE", 1: "AVAILABLE"}, "both versions")
        server.program.wait_for("Successfully loaded servable version {name: more version: 1}")
        assert answering(client, "more") == 1

        labelled = ModelConfig("line", "/models/line", specific=(1, 2), labels={"stable": 1})
        configure(root, [labelled])
        eventually(lambda: client.states("more") == {1: "END"}, "the end of more")
        assert client.predict("line", label="stable", x=ZERO)["y"][0, 0] == 1
        with pytest.raises(grpc.RpcError, match=r"Servable not found for request: Latest\(more\)"):
            answering(client, "more")

        configure(root, [labelled, ModelConfig("nowhere", "/models/nowhere")])
        server.program.wait_for("Could not find base path")  # the other models follow the file

        (root / "models.config").write_text("model_config_list { config {")
        server.program.wait_for("INVALID_ARGUMENT: Invalid protobuf file: ")
        assert "Error parsing text-format tensorflow.serving.ModelServerConfig" in server.program.output
        assert answering(client) == 2

        (root / "models.config").write_text("")
        server.program.wait_for("FAILED_PRECONDITION: Cannot transition to requested config.")
        assert answering(client) == 2

        configure(root, [ModelConfig("line", "/models/line", labels={"stable": 7})])
        server.program.wait_for(
            "FAILED_PRECONDITION: Request to assign label to version 7 of model line, which is not currently available"
        )
        assert client.predict("line", label="stable", x=ZERO)["y"][0, 0] == 1
        publish(root, 7)
        configure(root, [ModelConfig("line", "/models/line", specific=(1, 2, 7), labels={"stable": 1})])
        eventually(lambda: client.states("line").get(7) == "AVAILABLE", "version 7")
        configure(root, [ModelConfig("line", "/models/line", labels={"stable": 7})])
        eventually(lambda: client.states("line") == {7: "AVAILABLE", 2: "END", 1: "END"}, "7 alone")
        assert client.predict("line", label="stable", x=ZERO)["y"][0, 0] == 7


def reload_config(*models: tuple[str, Path | str], platform: str = "tensorflow") -> messages.ModelServerConfig:
    config = messages.ModelServerConfig()
    config.model_config_list.SetInParent()
    for name, base_path in models:
        config.model_config_list.config.add(name=name, base_path=str(base_path), model_platform=platform)
    return config


def test_reload_by_rpc(root: Path) -> None:
    versions.write(root / "more" / "1", offset=1)
    (root / "bad" / "1").mkdir(parents=True)
    line, more = ("line", root / "line"), ("more", root / "more")
    with serving(*mounted(root)) as server:
        client = server.client
        assert client.reload(reload_config(line, more)).status.error_code == 0
        assert answering(client, "more") == 1, "the reload returns after the new model is available"
        client.reload(reload_config(more))
        eventually(lambda: client.states("line") == {1: "END"}, "the end of line")

        refused = {
            "INVALID_ARGUMENT: Illegal to list model more multiple times in config list": reload_config(more, more),
            "INVALID_ARGUMENT: Expected model x to have an absolute path or URI; got base_path()=here": reload_config(
                ("x", "here")
            ),
            "INVALID_ARGUMENT: Illegal to change a model's platform. For model more platform was tensorflow and "
            "new platform requested is other": reload_config(more, platform="other"),
            "INVALID_ARGUMENT: ServerModelConfig type not supported by HandleReloadConfigRequest. Only "
            "ModelConfigList is currently supported": messages.ModelServerConfig(),
            "UNKNOWN: 1 model(s) did not become available: {{{name: bad version: 1} due to error: NOT_FOUND: "
            f"Could not find SavedModel .pb or .pbtxt at supplied export directory path: {root / 'bad' / '1'}. Check "
            "that the directory exists and that you have the right permissions for accessing it.}, }": reload_config(
                more, ("bad", root / "bad")
            ),
        }
        for message, config in refused.items():
            with pytest.raises(grpc.RpcError) as raised:
                client.reload(config)
            assert f"{raised.value.code().name}: {raised.value.details()}" == message
            assert answering(client, "more") == 1


def test_without_polling_base_paths_are_read_once_for_each_configuration(root: Path) -> None:
    with serving(*mounted(root), "--file_system_poll_wait_seconds=0") as server:
        publish(root, 2)
        assert server.client.states("line") == {1: "AVAILABLE"}
        server.client.reload(reload_config(("line", root / "line")))
        eventually(lambda: answering(server.client) == 2, "version 2")


def test_version_is_loading_without_an_error_during_retries(root: Path) -> None:
    (root / "bad" / "1").mkdir(parents=True)
    flags = ("--max_num_load_retries=1", "--load_retry_interval_micros=700000")
    with serving(*mounted(root), *flags) as server, ThreadPoolExecutor(1) as pool:
        reloading = pool.submit(server.client.reload, reload_config(("line", root / "line"), ("bad", root / "bad")))
        server.program.wait_for("Loading servable: {name: bad version: 1} failed: NOT_FOUND: ")
        (status,) = server.client.status("bad")
        assert (status.state, status.status.error_code, status.status.error_message) == (20, 0, "")
        assert "did not become available" in reloading.exception().details()
        (status,) = server.client.status("bad")
        assert (status.state, status.status.error_code) == (50, 5)
        assert status.status.error_message.startswith("Could not find SavedModel")
    for line in ("Approving load for servable version", "Encountered an error for servable version"):
        assert f"{line} {{name: bad version: 1}}" in server.program.output


def test_reload_continues_after_its_caller_gives_up(root: Path) -> None:
    line, late = ("line", root / "line"), ("late", root / "late")
    with serving(*mounted(root)) as server, ThreadPoolExecutor(1) as pool:
        with (
            Client(f"127.0.0.1:{server.port}", timeout=0.5) as hasty,
            pytest.raises(grpc.RpcError, match="DEADLINE_EXCEEDED"),
        ):
            hasty.reload(reload_config(line, late))
        waiting = pool.submit(server.client.reload, reload_config(line))
        with pytest.raises(TimeoutError):
            waiting.result(0.5)
        versions.write(root / ".staging", offset=3).rename(make(root / "late") / "1")
        assert waiting.result(20).status.error_code == 0
        eventually(lambda: server.client.states("late") == {1: "END"}, "the end of late")
        for action in LOGGED:
            server.program.wait_for(f"{action} servable version {{name: late version: 1}}")


LOGGED = ("Approving load for", "Successfully loaded", "Quiescing", "Done unloading")


def make(directory: Path) -> Path:
    directory.mkdir()
    return directory


def test_reload_with_a_new_model_and_its_label_is_rejected_as_a_whole(root: Path) -> None:
    versions.write(root / "new" / "1", offset=3)
    config = reload_config(("line", root / "line"), ("new", root / "new"))
    config.model_config_list.config[1].version_labels["stable"] = 1
    with serving(*mounted(root), "--allow_version_labels_for_unavailable_models") as server:
        with pytest.raises(grpc.RpcError, match="Request to assign label to version 1 of model new, which is not"):
            server.client.reload(config)
        with pytest.raises(grpc.RpcError, match="Could not find any versions of model new"):
            server.client.states("new")
        server.client.reload(reload_config(("line", root / "line"), ("new", root / "new")))
        server.client.reload(config)
        assert server.client.predict("new", label="stable", x=ZERO)["y"][0, 0] == 3
        config.model_config_list.config[1].version_labels["canary"] = 9  # the model is loaded, so the flag allows it
        server.client.reload(config)


def test_label_in_the_file_is_assigned_after_its_new_model_has_loaded(root: Path) -> None:
    """The registry writes a first version and its label in one edit; the server loads first and labels afterwards."""
    versions.write(root / "new" / "1", offset=3)
    poll = "--model_config_file_poll_wait_seconds=0.05"
    with serving(*mounted(root), poll, "--allow_version_labels_for_unavailable_models") as server:
        configure(root, [ModelConfig("line", "/models/line"), ModelConfig("new", "/models/new", labels={"stable": 1})])

        def labelled() -> bool:
            with contextlib.suppress(grpc.RpcError):
                return bool(server.client.predict("new", label="stable", x=ZERO)["y"][0, 0] == 3)
            return False

        eventually(labelled, "the label")
        assert server.program.output.count("Request to assign label to version 1 of model new") == 1


def test_a_label_in_the_file_moves_to_a_version_that_only_the_file_names(root: Path) -> None:
    """A registry writes it so if the server was too slow to read its first step. Other models' labels move, too."""
    publish(root, 2)
    shutil.copytree(root / "line", root / "more")
    poll = "--model_config_file_poll_wait_seconds=0.05"

    def labelled(stable: int) -> list[ModelConfig]:
        return [
            ModelConfig("line", "/models/line", specific=(stable,), labels={"stable": stable}),
            ModelConfig("more", "/models/more", specific=(1, 2), labels={"stable": 2 if stable == 1 else 1}),
        ]

    configure(root, labelled(1))
    with serving(*mounted(root), poll, "--allow_version_labels_for_unavailable_models") as server:

        def answer(model: str = "line") -> float:
            return float(server.client.predict(model, label="stable", x=ZERO)["y"][0, 0])

        eventually(lambda: answer("more") == 2, "the labels")
        configure(root, labelled(2))
        answers = [answer()]  # each request is answered while the label moves
        eventually(lambda: answers.append(answer()) or answers[-1] == 2, "version 2")
        assert set(answers) == {1, 2} and answers == sorted(answers)
        eventually(lambda: answer("more") == 1, "the label of the other model")
        eventually(lambda: server.client.states("line") == {2: "AVAILABLE", 1: "END"}, "the end of version 1")
        configure(root, labelled(9))
        server.program.wait_for("Request to assign label to version 9 of model line")
        assert answer() == 2


def test_logging_config_and_unknown_platform_are_rejected(root: Path) -> None:
    with serving(*mounted(root)) as server:
        with pytest.raises(grpc.RpcError, match="Model d requests unsupported platform zz"):
            server.client.reload(reload_config(("d", root / "line"), platform="zz"))
        config = reload_config(("line", root / "line"))
        config.model_config_list.config[0].logging_config.SetInParent()
        with pytest.raises(grpc.RpcError, match="No request-logger-creator provided"):
            server.client.reload(config)
        assert answering(server.client, "line") == 1


def test_label_moves_only_to_an_available_version(root: Path) -> None:
    publish(root, 2)

    def config(stable: int) -> messages.ModelServerConfig:
        made = reload_config(("line", root / "line"))
        made.model_config_list.config[0].version_labels["stable"] = stable
        return made

    with serving(*mounted(root), "--allow_version_labels_for_unavailable_models") as server:
        server.client.reload(config(2))
        with pytest.raises(grpc.RpcError, match="Request to assign label to version 1 of model line"):
            server.client.reload(config(1))
        assert server.client.predict("line", label="stable", x=ZERO)["y"][0, 0] == 2
