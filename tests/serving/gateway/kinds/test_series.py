"""Forecasts over HTTP: times, quantiles, missing values, several series, the naive forecast, and bad input."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serving.artifacts.model_card import Quantiles, SeriesRecipe
from serving.gateway.kinds import series_quantiles
from tests.serving.gateway import programs, served_models

OFFSETS = (-0.9, -0.5, -0.2, 0.0, 0.3, 0.5, 0.8)  # shares of the interval's width, at each of the levels
QUANTILES = Quantiles(
    rows=60, levels=(0.02, 0.05, 0.2, 0.5, 0.8, 0.95, 0.98), steps=(1, 50), offsets=tuple((one, one) for one in OFFSETS)
)
SHOP = SeriesRecipe(
    window=10, max_horizon=50, step="business day", unit="USD", season=5, level=0.9, quantiles=QUANTILES
)
HISTORY = [float(value) for value in range(1, 21)]
DAYS = [f"{day}" for day in np.arange("2026-01-01", "2026-01-29", dtype="datetime64[D]") if np.is_busday(day)]
MONTH = {"history": HISTORY, "start": "2026-01-31", "frequency": "month"}
LINE = {"history": HISTORY, "horizon": 3}


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """Models of business days, of months with an older card, and of steps without a calendar; they add 1 each step."""
    root = tmp_path_factory.mktemp("models")
    metrics = {"horizon_naive_mae": 2.0, "horizon_seasonal_mae": 1.0}
    served_models.trend(root, 1, SHOP, "shop", metrics=metrics)
    served_models.trend(root, 1, SHOP, "random", metrics={**metrics, "horizon_seasonal_mae": 3.0})
    old = SeriesRecipe(window=4, max_horizon=50, step="month", unit="1", level=0.9)
    served_models.trend(root, 1, old, "monthly")
    served_models.trend(root, 1, old.model_copy(update={"step": "π/10"}), "sine")
    served_models.trend(root, 1, old.model_copy(update={"step": "15 minutes"}), "quarters")
    names = ("shop", "random", "monthly", "sine", "quarters")
    served_models.configure(root, {name: {"stable": 1} for name in names})
    with programs.embedded_gateway(root) as gateway:
        programs.wait_until_ready(gateway, *names)
        yield gateway.http


def forecast(http: httpx.Client, model: str = "shop", status: int = 200, **document: Any) -> Any:
    answer = http.post(f"/v1/models/{model}:forecast", json=document)
    assert answer.status_code == status, answer.text
    return answer.json()


def test_quantiles_of_counts_are_not_below_0_and_as_wide_above_as_without_the_bound() -> None:
    """The interval -0.5…1.5 is cut at 0."""
    columns = {name: np.array([[value]], np.float32) for name, value in (("mean", 0.5), ("lower", 0), ("upper", 1.5))}
    recipe = SHOP.model_copy(update={"minimum": 0.0})
    found = series_quantiles.of_forecasts((0.02, 0.05, 0.2, 0.5, 0.8, 0.95, 0.98), recipe, columns)
    assert [float(values[0, 0]) for values in found.values()] == pytest.approx([0, 0, 0.1, 0.5, 1.1, 1.5, 2.1])


def test_an_old_request_is_answered_as_before(http: httpx.Client) -> None:
    body = forecast(http, history=HISTORY, horizon=2)
    assert body.pop("request_id")
    assert body == {
        "model": "shop",
        "version": 1,
        "forecasts": [{"mean": [21, 22], "lower": [20, 21], "upper": [22, 23]}],
        "horizon": 2,
        "unit": "USD",
        "step": "business day",
        "level": 0.9,
        "notes": ["It goes on as it went."],
    }


def test_a_request_for_everything(http: httpx.Client) -> None:
    history = [*HISTORY[:-3], None, *HISTORY[-2:]]
    options = {"horizon": 3, "quantiles": [0.5, 0.1], "naive": True}
    body = forecast(http, history=history, timestamps=DAYS, **options)
    assert body["forecasts"] == [
        {
            "mean": [21, 22, 23],
            "lower": [20, 21, 22],
            "upper": [22, 23, 24],
            "timestamps": ["2026-01-29", "2026-01-30", "2026-02-02"],
            "quantiles": {"0.5": [21, 22, 23], "0.1": pytest.approx([20.2, 21.2, 22.2])},
            "naive": {"mean": [16, 17, 18], "season": 5},
            "interpolated": 1,
        }
    ]
    assert body["notes"] == ["It goes on as it went.", "Missing values that were interpolated: 1."]


@pytest.mark.parametrize(
    ("model", "times", "expected"),
    [
        ("shop", {"start": "2026-01-01"}, ["2026-01-29", "2026-01-30"]),
        ("shop", {"start": "2026-01-01T17:30:00-05:00", "frequency": "day"}, ["2026-01-29T17:30:00-05:00"]),
        ("monthly", {"start": "2024-05-31"}, ["2026-01-31", "2026-02-28"]),
        ("monthly", {"start": "2024-05"}, ["2026-01", "2026-02"]),
        ("sine", {"start": "2026-01-01", "frequency": "W"}, ["2026-05-21"]),
        ("quarters", {"start": "2026-01-01T00:00:00Z"}, ["2026-01-01T05:00:00+00:00"]),
        ("quarters", {"start": "2026-01-01T00:00", "frequency": "15min"}, ["2026-01-01T05:00:00"]),
    ],
)
def test_times_follow_the_history(http: httpx.Client, model: str, times: dict[str, str], expected: list[str]) -> None:
    body = forecast(http, model, history=HISTORY, horizon=2, **times)
    assert body["forecasts"][0]["timestamps"][: len(expected)] == expected


def test_several_series_have_their_own_names_times_and_lengths(http: httpx.Client) -> None:
    series = [
        {"name": "a", "history": HISTORY, "timestamps": DAYS},
        {"name": "b", "history": [*[0] * 600, 5.5], "start": "2026-01-01"},
        {"name": "c", "history": [2, 2, None, *[4] * 8]},
    ]
    body = forecast(http, series=series, horizon=1, naive=True, quantiles=[0.95])
    assert [(one["name"], one["mean"]) for one in body["forecasts"]] == [("a", [21]), ("b", [6.5]), ("c", [5])]
    assert [one.get("timestamps") for one in body["forecasts"]] == [["2026-01-29"], ["2028-04-21"], None]
    assert [one["naive"] for one in body["forecasts"]][1] == {"mean": [0], "season": 5}
    assert [one.get("interpolated") for one in body["forecasts"]] == [None, None, 1]
    assert body["notes"][1:] == ["Missing values of series c that were interpolated: 1."]
    shared = forecast(http, history=[HISTORY, HISTORY[::-1]], timestamps=DAYS, horizon=1)["forecasts"]
    assert [(one["mean"], one["timestamps"]) for one in shared] == [([21], ["2026-01-29"]), ([2], ["2026-01-29"])]


def test_the_naive_forecast_is_the_better_one_of_the_card(http: httpx.Client) -> None:
    assert forecast(http, "random", **LINE, naive=True)["forecasts"][0]["naive"] == {"mean": [20] * 3, "season": 1}
    assert forecast(http, "monthly", **LINE, naive=True)["forecasts"][0]["naive"]["season"] == 1


def test_quantiles_never_cross_and_the_bounds_stay_exact(http: httpx.Client) -> None:
    levels = [round(level, 3) for level in np.linspace(0.02, 0.98, 97)]
    (made,) = forecast(http, history=HISTORY, horizon=50, quantiles=levels)["forecasts"]
    values = np.array(list(made["quantiles"].values()))
    assert (np.diff(values, axis=0) >= 0).all()
    assert made["quantiles"]["0.05"] == made["lower"] and made["quantiles"]["0.95"] == made["upper"]
    assert made["quantiles"]["0.5"] == made["mean"]
    assert made["quantiles"]["0.98"][0] == pytest.approx(21 + 2 * 0.8)


def test_missing_values_of_predict_are_counted(http: httpx.Client) -> None:
    answer = http.post("/v1/models/shop:predict", json={"history": [*HISTORY[:-2], None, 20]})
    assert answer.json()["predictions"] == [{"value": 21, "interpolated": 1}]


REFUSED: dict[str, tuple[str, dict[str, Any], str, str]] = {
    "unsorted": ("shop", {**LINE, "timestamps": DAYS[::-1]}, "bad_option", "must ascend"),
    "doubled": ("shop", {**LINE, "timestamps": [DAYS[0], *DAYS[:-1]]}, "bad_option", "there twice"),
    "a weekend": ("shop", {**LINE, "timestamps": [*DAYS[:-1], "2026-01-31"]}, "bad_option", "is a Saturday"),
    "a gap": ("shop", {**LINE, "timestamps": [*DAYS[:-1], "2026-02-16"]}, "bad_option", "have a gap"),
    "mixed offsets": ("shop", {**LINE, "timestamps": [*DAYS[:-1], f"{DAYS[-1]}T00:00Z"]}, "bad_option", "one offset"),
    "too few times": ("shop", {**LINE, "timestamps": DAYS[1:]}, "bad_option", "19 are for 20 values"),
    "no times": ("shop", {**LINE, "timestamps": []}, "bad_option", "0 are for 20 values"),
    "times of another type": ("shop", {**LINE, "timestamps": "2026-01-01"}, "bad_option", "not a string"),
    "numbers as times": ("shop", {**LINE, "timestamps": [1] * 20}, "bad_option", "ISO 8601"),
    "start and times": ("shop", {**LINE, "timestamps": DAYS, "start": DAYS[0]}, "bad_option", "one of them"),
    "no date": ("shop", {**LINE, "start": "tomorrow"}, "bad_option", "start must be ISO 8601"),
    "the end of time": ("shop", {**LINE, "start": "9999-12-06"}, "bad_option", "year 10000"),
    "another frequency": ("shop", {**LINE, "frequency": "week"}, "bad_option", "step is one business day"),
    "no frequency": ("shop", {**LINE, "frequency": "fortnight"}, "bad_option", "'fortnight'"),
    "a frequency of another type": ("shop", {**LINE, "frequency": {}}, "bad_option", "an object"),
    "no calendar": ("sine", {**LINE, "start": DAYS[0]}, "bad_option", "frequency is missing"),
    "quantile 0": ("shop", {**LINE, "quantiles": [0]}, "bad_option", "between 0 and 1, such as 0.9, not 0"),
    "quantile 1": ("shop", {**LINE, "quantiles": [0.5, 1.0]}, "bad_option", "not 1.0"),
    "quantile true": ("shop", {**LINE, "quantiles": [True]}, "bad_option", "between 0 and 1"),
    "a quantile as text": ("shop", {**LINE, "quantiles": ["0.5"]}, "bad_option", "not a string"),
    "one quantile": ("shop", {**LINE, "quantiles": 0.5}, "bad_option", "must be a list"),
    "100 quantiles": ("shop", {**LINE, "quantiles": [0.5] * 100}, "bad_option", "at most 99"),
    "1000 quantiles": ("shop", {**LINE, "quantiles": [0.125] * 1000}, "bad_option", "not 1000 numbers"),
    "an extreme quantile": ("shop", {**LINE, "quantiles": [0.01]}, "bad_option", "range 0.02 to 0.98"),
    "a quantile of an older card": ("sine", {**LINE, "quantiles": [0.5]}, "bad_option", "0.05, 0.95"),
    "all null": ("shop", {"history": [None] * 20, "horizon": 1}, "bad_tensor", "newest value is null"),
    "many null": ("shop", {"history": [1, 2, None] * 6 + [1, 2], "horizon": 1}, "bad_tensor", "3 of the 10"),
    "a misspelt option": ("shop", {**LINE, "quantile": [0.5]}, "bad_document", "with horizon, quantiles, naive"),
    "null and a huge value": (
        "shop",
        {"history": [*HISTORY[:8], 1e39, None, 1], "horizon": 1},
        "bad_tensor",
        "too large for float32",
    ),
    "null first": ("shop", {"history": [None, *HISTORY[:9]], "horizon": 1}, "bad_tensor", "begins with null"),
    "a short history": ("shop", {"history": [None, 1], "horizon": 1}, "bad_tensor", "at least 10 values"),
    "null and a word": ("shop", {"history": [*HISTORY[:9], None, "a", 1], "horizon": 1}, "bad_tensor", "a string"),
    "naive as text": ("shop", {**LINE, "naive": "yes"}, "bad_option", "true or false"),
    "no series": ("shop", {"series": [], "horizon": 1}, "bad_document", "an empty list"),
    "series of another type": ("shop", {"series": {}, "horizon": 1}, "bad_document", "not an object"),
    "a series without a name": ("shop", {"series": [{"history": HISTORY}], "horizon": 1}, "bad_document", "series 0"),
    "a series without a history": ("shop", {"series": [{"name": "a"}], "horizon": 1}, "bad_document", "series a: "),
    "series and history": ("shop", {"series": [{"name": "a"}], **LINE}, "bad_document", "not history"),
    "one bad series": (
        "shop",
        {"series": [{"name": "a", "history": HISTORY}, {"name": "b", "history": [1]}], "horizon": 1},
        "bad_tensor",
        "series b: a history must have at least 10 values",
    ),
    "a misspelt key": ("shop", {"series": [{"name": "a", "history": HISTORY, "stat": 1}]}, "bad_option", "horizon"),
    "too many series": (
        "shop",
        {"series": [{"name": "a", "history": HISTORY}] * 129, "horizon": 1},
        "bad_tensor",
        "1 to 128 rows, not 129",
    ),
    "too many histories": ("shop", {"history": [HISTORY] * 129, "naive": True, "horizon": 1}, "bad_tensor", "129"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_wrong_is_said(http: httpx.Client, name: str) -> None:
    model, document, code, message = REFUSED[name]
    answer = forecast(http, model, 400, **document)
    assert answer["code"] == code and message in answer["error"], answer


def test_nan_is_no_quantile(http: httpx.Client) -> None:
    text = json.dumps({**LINE, "quantiles": [float("nan")]})
    answer = http.post("/v1/models/shop:forecast", content=text, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_document")


TIMES = st.sampled_from([*DAYS, "2026-01", "2026-W01-1", "9999-12-31", "2026-01-01T00:00Z", "", "x"])
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), TIMES)
ANYTHING = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
)
NUMBERS = st.lists(st.none() | st.floats(-1e30, 1e30), min_size=8, max_size=14)
ONE = {
    "history": st.one_of(NUMBERS, NUMBERS.map(lambda row: [row, row]), ANYTHING),
    "timestamps": st.one_of(st.integers(8, 14).map(lambda count: DAYS[:count]), st.lists(TIMES, max_size=14), ANYTHING),
    "start": TIMES | ANYTHING,
    "frequency": st.sampled_from(["day", "B", "month", "15 minutes", "0 days", "99999 weeks"]) | ANYTHING,
}
ALL = {
    "series": st.lists(st.fixed_dictionaries({"name": st.text(max_size=3) | ANYTHING}, optional=ONE), max_size=3)
    | ANYTHING,
    "horizon": st.integers(-1, 51) | ANYTHING,
    "quantiles": st.lists(st.floats(0, 1) | ANYTHING, max_size=4) | ANYTHING,
    "naive": st.booleans() | ANYTHING,
}


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(model=st.sampled_from(["shop", "sine", "quarters"]), document=st.fixed_dictionaries({}, optional={**ONE, **ALL}))
def test_no_request_fails_on_the_server(http: httpx.Client, model: str, document: dict[str, Any]) -> None:
    answer = http.post(f"/v1/models/{model}:forecast", json=document)
    assert answer.status_code in (200, 400), (answer.text, document)
    part = {"type": "univariate_time_series", "name": "a", "frequency": "day"}
    renamed = {"history": "series", "start": "start_timestamp"}
    part |= {renamed.get(name, name): value for name, value in document.items() if name in ONE}
    options = {name: value for name, value in document.items() if name in ("horizon", "quantiles", "naive")}
    by_kserve = {"model": model, "inputs": [part], "options": options}
    assert http.post("/v1/timeseries/forecast", json=by_kserve).status_code in (200, 400), by_kserve
    if answer.status_code == 200:
        for made in answer.json()["forecasts"]:
            rows = [made["quantiles"][name] for name in sorted(made.get("quantiles", {}), key=float)]
            assert all((np.diff(column) >= 0).all() for column in zip(*rows, strict=True))
