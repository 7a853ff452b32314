"""Find the aspired versions: those under the base paths that each model's version policy selects.

Source: tensorflow_serving/sources/storage_path/file_system_storage_path_source.cc.
"""

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

from serving.artifacts import version_files
from serving.artifacts.models_config import ModelConfig, aspired_versions

logger = logging.getLogger(__name__)

#: Pairs of a path prefix in the configuration and the directory that replaces it.
Mounts = Sequence[tuple[Path, Path]]
Aspired = dict[int, Path]


def mounted(path: Path, mounts: Mounts) -> Path:
    """Return the path after the mounts."""
    for point, directory in mounts:
        if path.is_relative_to(point):
            return directory / path.relative_to(point)
    return path


class FileSystemSource:
    """Searches the base paths. Logs each problem once, not at every poll."""

    def __init__(self, mounts: Mounts = ()) -> None:
        self._mounts = mounts
        self._logged: dict[str, str] = {}

    def poll(self, models: Iterable[ModelConfig]) -> dict[str, Aspired]:
        """Return the aspired versions and their directories by model.

        A model whose base path cannot be read is omitted, so that a network share's outage unloads nothing.
        """
        aspired: dict[str, Aspired] = {}
        for model in models:
            base = mounted(Path(model.base_path), self._mounts)
            try:
                found = version_files.directories(base)
            except OSError as error:
                self._log(
                    model.name,
                    "FileSystemStoragePathSource encountered a filesystem access error: Could not find base path "
                    f"{base} for servable {model.name} with error {error.strerror}",
                )
                continue
            versions = aspired_versions(model, found)
            self._log(model.name, _problem(model, base, versions))
            aspired[model.name] = {version: found[version] for version in versions}
        return aspired

    def _log(self, model: str, problem: str) -> None:
        if problem and self._logged.get(model) != problem:
            logger.warning(problem)
        self._logged[model] = problem


def _problem(model: ModelConfig, base: Path, versions: Sequence[int]) -> str:
    missing = sorted(set(model.specific) - set(versions))
    if missing:
        return (
            f"Version {missing[0]} of servable {model.name}, which was requested to be served as a 'specific' version "
            "in the servable's version policy, was not found in the file system"
        )
    if not versions:
        return (
            f"No versions of servable {model.name} found under base path {base}. Did you forget to name your leaf "
            "directory as a number (eg. '/1/')?"
        )
    return ""
