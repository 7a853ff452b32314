"""Rows of histories, tables and signals, as the gateway and bulk scoring read them."""

from collections.abc import Callable

import numpy as np
import pytest

from serving.artifacts.model_card import Column, SeriesRecipe, SignalRecipe, TableRecipe
from serving.inputs import rows
from serving.inputs.rows import RowError

SERIES = SeriesRecipe(window=2, max_horizon=5, step="day", unit="1")
TABLE = TableRecipe(
    columns=(Column(name="rooms", description=""), Column(name="age", description="")),
    target=Column(name="price", description=""),
)
MONO = SignalRecipe(length=3, sampling="1 ms", unit="1")
STEREO = SignalRecipe(length=3, channels=2, sampling="1 ms", unit="1")


@pytest.mark.parametrize("values", [[1, 2, 3], [[1, 2, 3]]])
def test_the_newest_values_of_a_history_count(values: object) -> None:
    assert rows.series_rows(np.array(values), SERIES).tolist() == [[2, 3]]


@pytest.mark.parametrize("values", [[1, 2], [[1, 2]]])
def test_a_table_row_alone_is_one_row(values: object) -> None:
    assert rows.table_rows(np.array(values), TABLE).tolist() == [[1, 2]]


def test_a_row_by_column_is_put_in_order() -> None:
    assert rows.in_column_order({"age": 1, "rooms": 2}, TABLE) == [2, 1]


@pytest.mark.parametrize(
    ("recipe", "shape", "made"),
    [
        (MONO, (3,), (1, 3, 1)),
        (MONO, (2, 3), (2, 3, 1)),
        (MONO, (3, 1), (1, 3, 1)),
        (STEREO, (3, 2), (1, 3, 2)),
        (STEREO, (4, 3, 2), (4, 3, 2)),
    ],
)
def test_signals_gain_the_missing_axes(recipe: SignalRecipe, shape: tuple[int, ...], made: tuple[int, ...]) -> None:
    assert rows.signal_rows(np.zeros(shape), recipe).shape == made


@pytest.mark.parametrize(
    ("read", "words"),
    [
        (lambda: rows.series_rows(np.zeros(1), SERIES), "at least 2 values"),
        (lambda: rows.series_rows(np.zeros((1, 1, 2)), SERIES), "3 axes"),
        (lambda: rows.table_rows(np.zeros((1, 3)), TABLE), "rooms, age"),
        (lambda: rows.in_column_order({"rooms": 1, "x": 1}, TABLE), "missing: age; unknown: x"),
        (lambda: rows.signal_rows(np.zeros((3, 1)), STEREO), "3 samples of 2 channels"),
    ],
)
def test_wrong_shapes_are_refused(read: Callable[[], object], words: str) -> None:
    with pytest.raises(RowError, match=words):
        read()
