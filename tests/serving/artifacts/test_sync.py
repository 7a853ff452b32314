"""The sync sidecar against a real S3 server: complete versions and consistent files for a model server."""

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import fsspec
import httpx
import pytest

from serving.artifacts import models_config, rollout
from serving.artifacts.backends.local import versions_in
from serving.artifacts.backends.object_store import ObjectStoreBackend
from serving.artifacts.registry import ModelRegistry
from serving.artifacts.signing import Signer, Verifier
from serving.artifacts.sync import Sync
from tests import s3
from tests.programs import REPOSITORY, Program, free_port, model_server, shipped
from tests.serving.artifacts.test_atomic_write import leave_temporary_file
from tests.serving.artifacts.test_signing import key_pair
from tests.serving.gateway import programs

SIZE = 20_000_000  # of a version that is more than one read


@pytest.fixture
def url(s3_port: int) -> str:
    return s3.exports()


def publish(registry: ModelRegistry, model: str = "m", size: int = 1000) -> int:
    with registry.staging(model) as directory:
        s3.stage(directory, size)
        return registry.publish(model, directory)


def here(target: Path) -> dict[str, list[int]]:
    return {path.name: versions_in(path) for path in target.iterdir() if path.is_dir()}


def syncing(url: str, target: Path, *flags: str, port: int) -> Program:
    command = [sys.executable, "-m", "serving.artifacts.sync", url, str(target), *flags]
    return Program(command, {**s3.environment(port), "AWS_MAX_ATTEMPTS": "1"})


def success(port: int) -> float:
    """Read the time of the last successful round."""
    page = httpx.get(f"http://127.0.0.1:{port}/metrics").text
    values = dict(line.split() for line in page.splitlines() if not line.startswith("#"))
    assert values["vitrine_sync_complete"] in ("0.0", "1.0")
    return float(values["vitrine_sync_last_success_timestamp_seconds"])


def test_configured_versions_are_copied_and_others_removed_a_round_later(url: str, tmp_path: Path) -> None:
    registry, sync = ModelRegistry(url, settle=0), Sync(ObjectStoreBackend(url), tmp_path)
    assert not sync.once() and here(tmp_path) == {}
    for _ in range(3):
        publish(registry)
    publish(registry, "unpromoted")
    registry.promote("m", 3)
    assert sync.once() and here(tmp_path) == {"m": [2, 3]}
    assert (tmp_path / ".copied_from").read_text() == f"{url}\n"
    registry.promote("m", 1)
    rollout.canary(registry, "m", 2, 5)
    assert sync.once() and here(tmp_path) == {"m": [1, 2, 3]}
    assert ModelRegistry(tmp_path).labels("m")["stable"] == 3  # a model server would not take it before 1 is loaded
    assert sync.once()
    assert (
        ModelRegistry(tmp_path).routing() == registry.routing()
        and ModelRegistry(tmp_path).configured() == registry.configured()
    )
    rollout.promote(registry, "m", 3)
    fsspec.filesystem("s3").rm(f"{url}/m/2", recursive=True)
    publish(registry)
    assert sync.once() and here(tmp_path) == {"m": [1, 2, 3, 4]}
    assert sync.once() and here(tmp_path) == {"m": [1, 3, 4]}  # 1 is previous; 2 is deleted and has no label


def test_foreign_entries_of_the_target_stay_and_temporary_files_go(url: str, tmp_path: Path) -> None:
    registry, sync = ModelRegistry(url, settle=0), Sync(ObjectStoreBackend(url), tmp_path)
    for _ in range(3):
        publish(registry)
    registry.promote("m", 3)
    (tmp_path / "lost+found").mkdir(mode=0)
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    (tmp_path / "m" / "001").mkdir(parents=True)
    draft = leave_temporary_file(tmp_path / "models.config")
    assert sync.once() and here(tmp_path) == {"m": [1, 2, 3], "lost+found": []}
    assert sync.once() and here(tmp_path) == {"m": [2, 3], "lost+found": []}
    assert (tmp_path / "notes.txt").exists() and not draft.exists()


def test_models_config_names_only_copied_versions(url: str, tmp_path: Path) -> None:
    registry, sync = ModelRegistry(url), Sync(ObjectStoreBackend(url), tmp_path)
    for model in ("m", "n"):
        publish(registry, model)
        registry.promote(model, 1)
    assert sync.once()
    before = models_config.read(tmp_path / "models.config")
    for model in ("m", "n"):
        publish(registry, model)
        registry.promote(model, 2)
    fsspec.filesystem("s3").pipe_file(f"{url}/m/2/saved_model.pb", b"damaged")
    assert not sync.once()  # loads version 2 of n
    assert not sync.once()  # moves the label
    after = models_config.read(tmp_path / "models.config")
    assert here(tmp_path) == {"m": [1], "n": [1, 2]}
    assert after["m"] == before["m"] and after["n"].labels["stable"] == 2
    fsspec.filesystem("s3").pipe_file(f"{url}/m/2/saved_model.pb", b"x")
    assert sync.once() and here(tmp_path)["m"] == [1, 2]


def test_copied_versions_stay_while_another_cannot_be_downloaded(url: str, tmp_path: Path) -> None:
    registry, sync = ModelRegistry(url), Sync(ObjectStoreBackend(url), tmp_path)
    for _ in range(2):
        publish(registry)
    registry.promote("m", 1)
    registry.promote("m", 2, "canary")
    fsspec.filesystem("s3").pipe_file(f"{url}/m/2/saved_model.pb", b"damaged")
    for _ in range(3):
        assert not sync.once() and here(tmp_path) == {"m": [1]}


def test_a_killed_download_resumes(s3_port: int, url: str, tmp_path: Path) -> None:
    registry = ModelRegistry(url)
    publish(registry, size=SIZE)
    registry.promote("m", 1)
    with s3.wire(s3_port, down=0.6 * SIZE) as wire:
        killed = syncing(url, tmp_path, port=wire.port)
        assert wire.held.wait(60), killed.output
        killed.stop(signal.SIGKILL)
    assert here(tmp_path) == {"m": []} and not (tmp_path / "models.config").exists()
    with s3.wire(s3_port) as wire:
        again = syncing(url, tmp_path, "--once", port=wire.port)
        assert again.process.wait(60) == 0, again.output
        again.stop()
        assert wire.down < 0.7 * SIZE
    assert here(tmp_path) == {"m": [1]} and ModelRegistry(tmp_path).labels("m") == {"stable": 1}
    assert ModelRegistry(tmp_path)._backend.problem("m", 1) is None


def test_an_unreachable_store_changes_nothing_and_sigterm_ends_it(s3_port: int, url: str, tmp_path: Path) -> None:
    registry = ModelRegistry(url)
    publish(registry)
    registry.promote("m", 1)
    wire = s3.Wire(s3_port)
    port = free_port()
    program = syncing(url, tmp_path, "--interval=0.1", f"--metrics-port={port}", port=wire.port)
    program.wait_for("models.config has changed")
    before = success(port)
    program.wait_until(lambda: success(port) > before)
    wire.close()
    program.wait_for("existing versions stay")
    program.wait_until(lambda: time.time() - success(port) > 1)  # no success for ten rounds
    assert here(tmp_path) == {"m": [1]} and ModelRegistry(tmp_path).live("m") == 1
    assert program.stop(signal.SIGTERM) == 0
    assert "Traceback" not in program.output


def test_only_signed_versions_are_copied(url: str, tmp_path: Path) -> None:
    private, public = key_pair(tmp_path)
    target = tmp_path / "target"
    registry, sync = ModelRegistry(url), Sync(ObjectStoreBackend(url), target, Verifier(public))
    target.mkdir()
    publish(registry)
    registry.promote("m", 1)
    assert not sync.once() and here(target) == {"m": []}
    registry.sign("m", 1, Signer(private))
    assert sync.once() and here(target) == {"m": [1]}
    publish(ModelRegistry(url, Signer(private)))
    assert sync.once() and here(target) == {"m": [1, 2]}


def test_an_older_signed_version_under_a_newer_number_is_rejected(url: str, tmp_path: Path) -> None:
    private, public = key_pair(tmp_path)
    target = tmp_path / "target"
    target.mkdir()
    registry, sync = ModelRegistry(url, Signer(private)), Sync(ObjectStoreBackend(url), target, Verifier(public))
    publish(registry)
    registry.promote("m", 1)
    fsspec.filesystem("s3").copy(f"{url}/m/1/", f"{url}/m/2/", recursive=True)
    registry.promote("m", 2)
    assert not sync.once() and here(target)["m"] == [1]


def test_completeness_counts_versions_without_a_label(url: str, s3_port: int, tmp_path: Path) -> None:
    registry, sync = ModelRegistry(url), Sync(ObjectStoreBackend(url), tmp_path)
    fsspec.filesystem("s3").pipe_file(
        f"{url}/models.config",
        models_config.render({"m": models_config.ModelConfig("m", "/models/m", latest=1)}).encode(),
    )
    assert not sync.once()  # there is no version at all
    publish(registry)
    fsspec.filesystem("s3").pipe_file(f"{url}/m/1/saved_model.pb", b"damaged")
    assert not sync.once() and here(tmp_path) == {"m": []}
    program = syncing(url, tmp_path, "--once", port=s3_port)
    assert program.process.wait(60) == 1, program.output
    program.stop()
    assert "m version 1 cannot be downloaded" in program.output
    fsspec.filesystem("s3").pipe_file(f"{url}/m/1/saved_model.pb", b"x")
    assert sync.once() and here(tmp_path) == {"m": [1]}


def test_from_publishing_to_a_prediction(s3_port: int, url: str, tmp_path: Path) -> None:
    """Publish to s3://, sync, load, predict; then publish the next version while everything runs."""
    registry = ModelRegistry(url)

    def release() -> None:
        with registry.staging("sine_rnn") as directory:
            shutil.copytree(shipped("sine_rnn"), directory, dirs_exist_ok=True)
            number = registry.publish("sine_rnn", directory)
        command = [sys.executable, "-m", "serving.cli.main", "promote", "sine_rnn", str(number)]
        subprocess.run([*command, "--exports", url], check=True, cwd=REPOSITORY)

    release()
    program = syncing(url, tmp_path, "--interval=0.1", port=s3_port)
    try:
        program.wait_for("models.config has changed")
        with (
            model_server(tmp_path, *programs.PROMPT) as address,
            programs.gateway(address, tmp_path / "models.config") as gateway,
        ):
            programs.wait_until_ready(gateway, "sine_rnn")

            def version() -> int:
                answer = gateway.http.post("/v1/models/sine_rnn:forecast", json={"history": [0.31, 0.58], "horizon": 1})
                return int(answer.raise_for_status().json()["version"])

            assert version() == 1
            release()
            gateway.program.wait_until(lambda: version() == 2)
    finally:
        program.stop()
