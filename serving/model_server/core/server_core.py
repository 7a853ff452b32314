"""The configured models: their source, their labels, and which version a request means.

Source: tensorflow_serving/model_servers/server_core.cc.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serving.artifacts import models_config
from serving.artifacts.models_config import ConfigError, ConfigSyntaxError, EmptyConfigError, ModelConfig
from serving.model_server.core.manager import ManagedVersion, Manager, ServableHandle
from serving.model_server.core.source import Aspired, FileSystemSource
from serving.model_server.errors import (
    ServingError,
    failed_precondition,
    invalid_argument,
    not_found,
    unavailable,
    unknown,
)

logger = logging.getLogger(__name__)

_MOST_POLLS = 32  # of base paths at the same time

Models = Mapping[str, ModelConfig]
Labels = dict[str, dict[str, int]]


def read_config(path: Path) -> Models | None:
    """The models of a configuration file; None where it is empty.

    Raises:
        NOT_FOUND: there is no such file.
        INVALID_ARGUMENT: it cannot be read.
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


@dataclass
class _Poll:
    """A search for versions under a model's base path, in a thread."""

    model: ModelConfig
    found: asyncio.Future[dict[str, Aspired]]
    slow: bool = False


class ServerCore:
    """See the module. To be used from one event loop."""

    def __init__(
        self,
        manager: Manager,
        source: FileSystemSource,
        *,
        file_system_poll_seconds: float = 1.0,
        slow_poll_seconds: float = 10.0,
        allow_labels_for_unavailable_models: bool = False,
    ) -> None:
        """Make the core.

        Args:
            file_system_poll_seconds: between polls of the base paths; 0 polls once for each configuration, less never.
            slow_poll_seconds: after which other models no longer wait for a poll.
        """
        self._manager = manager
        self._source = source
        self._poll_seconds = file_system_poll_seconds
        self._slow_poll_seconds = slow_poll_seconds
        self._allow_early_labels = allow_labels_for_unavailable_models
        self._models: Models = {}
        self._labels: Labels | None = None
        self._poll_threads = ThreadPoolExecutor(_MOST_POLLS, thread_name_prefix="poll")
        self._polls: dict[str, _Poll] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._applying = asyncio.Lock()
        self._reloading = asyncio.Lock()
        self.configured = asyncio.Event()
        """Set when a configuration has been applied and its base paths have been read."""

    async def start(self, models: Models) -> None:
        """Load the models; returns when each has a version that answers.

        Raises:
            ServingError: the configuration is refused, or a model has no version that can be loaded.
        """
        self._tasks.add(asyncio.create_task(self._every(self._poll_seconds, self._poll)))
        await self._reload(models, "servable(s)")

    def watch_config(self, path: Path, seconds: float) -> None:
        """Read the configuration again and again, and follow it."""

        async def follow() -> None:
            models = await asyncio.get_running_loop().run_in_executor(self._poll_threads, read_config, path)
            if models is not None:
                await self._apply(models)
                _check_request_logging(models)
            elif self._models:
                raise failed_precondition(
                    "Cannot transition to requested config. "
                    "It is only legal to transition from one ModelConfigList to another."
                )

        self._tasks.add(asyncio.create_task(self._every(seconds, follow)))

    async def reload(self, models: Models) -> None:
        """Take these models in place of those before; returns when each new one has a version that answers.

        As in TensorFlow Serving a reload goes on after its caller has given up, and the next one waits for it: a new
        model whose base path does not exist is waited for until it does.

        Raises:
            ServingError: the configuration is refused, and the one before stays; or a new model cannot be loaded.
        """
        task = asyncio.create_task(self._reload(models, "model(s)"))
        self._tasks.add(task)
        task.add_done_callback(self._reloaded)
        await asyncio.shield(task)

    def _reloaded(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            text = error.describe() if isinstance(error, ServingError) else repr(error)
            logger.error("ReloadConfig failed: %s", text)

    async def _reload(self, models: Models, what: str) -> None:
        async with self._reloading:
            failed = await self._manager.settled(await self._apply(models))
            if failed:
                listed = "".join(f"{{{version.id}{_reason(version)}}}, " for version in failed)
                raise unknown(f"{len(failed)} {what} did not become available: {{{listed}}}")
            _check_request_logging(models)

    async def _apply(self, models: Models) -> list[str]:
        """Take these models; returns the names of the new ones, which are loading.

        Raises:
            ServingError: the configuration is refused. A label on a version of a new model is refused too, but the
                rest of the configuration applies: the version can load only then.
        """
        async with self._applying:
            self._check(models)
            labels, refused = self._checked_labels(models)
            _check_platforms(models)
            new = [name for name in models if name not in self._models]
            self._models, self._labels = models, labels
            self._manager.aspire_nothing_else(models)
            if self._poll_seconds >= 0:
                await self._poll()
            self.configured.set()
        if refused:
            raise refused
        return new

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
        self._poll_threads.shutdown(wait=False, cancel_futures=True)
        await self._manager.close()

    async def _poll(self) -> None:
        """Search each model's base path in a thread.

        One that hangs, on a dead mount, delays no other model.
        """
        loop = asyncio.get_running_loop()
        for name, model in self._models.items():
            poll = self._polls.get(name)
            if poll is None or poll.model != model:
                found = loop.run_in_executor(self._poll_threads, self._source.poll, [model])
                self._polls[name] = _Poll(model, found)
        prompt = [poll for poll in self._polls.values() if not poll.slow]
        if prompt:
            await asyncio.wait([poll.found for poll in prompt], timeout=self._slow_poll_seconds)
        self._aspire_found()
        for poll in prompt:
            if not (poll.slow or poll.found.done()):
                self._mark_slow(poll)

    def _aspire_found(self) -> None:
        """Take the versions that complete polls have found."""
        complete = {name: poll for name, poll in self._polls.items() if poll.found.done()}
        errors = []
        for name, poll in complete.items():
            del self._polls[name]
            if error := poll.found.exception():
                errors.append(error)
            elif self._models.get(name) == poll.model:  # else the configuration has changed meanwhile
                for found, versions in poll.found.result().items():
                    self._manager.aspire(found, versions)
        if errors:
            raise errors[0]

    def _mark_slow(self, poll: _Poll) -> None:
        logger.warning(
            "Looking for versions of model %s under %s has taken %g s. Its versions stay as they are.",
            poll.model.name,
            poll.model.base_path,
            self._slow_poll_seconds,
        )
        poll.slow = True
        poll.found.add_done_callback(self._slow_poll_ended)

    def _slow_poll_ended(self, found: asyncio.Future[dict[str, Aspired]]) -> None:
        """Take what was found at once: there may be no other poll."""
        if not found.cancelled():
            self._aspire_found()

    async def _every(self, seconds: float, step: Callable[[], Any]) -> None:
        """Take the step again and again; a mistake is told once, until another takes its place. Never for 0."""
        told = ""
        while seconds > 0:
            await asyncio.sleep(seconds)
            try:
                await step()
                told = ""
            except Exception as error:
                text = error.describe() if isinstance(error, ServingError) else repr(error)
                if text != told:
                    logger.error("%s", text, exc_info=None if isinstance(error, ServingError) else error)
                told = text

    def _check(self, models: Models) -> None:
        for name, model in models.items():
            if not Path(model.base_path).is_absolute():
                raise invalid_argument(
                    f"Expected model {name} to have an absolute path or URI; got base_path()={model.base_path}"
                )
            if not model.platform:
                raise invalid_argument(
                    "Illegal setting neither ModelServerConfig::model_type (deprecated) "
                    "nor ModelServerConfig::model_platform."
                )
            before = self._models.get(name)
            if before and before.platform != model.platform:
                raise invalid_argument(
                    f"Illegal to change a model's platform. For model {name} platform was {before.platform} "
                    f"and new platform requested is {model.platform}"
                )

    def _checked_labels(self, models: Models) -> tuple[Labels, ServingError | None]:
        """The labels of a configuration, and why one of them is left out for now.

        Only a label that does not move may point at a version that is not available, if the flag allows it. A label
        that comes with a new model waits for its version to load, except in the first configuration.

        Raises:
            FAILED_PRECONDITION: any other label points at a version that is not available.
        """
        taken: Labels = {}
        refused = None
        for name, model in models.items():
            taken[name] = {}
            for label, version in model.labels.items():
                before = (self._labels or {}).get(name, {}).get(label)
                if not self._manager.is_available(name, version):
                    problem = failed_precondition(
                        f"Request to assign label to version {version} of model {name}, "
                        "which is not currently available for inference"
                    )
                    stays = before in (None, version)
                    if not (self._allow_early_labels and stays):
                        if stays:
                            logger.error("--allow_version_labels_for_unavailable_models would allow it")
                        raise problem
                    if before is None and self._labels is not None and not self._manager.is_served(name):
                        refused = problem
                        continue
                taken[name][label] = version
        return taken, refused


def _check_platforms(models: Models) -> None:
    for name, model in models.items():
        if model.platform != "tensorflow":
            raise invalid_argument(f"Model {name} requests unsupported platform {model.platform}")


def _check_request_logging(models: Models) -> None:
    """Refuse a ``logging_config``, like TensorFlow Serving after the models are loaded."""
    if any(model.logs_requests for model in models.values()):
        raise invalid_argument("No request-logger-creator provided.")


def _reason(version: ManagedVersion) -> str:
    return f" due to error: {version.error.describe()}" if version.error else ""
