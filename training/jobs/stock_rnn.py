"""The next day's price by four recurrent cells.

Course document 004_1e87cdad635ebe4c, "stock_rnn".

    vitrine train stock_rnn                                            20 seconds on two CPU cores, GOOG 2004-2008
    vitrine train stock_rnn --csv prices.csv --column Close --as mine

Model: windows of ten daily prices, a SimpleRNN of four cells, Dense(1). The dense layer combines the cells' four
values, each between −1 and 1, into one price: W [4, 1] and b [1]. Parameters: 4·(1 + 4 + 1) = 24 (each cell has one
input weight, four recurrent ones and a bias) and 4 + 1 = 5.

The split is chronological: the last 15 % of the days are the test part, the 15 % before them the validation part. A
price is close to a random walk, so expect a skill below 0 against "tomorrow equals today"; the card says so.
"""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from training.core.array import Array
from training.core.examples import Evaluation, Examples
from training.core.gate import GatePolicy
from training.core.job import CSV_OPTIONS, Job, JobOptions, require_parameters
from training.core.recipe import Recipe
from training.data import sources, stocks
from training.export.exported_model import ExportedModel
from training.export.series import series_model
from training.forecasting.conformal import Spread
from training.forecasting.forecaster import Forecaster, recursive
from training.forecasting.windows import chronological, windows

WINDOW = 10


def load(options: JobOptions, recipe: Recipe) -> Examples:
    prices = stocks.from_options(options)
    parts = chronological(prices.values, WINDOW)
    center, scale = float(parts.train.mean()), float(parts.train.std()) or 1.0

    def examples(part: Array) -> tuple[Array, Array]:
        x, y = windows((part - center) / scale, WINDOW)
        return x[..., None].astype(np.float32), y.astype(np.float32)

    x, y = examples(parts.train)
    raw, _ = windows(parts.train, WINDOW)
    validation, test = examples(parts.validation), examples(parts.test)
    return Examples(
        train=(x, y),
        validation=validation,
        test=test,
        extra={"center": center, "scale": scale, "parts": parts, "series": prices.recipe(WINDOW)},
        inputs={"level": sources.distribution(raw.mean(axis=1)), "volatility": sources.distribution(raw.std(axis=1))},
        data=prices.data({"train": len(x), "validation": len(validation[0]), "test": len(test[0])}, x, y),
        notes=prices.notes,
        title=f"Next value of {prices.name} by four recurrent cells" if prices.file else None,
    )


def build(examples: Examples, options: JobOptions, recipe: Recipe) -> keras.Model:
    model = keras.Sequential([keras.Input((WINDOW, 1)), layers.SimpleRNN(4), layers.Dense(1)])
    require_parameters(model, 24 + 5)
    model.compile(loss="mse", optimizer=keras.optimizers.Adam(recipe.learning_rate))
    return model


def evaluate(model: keras.Model, examples: Examples) -> Evaluation:
    ours, parts = forecaster(model, examples), examples.extra["parts"]
    near, far = parts.test_origins(ours.recipe.max_horizon, ours.season)
    return ours.measure(near, far, _spread(ours, examples), ours.season)


def serve(model: keras.Model, examples: Examples) -> ExportedModel:
    ours = forecaster(model, examples)
    samples, _ = windows(examples.extra["parts"].test, WINDOW)
    return series_model(model, ours, _spread(ours, examples), samples[:32])


def forecaster(model: keras.Model, examples: Examples) -> Forecaster:
    center, scale = examples.extra["center"], examples.extra["scale"]

    def step(window: tf.Tensor) -> tf.Tensor:
        answer = model(((window - center) / scale)[..., tf.newaxis], training=False)
        return answer[:, 0] * scale + center

    return recursive(examples.extra["series"], step)


def _spread(ours: Forecaster, examples: Examples) -> Spread:
    return ours.calibrate(examples.extra["parts"].validation_origins(ours.recipe.max_horizon, ours.season))


JOB = Job(
    name="stock_rnn",
    title="Next day's price by four recurrent cells",
    course="004_1e87cdad635ebe4c, stock_rnn",
    recipe=Recipe(epochs=100, batch_size=32, learning_rate=0.005, save_every=50),
    quick=Recipe(epochs=10, batch_size=32, learning_rate=0.01, save_every=10),
    policy=GatePolicy("skill", bound=-0.5, largest_loss=0.05),
    load=load,
    build=build,
    evaluate=evaluate,
    serve=serve,
    takes=CSV_OPTIONS,
)
