"""The exports folder as the gateway sees it: versions on disk, their plots, and changes of labels and routes.

A gateway in front of a model server at another address needs no folder, and then has none.
"""

import errno
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from serving.artifacts.model_card import ModelCard
from serving.artifacts.models_config import CONFIG_FILE, ConfigError
from serving.artifacts.registry import (
    COPIED_FROM,
    ROUTING_FILE,
    ModelRegistry,
    NoSuchVersionError,
    RegistryError,
    check_name,
)
from serving.artifacts.routing_file import RoutingError
from serving.gateway.errors import (
    Conflict,
    NotFound,
    ReadOnly,
    TooLarge,
    Unavailable,
    Unimplemented,
    UnknownModel,
    UnknownPath,
    UnknownVersion,
    shown,
)
from serving.gateway.settings import Settings

_EXTRA = "assets.extra"
_PICTURE = re.compile(r"[a-z][a-z0-9_]{0,63}\.png")
_MAX_PICTURE_BYTES = 10_000_000
_READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)

T = TypeVar("T")


class ExportsFolder:
    """The setting ``exports``, or the folder of models.config. All methods use the disk: call them in a thread."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._folder = settings.exports or settings.models_config.parent
        self._registry = ModelRegistry(self._folder)

    def check_changeable(self) -> None:
        """Check what is known without a change.

        Raises:
            Unimplemented: the gateway has no folder of these models, or changes must be made elsewhere.
            ReadOnly: the folder cannot be written.
        """
        folder, settings = self._folder, self._settings
        if settings.model_names:
            raise Unimplemented("the setting models replaces models.config, so this gateway reads no labels")
        for name, file in (("models_config", folder / CONFIG_FILE), ("routing", folder / ROUTING_FILE)):
            if getattr(settings, name) != file:
                raise Unimplemented(f"the setting {name} is {getattr(settings, name)}; changes would go to {file}")
        if not self._registry.models():
            raise Unimplemented(
                f"this gateway finds no versions in {folder}: run the vitrine command where the exports folder is"
            )
        copied_from = folder / COPIED_FROM
        if copied_from.is_file():
            source = copied_from.read_text(encoding="utf-8").strip()
            raise Unimplemented(f"{folder} is a copy of {source}: run the vitrine command with --exports {source}")
        if not os.access(folder, os.W_OK):
            raise self._read_only()

    def versions(self, model: str) -> list[int]:
        """List the numbers of the versions on disk, ascending; none if the folder cannot be read."""
        try:
            _check_name(model)
            return self._registry.versions(model)
        except (UnknownModel, OSError):
            return []

    def card(self, model: str, version: int) -> ModelCard:
        """Read the card of a version on disk.

        Raises:
            UnknownModel, UnknownVersion: it does not exist.
            ModelCardError, OSError: its card cannot be read.
        """
        _check_name(model)
        try:
            return self._registry.card(model, version)
        except RegistryError as error:
            raise UnknownVersion(str(error)) from None

    def pictures(self, model: str, version: int) -> list[str]:
        """List the names of a version's plots and of its sprite; none if they cannot be read."""
        try:
            directory = self._directory(model, version)
            return sorted(path.name for path in (directory / _EXTRA).iterdir() if _is_picture(path, directory))
        except (NotFound, OSError):
            return []

    def picture(self, model: str, version: int, name: str) -> bytes:
        """Read one of :meth:`pictures`.

        Raises:
            UnknownModel, UnknownVersion: it is not on the disk.
            UnknownPath: the version has no such picture.
            TooLarge: the file is larger than any plot.
        """
        directory = self._directory(model, version)
        path = directory / _EXTRA / name
        if not _is_picture(path, directory) or path.name != name:
            raise UnknownPath(f"version {version} of model {model} has no picture {shown(name)!r}")
        if path.stat().st_size > _MAX_PICTURE_BYTES:
            raise TooLarge(f"{name} has more than {_MAX_PICTURE_BYTES} bytes")
        return path.read_bytes()

    def _directory(self, model: str, version: int) -> Path:
        _check_name(model)
        try:
            return self._registry.directory(model, version)
        except RegistryError as error:
            raise UnknownVersion(str(error)) from None

    def change(self, model: str, step: Callable[[ModelRegistry], T]) -> T:
        """Run a step of :mod:`serving.artifacts.rollout`.

        Raises:
            Unimplemented, ReadOnly: see :meth:`check_changeable`.
            UnknownModel, UnknownVersion: it does not exist.
            Conflict: the version is damaged, there is nothing to change, or another change is in progress.
            Unavailable: the disk is full or fails.
        """
        self.check_changeable()
        _check_name(model)
        try:
            return step(self._registry)
        except NoSuchVersionError as error:
            raise (UnknownVersion if self.versions(model) else UnknownModel)(str(error)) from None
        except (RegistryError, RoutingError, ConfigError) as error:
            raise Conflict(str(error)) from None
        except OSError as error:
            if error.errno in _READ_ONLY:
                raise self._read_only() from None
            raise Unavailable(f"{self._folder} cannot be changed: {error.strerror or error}") from None

    def _read_only(self) -> ReadOnly:
        return ReadOnly(
            f"this gateway may not write to {self._folder}: run the vitrine command where the folder can be written"
        )


def _is_picture(path: Path, directory: Path) -> bool:
    """Whether a path has a picture's name and is a file of the version, not a link out of it."""
    return bool(_PICTURE.fullmatch(path.name)) and path.resolve().is_relative_to(directory.resolve()) and path.is_file()


def _check_name(model: str) -> None:
    try:
        check_name(model)
    except RegistryError as error:
        raise UnknownModel(str(error)) from None
