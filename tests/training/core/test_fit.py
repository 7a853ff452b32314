"""Checkpoints: a resumed run gives the weights of an uninterrupted one, and another recipe is refused."""

from collections.abc import Mapping
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from serving.artifacts.model_card import Data
from training.core import fit
from training.core.checkpoint import Checkpoint
from training.core.errors import JobError
from training.core.examples import Examples
from training.core.recipe import Recipe

RECIPE = Recipe(epochs=5, batch_size=8, learning_rate=0.01)


def examples() -> Examples:
    rng = np.random.default_rng(0)
    x = rng.normal(0, 1, (64, 4)).astype(np.float32)
    y = (x.sum(axis=1) > 0).astype(np.int64)
    data = Data(name="toy", source="test", licence="none", rows={"train": 64})
    return Examples(train=(x, y), test=(x, y), data=data)


def model() -> keras.Model:
    """Dropout and Adam make random states and moments matter."""
    fit.seed_everything(RECIPE)
    net = keras.Sequential(
        [keras.Input((4,)), layers.Dense(8, activation="relu"), layers.Dropout(0.5), layers.Dense(2, "softmax")]
    )
    net.compile(loss="sparse_categorical_crossentropy", optimizer=keras.optimizers.Adam(0.01), metrics=["accuracy"])
    return net


class Killed(Exception):
    pass


def quiet(epoch: int, percent: int, figures: Mapping[str, float]) -> None:
    pass


@pytest.mark.parametrize("save_every", [1, 2])
def test_an_interrupted_run_gives_the_same_weights(tmp_path: Path, save_every: int) -> None:
    recipe = Recipe(epochs=5, batch_size=8, learning_rate=0.01, save_every=save_every)
    whole = model()
    expected = fit.fit(whole, examples(), recipe, Checkpoint(tmp_path / "whole", {}), quiet)

    def die_in_the_fourth(epoch: int, percent: int, figures: Mapping[str, float]) -> None:
        if epoch == 3:
            raise Killed

    with pytest.raises(Killed):
        fit.fit(model(), examples(), recipe, Checkpoint(tmp_path / "broken", {}), die_in_the_fourth)
    again = model()
    found = fit.fit(again, examples(), recipe, Checkpoint(tmp_path / "broken", {}), quiet)
    assert found.resumed_at == (3 if save_every == 1 else 2)
    for ours, theirs in zip(again.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert found.history == expected.history
    assert len(found.history["loss"]) == 5


def test_an_unfinished_run_of_another_recipe_is_refused(tmp_path: Path) -> None:
    fit.fit(model(), examples(), Recipe(1, 8, 0.01), Checkpoint(tmp_path, {"epochs": 1, "batch_size": 8}), quiet)
    with pytest.raises(JobError, match=r"batch_size was 8, now 16.*start over with --fresh"):
        Checkpoint(tmp_path, {"epochs": 1, "batch_size": 16}).read()


def test_a_finished_fit_is_not_repeated(tmp_path: Path) -> None:
    first = fit.fit(model(), examples(), RECIPE, Checkpoint(tmp_path, {}), quiet)
    second = fit.fit(model(), examples(), RECIPE, Checkpoint(tmp_path, {}), quiet)
    assert second.resumed_at == RECIPE.epochs
    assert second.history == first.history


def test_a_checkpoint_is_locked_against_another_process(tmp_path: Path) -> None:
    with (
        Checkpoint(tmp_path / "run", {}).locked(),
        pytest.raises(JobError, match="another process is training"),
        Checkpoint(tmp_path / "run", {}).locked(),
    ):
        pass
    with Checkpoint(tmp_path / "run", {}).locked():
        pass
