"""Warnings for the card of a forecaster."""

from collections.abc import Mapping

from serving.artifacts.model_card import SeriesRecipe
from training.forecasting.backtest import EXACT
from training.forecasting.hurdles import HURDLES, best


def notes(metrics: Mapping[str, float], recipe: SeriesRecipe, season: int, deviation: float) -> tuple[str, ...]:
    """Return warnings about a hurdle that is as good, and about a narrow interval.

    Args:
        metrics: those of :meth:`training.forecasting.forecaster.Forecaster.measure`.
        recipe: level, unit, step and longest horizon of the forecaster.
        season: steps of the seasonal naive forecast.
        deviation: standard deviation of the true values; a forecast whose error is rounding beside it is exact.
    """
    warnings = []
    if recipe.level and metrics["coverage"] < recipe.level - 0.1:
        warnings.append(
            f"The interval is meant to cover {recipe.level:.0%} and covers {metrics['coverage']:.0%} of the test part: "
            "the series behaves differently than in the validation part."
        )
    unit = "" if recipe.unit == "1" else f" {recipe.unit}"
    for prefix, span in {"": f"{recipe.duration} ahead", "horizon_": f"over {recipe.max_horizon} steps ahead"}.items():
        errors = {name: metrics[f"{prefix}{name}_mae"] for name in HURDLES if f"{prefix}{name}_mae" in metrics}
        ours, hurdle = metrics["horizon_mae" if prefix else "test_mae"], best(errors)
        if ours > EXACT * deviation and metrics[prefix + ("skill" if hurdle == "naive" else f"{hurdle}_skill")] <= 0:
            sentence = HURDLES[hurdle].format(season=season)
            warnings.append(
                f"No better than {sentence} ({errors[hurdle]:.4g}{unit}): {span} its mean absolute error is "
                f"{ours:.4g}{unit}."
            )
    return tuple(warnings)
