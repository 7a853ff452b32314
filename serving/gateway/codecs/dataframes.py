"""Rows of named columns: CSV, and pandas' JSON forms ``dataframe_split`` and ``dataframe_records``.

Source: MLflow's documentation of ``/invocations``.
"""

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.gateway.codecs import tf_serving_json
from serving.gateway.errors import BadDocument, BadTensor, TooLarge, difference, listed, shown
from serving.gateway.http.memory_budget import Reservation
from serving.gateway.models.signature import Signature, TensorSpec

Arrays = dict[str, NDArray[Any]]

SPLIT, RECORDS = "dataframe_split", "dataframe_records"
_CELL_BYTES = 100  # of a cell as a Python object
_MAX_CELLS = 500_000  # of CSV: Python holds the global lock while it reads a line
_CHECK_ROWS = 1000


@dataclass(slots=True)
class DataFrame:
    """Rows of equal length. Without names, ``columns`` is empty."""

    columns: list[str]
    rows: Sequence[Sequence[Any]] | NDArray[Any]

    def values(self, order: Sequence[int]) -> Any:
        """Return the rows with the columns of these numbers only."""
        if isinstance(self.rows, np.ndarray):
            return self.rows[:, order]
        return [[row[number] for number in order] for row in self.rows]

    def column(self, number: int) -> Any:
        """Return one column."""
        return self.rows[:, number] if isinstance(self.rows, np.ndarray) else [row[number] for row in self.rows]


def split(value: Any) -> DataFrame:
    """Read ``{"columns": […], "data": […]}``; ``index`` is ignored.

    Raises:
        BadDocument: it has another structure.
    """
    if not isinstance(value, dict) or "data" not in value or value.keys() - {"columns", "index", "data"}:
        raise BadDocument(f'{SPLIT} must be {{"columns": […], "data": [[…], …]}}')
    columns = value.get("columns") or []
    if not isinstance(columns, list) or not all(isinstance(name, str) for name in columns):
        raise BadDocument(f"columns of {SPLIT} must be a list of strings")
    data = value["data"]
    is_table = isinstance(data, np.ndarray) and data.ndim > 1
    if not is_table and not (isinstance(data, list) and all(isinstance(row, (list, np.ndarray)) for row in data)):
        raise BadDocument(f"data of {SPLIT} must be a list of rows, each a list of values")
    return _checked(columns, data)


def records(value: Any) -> DataFrame:
    """Read ``[{"column": value, …}, …]``.

    Raises:
        BadDocument: it has another structure, or a row has other columns than the first.
    """
    if not isinstance(value, list) or not value or not all(isinstance(row, dict) for row in value):
        raise BadDocument(f'{RECORDS} must be a list of objects by column: [{{"column": value, …}}, …]')
    columns = list(value[0])
    for number, row in enumerate(value):
        if row.keys() != value[0].keys():
            raise BadDocument(f"row {number} of {RECORDS} has other columns ({difference(columns, row)})")
    return _checked(columns, [[row[name] for name in columns] for row in value])


def from_csv(body: bytes, memory: Reservation) -> DataFrame:
    """Read CSV. The first line names the columns if one of its values is no number.

    Raises:
        BadDocument: not UTF-8, no CSV, no rows, or a row of another length than the first.
        TooLarge: too many values.
    """
    cells = body.count(b",") + body.count(b"\n") + 1
    if cells > _MAX_CELLS:
        raise TooLarge(f"the CSV has about {cells} values; at most {_MAX_CELLS} are accepted. Send an npy array.")
    memory.hold(_CELL_BYTES * cells)
    try:
        lines = [line for line in csv.reader(io.StringIO(body.decode("utf-8-sig")), strict=True) if line]
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadDocument(f"the body is not valid CSV: {error}") from None
    columns = lines.pop(0) if lines and any(isinstance(_cell(text), str) for text in lines[0]) else []
    rows = []
    for number, line in enumerate(lines):
        if not number % _CHECK_ROWS:
            memory.check()
        rows.append([_cell(text) for text in line])
    if columns and not rows:
        word = next(text for text in columns if isinstance(_cell(text), str))
        raise BadDocument(
            f"the CSV has no rows: {shown(word)!r} is no number, so the first line names the columns. Add rows."
        )
    return _checked([name.strip() for name in columns], rows)


def arrays(frame: DataFrame, signature: Signature, columns: Sequence[str]) -> Arrays:
    """Return a signature's inputs by name.

    Columns with the names of inputs are these inputs. Otherwise each row is one of the only input; a row of numbers
    may be the flattened form of a fixed shape.

    Args:
        frame: the rows.
        signature: the signature.
        columns: names of the input's columns in their order, if the model card has them.

    Raises:
        BadTensor: the columns or values do not fit.
    """
    if set(frame.columns) & signature.inputs.keys():
        if set(frame.columns) != signature.inputs.keys():
            wrong = difference(list(signature.inputs), frame.columns)
            raise BadTensor(f"the columns do not fit signature {signature.name} ({wrong})")
        inputs = ((spec, frame.column(frame.columns.index(name))) for name, spec in signature.inputs.items())
        return {spec.name: _column(spec, values) for spec, values in inputs}
    if len(signature.inputs) != 1:
        expected = listed(signature.inputs)
        raise BadTensor(f"signature {signature.name} takes columns {expected}; sent: {listed(frame.columns)}")
    (spec,) = signature.inputs.values()
    rows: Any = frame.rows
    if columns and frame.columns:
        if set(columns) != set(frame.columns):
            raise BadTensor(f"a row has the columns {listed(columns)} ({difference(columns, frame.columns)})")
        rows = frame.values([frame.columns.index(name) for name in columns])
    if spec.shape is not None and len(spec.shape) == 1 and len(rows[0]) == 1:
        rows = frame.column(0)
    return {spec.name: _shaped(spec, tf_serving_json.tensor(spec, rows))}


def _checked(columns: list[str], rows: Any) -> DataFrame:
    if not len(rows):
        raise BadDocument("the data frame has no rows; at least one is expected")
    if len(set(columns)) < len(columns):
        raise BadDocument(f"the columns have equal names: {listed(columns)}")
    width = len(columns) or len(rows[0])
    checked = rows[:1] if isinstance(rows, np.ndarray) else rows
    wrong = next((number for number, row in enumerate(checked) if len(row) != width), None)
    if wrong is not None:
        raise BadDocument(f"row {wrong} has {len(rows[wrong])} values; {width} are expected, one for each column")
    return DataFrame(columns, rows)


def _cell(text: str) -> Any:
    for kind in (int, float):
        try:
            value = kind(text)
        except ValueError:
            continue
        return value if math.isfinite(value) else text
    return text


def _column(spec: TensorSpec, values: Any) -> NDArray[Any]:
    array = tf_serving_json.tensor(spec, values)
    return array[:, None] if array.ndim == 1 and spec.shape == (None, 1) else array


def _shaped(spec: TensorSpec, array: NDArray[Any]) -> NDArray[Any]:
    """Give a row of numbers the fixed shape of the input."""
    shape = spec.shape[1:] if spec.shape else ()
    sizes = [size for size in shape if size is not None]
    if array.ndim == 2 and len(sizes) == len(shape) > 1 and math.prod(sizes) == array.shape[1]:
        return array.reshape(-1, *sizes)
    return array
