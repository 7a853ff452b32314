"""The job on the user's own series, from a CSV file to forecasts over HTTP."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

from serving.artifacts import model_card
from serving.artifacts.model_card import ModelCard
from tests.programs import REPOSITORY
from tests.serving.gateway.programs import Gateway, embedded_gateway, wait_until_ready
from training.core.array import Array
from training.core.errors import JobError
from training.core.job import JobOptions
from training.core.recipe import Recipe
from training.jobs import forecaster

WEEK = np.array([0, -40, 25, 310, 480, -220, 15])
RECIPE = Recipe(epochs=1, batch_size=64, learning_rate=0.001)


def write(path: Path, values: Array, *, first: date = date(2023, 1, 1), days: int = 1, column: str = "sales") -> Path:
    rows = [f"{first + timedelta(days=days * i)},{value}" for i, value in enumerate(values)]
    path.write_text("\n".join([f"date,{column}", *rows]), encoding="utf-8")
    return path


def train(csv: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run ``vitrine train forecaster --quick``."""
    folders = ["--exports", str(csv.parent / "exports"), "--runs", str(csv.parent / "runs")]
    command = [sys.executable, "-m", "training", "forecaster", "--quick", "--csv", str(csv), *arguments, *folders]
    env = {**os.environ, "COLUMNS": "200"}
    return subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, env=env, timeout=240)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Version 1 of a model of a series that repeats each week, around zero: the seasonal naive forecast wins."""
    csv = write(tmp_path_factory.mktemp("own") / "sales.csv", np.resize(WEEK, 300).astype(float), column="sales [/day]")
    done = train(csv, "--as", "sales", "--unit", "pieces")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "published as version 1, live" in done.stdout
    assert "data: sales, sales [/day] from sales.csv" in done.stdout
    assert "note: This is the seasonal naive forecast (the last season repeats): none of 12 " in done.stdout
    return csv.parent / "exports" / "sales" / "1"


@pytest.fixture(scope="module")
def card(published: Path) -> ModelCard:
    return model_card.read(published)


@pytest.fixture(scope="module")
def gateway(published: Path) -> Iterator[Gateway]:
    with embedded_gateway(published.parents[1]) as running:
        wait_until_ready(running, "sales")
        yield running


def test_the_card_has_the_winner_period_and_hurdles(card: ModelCard) -> None:
    assert card.series is not None
    assert (card.series.step, card.series.season, card.series.unit) == ("day", 7, "pieces")
    assert (card.series.window, card.series.max_horizon) == (64, 14)
    assert card.notes[0].startswith("This is the seasonal naive forecast (the last season repeats): none of 12 ")
    assert card.metrics["horizon_mae"] < 1e-5  # rounding of float32
    assert card.hurdles["seasonal"] == 0 and card.metrics["hurdle_ratio"] == 1
    assert card.gate and card.gate.checks[0].name == "hurdle_ratio" and card.gate.checks[0].passed
    assert "assessed" in card.signatures
    assert {key for key in card.metrics if key.startswith("backtest_")} == {
        f"backtest_{name}_mae" for name in forecaster.candidates.WORDS
    }
    assert card.training.refitted
    assert card.parity and card.parity.onnx_reason is None


def test_the_answer_names_the_winner(gateway: Gateway) -> None:
    """From a history at another level, in the middle of the week."""
    history = [*np.resize(WEEK, 101) + 5000.0]
    answer = gateway.http.post("/v1/models/sales:forecast", json={"history": history, "horizon": 14}).json()
    lower, mean, upper = (np.array(answer["forecasts"][0][name]) for name in ("lower", "mean", "upper"))
    assert mean == pytest.approx(np.resize(WEEK, 115)[101:] + 5000.0)
    assert (lower <= mean).all() and (mean <= upper).all()
    assert any("the seasonal naive forecast" in note for note in answer["notes"])


@pytest.mark.parametrize(
    ("days", "rows", "step", "season", "horizon"),
    [(1, 800, "day", 7, 14), (7, 300, "week", 52, 13), (1, 100, "day", 7, 5)],
)
def test_horizon_and_window_follow_the_period(
    days: int, rows: int, step: str, season: int, horizon: int, tmp_path: Path
) -> None:
    csv = write(tmp_path / "own.csv", np.random.default_rng(0).normal(size=rows), days=days)
    examples = forecaster.load(JobOptions(csv=csv), RECIPE)
    series = examples.extra["series"]
    assert (series.step, series.season, series.max_horizon) == (step, season, horizon)
    assert series.window == min(max(64, 3 * season), rows // 3)
    assert examples.train[0].shape[1] == series.window and examples.train[1].shape[1] == horizon
    assert examples.title == "Next values of own, sales by one of 12 forecasters"


def test_a_net_is_fitted_again_on_all_values(tmp_path: Path) -> None:
    csv = write(tmp_path / "own.csv", np.random.default_rng(0).normal(size=300))
    examples = forecaster.load(JobOptions(csv=csv), RECIPE)
    said: list[str] = []
    examples.extra["options"] = replace(examples.extra["options"], say=said.append)
    net = forecaster.refitted("convolution", examples)
    assert net(np.zeros((2, 64), np.float32)).shape == (2, 14)
    assert said == ["fitting again on all 223 windows, for the version to serve"]


@pytest.mark.parametrize(
    ("name", "first"), [("convolution", 210), ("autoregression", 210), ("theta", 64), ("seasonal_damped", 64)]
)
def test_values_of_the_fit_calibrate_only_forecasts_with_few_parameters(name: str, first: int, tmp_path: Path) -> None:
    examples = forecaster.load(JobOptions(csv=write(tmp_path / "own.csv", np.arange(300.0))), RECIPE)
    assert len(forecaster.held_out(name, examples, 255).truth) == 255 - first - 14 + 1


def test_a_long_fit_of_an_autoregression_calibrates_its_interval_too(tmp_path: Path) -> None:
    examples = forecaster.load(JobOptions(csv=write(tmp_path / "own.csv", np.arange(600.0))), RECIPE)
    assert len(examples.train[0]) >= 5 * 64
    assert len(forecaster.held_out("autoregression", examples, 510).truth) == 510 - 64 - 14 + 1


def test_the_shortest_accepted_series_is_measured_and_served(tmp_path: Path) -> None:
    options = JobOptions(csv=write(tmp_path / "own.csv", np.random.default_rng(0).normal(size=100), days=30))
    examples = forecaster.load(options, RECIPE)
    model = forecaster.build(examples, options, RECIPE)
    assert 0 < forecaster.evaluate(model, examples).metrics["coverage"] <= 1
    exported = forecaster.serve(model, examples)
    assert "forecast" in exported.endpoints and exported.typicality is None


@pytest.mark.parametrize(("change", "minimum"), [(0, 0), (0.5, None), (-1, None)])
def test_forecasts_of_counts_are_not_below_0(change: float, minimum: float | None, tmp_path: Path) -> None:
    csv = write(tmp_path / "own.csv", np.random.default_rng(0).poisson(0.5, size=100) + change)
    examples = forecaster.load(JobOptions(csv=csv), RECIPE)
    assert examples.extra["series"].minimum == minimum
    assert ("All values are counts: no forecast is below 0." in examples.notes) is (minimum == 0)


def test_a_long_series_is_cut_and_its_windows_thinned(tmp_path: Path) -> None:
    csv = write(tmp_path / "own.csv", np.random.default_rng(0).normal(size=25_000), first=date(1950, 1, 1))
    examples = forecaster.load(JobOptions(csv=csv), RECIPE)
    assert examples.notes == ("Used the newest 20,000 of 25,000 values.",)
    assert examples.data.rows == {"train": 3000, "validation": 2987, "test": 2987}


def test_the_sentence_about_the_chosen_one() -> None:
    assert forecaster.chosen({"theta": 1.25, "gru": 1.2, "naive": 2.0, "drift": 3.0}, "EUR") == (
        "This is Theta, chosen among 4 candidates: its mean absolute error in the backtest was 1.25 EUR, that of the "
        "naive forecast (the last value repeats) 2 EUR."
    )
    assert forecaster.chosen({"naive": 1.0, "theta": 0.9}, "1") == (
        "This is the naive forecast (the last value repeats): none of 2 candidates was clearly better. Its mean "
        "absolute error in the backtest was 1, the smallest one 0.9 (Theta)."
    )
    assert forecaster.chosen({"drift": 1.0, "theta": 1.5}, "1").endswith(
        "Its mean absolute error in the backtest was 1."
    )


def test_a_file_is_needed() -> None:
    with pytest.raises(JobError, match="--csv is missing"):
        forecaster.load(JobOptions(), RECIPE)
