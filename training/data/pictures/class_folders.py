"""Which file belongs to which class and part, from paths alone.

The folder may hold the class folders themselves, or the folders train, validation and test with the class folders in
them. Folders around these that hold nothing else are ignored, such as the one in a ZIP file from GitHub. Pictures in
folders below a class folder belong to the class.
"""

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from serving.inputs.picture_folder import FOREIGN, SUFFIXES, is_left_out
from training.core.errors import JobError
from training.data.pictures.picture_source import PictureSource, open_source

Part = Literal["train", "validation", "test"]
#: A file's path and the reason why it is not used.
Skipped = tuple[str, str]

PARTS: tuple[Part, ...] = ("train", "validation", "test")
MAX_CLASSES = 500
#: Fewest usable pictures of a class, and fewest in the part ``train`` of a folder that has parts.
MIN_PICTURES, MIN_TRAIN = 10, 5
_PARTS: Mapping[str, Part] = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "test": "test",
    "testing": "test",
}
_HIDDEN = "hidden files, thumbnails and trash"
_NO_PICTURE = "not a picture by its name"
_OUTSIDE = "outside of the class folders"
_ROWS = 5  # class names in a message


@dataclass(frozen=True)
class ClassFolders:
    """Files by part and class.

    Attributes:
        labels: class names, sorted.
        parts: (file, class number) by part; ``train`` alone if the folder has no parts.
        skipped: files that are not used.
    """

    labels: tuple[str, ...]
    parts: Mapping[Part, Sequence[tuple[str, int]]]
    skipped: Sequence[Skipped]


def check(path: Path, expected: Sequence[str] = ()) -> None:
    """Check a folder or ZIP file by the names in it, without reading pictures.

    Args:
        path: the folder or ZIP file.
        expected: the class names, sorted, in any case; empty if any names are accepted.

    Raises:
        JobError: it cannot be used; the message says why.
    """
    found = arrange(open_source(path), path)
    labels = found.labels
    if expected and [label.casefold() for label in labels] != [label.casefold() for label in expected]:
        raise JobError(f"{path} has the class folders {listed(labels)}; {' and '.join(expected)} are expected")
    for part, files in found.parts.items():
        counts = Counter(label for _, label in files)
        fewest, where = least(part, len(found.parts)), f" in {part}" if len(found.parts) > 1 else ""
        few = [f"{label} has {counts[number]}" for number, label in enumerate(labels) if counts[number] < fewest]
        if few:
            raise JobError(f"{path}: at least {fewest} pictures of each class are needed{where}; {listed(few)}")


def arrange(source: PictureSource, path: Path) -> ClassFolders:
    """Assign files to parts and classes.

    Raises:
        JobError: the folder has no class folders, one class or too many, a class without pictures, or two classes of
            the same name.
    """
    pictures, skipped = _pictures(source)
    folders = {PurePosixPath(folder) for folder in source.folders if not _hidden(PurePosixPath(folder))}
    if not pictures:
        raise JobError(f"{path} holds no pictures; {', '.join(sorted(s[1:] for s in SUFFIXES))} are read")
    wrapper = _wrapper(pictures, folders)
    below = {file: file.relative_to(wrapper) for file in pictures}
    inside = [folder.relative_to(wrapper) for folder in folders if folder != wrapper and wrapper in folder.parents]
    parts = _parts(below.values(), path)
    classes: dict[Part, dict[str, list[str]]] = {}
    for top, part in parts.items():
        classes[part] = _classes(below, inside, PurePosixPath(top), path / wrapper / top)
    used = {file for found in classes.values() for files in found.values() for file in files}
    skipped += [(str(file), _OUTSIDE) for file in pictures if str(file) not in used]
    unread = "".join(f"; {name} cannot be read: {reason}" for name, reason in source.skipped[:1])
    labels = _labels(classes, path, unread)
    numbers = {label: number for number, label in enumerate(labels)}
    assigned = {
        part: [(file, numbers[label]) for label in labels for file in found.get(label, ())]
        for part, found in classes.items()
    }
    return ClassFolders(labels, assigned, skipped)


def clean(name: str) -> str:
    """Clean a folder's name to a label: composed Unicode, without control characters and blanks at the ends."""
    text = unicodedata.normalize("NFC", name.encode("utf-8", "replace").decode("utf-8"))
    return " ".join("".join(" " if unicodedata.category(c).startswith("C") else c for c in text).split())


def least(part: Part, parts: int) -> int:
    """Return the fewest usable pictures of a class in a part of a folder with so many parts."""
    if part != "train":
        return 1
    return MIN_PICTURES if parts == 1 else MIN_TRAIN


def listed(names: Collection[str]) -> str:
    """Join names for a message; the first five of many."""
    shown = ", ".join(list(names)[:_ROWS])
    return f"{shown} and {len(names) - _ROWS} more" if len(names) > _ROWS else shown


def _pictures(source: PictureSource) -> tuple[list[PurePosixPath], list[Skipped]]:
    pictures, skipped = [], list(source.skipped)
    for file in source.files:
        path = PurePosixPath(file)
        if _hidden(path):
            skipped.append((file, _HIDDEN))
        elif path.suffix.lower() in SUFFIXES | FOREIGN | {""}:  # a file without a suffix may be a picture
            pictures.append(path)
        else:
            skipped.append((file, _NO_PICTURE))
    return pictures, skipped


def _hidden(path: PurePosixPath) -> bool:
    return any(map(is_left_out, path.parts))


def _wrapper(pictures: Sequence[PurePosixPath], folders: Collection[PurePosixPath]) -> PurePosixPath:
    """Return the folder that holds the class folders: while a folder holds one folder alone, that one's content counts.

    A folder with pictures in it, or without folders, is not entered.
    """
    wrapper = PurePosixPath()
    while True:
        inner = [folder for folder in folders if folder.parent == wrapper]
        if len(inner) != 1 or any(file.parent in (wrapper, inner[0]) for file in pictures):
            return wrapper
        wrapper = inner[0]


def _parts(files: Iterable[PurePosixPath], path: Path) -> dict[str, Part]:
    """Return the parts by their folders; without parts, all of ``.`` is ``train``.

    Parts are the folder train and at least one of validation and test, unless they may be classes.
    """
    deep: set[str] = set()
    shallow: set[str] = set()
    for file in files:
        if len(file.parts) > 1:
            (deep if len(file.parts) > 2 else shallow).add(file.parts[0])
    found = {name: _PARTS[name.lower()] for name in sorted(deep | shallow) if name.lower() in _PARTS}
    if "train" not in found.values() or len(found) < 2 or not (found.keys() & deep or found.keys() == deep | shallow):
        return {".": "train"}
    if len(set(found.values())) < len(found):
        raise JobError(f"{path} has two folders for the same part: {', '.join(found)}; keep one of each")
    if found.keys() - deep:
        direct = listed(sorted(found.keys() - deep))
        raise JobError(f"{path} has pictures directly in {direct}; put them in one folder for each class")
    return found


def _classes(
    below: Mapping[PurePosixPath, PurePosixPath], folders: Iterable[PurePosixPath], start: PurePosixPath, where: Path
) -> dict[str, list[str]]:
    """Return the files of each class in one part.

    Raises:
        JobError: there are no class folders, or one is empty, or two have the same name.
    """
    named = {folder.name: clean(folder.name) for folder in folders if folder.parent == start}
    found: dict[str, list[str]] = {name: [] for name in named}
    for file, short in below.items():
        if start in short.parents and short.parent != start:
            found[short.relative_to(start).parts[0]].append(str(file))
    if not named:
        raise JobError(f"{where} holds pictures directly; put them in one folder for each class")
    same: dict[str, list[str]] = defaultdict(list)
    for name, label in named.items():
        same[label.casefold()].append(name)
    clash = next((names for names in same.values() if len(names) > 1), None)
    if clash:
        raise JobError(
            f"{where}: the class folders {' and '.join(map(repr, sorted(clash)))} have the same name; rename one"
        )
    if "" in same:
        raise JobError(f"{where}: the name of the class folder {same[''][0]!r} has no letters; rename it")
    return {named[name]: files for name, files in found.items()}


def _labels(classes: Mapping[Part, Mapping[str, Sequence[str]]], path: Path, unread: str) -> tuple[str, ...]:
    """Return the sorted class names, and check that every part has pictures of each."""
    labels = sorted(
        {label for found in classes.values() for label in found}, key=lambda label: (label.casefold(), label)
    )
    if len(labels) < 2:
        raise JobError(f"{path} has one class only, {labels[0]}; at least two class folders are needed")
    if len(labels) > MAX_CLASSES:
        raise JobError(f"{path} has {len(labels):,} class folders; at most {MAX_CLASSES} classes are supported")
    for part, found in classes.items():
        empty = [label for label in labels if not found.get(label)]
        if empty:
            where = f"the part {part} holds" if len(classes) > 1 else "the folder holds"
            raise JobError(f"{path}: {where} no pictures of {listed(empty)}; add some, or remove the class{unread}")
    return tuple(labels)
