"""The next day's price by four recurrent cells.

Course document 004_1e87cdad635ebe4c, "stock_rnn".

    vitrine train stock_rnn                                            40 seconds on two CPU cores, GOOG 2004-2008
    vitrine train stock_rnn --csv prices.csv --column Close --as mine

Model: windows of ten daily prices, a SimpleRNN of four cells, Dense(1). The dense layer combines the cells' four
values, each between −1 and 1, into one price: W [4, 1] and b [1]. Parameters: 4·(1 + 4 + 1) = 24 (each cell has one
input weight, four recurrent ones and a bias) and 4 + 1 = 5.

The net reads and predicts scaled windows: each value less the window's last one, divided by the window's mean absolute
change. So it works at any level and unit, for zeros and negative values, too.

The split is chronological: the last 15 % of the days are the test part, the 15 % before them the validation part. After
the test the net is fitted again on all days, and that one is served. A price is close to a random walk, so expect a
skill of −.02 against "tomorrow equals today" (10.54 USD against 10.38); the card says so. On absolute levels, which the
document neither asks for nor forbids, the same net has a skill of −.26.
"""

from dataclasses import replace

import keras
import tensorflow as tf
from keras import layers

from training.core.examples import Evaluation, Examples
from training.core.gate import GatePolicy
from training.core.job import CSV_OPTIONS, Job, JobOptions, require_parameters
from training.core.recipe import Recipe
from training.data import sources, stocks
from training.export.exported_model import ExportedModel
from training.export.series import series_model
from training.forecasting.forecaster import Forecaster, recursive
from training.forecasting.refit import refit
from training.forecasting.scaling import centre_and_scale, least_width, scaled_windows
from training.forecasting.typical_windows import of_split
from training.forecasting.windows import chronological, windows

WINDOW = 10


def load(options: JobOptions, recipe: Recipe) -> Examples:
    prices = stocks.from_options(options)
    parts = chronological(prices.values, WINDOW)
    x, y = scaled_windows(parts.train, WINDOW)
    raw, _ = windows(parts.train, WINDOW)
    validation, test = scaled_windows(parts.validation, WINDOW), scaled_windows(parts.test, WINDOW)
    return Examples(
        train=(x, y),
        validation=validation,
        test=test,
        extra={"parts": parts, "series": prices.recipe(WINDOW), "options": options, "recipe": recipe},
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
    horizon, season = ours.recipe.max_horizon, ours.season
    near, far = parts.test_origins(horizon, season)
    return ours.measure(near, far, ours.calibrate(parts.validation_origins(horizon, season)), season)


def serve(model: keras.Model, examples: Examples) -> ExportedModel:
    parts, options, recipe = (examples.extra[name] for name in ("parts", "options", "recipe"))
    tested = forecaster(model, examples)
    spread = tested.calibrate(parts.held_out_origins(tested.recipe.max_horizon, tested.season))
    final = build(examples, options, recipe)
    refit(final, *scaled_windows(parts.series, WINDOW), options, recipe)
    samples, _ = windows(parts.test, WINDOW)
    exported = series_model(final, forecaster(final, examples), spread, samples[:32])
    return replace(of_split(exported, parts), refitted=True)


def forecaster(model: keras.Model, examples: Examples) -> Forecaster:
    least = least_width(examples.extra["parts"].train)

    def step(window: tf.Tensor) -> tf.Tensor:
        centre, scale = centre_and_scale(window)
        return (model(((window - centre) / scale)[..., tf.newaxis], training=False) * scale + centre)[:, 0]

    def width(window: tf.Tensor) -> tf.Tensor:
        return tf.maximum(centre_and_scale(window)[1], least)

    return replace(recursive(examples.extra["series"], step), width=width)


JOB = Job(
    name="stock_rnn",
    title="Next day's price by four recurrent cells",
    course="004_1e87cdad635ebe4c, stock_rnn",
    recipe=Recipe(epochs=100, batch_size=32, learning_rate=0.005, save_every=50),
    quick=Recipe(epochs=10, batch_size=32, learning_rate=0.01, save_every=10),
    policy=GatePolicy("horizon_skill", bound=-0.1, largest_loss=0.05),
    load=load,
    build=build,
    evaluate=evaluate,
    serve=serve,
    takes=CSV_OPTIONS,
)
