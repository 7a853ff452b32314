"""House values by a dense net with Adam's default learning rate.

Course document 003_f995c3228e7eacd7, exercise 7, A.

    vitrine train boston_default          10 seconds on two CPU cores
    vitrine train boston_default --quick  5 epochs

Data: Boston Housing, z-scored by its training part; the test part is also the validation part. Model: dense layers of
16, 8 and 1, all ReLU. Recipe: squared error, 50 epochs. Adam's 0.001 is too slow for 50 epochs of 13 steps, as
`boston_decay` shows.

The course prints MSE 21.5 and MAE 3.4, on the test part 28 and 4.1.
"""

import keras
import numpy as np
from keras import layers

from training.core.examples import Evaluation, Examples
from training.core.gate import GatePolicy
from training.core.job import Job, JobOptions, require_parameters
from training.core.recipe import Recipe
from training.data import boston_housing
from training.export.exported_model import ExportedModel
from training.export.table import table_model


def load(options: JobOptions, recipe: Recipe) -> Examples:
    return boston_housing.load()


def build(examples: Examples, options: JobOptions, recipe: Recipe) -> keras.Model:
    model = keras.Sequential(
        [
            keras.Input((13,)),
            layers.Dense(16, activation="relu"),
            layers.Dense(8, activation="relu"),
            layers.Dense(1, activation="relu"),
        ]
    )
    require_parameters(model, 369)
    model.compile(loss="mse", optimizer=keras.optimizers.Adam(recipe.learning_rate), metrics=["mae"])
    return model


def evaluate(model: keras.Model, examples: Examples) -> Evaluation:
    x, truth = examples.test
    answer = model.predict(x, verbose=0)[:, 0]
    error = answer - truth
    figures = {
        "test_mse": float(np.square(error).mean()),
        "test_mae": float(np.abs(error).mean()),
        "mean_mae": float(np.abs(truth - examples.train[1].mean()).mean()),  # of a constant prediction, the mean
    }
    return Evaluation(
        figures, truth, answer, notes=boston_housing.CRITICISM, inputs={"features": examples.extra["rows"]}
    )


def serve(model: keras.Model, examples: Examples) -> ExportedModel:
    extra = examples.extra
    return table_model(model, boston_housing.RECIPE, extra["rows"][:32], extra["center"], extra["scale"])


JOB = Job(
    name="boston_default",
    title="House values by a dense net, Adam's own learning rate",
    course="003_f995c3228e7eacd7, exercise 7, A",
    recipe=Recipe(epochs=50, batch_size=32, learning_rate=0.001, save_every=50),
    quick=Recipe(epochs=5, batch_size=32, learning_rate=0.02, save_every=5),
    policy=GatePolicy("test_mse", higher_is_better=False, bound=60, largest_loss=5),
    load=load,
    build=build,
    evaluate=evaluate,
    serve=serve,
    printed={"loss": 21.5, "mae": 3.4, "val_loss": 28.0, "val_mae": 4.1},
)
