"""Find and read the rows to score: the pictures of a folder, or the rows of a Parquet file."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from serving.artifacts.model_card import ModelCard
from serving.inputs import picture_folder


class InputError(ValueError):
    """The input has nothing that the model can score. The message says what is expected."""


@dataclass(frozen=True)
class Source:
    """The rows of one run.

    Attributes:
        path: A folder or a Parquet file.
        columns: Columns of the file that the model reads, in the model's order. Empty for a folder.
        names: Pictures of a folder, relative to it, sorted. Empty for a file.
        rows: Number of rows.
        left_out: Number of pictures that are skipped, because they are hidden, thumbnails or trash.
    """

    path: Path
    columns: tuple[str, ...]
    names: tuple[str, ...]
    rows: int
    left_out: int = 0

    def batches(self, start: int, stop: int, size: int) -> Iterator[tuple[list[Any], list[Any]]]:
        r"""Yield ids and raw inputs of the rows from ``start`` to before ``stop``, in lists of at most ``size``.

        An id is a file's name or a row's number. Bytes of a name that are not UTF-8 appear as ``\xf6``. A raw input
        is bytes, a list, or a dict of values by column.
        """
        if self.names:
            for first in range(start, stop, size):
                names = self.names[first : min(first + size, stop)]
                yield [text(name) for name in names], [_read_file(self.path / name) for name in names]
            return
        file = pq.ParquetFile(self.path)
        groups, position = _groups(file.metadata, start, stop)
        for batch in file.iter_batches(batch_size=size, row_groups=groups, columns=list(self.columns)):
            first, last = max(start - position, 0), min(stop - position, len(batch))
            if first < last:
                yield (
                    list(range(position + first, position + last)),
                    values(batch.slice(first, last - first), self.columns),
                )
            position += len(batch)


def find(path: Path, card: ModelCard, column: str | None = None) -> Source:
    """Find the rows of a path.

    Args:
        path: A folder of pictures, searched recursively, or a Parquet file.
        card: The model's card, which decides the columns. ``image`` reads one column of encoded pictures, ``series``
            and ``signal`` one column of lists of numbers, ``table`` one column for each of the card's.
        column: Column to read, if several fit.

    Raises:
        InputError: The path does not exist or cannot be read, or it holds no picture or no suitable column.
    """
    if path.is_dir():
        if card.kind != "image":
            raise InputError(f"a folder holds pictures, but {card.model} is not an image model; give a Parquet file")
        try:
            found = picture_folder.find(path)
        except OSError as error:
            raise InputError(f"the folder cannot be read: {error}") from None
        if not found.names:
            hidden = f", but {found.left_out} hidden, thumbnails or in trash" if found.left_out else ""
            raise InputError(f"{path} has no picture ({', '.join(sorted(picture_folder.SUFFIXES))}){hidden}")
        return Source(path, (), found.names, len(found.names), found.left_out)
    try:
        file = pq.ParquetFile(path)
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path} is neither a folder nor a Parquet file: {error}") from None
    return Source(path, _columns(file.schema_arrow, card, column), (), file.metadata.num_rows)


def text(name: str) -> str:
    """Return a file's name as text that every format can hold."""
    return os.fsencode(name).decode(errors="backslashreplace")


def values(batch: pa.RecordBatch, columns: tuple[str, ...]) -> list[Any]:
    """Return the raw inputs of a batch's rows."""
    if len(columns) == 1:
        raw: list[Any] = batch.column(columns[0]).to_pylist()
        return raw
    return list(batch.select(list(columns)).to_pylist())


def _groups(metadata: pq.FileMetaData, start: int, stop: int) -> tuple[list[int], int]:
    """Find the row groups that hold these rows, and the first row of the first group."""
    groups: list[int] = []
    first = begin = 0
    for group in range(metadata.num_row_groups):
        end = begin + metadata.row_group(group).num_rows
        if end > start and begin < stop:
            first = first if groups else begin
            groups.append(group)
        begin = end
    return groups, first


def _columns(schema: pa.Schema, card: ModelCard, column: str | None) -> tuple[str, ...]:
    if card.table:
        names = tuple(one.name for one in card.table.columns)
        missing = [name for name in names if name not in schema.names]
        if missing:
            raise InputError(f"the file has no column {missing[0]}; {card.model} reads {', '.join(names)}")
        return names
    fits = _is_bytes if card.kind == "image" else _is_list
    what = "encoded pictures (binary)" if card.kind == "image" else "lists of numbers"
    found = [name for name in schema.names if fits(schema.field(name).type)]
    if column is not None:
        if column not in found:
            raise InputError(f"{column} is not a column of {what}; such columns: {', '.join(found) or 'none'}")
        return (column,)
    if len(found) != 1:
        raise InputError(f"one column of {what} is expected; found: {', '.join(found) or 'none'}. Choose with --column")
    return (found[0],)


def _is_bytes(kind: pa.DataType) -> bool:
    # Data sets of Hugging Face hold a picture as a struct with its bytes.
    if pa.types.is_struct(kind):
        return bool(kind.get_field_index("bytes") >= 0)
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _is_list(kind: pa.DataType) -> bool:
    """Whether a column holds lists of numbers. Lists of strings do not count, although NumPy would parse "0.31"."""
    if not (pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)):
        return False
    inner = kind.value_type
    number = pa.types.is_integer(inner) or pa.types.is_floating(inner) or pa.types.is_decimal(inner)
    return bool(number or pa.types.is_null(inner) or _is_list(inner))


def _read_file(path: Path) -> bytes | None:
    """Read a regular file, or return None. FIFOs and devices might never end."""
    try:
        return path.read_bytes() if path.is_file() else None
    except OSError:
        return None
