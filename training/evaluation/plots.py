"""Plots of a training run, stored with the version."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from serving.artifacts.model_card import Column, SeriesRecipe
from training.core.array import Array

_NAME = 24  # characters of a class name
_SHOWN = 120  # last values of a series


def history(values: Mapping[str, Sequence[float]], path: Path) -> None:
    """Plot each metric by epoch in its own panel; validation is dashed."""
    metrics = [name for name in values if not name.startswith("val_") and len(values[name])]
    if not metrics:
        return
    figure, axes = plt.subplots(1, len(metrics), figsize=(4.5 * len(metrics), 3.4), squeeze=False)
    for axis, name in zip(axes[0], metrics, strict=True):
        epochs = np.arange(1, len(values[name]) + 1)
        marker = "o" if len(epochs) < 30 else ""
        axis.plot(epochs, values[name], marker=marker, markersize=4, label="training")
        if f"val_{name}" in values:
            axis.plot(epochs, values[f"val_{name}"], "--", label="validation")
            axis.legend(frameon=False)
        dress(axis, "epoch", name)
    save(figure, path)


def confusion(truth: Array, answer: Array, labels: Sequence[str], path: Path) -> None:
    """Plot the confusion matrix.

    Rows are the truth, columns the answer, cells in per cent of the row. Above 20 classes the cells have no numbers.
    """
    size = len(labels)
    many = size > 20
    counts = np.zeros((size, size))
    np.add.at(counts, (truth, answer), 1)
    share = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = 0.1 * size if many else 0.5 * size
    figure, axis = plt.subplots(figsize=(2 + side, 1.6 + side))
    axis.imshow(share, cmap="Blues", vmin=0, vmax=100)
    font: dict[str, Any] = {"fontsize": 5} if many else {}
    names = [label if len(label) <= _NAME else f"{label[: _NAME - 1]}…" for label in labels]
    axis.set_xticks(range(size), names, rotation=90 if many else 45, ha="center" if many else "right", **font)
    axis.set_yticks(range(size), names, **font)
    for i, j in np.ndindex(0 if many else size, size):
        if share[i, j] >= 0.5:
            axis.text(
                j, i, f"{share[i, j]:.0f}", ha="center", va="center", color="white" if share[i, j] > 50 else "black"
            )
    axis.set_xlabel("answer")
    axis.set_ylabel("truth")
    save(figure, path)


def forecast(truth: Array, answer: Array, recipe: SeriesRecipe, path: Path) -> None:
    """Plot the end of the test part and its one-step forecasts."""
    figure, axis = plt.subplots(figsize=(8, 3.4))
    axis.plot(truth[-_SHOWN:], label="truth", color="black", linewidth=1)
    axis.plot(answer[-_SHOWN:], label=f"forecast, {recipe.duration} ahead", linewidth=1.2)
    axis.legend(frameon=False)
    dress(axis, f"end of the test part, in steps of {recipe.duration}", "value" if recipe.unit == "1" else recipe.unit)
    save(figure, path)


def prediction(truth: Array, answer: Array, target: Column, path: Path) -> None:
    """Plot the prediction against the truth, one point per row of the test part."""
    figure, axis = plt.subplots(figsize=(4.5, 4.2))
    ends = [float(min(truth.min(), answer.min())), float(max(truth.max(), answer.max()))]
    axis.plot(ends, ends, color="black", linewidth=1)
    axis.scatter(truth, answer, s=9, alpha=0.5)
    unit = f", {target.unit}" if target.unit else ""
    dress(axis, f"{target.name}{unit}", "prediction")
    save(figure, path)


def pictures(shown: Array, names: Sequence[str], path: Path) -> None:
    """Plot pictures, uint8 [n, height, width, 3], in rows of five with their classes."""
    figure, axes = plt.subplots(-(-len(shown) // 5), 5, figsize=(7, 1.7 * -(-len(shown) // 5)), squeeze=False)
    for axis in axes.flat:
        axis.axis("off")
    for axis, picture, name in zip(axes.flat, shown, names, strict=False):
        axis.imshow(picture)
        axis.set_title(name.replace("_", " "), fontsize=9)
    save(figure, path, colours=256)


def sprite(pictures: Array, columns: int, about: str, path: Path) -> None:
    """Save pictures, uint8 [n, height, width, c], in a grid, row by row; the last row is filled with black.

    Grey pictures keep 16 levels, others 256 colours: that halves the file, and thumbnails look the same. ``about`` is
    the file's copyright notice.
    """
    count, height, width, channels = pictures.shape
    rows = -(-count // columns)
    tiles = np.zeros((rows * columns, height, width, channels), np.uint8)
    tiles[:count] = pictures
    grid = tiles.reshape(rows, columns, height, width, channels).swapaxes(1, 2)
    grid = grid.reshape(rows * height, columns * width, channels)
    text = PngInfo()
    text.add_text("Copyright", about)
    if channels == 1:
        small = Image.fromarray(((grid[..., 0].astype(np.uint16) + 8) // 17).astype(np.uint8)).convert("P")
        small.putpalette([level for level in range(0, 256, 17) for _ in "rgb"])
    else:
        small = Image.fromarray(grid).quantize(256, dither=Image.Dither.NONE)
    small.save(path, optimize=True, pnginfo=text)


def dress(axis: Axes, across: str, up: str) -> None:
    """Label the axes, remove the frame's top and right side, and add a grid."""
    axis.set_xlabel(across)
    axis.set_ylabel(up)
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(alpha=0.3)


def save(figure: Figure, path: Path, colours: int = 48) -> None:
    """Save as PNG with a palette, a third of the usual size: git stores some plots."""
    figure.tight_layout()
    figure.savefig(path, dpi=90)
    plt.close(figure)
    with Image.open(path) as picture:
        small = picture.convert("RGB").quantize(colours)
    small.save(path, optimize=True)
