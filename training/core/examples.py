"""Values that jobs exchange with the pipeline: examples and evaluation."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from serving.artifacts.model_card import Check, Data, Distribution
from training.core.array import Array


@dataclass(frozen=True)
class Examples:
    """Inputs and targets of each part, as the Keras model takes them.

    Attributes:
        train: the part to fit on.
        test: the part to measure on.
        data: description of the data set for the model card.
        validation: held out from ``train``; measured after each epoch.
        labels: class names by class number; empty without classes.
        inputs: statistics of the training inputs, for drift detection.
        extra: values for the job's own functions only.
        title: replaces the job's title on the model card, if the data is the user's own.
        notes: sentences about the data, for the terminal and the model card.
        chosen: choices that follow from the data, for the card's recipe.
        shown: number of the first training pictures to plot with their classes.
    """

    train: tuple[Array, Array]
    test: tuple[Array, Array]
    data: Data
    validation: tuple[Array, Array] | None = None
    labels: tuple[str, ...] = ()
    inputs: Mapping[str, Distribution] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)
    title: str | None = None
    notes: tuple[str, ...] = ()
    chosen: Mapping[str, str] = field(default_factory=dict)
    shown: int = 0


@dataclass(frozen=True)
class Evaluation:
    """Metrics on the test part, notes for the card, and the values to plot.

    Attributes:
        metrics: metrics by name.
        truth: class numbers, or values of a table, [n]; of a series, the values after each origin, [n, horizon].
        answer: the predictions for ``truth``.
        notes: sentences for the model card.
        probabilities: of a classifier, before calibration, [n, k].
        inputs: raw inputs of ``serving_default``, one row for each of ``truth``; None: ``Examples.test`` has them.
        checks: figures with a bound of their own, for the gate.
        hurdles: mean absolute error of each simple forecast on the same origins, by name.
    """

    metrics: Mapping[str, float]
    truth: Array
    answer: Array
    notes: tuple[str, ...] = ()
    probabilities: Array | None = None
    inputs: Mapping[str, Array] | None = None
    checks: tuple[Check, ...] = ()
    hurdles: Mapping[str, float] = field(default_factory=dict)
