"""exports/: versions appear whole or not at all, and labels say which one is live.

A version is written to a sibling directory whose name is no number, synced, and renamed to the next number: a reader
sees all of it or nothing, two publishers at once get two numbers, and a version is never changed afterwards. Which
versions are loaded and where the labels point stands in ``models.config`` (:mod:`serving.models_config`).

``stable`` is the version that answers where a caller names none, ``previous`` the one that was stable before it.
"""

import contextlib
import errno
import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from serving import card, manifest, models_config, routing
from serving.models_config import ModelConfig
from serving.routing import Entry

STABLE = "stable"
PREVIOUS = "previous"
#: Where models.config says that the exports lie: the container's mount. The embedded server's --mount maps it.
MOUNT_POINT = "/models"

_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_LABEL = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")


class StoreError(Exception):
    """What was asked of the store cannot be done; the message says why and what there is."""


def versions_in(directory: Path) -> list[int]:
    """Numbers of the version directories, ascending; other names are no versions, as TensorFlow Serving has it."""
    try:
        names = [entry.name for entry in os.scandir(directory) if entry.is_dir()]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted({int(name) for name in names if name.isascii() and name.isdigit() and int(name) < 2**63})


def check_name(model: str) -> None:
    """Raises StoreError for what cannot be a model's name, which is also the name of its folder."""
    if not _NAME.fullmatch(model):
        raise StoreError(f"{model!r} is no model name: small letters, digits and _ are, beginning with a letter")


def with_labels(model: ModelConfig, versions: list[int], labels: Mapping[str, int]) -> ModelConfig:
    """The model's entry once its labels stand so: the two newest versions are loaded, and any that a label names.

    They are listed, unless the newest is the only one with a label: by ``latest`` the next version to appear would drop
    one that answers.
    """
    newest = sorted(versions)[-2:]
    if set(labels.values()) <= set(newest[-1:]):
        return replace(model, latest=2, specific=(), labels=dict(labels))
    return replace(model, specific=tuple(sorted({*newest, *labels.values()})), labels=dict(labels))


class Store:
    """The folder of all models. Safe to use from several processes."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.config_path = root / "models.config"
        self.routing_path = root / "routing.json"

    def models(self) -> list[str]:
        """Names of the models that have a version."""
        if not self.root.is_dir():
            return []
        return sorted(entry.name for entry in self.root.iterdir() if _NAME.fullmatch(entry.name) and versions_in(entry))

    def versions(self, model: str) -> list[int]:
        return versions_in(self.root / model)

    def directory(self, model: str, version: int) -> Path:
        """The version's directory.

        Raises:
            StoreError: there is no such version.
        """
        if version not in self.versions(model):
            raise StoreError(self._unknown(model, version))
        return self.root / model / str(version)

    def card(self, model: str, version: int) -> card.Card:
        """Raises StoreError for an unknown version and CardError for one without a readable card."""
        return card.read(self.directory(model, version))

    def labels(self, model: str) -> dict[str, int]:
        entry = models_config.read(self.config_path).get(model)
        return dict(entry.labels) if entry else {}

    def live(self, model: str) -> int | None:
        """The version that answers where a caller names none: ``stable``, else the newest; None where there is none."""
        versions = self.versions(model)
        stable = self.labels(model).get(STABLE)
        return stable if stable in versions else (versions[-1] if versions else None)

    @contextlib.contextmanager
    def staging(self, model: str) -> Iterator[Path]:
        """An empty directory beside the versions to build the next one in; gone afterwards unless it was published."""
        check_name(model)
        parent = self.root / model
        parent.mkdir(parents=True, exist_ok=True)
        directory = Path(tempfile.mkdtemp(prefix=".staging-", dir=parent))
        directory.chmod(0o755)
        try:
            yield directory
        finally:
            shutil.rmtree(directory, ignore_errors=True)
            with contextlib.suppress(OSError):
                parent.rmdir()  # only if the model has no version at all

    def publish(self, model: str, staged: Path) -> int:
        """Make a staged directory the model's next version and return its number; the labels stay where they are.

        A model that is in models.config has the new version loaded beside those that are.

        Raises:
            OSError: the disk is full or fails; nothing visible is left behind.
        """
        manifest.write(staged)
        _sync_tree(staged)
        parent = self.root / model
        number = (self.versions(model) or [0])[-1] + 1
        while True:
            try:
                staged.rename(parent / str(number))
                break
            except OSError as error:
                if error.errno not in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
                    raise
                number += 1  # another publisher was faster
        _sync(parent)
        if model in models_config.read(self.config_path):
            try:
                with self._edit() as models:
                    models[model] = with_labels(models[model], self.versions(model), models[model].labels)
            except OSError:
                (parent / str(number)).rename(staged)  # the disk is full: what cannot be named is taken back
                raise
        return number

    def promote(self, model: str, version: int, label: str = STABLE) -> int | None:
        """Point a label at a version; returns where it pointed. Moving ``stable`` leaves ``previous`` behind.

        Raises:
            StoreError: there is no such version, its files do not match its manifest, or the label cannot be one.
        """
        if not _LABEL.fullmatch(label):
            raise StoreError(f"{label!r} is no label: letters, digits, _, . and - are, beginning with a letter")
        problem = manifest.check(self.directory(model, version))
        if problem:
            raise StoreError(f"{model} version {version} cannot be promoted: {problem}")
        with self._edit() as models:
            entry = models.get(model) or ModelConfig(model, f"{MOUNT_POINT}/{model}")
            labels = dict(entry.labels)
            before = labels.get(label)
            if label == STABLE and before is not None and before != version:
                labels[PREVIOUS] = before
            labels[label] = version
            kept = {name: number for name, number in labels.items() if number in self.versions(model)}
            models[model] = with_labels(entry, self.versions(model), kept)
        return before

    def unlabel(self, model: str, label: str) -> None:
        """Takes a label away, if it is there."""
        with self._edit() as models:
            entry = models.get(model)
            if entry is not None and label in entry.labels:
                labels = {name: number for name, number in entry.labels.items() if name != label}
                models[model] = with_labels(entry, self.versions(model), labels)

    def rollback(self, model: str) -> tuple[int, int]:
        """Point ``stable`` back at ``previous`` (else at the version below it); returns (from, to).

        Raises:
            StoreError: there is nothing to go back to.
        """
        live = self.live(model)
        if live is None:
            raise StoreError(self._unknown(model, None))
        below = [number for number in self.versions(model) if number < live]
        target = self.labels(model).get(PREVIOUS) or (below[-1] if below else None)
        if target is None or target not in self.versions(model):
            raise StoreError(f"{model} has no version before {live} to go back to")
        if self.labels(model).get(STABLE) is None:
            self.promote(model, live)
        self.promote(model, target)
        return live, target

    def routing(self) -> dict[str, Entry]:
        """What routing.json says. Raises RoutingError where it is not valid."""
        return routing.read(self.routing_path)

    @contextlib.contextmanager
    def edit_routing(self) -> Iterator[dict[str, Entry]]:
        """routing.json, held for one writer and replaced in one step.

        Raises:
            RoutingError: it is not valid as it stands.
        """
        with self._held():
            entries = routing.read(self.routing_path)
            yield entries
            self._replace(self.routing_path, routing.render(entries))

    @contextlib.contextmanager
    def _edit(self) -> Iterator[dict[str, ModelConfig]]:
        """models.config, held for one writer and replaced in one step."""
        with self._held():
            models = models_config.read(self.config_path)
            yield models
            self._replace(self.config_path, models_config.render(models))

    @contextlib.contextmanager
    def _held(self) -> Iterator[None]:
        self.root.mkdir(parents=True, exist_ok=True)
        with (self.root / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _replace(self, path: Path, text: str) -> None:
        draft = path.with_name(f"{path.name}.new")
        try:
            with draft.open("w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
        _sync(self.root)

    def _unknown(self, model: str, version: int | None) -> str:
        versions = self.versions(model)
        if not versions:
            return f"there is no model {model}; there are: {', '.join(self.models()) or 'none'}"
        return f"{model} has no version {version}; there are: {', '.join(map(str, versions))}"


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_tree(directory: Path) -> None:
    for path in directory.rglob("*"):
        _sync(path)
    _sync(directory)
