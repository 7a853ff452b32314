"""Variants of catalogue pictures: placement, pairs, tone."""

import numpy as np

from training.core.array import Array
from training.data.pictures.photographed import photographed


def soles(count: int) -> Array:
    """Return pictures of one long object each."""
    pictures = np.zeros((count, 28, 28, 1), np.uint8)
    pictures[:, 11:17, 2:26] = np.linspace(120, 250, 24, dtype=np.uint8)[None, None, :, None]
    return pictures


def variants(pictures: Array, *, paired: bool, seed: int = 1) -> Array:
    return photographed(pictures, np.full(len(pictures), paired), np.random.default_rng(seed))


def heights_by_widths(pictures: Array) -> Array:
    lit = pictures[..., 0] > 40
    return np.array([mask.any(axis=1).sum() / max(1, mask.any(axis=0).sum()) for mask in lit])


def test_variants_keep_the_shape_and_repeat_with_their_seed() -> None:
    pictures = soles(50)
    found = variants(pictures, paired=True)
    assert found.shape == pictures.shape and found.dtype == np.uint8
    np.testing.assert_array_equal(found, variants(pictures, paired=True))
    assert (found != variants(pictures, paired=True, seed=2)).any(axis=(1, 2, 3)).all()
    assert len(np.unique(found.reshape(50, -1), axis=0)) == 50


def test_an_object_fills_the_frame_and_varies_in_tone() -> None:
    found = variants(soles(200), paired=False)
    lit = found[..., 0] > 40
    longest = np.maximum(lit.any(axis=1).sum(axis=1), lit.any(axis=2).sum(axis=1))
    assert np.mean(longest >= 20) > 0.95
    means = np.array([picture[mask].mean() for picture, mask in zip(found[..., 0], lit, strict=True)])
    assert means.std() > 10
    black = found[:, 0, 0, 0] == 0
    assert 0.6 < black.mean() < 1  # most backgrounds are black, some are not


def test_only_objects_that_come_in_pairs_are_shown_twice_and_at_any_angle() -> None:
    square = np.zeros((200, 28, 28, 1), np.uint8)
    square[:, 8:20, 8:20] = 200
    once, twice = (heights_by_widths(variants(square, paired=paired)) for paired in (False, True))
    long_once, long_twice = (np.mean(np.maximum(ratio, 1 / ratio) > 1.4) for ratio in (once, twice))
    assert long_once < 0.1 < 0.15 < long_twice
    lying, any_angle = (heights_by_widths(variants(soles(200), paired=paired)) for paired in (False, True))
    assert np.mean(lying > 1) < 0.1 < 0.2 < np.mean(any_angle > 1)


def test_blank_pictures_have_variants() -> None:
    for level in (0, 255):
        assert variants(np.full((3, 28, 28, 1), level, np.uint8), paired=True).shape == (3, 28, 28, 1)
