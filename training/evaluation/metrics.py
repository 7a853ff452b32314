"""Metrics of classifiers and encoders."""

from collections.abc import Sequence
from dataclasses import replace

import keras
import numpy as np

from serving.artifacts.model_card import ClassFigures
from training.core.array import Array
from training.core.examples import Evaluation, Examples

_ITEMS = 500  # rows of the distance matrix that are computed at once
_NEVER = np.iinfo(np.int64).max


def classification(model: keras.Model, examples: Examples) -> Evaluation:
    """Measure test loss and accuracy of a model with softmax outputs.

    The evaluation's truth and answer are class numbers int64 [n], its probabilities are float64 [n, k]. If a job has
    ``extra["others"]``, real data of another origin, its accuracy is ``others_accuracy``.
    """
    x, y = examples.test
    probabilities = model.predict(x, batch_size=256, verbose=0).astype(np.float64)
    truth = y if y.ndim == 1 else y.argmax(axis=1)
    answer = probabilities.argmax(axis=1)
    likelihood = np.clip(probabilities[np.arange(len(truth)), truth], 1e-7, 1)
    metrics = {"test_loss": float(-np.log(likelihood).mean()), "test_accuracy": float((answer == truth).mean())}
    if "others" in examples.extra:
        x, y = examples.extra["others"]
        found = model.predict(x, batch_size=256, verbose=0).argmax(axis=1)
        metrics["others_accuracy"] = float((found == (y if y.ndim == 1 else y.argmax(axis=1))).mean())
    return Evaluation(metrics, truth, answer, probabilities=probabilities)


def by_class(truth: Array, answer: Array, labels: Sequence[str]) -> dict[str, ClassFigures]:
    """Measure recall and precision of each class, from class numbers [n]. Without labels there are none."""
    if not labels:
        return {}
    size = len(labels)
    right = np.bincount(truth[truth == answer], minlength=size)
    true, answered = np.bincount(truth, minlength=size), np.bincount(answer, minlength=size)
    return {
        label: ClassFigures(
            recall=round(float(right[i] / true[i]), 6) if true[i] else None,
            precision=round(float(right[i] / answered[i]), 6) if answered[i] else None,
            examples=int(true[i]),
        )
        for i, label in enumerate(labels)
    }


def balanced(evaluation: Evaluation, classes: int) -> Evaluation:
    """Add the mean recall of the classes, ``balanced_accuracy``, and two comparisons with the most frequent class.

    Always answering the most frequent class has an accuracy of ``majority_accuracy`` and a mean recall of 1/classes.
    ``balanced_accuracy_gain`` is 0 there and 1 for a perfect model (scikit-learn's ``adjusted=True``).
    """
    truth = evaluation.truth
    counts = np.bincount(truth, minlength=classes)
    right = np.bincount(truth[truth == evaluation.answer], minlength=classes)
    mean = float((right[counts > 0] / counts[counts > 0]).mean())
    chance = 1 / np.count_nonzero(counts)
    figures = {
        "balanced_accuracy": mean,
        "balanced_accuracy_gain": (mean - chance) / (1 - chance),
        "majority_accuracy": float(counts.max() / len(truth)),
    }
    return replace(evaluation, metrics={**evaluation.metrics, **figures})


def fit_and_test(model: keras.Model, examples: Examples) -> Evaluation:
    """Measure :func:`classification`, and the training part without dropout."""
    evaluation = classification(model, examples)
    loss, accuracy = model.evaluate(*examples.train, batch_size=256, verbose=0)
    return replace(evaluation, metrics={**evaluation.metrics, "train_loss": loss, "train_accuracy": accuracy})


def recall(embeddings: Array, labels: Array, ranks: tuple[int, ...] = (1, 10)) -> dict[str, float]:
    """Measure ``recall_at_K``: how often one of the K nearest others has the same class.

    Source: Song et al. 2016.

    Args:
        embeddings: [n, d], compared by Euclidean distance.
        labels: class numbers, [n].
        ranks: values of K.
    """
    x = (embeddings - embeddings.mean(axis=0)).astype(np.float32)
    halves = np.square(x).sum(axis=1) / 2
    best = np.empty(len(x), np.int64)  # number of others that are nearer than the nearest of the same class
    for start in range(0, len(x), _ITEMS):
        distance = halves - x[start : start + _ITEMS] @ x.T
        rows = np.arange(len(distance))
        distance[rows, start + rows] = np.inf
        alike = labels[start : start + _ITEMS, None] == labels
        nearest = np.where(alike, distance, np.inf).min(axis=1, keepdims=True)
        best[start : start + _ITEMS] = np.where(np.isinf(nearest[:, 0]), _NEVER, (distance < nearest).sum(axis=1))
    return {f"recall_at_{rank}": float((best < rank).mean()) for rank in ranks}


def reference_recall(
    queries: Array, truth: Array, references: Array, labels: Array, ranks: tuple[int, ...] = (1, 10)
) -> dict[str, float]:
    """Measure ``reference_recall_at_K``: how often one of the K nearest references has the query's class.

    Args:
        queries: embeddings, [n, d], compared by Euclidean distance.
        truth: class numbers of the queries, [n].
        references: embeddings, [r, d].
        labels: class numbers of the references, [r].
        ranks: values of K.
    """
    distance = np.square(references).sum(axis=1) / 2 - queries @ references.T
    nearest = distance.argsort(axis=1)[:, : max(ranks)]
    alike = labels[nearest] == truth[:, None]
    return {f"reference_recall_at_{rank}": float(alike[:, :rank].any(axis=1).mean()) for rank in ranks}
