"""Dropout, L1, L2 and batch normalisation, one at a time.

A theme of all course documents.

    vitrine study regularisation            4 minutes on two CPU cores
    vitrine study regularisation --quick    15 seconds

A convolutional net that is too large for 1,000 Fashion-MNIST pictures overfits. The study measures how far each remedy
closes the gap between training and test accuracy: three seeds each, mean and standard deviation. It also counts the
weights near zero, many with L1 and few with L2 (course document 004_1e87cdad635ebe4c).
"""

import keras
import numpy as np
from keras import layers, regularizers
from matplotlib.axes import Axes

from training.core.job import JobOptions
from training.data import fashion_mnist
from training.evaluation import plots
from training.experiments.study import Findings, Say, Study

REMEDIES: dict[str, frozenset[str]] = {
    "none": frozenset(),
    "dropout 0.4": frozenset({"dropout"}),
    "dropout 0.2 on the input": frozenset({"input"}),
    "L1 1e-4": frozenset({"l1"}),
    "L2 1e-3": frozenset({"l2"}),
    "batch normalisation": frozenset({"norm"}),
    "dropout and L2": frozenset({"dropout", "l2"}),
    "dropout and batch norm.": frozenset({"dropout", "norm"}),
}
_NEAR_ZERO = 1e-3


def near_zero(model: keras.Model) -> float:
    """Return the share of the weights, without biases, whose absolute value is below 0.001."""
    weights = [np.abs(weight.numpy().ravel()) for weight in model.trainable_weights if weight.ndim > 1]
    return float((np.concatenate(weights) < _NEAR_ZERO).mean())


def net(remedies: frozenset[str]) -> keras.Model:
    """Return a net with these remedies: pictures of 0…255 [n, 28, 28, 1] → [n, 10]."""
    decay = regularizers.L1(1e-4) if "l1" in remedies else regularizers.L2(1e-3) if "l2" in remedies else None
    x = inputs = keras.Input((28, 28, 1))
    x = layers.Rescaling(1 / 255)(x)
    if "input" in remedies:
        x = layers.Dropout(0.2)(x)
    for filters in (32, 64):
        x = layers.Conv2D(filters, 3, strides=2, padding="same", kernel_regularizer=decay)(x)
        if "norm" in remedies:
            x = layers.BatchNormalization(momentum=0.9)(x)
        x = layers.ReLU()(x)
        if "dropout" in remedies:
            x = layers.SpatialDropout2D(0.1)(x)
    x = layers.Dense(64, activation="relu", kernel_regularizer=decay)(layers.Flatten()(x))
    if "dropout" in remedies:
        x = layers.Dropout(0.4)(x)
    model = keras.Model(inputs, layers.Dense(10, activation="softmax")(x))
    model.compile(loss="sparse_categorical_crossentropy", optimizer=keras.optimizers.Adam(0.001), metrics=["accuracy"])
    return model


def run(options: JobOptions, say: Say) -> Findings:
    seeds, pictures, epochs = (1, 300, 2) if options.quick else (3, 1000, 40)
    examples = fashion_mnist.load(stand_in=options.stand_in, at_most=pictures)
    rows = []
    for name, remedies in REMEDIES.items():
        found = []
        for seed in range(2, 2 + seeds):
            keras.utils.set_random_seed(seed)
            model = net(remedies)
            model.fit(*examples.train, batch_size=32, epochs=epochs, verbose=0)
            parts = (examples.train, examples.test)
            measured = [model.evaluate(*part, batch_size=500, verbose=0, return_dict=True) for part in parts]
            found.append((measured[0]["accuracy"], measured[1]["accuracy"], near_zero(model)))
        train, test, zero = (float(value) for value in np.mean(found, axis=0))
        rows.append((name, train, test, float(np.std([row[1] for row in found])), train - test, zero))
        say(f"{name}: training {train:.4f}, test {test:.4f}")
    best = max(rows, key=lambda row: row[2])
    return Findings(
        columns=("remedy", "training accuracy", "test accuracy", "± over seeds", "gap", "weights below 0.001"),
        rows=tuple(rows),
        data=f"{examples.data.name}, first {pictures:,} training pictures, whole test set ({examples.data.source})",
        stand_in=examples.data.stand_in,
        figures={f"test accuracy, {row[0]}": row[2] for row in rows} | {f"near zero, {row[0]}": row[5] for row in rows},
        notes=(
            f"Best on the test set: {best[0]}, {best[2]:.4f}, against {rows[0][2]:.4f} without a remedy; "
            f"{seeds} seed{'s' * (seeds > 1)}, {epochs} epochs.",
        ),
    )


def plot(findings: Findings, axes: Axes) -> None:
    names = [str(row[0]) for row in findings.rows]
    positions, spread = np.arange(len(names)), findings.column(3)
    axes.barh(positions - 0.2, findings.column(1), 0.4, color="lightgrey", label="training")
    axes.barh(positions + 0.2, findings.column(2), 0.4, xerr=spread, label="test")
    axes.set_yticks(positions, names)
    axes.invert_yaxis()
    axes.set_xlim(min(min(float(row[1] or 0), float(row[2] or 0)) for row in findings.rows) - 0.05, 1)
    axes.legend(frameon=False, loc="lower right")
    plots.dress(axes, "accuracy", "")


STUDY = Study(
    name="regularisation",
    title="Dropout, L1, L2 and batch normalisation, one at a time",
    course="a theme of all documents",
    run=run,
    plot=plot,
    takes_stand_in=True,
)
