"""The vectorised losses equal the course's loops on the same pairs."""

import random

import numpy as np
import pytest

from training.models import losses


def contrastive_by_loop(y: np.ndarray, e: np.ndarray, rng: random.Random) -> float:
    """The course's loop (002_6c90a8e4e790d781, exercise 4)."""
    e = (e - np.min(e)) / (np.max(e) - np.min(e))
    total = 0.0
    for i in range(len(y)):
        j = i
        while j == i:
            j = rng.randint(0, len(y) - 1)
        squared = float(np.sum((e[i] - e[j]) ** 2))
        total += squared / 2 if y[i] == y[j] else max(0.0, 1 - squared) / 2
    return total / len(y)


def triplet_by_loop(y: np.ndarray, e: np.ndarray, rng: random.Random) -> float:
    e = (e - np.min(e)) / (np.max(e) - np.min(e))
    total = 0.0
    for i in range(len(y)):
        same, other = np.where(y == y[i])[0], np.where(y != y[i])[0]
        positive = e[same[rng.randint(0, len(same) - 1)]]
        negative = e[other[rng.randint(0, len(other) - 1)]]
        total += max(0.0, 1 + float(np.sum((e[i] - positive) ** 2)) - float(np.sum((e[i] - negative) ** 2)))
    return total / len(y)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_losses_equal_the_loops(seed: int) -> None:
    draw = np.random.default_rng(seed)
    labels, embeddings = draw.integers(0, 5, 50), draw.gamma(1.0, 1.0, (50, 8))
    ours, theirs = random.Random(seed), random.Random(seed)
    partners = losses.draw_pairs(len(labels), ours)
    assert losses.contrastive(labels, embeddings, partners) == pytest.approx(
        contrastive_by_loop(labels, embeddings, theirs)
    )
    positives, negatives = losses.draw_triplets(labels, ours)
    assert losses.triplet(embeddings, positives, negatives) == pytest.approx(
        triplet_by_loop(labels, embeddings, theirs)
    )


def test_the_training_loss_equals_a_loop() -> None:
    rng = np.random.default_rng(3)
    labels, x = rng.integers(0, 4, 20), rng.normal(0, 1, (20, 5))
    x = (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)
    found = losses.batch_all_triplet(labels[:, None], x).numpy()
    for i in range(20):
        terms = [
            losses.TRAINING_MARGIN + float(np.sum((x[i] - x[p]) ** 2)) - float(np.sum((x[i] - x[n]) ** 2))
            for p in range(20)
            for n in range(20)
            if p != i and labels[p] == labels[i] and labels[n] != labels[i]
        ]
        active = [term for term in terms if term > 0]
        assert found[i] == pytest.approx(sum(active) / max(len(active), 1), abs=1e-4)


def test_a_batch_of_one_class_costs_nothing() -> None:
    x = np.eye(4, dtype=np.float32)
    assert losses.batch_all_triplet(np.zeros(4, np.int64), x).numpy().tolist() == [0, 0, 0, 0]
