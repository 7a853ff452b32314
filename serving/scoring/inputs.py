"""What is scored: the pictures of a folder, or the rows of a Parquet file."""

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
    """There is nothing that the model could score; the message says what is expected."""


@dataclass(frozen=True)
class Source:
    """Rows by position. ``columns`` are those that the model reads, of a folder its files' bytes.

    Attributes:
        path: a folder or a Parquet file.
        columns: names in the file, in the model's order.
        names: of a folder its pictures, relative to it, sorted.
        rows: how many there are.
        left_out: how many pictures of a folder are hidden, thumbnails or trash, and no rows.
    """

    path: Path
    columns: tuple[str, ...]
    names: tuple[str, ...]
    rows: int
    left_out: int = 0

    def batches(self, start: int, stop: int, size: int) -> Iterator[tuple[list[Any], list[Any]]]:
        """Ids and raw inputs of the rows from ``start`` to before ``stop``, in lists of at most ``size``.

        An id is a file's name or a row's number; bytes of a name that are no UTF-8 appear as ``\\xf6``. A raw input
        is bytes, a list, or a dict of values by column.
        """
        if self.names:
            for at in range(start, stop, size):
                names = self.names[at : min(at + size, stop)]
                yield [text(name) for name in names], [_content(self.path / name) for name in names]
            return
        file = pq.ParquetFile(self.path)
        groups, seen = _groups(file.metadata, start, stop)
        for batch in file.iter_batches(batch_size=size, row_groups=groups, columns=list(self.columns)):
            first, last = max(start - seen, 0), min(stop - seen, len(batch))
            if first < last:
                yield list(range(seen + first, seen + last)), values(batch.slice(first, last - first), self.columns)
            seen += len(batch)


def find(path: Path, card: ModelCard, column: str | None = None) -> Source:
    """The rows below a path.

    Args:
        path: a folder of pictures (and of folders of them), or a Parquet file.
        card: of the model: what a row must be. ``image``: a column of encoded pictures; ``series`` and ``signal``: of
            lists of numbers; ``table``: one column for each of the card's.
        column: the column to read, where it is not the only one of its kind.

    Raises:
        InputError: no such path, no picture in it, a folder that cannot be read, or no such column.
    """
    if path.is_dir():
        if card.kind != "image":
            raise InputError(f"{card.model} is no image model, and a folder holds pictures; a Parquet file is expected")
        try:
            found = picture_folder.find(path)
        except OSError as error:
            raise InputError(f"the folder cannot be read: {error}") from None
        if not found.names:
            hidden = f", but {found.left_out} hidden, thumbnails or in trash" if found.left_out else ""
            raise InputError(f"there is no picture in {path}: no {', '.join(sorted(picture_folder.SUFFIXES))}{hidden}")
        return Source(path, (), found.names, len(found.names), found.left_out)
    try:
        file = pq.ParquetFile(path)
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path} is neither a folder nor a Parquet file: {error}") from None
    return Source(path, _columns(file.schema_arrow, card, column), (), file.metadata.num_rows)


def text(name: str) -> str:
    """A file's name as text that every format can hold."""
    return os.fsencode(name).decode(errors="backslashreplace")


def values(batch: pa.RecordBatch, columns: tuple[str, ...]) -> list[Any]:
    """The raw inputs in a batch's rows."""
    if len(columns) == 1:
        raw: list[Any] = batch.column(columns[0]).to_pylist()
        return raw
    return list(batch.select(list(columns)).to_pylist())


def _groups(metadata: pq.FileMetaData, start: int, stop: int) -> tuple[list[int], int]:
    """The row groups that hold these rows, and the first row of the first of them."""
    groups: list[int] = []
    first = at = 0
    for group in range(metadata.num_row_groups):
        end = at + metadata.row_group(group).num_rows
        if end > start and at < stop:
            first = first if groups else at
            groups.append(group)
        at = end
    return groups, first


def _columns(schema: pa.Schema, card: ModelCard, column: str | None) -> tuple[str, ...]:
    if card.table:
        names = tuple(one.name for one in card.table.columns)
        missing = [name for name in names if name not in schema.names]
        if missing:
            raise InputError(f"{card.model} reads the columns {', '.join(names)}; {missing[0]} is not in the file")
        return names
    fits = _is_bytes if card.kind == "image" else _is_list
    what = "encoded pictures (binary)" if card.kind == "image" else "lists of numbers"
    found = [name for name in schema.names if fits(schema.field(name).type)]
    if column is not None:
        if column not in found:
            raise InputError(f"{column} is no column of {what}; these are: {', '.join(found) or 'none'}")
        return (column,)
    if len(found) != 1:
        raise InputError(f"a column of {what} is expected; there are: {', '.join(found) or 'none'}; name it: --column")
    return (found[0],)


def _is_bytes(kind: pa.DataType) -> bool:
    # Hugging Face's data sets hold a picture as a struct with its bytes.
    if pa.types.is_struct(kind):
        return bool(kind.get_field_index("bytes") >= 0)
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _is_list(kind: pa.DataType) -> bool:
    """Of numbers: lists of strings are not, although NumPy would read "0.31"."""
    if not (pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)):
        return False
    inner = kind.value_type
    number = pa.types.is_integer(inner) or pa.types.is_floating(inner) or pa.types.is_decimal(inner)
    return bool(number or pa.types.is_null(inner) or _is_list(inner))


def _content(path: Path) -> bytes | None:
    """A FIFO or a device counts as unreadable, for it might never end."""
    try:
        return path.read_bytes() if path.is_file() else None
    except OSError:
        return None
