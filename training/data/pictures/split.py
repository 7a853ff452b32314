"""Inspect pictures, remove duplicates, and split them by their content.

The same files give the same parts on every machine, whatever their names are. A file that occurs twice is used once, so
no file is on both sides.
"""

import hashlib
import math
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from serving.preprocessing.image import ImageRecipe, PictureError, header
from training.core.errors import JobError
from training.data.pictures.class_folders import PARTS, ClassFolders, Part, Skipped, least, listed
from training.data.pictures.picture_source import PictureSource

T = TypeVar("T")
R = TypeVar("R")

_SHARE = 0.15  # of a class, for the test part and for the validation part
_LEAST = 2  # pictures of a class in each of them
_THREADS = 4  # files that are read at once, each with up to 32 MB and its decoded picture
_LARGEST = ImageRecipe(height=224, width=224, channels=3, colour="rgb")


@dataclass(frozen=True)
class Picture:
    """One usable file: class number, SHA-256 of its content, and longer side in pixels."""

    file: str
    label: int
    digest: str
    side: int


def inspect(
    source: PictureSource, folders: ClassFolders, say: Callable[[str], None]
) -> tuple[dict[Part, list[Picture]], list[Skipped]]:
    """Read all files once: their headers and hashes. Unusable files are skipped."""
    skipped: list[Skipped] = []
    parts: dict[Part, list[Picture]] = {}
    for part, files in folders.parts.items():
        found = in_threads(lambda entry: _inspect(source, *entry), files, say, f"reading {part} files")
        parts[part] = [picture for picture in found if isinstance(picture, Picture)]
        skipped += [picture for picture in found if not isinstance(picture, Picture)]
    return parts, skipped


def without_duplicates(
    parts: Mapping[Part, Sequence[Picture]],
) -> tuple[dict[Part, list[Picture]], list[Skipped]]:
    """Keep one copy of each picture, and none of a picture that is in several classes.

    A copy in the test part stays there.
    """
    classes: dict[str, set[int]] = defaultdict(set)
    for picture in (picture for found in parts.values() for picture in found):
        classes[picture.digest].add(picture.label)
    seen: set[str] = set()
    unique: dict[Part, list[Picture]] = {part: [] for part in parts}
    skipped = []
    for part in reversed(PARTS):
        for picture in sorted(parts.get(part, ()), key=lambda picture: (picture.digest, picture.file)):
            if len(classes[picture.digest]) > 1:
                skipped.append((picture.file, "the same picture in several classes"))
            elif picture.digest in seen:
                skipped.append((picture.file, "a copy of another picture"))
            else:
                seen.add(picture.digest)
                unique[part].append(picture)
    return unique, skipped


def split(
    parts: Mapping[Part, Sequence[Picture]], labels: Sequence[str], path: Path, at_most: int
) -> dict[Part, list[Picture]]:
    """Return the three parts of pictures without duplicates, in the order of the content's hashes.

    Parts of the folder stay as they are. Each part that it lacks takes 15 % of every class from the training part. The
    training part has at most ``at_most`` pictures, the others a quarter; the largest classes lose pictures first.

    Raises:
        JobError: a class has too few pictures.
    """
    result = {part: sorted(parts.get(part, ()), key=lambda picture: picture.digest) for part in PARTS}
    for part in parts:
        _require(result[part], labels, least(part, len(parts)), path, f" in {part}" if len(parts) > 1 else "")
    counts = Counter(picture.label for picture in result["train"])
    held_out = {label: max(_LEAST, math.ceil(_SHARE * count)) for label, count in counts.items()}
    for part in reversed(PARTS):
        if part not in parts:
            result[part], result["train"] = _first(result["train"], held_out)
    for part, found in result.items():
        _require(found, labels, least(part, len(PARTS)), path, f" in {part}")
        limit = at_most if part == "train" else at_most // 4
        counts = Counter(picture.label for picture in found)
        result[part], _ = _first(found, _even_limit(counts.values(), limit))
    return result


def in_threads(do: Callable[[T], R], items: Sequence[T], say: Callable[[str], None], what: str) -> list[R]:
    """Apply a function to all items in a few threads, in order, and report the progress of many items."""
    results: list[R] = []
    with ThreadPoolExecutor(min(_THREADS, os.cpu_count() or 1)) as pool:
        for start in range(0, len(items), 1000):
            if start:
                say(f"{what}: {start:,} of {len(items):,}")
            results += pool.map(do, items[start : start + 1000])
    return results


def _inspect(source: PictureSource, file: str, label: int) -> Picture | Skipped:
    try:
        data = source.read(file)
        stated = header(data, recipe=_LARGEST)
    except (PictureError, OSError) as error:
        return file, str(getattr(error, "strerror", None) or error)
    return Picture(file, label, hashlib.sha256(data).hexdigest(), max(stated.width, stated.height))


def _first(pictures: Iterable[Picture], per_class: Mapping[int, int] | int) -> tuple[list[Picture], list[Picture]]:
    """Return the first pictures of each class, and the others."""
    taken: list[Picture] = []
    rest: list[Picture] = []
    counts: Counter[int] = Counter()
    for picture in pictures:
        counts[picture.label] += 1
        limit = per_class if isinstance(per_class, int) else per_class[picture.label]
        (taken if counts[picture.label] <= limit else rest).append(picture)
    return taken, rest


def _even_limit(counts: Iterable[int], at_most: int) -> int:
    """Return the most pictures of each class with which all classes together have ``at_most``, but at least five."""
    left, ascending = at_most, sorted(counts)
    for done, count in enumerate(ascending):
        limit = left // (len(ascending) - done)
        if count > limit:
            return max(limit, least("train", len(PARTS)))
        left -= count
    return ascending[-1]


def _require(pictures: Sequence[Picture], labels: Sequence[str], fewest: int, path: Path, where: str) -> None:
    counts = Counter(picture.label for picture in pictures)
    few = [f"{label} has {counts[number]}" for number, label in enumerate(labels) if counts[number] < fewest]
    if few:
        raise JobError(f"{path}: at least {fewest} usable pictures of each class are needed{where}; {listed(few)}")
