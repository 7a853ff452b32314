"""The configured models: their source, their labels, and the version that answers a request.

Source: tensorflow_serving/model_servers/server_core.cc.
"""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from serving.artifacts import models_config
from serving.artifacts.models_config import ConfigError, ConfigSyntaxError, EmptyConfigError
from serving.model_server.core import config_checks
from serving.model_server.core.config_checks import Labels, Models
from serving.model_server.core.manager import ManagedVersion, Manager, ServableHandle
from serving.model_server.core.source import FileSystemSource
from serving.model_server.core.version_polls import VersionPolls
from serving.model_server.errors import (
    ServingError,
    failed_precondition,
    invalid_argument,
    not_found,
    unavailable,
    unknown,
)

logger = logging.getLogger(__name__)

_POLL_THREADS = 32


def read_config(path: Path) -> Models | None:
    """Read the models of a configuration file; None if it is empty.

    Raises:
        ServingError: NOT_FOUND if the file is missing, INVALID_ARGUMENT if it is invalid.
    """
    if not path.is_file():
        raise not_found(f"{path}; No such file or directory")
    try:
        return models_config.read(path)
    except EmptyConfigError:
        return None
    except ConfigSyntaxError as error:
        logger.error("%s", error)
        raise invalid_argument(f"Invalid protobuf file: '{path}'") from None
    except ConfigError as error:
        raise invalid_argument(str(error)) from None


class ServerCore:
    """Follows the configuration and the base paths. Use it from one event loop."""

    def __init__(
        self,
        manager: Manager,
        source: FileSystemSource,
        *,
        file_system_poll_seconds: float = 1.0,
        slow_poll_seconds: float = 10.0,
        allow_labels_for_unavailable_models: bool = False,
    ) -> None:
        """Create a core without models.

        Args:
            manager: Loads and unloads versions.
            source: Finds versions.
            file_system_poll_seconds: Time between polls of the base paths; 0 polls once for each configuration, a
                negative number never.
            slow_poll_seconds: Time after which other models no longer wait for a poll.
            allow_labels_for_unavailable_models: Let new labels point at versions that are not loaded.
        """
        self._manager = manager
        self._poll_seconds = file_system_poll_seconds
        self._allow_new_labels = allow_labels_for_unavailable_models
        self._models: Models = {}
        self._labels: Labels | None = None
        self._threads = ThreadPoolExecutor(_POLL_THREADS, thread_name_prefix="poll")
        self._polls = VersionPolls(source, self._threads, manager.aspire, slow_poll_seconds)
        self._tasks: set[asyncio.Task[None]] = set()
        self._applying = asyncio.Lock()
        self._reloading = asyncio.Lock()
        self.configured = asyncio.Event()
        """Set after the first configuration is applied and its base paths are read."""

    async def start(self, models: Models) -> None:
        """Load the models, and return when each has an available version.

        Raises:
            ServingError: The configuration is invalid, or a model has no version that can be loaded.
        """
        self._tasks.add(asyncio.create_task(self._every(self._poll_seconds, self._poll)))
        await self._reload(models, "servable(s)")

    def watch_config(self, path: Path, seconds: float) -> None:
        """Read the configuration file periodically, and follow it; never for 0 seconds."""

        async def follow() -> None:
            models = await asyncio.get_running_loop().run_in_executor(self._threads, read_config, path)
            if models is not None:
                await self._apply(models, load_before_labels=True)
                config_checks.check_request_logging(models)
            elif self._models:
                raise failed_precondition(
                    "Cannot transition to requested config. "
                    "It is only legal to transition from one ModelConfigList to another."
                )

        self._tasks.add(asyncio.create_task(self._every(seconds, follow)))

    async def reload(self, models: Models) -> None:
        """Replace the models, and return when each new one has an available version.

        As in TensorFlow Serving, a reload goes on after its caller has given up, and the next reload waits for it. A
        new model whose base path does not exist keeps the reload waiting until it does.

        Raises:
            ServingError: The configuration is rejected and the current one stays, or a new model cannot be loaded.
        """
        task = asyncio.create_task(self._reload(models, "model(s)"))
        self._tasks.add(task)
        task.add_done_callback(self._reloaded)
        await asyncio.shield(task)

    def handle(self, model: str, version: int | None = None, label: str | None = None) -> ServableHandle:
        """Return the version with this number or label, or the newest version that is available.

        Raises:
            ServingError: INVALID_ARGUMENT for an empty name or an unknown label, NOT_FOUND if the version is not
                available, UNAVAILABLE before the labels are known.
        """
        if not model:
            raise invalid_argument("ModelSpec has no name specified.")
        if label is not None:
            if self._labels is None:
                raise unavailable(f"Model labels does not init yet.{label}")
            version = self._labels.get(model, {}).get(label)
            if version is None:
                raise invalid_argument(f"Unrecognized servable version label: {label}")
        return self._manager.handle(model, version)

    def versions(self, model: str, version: int | None = None) -> list[ManagedVersion]:
        """Return the known versions of a model, newest first, or the one version.

        Raises:
            ServingError: NOT_FOUND if nothing is known.
        """
        versions = self._manager.versions(model)
        if version is not None:
            versions = [known for known in versions if known.number == version]
            if not versions:
                raise not_found(f"Could not find version {version} of model {model}")
        if not versions:
            raise not_found(f"Could not find any versions of model {model}")
        return versions

    async def changed(self) -> None:
        """Wait until a version changes its state."""
        await self._manager.changed()

    async def close(self) -> None:
        """Stop watching and loading."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._threads.shutdown(wait=False, cancel_futures=True)
        await self._manager.close()

    def _reloaded(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            text = error.describe() if isinstance(error, ServingError) else repr(error)
            logger.error("ReloadConfig failed: %s", text)

    async def _reload(self, models: Models, kind: str) -> None:
        async with self._reloading:
            failed = await self._manager.settled(await self._apply(models))
            if failed:
                listed = "".join(f"{{{version.id}{_reason(version)}}}, " for version in failed)
                raise unknown(f"{len(failed)} {kind} did not become available: {{{listed}}}")
            config_checks.check_request_logging(models)

    async def _apply(self, models: Models, *, load_before_labels: bool = False) -> list[str]:
        """Start to follow a configuration, and return the names of new models, which are loading.

        Args:
            models: The configuration.
            load_before_labels: Load the version of a refused label without the label; a later call assigns it.
                Otherwise the whole configuration is rejected.

        Raises:
            ServingError: The configuration is rejected, and the current one stays; or a label is refused.
        """
        refused: list[ServingError] = []
        async with self._applying:
            config_checks.check_models(models, self._models)
            if load_before_labels:
                models, refused = self._with_refused_labels(models)
            labels, early = self._check_labels(models)
            config_checks.check_platforms(models)
            if early and not load_before_labels:
                raise early[0]
            new = [name for name in models if name not in self._models]
            self._models, self._labels = models, labels
            self._manager.aspire_nothing_else(models)
            if self._poll_seconds >= 0:
                await self._poll()
            self.configured.set()
        for error in early:
            logger.warning("%s. The label is assigned after the version has loaded.", error)
        if refused:
            raise refused[0]
        return new

    def _with_refused_labels(self, models: Models) -> tuple[Models, list[ServingError]]:
        """Return the models, those with a refused label as they are now and with the label's version, and the errors.

        TensorFlow Serving rejects the whole configuration. It then never loads a version that only this configuration
        names, and refuses the label for ever.
        """
        followed, refused = dict(models), []
        for name in [name for name in models if name in self._models]:
            try:
                self._check_labels({name: models[name]})
            except ServingError as error:
                refused.append(error)
                current = replace(self._models[name], labels=(self._labels or {}).get(name, {}))
                followed[name] = config_checks.with_versions_of_labels(current, models[name])
        return followed, refused

    def _check_labels(self, models: Models) -> tuple[Labels, list[ServingError]]:
        return config_checks.check_labels(
            models, self._labels, self._manager.is_available, allow_new=self._allow_new_labels
        )

    async def _poll(self) -> None:
        await self._polls.poll(self._models)

    async def _every(self, seconds: float, step: Callable[[], Any]) -> None:
        """Repeat a step, and log each error once until another one occurs; never for 0 seconds."""
        logged = ""
        while seconds > 0:
            await asyncio.sleep(seconds)
            try:
                await step()
                logged = ""
            except Exception as error:
                text = error.describe() if isinstance(error, ServingError) else repr(error)
                if text != logged:
                    logger.error("%s", text, exc_info=None if isinstance(error, ServingError) else error)
                logged = text


def _reason(version: ManagedVersion) -> str:
    return f" due to error: {version.error.describe()}" if version.error else ""
