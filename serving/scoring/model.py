"""A model version in this process: raw inputs to answers, a row that cannot be read to its reason."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from serving.artifacts import model_card as cards
from serving.artifacts.model_card import ModelCard
from serving.model_server.core.loader import Loader
from serving.model_server.core.servable import Servable, SignatureCall
from serving.model_server.core.signature import DEFAULT_SIGNATURE
from serving.preprocessing import image as images
from serving.tfs_api.tensors import Array


class RowError(ValueError):
    """This row is nothing that the model reads; the message says why."""


@dataclass
class ScoringModel:
    """A version directory, loaded where it is first used: what is sent to another process is its path.

    Answers are the outputs of ``serving_default``; of classes also the likeliest one's name, as ``label``, and the
    probabilities by label.
    """

    directory: Path
    card: ModelCard
    _servable: Servable | None = field(default=None, repr=False)

    @classmethod
    def of(cls, directory: Path) -> "ScoringModel":
        """Raises CardError where the version has no model card."""
        return cls(directory, cards.read(directory))

    def __getstate__(self) -> dict[str, Any]:
        return {"directory": self.directory, "card": self.card, "_servable": None}

    def score(self, ids: Sequence[Any], raw: Sequence[Any]) -> pa.Table:
        """Columns id, error (null where there is none), and the answers (null where there is an error)."""
        good: list[int] = []
        tensors: list[Array] = []
        errors: list[str | None] = [None] * len(raw)
        for row, value in enumerate(raw):
            try:
                tensors.append(self._tensor(value))
                good.append(row)
            except (RowError, images.PictureError) as error:
                errors[row] = str(error)
        numbers = {row: number for number, row in enumerate(good)}
        places = pa.array([numbers.get(row) for row in range(len(raw))], pa.int64())
        columns = {"id": pa.array(ids), "error": pa.array(errors, pa.string())}
        for name, answers in self._answers(tensors).items():
            columns[name] = answers.take(places)
        return pa.table(columns)

    def _answers(self, tensors: list[Array]) -> dict[str, pa.Array]:
        if self._servable is None:
            self._servable = Loader(warmup_iterations=0).load(self.directory)
        signature = self._servable.signatures[DEFAULT_SIGNATURE]
        (alias,) = signature.inputs
        outputs = tuple(signature.outputs)
        found: dict[str, pa.Array] = {}
        rows = np.stack(tensors) if tensors else self._nothing()
        for name, array in zip(
            outputs, self._servable.run(SignatureCall(signature, {alias: rows}, outputs)), strict=True
        ):
            kept = array[: len(tensors)]
            if name == "probabilities" and self.card.labels:
                found["label"] = pa.array([self.card.labels[index] for index in kept.argmax(axis=1)], pa.string())
                found[name] = _by_label(kept, self.card.labels)
                continue
            kind = pa.from_numpy_dtype(kept.dtype)
            found[name] = pa.array(kept, kind) if kept.ndim == 1 else pa.array(list(kept), pa.list_(kind))
        return found

    def _nothing(self) -> Array:
        """One row of zeros: a batch without a readable row has answers of the same types, none of them kept."""
        card = self.card
        if card.image:
            return np.zeros((1, card.image.height, card.image.width, card.image.channels), np.uint8)
        if card.table:
            return np.zeros((1, len(card.table.columns)), np.float32)
        return np.zeros((1, *self._length()), np.float32)

    def _length(self) -> tuple[int, ...]:
        if self.card.series:
            return (self.card.series.window,)
        assert self.card.signal is not None  # the kinds are these four
        return (self.card.signal.length, self.card.signal.channels)

    def _tensor(self, value: Any) -> Array:
        if self.card.image:
            content = value.get("bytes") if isinstance(value, dict) else value
            if content is None:
                raise RowError("there is no picture: null, or a file that cannot be read")
            return images.decode(content, self.card.image)
        if self.card.table:
            columns = [column.name for column in self.card.table.columns]
            value = [value[name] for name in columns] if isinstance(value, dict) else [value]
        if value is None:
            raise RowError("there are no numbers: null")
        if self.card.series:
            value = value[-self.card.series.window :]  # only the newest values count, at the gateway as well
        try:
            array = np.asarray(value, np.float32)
        except (TypeError, ValueError):
            raise RowError("it is no list of numbers of one form") from None
        if not np.isfinite(array).all():
            raise RowError("a value is null, NaN or infinite")
        return array if self.card.table else self._fitted(array)

    def _fitted(self, array: Array) -> Array:
        """A history of the window's length, a signal of exactly its length."""
        shape = self._length()
        if self.card.series:
            if array.ndim != 1 or len(array) < shape[0]:
                raise RowError(f"a history has at least {shape[0]} values; this has the shape {list(array.shape)}")
            return array
        if array.size != np.prod(shape) or array.shape[0] != shape[0]:
            raise RowError(f"a signal has the shape {list(shape)}; this has {list(array.shape)}")
        return array.reshape(shape)


def _by_label(probabilities: Array, labels: Sequence[str]) -> pa.Array:
    """A struct with a field for each label.

    Lists, if the labels do not name the classes one by one.
    """
    kind = pa.from_numpy_dtype(probabilities.dtype)
    if len(set(labels)) != probabilities.shape[1] or not all(labels):
        return pa.array(list(probabilities), pa.list_(kind))
    return pa.StructArray.from_arrays([pa.array(column, kind) for column in probabilities.T], list(labels))
