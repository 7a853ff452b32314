"""Parts by content: deterministic, without duplicates on both sides, evenly limited."""

from collections import Counter
from pathlib import Path

import pytest

from training.core.errors import JobError
from training.data.pictures.class_folders import Part
from training.data.pictures.split import Picture, split, without_duplicates

HERE = Path("own")
LABELS = ("cat", "dog")


def picture(number: int, label: int = 0, name: str | None = None) -> Picture:
    return Picture(name or f"{label}/{number}.jpg", label, f"{(number * 7919 + label * 31) % 65521:064x}", 100)


def many(count: int, label: int = 0, first: int = 0) -> list[Picture]:
    return [picture(first + number, label) for number in range(count)]


def test_shares_and_classes() -> None:
    parts = split({"train": [*many(100), *many(10, 1)]}, LABELS, HERE, at_most=1000)
    counts = {part: Counter(one.label for one in found) for part, found in parts.items()}
    assert counts == {"train": {0: 70, 1: 6}, "validation": {0: 15, 1: 2}, "test": {0: 15, 1: 2}}
    found = [one.digest for part in parts.values() for one in part]
    assert len(set(found)) == 110
    assert [one.label for one in parts["train"]] != sorted(one.label for one in parts["train"])  # classes are mixed


def test_names_and_order_do_not_matter() -> None:
    pictures = [*many(40), *many(40, 1)]
    renamed = [Picture(f"{i}.png", one.label, one.digest, one.side) for i, one in enumerate(reversed(pictures))]
    one, other = (split({"train": given}, LABELS, HERE, at_most=1000) for given in (pictures, renamed))
    for part in one:
        assert [picture.digest for picture in one[part]] == [picture.digest for picture in other[part]]


def test_parts_of_the_folder_stay_and_missing_ones_come_from_train() -> None:
    given: dict[Part, list[Picture]] = {
        "train": [*many(20), *many(20, 1)],
        "test": [*many(3, 0, first=500), *many(1, 1, first=500)],
    }
    parts = split(given, LABELS, HERE, at_most=1000)
    assert {one.file for one in parts["test"]} == {one.file for one in given["test"]}
    assert len(parts["validation"]) == 6 and len(parts["train"]) == 34


def test_copies_are_used_once_and_contradictions_never() -> None:
    copy = picture(1, name="0/copy.jpg")
    leak = picture(2, name="train/leak.jpg")
    contradiction = Picture("1/also.jpg", 1, picture(3).digest, 100)
    given: dict[Part, list[Picture]] = {
        "train": [*many(20), copy, leak, *many(20, 1, first=100), contradiction],
        "test": [picture(2, name="test/leak.jpg"), picture(600, 1)],
    }
    unique, skipped = without_duplicates(given)
    parts = split(unique, LABELS, HERE, at_most=1000)
    assert "test/leak.jpg" in {one.file for one in parts["test"]}
    assert dict(skipped) == {
        "0/2.jpg": "a copy of another picture",
        "train/leak.jpg": "a copy of another picture",
        "0/copy.jpg": "a copy of another picture",
        "0/3.jpg": "the same picture in several classes",
        "1/also.jpg": "the same picture in several classes",
    }
    sides = [{one.digest for one in found} for found in parts.values()]
    assert not sides[0] & sides[1] and not sides[0] & sides[2] and not sides[1] & sides[2]


@pytest.mark.parametrize(
    ("counts", "at_most", "expected"),
    [((100, 50), 200, {0: 70, 1: 34}), ((100, 50), 60, {0: 30, 1: 30}), ((100, 14), 60, {0: 52, 1: 8}),
     ((100, 50), 1, {0: 5, 1: 5})],
)  # fmt: skip
def test_large_classes_lose_pictures_first(counts: tuple[int, int], at_most: int, expected: dict[int, int]) -> None:
    parts = split({"train": [*many(counts[0]), *many(counts[1], 1)]}, LABELS, HERE, at_most)
    assert Counter(one.label for one in parts["train"]) == expected


def test_too_few_pictures_are_an_error_with_the_minimum() -> None:
    with pytest.raises(JobError, match=r"own: at least 10 usable pictures of each class are needed; dog has 9"):
        split({"train": [*many(10), *many(9, 1)]}, LABELS, HERE, at_most=1000)
    with pytest.raises(JobError, match=r"at least 5 usable pictures of each class are needed in train; dog has 4"):
        split({"train": [*many(10), *many(6, 1)], "test": [picture(99), picture(99, 1)]}, LABELS, HERE, at_most=1000)
    with pytest.raises(JobError, match=r"at least 1 usable pictures of each class are needed in test; cat has 0"):
        split({"train": [*many(10), *many(10, 1)], "test": [picture(99, 1)]}, LABELS, HERE, at_most=1000)
