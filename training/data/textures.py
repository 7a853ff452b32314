"""Generated textures for an encoder of 1024×1024 pictures.

Each of the eight kinds (:data:`KINDS`) has a random angle, pitch, contrast and grain.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Plane = NDArray[np.floating]
Pixels = NDArray[np.uint8]


def generate(count: int, side: int, seed: int) -> tuple[Pixels, NDArray[np.int64]]:
    """Generate textures of alternating kinds, and the kinds' numbers.

    Textures are uint8 [count, side, side, 1], kinds int64 [count]. The same count, side and seed give the same
    textures. With a side of 1024 a texture takes about 60 ms.
    """
    rng = np.random.default_rng(seed)
    kinds = np.arange(count) % len(KINDS)
    return np.stack([_shot(rng, _surface(rng, int(kind), side)) for kind in kinds])[..., None], kinds


def pairs(count: int, side: int, seed: int) -> Pixels:
    """Generate two views of each texture, uint8 [count, 2, side, side, 1].

    The views show different parts in different light.
    """
    rng = np.random.default_rng(seed)
    views = np.empty((count, 2, side, side, 1), np.uint8)
    for index in range(count):
        surface = _surface(rng, index % len(KINDS), 2 * side)
        views[index, 0, ..., 0] = _shot(rng, surface[:side, :side])
        views[index, 1, ..., 0] = _shot(rng, surface[side:, side:])
    return views


def _surface(rng: np.random.Generator, kind: int, side: int) -> Plane:
    """Generate a surface of one kind, about -1…1 [side, side]."""
    y, x = np.mgrid[0:side, 0:side].astype(np.float32)
    angle, pitch = rng.uniform(0, np.pi), np.float32(rng.uniform(5, 20))
    u = (np.float32(np.cos(angle)) * x + np.float32(np.sin(angle)) * y) / pitch
    v = (np.float32(np.cos(angle)) * y - np.float32(np.sin(angle)) * x) / pitch
    return KINDS[kind][1](rng, u, v)


def _shot(rng: np.random.Generator, surface: Plane) -> Pixels:
    """Render a surface with random light, contrast and noise, uint8 [side, side]."""
    light, contrast, noise = rng.uniform(90, 165), rng.uniform(25, 80), rng.uniform(2, 12)
    grain = rng.standard_normal(surface.shape, np.float32) * np.float32(noise)
    pixels: Pixels = np.clip(surface * contrast + light + grain, 0, 255).astype(np.uint8)
    return pixels


def _wave(phase: Plane) -> Plane:
    wave: Plane = np.sin(phase * np.float32(2 * np.pi))
    return wave


def _stripes(rng: np.random.Generator, u: Plane, v: Plane) -> Plane:
    return _wave(u)


def _checks(rng: np.random.Generator, u: Plane, v: Plane) -> Plane:
    return np.sign(_wave(u / 2)) * np.sign(_wave(v / 2))


def _dots(rng: np.random.Generator, u: Plane, v: Plane) -> Plane:
    reach = np.hypot(u - np.round(u), v - np.round(v))
    return np.where(reach < rng.uniform(0.2, 0.35), 1.0, -0.6).astype(np.float32)


def _grid(rng: np.random.Generator, u: Plane, v: Plane) -> Plane:
    near = np.minimum(np.abs(u - np.round(u)), np.abs(v - np.round(v)))
    return np.where(near < rng.uniform(0.06, 0.14), 1.0, -0.5).astype(np.float32)


def _bricks(rng: np.random.Generator, u: Plane, v: Plane) -> Plane:
    row = np.floor(v)
    u = u / 2 + row % 2 / 2
    joint = np.minimum(np.abs(u - np.round(u)) * 2, np.abs(v - np.round(v)))
    return np.where(joint < rng.uniform(0.06, 0.12), -1.0, 0.5).astype(np.float32)


def _weave(rng: np.random.Generator, u: Plane, v: Plane) -> Plane:
    over = (np.floor(u) + np.floor(v)) % 2 == 0
    return np.where(over, np.abs(_wave(u / 2)), -np.abs(_wave(v / 2)))


def _rings(rng: np.random.Generator, u: Plane, v: Plane) -> Plane:
    return _wave(np.hypot(u - np.float32(rng.uniform(-9, 9)), v - np.float32(rng.uniform(-9, 9))))


def _grain(rng: np.random.Generator, u: Plane, v: Plane) -> Plane:
    coarse = max(2, len(u) // int(rng.integers(3, 12)))
    spots = Image.fromarray(rng.standard_normal((coarse, coarse)).astype(np.float32))
    return np.asarray(spots.resize(u.shape, Image.Resampling.BICUBIC))


KINDS: tuple[tuple[str, Callable[[np.random.Generator, Plane, Plane], Plane]], ...] = (
    ("stripes", _stripes),
    ("checks", _checks),
    ("dots", _dots),
    ("grid", _grid),
    ("bricks", _bricks),
    ("weave", _weave),
    ("rings", _rings),
    ("grain", _grain),
)
