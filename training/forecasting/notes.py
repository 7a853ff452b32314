"""Warnings for the card of a forecaster."""

from collections.abc import Mapping

from serving.artifacts.model_card import SeriesRecipe


def notes(metrics: Mapping[str, float], recipe: SeriesRecipe, season: int) -> tuple[str, ...]:
    """Return warnings about naive forecasts that are as good and a narrow interval.

    Args:
        metrics: those of :meth:`training.forecasting.forecaster.Forecaster.measure`.
        recipe: level, unit, step and longest horizon of the forecaster.
        season: steps of the seasonal naive forecast.
    """
    warnings = []
    if recipe.level and metrics["coverage"] < recipe.level - 0.1:
        warnings.append(
            f"The interval is meant to cover {recipe.level:.0%} and covers {metrics['coverage']:.0%} of the test part: "
            "the series behaves differently than in the validation part."
        )
    unit = "" if recipe.unit == "1" else f" {recipe.unit}"
    naive = {
        "naive": "the next value equals the last one",
        "seasonal": f"the value of {season} steps before repeats",
        "drift": "the mean change since the start continues",
    }
    for prefix, span in {"": f"{recipe.duration} ahead", "horizon_": f"over {recipe.max_horizon} steps ahead"}.items():
        better = [
            f'"{sentence}" ({metrics[f"{prefix}{name}_mae"]:.4g}{unit})'
            for name, sentence in naive.items()
            if metrics[prefix + ("skill" if name == "naive" else f"{name}_skill")] <= 0
        ]
        if better:
            ours = metrics["horizon_mae" if prefix else "test_mae"]
            warnings.append(
                f"No better than {' or '.join(better)}: {span} its mean absolute error is {ours:.4g}{unit}."
            )
    return tuple(warnings)
