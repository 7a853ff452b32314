"""Typicality is a p-value: uniform for rows like the held-out ones, and small for others."""

import numpy as np
import pytest

from training.core.array import Array
from training.evaluation import detector, typicality
from training.evaluation.foreign_inputs import auroc

CENTRES = np.random.default_rng(1).normal(0, 3, (4, 12))


def rows(count: int, seed: int) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    classes = rng.integers(4, size=count)
    return (CENTRES[classes] + rng.normal(0, np.linspace(0.1, 1, 12), (count, 12))).astype(np.float32), classes


@pytest.mark.parametrize("unit", [True, False])
@pytest.mark.parametrize("held_out", [100, 2_000])
def test_the_p_value_is_uniform_for_own_rows_and_small_for_foreign_ones(unit: bool, held_out: int) -> None:
    conformity = typicality.fit(*rows(2_000, 0), rows(held_out, 1)[0], unit=unit)
    own, foreign = rows(4_000, 2)[0], np.random.default_rng(3).normal(0, 3, (1_000, 12)).astype(np.float32)
    values = conformity.p_values(own)
    assert values.min() > 0 and values.max() <= 1
    for level in (0.05, 0.2, 0.5, 0.8):
        assert (values <= level).mean() == pytest.approx(level, abs=0.12 if held_out == 100 else 0.03)
    assert auroc(values, conformity.p_values(foreign)) > 0.95
    assert conformity.p_values(1e6 * foreign[:1] if not unit else -CENTRES[:1])[0] <= 2 / held_out


def test_what_lies_between_classes_counts_as_less_typical_with_a_share_of_the_distance_to_the_mean() -> None:
    train, classes = rows(2_000, 0)
    between, beyond = (CENTRES[:1] * share for share in (0.7, 1.3))  # as far from the class, to the middle and away
    plain, relative = (
        typicality.fit(train, classes, rows(500, 1)[0], unit=False, relative=share).scores for share in (0.0, 0.5)
    )
    assert plain(between)[0] == pytest.approx(plain(beyond)[0], rel=0.3)
    assert relative(between)[0] > 1.5 * relative(beyond)[0]


def test_the_length_counts_only_without_unit() -> None:
    own = rows(200, 2)[0]
    for unit in (True, False):
        conformity = typicality.fit(*rows(1_000, 0), rows(500, 1)[0], unit=unit)
        differs = np.abs(conformity.p_values(3 * own) - conformity.p_values(own)).max()
        assert differs < 0.01 if unit else differs > 0.5


def test_a_detector_finds_by_the_details_what_lies_amid_the_training_data() -> None:
    """Own rows have details about 0, foreign ones about 2; their embeddings are alike."""

    def detailed(count: int, seed: int, mean: float) -> Array:
        details = np.random.default_rng(seed + 100).normal(mean, 0.5, (count, 3))
        return np.concatenate([rows(count, seed)[0], details], axis=1).astype(np.float32)

    train, held_out, own = detailed(2_000, 0, 0), detailed(500, 1, 0), detailed(1_000, 2, 0)
    foreign = detailed(1_000, 3, 2)
    for unit in (True, False):
        read = [typicality.features(some, 12, unit=unit) for some in (train, detailed(1_000, 4, 2))]
        net = detector.fit(read[0], read[1])
        fitted = typicality.fit(train, rows(2_000, 0)[1], held_out, unit=unit, detector=net, details=3)
        without = typicality.fit(train, rows(2_000, 0)[1], held_out, unit=unit, details=3)
        areas = [auroc(one.p_values(own), one.p_values(foreign)) for one in (without, fitted)]
        assert areas[0] < 0.6 and areas[1] > 0.95
        assert (fitted.p_values(own) < 0.05).mean() == pytest.approx(0.05, abs=0.03)
        assert fitted.detector
        spread = np.std(fitted.detector.logits(fitted.features(held_out)))
        assert spread == pytest.approx(2 * np.std(without.scores(held_out)), rel=1e-3)
        again = detector.fit(*read)
        np.testing.assert_array_equal(again.hidden, net.hidden)


def test_equal_rows_and_few_rows() -> None:
    same = np.ones((50, 3), np.float32)
    values = typicality.fit(same, None, same, unit=False).p_values(np.array([[1, 1, 1], [5, 5, 5]], np.float32))
    assert values[0] > 0.9 and values[1] < 0.05
    with pytest.raises(ValueError, match="19 held-out rows are given; at least 20 are expected"):
        typicality.fit(same, None, same[:19])


def test_auroc_counts_ties_half() -> None:
    assert auroc(np.array([0.5, 1.0]), np.array([0.5, 0.1])) == pytest.approx(0.875)
