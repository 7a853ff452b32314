"""Pictures like and unlike the training data, for a model's typicality to learn from.

A distance in the embedding alone finds photographs badly: the net has learnt to ignore what they differ in. A small net
on the same features, fitted after the training, finds them once it has seen such pictures ("outlier exposure",
Hendrycks et al. 2019). All are made from the training pictures or from noise, so that no other data set is needed.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from serving.preprocessing.image import ImageRecipe, decode
from training.core.array import Array
from training.data.pictures.photographed import DARKEST, smooth_fields

_Floats = NDArray[np.float32]

_GRIDS = (2, 3, 5, 9, 15, 28)  # points a side, from coarse to fine
_WHOLE = 0.25  # share of the textures that fill the frame
_FILTERS = (Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS)
_SIDES, _QUALITIES = (30, 200), (60, 96)


@dataclass(frozen=True)
class Exposure:
    """Pictures for the typicality, uint8 [n, height, width, channels].

    Attributes:
        like: training pictures as callers may send them, too.
        unlike: pictures that are not like the training data.
    """

    like: Array
    unlike: Array


def resampled(pictures: Array, recipe: ImageRecipe, rng: np.random.Generator) -> Array:
    """Return grey pictures enlarged to 30…200 pixels, as PNG or JPEG files, and prepared by the gateway.

    Without them the typicality would take traces of resampling for signs of another kind of picture.
    """
    return np.stack([decode(file, recipe) for file in _enlarged(pictures, rng)])


def _enlarged(pictures: Array, rng: np.random.Generator) -> Iterator[bytes]:
    for picture in pictures:
        side, file = int(rng.integers(*_SIDES)), io.BytesIO()
        large = Image.fromarray(picture[..., 0]).resize((side, side), _FILTERS[rng.integers(len(_FILTERS))])
        if rng.random() < 0.5:
            large.save(file, "JPEG", quality=int(rng.integers(*_QUALITIES)))
        else:
            large.save(file, "PNG")
        yield file.getvalue()


def textures(count: int, size: int, rng: np.random.Generator) -> Array:
    """Return random textures in random outlines on black, uint8 [count, size, size, 1].

    Their spectra fall with the frequency, as those of photographs do (Field 1987).
    """
    tone = _octaves(count, size, rng)
    low, high = np.percentile(tone.reshape(count, -1), [5, 95], axis=1)[:, :, None, None]
    tone = np.clip((tone - low) / np.maximum(high - low, 1e-3), 0, 1) * (1 - DARKEST)
    tone = np.clip(DARKEST + tone * rng.uniform(0.3, 1.2, (count, 1, 1)), 0, 1)
    inside = _outlines(count, size, rng) | (rng.random((count, 1, 1)) < _WHOLE)
    pictures: Array = (255 * np.where(inside, tone, 0)).astype(np.uint8)[..., None]
    return pictures


def _outlines(count: int, size: int, rng: np.random.Generator) -> Array:
    """Return masks [count, size, size]: an oval about the middle, and random pieces around it."""
    position = np.linspace(-1, 1, size)
    height, width = rng.uniform(0.5, 1.1, (2, count, 1, 1))
    far = np.maximum(np.abs(position[:, None] / height), np.abs(position / width)) ** 2
    rough = _octaves(count, size, rng)
    rough *= rng.uniform(0.2, 1, (count, 1, 1)) / rough.std(axis=(1, 2), keepdims=True)
    masks: Array = rough + rng.uniform(1, 3, (count, 1, 1)) > 3 * far
    return masks


def _octaves(count: int, size: int, rng: np.random.Generator) -> _Floats:
    """Return sums [count, size, size] of smooth fields, each finer and weaker than the one before."""
    weaker = rng.uniform(0.3, 1.1, (count, 1, 1))
    fields = (smooth_fields(grid, size, count, rng) * weaker**octave for octave, grid in enumerate(_GRIDS))
    total: _Floats = np.sum(list(fields), axis=0).astype(np.float32)
    return total
