"""Turn numbers into rows of a model's input tensor.

The gateway and bulk scoring share these rules for the number of values in a row and their order.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from serving.artifacts.model_card import SeriesRecipe, SignalRecipe, TableRecipe

Array = NDArray[Any]


class RowError(ValueError):
    """The values do not fit the model; the message says what is expected."""


def series_rows(values: Array, recipe: SeriesRecipe) -> Array:
    """Return the newest values of each history, [N, window], from [T] or [N, T].

    Raises:
        RowError: The rank is wrong, or a history is shorter than the window.
    """
    if values.ndim == 1:
        values = values[None]
    if values.ndim != 2:
        raise RowError(f"a history is a list of numbers, or a list of such lists; this one has {values.ndim} axes")
    if values.shape[1] < recipe.window:
        raise RowError(
            f"a history must have at least {recipe.window} values (the model's window), but it has {values.shape[1]}"
        )
    return values[:, -recipe.window :]


def table_rows(values: Array, recipe: TableRecipe) -> Array:
    """Return table rows, [N, columns], from one row [F] or several [N, F].

    Raises:
        RowError: The number of columns is wrong.
    """
    if values.ndim == 1:
        values = values[None]
    if values.ndim != 2 or values.shape[1] != len(recipe.columns):
        names = ", ".join(column.name for column in recipe.columns)
        raise RowError(
            f"a table row has {len(recipe.columns)} values ({names}), so rows are [N, {len(recipe.columns)}]; "
            f"the shape sent is {list(values.shape)}"
        )
    return values


def in_column_order(row: Mapping[str, Any], recipe: TableRecipe) -> Sequence[Any]:
    """Return a row's values in the order of the model card's columns.

    Raises:
        RowError: A column is missing or unknown.
    """
    names = [column.name for column in recipe.columns]
    missing = [name for name in names if name not in row]
    unknown = [name for name in row if name not in names]
    if missing or unknown:
        wrong = [f"missing: {', '.join(missing)}"] if missing else []
        wrong += [f"unknown: {', '.join(name[:200] for name in unknown[:20])}"] if unknown else []
        raise RowError(f"a table row has the columns {', '.join(names)} ({'; '.join(wrong)})")
    return [row[name] for name in names]


def signal_rows(values: Array, recipe: SignalRecipe) -> Array:
    """Return signals, [N, length, channels], from [L, C] or [N, L, C].

    A signal of one channel may also be [L], and several [N, L].

    Raises:
        RowError: The length or the number of channels is wrong.
    """
    shape = values.shape
    if recipe.channels == 1 and values.ndim < 3 and shape[-1:] == (recipe.length,):
        values = values[..., None]
    if values.ndim == 2:
        values = values[None]
    if values.shape[1:] != (recipe.length, recipe.channels):
        raise RowError(f"a signal has {signal_size(recipe)}; the shape sent is {list(shape)}")
    return values


def signal_size(recipe: SignalRecipe) -> str:
    """Return what one signal holds, for messages: ``4 samples of 2 channels``."""
    return f"{recipe.length} samples" + (f" of {recipe.channels} channels" if recipe.channels > 1 else "")
