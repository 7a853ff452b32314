"""Score raw inputs with a model version in this process. Unreadable rows get an error message instead."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from serving.artifacts import model_card
from serving.artifacts.model_card import ModelCard
from serving.inputs import rows
from serving.inputs.missing_values import interpolated, newest_with_neighbours
from serving.inputs.rows import RowError
from serving.model_server.core.loader import Loader
from serving.model_server.core.servable import Servable, SignatureCall
from serving.model_server.core.signature import DEFAULT_SIGNATURE
from serving.preprocessing import image
from serving.tfs_api.tensors import Array

ASSESSED = "assessed"


@dataclass
class ScoringModel:
    """A version directory, which is loaded with the first batch. Pickling keeps the path alone.

    The results are the outputs of ``serving_default``, and ``typicality`` if the version has ``assessed``.
    Classifiers also give the most probable class as ``label``, and the probabilities by label. Series models also give
    the number of null values that were ``interpolated``.
    """

    directory: Path
    card: ModelCard
    _servable: Servable | None = field(default=None, repr=False)

    @classmethod
    def of(cls, directory: Path) -> "ScoringModel":
        """Open a version directory.

        Raises:
            ModelCardError: The version has no valid model card.
        """
        return cls(directory, model_card.read(directory))

    def __getstate__(self) -> dict[str, Any]:
        return {"directory": self.directory, "card": self.card, "_servable": None}

    def score(self, ids: Sequence[Any], raw: Sequence[Any]) -> pa.Table:
        """Score rows. Returns the columns id, error (null without one) and the results (null with an error)."""
        good: list[int] = []
        tensors: list[Array] = []
        counts: list[int | None] = [None] * len(raw)
        errors: list[str | None] = [None] * len(raw)
        for row, value in enumerate(raw):
            try:
                known, count = self._interpolated(value) if self.card.series else (value, None)
                tensors.append(self._tensor(known))
                counts[row] = count
                good.append(row)
            except (RowError, image.PictureError) as error:
                errors[row] = str(error)
        numbers = {row: number for number, row in enumerate(good)}
        indices = pa.array([numbers.get(row) for row in range(len(raw))], pa.int64())
        columns = {"id": pa.array(ids), "error": pa.array(errors, pa.string())}
        for name, results in self._results(tensors).items():
            columns[name] = results.take(indices)
        if self.card.series:
            columns["interpolated"] = pa.array(counts, pa.int32())
        return pa.table(columns)

    def _results(self, tensors: list[Array]) -> dict[str, pa.Array]:
        if self._servable is None:
            self._servable = Loader(warmup_iterations=0).load(self.directory)
        signatures = self._servable.signatures
        assessed = self.card.typicality and signatures.get(ASSESSED)
        signature = assessed or signatures[DEFAULT_SIGNATURE]
        (alias,) = signature.inputs
        outputs = tuple(signature.outputs)
        found: dict[str, pa.Array] = {}
        batch = np.stack(tensors) if tensors else self._empty_row()
        for name, array in zip(
            outputs, self._servable.run(SignatureCall(signature, {alias: batch}, outputs)), strict=True
        ):
            kept = array[: len(tensors)]
            if name == "probabilities" and self.card.labels:
                found["label"] = pa.array([self.card.labels[index] for index in kept.argmax(axis=1)], pa.string())
                found[name] = _by_label(kept, self.card.labels)
                continue
            kind = pa.from_numpy_dtype(kept.dtype)
            found[name] = pa.array(kept, kind) if kept.ndim == 1 else pa.array(list(kept), pa.list_(kind))
        return found

    def _empty_row(self) -> Array:
        """Return one row of zeros, [1, …], so that a batch without a readable row has results of the same types."""
        card = self.card
        if card.image:
            return np.zeros((1, card.image.height, card.image.width, card.image.channels), np.uint8)
        if card.table:
            return np.zeros((1, len(card.table.columns)), np.float32)
        if card.series:
            return np.zeros((1, card.series.window), np.float32)
        assert card.signal is not None  # the kinds are these four
        return np.zeros((1, card.signal.length, card.signal.channels), np.float32)

    def _interpolated(self, history: Any) -> tuple[Any, int]:
        """Return the newest values of a history without null, and how many of them were null."""
        assert self.card.series is not None
        window = self.card.series.window
        if history is None or len(history) < window or not any(value is None for value in history[-window:]):
            return history, 0
        tail = history[-newest_with_neighbours(window) :]
        values = self._numbers([0 if value is None else value for value in tail]).astype(np.float64)
        values[[value is None for value in tail]] = np.nan
        return interpolated(values, window)

    def _tensor(self, value: Any) -> Array:
        """Turn a raw input into one row of the model's input."""
        if self.card.image:
            content = value.get("bytes") if isinstance(value, dict) else value
            if content is None:
                raise RowError("the picture is null, or its file cannot be read")
            return image.decode(content, self.card.image)
        if self.card.table:
            value = rows.in_column_order(value, self.card.table) if isinstance(value, dict) else [value]
        if value is None:
            raise RowError("the list of numbers is null")
        if self.card.series:
            value = value[-self.card.series.window :]  # older values may be null, as in the gateway
        array = self._numbers(value)
        fitting = self._rows(array)
        if len(fitting) != 1:
            raise RowError(f"one row is expected; the value has the shape {list(array.shape)}")
        row: Array = fitting[0]
        return row

    @staticmethod
    def _numbers(value: Any) -> Array:
        try:
            array = np.asarray(value, np.float32)
        except (TypeError, ValueError):
            raise RowError("the value is not a list of numbers, or its lists differ in length") from None
        if not np.isfinite(array).all():
            raise RowError("a value is null, NaN or infinite")
        return array

    def _rows(self, array: Array) -> Array:
        if self.card.table:
            return rows.table_rows(array, self.card.table)
        if self.card.series:
            return rows.series_rows(array, self.card.series)
        assert self.card.signal is not None  # the kinds are these four
        return rows.signal_rows(array, self.card.signal)


def _by_label(probabilities: Array, labels: Sequence[str]) -> pa.Array:
    """Return a struct with a field for each label, or lists if the labels do not match the classes."""
    kind = pa.from_numpy_dtype(probabilities.dtype)
    if len(set(labels)) != probabilities.shape[1] or not all(labels):
        return pa.array(list(probabilities), pa.list_(kind))
    return pa.StructArray.from_arrays([pa.array(column, kind) for column in probabilities.T], list(labels))
