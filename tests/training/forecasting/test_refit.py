"""The fit on all data after the test."""

import keras
import numpy as np

from training.core.job import JobOptions
from training.core.recipe import Recipe
from training.forecasting.refit import refit


def test_the_recipe_s_optimiser_fits_again() -> None:
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(loss="mse", optimizer=keras.optimizers.Adam(0.01))
    recipe = Recipe(epochs=1, batch_size=1, learning_rate=0.01, optimizer="sgd", momentum=0.5)
    said: list[str] = []
    refit(model, np.ones((4, 1)), np.ones((4, 1)), JobOptions(say=said.append), recipe)
    assert isinstance(model.optimizer, keras.optimizers.SGD) and model.optimizer.momentum == 0.5
    assert said == ["fitting again on all 4 windows, for the version to serve"]
