"""Recall, compared with its definition."""

import numpy as np
import pytest

from training.evaluation.metrics import recall


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
