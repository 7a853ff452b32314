"""1,024-sample signals by three 1-D convolutions with pooling.

Course document 001_8afefdba80e9ed1e, exercise 6, A.

    vitrine train conv1d_a          20 seconds on two CPU cores
    vitrine train conv1d_a --quick  10 seconds, 1,000 signals

Model: 16 and 32 filters of 8, each followed by pooling by 4, then 8 filters of 1. The second convolution gives
(256, 32), the third (64, 8); 6,075 parameters. The course gives no data, so the job classifies synthetic noisy sines,
squares and sawtooths. Expect a test accuracy of 1.00.
"""

from dataclasses import replace

import keras
from keras import layers

from training.core.examples import Evaluation, Examples
from training.core.gate import GatePolicy
from training.core.job import Job, JobOptions, require_outputs, require_parameters
from training.core.recipe import Recipe
from training.data import waveforms
from training.evaluation.metrics import classification
from training.export.exported_model import ExportedModel
from training.export.signal import signal_model


def load(options: JobOptions, recipe: Recipe) -> Examples:
    return waveforms.load(recipe.examples or 6000)


def build(examples: Examples, options: JobOptions, recipe: Recipe) -> keras.Model:
    model = keras.Sequential(
        [
            keras.Input((1024, 1)),
            layers.Conv1D(16, 8, padding="same", activation="relu", name="conv1"),
            layers.MaxPooling1D(4),
            layers.Conv1D(32, 8, padding="same", activation="relu", name="conv2"),
            layers.MaxPooling1D(4),
            layers.Conv1D(8, 1, padding="same", activation="relu", name="conv3"),
            layers.Flatten(),
            layers.Dense(3, activation="softmax"),
        ]
    )
    require_parameters(model, 6_075)
    require_outputs(model, {"conv1": (1024, 16), "conv2": (256, 32), "conv3": (64, 8)})
    return compiled(model, recipe)


def compiled(model: keras.Model, recipe: Recipe) -> keras.Model:
    """Compile with Adam; the course does not compile its nets."""
    model.compile(
        loss="sparse_categorical_crossentropy",
        optimizer=keras.optimizers.Adam(recipe.learning_rate),
        metrics=["accuracy"],
    )
    return model


def evaluate(model: keras.Model, examples: Examples) -> Evaluation:
    return replace(classification(model, examples), notes=(waveforms.NOTE,))


def serve(model: keras.Model, examples: Examples) -> ExportedModel:
    return signal_model(model, waveforms.RECIPE, examples.test[0][:32])


JOB = Job(
    name="conv1d_a",
    title="Signals of 1,024 samples by 1-D convolutions with pooling",
    course="001_8afefdba80e9ed1e, exercise 6, A",
    recipe=Recipe(epochs=10, batch_size=32, learning_rate=0.002, examples=6000, save_every=5),
    quick=Recipe(epochs=4, batch_size=32, learning_rate=0.002, examples=1000, save_every=4),
    policy=GatePolicy("test_accuracy", bound=0.6, largest_loss=0.02),
    load=load,
    build=build,
    evaluate=evaluate,
    serve=serve,
)
