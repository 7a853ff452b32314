"""Drawings: ink told from its ground, and the drawing from what else is in the picture.

Used by :mod:`serving.preprocessing.image` for recipes of colour ``ink``. Works on whatever people draw with and on: a
thin coloured
pen on paper lit from one side, chalk, a thick brush on a black canvas, a cell cut out of a photo of a board.
"""

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray

_FAINTEST = 10.0  # of 255: what differs less from its ground is no drawing


def border(pixels: NDArray[Any]) -> NDArray[Any]:
    """The outermost pixels, [height, width, …] to [n, …]."""
    return np.concatenate([pixels[0], pixels[-1], pixels[1:-1, 0], pixels[1:-1, -1]])


def separate(picture: NDArray[np.float32], light_ground: bool | None = None) -> NDArray[np.float32]:
    """How far each pixel is from the ground's colour, stretched to 0…255, float32 [height, width].

    Args:
        picture: RGB 0…255, [height, width, 3]. Bars along whole sides are cut off, so the result may be smaller. All
            of it is 0 where there is no ink, but for what little the paper or the camera does.
        light_ground: whether the ground is lighter than the ink; without it, the picture tells.
    """
    pixels = _without_bars(picture.transpose(2, 0, 1), light_ground)
    ground = _ground(pixels, light_ground)
    shade = float(ground.mean())
    # On light paper only what is darker is ink, not the glare of a lamp.
    difference = ground - pixels if shade > 170 else pixels - ground
    if 85 < shade <= 170:
        np.abs(difference, out=difference)
    ink = _strongest(difference)
    np.maximum(ink, 0, out=ink)
    full = _full(ink)
    if full < _FAINTEST:
        return np.zeros_like(ink)
    faint = min(max(4 * float(np.percentile(ink[::2, ::2], 25)), 0.15 * full), 0.5 * full)
    ink -= np.float32(faint)
    ink *= np.float32(255 / (0.9 * full - faint))
    return np.clip(ink, 0, 255, out=ink)


def _full(ink: NDArray[np.float32]) -> float:
    """How strong the ink is at its strongest, but for a few pixels, and no less than a quarter of what those are. The
    drawing may be small in its picture, so this is no percentile."""
    quarter = float(ink.max()) / 4
    count = min(4 + ink.size // 2000, ink.size)
    strong = ink[ink > quarter]  # few, so that they are soon in order
    return float(np.partition(strong, -count)[-count]) if len(strong) >= count else quarter


def _strongest(planes: NDArray[np.float32]) -> NDArray[np.float32]:
    """The largest of three colour planes at each pixel; much faster than a reduction along the axis."""
    largest: NDArray[np.float32] = np.maximum(np.maximum(planes[0], planes[1]), planes[2])
    return largest


def _brightness(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """From 0, the picture's darkest pixel, to 1, its lightest, [height, width]."""
    total = pixels[0] + pixels[1] + pixels[2]
    lowest = float(total.min())
    brightness: NDArray[np.float32] = (total - lowest) / max(float(total.max()) - lowest, 1.0)
    return brightness


def _without_bars(pixels: NDArray[np.float32], light_ground: bool | None) -> NDArray[np.float32]:
    """The part inside bars that run along whole sides, as when one cell was cut out of a photo of a board.

    Bars are as dark or light as the ink (the rarer of both), and leave a border that is nearly free of it.
    """
    bars = _brightness(pixels)
    if bars.mean() > 0.5 if light_ground is None else light_ground:
        bars = 1 - bars
    height, width = bars.shape
    rows, columns = bars.mean(axis=1), bars.mean(axis=0)
    inside = (slice(_bar(rows), height - _bar(rows[::-1])), slice(_bar(columns), width - _bar(columns[::-1])))
    return pixels[:, *inside] if bars.mean() < 0.4 and border(bars[inside]).mean() < 0.25 else pixels


def _bar(share: NDArray[np.float32]) -> int:
    """How many lines belong to a bar at the first of these lines; given is the share of its colour in each, [n].

    A bar ends within a few lines; a shadow, or a thick round stroke near the border, does not.
    """
    outside = np.flatnonzero(share[: len(share) * 3 // 10] < 0.3)
    if share[0] < 0.7 or not len(outside):
        return 0
    end = int(outside[0])
    return end if share[max(0, end - 1 - len(share) // 12)] > 0.7 else 0


def _ground(pixels: NDArray[np.float32], light_ground: bool | None) -> NDArray[np.float32]:
    """The ground's colour at each pixel, [3, height or 1, width or 1]: quadratic, for paper is never lit evenly.

    Fitted to the pixels that lie near it, beginning with those near the ground's typical colour.
    """
    _, height, width = pixels.shape
    typical = _ground_colour(pixels, light_ground)
    step = max(1, max(height, width) // 64)
    sample = pixels[:, ::step, ::step]
    if min(sample.shape[1:]) < 8:
        return typical[:, None, None]
    y, x = np.arange(height, dtype=np.float32)[:, None] / height, np.arange(width, dtype=np.float32) / width
    at_y, at_x = (plane.ravel() for plane in np.broadcast_arrays(y[::step], x[::step]))
    basis = np.stack([np.ones_like(at_x), at_x, at_y, at_x * at_x, at_y * at_y, at_x * at_y]).astype(np.float64)
    sample = sample.reshape(3, -1).astype(np.float64)
    distance = _strongest(np.abs(sample - typical[:, None]))
    for tolerance in (64.0, 32.0, 24.0):
        near = distance < tolerance
        if np.count_nonzero(near) < 0.3 * near.size:
            return typical[:, None, None]
        held = basis * near  # normal equations, with a little damping: much faster than a decomposition
        surface = np.linalg.solve(held @ basis.T + 1e-3 * np.eye(6), held @ sample.T)
        distance = _strongest(np.abs(sample - surface.T @ basis))
    one, by_x, by_y, by_xx, by_yy, by_xy = surface.astype(np.float32)
    zero = np.zeros_like(one)
    factors = np.stack([one, by_x, by_xx, by_y, by_xy, zero, by_yy, zero, zero], axis=1).reshape(3, 3, 3)
    of_y, of_x = np.concatenate([np.ones_like(y), y, y * y], axis=1), np.stack([np.ones_like(x), x, x * x])
    ground: NDArray[np.float32] = of_y @ (factors @ of_x)
    return np.clip(ground, 0, 255, out=ground)


def _ground_colour(pixels: NDArray[np.float32], light_ground: bool | None) -> NDArray[np.float32]:
    """The median colour of the darker or of the lighter pixels, whichever are the ground, [3].

    Unless the caller says, the border tells, and the whole picture a little: thick strokes can outnumber the ground.
    """
    step = max(1, max(pixels.shape) // 64)
    sample = pixels[:, ::step, ::step]
    light = _brightness(sample) > 0.5
    if light_ground is None:
        light_ground = 5 * float(border(light).mean()) + float(light.mean()) > 3
    chosen = sample[:, light == light_ground] if light.any() else sample.reshape(3, -1)
    colour: NDArray[np.float32] = np.median(chosen, axis=1)
    return colour


def crop(drawing: NDArray[np.float32]) -> NDArray[np.float32]:
    """The part that holds the drawing; specks, faint lines, and what only lies along the border are taken away.

    From [height, width] to a part of it, with the values of :func:`separate`.
    """
    step = max(1, max(drawing.shape) // 96)
    height, width = drawing.shape
    blocks = np.pad(drawing, ((0, -height % step), (0, -width % step)))
    blocks = blocks.reshape(-1, step, blocks.shape[1]).max(axis=1)  # rows first: along columns it takes longer
    blocks = functools.reduce(np.maximum, [blocks[:, first::step] for first in range(step)])
    limit = 0.35 * max(float(drawing.max()), 1.0)
    cells = _kept(blocks, limit)
    if not cells.any():
        return drawing
    around: NDArray[np.bool_] = np.pad(cells, 1)  # the strokes' soft edges as well
    around |= np.roll(around, 1, axis=0) | np.roll(around, -1, axis=0)
    around |= np.roll(around, 1, axis=1) | np.roll(around, -1, axis=1)
    kept = np.repeat(np.repeat(around[1:-1, 1:-1], step, axis=0), step, axis=1)[:height, :width]
    there = (drawing > limit) & kept
    rows, columns = np.flatnonzero(there.any(axis=1)), np.flatnonzero(there.any(axis=0))
    return np.where(kept, drawing, np.float32(0))[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _kept(ink: NDArray[np.float32], limit: float) -> NDArray[np.bool_]:
    """Which cells belong to the drawing proper, of those with ink above a limit; all of them, if that left nothing."""
    height, width = ink.shape
    cells: NDArray[np.bool_] = ink > limit
    parts = _connected(cells)
    y, x = np.nonzero(cells)
    depth = np.minimum(np.minimum(y, height - 1 - y) / height, np.minimum(x, width - 1 - x) / width)
    part_of = parts[cells]
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    at_border = np.bincount(border(parts), minlength=len(sizes)) / (2 * (height + width))
    deepest, nearest, strongest = np.zeros(len(sizes)), np.ones(len(sizes)), np.zeros(len(sizes))
    np.maximum.at(deepest, part_of, depth)
    np.minimum.at(nearest, part_of, depth)
    np.maximum.at(strongest, part_of, ink[cells])
    proper = (sizes > 0) & ((deepest > 0.2) | (nearest > 0.05)) & (at_border < 0.12)
    if sizes[proper].max(initial=0) <= 0.02 * sizes.max():
        return cells
    proper &= (sizes > 0.03 * sizes[proper].max()) & (strongest > 0.6 * strongest[proper].max())
    kept: NDArray[np.bool_] = proper[parts]
    return kept


def _connected(mask: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Numbers the connected parts (diagonals count) from 1, 0 elsewhere: runs of each row, joined to the row above."""
    parent = [0]

    def root(number: int) -> int:
        while parent[number] != number:
            parent[number] = parent[parent[number]]
            number = parent[number]
        return number

    numbers = np.zeros(mask.shape, np.intp)
    edges = np.diff(np.pad(mask, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    (rows, starts), (_, ends) = np.nonzero(edges == 1), np.nonzero(edges == -1)
    runs: dict[int, list[tuple[int, int, int]]] = {}
    for y, start, end in zip(rows.tolist(), starts.tolist(), ends.tolist(), strict=True):
        number = len(parent)
        parent.append(number)
        for left, right, other in runs.get(y - 1, ()):
            if left <= end and right >= start:
                parent[root(other)] = root(number)
        runs.setdefault(y, []).append((start, end, number))
        numbers[y, start:end] = number
    _, compact = np.unique([root(number) for number in range(len(parent))], return_inverse=True)
    joined: NDArray[np.intp] = compact[numbers]
    return joined
