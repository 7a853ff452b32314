"""The model card of a trained model."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

import keras
import numpy as np

from serving.artifacts.model_card import Calibration, DataPart, ModelCard, Predicted, Training, Verdict
from training.comparison.held_out import raw_inputs
from training.core import parts
from training.core.array import Array
from training.core.examples import Evaluation, Examples
from training.core.fit import Fitted
from training.core.job import Job, JobOptions
from training.core.recipe import Recipe
from training.data import sources
from training.evaluation.calibration import soften
from training.evaluation.metrics import by_class
from training.export import version
from training.export.exported_model import ExportedModel
from training.tracking.revision import code_revision


@dataclass(frozen=True)
class Trained:
    """A fitted and evaluated model with its job, options, recipe and data.

    ``metrics`` holds the last values of the fit and those of the evaluation.
    """

    job: Job
    options: JobOptions
    recipe: Recipe
    examples: Examples
    model: keras.Model
    fitted: Fitted
    evaluation: Evaluation
    metrics: Mapping[str, float]


def model_card(name: str, trained: Trained, exported: ExportedModel, verdict: Verdict | None) -> ModelCard:
    """Return the card of the model before its export is checked."""
    job, options, examples = trained.job, trained.options, trained.examples
    return ModelCard(
        model=name,
        kind=exported.kind,
        title=options.title or examples.title or job.title,
        course=None if options.own_data else job.course,
        created=datetime.now(UTC).replace(microsecond=0),
        labels=examples.labels,
        image=exported.image,
        neighbours=exported.neighbours,
        series=exported.series,
        table=exported.table,
        signal=exported.signal,
        signatures=version.signatures(exported),
        data=examples.data.model_copy(update={"parts": _parts(trained, exported)}),
        training=Training(
            recipe={
                "job": job.name,
                **asdict(trained.recipe),
                **examples.chosen,
                **{key: value for key in ("head", "from_version") if (value := getattr(options, key))},
            },
            quick=options.quick,
            seconds=round(trained.fitted.seconds, 1),
            resumed_at=trained.fitted.resumed_at,
            refitted=exported.refitted,
        ),
        metrics={key: float(f"{value:.6g}") for key, value in trained.metrics.items()},
        printed={} if options.own_data else dict(job.printed),
        by_class=by_class(trained.evaluation.truth, trained.evaluation.answer, examples.labels),
        inputs=dict(examples.inputs),
        predicted=_predicted(trained.evaluation, len(examples.labels), exported.calibration),
        typicality=exported.typicality,
        calibration=exported.calibration,
        histories={
            key: tuple(float(f"{value:.6g}") if math.isfinite(value) else None for value in values)
            for key, values in trained.fitted.history.items()
        },
        seeds={"tensorflow": trained.recipe.seed, "numpy": trained.recipe.numpy_seed},
        code_revision=code_revision(),
        parameters=sum(network.count_params() for network in exported.models),
        trainable_parameters=int(
            sum(np.prod(weight.shape) for network in exported.models for weight in network.trainable_weights)
        ),
        hurdles={key: float(f"{value:.6g}") for key, value in trained.evaluation.hurdles.items()},
        gate=verdict,
        versions=dict(version.versions()),
        notes=_notes(trained),
    )


def _parts(trained: Trained, exported: ExportedModel) -> dict[str, DataPart]:
    """Return size and hash of each part. The test part, if possible, as raw inputs of ``serving_default``."""
    examples = trained.examples
    found: dict[str, tuple[Array, ...]] = {"train": examples.train, "test": examples.test}
    if examples.validation is not None:
        found["validation"] = examples.validation
    raw = raw_inputs(examples, trained.evaluation, exported)
    if raw is not None:
        truth = trained.evaluation.truth
        found["test"] = (*raw.values(), truth)
        if exported.kind != "series":
            split = parts.split(next(iter(raw.values())))
            for name in (parts.CALIBRATION, parts.GATE):
                found[name] = tuple(values[split[name]] for values in (*raw.values(), truth))
    return parts.described(found)


def _notes(trained: Trained) -> tuple[str, ...]:
    options, data = trained.options, trained.examples.data
    notes = [*trained.examples.notes, *trained.evaluation.notes]
    if data.stand_in:
        notes.append(f"Trained on stand-in data: {data.stand_in}.")
    if options.start:
        notes.append(f"Started from {trained.job.starts_from} version {options.from_version}.")
    if options.quick:
        notes.append("A quick run with a shortened recipe: its figures mean little.")
    return tuple(notes)


def _predicted(evaluation: Evaluation, classes: int, calibration: Calibration | None) -> Predicted | None:
    if evaluation.probabilities is None:
        return None
    served = soften(evaluation.probabilities, calibration.temperature if calibration else 1.0)
    shares = np.bincount(evaluation.answer, minlength=classes) / len(evaluation.answer)
    return Predicted(
        classes=tuple(round(float(share), 6) for share in shares),
        confidence=sources.distribution(served.max(axis=1)),
    )
