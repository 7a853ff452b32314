"""The object store against a real S3 server: complete versions or none, no lost label."""

import signal
import subprocess
import sys
import threading
from pathlib import Path

import fsspec
import pytest

from serving.artifacts import rollout
from serving.artifacts.backends.object_store import ObjectStoreBackend, ObjectStoreError
from serving.artifacts.manifest import MANIFEST_FILE
from serving.artifacts.registry import ModelRegistry, RegistryError
from serving.artifacts.routing_file import Canary
from serving.artifacts.sync import Sync
from tests import s3
from tests.programs import REPOSITORY, Program

PUBLISH = """
import sys
from serving.artifacts.registry import ModelRegistry
from tests import s3
registry = ModelRegistry(sys.argv[1])
for _ in range(int(sys.argv[2])):
    with registry.staging("m") as directory:
        s3.stage(directory, int(sys.argv[3]))
        print("published", registry.publish("m", directory), flush=True)
"""


@pytest.fixture
def url(s3_port: int) -> str:
    return s3.exports()


def publish(registry: ModelRegistry, model: str = "m", size: int = 1000) -> int:
    with registry.staging(model) as directory:
        s3.stage(directory, size)
        return registry.publish(model, directory)


def test_it_behaves_like_a_folder(url: str) -> None:
    registry = ModelRegistry(url)
    assert registry.models() == [] and registry.live("m") is None
    assert [publish(registry), publish(registry), publish(registry)] == [1, 2, 3]
    assert (registry.models(), registry.versions("m"), registry.live("m")) == (["m"], [1, 2, 3], 3)
    registry.promote("m", 2)
    registry.promote("m", 3)
    assert registry.labels("m") == {"stable": 3, "previous": 2}
    assert registry.rollback("m") == (3, 2)
    publish(registry)
    assert registry.configured()["m"].specific == (2, 3, 4)
    rollout.canary(registry, "m", 4, 10)
    assert registry.routing()["m"].canary == Canary(version=4, percent=10)
    rollout.promote(registry, "m", 4)
    assert registry.routing() == {} and registry.labels("m")["stable"] == 4
    assert (registry.directory("m", 1) / "variables" / "variables.data").read_bytes() == b"x" * 1000
    with pytest.raises(RegistryError, match="m has no version 7; there are: 1, 2, 3, 4"):
        registry.promote("m", 7)


def test_a_version_that_lacks_a_file_is_not_promoted(url: str) -> None:
    registry = ModelRegistry(url)
    publish(registry)
    fsspec.filesystem("s3").rm(f"{url}/m/1/saved_model.pb")
    with pytest.raises(RegistryError, match=r"cannot be promoted: saved_model\.pb is missing"):
        registry.promote("m", 1)


def test_a_version_with_a_damaged_file_is_not_promoted(url: str) -> None:
    registry, files = ModelRegistry(url, settle=0), fsspec.filesystem("s3")
    publish(registry)
    whole = files.cat_file(f"{url}/m/1/saved_model.pb")
    for damaged in (whole[:-1], whole[:-1] + b"?"):
        files.pipe_file(f"{url}/m/1/saved_model.pb", damaged)
        with pytest.raises(
            RegistryError, match=r"cannot be promoted: saved_model\.pb is not the file that was published"
        ):
            registry.promote("m", 1)
    files.pipe_file(f"{url}/m/1/saved_model.pb", whole)
    registry.promote("m", 1)
    files.pipe_file(f"{url}/m/2/{MANIFEST_FILE}", b"")
    with pytest.raises(RegistryError, match=r"m version 2 cannot be promoted: saved_model\.pb is missing"):
        registry.promote("m", 2)


def test_a_version_with_leading_zeros_is_found(url: str, tmp_path: Path) -> None:
    registry, files = ModelRegistry(url, settle=0), fsspec.filesystem("s3")
    publish(registry)
    for path in files.find(f"{url}/m/1"):
        files.mv(path, path.replace("/m/1/", "/m/001/"))
    files.pipe_file(f"{url}/lost+found/1/x", b"foreign")
    registry.promote("m", 1)
    assert (registry.models(), registry.live("m")) == (["m"], 1)
    assert (registry.directory("m", 1) / "saved_model.pb").is_file()
    assert Sync(ObjectStoreBackend(url), tmp_path).once()
    assert (tmp_path / "m" / "1" / "saved_model.pb").is_file()
    files.rm(f"{url}/m/001/saved_model.pb")
    with pytest.raises(RegistryError, match=r"cannot be promoted: saved_model\.pb is missing"):
        registry.promote("m", 1)


def test_publishers_at_once_get_different_numbers(url: str) -> None:
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", PUBLISH, url, "4", "10"], stdout=subprocess.PIPE, text=True, cwd=REPOSITORY
        )
        for _ in range(2)
    ]
    numbers = [int(line.split()[1]) for run in runs for line in run.communicate()[0].splitlines()]
    assert sorted(numbers) == list(range(1, 9)) == ModelRegistry(url).versions("m")


def test_concurrent_label_changes_are_all_kept(url: str) -> None:
    models, registry = ["m1", "m2", "m3"], ModelRegistry(url)
    for model in models:
        publish(registry, model, size=1)
    threads = [threading.Thread(target=ModelRegistry(url).promote, args=(model, 1)) for model in models]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {name: dict(entry.labels) for name, entry in registry.configured().items()} == {
        model: {"stable": 1} for model in models
    }


def test_a_killed_publisher_leaves_no_version_and_its_number_is_not_reused(s3_port: int, url: str) -> None:
    with s3.wire(s3_port, up=2_000_000) as wire:
        killed = Program([sys.executable, "-c", PUBLISH, url, "1", "6000000"], s3.environment(wire.port))
        assert wire.held.wait(60), killed.output
        killed.stop(signal.SIGKILL)
    registry = ModelRegistry(url)
    assert registry.models() == [] and registry.versions("m") == []
    assert publish(registry) == 2
    assert registry.versions("m") == [2]


def test_an_unreachable_object_store_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    for name, value in s3.CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ObjectStoreError, match=r"s3://nowhere/exports cannot be used .*Could not connect"):
        ModelRegistry("s3://nowhere/exports").models()
    with pytest.raises(ObjectStoreError, match="use s3://… or gs://…"):
        ModelRegistry("memory://exports")
    ended = subprocess.run(
        [
            sys.executable,
            "-m",
            "serving.cli.main",
            "models",
            "--exports",
            "s3://nowhere/exports",
        ],
        capture_output=True,
        text=True,
        cwd=Path(REPOSITORY),
    )
    assert ended.returncode == 1 and "cannot be used" in ended.stderr and "Traceback" not in ended.stderr
