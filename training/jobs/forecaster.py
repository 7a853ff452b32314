"""The next values of any series, by the best of thirteen forecasters in a backtest.

    vitrine train forecaster --csv series.csv --as NAME           half a minute on two CPU cores
    vitrine train forecaster --csv series.csv --as NAME --quick   20 seconds

The series may be hourly, daily, business daily, weekly, monthly, quarterly or yearly; period, season and unit come from
the file. Candidates: the last value, drift, the last season, Theta and damped exponential smoothing with and without a
season, a linear autoregression, the nets of `sine_rnn` and `stock_rnn`, a GRU over the changes, a temporal convolution,
and the mean of the three best. All read a window less its last value in units of its mean absolute change, so that
level and unit do not matter, nor zeros and negative values.

The split is chronological: each candidate is fitted on the first 70 % of the values and forecasts from every origin of
the next 15 %. The one with the smallest mean absolute error is measured on the last 15 %, fitted on all values and
published, also if it is a naive one; card, log and answers name it. The longest horizon is that of the M4 competition.
"""

from dataclasses import replace

import keras
import numpy as np

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
from training.forecasting.windows import chronological

#: Steps that a version forecasts, by the unit of a step.
HORIZONS = {"day": 14, "week": 13, "month": 18, "quarter": 8, "year": 6}
WITHIN_A_DAY = 48
WINDOW, SEASONS = 64, 3
MOST_VALUES = 20_000
MOST_WINDOWS = 3_000  # of a fit, spread over the training part


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
    notes = series.notes
    if len(values) < len(series.values):
        notes += (f"Used the newest {len(values):,} of {len(series.values):,} values.",)
    rows = {"train": len(train[0]), "validation": len(validation[0]), "test": len(test[0])}
    return Examples(
        train=train,
        validation=validation,
        test=test,
        extra={
            "parts": parts,
            "series": series.recipe(window).model_copy(update={"max_horizon": horizon}),
            "options": options,
            "recipe": recipe,
        },
        inputs={"level": sources.distribution(raw.mean(axis=1)), "volatility": sources.distribution(raw.std(axis=1))},
        data=series.data(rows, *train),
        notes=notes,
        title=f"Next values of {series.name} by the best of {len(candidates.WORDS)} forecasters",
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
    """Return the candidates' errors in the validation part, best first, and the best candidate."""
    parts, recipe = examples.extra["parts"], examples.extra["series"]
    origins = parts.validation_origins(recipe.max_horizon, recipe.season)
    matrices = classical.fitted(*examples.train, recipe.season)
    nets = {name: candidates.fixed(weights) for name, weights in matrices.items()}
    nets |= {layer.name: layer for layer in model.layers if isinstance(layer, keras.Model)}

    def forecaster(names: tuple[str, ...]) -> Forecaster:
        net = candidates.averaged([nets[name] for name in names])
        return candidates.forecaster(net, recipe, least_width(parts.train))

    errors = {name: forecaster((name,)).mean_error(origins) for name in nets}
    errors["mean"] = forecaster(candidates.best_three(errors)).mean_error(origins)
    return candidates.ranked(errors), forecaster(candidates.members(errors))


def evaluate(model: keras.Model, examples: Examples) -> Evaluation:
    parts, recipe = examples.extra["parts"], examples.extra["series"]
    errors, best = backtested(model, examples)
    spread = best.calibrate(held_out(candidates.members(errors), examples, parts.first_test))
    near, far = parts.test_origins(recipe.max_horizon, recipe.season)
    evaluation = best.measure(near, far, spread, recipe.season)
    rounding = backtest.EXACT * float(far.truth.std()) or 1.0
    hurdle = max(min(evaluation.hurdles.values()), rounding)
    metrics = {**evaluation.metrics, "hurdle_ratio": max(evaluation.metrics["horizon_mae"], rounding) / hurdle}
    metrics |= {f"backtest_{name}_mae": error for name, error in errors.items()}
    return replace(evaluation, metrics=metrics, notes=(chosen(errors, recipe.unit), *evaluation.notes))


def chosen(errors: dict[str, float], unit: str) -> str:
    """Say which candidate won, for log, card and answers."""
    (best, error), (second, after), *_ = errors.items()
    unit = "" if unit == "1" else f" {unit}"
    if best in candidates.NAIVE:
        return (
            f"This is {candidates.WORDS[best]}: none of {len(errors)} candidates was better in the backtest. "
            f"Its mean absolute error was {error:.4g}{unit}, that of {candidates.WORDS[second]} {after:.4g}{unit}."
        )
    naive = min(candidates.NAIVE, key=lambda name: errors.get(name, np.inf))
    parts = [candidates.WORDS[name] for name in candidates.members(errors)]
    words = parts[0] if len(parts) == 1 else f"the mean of {', '.join(parts[:-1])} and {parts[-1]}"
    return (
        f"This is {words}, the best of {len(errors)} candidates in the backtest: its mean absolute error there was "
        f"{error:.4g}{unit}, that of {candidates.WORDS[naive]} {errors[naive]:.4g}{unit}."
    )


def held_out(names: tuple[str, ...], examples: Examples, end: int) -> backtest.Origins:
    """Return the origins before ``end`` that calibrate the interval.

    A classical forecast has few parameters, so that its errors in the training part count, too; a net's do not.
    """
    parts, recipe = examples.extra["parts"], examples.extra["series"]
    with_net = set(names) & set(candidates.nets(recipe.window, recipe.max_horizon))
    first = parts.first_validation if with_net else max(recipe.window, recipe.season, 2)
    return backtest.roll(
        parts.series[:end], first, window=recipe.window, horizon=recipe.max_horizon, season=recipe.season
    )


def serve(model: keras.Model, examples: Examples) -> ExportedModel:
    """Export the best candidate, fitted again on all values; its interval keeps the errors of the first fit."""
    parts, recipe = examples.extra["parts"], examples.extra["series"]
    errors, best = backtested(model, examples)
    names = candidates.members(errors)
    spread = best.calibrate(held_out(names, examples, len(parts.series)))
    net = refitted(names, examples)
    samples = np.lib.stride_tricks.sliding_window_view(parts.test, recipe.window)[:32]
    served = candidates.forecaster(net, recipe, least_width(parts.train))
    return replace(series_model(net, served, spread, samples), refitted=True)


def refitted(names: tuple[str, ...], examples: Examples) -> keras.Model:
    """Return candidates fitted on all values, or their mean."""
    parts, series, recipe, options = (examples.extra[name] for name in ("parts", "series", "recipe", "options"))
    every = examples_of(parts.series, series.window, series.max_horizon, least_width(parts.train))
    seed_everything(recipe)
    nets = {name: net for name, net in candidates.nets(series.window, series.max_horizon).items() if name in names}
    if nets:
        refit(compiled(list(nets.values()), len(every[0]), recipe), *every, options, recipe)
    if len(nets) < len(names):
        matrices = classical.fitted(*every, series.season)
        nets |= {name: candidates.fixed(matrices[name]) for name in names if name in matrices}
    return candidates.averaged([nets[name] for name in names])


JOB = Job(
    name="forecaster",
    title="Next values of a series by the best of thirteen forecasters",
    course=None,
    recipe=Recipe(epochs=30, batch_size=64, learning_rate=0.003, save_every=10),
    quick=Recipe(epochs=4, batch_size=64, learning_rate=0.005, save_every=4),
    policy=GatePolicy("hurdle_ratio", higher_is_better=False, bound=1.2, largest_loss=0.1),
    load=load,
    build=build,
    evaluate=evaluate,
    serve=serve,
    takes=CSV_OPTIONS,
)
