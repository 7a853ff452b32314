"""Make catalogue pictures of clothes look like the clothes that the gateway cuts out of photographs.

A catalogue picture shows one garment upright, evenly lit, on black. In a photograph, clothes lie askew in uneven light,
shoes stand in pairs, and the mask of :mod:`serving.preprocessing.cut_out` has holes and takes in pieces of the floor.
The result keeps the class. No photograph is needed for it.
"""

import numpy as np
from numpy.typing import NDArray

from training.core.array import Array

_Floats = NDArray[np.float32]

_AT_ONCE = 2_000  # pictures, for the memory
_LIT = 0.1  # of a picture's lightest pixel: darker pixels are background
DARKEST = 0.24  # an object's darkest pixels, as in cut_out
_PAIRS = 0.8  # share of the pictures in which an object that comes in pairs is shown twice
_INVERTED = 0.2  # share of the pictures with light and dark exchanged: a light garment on a dark floor
_BACKGROUND = 0.1  # share of the pictures whose background is not black
_BLURRED = 0.4


def photographed(pictures: Array, paired: Array, rng: np.random.Generator) -> Array:
    """Return one variant of each picture, uint8 [n, size, size, 1].

    Args:
        pictures: light on black, uint8 [n, size, size, 1].
        paired: whether the object comes in pairs, as shoes do, [n]. They lie at any angle.
        rng: the source of all random choices.
    """
    parts = []
    for start in range(0, len(pictures), _AT_ONCE):
        part = pictures[start : start + _AT_ONCE, :, :, 0].astype(np.float32)
        placed = _placed(part, paired[start : start + _AT_ONCE], rng)
        parts.append(np.clip(255 * _lit(placed, rng), 0, 255).astype(np.uint8))
    variants: Array = np.concatenate(parts)[..., None]
    return variants


def _placed(pictures: _Floats, paired: Array, rng: np.random.Generator) -> _Floats:
    """Mirror, stretch, shear and rotate each object, put a second one beside some, and fill the frame."""
    count, size = len(pictures), pictures.shape[1]
    turned = np.where(paired & (rng.random(count) < 0.6), rng.uniform(-np.pi, np.pi, count), rng.normal(0, 0.15, count))
    first = _transformations(turned, rng)
    second = first.copy()
    second[:, 1] *= np.where(rng.random(count) < 0.6, -1, 1)[:, None]  # the left shoe mirrors the right one
    (centre, extent), (second_centre, _) = (_box(_inside(pictures), matrix) for matrix in (first, second))
    twice = paired & (rng.random(count) < _PAIRS)
    long = extent[:, 0] > extent[:, 1]  # two long objects lie side by side, two wide ones above each other
    across = rng.random(count) < np.where(long, 0.9, 0.15)
    far, near = rng.uniform(0.4, 1.1, count), rng.normal(0, 0.15, count)
    apart = extent * np.where(across[:, None], np.stack([near, far], 1), np.stack([far, near], 1)) * twice[:, None]
    scale = size * rng.uniform(0.85, 1.03, count) / np.maximum((extent + np.abs(apart)).max(axis=1), 4)
    shift = rng.normal(0, 0.8, (count, 2)) - scale[:, None] * apart / 2
    one = _warped(pictures, first * scale[:, None, None], shift - scale[:, None] * centre)
    shift += scale[:, None] * apart
    two = _warped(pictures, second * scale[:, None, None], shift - scale[:, None] * second_centre)
    return np.where(twice[:, None, None] & _inside(two), two, one)


def _inside(pictures: _Floats) -> Array:
    """Return masks of the objects; a blank picture is all object."""
    masks: Array = pictures >= _LIT * pictures.max(axis=(1, 2), keepdims=True)
    return masks


def _transformations(angles: Array, rng: np.random.Generator) -> Array:
    """Return matrices [n, 2, 2] that mirror half of the objects, stretch and shear them, and rotate them."""
    count = len(angles)
    stretched = np.zeros((count, 2, 2))
    stretched[:, 0, 0] = np.exp(rng.normal(0, 0.12, count))
    stretched[:, 1, 1] = np.exp(rng.normal(0, 0.12, count)) * rng.choice([-1, 1], count)
    stretched[:, 1, 0] = rng.normal(0, 0.1, count)
    cosine, sine = np.cos(angles), np.sin(angles)
    matrices: Array = np.stack([cosine, -sine, sine, cosine], 1).reshape(count, 2, 2) @ stretched
    return matrices


def _box(masks: Array, matrices: Array) -> tuple[Array, Array]:
    """Return centre and extent [n, 2] of the transformed objects; coordinates begin in the picture's middle."""
    positions = np.moveaxis(np.indices(masks.shape[1:]), 0, -1).reshape(-1, 2) - (masks.shape[1] - 1) / 2
    transformed = np.einsum("nij,pj->npi", matrices, positions)
    inside = masks.reshape(len(masks), -1, 1)
    low = np.where(inside, transformed, np.inf).min(axis=1)
    high = np.where(inside, transformed, -np.inf).max(axis=1)
    return (low + high) / 2, np.maximum(high - low, 1)


def _warped(pictures: _Floats, matrices: Array, shifts: Array) -> _Floats:
    """Transform the pictures about their middle and shift them, with linear interpolation and black outside."""
    count, size = pictures.shape[:2]
    middle = (size - 1) / 2
    positions = np.moveaxis(np.indices((size, size)), 0, -1).reshape(-1, 2) - middle
    inverse = np.linalg.inv(matrices)
    source = np.einsum("nij,npj->npi", inverse, positions[None] - shifts[:, None]) + middle
    source = np.clip(source, -1, size) + 1  # in the padded picture
    corner = source.astype(np.int64)
    down, right = np.moveaxis((source - corner).astype(np.float32), -1, 0)
    side = size + 3
    pixels = np.pad(pictures, ((0, 0), (1, 2), (1, 2))).reshape(count, -1)
    index = corner[..., 0] * side + corner[..., 1]
    above, below = (
        np.take_along_axis(pixels, index + row, 1) * (1 - right)
        + np.take_along_axis(pixels, index + row + 1, 1) * right
        for row in (0, side)
    )
    warped: _Floats = (above * (1 - down) + below * down).reshape(count, size, size)
    return warped


def _lit(pictures: _Floats, rng: np.random.Generator) -> _Floats:
    """Change the objects' tone as light, folds and a camera do, and damage their outline; values about 0…1."""
    count, size = pictures.shape[:2]

    def each(low: float, high: float) -> _Floats:
        return rng.uniform(low, high, (count, 1, 1)).astype(np.float32)

    inside = _inside(pictures)
    tone = pictures / 255
    tone = np.where(rng.random((count, 1, 1)) < _INVERTED, 1 - tone, tone) * each(0.1, 1)
    tone += smooth_fields(3, size, count, rng) * each(0, 0.15) + smooth_fields(8, size, count, rng) * each(
        0, 0.12
    )  # light, folds
    tone += rng.standard_normal(tone.shape, np.float32) * each(0, 0.04)
    low, high = np.nanpercentile(np.where(inside, tone, np.nan).reshape(count, -1), [5, 95], axis=1)
    contrast = np.maximum((high - low)[:, None, None], each(0.15, 0.6))
    tone = DARKEST + np.clip((tone - low[:, None, None]) / contrast, 0, 1) * (each(0.85, 1) - DARKEST)
    floor = smooth_fields(4, size, count, rng) * 0.15 + each(DARKEST, 0.9)
    result = np.where(inside, tone, np.where(smooth_fields(5, size, count, rng) > each(1.9, 5), floor, 0))
    outside = (result == 0) | (smooth_fields(6, size, count, rng) > each(1.6, 4))
    background = smooth_fields(3, size, count, rng) * 0.1 + each(0, 0.25)
    result = np.where(outside, np.where(rng.random((count, 1, 1)) < _BACKGROUND, background, 0), result)
    blurred = np.pad(result, ((0, 0), (1, 1), (1, 1)))
    for _ in range(2):  # along rows, then columns
        blurred = ((blurred[:, :-2] + 2 * blurred[:, 1:-1] + blurred[:, 2:]) / 4).transpose(0, 2, 1)
    return np.where(rng.random((count, 1, 1)) < _BLURRED, blurred, result).astype(np.float32)


def smooth_fields(grid: int, size: int, count: int, rng: np.random.Generator) -> _Floats:
    """Return smooth random fields [count, size, size]: normal values at grid × grid points, linear in between."""
    values = rng.standard_normal((count, grid, grid), np.float32)
    positions = np.linspace(0, grid - 1, size)
    weights = np.maximum(1 - np.abs(positions[:, None] - np.arange(grid)), 0).astype(np.float32)
    fields: _Floats = weights @ values @ weights.T
    return fields
