"""exports/: versions appear whole or not at all, and labels say which one is live.

They lie in a local folder (:mod:`serving.artifacts.local_backend`) or in an object store
(:mod:`serving.artifacts.object_store`); the rules are the same
and stand here. Two publishers at once get two numbers, and a version is never changed afterwards; only its signature
may come later. Which versions are loaded and where the labels point stands in ``models.config``
(:mod:`serving.artifacts.models_config`).

``stable`` is the version that answers where a caller names none, ``previous`` the one that was stable before it.
"""

import contextlib
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from serving.artifacts import manifest, models_config, version_files
from serving.artifacts import model_card as card
from serving.artifacts import routing_file as routing
from serving.artifacts.local_backend import LocalBackend
from serving.artifacts.manifest import CARD_FILE, MANIFEST_FILE, SIGNATURE_FILE, ManifestError
from serving.artifacts.models_config import ConfigError, ModelConfig, aspired_versions
from serving.artifacts.routing_file import RoutingEntry

if TYPE_CHECKING:
    from serving.artifacts.signing import Signer

STABLE = "stable"
PREVIOUS = "previous"
#: Where models.config says that the exports lie: the container's mount. The embedded server's --mount maps it.
MOUNT_POINT = "/models"

_SETTLE = 2.5  # seconds: model servers look once a second
_CONFIG = "models.config"
_ROUTING = "routing.json"
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_LABEL = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")


class RegistryError(Exception):
    """What was asked of the store cannot be done; the message says why and what there is."""


def check_name(model: str) -> None:
    """Raises StoreError for what cannot be a model's name, which is also the name of its folder."""
    if not _NAME.fullmatch(model):
        raise RegistryError(f"{model!r} is no model name: small letters, digits and _ are, beginning with a letter")


def listed_first(before: ModelConfig, after: ModelConfig, versions: list[int]) -> ModelConfig:
    """``after`` as a model server takes it in one step from ``before``: a label that would move to a version which
    ``before`` does not load stays where it is until that is loaded.

    TensorFlow Serving refuses the whole configuration else, also with --allow_version_labels_for_unavailable_models,
    and the version never comes (server_core.cc, UpdateModelVersionLabelMap).
    """
    news = set(aspired_versions(after, versions)) - set(aspired_versions(before, versions))
    stay = {label: before.labels[label] for label, to in after.labels.items() if to in news and label in before.labels}
    if not stay:
        return after
    loaded = {*aspired_versions(after, versions), *(set(stay.values()) & set(versions))}
    return replace(after, specific=tuple(sorted(loaded)), labels={**after.labels, **stay})


def with_labels(model: ModelConfig, versions: list[int], labels: Mapping[str, int]) -> ModelConfig:
    """The model's entry once its labels stand so: the two newest versions are loaded, and any that a label names.

    They are listed, unless the newest is the only one with a label: by ``latest`` the next version to appear would drop
    one that answers.
    """
    newest = sorted(versions)[-2:]
    if set(labels.values()) <= set(newest[-1:]):
        return replace(model, latest=2, specific=(), labels=dict(labels))
    return replace(model, specific=tuple(sorted({*newest, *labels.values()})), labels=dict(labels))


class RegistryBackend(Protocol):
    """Where exports lie: a folder (:mod:`serving.artifacts.local_backend`) or an object store
    (:mod:`serving.artifacts.object_store`).

    Names of files are relative to the exports. All raise OSError where the disk or the store fails.
    """

    def models(self) -> list[str]:
        """Names of the folders that have a version."""
        ...

    def versions(self, model: str) -> list[int]:
        """Numbers of the whole versions, ascending."""
        ...

    def home(self, model: str, version: int) -> str:
        """Name of the version's folder, relative to the exports."""
        ...

    def directory(self, model: str, version: int) -> Path:
        """The version's files, on this machine."""
        ...

    def problem(self, model: str, version: int) -> str | None:
        """Why the version cannot be served: damaged, incomplete or no SavedModel.

        None if nothing is found.
        """
        ...

    def staging(self, model: str) -> contextlib.AbstractContextManager[Path]:
        """An empty directory to build a version in, gone afterwards."""
        ...

    def add(self, model: str, staged: Path, seal: Callable[[int], None]) -> int:
        """Make a staged directory with its manifest the next version: whole or not at all; returns its number.

        ``seal`` is told the number before it is visible, again where another publisher was faster.
        """
        ...

    def withdraw(self, model: str, version: int, staged: Path) -> None:
        """Take back what was added a moment ago."""
        ...

    def read(self, name: str) -> bytes | None:
        """A file's content; None where there is none."""
        ...

    def write(self, name: str, content: bytes) -> None:
        """Put a file there in one step."""
        ...

    def change(self, name: str, edit: Callable[[bytes | None], bytes]) -> None:
        """Replace a file by what becomes of its content, in one step and without undoing what others did meanwhile.

        ``edit`` may be called again where others were faster.
        """
        ...


class ModelRegistry:
    """All models' versions. Safe to use from several processes, and for an object store from several machines."""

    def __init__(self, root: Path | str, signer: "Signer | None" = None, settle: float = _SETTLE) -> None:
        """``root``: a folder, or an object store's address (s3://bucket/exports); ``signer`` signs what is published;
        ``settle`` is the seconds after which model servers have seen an edit of models.config.

        Raises:
            OSError: no such object store can be used.
        """
        self.root = root
        self._place = _place(root)
        self._signer = signer
        self._settle = settle

    def models(self) -> list[str]:
        """Names of the models that have a version."""
        return sorted(name for name in self._place.models() if _NAME.fullmatch(name))

    def versions(self, model: str) -> list[int]:
        return self._place.versions(model)

    def directory(self, model: str, version: int) -> Path:
        """The version's directory; of an object store a local copy, which lasts as long as this Store.

        Raises:
            RegistryError: there is no such version, or it holds special files.
        """
        self._expect(model, version)
        directory = self._place.directory(model, version)
        problem = version_files.problem(directory, closed=False)
        if problem:
            raise RegistryError(f"{model} version {version} cannot be read: {problem}")
        return directory

    def card(self, model: str, version: int) -> card.ModelCard:
        """Raises StoreError for an unknown version and CardError for one without a readable card."""
        self._expect(model, version)
        name = f"{self._place.home(model, version)}/{CARD_FILE}"
        try:
            content = self._place.read(name)
        except (version_files.IrregularFileError, NotADirectoryError, PermissionError) as error:
            raise card.ModelCardError(f"the model card cannot be read: {error}") from None
        if content is None:
            raise card.ModelCardError(f"there is no model card at {self.root}/{name}: No such file or directory")
        return card.parse(content)

    def labels(self, model: str) -> dict[str, int]:
        entry = self.configured().get(model)
        return dict(entry.labels) if entry else {}

    def configured(self) -> dict[str, ModelConfig]:
        """What models.config says. Raises ConfigError where it is not valid."""
        return self._parsed(self._place.read(_CONFIG))

    def live(self, model: str) -> int | None:
        """The version that answers where a caller names none: ``stable``, else the newest; None where there is none."""
        versions = self.versions(model)
        stable = self.labels(model).get(STABLE)
        return stable if stable in versions else (versions[-1] if versions else None)

    @contextlib.contextmanager
    def staging(self, model: str) -> Iterator[Path]:
        """An empty directory to build the next version in; gone afterwards, published or not."""
        check_name(model)
        with self._place.staging(model) as directory:
            yield directory

    def publish(self, model: str, staged: Path) -> int:
        """Make a staged directory the model's next version and return its number; the labels stay where they are.

        A model that is in models.config has the new version loaded beside those that are.

        Raises:
            RegistryError: a symbolic link leads out of the directory. ConfigError: models.config is not valid.
            OSError: the disk is full or fails, or the object store. Nothing visible is left behind by any of them.
        """
        configured = self.configured()
        try:
            manifest.write(staged)
        except ManifestError as error:
            raise RegistryError(f"this is no version of {model} that can be published: {error}") from None

        def seal(number: int) -> None:
            if self._signer:
                listed = (staged / MANIFEST_FILE).read_bytes()
                (staged / SIGNATURE_FILE).write_bytes(self._signer.sign(model, number, listed))

        number = self._place.add(model, staged, seal)
        if model in configured:
            try:
                self._edit_labels(model, lambda labels: labels)
            except (OSError, ConfigError):
                self._place.withdraw(model, number, staged)  # the disk is full: what cannot be named is taken back
                raise
        return number

    def sign(self, model: str, version: int, signer: "Signer") -> None:
        """Sign a version that is there, in place of any signature before.

        Raises:
            RegistryError: there is no such version, its files do not match its manifest, or it has none.
        """
        self._expect_whole(model, version, "signed")
        home = self._place.home(model, version)
        listed = self._place.read(f"{home}/{MANIFEST_FILE}")
        if listed is None:
            raise RegistryError(f"{model} version {version} cannot be signed: it has no {MANIFEST_FILE}")
        self._place.write(f"{home}/{SIGNATURE_FILE}", signer.sign(model, version, listed))

    def promote(self, model: str, version: int, label: str = STABLE) -> int | None:
        """Point a label at a version; returns where it pointed. Moving ``stable`` leaves ``previous`` behind.

        Raises:
            RegistryError: there is no such version, it cannot be served, or the label cannot be one.
        """
        if not _LABEL.fullmatch(label):
            raise RegistryError(f"{label!r} is no label: letters, digits, _, . and - are, beginning with a letter")
        self._expect_whole(model, version, "promoted")
        return self._point(model, version, label)

    def _point(self, model: str, version: int, label: str) -> int | None:
        before: int | None = None

        def point(labels: Mapping[str, int]) -> dict[str, int]:
            nonlocal before
            before = labels.get(label)
            moved = {PREVIOUS: before} if label == STABLE and before not in (None, version) else {}
            return {**labels, **moved, label: version}  # type: ignore[dict-item]

        self._edit_labels(model, point)
        return before

    def unlabel(self, model: str, label: str) -> None:
        """Takes a label away, if it is there."""
        if label in self.labels(model):
            self._edit_labels(model, lambda labels: {name: at for name, at in labels.items() if name != label})

    def rollback(self, model: str) -> tuple[int, int]:
        """Point ``stable`` back at ``previous`` (else at the version below it); returns (from, to).

        Raises:
            RegistryError: there is nothing to go back to, or that cannot be served. The live version is not checked: it
                may be the reason to go back.
        """
        live = self.live(model)
        if live is None:
            raise RegistryError(self._unknown(model, None))
        below = [number for number in self.versions(model) if number < live]
        target = self.labels(model).get(PREVIOUS) or (below[-1] if below else None)
        if target is None or target not in self.versions(model):
            raise RegistryError(f"{model} has no version before {live} to go back to")
        self._expect_whole(model, target, "promoted")
        if self.labels(model).get(STABLE) is None:
            self._point(model, live, STABLE)
        self._point(model, target, STABLE)
        return live, target

    def routing(self) -> dict[str, RoutingEntry]:
        """What routing.json says. Raises RoutingError where it is not valid."""
        return self._routes(self._place.read(_ROUTING))

    def change_route(self, model: str, change: Callable[[RoutingEntry], RoutingEntry]) -> None:
        """Replace a model's entry in routing.json; one that says nothing is left out.

        Raises:
            RoutingError: the file is not valid as it stands.
        """

        def edit(content: bytes | None) -> bytes:
            entries = self._routes(content)
            entries[model] = change(entries.get(model, RoutingEntry()))
            if entries[model] == RoutingEntry():
                del entries[model]
            return routing.render(entries).encode()

        self._place.change(_ROUTING, edit)

    def _edit_labels(self, model: str, change: Callable[[Mapping[str, int]], Mapping[str, int]]) -> None:
        """The model's entry in models.config with these labels, less those of versions that are no more.

        Where it has a version loaded, model servers are to see that before a label moves there, by this edit or the
        next one, so it returns only then. A version that loads for longer is waited for by them: they try a
        configuration that they refused again at each look.
        """
        loads = holds = False

        def edit(content: bytes | None) -> bytes:
            nonlocal loads, holds
            models = self._parsed(content)
            versions = self.versions(model)
            entry = models.get(model) or ModelConfig(model, f"{MOUNT_POINT}/{model}")
            labels = {name: number for name, number in change(entry.labels).items() if number in versions}
            after = first = with_labels(entry, versions, labels)
            if model in models:
                loads = not set(aspired_versions(after, versions)) <= set(aspired_versions(entry, versions))
                first = listed_first(entry, after, versions)
            holds = first != after
            models[model] = first
            return models_config.render(models).encode()

        self._place.change(_CONFIG, edit)
        if loads:
            time.sleep(self._settle)
        if holds:
            self._place.change(_CONFIG, edit)

    def _parsed(self, content: bytes | None) -> dict[str, ModelConfig]:
        return models_config.parse_bytes(content, f"{self.root}/{_CONFIG}") if content is not None else {}

    def _routes(self, content: bytes | None) -> dict[str, RoutingEntry]:
        return routing.parse(content, f"{self.root}/{_ROUTING}") if content is not None else {}

    def _expect(self, model: str, version: int) -> None:
        if version not in self.versions(model):
            raise RegistryError(self._unknown(model, version))

    def _expect_whole(self, model: str, version: int, what: str) -> None:
        self._expect(model, version)
        problem = self._place.problem(model, version)
        if problem:
            raise RegistryError(f"{model} version {version} cannot be {what}: {problem}")

    def _unknown(self, model: str, version: int | None) -> str:
        versions = self.versions(model)
        if not versions:
            return f"there is no model {model}; there are: {', '.join(self.models()) or 'none'}"
        return f"{model} has no version {version}; there are: {', '.join(map(str, versions))}"


def _place(root: Path | str) -> RegistryBackend:
    if isinstance(root, Path) or "://" not in root:
        return LocalBackend(Path(root))
    from serving.artifacts.object_store import ObjectStoreBackend

    return ObjectStoreBackend(root)
