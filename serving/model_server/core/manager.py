"""Load and unload versions by policy, and hand out handles to them.

Source: tensorflow_serving/core/aspired_versions_manager.cc and basic_manager.cc. All state belongs to the event
loop. Only loading runs in threads, so available versions go on answering.
"""

import asyncio
import itertools
import logging
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from serving.model_server.core import memory
from serving.model_server.core.load_threads import LoadThreads
from serving.model_server.core.servable import Servable
from serving.model_server.core.version_policy import Load, Snapshot, VersionState, next_action
from serving.model_server.errors import ServingError, not_found, unknown
from serving.tfs_api.status_codes import Code

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Retries:
    """How often a failed load is retried, and the seconds before each retry."""

    count: int = 5
    seconds: float = 60.0


@dataclass
class ManagedVersion:
    """One version of a model and its state."""

    model: str
    number: int
    path: Path
    state: VersionState = VersionState.START
    error: ServingError | None = None
    aspired: bool = True
    servable: Servable | None = None
    users: int = 0
    task: asyncio.Task[None] | None = field(default=None, repr=False)

    @property
    def id(self) -> str:
        """The version as TensorFlow Serving prints a ServableId."""
        return f"{{name: {self.model} version: {self.number}}}"


class ServableHandle:
    """Keeps a version loaded until the ``with`` block ends."""

    __slots__ = ("_manager", "_version", "model", "servable", "version")

    def __init__(self, manager: "Manager", version: ManagedVersion) -> None:
        assert version.servable is not None
        self.model = version.model
        self.version = version.number
        self.servable = version.servable
        self._manager = manager
        self._version = version

    def __enter__(self) -> "ServableHandle":
        self._version.users += 1
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._version.users -= 1
        if self._version.state is VersionState.UNLOADING:
            self._manager.finish_unloading(self._version)


class Manager:
    """Owns all versions. Use it from one event loop."""

    def __init__(
        self,
        load: Callable[[Path], Servable],
        *,
        threads: int = 1,
        initial_threads: int = 1,
        retries: Retries,
        hang_seconds: float = 60.0,
        on_hang: Callable[[Path], None] = lambda path: None,
    ) -> None:
        """Create a manager without versions.

        Args:
            load: Makes a servable of a version directory; blocks.
            threads: Loads at the same time after :meth:`settled` has returned.
            initial_threads: Loads at the same time before.
            retries: Retries of a failed load.
            hang_seconds: See :class:`~serving.model_server.core.load_threads.LoadThreads`.
            on_hang: See there.
        """
        self._threads = threads
        self._loads = LoadThreads(load, initial_threads, hang_seconds=hang_seconds, on_hang=on_hang)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="unload")
        self._retries = retries
        self._models: dict[str, dict[int, ManagedVersion]] = {}
        self._latest: dict[str, ManagedVersion] = {}
        self._changed = asyncio.Event()

    def aspire(self, model: str, versions: Mapping[int, Path]) -> None:
        """Load these versions of a model, and unload all others by policy."""
        known = self._models.setdefault(model, {})
        for version in known.values():
            if version.number not in versions:
                self._stop_aspiring(version)
        for number, path in versions.items():
            version = known.get(number) or ManagedVersion(model, number, path, VersionState.END, aspired=False)
            if not version.aspired:
                version.aspired = True
                version.path = path
                if version.state is VersionState.END:
                    self._enter(version, VersionState.START)
                known[number] = version
        self._advance(model)

    def aspire_nothing_else(self, models: Iterable[str]) -> None:
        """Unload all models but these."""
        for model in set(self._models) - set(models):
            self.aspire(model, {})

    def handle(self, model: str, version: int | None = None) -> ServableHandle:
        """Return a handle to the version, or to the newest available version.

        Raises:
            ServingError: NOT_FOUND if it is not available.
        """
        found = self._latest.get(model) if version is None else self._models.get(model, {}).get(version)
        if found is None or found.state is not VersionState.AVAILABLE:
            requested = f"Latest({model})" if version is None else f"Specific({model}, {version})"
            raise not_found(f"Servable not found for request: {requested}")
        return ServableHandle(self, found)

    def versions(self, model: str) -> list[ManagedVersion]:
        """Return all versions that were ever aspired, newest first."""
        return [version for _, version in sorted(self._models.get(model, {}).items(), reverse=True)]

    def is_available(self, model: str, version: int) -> bool:
        """Return whether this version is available."""
        found = self._models.get(model, {}).get(version)
        return found is not None and found.state is VersionState.AVAILABLE

    async def changed(self) -> None:
        """Wait until a version changes its state."""
        self._changed.clear()
        await self._changed.wait()

    async def settled(self, models: Iterable[str]) -> list[ManagedVersion]:
        """Wait until each model has an available version or only failed ones; return one failed version of each."""
        failed: list[ManagedVersion] = []
        for model in models:
            while True:
                versions = [version for version in self.versions(model) if version.aspired]
                if any(version.state is VersionState.AVAILABLE for version in versions):
                    break
                if versions and all(version.state is VersionState.END for version in versions):
                    failed.append(versions[0])
                    break
                await self.changed()
        self._loads.limit(self._threads)
        return failed

    async def close(self) -> None:
        """Stop loading. A load in its thread goes on."""
        tasks = [v.task for versions in self._models.values() for v in versions.values() if v.task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _advance(self, model: str) -> None:
        versions = self._models[model]
        while action := next_action(Snapshot(v.number, v.state, v.aspired) for v in versions.values()):
            version = versions[action.version]
            if isinstance(action, Load):
                logger.info("Approving load for servable version %s", version.id)
                logger.info("Loading servable version %s", version.id)
                version.error = None
                self._enter(version, VersionState.LOADING)
                version.task = asyncio.create_task(self._load(version))
            else:
                logger.info("Quiescing servable version %s", version.id)
                self._enter(version, VersionState.UNLOADING)
                self.finish_unloading(version)

    async def _load(self, version: ManagedVersion) -> None:
        """Load a version, with retries.

        The state stays LOADING without an error during retries, as in TensorFlow Serving; the last error appears at
        END. A version that needs a missing engine is not retried.
        """
        for attempt in itertools.count():
            if attempt:
                await asyncio.sleep(self._retries.seconds)
                logger.info("Retrying of Loading servable: %s retry: %d", version.id, attempt)
            try:
                version.servable = await self._loads.run(version.path)
            except Exception as error:
                failure = error if isinstance(error, ServingError) else unknown(repr(error))
                is_last = attempt == self._retries.count or failure.code is Code.UNIMPLEMENTED
                logger.error(
                    "Loading servable: %s failed: %s%s",
                    version.id,
                    failure.describe(),
                    "" if is_last else f"; retry in {self._retries.seconds:g} s",
                    exc_info=None if failure is error else error,
                )
                if is_last:
                    version.error = failure
                    self._enter(version, VersionState.END)
                    logger.info("Encountered an error for servable version %s: %s", version.id, failure.describe())
                    break
            else:
                self._enter(version, VersionState.AVAILABLE)
                logger.info("Successfully loaded servable version %s", version.id)
                break
        version.task = None
        self._advance(version.model)

    def _stop_aspiring(self, version: ManagedVersion) -> None:
        version.aspired = False
        if version.task:
            version.task.cancel()
            version.task = None
            self._enter(version, VersionState.END)

    def finish_unloading(self, version: ManagedVersion) -> None:
        """Unload the version if no handle uses it."""
        if version.users:
            return
        version.servable = None
        self._pool.submit(memory.release)
        self._enter(version, VersionState.END)
        logger.info("Done unloading servable version %s", version.id)
        if version.aspired:  # aspired again while it unloaded
            self._enter(version, VersionState.START)
        self._advance(version.model)

    def _enter(self, version: ManagedVersion, state: VersionState) -> None:
        version.state = state
        available = [v for v in self._models.get(version.model, {}).values() if v.state is VersionState.AVAILABLE]
        if available:
            self._latest[version.model] = max(available, key=lambda v: v.number)
        else:
            self._latest.pop(version.model, None)
        self._changed.set()
