"""Model registry in an object store, s3:// or gs://, through fsspec.

Object stores cannot rename a folder, so a version counts once its ``MANIFEST.sha256`` exists, which is written last. A
publisher first claims a number: it creates ``<model>/.claims/<number>``, which only one publisher can. A killed
publisher leaves a claim and files that do not count, and its number is not used again. ``models.config`` and
``routing.json`` are replaced by conditional writes (If-Match with the ETag in S3, ifGenerationMatch in Google Cloud
Storage): if another writer was faster, the change starts again from the new content.

The store must support conditional writes, like S3, Google Cloud Storage and MinIO. The first claim detects a store that
does not, and refuses it.
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

from serving import extras
from serving.artifacts import manifest, saved_model
from serving.artifacts.atomic_write import sync_tree
from serving.artifacts.manifest import MANIFEST_FILE, SIGNATURE_FILE, ManifestError

_CHUNK = 2**23  # bytes of one read
_CHANGE_TIMEOUT = 30.0  # seconds in which other writers may be faster
_CONFLICTS = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "412", "409"})


class ObjectStoreError(OSError):
    """The object store cannot be reached, refuses a call, or holds damaged data. The message says which."""


class ObjectStoreBackend:
    """A :class:`serving.artifacts.backends.base.RegistryBackend` in an object store.

    s3fs and gcsfs find the credentials.
    """

    def __init__(self, url: str) -> None:
        """Open an address like ``s3://bucket/exports``.

        Raises:
            ObjectStoreError: The address is neither s3:// nor gs://, or its package is not installed.
        """
        self.url = url.rstrip("/")
        try:
            import fsspec

            self._fs, root = fsspec.url_to_fs(self.url, use_listings_cache=False, skip_instance_cache=True)
        except ImportError:
            raise ObjectStoreError(extras.needs(url, "fsspec")) from None
        except ValueError as error:
            raise ObjectStoreError(f"{url} cannot be used: {error}") from None
        self._root: str = root.rstrip("/")
        self._is_google = "gs" in self._protocols()
        if not self._is_google and "s3" not in self._protocols():
            raise ObjectStoreError(f"{url} is not the address of an object store; use s3://… or gs://…")
        self._local: Path | None = None
        self._folders: dict[tuple[str, int], str] = {}  # by model and number, as last listed: 001 is version 1

    def models(self) -> list[str]:
        """List the folders that hold a complete version."""
        return list(self.complete_versions())

    def versions(self, model: str) -> list[int]:
        """List the numbers of a model's complete versions, ascending."""
        return self.complete_versions(model).get(model, [])

    def complete_versions(self, model: str = "") -> dict[str, list[int]]:
        """List the numbers of the complete versions by model, ascending, of one model or all."""
        names: dict[str, dict[int, str]] = {}
        for key in self._keys(model):
            name, _, rest = key.partition("/")
            number, _, file = rest.partition("/")
            if file == MANIFEST_FILE and number.isascii() and number.isdigit() and int(number) < 2**63:
                names.setdefault(name, {})[int(number)] = max(number, names.get(name, {}).get(int(number), ""))
        self._folders |= {(name, at): folder for name, found in names.items() for at, folder in found.items()}
        return {name: sorted(numbers) for name, numbers in names.items()}

    def version_folder(self, model: str, version: int) -> str:
        """Return the name of a version's folder, relative to the exports."""
        return f"{model}/{self._folders.get((model, version), version)}"

    def directory(self, model: str, version: int) -> Path:
        """Download a version to a local copy, which lasts as long as this object."""
        if self._local is None:
            self._local = Path(tempfile.mkdtemp(prefix="vitrine-"))
            weakref.finalize(self, shutil.rmtree, self._local, ignore_errors=True)
        copy = self._local / model / str(version)
        problem = self._copy(model, version, copy)
        if problem:
            raise ObjectStoreError(f"{self.url}/{self.version_folder(model, version)} is damaged: {problem}")
        return copy

    def _copy(self, model: str, version: int, into: Path) -> str | None:
        """Download a version and say why it differs from its manifest, or return None."""
        try:
            self.fetch(model, version, into)
            return manifest.check(into)
        except ManifestError as error:
            return str(error)

    def fetch(self, model: str, version: int, into: Path) -> None:
        """Download a version to a local folder, the manifest first, and resume partial files.

        The caller checks the files against the manifest.

        Raises:
            ManifestError: The version is incomplete.
            ObjectStoreError: The object store cannot be reached.
        """
        folder = self.version_folder(model, version)
        listed = self._manifest(folder)
        for name in (MANIFEST_FILE, *listed, SIGNATURE_FILE):
            path = into / name
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._download(f"{folder}/{name}", path, restart=name not in listed)
            except FileNotFoundError:
                if name != SIGNATURE_FILE:
                    raise ManifestError(f"{name} is missing") from None
        sync_tree(into)

    def problem(self, model: str, version: int) -> str | None:
        """Download a version and say why it cannot be served, or return None."""
        with tempfile.TemporaryDirectory(prefix="vitrine-") as directory:  # never an earlier copy
            copy = Path(directory)
            return self._copy(model, version, copy) or saved_model.problem(copy)

    def read(self, name: str) -> bytes | None:
        """Read a file. None if it does not exist."""
        try:
            return bytes(self._call("cat_file", self._path(name)))
        except FileNotFoundError:
            return None

    @contextlib.contextmanager
    def staging(self, model: str) -> Iterator[Path]:
        """Provide a local temporary directory to build a version in."""
        with tempfile.TemporaryDirectory(prefix=f"vitrine-{model}-") as directory:
            yield Path(directory)

    def add(self, model: str, staged: Path, seal: Callable[[int], None]) -> int:
        """Claim a number and upload the staged directory, the manifest last."""
        number = self._claim(model)
        seal(number)
        folder = f"{model}/{number}"
        files = [name for name in manifest.files(staged) if name != MANIFEST_FILE]
        self._call("put", [str(staged / name) for name in files], [self._path(f"{folder}/{name}") for name in files])
        self.write(f"{folder}/{MANIFEST_FILE}", (staged / MANIFEST_FILE).read_bytes())
        return number

    def withdraw(self, model: str, version: int, staged: Path) -> None:
        """Undo :meth:`add` by deleting the manifest."""
        self._call("rm_file", self._path(f"{model}/{version}/{MANIFEST_FILE}"))

    def write(self, name: str, content: bytes) -> None:
        """Write an object."""
        self._call("pipe_file", self._path(name), content)

    def exclusive(self, model: str) -> contextlib.AbstractContextManager[bool]:
        """Lock nothing: an object store has no locks."""
        return contextlib.nullcontext(True)

    def change(self, name: str, edit: Callable[[bytes | None], bytes]) -> None:
        """Replace an object's content by conditional writes until one succeeds."""
        until = time.monotonic() + _CHANGE_TIMEOUT
        while True:
            state = self._state(name)  # before the content, so that a newer content makes the write fail
            content = None if state is None else self.read(name)
            try:
                self._write_if(name, edit(content), state)
                return
            except FileExistsError:
                if time.monotonic() > until:
                    raise ObjectStoreError(f"{self.url}/{name} is changed by other writers too often; retry") from None
                time.sleep(random.uniform(0, 0.2))  # nosec B311 # jitter

    def _claim(self, model: str) -> int:
        """Claim the next number, which no other publisher can use."""
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
                f"{self.url} cannot be used: the object store overwrites files despite a create-only write"
            )

    def _manifest(self, folder: str) -> Mapping[str, str]:
        content = self.read(f"{folder}/{MANIFEST_FILE}")
        if content is None:
            raise ManifestError(f"{MANIFEST_FILE} is missing")
        return manifest.parse(content)

    def _download(self, name: str, path: Path, *, restart: bool) -> None:
        size = int(self._call("info", self._path(name))["size"])
        if restart or (path.is_file() and path.stat().st_size > size):
            path.unlink(missing_ok=True)
        with path.open("ab") as file:
            while (start := file.seek(0, os.SEEK_END)) < size:
                end = min(start + _CHUNK, size)
                file.write(self._call("cat_file", self._path(name), start=start, end=end))

    def _keys(self, below: str) -> list[str]:
        """List all objects below a folder, relative to the exports."""
        base = self._path(below).rstrip("/") + "/"
        try:
            return [key.removeprefix(f"{self._root}/") for key in self._call("find", base)]
        except FileNotFoundError:
            return []

    def _state(self, name: str) -> str | None:
        """Return the ETag of an object, or its generation in Google Cloud Storage. None if it does not exist."""
        try:
            return str(self._call("info", self._path(name))["generation" if self._is_google else "ETag"])
        except FileNotFoundError:
            return None

    def _write_if(self, name: str, content: bytes, state: str | None) -> None:
        """Write an object if its state is still this one (None: it does not exist), else raise FileExistsError."""
        path = self._path(name)
        if state is None:
            self._call("pipe_file", path, content, mode="create")
        elif self._is_google:  # gcsfs supports the condition "does not exist" alone
            bucket, key, _ = self._fs.split_path(path)
            self._call(
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
            self._call("pipe_file", path, content, IfMatch=state)

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"

    def _protocols(self) -> tuple[str, ...]:
        named = self._fs.protocol
        return (named,) if isinstance(named, str) else tuple(named)

    def _call(self, method: str, *arguments: Any, **options: Any) -> Any:
        """Call the file system. Lets FileNotFoundError pass, and raises FileExistsError for a failed condition."""
        try:
            return getattr(self._fs, method)(*arguments, **options)
        except (FileNotFoundError, FileExistsError):
            raise
        except Exception as error:  # botocore, aiohttp and Google share no base class
            answer = getattr(error.__cause__, "response", None) or {}
            if answer.get("Error", {}).get("Code") in _CONFLICTS:
                raise FileExistsError(str(error)) from None
            raise ObjectStoreError(f"{self.url} cannot be used ({method}): {error}") from error
