"""The folder of the user's own models, and the shipped models that it starts with.

Vitrine ships a few trained models, in the installed package or in the checkout's ``exports/``. The first use copies
them to ``.vitrine/exports`` below the current folder; training, promoting and serving use the copy. Models that an
earlier release has trained into the checkout's ``exports/`` are copied with them.

A later release may ship more. Each shipped version is copied once (the file ``.shipped`` lists them), so a model that
the user has removed stays removed. A new version of a model that the user has goes live only when the user promotes it.

``python -m serving.artifacts.user_models FOLDER`` does the same for a volume: it waits until the folder has a
``models.config``, without which TensorFlow Serving ends at once. ``--shipped`` first copies the shipped models to it.
"""

import contextlib
import fcntl
import logging
import os
import shutil
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated

import typer

from serving.artifacts import manifest, models_config
from serving.artifacts.atomic_write import rename_synced, sync_tree, write_atomically
from serving.artifacts.backends.local import LocalBackend
from serving.artifacts.manifest import MANIFEST_FILE
from serving.artifacts.models_config import CONFIG_FILE, MOUNT_POINT, ConfigError, ModelConfig
from serving.artifacts.registry import STABLE, ModelRegistry, RegistryError
from serving.artifacts.routing_file import RoutingError
from serving.artifacts.version_labels import ConfigFile

log = logging.getLogger(__name__)

USER_EXPORTS = Path(".vitrine/exports")

_PACKAGE = Path(__file__).parents[1]
_RECORD = ".shipped"  # one line for each version that was copied: MODEL/VERSION

#: Receives one sentence about what was copied.
Say = Callable[[str], None]


def default_exports(say: Say = log.info) -> Path:
    """Return the folder in ``VITRINE_EXPORTS``, or else the user's own, with the shipped models.

    Raises:
        RegistryError: The user's own folder cannot be written.
        ConfigError: A models.config is invalid.
    """
    if given := os.environ.get("VITRINE_EXPORTS"):
        return Path(given)
    try:
        seed(USER_EXPORTS, shipped_models(), say)
        unlist_removed(USER_EXPORTS, say)
    except OSError as error:
        raise RegistryError(
            f"{USER_EXPORTS}, the folder of your models, cannot be written: {error}. "
            "Change to a folder of your own, or name one with --exports or VITRINE_EXPORTS"
        ) from None
    return USER_EXPORTS


def shipped_models() -> Path:
    """Return the folder of the shipped models, which may not exist."""
    installed = _PACKAGE / "shipped"
    return (installed if installed.is_dir() else _PACKAGE.parent) / "exports"


def seed(folder: Path, shipped: Path, say: Say = log.info) -> None:
    """Copy the shipped versions that the folder has not had yet.

    Safe to run in several processes at once, and to kill: the next call completes the work.

    Raises:
        OSError: The folder cannot be written.
        ConfigError: A models.config is invalid.
    """
    if not _new(folder, shipped):
        return
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{_RECORD}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        new = _new(folder, shipped)
        had = {model for model, _ in _recorded(folder)}
        added = []
        for model, versions in new.items():
            if model not in had or LocalBackend(folder).versions(model):  # otherwise the user has removed it
                added += _add(folder, shipped, model, versions)
        recorded = _recorded(folder) | {(model, version) for model, versions in new.items() for version in versions}
        write_atomically(folder / _RECORD, "".join(f"{model}/{version}\n" for model, version in sorted(recorded)))
    if added:
        say(f"{folder} has your models; copied to it: {', '.join(added)}")


def unlist_removed(folder: Path, say: Say = log.info) -> None:
    """Take models whose folders the user has removed out of models.config: a gateway would wait for them.

    Raises:
        OSError: The folder cannot be written.
        ConfigError: The folder's models.config is invalid.
    """
    config, backend = folder / CONFIG_FILE, LocalBackend(folder)

    def removed(models: Mapping[str, ModelConfig]) -> list[str]:
        here = (name for name, model in models.items() if model.base_path == f"{MOUNT_POINT}/{name}")
        return [name for name in here if not backend.versions(name)]

    def edit(content: bytes | None) -> bytes:
        models = models_config.parse_bytes(content or b"", str(config))
        gone = removed(models)
        return models_config.render({name: model for name, model in models.items() if name not in gone}).encode()

    if gone := removed(models_config.read(config)):
        backend.change(CONFIG_FILE, edit)
        say(f"{config} no longer lists {', '.join(gone)}, which has no version")


def _new(folder: Path, shipped: Path) -> dict[str, list[int]]:
    """Return the shipped versions that were not copied yet, by model."""
    recorded, source = _recorded(folder), ModelRegistry(shipped)
    found = {name: [one for one in source.versions(name) if (name, one) not in recorded] for name in source.models()}
    return {model: versions for model, versions in found.items() if versions}


def _recorded(folder: Path) -> set[tuple[str, int]]:
    try:
        lines = (folder / _RECORD).read_text(encoding="utf-8").split()
    except FileNotFoundError:
        return set()
    pairs = (line.partition("/") for line in lines)
    return {(model, int(version)) for model, _, version in pairs if version.isdecimal()}


def _add(folder: Path, shipped: Path, model: str, versions: list[int]) -> list[str]:
    """Copy versions of one model, and describe the copies."""
    source, target = LocalBackend(shipped), LocalBackend(folder)
    present = {_seal(target.directory(model, number)): number for number in target.versions(model)}
    numbers = {}
    for version in versions:
        directory = source.directory(model, version)
        copy_of_killed_run = present.pop(_seal(directory), None)
        numbers[version] = copy_of_killed_run or _copy(directory, target, model, version)
    _configure(folder, ModelRegistry(shipped), model, numbers, sorted(present.values()))
    return [f"{model} version {number}" for number in numbers.values()]


def _seal(directory: Path) -> bytes | str:
    """Return what identifies a version's files: its manifest, or its own path without one."""
    try:
        return (directory / MANIFEST_FILE).read_bytes()
    except OSError:
        return str(directory)


def _copy(directory: Path, target: LocalBackend, model: str, version: int) -> int:
    """Copy a version under its own number, or under the next free one if the user has a version of that number.

    The files have the permissions of new files: the shipped ones may be read-only.
    """
    with target.staging(model) as staged:
        for name in manifest.files(directory):
            (staged / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(directory / name, staged / name)
        if version in target.versions(model):
            return target.add(model, staged, seal=lambda number: None)
        sync_tree(staged)
        rename_synced(staged, staged.with_name(str(version)))
    return version


def _configure(folder: Path, shipped: ModelRegistry, model: str, numbers: dict[int, int], own: list[int]) -> None:
    """Label the copies as shipped if the model is new. Otherwise keep the live version live."""
    config = ConfigFile(LocalBackend(folder), str(folder / CONFIG_FILE), settle=0)
    known = model in config.read()
    if known and own:
        config.edit_labels(model, lambda labels: {STABLE: own[-1], **labels})
    elif not known and not own:
        labels = shipped.labels(model) or {STABLE: max(numbers)}
        config.edit_labels(model, lambda _: {label: numbers[at] for label, at in labels.items() if at in numbers})
        with contextlib.suppress(RoutingError):  # no gateway uses an invalid file
            if route := shipped.routing().get(model):
                ModelRegistry(folder).change_route(model, lambda _: route)


def main(
    folder: Annotated[Path, typer.Argument(help="Folder that a model server reads.")],
    shipped: Annotated[bool, typer.Option("--shipped", help="First copy the shipped models that it lacks.")] = False,
) -> None:
    """Wait until a folder has models."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(1))  # process 1 of a container ignores them otherwise
    if shipped:
        try:
            seed(folder, shipped_models())
        except (OSError, ConfigError, RegistryError) as error:
            raise SystemExit(f"The shipped models cannot be copied to {folder}: {error}") from None
    config = folder / CONFIG_FILE
    if not config.exists():
        log.info("waiting for %s: publish a version, or restore a backup", config)
    while not config.exists():
        time.sleep(0.5)
    log.info("%s has models", folder)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname).1s %(name)s] %(message)s")
    typer.run(main)
