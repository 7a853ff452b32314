"""Checks of a training command before TensorFlow is imported, so that a mistake costs less than a second."""

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from serving.artifacts.registry import ModelRegistry
from training.core import catalogue, gate
from training.core.errors import JobError, NotComparable
from training.core.job import JobOptions
from training.core.recipe import Recipe
from training.data.pictures import class_folders


def check_options(name: str, options: JobOptions) -> None:
    """Check a job's name and options, as far as possible without its module.

    Raises:
        JobError: the job does not exist or does not take an option, or a value is invalid.
    """
    catalogue.check_job(name)
    catalogue.check_takes(name, options.own())
    Recipe(epochs=1, batch_size=1, learning_rate=1.0).with_params(options.params)
    if check := _OWN_DATA.get(name):
        check(options)


def check_writable(folder: Path, option: str) -> None:
    """Check that a folder exists or can be created, and can be written.

    Raises:
        JobError: a file is in its place, or permissions or a read-only disk forbid it.
    """
    place = next(place for place in (folder.absolute(), *folder.absolute().parents) if os.path.lexists(place))
    if not place.is_dir():
        raise JobError(f"{option} is {folder}, and {place} is not a folder; give another folder")
    if not os.access(place, os.W_OK | os.X_OK):
        raise JobError(f"{option} is {folder}, and {place} cannot be written; give another folder")


def check_registry(registry: ModelRegistry) -> None:
    """Check that the registry can be read and, if it is a folder, written.

    Raises:
        JobError: the folder cannot be written.
        ConfigError: models.config is invalid.
        OSError: the object store cannot be used.
    """
    if "://" not in str(registry.root):
        check_writable(Path(registry.root), "--exports")
    registry.configured()


def check_live(model: str, options: JobOptions, registry: ModelRegistry) -> None:
    """Check that the live version does not rule out these options.

    Raises:
        NotComparable: the gate would refuse any result.
        ModelCardError: the live version's card is missing or invalid.
    """
    live = gate.live_version(registry, model)
    if live:
        refuse(model, gate.of_options(live, quick=options.quick, stand_in=options.stand_in, own_data=options.own_data))


def refuse(model: str, objections: list[str]) -> None:
    """Raise NotComparable if there are objections."""
    if objections:
        raise NotComparable(
            f"{model} would be refused: {'; '.join(objections)}. Publish under another name with --as, or with --force"
        )


def check_sweep(name: str, storage: str) -> None:
    """Check that a job has hyper-parameters to search, and the address of the sweep's storage.

    Raises:
        JobError: it has none, or the address has another scheme.
    """
    if name in catalogue.NOT_SEARCHED:
        raise JobError(f"{name} has no hyper-parameters to search")
    if not storage.startswith(("sqlite:///", "postgresql://")):
        raise JobError(
            f"--storage is {storage}; sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE is expected"
        )


def with_start(name: str, options: JobOptions, registry: ModelRegistry) -> JobOptions:
    """Add the version that a job starts from to its options, if any.

    Raises:
        JobError: the version does not exist.
        RegistryError: the version cannot be read.
    """
    model = catalogue.STARTS_FROM.get(name)
    if model is None:
        return options
    number = registry.live(model) if options.from_version is None else options.from_version
    if number is None:
        raise JobError(
            f"{name} starts from a trained {model}, and {registry.root} has none: "
            f"train it first, with: vitrine train {model}"
        )
    return replace(options, from_version=number, start=registry.directory(model, number))


def _check_csv(options: JobOptions) -> None:
    if options.csv is None:
        raise JobError("--csv is missing: a file with one row for each time, and a column of values")


def _check_class_folders(options: JobOptions) -> None:
    if options.data_dir is None:
        raise JobError("--data-dir is missing: a folder or ZIP file with one folder of pictures for each class")
    class_folders.check(options.data_dir)


def _check_noughts_and_crosses(options: JobOptions) -> None:
    if options.data_dir is not None:
        class_folders.check(options.data_dir, ("O", "X"))


#: Checks of the user's own data, by job.
_OWN_DATA: Mapping[str, Callable[[JobOptions], None]] = {
    "forecaster": _check_csv,
    "image_classifier": _check_class_folders,
    "xo_cnn": _check_noughts_and_crosses,
    "xo_mobilenet": _check_noughts_and_crosses,
}
