"""Refit a forecaster on all data after its test, so that the served model knows the newest values."""

import keras

from training.core.array import Array
from training.core.fit import choose_optimizer, seed_everything
from training.core.job import JobOptions
from training.core.recipe import Recipe


def refit(model: keras.Model, x: Array, y: Array, options: JobOptions, recipe: Recipe) -> None:
    """Fit a newly built model on all windows, those of the validation and test part included.

    The recipe is the tested model's. The card keeps the tested model's figures: no data is left to measure this one.

    Args:
        model: compiled, not fitted.
        x: windows of all data.
        y: the values after them.
        options: receives the progress.
        recipe: epochs, batch size, seeds and optimiser.
    """
    options.say(f"fitting again on all {len(x):,} windows, for the version to serve")
    choose_optimizer(model, recipe)
    seed_everything(recipe)
    model.fit(x, y, batch_size=recipe.batch_size, epochs=recipe.epochs, verbose=0)
