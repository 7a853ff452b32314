"""exports/ in an object store, s3:// or gs://, by fsspec: the same versions, made whole by other means.

An object store has no rename of a folder, so a version counts once its ``MANIFEST.sha256`` is there, which is written
after all its other files. A publisher first claims its number: it creates ``<model>/.claims/<number>``, which only one
can. A publisher that is killed leaves a claim and files that nobody counts, and its number is not used again.
``models.config`` and ``routing.json`` are replaced only while they are what was read (If-Match with the ETag in S3,
ifGenerationMatch in Google Cloud Storage), else read and changed anew.

The store must know conditional writes: S3 itself, Google Cloud Storage and MinIO do. One that does not is found out at
the first claim and refused.
"""

import contextlib
import os
import random
import shutil
import tempfile
import time
import uuid
import weakref
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import fsspec

from serving.artifacts import manifest, saved_model
from serving.artifacts.atomic_write import sync_tree
from serving.artifacts.manifest import MANIFEST_FILE, SIGNATURE_FILE, ManifestError

_CHUNK = 2**23  # bytes read at once
_PATIENCE = 30.0  # seconds that others may be faster in changing a file
_CHANGED = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "412", "409"})


class ObjectStoreError(OSError):
    """The store cannot be reached, refuses, or holds what cannot be; the message says which."""


class ObjectStoreBackend:
    """See :class:`serving.artifacts.registry.RegistryBackend`; ``url`` as in ``s3://bucket/exports``; s3fs and gcsfs
    find the credentials."""

    def __init__(self, url: str) -> None:
        """Raises BucketError for an address of no known kind, or where its package is not installed."""
        self.url = url.rstrip("/")
        try:
            self._fs, root = fsspec.url_to_fs(self.url, use_listings_cache=False, skip_instance_cache=True)
        except (ImportError, ValueError) as error:
            raise ObjectStoreError(f"{url} cannot be used: {error}") from None
        self._root: str = root.rstrip("/")
        self._is_google = "gs" in self._protocols()
        if not self._is_google and "s3" not in self._protocols():
            raise ObjectStoreError(f"{url} is no object store's address; s3://… and gs://… are")
        self._local: Path | None = None
        self._folders: dict[tuple[str, int], str] = {}  # of versions, as last listed: numbers may have leading zeros

    def models(self) -> list[str]:
        return list(self.whole())

    def versions(self, model: str) -> list[int]:
        return self.whole(model).get(model, [])

    def whole(self, model: str = "") -> dict[str, list[int]]:
        """Numbers of the whole versions, ascending, by model; of all models or of one."""
        names: dict[str, dict[int, str]] = {}
        for key in self._keys(model):
            name, _, rest = key.partition("/")
            number, _, file = rest.partition("/")
            if file == MANIFEST_FILE and number.isascii() and number.isdigit() and int(number) < 2**63:
                names.setdefault(name, {})[int(number)] = max(number, names.get(name, {}).get(int(number), ""))
        self._folders |= {(name, at): folder for name, found in names.items() for at, folder in found.items()}
        return {name: sorted(numbers) for name, numbers in names.items()}

    def home(self, model: str, version: int) -> str:
        return f"{model}/{self._folders.get((model, version), version)}"

    def directory(self, model: str, version: int) -> Path:
        """A local copy, which lasts as long as this object."""
        if self._local is None:
            self._local = Path(tempfile.mkdtemp(prefix="vitrine-"))
            weakref.finalize(self, shutil.rmtree, self._local, ignore_errors=True)
        copy = self._local / model / str(version)
        problem = self._copy(model, version, copy)
        if problem:
            raise ObjectStoreError(f"{self.url}/{self.home(model, version)} is damaged: {problem}")
        return copy

    def _copy(self, model: str, version: int, into: Path) -> str | None:
        """Copy a version; returns why it is not what was published."""
        try:
            self.fetch(model, version, into)
            return manifest.check(into)
        except ManifestError as error:
            return str(error)

    def fetch(self, model: str, version: int, into: Path) -> None:
        """Bring a whole version's files into a local folder, and go on with those that are partly there.

        What came is to be checked against the manifest, which is the first to come.

        Raises:
            ManifestError: the version is not whole.
            ObjectStoreError: the store cannot be reached.
        """
        home = self.home(model, version)
        listed = self._listed(home)
        for name in (MANIFEST_FILE, *listed, SIGNATURE_FILE):
            path = into / name
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._download(f"{home}/{name}", path, anew=name not in listed)
            except FileNotFoundError:
                if name != SIGNATURE_FILE:
                    raise ManifestError(f"{name} is missing") from None
        sync_tree(into)

    def problem(self, model: str, version: int) -> str | None:
        with tempfile.TemporaryDirectory(prefix="vitrine-") as directory:  # not a copy from before
            copy = Path(directory)
            return self._copy(model, version, copy) or saved_model.problem(copy)

    def read(self, name: str) -> bytes | None:
        try:
            return bytes(self._do("cat_file", self._path(name)))
        except FileNotFoundError:
            return None

    @contextlib.contextmanager
    def staging(self, model: str) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(prefix=f"vitrine-{model}-") as directory:
            yield Path(directory)

    def add(self, model: str, staged: Path, seal: Callable[[int], None]) -> int:
        number = self._claim(model)
        seal(number)
        home = f"{model}/{number}"
        files = [name for name in manifest.files(staged) if name != MANIFEST_FILE]
        self._do("put", [str(staged / name) for name in files], [self._path(f"{home}/{name}") for name in files])
        self.write(f"{home}/{MANIFEST_FILE}", (staged / MANIFEST_FILE).read_bytes())
        return number

    def withdraw(self, model: str, version: int, staged: Path) -> None:
        self._do("rm_file", self._path(f"{model}/{version}/{MANIFEST_FILE}"))

    def write(self, name: str, content: bytes) -> None:
        self._do("pipe_file", self._path(name), content)

    def change(self, name: str, edit: Callable[[bytes | None], bytes]) -> None:
        until = time.monotonic() + _PATIENCE
        while True:
            state = self._state(name)  # before it is read: where that is older than what is read, the write fails
            content = None if state is None else self.read(name)
            try:
                self._write_if(name, edit(content), state)
                return
            except FileExistsError:
                if time.monotonic() > until:
                    raise ObjectStoreError(f"{self.url}/{name} is being changed by others again and again") from None
                time.sleep(random.uniform(0, 0.2))

    def _claim(self, model: str) -> int:
        """A number that is this publisher's alone."""
        prefix = f"{model}/.claims/"
        claimed = [int(key.removeprefix(prefix)) for key in self._keys(model) if key.startswith(prefix)]
        number = max([0, *claimed, *self.versions(model)])
        claim = uuid.uuid4().hex.encode()
        while True:
            number += 1
            try:
                self._write_if(f"{prefix}{number}", claim, None)
            except FileExistsError:
                continue  # another publisher was faster
            try:
                self._write_if(f"{prefix}{number}", claim, None)
            except FileExistsError:
                return number
            raise ObjectStoreError(
                f"{self.url} cannot be published to: the store overwrites where it is told to create"
            )

    def _listed(self, home: str) -> Mapping[str, str]:
        content = self.read(f"{home}/{MANIFEST_FILE}")
        if content is None:
            raise ManifestError(f"{MANIFEST_FILE} is missing")
        return manifest.parse(content)

    def _download(self, name: str, path: Path, *, anew: bool) -> None:
        size = int(self._do("info", self._path(name))["size"])
        if anew or (path.is_file() and path.stat().st_size > size):
            path.unlink(missing_ok=True)
        with path.open("ab") as file:
            while (start := file.seek(0, os.SEEK_END)) < size:
                end = min(start + _CHUNK, size)
                file.write(self._do("cat_file", self._path(name), start=start, end=end))

    def _keys(self, below: str) -> list[str]:
        """Names of all objects there, relative to the exports."""
        base = self._path(below).rstrip("/") + "/"
        try:
            return [key.removeprefix(f"{self._root}/") for key in self._do("find", base)]
        except FileNotFoundError:
            return []

    def _state(self, name: str) -> str | None:
        """What stands for the object's present content: its ETag, or its generation in Google's store."""
        try:
            return str(self._do("info", self._path(name))["generation" if self._is_google else "ETag"])
        except FileNotFoundError:
            return None

    def _write_if(self, name: str, content: bytes, state: str | None) -> None:
        """Raises FileExistsError where the object is not in that state (None: not there)."""
        path = self._path(name)
        if state is None:
            self._do("pipe_file", path, content, mode="create")
        elif self._is_google:  # gcsfs' own calls know no other condition than "not there"
            bucket, key, _ = self._fs.split_path(path)
            self._do(
                "call",
                "POST",
                f"{self._fs._location}/upload/storage/v1/b/{{}}/o",
                bucket,
                uploadType="media",
                name=key,
                ifGenerationMatch=state,
                headers={"Content-Type": "application/octet-stream"},
                data=content,
            )
        else:
            self._do("pipe_file", path, content, IfMatch=state)

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"

    def _protocols(self) -> tuple[str, ...]:
        named = self._fs.protocol
        return (named,) if isinstance(named, str) else tuple(named)

    def _do(self, what: str, *arguments: Any, **options: Any) -> Any:
        """A call of the file system. FileNotFoundError and FileExistsError (also: it is not what it was) pass."""
        try:
            return getattr(self._fs, what)(*arguments, **options)
        except (FileNotFoundError, FileExistsError):
            raise
        except Exception as error:  # botocore's, aiohttp's and Google's own classes, which have no common base
            answer = getattr(error.__cause__, "response", None) or {}
            if answer.get("Error", {}).get("Code") in _CHANGED:
                raise FileExistsError(str(error)) from None
            raise ObjectStoreError(f"{self.url} cannot be used ({what}): {error}") from error
