"""The next day's price by four recurrent cells (course document 004_1e87cdad635ebe4c, "stock_rnn").

    vitrine train stock_rnn                                            20 seconds on two cores, on GOOG 2004-2008
    vitrine train stock_rnn --csv prices.csv --column Close --as mine

Windows of ten daily prices, a SimpleRNN of four cells, Dense(1). Why the dense layer? The four cells answer four values
between −1 and 1; the price is one value of any size, so a last layer weighs them: W [4, 1] and b [1]. Parameters:
4·(1 + 4 + 1) = 24 (each cell: one input weight, four recurrent ones, a bias) and 4 + 1 = 5.

Validated on a chronological split: the last 15 % of the days are the test part, the 15 % before them the validation
part. A price follows nearly a random walk, so expect a skill below 0 against "tomorrow equals today"; the card says so.
"""

import keras
import numpy as np
from keras import layers

from serving.card import Data, SeriesRecipe
from training import forecasting
from training.data import sources, stocks
from training.export.servable import Servable, series_servable
from training.gate import Policy
from training.job import Array, Evaluation, Examples, Job, Options, Recipe, require_parameters

SERIES = SeriesRecipe(window=10, max_horizon=30, step="day", unit="USD", level=0.9)


def load(options: Options, recipe: Recipe) -> Examples:
    prices = stocks.load(options.csv, options.column)
    parts = forecasting.chronological(prices.values, SERIES.window)
    center, scale = float(parts.train.mean()), float(parts.train.std()) or 1.0

    def examples(part: Array) -> tuple[Array, Array]:
        x, y = forecasting.windows((part - center) / scale, SERIES.window)
        return x[..., None].astype(np.float32), y.astype(np.float32)

    x, y = examples(parts.train)
    raw, _ = forecasting.windows(parts.train, SERIES.window)
    validation, test = examples(parts.validation), examples(parts.test)
    return Examples(
        train=(x, y),
        validation=validation,
        test=test,
        extra={"center": center, "scale": scale, "validation": parts.validation, "test": parts.test},
        inputs={"level": sources.distribution(raw.mean(axis=1)), "volatility": sources.distribution(raw.std(axis=1))},
        data=Data(
            name=prices.name,
            source=prices.source,
            licence=prices.licence,
            rows={"train": len(x), "validation": len(validation[0]), "test": len(test[0])},
            sha256=sources.digest(x, y),
        ),
    )


def build(examples: Examples, options: Options, recipe: Recipe) -> keras.Model:
    model = keras.Sequential([keras.Input((SERIES.window, 1)), layers.SimpleRNN(4), layers.Dense(1)])
    require_parameters(model, 24 + 5)
    model.compile(loss="mse", optimizer=keras.optimizers.Adam(recipe.learning_rate))
    return model


def evaluate(model: keras.Model, examples: Examples) -> Evaluation:
    x, truth = forecasting.windows(examples.extra["test"], SERIES.window)
    prediction = _step(model, examples, x)
    figures = forecasting.against_naive(truth, prediction, x[:, -1])
    errors = forecasting.backtest(lambda w: _step(model, examples, w), examples.extra["test"], SERIES)
    figures["coverage"] = forecasting.coverage(errors, _spread(model, examples))
    return Evaluation(figures, truth=truth, answer=prediction, notes=forecasting.notes(figures, SERIES))


def serve(model: keras.Model, examples: Examples) -> Servable:
    samples, _ = forecasting.windows(examples.extra["test"], SERIES.window)
    return series_servable(
        model,
        SERIES,
        examples.extra["center"],
        examples.extra["scale"],
        _spread(model, examples),
        samples[:32].astype(np.float32),
    )


def _step(model: keras.Model, examples: Examples, windows: Array) -> Array:
    """Windows of prices [n, 10] → the next prices [n]."""
    center, scale = examples.extra["center"], examples.extra["scale"]
    scaled = ((windows - center) / scale).astype(np.float32)
    return model.predict_on_batch(scaled[..., None])[:, 0].astype(np.float64) * scale + center


def _spread(model: keras.Model, examples: Examples) -> Array:
    errors = forecasting.backtest(lambda w: _step(model, examples, w), examples.extra["validation"], SERIES)
    return forecasting.conformal_spread(errors, SERIES.level or 0.9)


JOB = Job(
    name="stock_rnn",
    title="Next day's price by four recurrent cells",
    course="004_1e87cdad635ebe4c, stock_rnn",
    recipe=Recipe(epochs=100, batch_size=32, learning_rate=0.005, save_every=20),
    quick=Recipe(epochs=10, batch_size=32, learning_rate=0.01, save_every=10),
    policy=Policy("skill", largest_loss=0.05),
    load=load,
    build=build,
    evaluate=evaluate,
    serve=serve,
    takes=frozenset({"csv", "column"}),
)
