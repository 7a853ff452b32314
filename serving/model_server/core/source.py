"""Which versions should be there: what lies under the base paths, narrowed by each model's version policy.

Source: tensorflow_serving/sources/storage_path/file_system_storage_path_source.cc.
"""

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

from serving.artifacts import version_files
from serving.artifacts.models_config import ModelConfig, aspired_versions

logger = logging.getLogger(__name__)

#: Paths in the configuration below the first are looked up below the second.
Mounts = Sequence[tuple[Path, Path]]
Aspired = dict[int, Path]


def mounted(path: Path, mounts: Mounts) -> Path:
    """Where the path lies really."""
    for point, directory in mounts:
        if path.is_relative_to(point):
            return directory / path.relative_to(point)
    return path


class FileSystemSource:
    """Looks under the base paths and says what it found; tells each oddity once, not at every look."""

    def __init__(self, mounts: Mounts = ()) -> None:
        self._mounts = mounts
        self._told: dict[str, str] = {}

    def poll(self, models: Iterable[ModelConfig]) -> dict[str, Aspired]:
        """Aspired versions and their directories, by model.

        A model whose base path cannot be read is left out: a share that is away for a moment unloads nothing.
        """
        aspired: dict[str, Aspired] = {}
        for model in models:
            base = mounted(Path(model.base_path), self._mounts)
            try:
                found = version_files.directories(base)
            except OSError as error:
                self._tell(
                    model.name,
                    "FileSystemStoragePathSource encountered a filesystem access error: Could not find base path "
                    f"{base} for servable {model.name} with error {error.strerror}",
                )
                continue
            versions = aspired_versions(model, found)
            self._tell(model.name, _oddity(model, base, versions))
            aspired[model.name] = {version: found[version] for version in versions}
        return aspired

    def _tell(self, model: str, oddity: str) -> None:
        if oddity and self._told.get(model) != oddity:
            logger.warning(oddity)
        self._told[model] = oddity


def _oddity(model: ModelConfig, base: Path, versions: Sequence[int]) -> str:
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
