"""Calibrate a classifier's probabilities, and add the typicality of its inputs.

Both are fitted on held-out rows: the validation part, or, where the job keeps its training part whole, the fixed
calibration rows of the test part (:mod:`training.core.parts`). They are measured on the other rows of the test part.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import keras
import numpy as np
import tensorflow as tf

from serving.artifacts.model_card import Calibration, Check, Typicality
from training.core import parts
from training.core.array import Array
from training.core.examples import Evaluation, Examples
from training.data.pictures.unlike import Exposure
from training.evaluation import calibration, detector, foreign_inputs, typicality
from training.export.assessed import PROBABILITIES, with_temperature, with_typicality
from training.export.exported_model import ExportedModel

#: Typicality below which the API warns: of inputs like the training data, this share is warned of.
THRESHOLD = 0.05
#: Largest expected calibration error of a test part of at least this many rows. A smaller one has as much above the
#: 97.5 % quantile of a calibrated model's error, which is chance.
MAX_ERROR, MANY_ROWS = 0.02, 5_000
_TRAIN_ROWS = 10_000  # for the references
_MEASURED_ROWS = 1_000  # own rows of the AUROC
_BATCH = 64


@dataclass(frozen=True)
class _Rows:
    """Held-out rows as the typicality reads them, with their class numbers [n], and probabilities [n, k]."""

    inputs: Array
    truth: Array
    probabilities: Array


@dataclass(frozen=True)
class _Inference:
    """The exported inference, run in batches.

    Attributes:
        infer: inputs of ``serving_default`` → its outputs, ``embedding``, and perhaps ``details``.
        shape: of one input.
        width: of one embedding.
        details: number of details of one input.
    """

    infer: Callable[[tf.Tensor], dict[str, tf.Tensor]]
    shape: tuple[int, ...]
    width: int
    details: int

    @classmethod
    def of(cls, exported: ExportedModel) -> "_Inference":
        (spec,) = exported.endpoints["serving_default"].inputs.values()
        infer = tf.function(exported.infer, input_signature=[spec])
        outputs = infer.get_concrete_function().structured_outputs
        details = outputs["details"].shape[1] if "details" in outputs else 0
        return cls(infer, tuple(spec.shape[1:]), outputs["embedding"].shape[1], details)

    def takes(self, rows: Array) -> bool:
        """Whether the rows are inputs of the graph."""
        return rows.shape[1:] == self.shape

    def run(self, rows: Array) -> dict[str, Array]:
        starts = range(0, len(rows), _BATCH)
        batches = [self.infer(tf.constant(rows[start : start + _BATCH])) for start in starts]
        return {name: np.concatenate([batch[name].numpy() for batch in batches]) for name in batches[0]}

    def features(self, inputs: Array) -> Array:
        """Return embeddings of inputs, with their details, [n, d + e]."""
        found = self.run(inputs)
        return np.concatenate([found[name] for name in ("embedding", "details") if name in found], axis=1)

    def embed(self, rows: Array) -> Array | None:
        """Return embeddings and details of inputs; rows that already are embeddings as they are; None for others."""
        if self.takes(rows):
            return self.features(rows)
        return rows if rows.shape[1:] == (self.width,) else None


def assess(
    exported: ExportedModel,
    model: keras.Model,
    examples: Examples,
    evaluation: Evaluation,
    say: Callable[[str], None] = lambda sentence: None,
) -> ExportedModel:
    """Return the exported classifier with calibrated probabilities and the signature ``assessed``.

    A model without classes, or with fewer than 20 held-out rows, is returned as it is.

    Args:
        exported: the signatures.
        model: the trained model, from rows of ``examples`` to probabilities if those are not the graph's inputs.
        examples: the parts.
        evaluation: its ``probabilities`` are those of the test part.
        say: receives a sentence about the result.
    """
    if exported.infer is None or evaluation.probabilities is None:
        return exported
    graph = _Inference.of(exported)
    held_out, measured = _parts(graph, model, examples, evaluation)
    if len(held_out.truth) < typicality.FEWEST_ROWS or not len(measured.truth):
        return exported
    exported = _calibrated(exported, held_out, measured, many=len(evaluation.truth) >= MANY_ROWS)
    exported = _with_typicality(exported, graph, examples, held_out, measured)
    if exported.calibration and exported.typicality:
        found = ", ".join(f"{name} {value:.3f}" for name, value in exported.typicality.auroc.items())
        say(
            f"calibration: temperature {exported.calibration.temperature:.3g}, expected error "
            f"{exported.calibration.ece:.4f}; typicality's AUROC: {found}"
        )
    return exported


def _parts(graph: _Inference, model: keras.Model, examples: Examples, evaluation: Evaluation) -> tuple[_Rows, _Rows]:
    """Return the rows to fit on, and the rows to measure on."""
    assert evaluation.probabilities is not None
    test = _Rows(_features(examples, "test"), evaluation.truth, evaluation.probabilities)
    if examples.validation is not None and examples.validation[0] is not examples.test[0]:
        x, y = examples.validation
        probabilities = (
            graph.run(x)[PROBABILITIES] if graph.takes(x) else model.predict(x, batch_size=_BATCH, verbose=0)
        )
        return _Rows(_features(examples, "validation"), y if y.ndim == 1 else y.argmax(axis=1), probabilities), test
    content = next(iter(evaluation.inputs.values())) if evaluation.inputs else examples.test[0]
    chosen = np.zeros(len(content), bool)
    chosen[parts.split(content)[parts.CALIBRATION]] = True
    held_out, measured = (
        _Rows(test.inputs[rows], test.truth[rows], test.probabilities[rows]) for rows in (chosen, ~chosen)
    )
    return held_out, measured


def _features(examples: Examples, part: Literal["train", "validation", "test"]) -> Array:
    """Return the rows of a part, or the features for the typicality that the job has computed from its pictures."""
    features: Array = examples.extra["typical"][part] if "typical" in examples.extra else getattr(examples, part)[0]
    return features


def _calibrated(exported: ExportedModel, held_out: _Rows, measured: _Rows, *, many: bool) -> ExportedModel:
    temperature = round(calibration.fit_temperature(held_out.probabilities, held_out.truth), 4)
    softened = calibration.soften(measured.probabilities, temperature)
    confidence, right = softened.max(axis=1), softened.argmax(axis=1) == measured.truth
    error = calibration.calibration_error(confidence, right)
    band = calibration.calibrated_band(confidence)
    bound = MAX_ERROR if many else MAX_ERROR + band[1]
    rows = len(right)
    check = Check(name="expected_calibration_error", value=error, bound=bound, at_least=False, rows=rows)
    found = Calibration(
        temperature=temperature, ece=round(error, 5), ece_band=(round(band[0], 5), round(band[1], 5)), rows=rows
    )
    return replace(with_temperature(exported, temperature), calibration=found, checks=(*exported.checks, check))


def _with_typicality(
    exported: ExportedModel, graph: _Inference, examples: Examples, held_out: _Rows, measured: _Rows
) -> ExportedModel:
    x, y = _features(examples, "train"), examples.train[1]
    rows = np.random.default_rng(0).permutation(len(x))[:_TRAIN_ROWS]
    of_parts = (x[rows], held_out.inputs, measured.inputs[:_MEASURED_ROWS])
    tuned = examples.extra.get("embed")  # from rows that are neither inputs nor embeddings
    embedded = [graph.embed(part) if tuned is None else tuned.predict(part, verbose=0) for part in of_parts]
    train, fitted, own = embedded
    if train is None or fitted is None or own is None:
        return exported
    classes = y[rows] if y.ndim == 1 else y[rows].argmax(axis=1)
    unit = exported.image is not None
    exposed = _detector(graph, exported.exposure, unit=unit) if exported.exposure else None
    conformity = typicality.fit(
        train, classes, fitted, unit=unit, relative=exported.relative, detector=exposed, details=graph.details
    )
    if exported.image:
        foreign = foreign_inputs.pictures(exported.image, examples.data.name)
    else:
        foreign = foreign_inputs.signals(x[rows])
    typical = conformity.p_values(own)
    areas = {
        name: round(foreign_inputs.auroc(typical, conformity.p_values(graph.features(strange))), 4)
        for name, strange in foreign.items()
    }
    found = Typicality(threshold=THRESHOLD, rows=conformity.rows, auroc=areas)
    return replace(with_typicality(exported, conformity), typicality=found)


def _detector(graph: _Inference, exposure: Exposure, *, unit: bool) -> detector.Detector:
    def read(pictures: Array) -> Array:
        return typicality.features(graph.features(pictures), graph.width, unit=unit)

    return detector.fit(read(exposure.like), read(exposure.unlike))
