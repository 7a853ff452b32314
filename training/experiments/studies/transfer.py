"""X or O from few pictures: transfer from MobileNetV2 against a net from scratch.

Course document 004_1e87cdad635ebe4c, "cnn_ox".

    vitrine study transfer            8 minutes on two CPU cores
    vitrine study transfer --quick    20 seconds

The nets of `xo_mobilenet` and `xo_cnn` are fitted on 10, 20, 50, 100 and 200 drawings per class, three draws each, and
measured on 200 other drawings per class. The course asks what ImageNet features are worth with ten pictures per class.
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
from training.jobs import xo_cnn, xo_mobilenet
from training.models.mobilenet import imagenet_encoder

NETS = ("transfer", "from scratch")
_STEPS = 400  # of gradient descent from scratch, for any number of drawings


def by_transfer(train: tuple[Array, Array], test: tuple[Array, Array], epochs: int) -> float:
    """Return the accuracy of the head of xo_mobilenet on features [n, 1280]."""
    keras.utils.set_random_seed(2)
    recipe = Recipe(epochs=epochs, batch_size=16, learning_rate=0.001)
    model = xo_mobilenet.build(_examples(train), JobOptions(), recipe)
    return _fitted(model, (train[0], np.eye(2, dtype=np.float32)[train[1]]), test, recipe)


def from_scratch(train: tuple[Array, Array], test: tuple[Array, Array], epochs: int) -> float:
    """Return the accuracy of xo_cnn on pictures [n, 32, 32, 1]."""
    keras.utils.set_random_seed(2)
    recipe = Recipe(epochs=epochs, batch_size=16, learning_rate=0.002)
    return _fitted(xo_cnn.build(_examples(train), JobOptions(), recipe), train, test, recipe)


def _fitted(model: keras.Model, train: tuple[Array, Array], test: tuple[Array, Array], recipe: Recipe) -> float:
    model.fit(*train, batch_size=recipe.batch_size, epochs=recipe.epochs, verbose=0)
    answer = model.predict(test[0], batch_size=256, verbose=0).argmax(axis=1)
    return float((answer == test[1]).mean())


def _examples(train: tuple[Array, Array]) -> Examples:
    data = Data(name="generated drawings of X and O", source="generated", licence="none needed", rows={})
    return Examples(train=train, test=train, data=data)


def run(options: JobOptions, say: Say) -> Findings:
    counts, draws, tested, epochs = ((10, 20), 1, 20, 5) if options.quick else ((10, 20, 50, 100, 200), 3, 200, 100)
    base = imagenet_encoder(xo_mobilenet.RECIPE.width)
    small, large = xo_cnn.RECIPE, xo_mobilenet.RECIPE
    test_small, test_large = (noughts_crosses.generate(tested, recipe, seed=999) for recipe in (small, large))
    test_encoded = (xo_mobilenet.features(base, test_large[0]), test_large[1])
    found: dict[int, list[tuple[float, float]]] = {count: [] for count in counts}
    for draw in range(draws):
        pictures, labels = noughts_crosses.generate(counts[-1], small, seed=2 + draw)
        larger, _ = noughts_crosses.generate(counts[-1], large, seed=2 + draw)
        encoded = xo_mobilenet.features(base, larger)
        for count in counts:
            part = slice(2 * count)  # O and X alternate
            scratch_epochs = epochs if options.quick else max(8, _STEPS // -(-2 * count // 16))
            accuracies = (
                by_transfer((encoded[part], labels[part]), test_encoded, epochs),
                from_scratch((pictures[part], labels[part]), test_small, scratch_epochs),
            )
            found[count].append(accuracies)
            say(f"{count} a class, draw {draw + 1}: transfer {accuracies[0]:.4f}, from scratch {accuracies[1]:.4f}")
    rows = []
    for count in counts:
        (transfer, scratch), (spread, scratch_spread) = np.mean(found[count], axis=0), np.std(found[count], axis=0)
        rows.append((count, float(transfer), float(spread), float(scratch), float(scratch_spread)))
    return Findings(
        columns=("pictures a class", "transfer", "± over draws", "from scratch", "± over draws"),
        rows=tuple(rows),
        data=f"generated drawings of X and O; tested on {tested} a class of another seed",
        figures={
            f"{net}, {row[0]} a class": row[column]
            for row in (rows[0], rows[-1])
            for net, column in zip(NETS, (1, 3), strict=True)
        },
        notes=tuple(
            f"{row[0]} a class: transfer is {100 * abs(row[1] - row[3]):.1f} points "
            f"{'ahead' if row[1] > row[3] else 'behind'}."
            for row in (rows[0], rows[-1])
        ),
    )


def plot(findings: Findings, axes: Axes) -> None:
    counts = findings.column(0)
    for net, column in zip(NETS, (1, 3), strict=True):
        axes.errorbar(
            counts,
            findings.column(column),
            yerr=findings.column(column + 1),
            marker="o",
            capsize=3,
            label=net,
        )
    axes.set_xscale("log")
    axes.set_xticks(counts, [str(count) for count in counts])
    axes.minorticks_off()
    axes.legend(frameon=False)
    plots.dress(axes, "training pictures a class", "test accuracy")


STUDY = Study(
    name="transfer",
    title="Transfer against scratch on X and O, by number of pictures",
    course="004_1e87cdad635ebe4c, transfer_MobileNet and cnn_ox",
    run=run,
    plot=plot,
)
