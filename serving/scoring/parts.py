"""Scoring part by part, so that a killed run goes on.

Each part is a Parquet file of its own below ``<out>.parts/``, written aside and renamed. When all are there they are
put together in order, as Parquet or CSV, and the whole takes its name in one step; the parts go. Which run the parts
belong to stands beside them: other inputs, another version or another size of part begin anew. An engine scores the
missing parts: :func:`here` this process, :func:`serving.scoring.on_ray.engine` Ray's workers. A run may end on another
engine than it began on; what it writes is the same.
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

ROWS = 10_000  # of a part
BATCH = 256
_FORMAT = 2  # of the parts: those of an earlier one are not gone on with

Progress = Callable[[int], None]


@dataclass(frozen=True)
class ScorePart:
    """The rows from ``start`` to before ``stop``, and the file of their answers."""

    start: int
    stop: int
    path: Path

    def score(self, model: ScoringModel, source: Source) -> Iterator[int]:
        """Write the file; yields how many rows each batch had, as it is done."""
        tables = []
        for ids, raw in source.batches(self.start, self.stop, BATCH):
            tables.append(model.score(ids, raw))
            yield len(ids)
        publish(pa.concat_tables(tables), self.path)


class EngineError(RuntimeError):
    """The engine cannot be reached, or its workers failed for good; the message says why."""


#: Writes the parts' files, in any order; yields how many rows more are done.
Engine = Callable[[ScoringModel, Source, Sequence[ScorePart]], Iterator[int]]


@dataclass(frozen=True)
class Scored:
    """How many rows there are in the output, and how many of them could not be read."""

    rows: int
    errors: int


def here(model: ScoringModel, source: Source, missing: Sequence[ScorePart]) -> Iterator[int]:
    """The engine that is this process."""
    for part in missing:
        yield from part.score(model, source)


def score(
    model: ScoringModel, source: Source, out: Path, progress: Progress, *, engine: Engine = here, rows: int = ROWS
) -> Scored:
    """Score all rows and write them to ``out`` in order, as CSV or Parquet by its name.

    Args:
        progress: told how many rows are done, those of an earlier run included: at the start and as the engine goes on.
        engine: scores the parts that an earlier run has left.
        rows: of a part.

    Raises:
        ServingError: the version cannot be loaded. OSError: the disk is full or fails. EngineError: see there.
    """
    # Absolute: an engine's workers need not stand in the folder that this process stands in.
    model, source = replace(model, directory=model.directory.absolute()), replace(source, path=source.path.absolute())
    folder_of_parts = out.absolute().with_name(f"{out.name}.parts")
    _begin(folder_of_parts, _identity(model, source, rows))
    parts = [
        ScorePart(start, min(start + rows, source.rows), folder_of_parts / f"{start:012}.parquet")
        for start in range(0, source.rows, rows)
    ]
    missing = [part for part in parts if not part.path.is_file()]
    done = source.rows - sum(part.stop - part.start for part in missing)
    progress(done)
    for more in engine(model, source, missing):
        done += more
        progress(done)
    scored = _together([part.path for part in parts], out)
    shutil.rmtree(folder_of_parts)
    return scored


def publish(table: pa.Table, path: Path) -> None:
    """Write a Parquet file in one step, also where another worker writes the same one at the same moment."""
    content = pa.BufferOutputStream()
    pq.write_table(table, content)
    write_atomically(path, content.getvalue().to_pybytes())


def _together(paths: list[Path], out: Path) -> Scored:
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
    """Whether the output's name asks for CSV."""
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
    """A table for CSV: a column for each label's probability, and lists as JSON."""
    table = table.flatten()
    for place, field in enumerate(table.schema):
        if pa.types.is_list(field.type):
            cells = [None if row is None else json.dumps(row) for row in table.column(place).to_pylist()]
            table = table.set_column(place, field.name, pa.array(cells, pa.string()))
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
    """An empty folder for the parts, or that of the same run."""
    path = parts / "run.json"
    text = json.dumps(identity)
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        shutil.rmtree(parts, ignore_errors=True)
        parts.mkdir(parents=True)
        write_atomically(path, text)
