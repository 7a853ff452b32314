"""KServe's time series API: complete responses, dates, quantiles and errors."""

from typing import Any

import httpx
import numpy as np
import pytest

PATH = "/v1/timeseries/forecast"
SERIES = {"type": "univariate_time_series", "name": "a", "series": [1, 2, 3, 4], "frequency": "day"}


def request(*series: dict[str, Any], horizon: Any = 2, **options: Any) -> dict[str, Any]:
    return {"model": "trend", "inputs": list(series) or [SERIES], "options": {"horizon": horizon, **options}}


def test_a_complete_forecast(http: httpx.Client) -> None:
    given = {**SERIES, "start_timestamp": "2026-01-30T00:00:00"}
    answer = http.post(PATH, json={**request(given, quantiles=[0.05, 0.95]), "metadata": {"mine": 1}})
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body.pop("created_at") > 1_700_000_000
    identity = answer.headers["x-request-id"]
    assert body == {
        "id": identity,
        "status": "completed",
        "error": None,
        "model": "trend",
        "outputs": [
            {
                "type": "time_series_forecast",
                "id": identity,
                "status": "completed",
                "error": None,
                "content": [
                    {
                        "type": "univariate_time_series",
                        "name": "a",
                        "mean_forecast": [5, 6],
                        "frequency": "day",
                        "start_timestamp": "2026-02-03T00:00:00",
                        "quantiles": {"0.05": [4, 5], "0.95": [6, 7]},
                    }
                ],
            }
        ],
        "usage": None,
    }
    assert answer.headers["x-model-version"] == "1"


def test_series_of_different_lengths(http: httpx.Client) -> None:
    longer = {**SERIES, "name": "b", "series": [0] * 50 + [10, 20], "frequency": "D"}
    content = http.post(PATH, json=request(SERIES, longer)).json()["outputs"][0]["content"]
    assert [(one["name"], one["mean_forecast"]) for one in content] == [("a", [5, 6]), ("b", [21, 22])]
    assert content[0]["start_timestamp"] is None
    assert content[0]["quantiles"] is None


def test_trading_days_give_the_day_after_the_newest(http: httpx.Client) -> None:
    """252 trading days span a year of 261 business days: only their times say where the forecast begins."""
    days = [day for day in np.arange("2025-01-02", "2026-01-03", dtype="datetime64[D]") if np.is_busday(day)]
    holidays = {"2025-01-09", "2025-01-20", "2025-02-17", "2025-04-18", "2025-05-26", "2025-06-19", "2025-07-04"}
    holidays |= {"2025-09-01", "2025-11-27", "2025-12-25", "2026-01-01"}
    timestamps = [f"{day}" for day in days if f"{day}" not in holidays][-252:]
    given = {**SERIES, "series": list(range(len(timestamps))), "timestamps": timestamps}
    answer = http.post(PATH, json=request(given, horizon=3))
    assert answer.status_code == 200, answer.text
    (content,) = answer.json()["outputs"][0]["content"]
    assert timestamps[-1] == "2026-01-02" and content["start_timestamp"] == "2026-01-05T00:00:00"
    assert content["timestamps"] == ["2026-01-05", "2026-01-06", "2026-01-07"]


def test_the_naive_forecast(http: httpx.Client) -> None:
    (content,) = http.post(PATH, json=request(naive=True)).json()["outputs"][0]["content"]
    assert content["naive"] == {"mean": [4, 4], "season": 1}


REFUSED: dict[str, tuple[Any, int, str, str]] = {
    "an unknown model": ({**request(), "model": "nobody"}, 404, "unknown_model", "nobody"),
    "no model": ({"inputs": []}, 400, "bad_document", "model"),
    "a model that does not forecast": ({**request(), "model": "shade"}, 404, "unknown_verb", "kind image"),
    "an unknown key": ({**request(), "inputz": 1}, 400, "bad_document", "inputz"),
    "an unknown option": (request(horizont=3), 400, "bad_document", "options.horizont"),
    "an unknown key of a series": (request({**SERIES, "values": []}), 400, "bad_document", "inputs.0.values"),
    "no inputs": ({**request(), "inputs": []}, 400, "bad_document", "inputs"),
    "no horizon": ({**request(), "options": {}}, 400, "bad_document", "options.horizon"),
    "horizon 0": (request(horizon=0), 400, "bad_option", "1 to 50"),
    "horizon 51": (request(horizon=51), 400, "bad_option", "1 to 50"),
    "horizon as text": (request(horizon="2"), 400, "bad_document", "horizon"),
    "multivariate": (request({**SERIES, "type": "multivariate_time_series"}), 400, "bad_option", "univariate"),
    "another type": (request({**SERIES, "type": "x"}), 400, "bad_document", "inputs.0.type"),
    "another frequency": (request({**SERIES, "frequency": "W"}), 400, "bad_option", "one day"),
    "no frequency": (request({**SERIES, "frequency": "fortnight"}), 400, "bad_document", "'fortnight': it should"),
    "a short series": (request(SERIES, {**SERIES, "name": "b", "series": [1]}), 400, "bad_tensor", "series b"),
    "a word": (request({**SERIES, "series": [1, 2, 3, "4"]}), 400, "bad_tensor", "a string"),
    "rows": (
        request({**SERIES, "series": [[1], [2], [3], [4]]}),
        400,
        "bad_tensor",
        "series a: history must be one list",
    ),
    "a quantile": (request(quantiles=[0.5]), 400, "bad_option", "0.05, 0.95"),
    "no date": (request({**SERIES, "start_timestamp": "yesterday"}), 400, "bad_option", "ISO 8601"),
    "a time and times": (
        request({**SERIES, "start_timestamp": "2026-01-01", "timestamps": ["2026-01-01"]}),
        400,
        "bad_option",
        "send one of them",
    ),
    "too few times": (request({**SERIES, "timestamps": ["2026-01-01"]}), 400, "bad_option", "1 are for 4 values"),
    "the end of time": (request({**SERIES, "start_timestamp": "9999-12-31"}), 400, "bad_option", "year 10000"),
    "too many": (request(*[SERIES] * 129), 400, "bad_tensor", "128"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_errors_have_the_form_of_the_api(http: httpx.Client, name: str) -> None:
    document, status, code, word = REFUSED[name]
    answer = http.post(PATH, json=document)
    assert answer.status_code == status, answer.text
    assert answer.json()["error"].keys() == {"message", "type", "param", "code"}
    assert answer.json()["error"]["code"] == code
    assert word in answer.json()["error"]["message"]
