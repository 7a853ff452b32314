"""Plots of training runs."""

from pathlib import Path

import numpy as np
from PIL import Image

from training.evaluation import plots


def test_a_long_class_name_leaves_room_for_the_confusion_matrix(tmp_path: Path) -> None:
    """Matplotlib warns if names take the whole figure, and warnings are errors."""
    answers = np.arange(3).repeat(4)
    plots.confusion(
        answers, answers, ["a very long name of a class that somebody has typed", "b", "c"], tmp_path / "c.png"
    )
    with Image.open(tmp_path / "c.png") as plot:
        dark = np.asarray(plot.convert("L")) < 60
    assert dark.mean() > 0.02  # the diagonal


def test_pictures_are_plotted_in_rows_of_five_with_their_colours(tmp_path: Path) -> None:
    colours = np.zeros((7, 32, 32, 3), np.uint8)
    colours[np.arange(7), ..., np.arange(7) % 3] = 255
    plots.pictures(colours, [f"class_{number}" for number in range(7)], tmp_path / "p.png")
    with Image.open(tmp_path / "p.png") as plot:
        counts = {colour: count for count, colour in plot.convert("RGB").getcolors(1 << 16) or []}
        assert plot.width > plot.height
    red, green, blue = (counts.get(pure, 0) for pure in ((255, 0, 0), (0, 255, 0), (0, 0, 255)))
    assert red > green > 1000 and abs(green - blue) < 200 and abs(2 * red - 3 * green) < 400  # 3, 2 and 2 pictures
