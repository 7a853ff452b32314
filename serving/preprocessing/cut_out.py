"""Cut the object of a photograph out of its background, as a catalogue picture shows it.

:mod:`serving.preprocessing.prepare` uses it for recipes with ``cut_out``. The object is what differs from the border's
colour and lies in the middle. The first mask gives colour histograms of object and background, which then classify
each pixel, as in GrabCut (Rother et al. 2004), with blurred evidence instead of a graph cut. All steps work on a copy
of at most 96 pixels a side, so that the cost does not depend on the picture's size.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from serving.preprocessing.connected_components import label_components
from serving.preprocessing.drawing_segmentation import border

Plane = NDArray[np.float32]
Mask = NDArray[np.bool_]

_SIDE = 96
_RING = 0.04  # of the longer side: width of the border that shows the background
_NOISE = 12.0  # of 255, added to the deviation of the background's colour
_FARTHEST = 6.0  # distances from the background above this count as equal
_SURE = 0.9  # probability of the object inside the first mask
_BINS = 12  # of each colour in a histogram
_ROUNDS = 2  # of histograms and masks
_POSITION = 0.25  # weight of the position's log-odds beside the colour's
_SMALLEST = 0.02  # of the picture: a smaller object is none
_KEPT = 0.25  # of the largest component's size: smaller ones are dropped
_DARKEST = 60.0  # an object's lightest pixels in the result; 255 are its darkest
_PLAIN, _PLAIN_SHARE = 12.0, 0.75  # a plain border has this share of pixels so near to its median


def is_plain(picture: Image.Image) -> bool:
    """Whether most of the border has one luminance: a catalogue picture or a drawing, which needs no cutting out."""
    edge = border(np.asarray(picture.convert("L"), np.float32))
    return float(np.mean(np.abs(edge - np.median(edge)) <= _PLAIN)) >= _PLAIN_SHARE


def cut_out(picture: Image.Image) -> Plane | None:
    """Return the object's inverted luminance, 60…255 on a background of 0, cropped to the object; None without one.

    Dark clothes are light, as in Fashion-MNIST.
    """
    scale = max(picture.size) / _SIDE
    size = (max(8, round(picture.width / scale)), max(8, round(picture.height / scale)))
    pixels = np.asarray(picture.convert("RGB").resize(size, Image.Resampling.BOX), np.float32)
    mask = _by_border(pixels)
    if mask.mean() >= _SMALLEST:
        mask = _by_histograms(pixels, mask)
    if mask.mean() < _SMALLEST:
        return None
    dark = 255 - pixels @ np.array([0.299, 0.587, 0.114], np.float32)
    low, high = np.percentile(dark[mask], [3, 97])
    tone = np.clip((dark - low) / max(high - low, 40) * (255 - _DARKEST) + _DARKEST, 0, 255) * mask
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    cropped: Plane = tone[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].astype(np.float32)
    return cropped


def _by_border(pixels: Plane) -> Mask:
    """Select what differs from the border's mean colour."""
    width = max(1, round(_RING * max(pixels.shape)))
    edge = np.ones(pixels.shape[:2], bool)
    edge[width:-width, width:-width] = False
    colours = pixels[edge]
    mean = colours.mean(axis=0)
    deviation = np.sqrt(np.square(colours - mean).sum(axis=1).mean())
    distance = _blurred(np.sqrt(np.square(pixels - mean).sum(axis=2)) / (deviation + _NOISE))
    return _one_object(distance > _otsu(np.minimum(distance, _FARTHEST)))


def _by_histograms(pixels: Plane, mask: Mask) -> Mask:
    """Classify each pixel by its colour in object and background, and a little by its position."""
    height, width = mask.shape
    y, x = np.mgrid[0:height, 0:width] + 0.5
    middle = 0.1 + 0.7 * np.exp(-(((y / height - 0.5) / 0.36) ** 4 + ((x / width - 0.5) / 0.34) ** 4) / 2)
    position = _POSITION * np.log(middle / (1 - middle))
    bins = np.minimum((pixels * (_BINS / 256)).astype(np.int64), _BINS - 1) @ np.array([_BINS * _BINS, _BINS, 1])
    inside = np.where(mask, _SURE, 1 - _SURE)
    for _ in range(_ROUNDS):
        odds = np.log(_histogram(bins, inside) / _histogram(bins, 1 - inside))[bins]
        inside = 1 / (1 + np.exp(-np.clip(_blurred(odds) + position, -20, 20)))
    return _one_object(inside > 0.5)


def _histogram(bins: NDArray[np.int64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the share of each colour, blurred over the neighbouring colours, [bins³]."""
    counts = np.bincount(bins.ravel(), weights.ravel(), _BINS**3).astype(np.float64).reshape((_BINS,) * 3)
    for _ in range(3):  # along the first axis, which becomes the last one
        padded = np.pad(counts, ((1, 1), (0, 0), (0, 0)), mode="edge")
        counts = ((padded[:-2] + 2 * padded[1:-1] + padded[2:]) / 4).transpose(1, 2, 0)
    shares: NDArray[np.float64] = counts.ravel() / counts.sum() + 1e-6
    return shares


def _one_object(mask: Mask) -> Mask:
    """Keep the component in the middle and others nearly as large, and fill their holes."""
    components = label_components(mask)
    if not components.any():
        return mask
    height, width = mask.shape
    y, x = np.mgrid[0:height, 0:width]
    central = np.exp(-((y / height - 0.5) ** 2 + (x / width - 0.5) ** 2) / 0.18)
    scores = np.bincount(components.ravel(), weights=central.ravel())
    scores[0] = 0
    kept = scores > _KEPT * scores.max()
    around = label_components(~kept[components])
    outside = np.zeros(around.max() + 1, bool)
    outside[np.unique(border(around))] = True
    outside[0] = False
    filled: Mask = ~outside[around]
    return filled


def _blurred(plane: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return the mean of each pixel and its eight neighbours."""
    padded = np.pad(plane, 1, mode="edge")
    rows = padded[:-2] + padded[1:-1] + padded[2:]
    means: NDArray[np.floating] = (rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]) / 9
    return means


def _otsu(values: NDArray[np.floating]) -> float:
    """Return the threshold between two classes of values (Otsu 1979); the largest value if there is one class."""
    counts, edges = np.histogram(values, 64)
    share = np.cumsum(counts) / counts.sum()
    mean = np.cumsum(counts * (edges[:-1] + edges[1:]) / 2) / counts.sum()
    between = np.square(mean[-1] * share - mean)[:-1] / np.maximum(share * (1 - share), 1e-9)[:-1]
    return float(edges[1 + int(between.argmax())])
