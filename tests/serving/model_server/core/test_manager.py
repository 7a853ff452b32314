"""The Manager loads and unloads versions by policy; handles keep a version loaded."""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from serving.model_server.core.loader import Loader
from serving.model_server.core.manager import Manager, Retries
from serving.model_server.core.servable import Servable
from serving.model_server.core.version_policy import VersionState
from serving.model_server.errors import data_loss
from serving.tfs_api.status_codes import Code
from tests.serving.model_server import versions
from tests.serving.model_server.statuses import raises_status

NO_RETRIES = Retries(0, 0)


@pytest.fixture
def paths(tmp_path: Path) -> dict[int, Path]:
    return {number: versions.write(tmp_path / str(number), offset=number) for number in (1, 2, 3)}


class BlockedLoads:
    """Loads each version after the test has set its event."""

    def __init__(self) -> None:
        self.open = {number: threading.Event() for number in (1, 2, 3)}
        self.begun = {number: threading.Event() for number in (1, 2, 3)}
        self.started: list[int] = []

    def load(self, path: Path) -> Servable:
        number = int(path.name)
        self.started.append(number)
        self.begun[number].set()
        assert self.open[number].wait(30)
        return Loader().load(path)


def states(manager: Manager) -> dict[int, VersionState]:
    return {version.number: version.state for version in manager.versions("m")}


async def until(manager: Manager, condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await manager.changed()


async def test_version_is_available_after_its_load(paths: dict[int, Path]) -> None:
    blocked = BlockedLoads()
    manager = Manager(blocked.load, retries=NO_RETRIES)
    manager.aspire("m", {1: paths[1]})
    assert states(manager) == {1: VersionState.LOADING}
    with raises_status(Code.NOT_FOUND, match=r"Servable not found for request: Latest\(m\)"):
        manager.handle("m")
    blocked.open[1].set()
    assert await manager.settled(["m"]) == []
    assert manager.handle("m").version == 1
    with raises_status(Code.NOT_FOUND, match=r"Servable not found for request: Specific\(m, 2\)"):
        manager.handle("m", 2)
    await manager.close()


async def test_previous_version_serves_until_the_new_one_is_available(paths: dict[int, Path]) -> None:
    blocked = BlockedLoads()
    blocked.open[1].set()
    manager = Manager(blocked.load, retries=NO_RETRIES)
    manager.aspire("m", {1: paths[1]})
    await manager.settled(["m"])
    manager.aspire("m", {2: paths[2]})
    assert states(manager) == {2: VersionState.LOADING, 1: VersionState.AVAILABLE}
    assert manager.handle("m").version == 1
    blocked.open[2].set()
    await until(manager, lambda: states(manager) == {2: VersionState.AVAILABLE, 1: VersionState.END})
    assert manager.handle("m").version == 2
    await manager.close()


async def test_version_in_use_unloads_after_its_last_handle(paths: dict[int, Path]) -> None:
    manager = Manager(Loader().load, retries=NO_RETRIES)
    manager.aspire("m", {1: paths[1]})
    await manager.settled(["m"])
    with manager.handle("m") as first:
        with manager.handle("m", 1) as second:
            manager.aspire("m", {2: paths[2]})
            await until(manager, lambda: states(manager) == {2: VersionState.AVAILABLE, 1: VersionState.UNLOADING})
            assert (first.servable, second.version) == (second.servable, 1)
            with raises_status(Code.NOT_FOUND):
                manager.handle("m", 1)
        assert states(manager)[1] is VersionState.UNLOADING
        assert manager.versions("m")[1].servable is not None
    assert states(manager)[1] is VersionState.END
    assert manager.versions("m")[1].servable is None
    await manager.close()


async def test_highest_version_loads_first(paths: dict[int, Path]) -> None:
    blocked = BlockedLoads()
    manager = Manager(blocked.load, retries=NO_RETRIES)
    manager.aspire("m", paths)
    blocked.open[3].set()
    await manager.settled(["m"])
    assert blocked.started[0] == 3
    assert manager.handle("m").version == 3
    blocked.open[1].set()
    blocked.open[2].set()
    await until(manager, lambda: set(states(manager).values()) == {VersionState.AVAILABLE})
    assert blocked.started == [3, 2, 1]
    assert [manager.handle("m", number).version for number in (1, 2, 3)] == [1, 2, 3]
    await manager.close()


async def test_failed_load_is_retried_up_to_the_limit(paths: dict[int, Path]) -> None:
    tries = 0

    def load(path: Path) -> Servable:
        nonlocal tries
        tries += 1
        raise data_loss("it is damaged")

    manager = Manager(load, retries=Retries(2, 0.01))
    manager.aspire("m", {1: paths[1]})
    (failed,) = await manager.settled(["m"])
    assert tries == 3
    assert (failed.state, str(failed.error)) == (VersionState.END, "it is damaged")
    manager.aspire("m", {1: paths[1]})
    assert states(manager) == {1: VersionState.END}, "a failed version is loaded again only after it was not aspired"
    await manager.close()


async def test_successful_retry_clears_the_error(paths: dict[int, Path]) -> None:
    errors = [data_loss("half written"), RuntimeError("surprise")]

    def load(path: Path) -> Servable:
        if errors:
            raise errors.pop()
        return Loader().load(path)

    manager = Manager(load, retries=Retries(5, 0.01))
    manager.aspire("m", {1: paths[1]})
    assert await manager.settled(["m"]) == []
    assert manager.versions("m")[0].error is None
    await manager.close()


async def test_previous_version_serves_if_the_new_one_fails(paths: dict[int, Path]) -> None:
    manager = Manager(Loader().load, retries=NO_RETRIES)
    manager.aspire("m", {1: paths[1]})
    await manager.settled(["m"])
    (paths[2] / "saved_model.pb").write_bytes(b"")
    manager.aspire("m", {2: paths[2]})
    await until(manager, lambda: states(manager)[2] is VersionState.END)
    assert manager.handle("m").version == 1
    manager.aspire("m", {3: paths[3]})
    await until(
        manager, lambda: states(manager) == {3: VersionState.AVAILABLE, 2: VersionState.END, 1: VersionState.END}
    )
    await manager.close()


async def test_version_no_longer_aspired_during_its_load(paths: dict[int, Path]) -> None:
    blocked = BlockedLoads()
    manager = Manager(blocked.load, retries=NO_RETRIES)
    manager.aspire("m", {1: paths[1]})
    await asyncio.to_thread(blocked.begun[1].wait)
    manager.aspire("m", {2: paths[2]})
    assert states(manager)[1] is VersionState.END
    blocked.open[1].set()
    blocked.open[2].set()
    await manager.settled(["m"])
    assert states(manager) == {2: VersionState.AVAILABLE, 1: VersionState.END}
    await manager.close()


async def test_version_aspired_again_while_it_unloads(paths: dict[int, Path]) -> None:
    manager = Manager(Loader().load, retries=NO_RETRIES)
    manager.aspire("m", {1: paths[1]})
    await manager.settled(["m"])
    with manager.handle("m") as handle:
        manager.aspire("m", {})
        assert states(manager) == {1: VersionState.UNLOADING}
        manager.aspire("m", {1: paths[1]})
        before = handle.servable
    await until(manager, lambda: states(manager) == {1: VersionState.AVAILABLE})
    assert manager.handle("m").servable is not before
    await manager.close()


async def test_model_removed_and_added_again(paths: dict[int, Path]) -> None:
    manager = Manager(Loader().load, retries=NO_RETRIES)
    manager.aspire("m", {1: paths[1]})
    manager.aspire("n", {1: paths[1]})
    await manager.settled(["m", "n"])
    manager.aspire_nothing_else(["n"])
    assert states(manager) == {1: VersionState.END}
    assert manager.handle("n").version == 1
    manager.aspire("m", {1: paths[1]})
    await manager.settled(["m"])
    assert manager.handle("m").version == 1
    await manager.close()


async def test_closing_does_not_wait_for_a_load_or_a_retry(paths: dict[int, Path]) -> None:
    blocked = BlockedLoads()
    manager = Manager(blocked.load, retries=Retries(5, 3600))
    manager.aspire("m", {1: paths[1]})
    await asyncio.to_thread(blocked.begun[1].wait)
    async with asyncio.timeout(5):
        await manager.close()
    blocked.open[1].set()
