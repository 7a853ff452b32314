"""The next values of any series, by one of twelve forecasters that a backtest chooses.

    vitrine train forecaster --csv series.csv --as NAME           half a minute on two CPU cores
    vitrine train forecaster --csv series.csv --as NAME --quick   20 seconds

The series may be hourly, daily, business daily, weekly, monthly, quarterly or yearly; period, season and unit come from
the file. Candidates: the last value, drift, the last season, Theta and damped exponential smoothing with and without a
season, a linear autoregression, the nets of `sine_rnn` and `stock_rnn`, a GRU over the changes and a temporal
convolution. All read a window less its last value in units of its mean absolute change, so that level and unit do not
matter, nor zeros and negative values.

The split is chronological: each candidate is fitted on the first 70 % of the values and forecasts from every origin of
the next 15 %. The simplest one whose mean absolute error there is within one standard error of the smallest is measured
on the last 15 %, fitted again on all values and published, also if it is a naive one; card, log and answers name it.
The longest horizon is that of the M4 competition.

Expect at most the error of the best of naive forecasts, AutoETS and AutoTheta on the five series of
``benchmarks/forecasting.py``: 1.00 of it on AAPL's prices (the last value wins), .62 on weekly carbon dioxide, .81 on
El Niño, .83 on Seattle's temperatures and .99 on days with a weekly season. The 90 % interval covers .87 to .94.
"""

from dataclasses import replace

import keras
import numpy as np

from serving.artifacts.model_card import Check
from training.core.array import Array
from training.core.errors import JobError
from training.core.examples import Evaluation, Examples
from training.core.fit import seed_everything
from training.core.gate import GatePolicy
from training.core.job import CSV_OPTIONS, Job, JobOptions
from training.core.recipe import Recipe
from training.data import sources, stocks
from training.export.exported_model import ExportedModel
from training.export.series import series_model
from training.forecasting import backtest, candidates, classical
from training.forecasting.forecaster import Forecaster
from training.forecasting.refit import refit
from training.forecasting.scaling import least_width
from training.forecasting.typical_windows import of_split
from training.forecasting.windows import chronological

#: Steps that a version forecasts, by the unit of a step.
HORIZONS = {"day": 14, "week": 13, "month": 18, "quarter": 8, "year": 6}
WITHIN_A_DAY = 48
WINDOW, SEASONS = 64, 3
LARGEST_RATIO = 1.2  # of the error and the best hurdle's, for the gate
MOST_VALUES = 20_000
MOST_WINDOWS = 3_000  # of a fit, spread over the training part
_WINDOWS_PER_COEFFICIENT = 5  # from here on an autoregression has about the same errors on its fit as later


def load(options: JobOptions, recipe: Recipe) -> Examples:
    if options.csv is None:
        raise JobError("--csv is missing: a file with one row for each time, and a column of values")
    series = stocks.from_options(options, fewest=stocks.FEWEST_OF_FORECASTER)
    values = series.values[-MOST_VALUES:]
    unit = series.period.step.rstrip("s").split()[-1]
    horizon = min(HORIZONS.get(unit, WITHIN_A_DAY), len(values) // 20)
    window = min(max(WINDOW, SEASONS * series.period.season), len(values) // 3)
    parts = chronological(values, window)
    train = examples_of(parts.train, window, horizon, least_width(parts.train))
    validation, test = (examples_of(part, window, horizon) for part in (parts.validation, parts.test))
    raw = np.lib.stride_tricks.sliding_window_view(parts.train, window)
    counts = bool(series.values.min() >= 0 and not np.mod(series.values, 1).any())
    notes = (*series.notes, *["All values are counts: no forecast is below 0."] * counts)
    if len(values) < len(series.values):
        notes += (f"Used the newest {len(values):,} of {len(series.values):,} values.",)
    rows = {"train": len(train[0]), "validation": len(validation[0]), "test": len(test[0])}
    return Examples(
        train=train,
        validation=validation,
        test=test,
        extra={
            "parts": parts,
            "series": series.recipe(window).model_copy(
                update={"max_horizon": horizon, "minimum": 0.0 if counts else None}
            ),
            "options": options,
            "recipe": recipe,
        },
        inputs={"level": sources.distribution(raw.mean(axis=1)), "volatility": sources.distribution(raw.std(axis=1))},
        data=series.data(rows, *train),
        notes=notes,
        title=f"Next values of {series.name} by one of {len(candidates.WORDS)} forecasters",
    )


def examples_of(part: Array, window: int, horizon: int, least: float = 0.0) -> tuple[Array, Array]:
    """Return scaled windows and the values after them; at most 3,000, evenly spread."""
    rows = np.lib.stride_tricks.sliding_window_view(part, window + horizon)
    rows = rows[np.linspace(0, len(rows) - 1, min(len(rows), MOST_WINDOWS)).astype(int)]
    return candidates.scaled(rows[:, :window], rows[:, window:], least)


def build(examples: Examples, options: JobOptions, recipe: Recipe) -> keras.Model:
    """Return the nets side by side; the other candidates need no fit by gradient."""
    members = list(candidates.nets(examples.train[0].shape[1], examples.train[1].shape[1]).values())
    return compiled(members, len(examples.train[0]), recipe)


def compiled(members: list[keras.Model], rows: int, recipe: Recipe) -> keras.Model:
    model = candidates.side_by_side(members)
    steps = max(recipe.epochs, 1) * -(-rows // recipe.batch_size)
    schedule = keras.optimizers.schedules.CosineDecay(recipe.learning_rate, steps)
    model.compile(loss=candidates.absolute_error(members), optimizer=keras.optimizers.Adam(schedule))
    return model


def backtested(model: keras.Model, examples: Examples) -> tuple[dict[str, float], Forecaster]:
    """Return the candidates' errors in the validation part, the chosen one's first, and the chosen one."""
    parts, recipe = examples.extra["parts"], examples.extra["series"]
    origins = parts.validation_origins(recipe.max_horizon, recipe.season)
    matrices = classical.fitted(*examples.train, recipe.season)
    nets = {name: candidates.fixed(weights) for name, weights in matrices.items()}
    nets |= {layer.name: layer for layer in model.layers if isinstance(layer, keras.Model)}
    least = least_width(parts.train)
    forecasters = {name: candidates.forecaster(net, recipe, least) for name, net in nets.items()}
    errors = {name: one.errors(origins) for name, one in forecasters.items()}
    winner = candidates.simplest(errors, (parts.first_test - parts.first_validation) / recipe.max_horizon)
    means = sorted(((name, float(values.mean())) for name, values in errors.items()), key=lambda pair: pair[1])
    return {winner: float(errors[winner].mean()), **dict(means)}, forecasters[winner]


def evaluate(model: keras.Model, examples: Examples) -> Evaluation:
    parts, recipe = examples.extra["parts"], examples.extra["series"]
    errors, best = backtested(model, examples)
    spread = best.calibrate(held_out(next(iter(errors)), examples, parts.first_test))
    near, far = parts.test_origins(recipe.max_horizon, recipe.season)
    evaluation = best.measure(near, far, spread, recipe.season)
    rounding = backtest.EXACT * float(far.truth.std()) or 1.0
    hurdle = max(min(evaluation.hurdles.values()), rounding)
    metrics = {**evaluation.metrics, "hurdle_ratio": max(evaluation.metrics["horizon_mae"], rounding) / hurdle}
    metrics |= {f"backtest_{name}_mae": error for name, error in errors.items()}
    ratio = Check(
        name="hurdle_ratio", value=metrics["hurdle_ratio"], bound=LARGEST_RATIO, at_least=False, rows=far.truth.size
    )
    notes = (chosen(errors, recipe.unit), *evaluation.notes)
    return replace(evaluation, metrics=metrics, notes=notes, checks=(ratio,))


def chosen(errors: dict[str, float], unit: str) -> str:
    """Say which candidate was chosen, for log, card and answers; its error comes first."""
    name, error = next(iter(errors.items()))
    naive, best = (
        min(names, key=lambda one: errors.get(one, np.inf)) for names in (candidates.NAIVE, list(candidates.WORDS))
    )
    unit = "" if unit == "1" else f" {unit}"
    measured = f"its mean absolute error in the backtest was {error:.4g}{unit}"
    if name not in candidates.NAIVE:
        return (
            f"This is {candidates.WORDS[name]}, chosen among {len(errors)} candidates: {measured}, that of "
            f"{candidates.WORDS[naive]} {errors[naive]:.4g}{unit}."
        )
    smallest = "" if name == best else f", the smallest one {errors[best]:.4g}{unit} ({candidates.WORDS[best]})"
    return (
        f"This is {candidates.WORDS[name]}: none of {len(errors)} candidates was clearly better. "
        f"I{measured[1:]}{smallest}."
    )


def held_out(name: str, examples: Examples, end: int) -> backtest.Origins:
    """Return the origins before ``end`` that calibrate the interval.

    A forecast with few parameters has about the same errors in the training part, so that those count, too: a classical
    one, and an autoregression with five windows for each coefficient. The errors of others are smaller there.
    """
    parts, recipe = examples.extra["parts"], examples.extra["series"]
    before = max(recipe.window, recipe.season, 2)
    enough = len(examples.train[0]) >= _WINDOWS_PER_COEFFICIENT * recipe.window
    few = name in candidates.FEW_PARAMETERS or (name == "autoregression" and enough)
    first = before if few else parts.first_validation
    return backtest.roll(
        parts.series[:end], first, window=recipe.window, horizon=recipe.max_horizon, season=recipe.season
    )


def serve(model: keras.Model, examples: Examples) -> ExportedModel:
    """Export the chosen candidate, fitted again on all values; its interval keeps the errors of the first fit."""
    parts, recipe = examples.extra["parts"], examples.extra["series"]
    errors, tested = backtested(model, examples)
    name = next(iter(errors))
    spread = tested.calibrate(held_out(name, examples, len(parts.series)))
    net = refitted(name, examples)
    samples = np.lib.stride_tricks.sliding_window_view(parts.test, recipe.window)[:32]
    served = candidates.forecaster(net, recipe, least_width(parts.train))
    return replace(of_split(series_model(net, served, spread, samples), parts), refitted=True)


def refitted(name: str, examples: Examples) -> keras.Model:
    """Return a candidate fitted on all values."""
    parts, series, recipe, options = (examples.extra[name] for name in ("parts", "series", "recipe", "options"))
    every = examples_of(parts.series, series.window, series.max_horizon, least_width(parts.train))
    seed_everything(recipe)
    nets = candidates.nets(series.window, series.max_horizon)
    if name not in nets:
        return candidates.fixed(classical.fitted(*every, series.season)[name])
    refit(compiled([nets[name]], len(every[0]), recipe), *every, options, recipe)
    return nets[name]


JOB = Job(
    name="forecaster",
    title="Next values of a series by one of twelve forecasters",
    course=None,
    recipe=Recipe(epochs=30, batch_size=64, learning_rate=0.003, save_every=10),
    quick=Recipe(epochs=4, batch_size=64, learning_rate=0.005, save_every=4),
    policy=GatePolicy("horizon_skill", bound=-0.5, largest_loss=0.05),
    load=load,
    build=build,
    evaluate=evaluate,
    serve=serve,
    takes=CSV_OPTIONS,
)
