"""Scoring on one machine, part by part, so that a killed run goes on.

Each part is a Parquet file of its own below ``<out>.parts/``, written aside and renamed. When all are there they are
put together in order and the whole takes its name in one step; the parts go. Which run the parts belong to stands
beside them: other inputs, another version or another size of part begin anew.
"""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from serving import folder
from serving.manifest import CARD_FILE, sha256
from serving.score.inputs import Source
from serving.score.model import Model

ROWS = 10_000  # of a part
BATCH = 256

Progress = Callable[[int], None]


@dataclass(frozen=True)
class Scored:
    """How many rows there are in the output, and how many of them could not be read."""

    rows: int
    errors: int


def score(model: Model, source: Source, out: Path, progress: Progress, *, rows: int = ROWS) -> Scored:
    """Score all rows and write them to ``out`` (Parquet), in their order.

    Args:
        progress: told after each batch how many rows are done, those of an earlier run included.
        rows: of a part.

    Raises:
        ServingError: the version cannot be loaded. OSError: the disk is full or fails.
    """
    parts = out.with_name(f"{out.name}.parts")
    _begin(parts, _identity(model, source, rows))
    paths: list[Path] = []
    for start in range(0, source.rows, rows):
        stop = min(start + rows, source.rows)
        path = parts / f"{start:012}.parquet"
        if not path.is_file():
            tables = []
            done = start
            for ids, raw in source.batches(start, stop, BATCH):
                tables.append(model.score(ids, raw))
                done += len(ids)
                progress(done)
            publish(pa.concat_tables(tables), path)
        progress(stop)
        paths.append(path)
    scored = _together(paths, out)
    shutil.rmtree(parts)
    return scored


def publish(table: pa.Table, path: Path) -> None:
    """Write a Parquet file in one step."""
    draft = path.with_name(f".{path.name}.new")
    try:
        pq.write_table(table, draft)
        folder.sync(draft)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    folder.sync(path.parent)


def _together(paths: list[Path], out: Path) -> Scored:
    draft = out.with_name(f".{out.name}.new")
    rows = errors = 0
    try:
        with pq.ParquetWriter(draft, pq.read_schema(paths[0])) as writer:
            for path in paths:
                table = pq.read_table(path)
                rows += len(table)
                errors += len(table) - table["error"].null_count
                writer.write_table(table)
        folder.sync(draft)
        draft.replace(out)
    finally:
        draft.unlink(missing_ok=True)
    folder.sync(out.parent)
    return Scored(rows, errors)


def _identity(model: Model, source: Source, rows: int) -> dict[str, object]:
    described = source.path.stat()
    return {
        "version": str(model.directory.resolve()),
        "card": sha256(model.directory / CARD_FILE),
        "input": str(source.path.resolve()),
        "changed": None if source.names else [described.st_size, described.st_mtime_ns],
        "names": list(source.names),
        "columns": list(source.columns),
        "rows": rows,
    }


def _begin(parts: Path, identity: dict[str, object]) -> None:
    """An empty folder for the parts, or that of the same run."""
    path = parts / "run.json"
    text = json.dumps(identity)
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        shutil.rmtree(parts, ignore_errors=True)
        parts.mkdir(parents=True)
        folder.replace(path, text.encode())
