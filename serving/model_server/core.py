"""The configured models: their source, their labels, and which version a request means.

Source: tensorflow_serving/model_servers/server_core.cc.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from serving import models_config
from serving.model_server.errors import (
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    ServingError,
    Unavailable,
    Unknown,
)
from serving.model_server.manager import Manager, ServableHandle, Version
from serving.model_server.source import FileSystemSource
from serving.models_config import ConfigError, ConfigSyntaxError, EmptyConfigError, ModelConfig

logger = logging.getLogger(__name__)

Models = Mapping[str, ModelConfig]
Labels = dict[str, dict[str, int]]


def read_config(path: Path) -> Models | None:
    """The models of a configuration file; None where it is empty.

    Raises:
        NotFound: there is no such file.
        InvalidArgument: it cannot be read.
    """
    if not path.is_file():
        raise NotFound(f"{path}; No such file or directory")
    try:
        return models_config.read(path)
    except EmptyConfigError:
        return None
    except ConfigSyntaxError as error:
        logger.error("%s", error)
        raise InvalidArgument(f"Invalid protobuf file: '{path}'") from None
    except ConfigError as error:
        raise InvalidArgument(str(error)) from None


class ServerCore:
    """See the module. To be used from one event loop."""

    def __init__(
        self,
        manager: Manager,
        source: FileSystemSource,
        *,
        file_system_poll_seconds: float = 1.0,
        allow_labels_for_unavailable_models: bool = False,
    ) -> None:
        """``file_system_poll_seconds``: between looks at the base paths; 0 looks once for each configuration, less
        never."""
        self._manager = manager
        self._source = source
        self._poll_seconds = file_system_poll_seconds
        self._allow_early_labels = allow_labels_for_unavailable_models
        self._models: Models = {}
        self._labels: Labels | None = None
        self._look = ThreadPoolExecutor(1, thread_name_prefix="poll")
        self._tasks: list[asyncio.Task[None]] = []
        self._applying = asyncio.Lock()

    async def start(self, models: Models) -> None:
        """Load the models; returns when each has a version that answers.

        Raises:
            ServingError: the configuration is refused, or a model has no version that can be loaded.
        """
        polling = self._every(self._poll_seconds, self._poll)
        self._tasks.append(asyncio.create_task(polling))
        await self.reload(models)

    def watch_config(self, path: Path, seconds: float) -> None:
        """Read the configuration again and again, and follow it."""

        async def follow() -> None:
            models = await asyncio.get_running_loop().run_in_executor(self._look, read_config, path)
            if models is not None:
                await self._apply(models)
            elif self._models:
                raise FailedPrecondition(
                    "Cannot transition to requested config. "
                    "It is only legal to transition from one ModelConfigList to another."
                )

        self._tasks.append(asyncio.create_task(self._every(seconds, follow)))

    async def reload(self, models: Models) -> None:
        """Take these models in place of those before; returns when each new one has a version that answers.

        Raises:
            ServingError: the configuration is refused, and the one before stays; or a new model cannot be loaded.
        """
        failed = await self._manager.settled(await self._apply(models))
        if failed:
            listed = "".join(f"{{{version.id}{_reason(version)}}}, " for version in failed)
            raise Unknown(f"{len(failed)} model(s) did not become available: {{{listed}}}")

    async def _apply(self, models: Models) -> list[str]:
        """Take these models; returns the names of the new ones, which are loading."""
        async with self._applying:
            self._check(models)
            labels = self._checked_labels(models)
            new = [name for name in models if name not in self._models]
            self._models, self._labels = models, labels
            self._manager.aspire_nothing_else(models)
            if self._poll_seconds >= 0:
                await self._poll()
        return new

    def handle(self, spec: Any) -> ServableHandle:
        """The servable that a ModelSpec means.

        Raises:
            InvalidArgument: no name, or an unknown label.
            NotFound: no such model or version is available.
        """
        if not spec.name:
            raise InvalidArgument("ModelSpec has no name specified.")
        choice = spec.WhichOneof("version_choice")
        if choice == "version_label":
            if self._labels is None:
                raise Unavailable(f"Model labels does not init yet.{spec.version_label}")
            version = self._labels.get(spec.name, {}).get(spec.version_label)
            if version is None:
                raise InvalidArgument(f"Unrecognized servable version label: {spec.version_label}")
            return self._manager.handle(spec.name, version)
        return self._manager.handle(spec.name, spec.version.value if choice == "version" else None)

    def versions(self, spec: Any) -> list[Version]:
        """What is known of a model's versions, or of the one that the ModelSpec names; its label is not looked at.

        Raises:
            NotFound: nothing is.
        """
        versions = self._manager.versions(spec.name)
        if spec.WhichOneof("version_choice") == "version":
            number = spec.version.value
            versions = [version for version in versions if version.number == number]
            if not versions:
                raise NotFound(f"Could not find version {number} of model {spec.name}")
        if not versions:
            raise NotFound(f"Could not find any versions of model {spec.name}")
        return versions

    async def close(self) -> None:
        """Stop watching and loading."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._look.shutdown(wait=False, cancel_futures=True)
        await self._manager.close()

    async def _poll(self) -> None:
        models = self._models
        found = await asyncio.get_running_loop().run_in_executor(self._look, self._source.poll, models.values())
        if models is self._models:  # else a newer configuration has its own look
            for name, versions in found.items():
                self._manager.aspire(name, versions)

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
                raise InvalidArgument(
                    f"Expected model {name} to have an absolute path or URI; got base_path()={model.base_path}"
                )
            if not model.platform:
                raise InvalidArgument(
                    "Illegal setting neither ModelServerConfig::model_type (deprecated) "
                    "nor ModelServerConfig::model_platform."
                )
            before = self._models.get(name)
            if before and before.platform != model.platform:
                raise InvalidArgument(
                    f"Illegal to change a model's platform. For model {name} platform was {before.platform} "
                    f"and new platform requested is {model.platform}"
                )
            if model.platform != "tensorflow":
                raise InvalidArgument(f"model {name}: platform {model.platform} is not served; tensorflow is")

    def _checked_labels(self, models: Models) -> Labels:
        """The labels of a configuration; one may point at a version that is not available only while it is new."""
        for name, model in models.items():
            for label, version in model.labels.items():
                is_new = (self._labels or {}).get(name, {}).get(label) in (None, version)
                if not self._manager.is_available(name, version) and not (self._allow_early_labels and is_new):
                    if is_new:
                        logger.error("--allow_version_labels_for_unavailable_models would allow it")
                    raise FailedPrecondition(
                        f"Request to assign label to version {version} of model {name}, "
                        "which is not currently available for inference"
                    )
        return {name: dict(model.labels) for name, model in models.items()}


def _reason(version: Version) -> str:
    return f" due to error: {version.error.describe()}" if version.error else ""
