"""The temperature of a cup of coffee: a training job of your own.

    python examples/training_job.py

Data: 5,000 generated measurements by Newton's law of cooling, with noise of 0.5 °C. Expect a mean absolute error below
0.5 °C; 0.4 °C is the noise itself.
"""

from pathlib import Path

import keras
import numpy as np

from serving.artifacts.model_card import Column, Data, TableRecipe
from serving.artifacts.registry import ModelRegistry
from serving.artifacts.user_models import default_exports
from training.core.examples import Evaluation, Examples
from training.core.gate import GatePolicy
from training.core.job import Job, JobOptions
from training.core.pipeline import Publication, run
from training.core.recipe import Recipe
from training.data import sources
from training.export.exported_model import ExportedModel
from training.export.table import table_model

COLUMNS = (
    Column(name="start", unit="°C", minimum=60, maximum=95, description="temperature of the coffee at first"),
    Column(name="room", unit="°C", minimum=10, maximum=30, description="temperature of the room"),
    Column(name="minutes", unit="min", minimum=0, maximum=60, description="time since then"),
)
TABLE = TableRecipe(columns=COLUMNS, target=Column(name="now", unit="°C", description="temperature of the coffee"))


def load(options: JobOptions, recipe: Recipe) -> Examples:
    rng = np.random.default_rng(recipe.numpy_seed)
    rows = rng.uniform([60, 10, 0], [95, 30, 60], (5000, 3)).astype(np.float32)
    start, room, minutes = rows.T
    now = room + (start - room) * np.exp(-0.03 * minutes) + rng.normal(0, 0.5, 5000).astype(np.float32)
    train, test = slice(0, 4000), slice(4000, 5000)
    center, scale = rows[train].mean(axis=0), rows[train].std(axis=0)  # of the training part only
    x = (rows - center) / scale
    counts, digest = {"train": 4000, "test": 1000}, sources.digest(x[train], now[train])
    return Examples(
        train=(x[train], now[train]),
        test=(x[test], now[test]),
        data=Data(name="cooling cups", source="generated", licence="none needed", rows=counts, sha256=digest),
        inputs=sources.column_statistics([column.name for column in COLUMNS], rows[train]),
        extra={"rows": rows[test], "center": center, "scale": scale},
    )


def build(examples: Examples, options: JobOptions, recipe: Recipe) -> keras.Model:
    mean = keras.initializers.Constant(examples.train[1].mean())
    hidden, output = keras.layers.Dense(32, activation="tanh"), keras.layers.Dense(1, bias_initializer=mean)
    model = keras.Sequential([keras.Input((3,)), hidden, output])
    model.compile(loss="mse", optimizer=keras.optimizers.Adam(recipe.learning_rate))
    return model


def evaluate(model: keras.Model, examples: Examples) -> Evaluation:
    x, truth = examples.test
    answer = model.predict(x, verbose=0)[:, 0]
    return Evaluation({"test_mae": float(np.abs(answer - truth).mean())}, truth, answer)


def serve(model: keras.Model, examples: Examples) -> ExportedModel:
    extra = examples.extra
    return table_model(model, TABLE, extra["rows"][:32], extra["center"], extra["scale"])


recipe = Recipe(epochs=40, batch_size=32, learning_rate=0.01, save_every=10)
policy = GatePolicy("test_mae", higher_is_better=False, bound=1.0, largest_loss=0.1)
JOB = Job("coffee", "Temperature of a cup of coffee", None, recipe, recipe, policy, load, build, evaluate, serve)

if __name__ == "__main__":
    outcome = run(JOB, JobOptions(), Publication(ModelRegistry(default_exports())), Path(".vitrine/runs"), say=print)
    print(f"test_mae {outcome.trained.metrics['test_mae']:.2f}", *outcome.verdict.reasons, sep="; ")
    print(f"published as version {outcome.version}" if outcome.version else "The gate refused it.")
