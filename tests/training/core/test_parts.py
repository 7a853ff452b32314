"""The fixed split of a test part."""

import numpy as np

from training.core import parts


def test_a_row_s_part_follows_from_its_content_alone() -> None:
    rows = np.random.default_rng(0).integers(0, 256, (5_000, 4, 4, 1), np.uint8)
    split = parts.split(rows)
    assert sorted(np.concatenate(list(split.values()))) == list(range(5_000))
    assert [round(len(split[name]) / 5_000, 1) for name in ("calibration", "gate", "rest")] == [0.2, 0.4, 0.4]
    shuffled = np.random.default_rng(1).permutation(5_000)
    for name, numbers in parts.split(rows[shuffled]).items():
        assert sorted(shuffled[numbers]) == list(split[name])
    assert [len(numbers) for numbers in parts.split(rows[:1].repeat(9, axis=0)).values()].count(9) == 1


def test_the_card_has_rows_and_hash_of_each_part() -> None:
    x, y = np.arange(6.0).reshape(3, 2), np.array([0, 1, 0])
    described = parts.described({"train": (x, y), "test": (x[:2], y[:2])})
    assert {name: part.rows for name, part in described.items()} == {"train": 3, "test": 2}
    assert described["train"].sha256 != described["test"].sha256
