"""Score in parts, so that a killed run resumes.

Each part is a Parquet file below ``<out>.parts/``, written atomically. When all parts exist, they are joined in order,
as Parquet or CSV, written atomically too, and removed. ``run.json`` describes the run: other inputs, another version or
another part size start from the beginning. An engine scores the missing parts: :func:`here` in this process,
:func:`serving.scoring.on_ray.engine` on Ray. A run may resume with another engine; the output is the same.
"""

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from serving.artifacts.atomic_write import rename_synced, write_atomically
from serving.artifacts.manifest import CARD_FILE, sha256
from serving.scoring.inputs import Source
from serving.scoring.model import ScoringModel

ROWS = 10_000  # rows of a part
BATCH = 256
_FORMAT = 2  # format of the parts; parts of an earlier format are discarded

Progress = Callable[[int], None]


@dataclass(frozen=True)
class ScorePart:
    """The rows from ``start`` to before ``stop``, and the file of their results."""

    start: int
    stop: int
    path: Path

    def score(self, model: ScoringModel, source: Source) -> Iterator[int]:
        """Score the rows and write the file. Yields the number of rows after each batch."""
        tables = []
        for ids, raw in source.batches(self.start, self.stop, BATCH):
            tables.append(model.score(ids, raw))
            yield len(ids)
        write_part(pa.concat_tables(tables), self.path)


class EngineError(RuntimeError):
    """The engine cannot be reached, or its workers failed. The message says why."""


#: Writes the files of the parts in any order. Yields the number of further rows that are done.
Engine = Callable[[ScoringModel, Source, Sequence[ScorePart]], Iterator[int]]


@dataclass(frozen=True)
class Scored:
    """Number of rows in the output, and how many of them have an error."""

    rows: int
    errors: int


def here(model: ScoringModel, source: Source, missing: Sequence[ScorePart]) -> Iterator[int]:
    """Score in this process."""
    for part in missing:
        yield from part.score(model, source)


def score(
    model: ScoringModel, source: Source, out: Path, progress: Progress, *, engine: Engine = here, rows: int = ROWS
) -> Scored:
    """Score all rows and write the results to ``out`` in order, as CSV or Parquet by its name.

    Args:
        model: The model version.
        source: The rows.
        out: The output file.
        progress: Called with the number of finished rows, those of an earlier run included.
        engine: Scores the missing parts.
        rows: Rows of a part.

    Raises:
        ServingError: The version cannot be loaded.
        OSError: The disk is full or fails.
        EngineError: The engine cannot be reached, or its workers failed.
    """
    # Absolute, because workers may have another current directory.
    model, source = replace(model, directory=model.directory.absolute()), replace(source, path=source.path.absolute())
    parts_folder = out.absolute().with_name(f"{out.name}.parts")
    _begin(parts_folder, _identity(model, source, rows))
    parts = [
        ScorePart(start, min(start + rows, source.rows), parts_folder / f"{start:012}.parquet")
        for start in range(0, source.rows, rows)
    ]
    missing = [part for part in parts if not part.path.is_file()]
    done = source.rows - sum(part.stop - part.start for part in missing)
    progress(done)
    for more in engine(model, source, missing):
        done += more
        progress(done)
    scored = _join([part.path for part in parts], out)
    shutil.rmtree(parts_folder)
    return scored


def write_part(table: pa.Table, path: Path) -> None:
    """Write a Parquet file atomically. Another worker may write the same file at the same moment."""
    content = pa.BufferOutputStream()
    pq.write_table(table, content)
    write_atomically(path, content.getvalue().to_pybytes())


def _join(paths: list[Path], out: Path) -> Scored:
    draft = out.with_name(f".{out.name}.new")
    rows = errors = 0
    try:
        with _writer(draft, pq.read_schema(paths[0]), _is_csv(out)) as write:
            for path in paths:
                table = pq.read_table(path)
                rows += len(table)
                errors += len(table) - table["error"].null_count
                write(table)
        rename_synced(draft, out)
    finally:
        draft.unlink(missing_ok=True)
    return Scored(rows, errors)


def _is_csv(out: Path) -> bool:
    """Whether the output is CSV by its name."""
    return out.suffix.lower() == ".csv"


@contextmanager
def _writer(draft: Path, schema: pa.Schema, as_csv: bool) -> Iterator[Callable[[pa.Table], None]]:
    if not as_csv:
        with pq.ParquetWriter(draft, schema) as parquet:
            yield parquet.write_table
        return
    with pa.csv.CSVWriter(draft, flat(schema.empty_table()).schema) as csv:
        yield lambda table: csv.write_table(flat(table))


def flat(table: pa.Table) -> pa.Table:
    """Flatten a table for CSV: one column for each label's probability, lists as JSON."""
    table = table.flatten()
    for position, field in enumerate(table.schema):
        if pa.types.is_list(field.type):
            cells = [None if row is None else json.dumps(row) for row in table.column(position).to_pylist()]
            table = table.set_column(position, field.name, pa.array(cells, pa.string()))
    return table


def _identity(model: ScoringModel, source: Source, rows: int) -> dict[str, object]:
    described = source.path.stat()
    return {
        "format": _FORMAT,
        "version": str(model.directory.resolve()),
        "card": sha256(model.directory / CARD_FILE),
        "input": str(source.path.resolve()),
        "changed": None if source.names else [described.st_size, described.st_mtime_ns],
        "names": list(source.names),
        "columns": list(source.columns),
        "rows": rows,
    }


def _begin(parts: Path, identity: dict[str, object]) -> None:
    """Prepare the folder of the parts: keep it for the same run, else empty it."""
    path = parts / "run.json"
    text = json.dumps(identity)
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        shutil.rmtree(parts, ignore_errors=True)
        parts.mkdir(parents=True)
        write_atomically(path, text)
