"""Bagging of small nets (a theme of all course documents).

    vitrine study bagging            2 minutes on two CPU cores
    vitrine study bagging --quick    10 seconds

Nine small convolutional nets are each fitted on a bootstrap sample of 2,000 Fashion-MNIST pictures. The bag predicts
the mean of their probabilities. The study compares it with each net alone and with one net fitted on all 2,000
pictures.

Expect the bag to beat its members by two to three points, mostly from the first five, and to beat the single net.
"""

import keras
import numpy as np
from keras import layers
from matplotlib.axes import Axes

from training.core.array import Array
from training.core.job import JobOptions
from training.data import fashion_mnist
from training.evaluation import plots
from training.experiments.study import Findings, Say, Study


def net() -> keras.Model:
    """Return a net of 9,930 parameters: pictures of 0…255 [n, 28, 28, 1] → [n, 10]."""
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(16, 3, strides=2, activation="relu"),
            layers.Conv2D(32, 3, strides=2, activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(64, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(loss="sparse_categorical_crossentropy", optimizer=keras.optimizers.Adam(0.003))
    return model


def fitted(x: Array, y: Array, test: Array, seed: int, epochs: int) -> Array:
    """Fit a net from a seed; return its probabilities [n, 10] for the test pictures."""
    keras.utils.set_random_seed(seed)
    model = net()
    model.fit(x, y, batch_size=32, epochs=epochs, verbose=0)
    answer: Array = model.predict(test, batch_size=500, verbose=0)
    return answer


def run(options: JobOptions, say: Say) -> Findings:
    nets, pictures, epochs = (3, 500, 4) if options.quick else (9, 2000, 25)
    examples = fashion_mnist.load(stand_in=options.stand_in, at_most=pictures)
    (x, y), (test, truth) = examples.train, examples.test
    rng = np.random.default_rng(1)

    def accuracy(probabilities: Array) -> float:
        return float((probabilities.argmax(axis=1) == truth).mean())

    whole = accuracy(fitted(x, y, test, seed=2, epochs=epochs))
    rows, total = [], np.zeros((len(test), 10))
    for count in range(1, nets + 1):
        drawn = rng.integers(0, len(x), len(x))
        answer = fitted(x[drawn], y[drawn], test, seed=2 + count, epochs=epochs)
        total += answer
        rows.append((count, accuracy(answer), accuracy(total)))
        say(f"{count} of {nets} nets: alone {rows[-1][1]:.4f}, the bag {rows[-1][2]:.4f}")
    alone = float(np.mean([row[1] for row in rows]))
    return Findings(
        columns=("nets", "the newest alone", "the bag"),
        rows=(*rows, ("mean", alone, None), ("one net on all pictures", whole, None)),
        data=f"{examples.data.name}, first {len(x):,} training pictures, whole test set ({examples.data.source})",
        stand_in=examples.data.stand_in,
        figures={"bag": rows[-1][2], "mean of its nets": alone, "one net on all": whole},
        notes=(
            f"{nets} nets on bootstrap samples: {100 * (rows[-1][2] - alone):+.1f} points over their mean, "
            f"{100 * (rows[-1][2] - whole):+.1f} over one net fitted on all pictures.",
        ),
    )


def plot(findings: Findings, axes: Axes) -> None:
    count = sum(isinstance(nets, int) for nets in findings.column(0))  # rows without the mean and the single net
    nets, alone, bag = (findings.column(index)[:count] for index in range(3))
    axes.plot(nets, alone, "o", color="grey", label="the newest net alone")
    axes.plot(nets, bag, "o-", label="the bag")
    axes.axhline(findings.figures["one net on all"], linestyle="--", color="black", label="one net on all pictures")
    axes.legend(frameon=False)
    plots.dress(axes, "nets", "test accuracy")


STUDY = Study(
    name="bagging",
    title="Bagging of small nets",
    course="a theme of all documents",
    run=run,
    plot=plot,
    takes_stand_in=True,
)
