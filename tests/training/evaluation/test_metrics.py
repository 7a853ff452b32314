"""Recall among the items themselves and among references, compared with its definition."""

import numpy as np
import pytest

from training.evaluation.metrics import recall, reference_recall


def test_recall_equals_its_definition() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 8, 700)
    embeddings = rng.normal(0, 1, (700, 4)) + labels[:, None] * 0.3 + 100  # far from 0, like ReLU outputs
    apart = np.linalg.norm(embeddings[:, None] - embeddings, axis=2)
    np.fill_diagonal(apart, np.inf)
    nearest = labels[apart.argsort(axis=1)]
    expected = {f"recall_at_{k}": (nearest[:, :k] == labels[:, None]).any(axis=1).mean() for k in (1, 10)}
    assert recall(embeddings, labels) == pytest.approx(expected)


def test_the_only_item_of_a_class_is_never_found() -> None:
    embeddings = np.array([[0.0], [0.1], [5.0]])
    assert recall(embeddings, np.array([0, 0, 1]), ranks=(1, 100)) == pytest.approx(
        {"recall_at_1": 2 / 3, "recall_at_100": 2 / 3}
    )


def test_reference_recall_equals_its_definition() -> None:
    rng = np.random.default_rng(0)
    truth, labels = rng.integers(0, 8, 200), rng.integers(0, 8, 300)
    queries, references = (rng.normal(0, 1, (len(of), 4)) + of[:, None] * 0.3 for of in (truth, labels))
    nearest = labels[np.linalg.norm(queries[:, None] - references, axis=2).argsort(axis=1)]
    expected = {f"reference_recall_at_{k}": (nearest[:, :k] == truth[:, None]).any(axis=1).mean() for k in (1, 10)}
    assert reference_recall(queries, truth, references, labels) == pytest.approx(expected)
