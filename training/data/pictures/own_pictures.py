"""Read the user's own pictures from class folders, with the gateway's preprocessing."""

import hashlib
import re
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from serving.preprocessing.image import ImageRecipe, PictureError, Pixels, decode
from training.core.errors import JobError
from training.data.pictures.class_folders import Part, Skipped, arrange
from training.data.pictures.picture_source import PictureSource, open_source
from training.data.pictures.split import Picture, in_threads, inspect, split, without_duplicates

Say = Callable[[str], None]

_NAMED = 3  # files that a note names for each reason


@dataclass(frozen=True)
class OwnPictures:
    """Inspected pictures, split into three parts.

    Attributes:
        name: name of the folder, or of the ZIP file without its suffix.
        labels: class names.
        source: the files.
        parts: pictures by part.
        usable: number of usable pictures, with those beyond the limit of each part.
        skipped: files that are not used; reading adds damaged ones.
    """

    name: str
    labels: tuple[str, ...]
    source: PictureSource
    parts: dict[Part, list[Picture]]
    usable: int
    skipped: list[Skipped]

    @property
    def typical_side(self) -> int:
        """Median of the longer sides of the training pictures, in pixels."""
        return round(statistics.median(picture.side for picture in self.parts["train"]))

    @property
    def count(self) -> int:
        """Number of pictures in all parts."""
        return sum(map(len, self.parts.values()))

    def digest(self) -> str:
        """Return the SHA-256 over the training files' content and class numbers, in order."""
        total = hashlib.sha256()
        for picture in self.parts["train"]:
            total.update(f"{picture.digest} {picture.label}\n".encode())
        return total.hexdigest()

    def read(self, part: Part, recipe: ImageRecipe, say: Say) -> tuple[Pixels, NDArray[np.int64]]:
        """Decode and prepare a part: pictures uint8 [n, height, width, channels], class numbers int64 [n].

        Memory holds the prepared pictures, and a few decoded ones at a time. Damaged files are skipped.

        Raises:
            JobError: no picture of a class is left.
        """
        pictures = self.parts[part]
        x = np.empty((len(pictures), recipe.height, recipe.width, recipe.channels), np.uint8)

        def prepare(index: int) -> str | None:
            try:
                x[index] = decode(self.source.read(pictures[index].file), recipe)
            except (PictureError, OSError) as error:
                return str(getattr(error, "strerror", None) or error)
            return None

        refused = in_threads(prepare, range(len(pictures)), say, f"preparing {part} pictures")
        good = [index for index, reason in enumerate(refused) if reason is None]
        self.skipped.extend((pictures[i].file, reason) for i, reason in enumerate(refused) if reason is not None)
        for to, index in enumerate(good):
            if to < index:
                x[to] = x[index]
        y = np.array([pictures[index].label for index in good], np.int64)
        lost = [label for number, label in enumerate(self.labels) if number not in y]
        if lost:
            raise JobError(
                f"{self.name}: all pictures of {', '.join(lost)} in {part} are unusable. {note(self.skipped)}"
            )
        return x[: len(good)], y


def find(path: Path, at_most: int, say: Say) -> OwnPictures:
    """Inspect all files of a folder or ZIP file, and split the pictures.

    Args:
        path: see :mod:`training.data.pictures.class_folders`.
        at_most: maximum number of training pictures.
        say: receives the progress.

    Raises:
        JobError: the folder cannot be used, or a class has too few pictures.
    """
    source = open_source(path)
    folders = arrange(source, path)
    inspected, unusable = inspect(source, folders, say)
    unique, copies = without_duplicates(inspected)
    skipped = [*folders.skipped, *unusable, *copies]
    try:
        parts = split(unique, folders.labels, path, at_most)
    except JobError as error:
        raise JobError(f"{error}. {note(skipped)}" if skipped else str(error)) from None
    return OwnPictures(source.name, folders.labels, source, parts, sum(map(len, unique.values())), skipped)


def note(skipped: Iterable[Skipped]) -> str:
    """Summarise skipped files by reason, with the first names; an empty string without any."""
    by_reason: dict[str, list[str]] = defaultdict(list)
    for file, reason in skipped:
        by_reason[_short(reason)].append(PurePosixPath(file).name)
    if not by_reason:
        return ""
    reasons = sorted(by_reason.items(), key=lambda item: (-len(item[1]), item[0]))
    listed = "; ".join(f"{len(files):,} × {reason} ({_first(files)})" for reason, files in reasons)
    return f"Skipped {sum(len(files) for _, files in reasons):,} files: {listed}."


def _first(files: Sequence[str]) -> str:
    return ", ".join(files[:_NAMED]) + (", …" if len(files) > _NAMED else "")


def _short(reason: str) -> str:
    """Return the reason without advice and without sizes, which differ from file to file."""
    return re.sub(r"has \d+×\d+ pixels.*", "has too many pixels", reason).split(";")[0].split(":")[0]
