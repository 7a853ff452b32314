"""The model registry: publishes versions atomically and moves their labels.

The versions lie in a local folder or an object store (:mod:`serving.artifacts.backends`), by the same rules. Concurrent
publishers get different numbers. A version never changes afterwards; only its signature may come later.
``models.config`` (:mod:`serving.artifacts.models_config`) says which versions are loaded and where the labels point.

Requests that name no version go to ``stable``. ``previous`` is the version that was stable before.
"""

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from serving.artifacts import model_card, publishing, routing_file, version_files
from serving.artifacts.backends.base import RegistryBackend
from serving.artifacts.backends.local import LocalBackend
from serving.artifacts.manifest import CARD_FILE, MANIFEST_FILE, SIGNATURE_FILE, ManifestError
from serving.artifacts.model_card import ModelCard, ModelCardError
from serving.artifacts.models_config import CONFIG_FILE, ModelConfig
from serving.artifacts.routing_file import RoutingEntry
from serving.artifacts.version_labels import ConfigFile

if TYPE_CHECKING:
    from serving.artifacts.signing import Signer

STABLE = "stable"
PREVIOUS = "previous"

_SETTLE = 2.5  # seconds; model servers read models.config once a second
#: File of a copy of an object store (``sync.py``); it names the store.
COPIED_FROM = ".copied_from"
ROUTING_FILE = "routing.json"
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
#: Pattern of a label.
LABEL = r"[A-Za-z][A-Za-z0-9_.-]{0,63}"


class RegistryError(Exception):
    """The registry rejects an operation. The message says why and what exists."""


class NoSuchVersionError(RegistryError):
    """The model or version does not exist."""


def check_name(model: str) -> None:
    """Check a model's name, which is also the name of its folder.

    Raises:
        RegistryError: The name has other characters than lower-case letters, digits and ``_``.
    """
    if not _NAME.fullmatch(model):
        alike = re.sub(r"\W", "_", model.lower(), flags=re.ASCII)
        hint = f", such as {alike!r}" if _NAME.fullmatch(alike) else ""
        raise RegistryError(
            f"{model!r} is not a model name; use lower-case letters, digits and _, first a letter{hint}"
        )


def check_label(label: str) -> None:
    """Check the name of a label.

    Raises:
        RegistryError: The name has other characters than letters, digits, ``_``, ``.`` and ``-``.
    """
    if not re.fullmatch(LABEL, label):
        raise RegistryError(f"{label!r} is not a label; use letters, digits, _, . and -, first a letter")


class ModelRegistry:
    """The versions of all models. Safe to use from several processes, and several machines for an object store."""

    def __init__(self, root: Path | str, signer: "Signer | None" = None, settle: float = _SETTLE) -> None:
        """Open a registry.

        Args:
            root: A folder, or the address of an object store (s3://bucket/exports).
            signer: Signs the versions that are published.
            settle: Seconds until model servers have read a change of models.config.

        Raises:
            OSError: The object store cannot be used.
        """
        self.root = root
        self._backend = _backend_for(root)
        self._signer = signer
        self._config = ConfigFile(self._backend, f"{root}/{CONFIG_FILE}", settle)

    def models(self) -> list[str]:
        """List the models that have a version, by name."""
        return sorted(name for name in self._backend.models() if _NAME.fullmatch(name))

    def versions(self, model: str) -> list[int]:
        """List the numbers of a model's versions, ascending."""
        return self._backend.versions(model)

    def directory(self, model: str, version: int) -> Path:
        """Return a version's directory. An object store gives a local copy, which lasts as long as this registry.

        Raises:
            RegistryError: The version does not exist, or it holds special files.
        """
        self._require(model, version)
        directory = self._backend.directory(model, version)
        problem = version_files.problem(directory, closed=False)
        if problem:
            raise RegistryError(f"{model} version {version} cannot be read: {problem}")
        return directory

    def card(self, model: str, version: int) -> ModelCard:
        """Read a version's model card.

        Raises:
            RegistryError: The version does not exist.
            ModelCardError: The card is missing or invalid.
        """
        self._require(model, version)
        name = f"{self._backend.version_folder(model, version)}/{CARD_FILE}"
        try:
            content = self._backend.read(name)
        except (version_files.IrregularFileError, NotADirectoryError, PermissionError) as error:
            raise ModelCardError(f"the model card cannot be read: {error}") from None
        if content is None:
            raise ModelCardError(f"there is no model card at {self.root}/{name}: No such file or directory")
        return model_card.parse(content)

    def labels(self, model: str) -> dict[str, int]:
        """Return a model's version numbers by label."""
        entry = self.configured().get(model)
        return dict(entry.labels) if entry else {}

    def configured(self) -> dict[str, ModelConfig]:
        """Read models.config.

        Raises:
            ConfigError: The file is invalid.
        """
        return self._config.read()

    def live(self, model: str) -> int | None:
        """Return the version of requests that name none: ``stable``, or the newest. None without a version."""
        versions = self.versions(model)
        stable = self.labels(model).get(STABLE)
        return stable if stable in versions else (versions[-1] if versions else None)

    @contextlib.contextmanager
    def staging(self, model: str) -> Iterator[Path]:
        """Provide an empty directory to build the next version in, and remove it afterwards."""
        check_name(model)
        with self._backend.staging(model) as directory:
            yield directory

    def publish(self, model: str, staged: Path) -> int:
        """Make a staged directory the model's next version and return its number. No label moves.

        If models.config lists the model, it lists the new version too.

        Raises:
            RegistryError: A symbolic link leads out of the directory.
            ConfigError: models.config is invalid.
            OSError: The disk is full, or the disk or object store fails. Nothing visible remains after any error.
        """
        try:
            return publishing.publish(self._backend, self._config, model, staged, self._signer)
        except ManifestError as error:
            raise RegistryError(f"the new version of {model} cannot be published: {error}") from None

    def sign(self, model: str, version: int, signer: "Signer") -> None:
        """Sign an existing version. Replaces any signature.

        Raises:
            RegistryError: The version does not exist, has no manifest, or its files do not match the manifest.
        """
        self._require_servable(model, version, "signed")
        folder = self._backend.version_folder(model, version)
        listed = self._backend.read(f"{folder}/{MANIFEST_FILE}")
        if listed is None:
            raise RegistryError(f"{model} version {version} cannot be signed: it has no {MANIFEST_FILE}")
        self._backend.write(f"{folder}/{SIGNATURE_FILE}", signer.sign(model, version, listed))

    def promote(self, model: str, version: int, label: str = STABLE) -> int | None:
        """Point a label at a version and return the label's old version. ``previous`` follows ``stable``.

        Raises:
            RegistryError: The version does not exist or cannot be served, or the label is invalid.
        """
        check_label(label)
        self._require_servable(model, version, "promoted")
        return self._point(model, version, label)

    def _point(self, model: str, version: int, label: str) -> int | None:
        before: int | None = None

        def point(labels: Mapping[str, int]) -> dict[str, int]:
            nonlocal before
            before = labels.get(label)
            moved = {PREVIOUS: before} if label == STABLE and before not in (None, version) else {}
            return {**labels, **moved, label: version}  # type: ignore[dict-item]

        self._config.edit_labels(model, point)
        return before

    def unlabel(self, model: str, label: str) -> None:
        """Remove a label, if the model has it."""
        if label in self.labels(model):
            self._config.edit_labels(model, lambda labels: {name: at for name, at in labels.items() if name != label})

    def rollback(self, model: str) -> tuple[int, int]:
        """Point ``stable`` back at ``previous``, or the version below it, and return the versions (from, to).

        Does not check the live version, because it may be the reason to go back.

        Raises:
            RegistryError: No version precedes the live one, or that version cannot be served.
        """
        live = self.live(model)
        if live is None:
            raise NoSuchVersionError(self._not_found(model, None))
        versions = self.versions(model)
        below = [number for number in versions if number < live]
        previous = self.labels(model).get(PREVIOUS)
        target = previous if previous in versions else (below[-1] if below else None)
        if target is None:
            raise RegistryError(f"{model} has no version before {live} to go back to")
        self._require_servable(model, target, "promoted")
        if self.labels(model).get(STABLE) is None:
            self._point(model, live, STABLE)
        self._point(model, target, STABLE)
        return live, target

    @contextlib.contextmanager
    def exclusive(self, model: str) -> Iterator[None]:
        """Exclude others who do so, for a rollout of several steps. An object store does not exclude them.

        Raises:
            RegistryError: Another one is in progress.
        """
        with self._backend.exclusive(model) as alone:
            if not alone:
                raise RegistryError(f"another change of {model} is in progress; look at its labels and try again")
            yield

    def routing(self) -> dict[str, RoutingEntry]:
        """Read routing.json.

        Raises:
            RoutingError: The file is invalid.
        """
        return self._routes(self._backend.read(ROUTING_FILE))

    def change_route(self, model: str, change: Callable[[RoutingEntry], RoutingEntry]) -> None:
        """Replace a model's entry in routing.json, or remove it if it has only default values.

        Raises:
            RoutingError: The file is invalid.
        """

        def edit(content: bytes | None) -> bytes:
            entries = self._routes(content)
            entries[model] = change(entries.get(model, RoutingEntry()))
            if entries[model] == RoutingEntry():
                del entries[model]
            return routing_file.render(entries).encode()

        self._backend.change(ROUTING_FILE, edit)

    def _routes(self, content: bytes | None) -> dict[str, RoutingEntry]:
        return routing_file.parse(content, f"{self.root}/{ROUTING_FILE}") if content is not None else {}

    def _require(self, model: str, version: int) -> None:
        if version not in self.versions(model):
            raise NoSuchVersionError(self._not_found(model, version))

    def _require_servable(self, model: str, version: int, what: str) -> None:
        self._require(model, version)
        problem = self._backend.problem(model, version)
        if problem:
            raise RegistryError(f"{model} version {version} cannot be {what}: {problem}")

    def _not_found(self, model: str, version: int | None) -> str:
        versions = self.versions(model)
        if not versions:
            return f"there is no model {model}; there are: {', '.join(self.models()) or 'none'}"
        return f"{model} has no version {version}; there are: {', '.join(map(str, versions))}"


def _backend_for(root: Path | str) -> RegistryBackend:
    if isinstance(root, Path) or "://" not in root:
        return LocalBackend(Path(root))
    from serving.artifacts.backends.object_store import ObjectStoreBackend

    return ObjectStoreBackend(root)
