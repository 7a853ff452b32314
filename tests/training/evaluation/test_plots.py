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
