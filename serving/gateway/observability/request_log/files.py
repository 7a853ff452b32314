"""Files of the request log: JSON lines or Parquet, in a folder or an object store.

Entries are collected in memory and become a file at once, so that readers never see a part of one. The names are those
of a partitioned data set: ``date=2026-01-31/20260131T120000Z-HOST-PID-1.jsonl``.
"""

import base64
import io
import itertools
import logging
import os
import socket
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import orjson

from serving.artifacts.atomic_write import write_atomically
from serving.artifacts.backends.object_store import ObjectStoreBackend
from serving.gateway.observability.request_log.entry import Entry
from serving.gateway.observability.request_log.settings import RequestLogSettings

_LEFTOVER_SECONDS = 3600.0  # age at which a killed process' temporary file is removed

log = logging.getLogger("vitrine.request_log")


class FileStore(Protocol):
    """Where files are written."""

    def write(self, name: str, content: bytes) -> None:
        """Write a file atomically.

        Raises:
            OSError: the disk or the object store failed.
        """
        ...


class FolderStore:
    """A local folder of limited size. Its oldest files are removed; several processes may share it."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._max_bytes = max_bytes

    def write(self, name: str, content: bytes) -> None:
        """Write a file, see :class:`FileStore`."""
        self._make_room(len(content))
        path = self._folder / name
        path.parent.mkdir(exist_ok=True)
        write_atomically(path, content)

    def _make_room(self, size: int) -> None:
        known = sorted(self._folder.glob("date=*/[0-9]*"))
        sizes = [_size(path) for path in known]
        total = sum(sizes) + size
        for path, its_size in zip(known, sizes, strict=True):
            if total <= self._max_bytes:
                break
            log.warning("removed %s from the request log, which has its maximum size", path.name)
            path.unlink(missing_ok=True)
            total -= its_size
        for draft in self._folder.glob("date=*/.*.new"):
            if _age(draft) > _LEFTOVER_SECONDS:
                draft.unlink(missing_ok=True)


class LogFiles:
    """Writes entries to files."""

    def __init__(self, settings: RequestLogSettings) -> None:
        """Open the folder or the object store.

        Raises:
            OSError: the folder cannot be created.
        """
        self.batch_bytes, self.batch_seconds = settings.request_log_file_bytes, settings.request_log_file_seconds
        self.rejected = 0
        self._format = settings.request_log_format
        self._sample = settings.request_log_sample
        self._store: FileStore = (
            ObjectStoreBackend(settings.request_log)
            if settings.request_log_scheme
            else FolderStore(Path(settings.request_log), settings.request_log_disk_bytes)
        )
        self._numbers = itertools.count(1)
        self._writer = f"{socket.gethostname()}-{os.getpid()}"

    def write(self, entries: deque[Entry]) -> None:
        """Write all entries as one file."""
        encode: Callable[[Sequence[dict[str, Any]]], bytes] = _parquet if self._format == "parquet" else _json_lines
        moment = entries[0].moment
        name = f"{moment:%Y%m%dT%H%M%SZ}-{self._writer}-{next(self._numbers)}.{self._format}"
        self._store.write(f"date={moment:%Y-%m-%d}/{name}", encode([self._row(entry) for entry in entries]))
        entries.clear()

    def close(self) -> None:
        """Do nothing: no file stays open."""

    def _row(self, entry: Entry) -> dict[str, Any]:
        """Return an entry as named values; bodies are JSON text."""
        time.sleep(0)  # releases the interpreter lock: the event loop runs between two entries
        return {
            "time": entry.moment,
            "event": entry.event,
            "request_id": entry.request_id,
            "model": entry.model,
            "version": entry.version,
            "label": entry.label,
            "verb": entry.verb,
            "path": entry.path,
            "status": entry.status,
            "ms": round(entry.seconds * 1000, 3),
            "sample": 1.0 if entry.event == "feedback" else self._sample,
            "request_type": entry.body_type,
            "request": _as_json(entry.body, entry.body_type, entry.body_is_json),
            "answer_type": entry.answer_type,
            "answer": _as_json(entry.answer, entry.answer_type, entry.answer_is_json),
        }


def _as_json(content: bytes | None, content_type: str, is_json: bool) -> bytes:
    if not content:
        return b"null"
    if is_json:
        return content
    return orjson.dumps({"base64": base64.b64encode(content).decode("ascii"), "content_type": content_type})


def _json_lines(rows: Sequence[dict[str, Any]]) -> bytes:
    bodies = ("request", "answer")
    lines = (orjson.dumps(row | {name: orjson.Fragment(row[name]) for name in bodies}) for row in rows)
    return b"\n".join([*lines, b""])


def _parquet(rows: Sequence[dict[str, Any]]) -> bytes:
    import pyarrow as pa  # of an extra
    import pyarrow.parquet as pq

    text = pa.string()
    schema = pa.schema(
        {
            "time": pa.timestamp("us", tz="UTC"),
            **dict.fromkeys(("event", "request_id", "model"), text),
            "version": pa.int64(),
            **dict.fromkeys(("label", "verb", "path"), text),
            "status": pa.int32(),
            "ms": pa.float64(),
            "sample": pa.float64(),
            **dict.fromkeys(("request_type", "request", "answer_type", "answer"), text),
        }
    )
    columns = [pa.array([_cell(row[name]) for row in rows], schema.field(name).type) for name in schema.names]
    stream = io.BytesIO()
    pq.write_table(pa.table(columns, schema=schema), stream, compression="zstd")
    return stream.getvalue()


def _cell(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # another process has removed it
        return 0


def _age(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return 0.0
