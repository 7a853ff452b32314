"""The rows that decide about a candidate, and the scores of candidate and published versions on them.

They are the gate part of the test part if that has enough rows, else all of it. A published version is measured again,
by its own SavedModel. One that was fitted again on all data has seen the rows: it keeps the scores of the fit before in
``gate_scores.npy``. A forecaster also keeps the origins (:mod:`.kept_scores`), so that it can be compared on the common
ones after its series has grown, and is measured again from those that are new.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from serving.artifacts.model_card import DataPart, ModelCard
from training.comparison.kept_scores import KeptScores
from training.comparison.scores import (
    OF_EMBEDDING,
    OF_FORECAST,
    SCORES,
    horizon_errors,
    horizon_skill,
    nearest_class,
)
from training.core import parts
from training.core.array import Array
from training.core.examples import Evaluation, Examples
from training.export.exported_model import ExportedModel

SCORES_FILE = "assets.extra/gate_scores.npy"
_ENOUGH = 2_500  # rows of a test part, for a gate part of about 1,000
#: Fewest rows on which a forecaster of a series that has grown is compared.
FEWEST = 20
_BATCH_BYTES = 16_000_000

#: Inputs by name → outputs by name.
Signature = Callable[..., Mapping[str, tf.Tensor]]


class NotMeasurable(Exception):
    """A published version cannot be measured on the rows. The message says why."""


@dataclass(frozen=True)
class HeldOut:
    """Rows of the gate.

    Attributes:
        name: "gate", or "test" if all of the test part decides.
        metric: the job's metric.
        labels: the candidate's class names.
        inputs: raw inputs of ``serving_default``, by name.
        truth: class numbers or values, [n]; of forecasts [n, horizon], in order of time.
        scores: the candidate's scores, [n].
        described: number of rows and hash.
        forecasts: the candidate's forecasts, [n, horizon]; None of other models.
    """

    name: str
    metric: str
    labels: Sequence[str]
    inputs: Mapping[str, Array]
    truth: Array
    scores: Array
    described: DataPart
    forecasts: Array | None = None

    @property
    def horizon(self) -> int:
        """Steps of each forecast; 0 of other models."""
        return self.truth.shape[1] if self.metric in OF_FORECAST else 0

    def keep(self, directory: Path) -> None:
        """Write the scores into the directory of the candidate, which is fitted again on all data."""
        np.save(directory / SCORES_FILE, self.scores.astype(np.float32))
        if self.forecasts is not None:
            errors = horizon_errors(self.truth, self.forecasts)
            KeptScores.of(self.inputs["history"], self.truth, errors).write(directory)

    def kept(self, directory: Path, card: ModelCard) -> tuple[Array, Array, Array]:
        """Return what a version that was fitted again has of the rows; empty arrays if that is nothing.

        Returns:
            The numbers of the rows that it was tested on, its scores there, and the numbers of those it has not seen.
        """
        part, none = card.data.parts.get(self.name), np.zeros(0, np.int64)
        if part and part.sha256 == self.described.sha256 and (directory / SCORES_FILE).is_file():
            return np.arange(len(self.truth)), np.load(directory / SCORES_FILE), none
        kept = KeptScores.read(directory) if self.horizon else None
        if kept is None or kept.horizon != self.horizon:
            return none, none, none
        rows, errors, new = kept.rows(self.inputs["history"])
        return rows, self._of_errors(errors), new

    def measure(self, directory: Path, card: ModelCard) -> tuple[Array, Array]:
        """Return numbers of rows [m] and the scores of a published version on them, [m].

        They are all rows, unless the version was fitted again on data that has some of them.

        Raises:
            NotMeasurable: the version has other classes or inputs, or it has seen the rows and kept no scores of them.
        """
        if set(card.labels) != set(self.labels):
            raise NotMeasurable(f"its classes are {', '.join(card.labels)}")
        if not card.training.refitted:
            every = np.arange(len(self.truth))
            return every, self._run(directory, card, every)
        rows, scores, new = self.kept(directory, card)
        if len(rows) + len(new) < min(FEWEST, len(self.truth)):
            raise NotMeasurable("it was fitted again on data that has these rows")
        if len(new):
            rows, scores = np.append(rows, new), np.append(scores, self._run(directory, card, new))
        in_time = np.argsort(rows)
        return rows[in_time], scores[in_time]

    def _of_errors(self, errors: Array) -> Array:
        """Return the scores of forecasts [m] by their errors, relative to those of all rows as the candidate's are."""
        if self.metric == "horizon_mae":
            return errors
        return horizon_skill(errors, self.truth, self.inputs)

    def _run(self, directory: Path, card: ModelCard, rows: Array) -> Array:
        """Return the scores of the version's SavedModel on these rows, [m]."""
        signature = (
            "embed" if self.metric in OF_EMBEDDING else "forecast" if self.metric in OF_FORECAST else "serving_default"
        )
        inputs = {name: self._fitting(name, values[rows], card, signature) for name, values in self.inputs.items()}
        if self.horizon:
            longest = card.series.max_horizon if card.series else 0
            if longest < self.horizon:
                raise NotMeasurable(f"it forecasts {longest} steps; these rows have {self.horizon}")
            inputs["horizon"] = np.full(len(rows), self.horizon, np.int32)
        try:
            function = tf.saved_model.load(str(directory)).signatures[signature]
            outputs = _run(function, inputs)
        except (OSError, ValueError, KeyError, tf.errors.OpError) as error:
            raise NotMeasurable(f"it cannot be run: {str(error).splitlines()[0]}") from None
        if self.horizon:
            return self._of_errors(horizon_errors(self.truth[rows], outputs["mean"]))
        answer = _answer(outputs, self.metric, self.truth)
        if self.labels and self.metric not in OF_EMBEDDING:
            answer = np.array([self.labels.index(label) for label in card.labels])[answer]
        return SCORES[self.metric](self.truth, answer, self.inputs)

    def _fitting(self, name: str, rows: Array, card: ModelCard, signature: str) -> Array:
        """Return the rows as the version takes them. Of a longer history it takes the newest values."""
        expected = card.signatures[signature].inputs.get(name) if signature in card.signatures else None
        if expected is None:
            raise NotMeasurable(f"its signature {signature} has no input {name}")
        shape = expected.shape[1:]
        if name == "history" and shape[0] is not None and rows.shape[1] > shape[0]:
            rows = rows[:, -shape[0] :]
        if rows.shape[1:] != shape:
            raise NotMeasurable(f"it takes {name} of shape {list(shape)}; these rows have {list(rows.shape[1:])}")
        return rows.astype(expected.dtype, copy=False)


def held_out(metric: str, examples: Examples, evaluation: Evaluation, exported: ExportedModel) -> HeldOut | None:
    """Return the rows that decide, or None if the metric has no score by row or the raw inputs are unknown."""
    inputs = raw_inputs(examples, evaluation, exported)
    if metric not in SCORES or inputs is None:
        return None
    truth = evaluation.truth
    content = next(iter(inputs.values()))
    enough = len(truth) >= _ENOUGH and exported.kind != "series"
    rows = parts.split(content)[parts.GATE] if enough else np.arange(len(truth))
    inputs = {name: values[rows] for name, values in inputs.items()}
    truth = truth[rows]
    if metric in OF_EMBEDDING:
        answer = _answer(_run(exported.endpoints["embed"].function, inputs), metric, truth)
    else:
        answer = evaluation.answer[rows]
    name = parts.GATE if enough else "test"
    described = parts.described({name: (*inputs.values(), truth)})[name]
    scores = SCORES[metric](truth, answer, inputs)
    forecasts = answer if metric in OF_FORECAST else None
    return HeldOut(name, metric, examples.labels, inputs, truth, scores, described, forecasts)


def raw_inputs(examples: Examples, evaluation: Evaluation, exported: ExportedModel) -> Mapping[str, Array] | None:
    """Return the raw inputs of the first signature, one row for each of ``evaluation.truth``. None if unknown.

    That is ``serving_default``, or ``embed`` of an encoder without classes.

    Rows of a table and histories may be scaled in ``examples.test``, so their jobs set ``evaluation.inputs``.
    """
    if evaluation.inputs is not None or exported.kind not in ("image", "signal"):
        return evaluation.inputs
    specs = next(iter(exported.endpoints.values())).inputs
    test = examples.test[0]
    fits = all(spec.shape[1:] == test.shape[1:] and spec.dtype.as_numpy_dtype == test.dtype for spec in specs.values())
    return dict.fromkeys(specs, test) if len(specs) == 1 and fits and len(test) == len(evaluation.truth) else None


def _run(function: Signature, inputs: Mapping[str, Array]) -> dict[str, Array]:
    rows = len(next(iter(inputs.values())))
    batch = max(1, _BATCH_BYTES * rows // sum(values.nbytes for values in inputs.values()))
    batch = min(batch, 256)
    answers = [
        function(**{name: tf.constant(values[start : start + batch]) for name, values in inputs.items()})
        for start in range(0, rows, batch)
    ]
    return {name: np.concatenate([answer[name].numpy() for answer in answers]) for name in answers[0]}


def _answer(outputs: Mapping[str, Array], metric: str, truth: Array) -> Array:
    if metric in OF_EMBEDDING:
        return nearest_class(outputs["embedding"], truth)
    return outputs["probabilities"].argmax(axis=1) if "probabilities" in outputs else outputs["prediction"]
