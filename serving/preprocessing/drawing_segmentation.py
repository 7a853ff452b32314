"""Separate a drawing from its background and from everything else in a picture.

:mod:`serving.preprocessing.prepare` uses it for recipes of colour ``ink``. It handles thin coloured pens on unevenly
lit paper, chalk, thick brushes on a black canvas, and cells cut out of a photo of a board.
"""

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.preprocessing.connected_components import label_components

_MIN_DIFFERENCE = 10.0  # of 255: a drawing differs more from its background


def border(pixels: NDArray[Any]) -> NDArray[Any]:
    """Return the outermost pixels, [height, width, …] to [n, …]."""
    return np.concatenate([pixels[0], pixels[-1], pixels[1:-1, 0], pixels[1:-1, -1]])


def separate(picture: NDArray[np.float32], light_background: bool | None = None) -> NDArray[np.float32]:
    """Compute each pixel's distance from the background colour.

    Args:
        picture: RGB 0…255, [height, width, 3]. Bars along whole sides are cut off.
        light_background: Whether the background is lighter than the drawing. None: detect it.

    Returns:
        Float32 0…255, [height, width] without the bars. All zeros if nothing stands out from the background.
    """
    pixels = _without_bars(picture.transpose(2, 0, 1), light_background)
    background = _background(pixels, light_background)
    shade = float(background.mean())
    # On light paper only darker pixels count, because lighter ones are a lamp's glare.
    difference = background - pixels if shade > 170 else pixels - background
    if 85 < shade <= 170:
        np.abs(difference, out=difference)
    drawing = _max_of_planes(difference)
    np.maximum(drawing, 0, out=drawing)
    peak = _peak(drawing)
    if peak < _MIN_DIFFERENCE:
        return np.zeros_like(drawing)
    faint = min(max(4 * float(np.percentile(drawing[::2, ::2], 25)), 0.15 * peak), 0.5 * peak)
    drawing -= np.float32(faint)
    drawing *= np.float32(255 / (0.9 * peak - faint))
    return np.clip(drawing, 0, 255, out=drawing)


def _peak(drawing: NDArray[np.float32]) -> float:
    """Return the strongest value without a few outliers, but at least a quarter of the maximum.

    A percentile would miss a drawing that is small in its picture.
    """
    quarter = float(drawing.max()) / 4
    count = min(4 + drawing.size // 2000, drawing.size)
    strong = drawing[drawing > quarter]  # few, so that the partition is fast
    return float(np.partition(strong, -count)[-count]) if len(strong) >= count else quarter


def _max_of_planes(planes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the maximum of three colour planes at each pixel. A reduction along the axis is much slower."""
    largest: NDArray[np.float32] = np.maximum(np.maximum(planes[0], planes[1]), planes[2])
    return largest


def _brightness(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale the brightness from 0, the darkest pixel, to 1, the lightest, [height, width]."""
    total = pixels[0] + pixels[1] + pixels[2]
    lowest = float(total.min())
    brightness: NDArray[np.float32] = (total - lowest) / max(float(total.max()) - lowest, 1.0)
    return brightness


def _without_bars(pixels: NDArray[np.float32], light_background: bool | None) -> NDArray[np.float32]:
    """Cut off bars along whole sides, which remain when a cell is cut out of a photo of a board.

    Bars are as dark or light as the drawing (the rarer of both), and the border inside them is nearly empty.
    """
    bars = _brightness(pixels)
    if bars.mean() > 0.5 if light_background is None else light_background:
        bars = 1 - bars
    height, width = bars.shape
    rows, columns = bars.mean(axis=1), bars.mean(axis=0)
    inside = (
        slice(_bar_width(rows), height - _bar_width(rows[::-1])),
        slice(_bar_width(columns), width - _bar_width(columns[::-1])),
    )
    return pixels[:, *inside] if bars.mean() < 0.4 and border(bars[inside]).mean() < 0.25 else pixels


def _bar_width(share: NDArray[np.float32]) -> int:
    """Return the number of lines that belong to a bar at the start, given the share of its colour in each line, [n].

    A bar ends within a few lines. A shadow or a thick round stroke near the border does not.
    """
    outside = np.flatnonzero(share[: len(share) * 3 // 10] < 0.3)
    if share[0] < 0.7 or not len(outside):
        return 0
    end = int(outside[0])
    return end if share[max(0, end - 1 - len(share) // 12)] > 0.7 else 0


def _background(pixels: NDArray[np.float32], light_background: bool | None) -> NDArray[np.float32]:
    """Fit the background colour of each pixel, [3, height or 1, width or 1].

    The surface is quadratic, because paper is never lit evenly. The fit uses the pixels near the surface, and begins
    with those near the background's typical colour.
    """
    _, height, width = pixels.shape
    typical = _background_colour(pixels, light_background)
    step = max(1, max(height, width) // 64)
    sample = pixels[:, ::step, ::step]
    if min(sample.shape[1:]) < 8:
        return typical[:, None, None]
    y, x = np.arange(height, dtype=np.float32)[:, None] / height, np.arange(width, dtype=np.float32) / width
    at_y, at_x = (plane.ravel() for plane in np.broadcast_arrays(y[::step], x[::step]))
    basis = np.stack([np.ones_like(at_x), at_x, at_y, at_x * at_x, at_y * at_y, at_x * at_y]).astype(np.float64)
    sample = sample.reshape(3, -1).astype(np.float64)
    distance = _max_of_planes(np.abs(sample - typical[:, None]))
    for tolerance in (64.0, 32.0, 24.0):
        near = distance < tolerance
        if np.count_nonzero(near) < 0.3 * near.size:
            return typical[:, None, None]
        chosen = basis * near  # normal equations with a little damping: much faster than a decomposition
        surface = np.linalg.solve(chosen @ basis.T + 1e-3 * np.eye(6), chosen @ sample.T)
        distance = _max_of_planes(np.abs(sample - surface.T @ basis))
    one, by_x, by_y, by_xx, by_yy, by_xy = surface.astype(np.float32)
    zero = np.zeros_like(one)
    factors = np.stack([one, by_x, by_xx, by_y, by_xy, zero, by_yy, zero, zero], axis=1).reshape(3, 3, 3)
    of_y, of_x = np.concatenate([np.ones_like(y), y, y * y], axis=1), np.stack([np.ones_like(x), x, x * x])
    background: NDArray[np.float32] = of_y @ (factors @ of_x)
    return np.clip(background, 0, 255, out=background)


def _background_colour(pixels: NDArray[np.float32], light_background: bool | None) -> NDArray[np.float32]:
    """Return the median colour of the darker or the lighter pixels, whichever are the background, [3].

    By default the border decides, and the whole picture a little, because thick strokes can outnumber the background.
    """
    step = max(1, max(pixels.shape) // 64)
    sample = pixels[:, ::step, ::step]
    light = _brightness(sample) > 0.5
    if light_background is None:
        light_background = 5 * float(border(light).mean()) + float(light.mean()) > 3
    chosen = sample[:, light == light_background] if light.any() else sample.reshape(3, -1)
    colour: NDArray[np.float32] = np.median(chosen, axis=1)
    return colour


def crop(drawing: NDArray[np.float32]) -> NDArray[np.float32]:
    """Crop to the drawing. Removes specks, faint lines and marks that lie along the border alone.

    Args:
        drawing: The result of :func:`separate`, [height, width].
    """
    step = max(1, max(drawing.shape) // 96)
    height, width = drawing.shape
    blocks = np.pad(drawing, ((0, -height % step), (0, -width % step)))
    blocks = blocks.reshape(-1, step, blocks.shape[1]).max(axis=1)  # rows first, because columns take longer
    blocks = functools.reduce(np.maximum, [blocks[:, first::step] for first in range(step)])
    limit = 0.35 * max(float(drawing.max()), 1.0)
    cells = _drawing_cells(blocks, limit)
    if not cells.any():
        return drawing
    around: NDArray[np.bool_] = np.pad(cells, 1)  # with the strokes' soft edges
    around |= np.roll(around, 1, axis=0) | np.roll(around, -1, axis=0)
    around |= np.roll(around, 1, axis=1) | np.roll(around, -1, axis=1)
    kept = np.repeat(np.repeat(around[1:-1, 1:-1], step, axis=0), step, axis=1)[:height, :width]
    strong = (drawing > limit) & kept
    rows, columns = np.flatnonzero(strong.any(axis=1)), np.flatnonzero(strong.any(axis=0))
    return np.where(kept, drawing, np.float32(0))[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _drawing_cells(cells: NDArray[np.float32], limit: float) -> NDArray[np.bool_]:
    """Select the cells above a limit that belong to the drawing; all of them if nothing else would remain."""
    height, width = cells.shape
    strong: NDArray[np.bool_] = cells > limit
    components = label_components(strong)
    y, x = np.nonzero(strong)
    depth = np.minimum(np.minimum(y, height - 1 - y) / height, np.minimum(x, width - 1 - x) / width)
    component_of = components[strong]
    sizes = np.bincount(components.ravel())
    sizes[0] = 0
    at_border = np.bincount(border(components), minlength=len(sizes)) / (2 * (height + width))
    deepest, nearest, strongest = np.zeros(len(sizes)), np.ones(len(sizes)), np.zeros(len(sizes))
    np.maximum.at(deepest, component_of, depth)
    np.minimum.at(nearest, component_of, depth)
    np.maximum.at(strongest, component_of, cells[strong])
    chosen = (sizes > 0) & ((deepest > 0.2) | (nearest > 0.05)) & (at_border < 0.12)
    if sizes[chosen].max(initial=0) <= 0.02 * sizes.max():
        return strong
    chosen &= (sizes > 0.03 * sizes[chosen].max()) & (strongest > 0.6 * strongest[chosen].max())
    kept: NDArray[np.bool_] = chosen[components]
    return kept
