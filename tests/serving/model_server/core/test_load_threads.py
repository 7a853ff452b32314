"""Threads that load versions: their limit, and loads and polls that hang."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from serving.artifacts.models_config import ModelConfig
from serving.model_server.core.load_threads import LoadThreads
from serving.model_server.core.loader import Loader
from serving.model_server.core.manager import Manager, Retries
from serving.model_server.core.servable import Servable
from serving.model_server.core.server_core import ServerCore
from serving.model_server.core.source import Aspired, FileSystemSource
from serving.tfs_api.status_codes import Code
from tests.serving.model_server import versions
from tests.serving.model_server.statuses import raises_status


@pytest.fixture
def release() -> Iterator[threading.Event]:
    """The event that loads of ``dead`` wait for, like a read from a dead mount."""
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("dead", "good", "late"):
        versions.write(tmp_path / name / "1")
    return tmp_path


class Load:
    def __init__(self, release: threading.Event) -> None:
        self._release = release
        self.begun = threading.Semaphore(0)

    def __call__(self, path: Path) -> Servable:
        self.begun.release()
        if "dead" in path.parts:
            assert self._release.wait(60)
        return Loader().load(path)


async def test_hanging_load_does_not_count_towards_the_limit(
    root: Path, release: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    hung: list[Path] = []
    load = Load(release)
    loads = LoadThreads(load, 1, hang_seconds=0.2, on_hang=hung.append)
    dead = asyncio.create_task(loads.run(root / "dead" / "1"))
    assert await asyncio.to_thread(load.begun.acquire, timeout=30)
    async with asyncio.timeout(30):
        assert (await loads.run(root / "good" / "1")).signatures
    assert hung[0] == root / "dead" / "1"  # the other may be slow on a busy machine
    assert f"Loading {root / 'dead' / '1'} has taken 0.2 s and is not complete" in caplog.text
    release.set()
    async with asyncio.timeout(30):
        assert (await dead).signatures
        with raises_status(Code.DATA_LOSS):
            (root / "good" / "1" / "saved_model.pb").write_bytes(b"other")
            await loads.run(root / "good" / "1")


async def test_number_of_loads_is_limited_after_callers_cancel(root: Path, release: threading.Event) -> None:
    load = Load(release)
    loads = LoadThreads(load, 2)
    tasks = [asyncio.create_task(loads.run(root / "dead" / "1")) for _ in range(4)]
    for _ in range(2):
        assert await asyncio.to_thread(load.begun.acquire, timeout=30)
    tasks[0].cancel()
    other = asyncio.create_task(loads.run(root / "good" / "1"))
    assert not await asyncio.to_thread(load.begun.acquire, timeout=0.3)
    release.set()
    async with asyncio.timeout(30):
        await asyncio.gather(*tasks[1:], other)


async def test_manager_loads_other_models_while_one_hangs(root: Path, release: threading.Event) -> None:
    manager = Manager(Load(release), retries=Retries(0, 0), hang_seconds=0.2)
    manager.aspire("dead", {1: root / "dead" / "1"})
    manager.aspire("good", {1: root / "good" / "1"})
    async with asyncio.timeout(30):
        assert await manager.settled(["good"]) == []
        manager.aspire("dead", {})
        manager.aspire("late", {1: root / "late" / "1"})
        assert await manager.settled(["late"]) == []
    with raises_status(Code.NOT_FOUND):
        manager.handle("dead")
    await manager.close()


class Source(FileSystemSource):
    """A source whose base path of model ``dead`` is on a mount that does not answer."""

    def __init__(self, release: threading.Event) -> None:
        super().__init__()
        self._release = release

    def poll(self, models: object) -> dict[str, Aspired]:
        listed = list(models)  # type: ignore[call-overload]
        if any(model.name == "dead" for model in listed):
            assert self._release.wait(60)
        return super().poll(listed)


async def test_hanging_base_path_delays_no_other_model(
    root: Path, release: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    manager = Manager(Loader().load, retries=Retries(0, 0))
    core = ServerCore(manager, Source(release), file_system_poll_seconds=0.05, slow_poll_seconds=0.3)
    models = {name: ModelConfig(name, str(root / name)) for name in ("dead", "good")}
    start = asyncio.create_task(core.start(models))
    async with asyncio.timeout(30):
        await manager.settled(["good"])
        versions.write(root / "good" / "2")
        while not manager.is_available("good", 2):
            await manager.changed()
    assert not start.done() and not manager.versions("dead")
    assert caplog.text.count("Looking for versions of model dead under") == 1
    release.set()
    async with asyncio.timeout(30):
        await start
    assert manager.is_available("dead", 1)
    await core.close()


async def test_slow_base_path_is_used_without_another_poll(
    root: Path, release: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    manager = Manager(Loader().load, retries=Retries(0, 0))
    core = ServerCore(manager, Source(release), file_system_poll_seconds=0, slow_poll_seconds=0.1)
    start = asyncio.create_task(core.start({"dead": ModelConfig("dead", str(root / "dead"))}))
    async with asyncio.timeout(30):
        while "Looking for versions of model dead under" not in caplog.text:
            await asyncio.sleep(0)
        release.set()
        await start
    assert manager.is_available("dead", 1)
    await core.close()
