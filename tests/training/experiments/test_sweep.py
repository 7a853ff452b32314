"""Sweeps: held-out data, ranges of the fine stage, several processes, interruptions."""

import contextlib
import json
import shlex
import signal
import sqlite3
import sys
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import optuna
import pytest
from typer.testing import CliRunner

from serving.artifacts.model_card import Data
from serving.cli.main import app
from tests import postgres
from tests.programs import Program
from tests.serving.inputs.series_csv.files import table
from training.cli.train import read_params
from training.core.catalogue import JOBS, find
from training.core.errors import JobError
from training.core.examples import Examples
from training.core.fit import choose_optimizer
from training.core.job import JobOptions
from training.core.recipe import BATCH_SIZE, MOMENTUM, OPTIMIZER, Choices, Range, Recipe
from training.experiments import sweep

FEW = ("--quick", "--trials", "3", "--fine-trials", "1", "--seeds", "2")
VITRINE = (sys.executable, "-m", "serving.cli.main")


def examples(count: int = 100) -> Examples:
    x, y = np.arange(count)[:, None], np.arange(count)
    data = Data(name="toy", source="test", licence="none", rows={})
    return Examples(train=(x, y), test=(x + 1000, y), data=data)


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """A Boston Housing of noise, so that a trial takes a second."""
    rng = np.random.default_rng(0)
    x = rng.normal(0, 1, (506, 13))
    np.savez(tmp_path / "boston_housing.npz", x=x, y=x[:, 0] + 20)
    return {"VITRINE_DATA": str(tmp_path)}


def trials(url: str, name: str) -> list[optuna.trial.FrozenTrial]:
    kept = sweep.storage(url)
    try:
        return optuna.load_study(study_name=name, storage=kept).get_trials(states=sweep.DONE)
    finally:
        kept.engine.dispose()  # close its connections


@pytest.mark.parametrize("name", JOBS)
def test_ranges_are_fields_of_the_recipe(name: str) -> None:
    job = find(name)
    for field, within in job.search.items():
        assert hasattr(job.recipe, field)
        assert isinstance(within, Choices) or 0 <= within.low < within.high


def test_pictures_of_two_folders_do_not_share_trials() -> None:
    job, stage = find("image_classifier"), sweep.Stage("coarse", 0.2, 3)
    cats, dogs = (Data(name="own", source="own", licence="own", rows={}, sha256=digest) for digest in ("ca75", "d095"))
    own = JobOptions(data_dir=Path("own"), quick=True)
    assert sweep.study_name(job, own, cats, stage) == "image_classifier/ca75/quick-coarse"
    assert sweep.study_name(job, own, dogs, stage) == "image_classifier/d095/quick-coarse"
    assert sweep.study_name(find("sine_rnn"), JobOptions(), cats, stage) == "sine_rnn/coarse"


def test_a_fifth_of_the_training_part_is_held_out_and_the_test_part_is_not_touched() -> None:
    (x, y), (held, truth) = sweep.split(examples(), seed=2)
    assert len(x) == 80 and len(held) == 20
    assert sorted([*x[:, 0], *held[:, 0]]) == list(range(100))
    assert (x[:, 0] == y).all() and (held[:, 0] == truth).all()


def test_a_job_s_validation_part_is_held_out_unless_it_is_the_test_part() -> None:
    with_its_own = replace(examples(), validation=(np.zeros((7, 1)), np.zeros(7)))
    assert len(sweep.split(with_its_own, seed=2)[1][0]) == 7
    watched = examples()
    watched = replace(watched, validation=watched.test)
    assert sweep.split(watched, seed=2)[1][0].max() < 1000


@pytest.mark.parametrize(
    ("within", "best", "low", "high"),
    [
        (Range(1e-4, 1.0), 1e-2, 10**-2.5, 10**-1.5),
        (Range(1e-4, 1.0), 1e-4, 1e-4, 10**-3.5),
        (Range(0.0, 0.8, "linear"), 0.4, 0.3, 0.5),
        (BATCH_SIZE, 32, 16, 64),
        (BATCH_SIZE, 8, 8, 16),
        (Range(10, 90, "linear", whole=True), 50, 40, 60),
    ],
)
def test_the_fine_stage_looks_around_the_best(within: Range, best: float, low: float, high: float) -> None:
    found = sweep.narrowed(within, best)
    assert (found.low, found.high) == pytest.approx((low, high))


def test_suggestions_are_in_their_range() -> None:
    study = optuna.create_study()
    for _ in range(20):
        trial = study.ask()
        assert sweep.suggest(trial, "batch_size", BATCH_SIZE) in (8, 16, 32, 64, 128, 256)
        assert isinstance(sweep.suggest(trial, "epochs", Range(2, 9, whole=True)), int)
        assert 1e-4 <= sweep.suggest(trial, "learning_rate", Range(1e-4, 1e-1)) <= 1e-1


def test_only_sgd_gets_a_momentum_and_a_seeded_sampler_repeats_itself() -> None:
    def suggested(seed: int) -> list[dict[str, object]]:
        study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
        return [sweep.suggest_all(study.ask(), {"momentum": MOMENTUM, "optimizer": OPTIMIZER}) for _ in range(12)]

    found = suggested(1)
    assert {params["optimizer"] for params in found} == {"adam", "sgd", "rmsprop"}
    assert all(("momentum" in params) is (params["optimizer"] == "sgd") for params in found)
    assert suggested(1) == found != suggested(2)
    assert sweep.narrowed(OPTIMIZER, "sgd") == Choices(("sgd",))


def test_the_recipe_s_optimiser_replaces_the_job_s_with_its_learning_rate() -> None:
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    rate = keras.optimizers.schedules.CosineDecay(0.01, 100)
    model.compile(loss="mse", optimizer=keras.optimizers.Adam(rate))
    recipe = Recipe(epochs=1, batch_size=1, learning_rate=0.01).with_params({"optimizer": "sgd", "momentum": 0.5})
    choose_optimizer(model, recipe)
    assert isinstance(model.optimizer, keras.optimizers.SGD) and model.optimizer.momentum == 0.5
    model.fit(np.ones((1, 1)), np.ones((1, 1)), verbose=0)
    assert 0.0099 < float(model.optimizer.learning_rate) < 0.01


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({"learning_rat": 0.1}, "there is no parameter learning_rat; there are: epochs, batch_size, learning_rate"),
        ({"batch_size": 8.5}, "batch_size is 8.5; a whole number is expected"),
        ({"batch_size": 0}, "batch_size is 0; at least 1 is expected"),
        ({"learning_rate": "fast"}, "learning_rate is 'fast'; a number is expected"),
        ({"learning_rate": -1.0}, "learning_rate is -1.0; above 0 is expected"),
        ({"optimizer": "adagrad"}, "optimizer is 'adagrad'; adam, sgd, rmsprop are possible"),
        ({"optimizer": "sgd", "momentum": 1.0}, "momentum is 1.0; 0 to below 1 is expected"),
        ({"momentum": 0.9}, "momentum needs the optimizer sgd or rmsprop; it is None"),
        ({"examples": True}, "examples is True; a whole number is expected"),
    ],
)
def test_invalid_parameters_are_refused(params: dict[str, float], reason: str) -> None:
    with pytest.raises(JobError, match=reason):
        find("fashion_cnn").recipe_for(JobOptions(params=params))


def test_parameters_replace_fields_of_the_recipe() -> None:
    recipe = find("fashion_cnn").recipe_for(JobOptions(params={"learning_rate": 0.01, "examples": 500}))
    assert (recipe.learning_rate, recipe.examples, recipe.batch_size) == (0.01, 500, 16)


def test_an_unusable_storage_is_an_error(tmp_path: Path) -> None:
    for url in ("nowhere", "postgresql://vitrine@127.0.0.1:1/none"):
        with pytest.raises(JobError, match=r"--storage cannot be used: .* is expected"):
            sweep.storage(url)


def test_a_sweep_on_the_user_s_series_names_the_command_to_train(tmp_path: Path) -> None:
    path, out = tmp_path / "my prices.csv", tmp_path / "best.json"
    path.write_text(table("Day,Price", lambda day, price: f"{day:%d/%m/%Y},{price}"), encoding="utf-8")
    data = ["--csv", str(path), "--column", "Price", "--day-first"]
    few = [
        "--storage",
        f"sqlite:///{tmp_path}/sweep.db",
        "--out",
        str(out),
        "--trials",
        "1",
        "--fine-trials",
        "1",
        "--seeds",
        "2",
    ]
    program = Program([*VITRINE, "sweep", "stock_rnn", "--quick", *data, *few], {})
    assert program.process.wait(240) == 0, program.output
    program.stop()
    arguments = shlex.join(["stock_rnn", *data, "--params", str(out)])
    assert f"vitrine train {arguments} --as NAME" in program.output
    assert {"learning_rate", "batch_size", "optimizer"} <= set(json.loads(out.read_bytes()))
    assert "± " in program.output and "on held-out data, 2 seeds: learning_rate" in program.output


def test_the_trial_that_made_a_recipe_a_finalist_does_not_count() -> None:
    """Its value is the best of many, often by luck."""
    study = optuna.create_study()
    for value, rate in ((0.1, 0.5), (0.2, 0.25)):
        study.add_trial(optuna.trial.create_trial(value=value, user_attrs={"params": {"learning_rate": rate}}))

    class Fits(sweep._Trial):
        def fit(self, recipe: Recipe, report: object = None) -> float:
            assert recipe.seed in (8, 9)
            return recipe.learning_rate

    fits = Fits(find("boston_decay"), JobOptions(), Recipe(1, 1, 1.0, seed=7), examples(), {}, "val_loss")
    first, second = sweep._finalists(study, fits, seeds=2)
    assert (first.params, first.values, second.mean) == ({"learning_rate": 0.25}, [0.25, 0.25], 0.5)
    (alone,) = sweep._finalists(study, fits, seeds=1)
    assert alone.values == [0.1]


def test_a_killed_sweep_resumes(tmp_path: Path, env: dict[str, str]) -> None:
    database, out = tmp_path / "sweep.db", tmp_path / "best.json"
    url = f"sqlite:///{database}"
    command = [*VITRINE, "sweep", "boston_decay", *FEW, "--storage", url, "--out", str(out)]

    def one_is_finished() -> bool:
        with contextlib.closing(sqlite3.connect(database)) as connection:
            try:
                return bool(connection.execute("select 1 from trials where state in ('COMPLETE', 'PRUNED')").fetchone())
            except sqlite3.OperationalError:  # the tables do not exist yet
                return False

    program = Program(command, env)
    program.wait_until(one_is_finished, timeout=240)
    program.stop(signal.SIGKILL)
    kept = trials(url, "boston_decay/quick-coarse")
    assert 0 < len(kept) < 3 and not out.exists()

    again = Program(command, env)
    assert again.process.wait(240) == 0, again.output
    again.stop()
    coarse, fine = trials(url, "boston_decay/quick-coarse"), trials(url, "boston_decay/quick-fine")
    assert (len(coarse), len(fine)) == (3, 1)
    assert {trial.number for trial in kept} < {trial.number for trial in coarse}
    best = json.loads(out.read_bytes())
    assert best == min((t for t in fine if t.state.name == "COMPLETE"), key=lambda t: t.value).user_attrs["params"]
    assert find("boston_decay").recipe_for(JobOptions(params=read_params(out))).learning_rate == best["learning_rate"]


def test_train_refuses_an_invalid_file_of_parameters(tmp_path: Path) -> None:
    path = tmp_path / "best.json"
    for text, reason in (
        ('{"learning_rat": 0.1}', "there is no parameter learning_rat; there are: epochs, batch_size, learning_rate"),
        ("[1]", "is not a JSON object"),
        ("{", "cannot be read"),
    ):
        path.write_text(text, encoding="utf-8")
        done = CliRunner().invoke(app, ["train", "sine_rnn", "--params", str(path), "--exports", str(tmp_path)])
        assert done.exit_code == 1 and reason in " ".join(done.stderr.split())
    assert [file.name for file in tmp_path.iterdir()] == ["best.json"]


def test_two_processes_share_a_study_in_postgresql(tmp_path: Path, env: dict[str, str]) -> None:
    with postgres.running() as url:
        command = [*VITRINE, "sweep", "boston_decay", *FEW, "--trials", "6"]
        outs = [tmp_path / "a.json", tmp_path / "b.json"]
        secret = {"VITRINE_STORAGE": url}  # no password on a command line
        programs = [Program([*command, "--out", str(out)], env | secret) for out in outs]
        for program in programs:
            assert program.process.wait(240) == 0, program.output
            program.stop()
        coarse, fine = trials(url, "boston_decay/quick-coarse"), trials(url, "boston_decay/quick-fine")
        assert 6 <= len(coarse) <= 7 and 1 <= len(fine) <= 2  # a process may still run a trial
        assert len({trial.user_attrs["worker"] for trial in coarse}) == 2
        assert all(out.is_file() for out in outs)
