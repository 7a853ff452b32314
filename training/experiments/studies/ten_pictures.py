"""Two training pictures of X or O after 100 and after 200 epochs of transfer.

Course document 004_1e87cdad635ebe4c, "transfer_MobileNet".

    vitrine study ten_pictures            1 minute on two CPU cores
    vitrine study ten_pictures --quick    20 seconds

The document trains the head of `xo_mobilenet` on ten pictures per class, first for 100 epochs and then for 200, and
looks at the training pictures Xtn[0], an O, and Xtn[12], an X. The study also measures other drawings.
"""

import keras
import numpy as np
from matplotlib.axes import Axes

from serving.artifacts.model_card import Data
from training.core.array import Array
from training.core.examples import Examples
from training.core.job import JobOptions
from training.core.recipe import Recipe
from training.data import noughts_crosses
from training.evaluation import plots
from training.experiments.study import Findings, Say, Study
from training.jobs import xo_mobilenet
from training.models.mobilenet import imagenet_encoder

WATCHED = {"Xtn[0] = O": (0, 0), "Xtn[12] = X": (12, 1)}  # index and class


def in_folders(count: int, seed: int) -> tuple[Array, Array]:
    """Return drawings and labels in the document's order: one folder after the other, O first."""
    x, y = noughts_crosses.generate(count, xo_mobilenet.RECIPE, seed)
    order = np.argsort(y, kind="stable")
    return x[order], y[order]


def run(options: JobOptions, say: Say) -> Findings:
    tested, stages = (20, (5, 5, 5)) if options.quick else (200, (100, 100, 100))
    base = imagenet_encoder(xo_mobilenet.RECIPE.width)
    parts = {}
    for name, (x, y) in {"train": in_folders(10, 2), "test": in_folders(tested, 999)}.items():
        parts[name] = (xo_mobilenet.features(base, x), np.eye(2, dtype=np.float32)[y])
    keras.utils.set_random_seed(2)
    data = Data(name="generated drawings of X and O", source="generated", licence="none needed", rows={})
    recipe = Recipe(epochs=sum(stages), batch_size=32, learning_rate=0.001)
    model = xo_mobilenet.build(Examples(parts["train"], parts["test"], data), options, recipe)
    rows: list[tuple[int | float, ...]] = []
    for epochs in (0, *stages):
        if epochs:
            model.fit(*parts["train"], batch_size=recipe.batch_size, epochs=epochs, verbose=0)
        found = model.predict(parts["train"][0], verbose=0)
        fits = [float(found[index, label]) for index, label in WATCHED.values()]
        accuracies = [model.evaluate(*part, verbose=0, return_dict=True)["accuracy"] for part in parts.values()]
        rows.append(((rows[-1][0] if rows else 0) + epochs, *fits, *accuracies))
        say(f"{rows[-1][0]} epochs: {', '.join(f'{name}: {fit:.4f}' for name, fit in zip(WATCHED, fits, strict=True))}")
    return Findings(
        columns=("epochs", *WATCHED, "training accuracy", "test accuracy"),
        rows=tuple(rows),
        data=f"generated drawings of X and O, 10 a class; tested on {tested} a class of another seed",
        figures={f"{name}, {row[0]} epochs": row[column] for row in rows for column, name in enumerate(WATCHED, 1)},
    )


def plot(findings: Findings, axes: Axes) -> None:
    for column in range(1, len(findings.columns)):
        axes.plot(findings.column(0), findings.column(column), marker="o", label=findings.columns[column])
    axes.set_xticks(findings.column(0))
    axes.legend(frameon=False, loc="lower right")
    plots.dress(axes, "epochs", "probability of the right class, or accuracy")


STUDY = Study(
    name="ten_pictures",
    title="Two training pictures of X or O after 100 and 200 epochs of transfer",
    course="004_1e87cdad635ebe4c, transfer_MobileNet",
    run=run,
    plot=plot,
)
