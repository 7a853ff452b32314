"""Typicality, warnings and :explain, on both back ends."""

import base64
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serving.client import Client
from serving.inputs import npy as npy_codec
from tests.programs import model_server
from tests.serving.gateway import programs, served_models
from tests.serving.gateway.conftest import npy, picture
from tests.serving.gateway.programs import Gateway

PNG = {"content-type": "image/png"}
NPY = {"content-type": "application/x-npy"}
WARNING = "This picture is unlike the training data: do not rely on the answer."
NAMES = ("shade", "trend", "pulse")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Versions with and without the signatures; version 2 is the stable one."""
    root = tmp_path_factory.mktemp("assessed")
    for write in (served_models.shade, served_models.trend, served_models.pulse):
        write(root, 1)
        write(root, 2, assessed=True)
    served_models.configure(root, {name: {"stable": 2, "old": 1} for name in NAMES})
    return root


@pytest.fixture(scope="module", params=["in process", "model server"])
def gateway(request: pytest.FixtureRequest, root: Path) -> Iterator[Gateway]:
    if request.param == "in process":
        with programs.embedded_gateway(root) as one:
            programs.wait_until_ready(one, *NAMES)
            yield one
        return
    with model_server(root, *programs.PROMPT) as address, programs.gateway(address, root / "models.config") as one:
        programs.wait_until_ready(one, *NAMES)
        yield one


def shades(*values: int) -> bytes:
    return npy(np.array(values, np.uint8).repeat(16).reshape(-1, 4, 4, 1))


def post(gateway: Gateway, path: str, **body: Any) -> Any:
    answer = gateway.http.post(f"/v1/models/{path}", **body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_typical_picture_has_no_warning(gateway: Gateway) -> None:
    (one,) = post(gateway, "shade:predict", content=picture(102), headers=PNG)["predictions"]
    assert one["typicality"] == pytest.approx(0.4)
    assert "warning" not in one
    assert one["label"] == "middle"


def test_each_row_has_its_own_warning(gateway: Gateway) -> None:
    found = post(gateway, "shade:predict", content=shades(5, 200, 7), headers=NPY)["predictions"]
    assert [one.get("warning") for one in found] == [WARNING, None, WARNING]


def test_signals_and_histories_have_typicality(gateway: Gateway) -> None:
    (signal,) = post(gateway, "pulse:predict", json={"signal": [3, 3, 3, 3]})["predictions"]
    assert signal["warning"].startswith("This signal is unlike")
    assert post(gateway, "trend:predict", json={"history": [1, 2, 3, 200]})["predictions"][0]["typicality"] > 0.5
    histories = {"history": [[1, 2, 3, 4], [1, 2, 3, 200]], "horizon": 2}
    found = post(gateway, "trend:forecast", json=histories)["forecasts"]
    assert [one.get("warning", "")[:19] for one in found] == ["This history is unl", ""]
    assert found[1]["mean"] == [202, 204]


@pytest.mark.parametrize("verb", ["embed", "neighbours"])
def test_embeddings_and_neighbours_have_one_warning(gateway: Gateway, verb: str) -> None:
    found = post(gateway, f"shade:{verb}", content=shades(5, 200), headers=NPY)
    np.testing.assert_allclose(found["typicality"], [5 / 255, 200 / 255], atol=1e-6)
    assert found["warning"] == "1 of 2 pictures are unlike the training data: do not rely on the answer."


def test_old_versions_and_fixed_forms_answer_as_before(gateway: Gateway) -> None:
    old = post(gateway, "shade/versions/1:predict", content=picture(5), headers=PNG)
    assert set(old["predictions"][0]) == {"label", "index", "probability", "probabilities"}
    rows = np.full((1, 4, 4, 1), 5).tolist()
    assert np.shape(post(gateway, "shade:predict", json={"instances": rows})["predictions"]) == (1, 3)
    url = f"data:image/png;base64,{base64.b64encode(picture(5)).decode()}"
    vectors = gateway.http.post("/v1/embeddings", json={"model": "shade", "input": [url]}).json()
    assert set(vectors) == {"object", "data", "model", "usage"}


def test_warned_rows_are_counted(gateway: Gateway) -> None:
    def warned() -> float:
        name = 'vitrine_warned_rows_total{model="shade",version="2"}'
        lines = gateway.http.get("/metrics").text.splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))

    before = warned()
    post(gateway, "shade:predict", content=shades(5, 200, 7), headers=NPY)
    assert warned() == before + 2


def test_kserve_s_forecasts_have_typicality(gateway: Gateway) -> None:
    series = {"type": "univariate_time_series", "frequency": "day"}
    inputs = [{**series, "name": name, "series": [1, 2, 3, newest]} for name, newest in (("own", 200), ("odd", 5))]
    body = {"model": "trend", "inputs": inputs, "options": {"horizon": 2}}
    answer = gateway.http.post("/v1/timeseries/forecast", json=body)
    assert answer.status_code == 200, answer.text
    own, odd = answer.json()["outputs"][0]["content"]
    assert own["typicality"] == pytest.approx(200 / 255) and "warning" not in own
    assert odd["typicality"] == pytest.approx(5 / 255) and "This history is unlike" in odd["warning"]


def test_drift_counts_typicality(gateway: Gateway) -> None:
    post(gateway, "shade:predict", content=picture(102), headers=PNG)
    assert "typicality" in gateway.http.get("/v1/models/shade/drift").text


@pytest.mark.parametrize("form", ["raw", "JSON", "multipart"])
def test_a_heat_map_of_every_form_of_body(gateway: Gateway, form: str) -> None:
    encoded = picture(102)
    bodies: dict[str, dict[str, Any]] = {
        "raw": {"content": encoded, "headers": PNG},
        "JSON": {"json": {"b64": base64.b64encode(encoded).decode()}},
        "multipart": {"files": {"picture": ("a.png", encoded, "image/png")}},
    }
    found = post(gateway, "shade:explain", **bodies[form])
    assert (found["model"], found["version"], found["class"]) == ("shade", 2, "middle")
    assert np.shape(found["heatmap"]) == (4, 4)
    assert np.mean(found["heatmap"]) == pytest.approx(102)
    assert found["typicality"] == pytest.approx(0.4)
    assert 0 < found["probability"] <= 1


def test_a_heat_map_as_npy(gateway: Gateway) -> None:
    headers = {**PNG, "accept": NPY["content-type"]}
    answer = gateway.http.post("/v1/models/shade:explain", content=picture(204), headers=headers)
    assert npy_codec.read(answer.content).shape == (1, 4, 4)


def test_the_client_has_typicality_and_heat_map(gateway: Gateway) -> None:
    with Client(gateway.url) as client:
        assert client.predict("shade", picture(102)).predictions[0].typicality == pytest.approx(0.4)
        assert client.predict("shade", picture(9)).predictions[0].warning == WARNING
        assert client.forecast("trend", [1, 2, 3, 4], horizon=2).forecasts[0].warning is not None
        found = client.explain("shade", picture(9))
        assert (found.label, found.version, found.heatmap.shape) == ("dark", 2, (4, 4))
        assert found.warning == WARNING
        assert client.predict("shade", picture(9), version=1).predictions[0].typicality is None


REFUSED: dict[str, tuple[str, dict[str, Any], str]] = {
    "two pictures": ("shade:explain", {"content": shades(1, 2), "headers": NPY}, ":explain takes one picture, not 2"),
    "an old version": (
        "shade/versions/1:explain",
        {"content": picture(5), "headers": PNG},
        "model shade version 1 does not offer :explain: it has no signature explain; it offers :predict",
    ),
    "another kind": ("pulse:explain", {"json": {"signal": [1, 2, 3, 4]}}, "a model of kind signal has no such verb"),
    "no picture": ("shade:explain", {"content": b"no picture", "headers": PNG}, "picture"),
    "an option": ("shade:explain?k=3", {"content": picture(5), "headers": PNG}, "polarity"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_explanations(gateway: Gateway, case: str) -> None:
    path, body, message = REFUSED[case]
    answer = gateway.http.post(f"/v1/models/{path}", **body)
    assert 400 <= answer.status_code < 500
    assert message in answer.json()["error"]


def test_rows_of_a_tensor_request_are_explained_one_by_one(gateway: Gateway) -> None:
    """So that a request that misses its deadline stops between rows."""

    def calls() -> float:
        name = 'vitrine_batch_rows_count{model="shade"}'
        lines = gateway.http.get("/metrics").text.splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))

    before = calls()
    rows = np.arange(60, 68).repeat(16).reshape(-1, 4, 4, 1).tolist()
    found = post(gateway, "shade:predict", json={"signature_name": "explain", "instances": rows})["predictions"]
    np.testing.assert_allclose(np.mean(found, axis=(1, 2)), range(60, 68), atol=1e-3)
    assert calls() == before + 8


def test_many_explanations_at_once(gateway: Gateway) -> None:
    levels = list(range(60, 92))
    with ThreadPoolExecutor(16) as pool:
        found = list(
            pool.map(lambda level: post(gateway, "shade:explain", content=picture(level), headers=PNG), levels)
        )
    np.testing.assert_allclose([np.mean(one["heatmap"]) for one in found], levels, atol=0.1)
