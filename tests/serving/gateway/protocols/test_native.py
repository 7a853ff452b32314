"""The native API over real sockets: every form of body, every verb, complete responses."""

import base64
import io
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.serving.gateway.conftest import npy, picture
from tests.serving.gateway.served_models import SHADES

PREDICT = "/v1/models/shade:predict"
LIGHT = picture(250)
DARK = picture(5)


def labels(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [one["label"] for one in answer.json()["predictions"]]


def test_a_complete_prediction(http: httpx.Client) -> None:
    answer = http.post(PREDICT, content=LIGHT, params={"polarity": "light_on_dark"})
    assert answer.headers["x-model-version"] == "1"
    body = answer.json()
    assert body["model"] == "shade"
    assert body["version"] == 1
    assert body["request_id"] == answer.headers["x-request-id"]
    (one,) = body["predictions"]
    logits = np.array([6.0 - 25.0, 0.0, 25.0 - 19.0])
    expected = np.exp(logits) / np.exp(logits).sum()
    assert one["label"] == "light"
    assert one["index"] == 2
    assert one["probability"] == pytest.approx(expected[2], rel=1e-5)
    assert list(one["probabilities"]) == list(SHADES)
    assert list(one["probabilities"].values()) == pytest.approx(expected, rel=1e-4)


def test_a_prediction_with_the_picture_as_the_model_read_it(http: httpx.Client) -> None:
    two = {"b64": [base64.b64encode(data).decode() for data in (picture(200, side=64), DARK)]}
    inputs = http.post(PREDICT, json=two, params={"input": "true"}).json()["inputs"]
    shown = [np.asarray(Image.open(io.BytesIO(base64.b64decode(text)))) for text in inputs]
    assert [pixels.shape for pixels in shown] == [(4, 4), (4, 4)]
    again = http.post(PREDICT, content=npy(np.stack(shown)[..., None]), headers={"content-type": "application/x-npy"})
    assert labels(again) == labels(http.post(PREDICT, json=two))
    assert "inputs" not in http.post(PREDICT, json=two, params={"input": "false"}).json()
    for query, body, message in (
        ("yes", two, "true or false"),
        ("true", {"b64": two["b64"] * 5}, "at most 8 pictures"),
    ):
        answer = http.post(PREDICT, json=body, params={"input": query})
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_option") and message in answer.json()["error"]


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "BMP", "GIF"])
def test_every_picture_format_as_a_raw_body(http: httpx.Client, form: str) -> None:
    body = picture(240, side=64, form=form)
    sent = {"content-type": f"image/{form.lower()}"}
    assert labels(http.post(PREDICT, content=body, headers=sent)) == ["dark"]  # a light background is inverted


def test_a_truncated_picture_adds_a_note(http: httpx.Client) -> None:
    cut = picture(240, side=64, form="JPEG")[:-2]
    note = "the picture's file lacks its last bytes; all of its pixels are there"
    for verb in ("predict", "embed", "neighbours"):
        answer = http.post(f"/v1/models/shade:{verb}", content=cut)
        assert (answer.status_code, answer.json()["notes"]) == (200, [note])
    many = {"b64": [base64.b64encode(data).decode() for data in (picture(), cut)]}
    assert http.post(PREDICT, json=many).json()["notes"] == [f"picture 2 of 2: {note}"]
    assert "notes" not in http.post(PREDICT, content=picture()).json()


@pytest.mark.parametrize("content_type", ["", "application/octet-stream", "application/x-www-form-urlencoded"])
def test_without_a_content_type_the_bytes_decide(http: httpx.Client, content_type: str) -> None:
    headers = {"content-type": content_type} if content_type else {}
    assert labels(http.post(PREDICT, content=DARK, headers=headers)) == ["dark"]
    document = b' {"b64": "' + base64.b64encode(DARK) + b'"}'
    assert labels(http.post(PREDICT, content=document, headers=headers)) == ["dark"]
    assert labels(http.post(PREDICT, content=npy(np.zeros((4, 4, 1), np.uint8)), headers=headers)) == ["dark"]


def test_many_pictures_by_multipart_keep_their_order(http: httpx.Client) -> None:
    values = [250, 5, 130] * 40
    files = [("picture", (f"{number}.png", picture(value))) for number, value in enumerate(values)]
    answer = http.post(PREDICT, files=files, params={"polarity": "light_on_dark"})
    assert labels(answer) == ["light", "dark", "middle"] * 40


def test_pictures_as_base64(http: httpx.Client) -> None:
    one, two = (base64.b64encode(data).decode() for data in (LIGHT, DARK))
    options = {"polarity": "light_on_dark"}
    assert labels(http.post(PREDICT, json={"b64": one}, params=options)) == ["light"]
    assert labels(http.post(PREDICT, json={"b64": [one, two]}, params=options)) == ["light", "dark"]


def test_pictures_as_arrays(http: httpx.Client) -> None:
    many = np.stack([np.full((4, 4, 1), value, np.uint8) for value in (250, 5)])
    headers = {"content-type": "application/x-npy"}
    assert labels(http.post(PREDICT, content=npy(many), headers=headers)) == ["light", "dark"]
    assert labels(http.post(PREDICT, content=npy(many[0]), headers=headers)) == ["light"]
    assert labels(http.post(PREDICT, content=npy(np.asfortranarray(many)), headers=headers)) == ["light", "dark"]


def test_the_caller_may_set_the_polarity(http: httpx.Client) -> None:
    assert labels(http.post(PREDICT, content=LIGHT, params={"polarity": "light_on_dark"})) == ["light"]
    assert labels(http.post(PREDICT, content=LIGHT, params={"polarity": "dark_on_light"})) == ["dark"]
    assert labels(http.post(PREDICT, content=LIGHT, params={"polarity": "auto"})) == ["dark"]


def test_top_returns_the_most_probable_classes_first(http: httpx.Client) -> None:
    (one,) = http.post(PREDICT, content=picture(100), params={"top": 2}).json()["predictions"]
    assert list(one["probabilities"]) == ["middle", "dark"]
    (one,) = http.post(PREDICT, content=picture(100), params={"top": 99}).json()["predictions"]
    assert len(one["probabilities"]) == 3


@pytest.mark.parametrize("suffix", ["", "/versions/1", "/labels/stable"])
def test_versions_and_labels(http: httpx.Client, suffix: str) -> None:
    answer = http.post(f"/v1/models/shade{suffix}:embed", content=DARK)
    assert answer.json()["embeddings"] == [[5.0, 1.0]]
    assert answer.json()["dimensions"] == 2


def test_embeddings_as_an_array(http: httpx.Client) -> None:
    files = [("a", ("a", DARK)), ("b", ("b", picture(7)))]
    answer = http.post("/v1/models/shade:embed", files=files, headers={"accept": "application/x-npy"})
    assert answer.headers["content-type"] == "application/x-npy"
    assert answer.headers["x-model-version"] == "1"
    array = np.load(io.BytesIO(answer.content), allow_pickle=False)
    assert array.dtype == np.float32
    assert array.tolist() == [[5.0, 1.0], [7.0, 1.0]]


def test_the_nearest_items_come_first(http: httpx.Client) -> None:
    answer = http.post("/v1/models/shade:neighbours", content=picture(96), params={"k": 3})
    assert answer.headers["x-model-version"] == "1"
    assert answer.json() == {
        "model": "shade",
        "version": 1,
        "request_id": answer.headers["x-request-id"],
        "neighbours": [
            [
                {"index": 1, "label": "middle", "distance": 4.0},
                {"index": 3, "label": "middle", "distance": 6.0},
                {"index": 2, "label": "dark", "distance": 96.0},
            ]
        ],
    }


def test_neighbours_of_many_pictures(http: httpx.Client) -> None:
    files = [("a", ("a", DARK)), ("b", ("b", LIGHT))]
    both = http.post("/v1/models/shade:neighbours?polarity=light_on_dark", files=files).json()["neighbours"]
    assert [[one["index"] for one in each] for each in both] == [
        [2, 3, 1, 0],
        [0, 1, 3, 2],
    ]  # the default of 10, limited to the 4 items


def test_merged_requests_get_their_own_number_of_neighbours(http: httpx.Client) -> None:
    def count(k: int) -> int:
        return len(http.post("/v1/models/shade:neighbours", content=DARK, params={"k": k}).json()["neighbours"][0])

    counts = [1, 4, 2, 3] * 8
    with ThreadPoolExecutor(8) as callers:
        assert list(callers.map(count, counts)) == counts


def test_a_complete_forecast(http: httpx.Client) -> None:
    answer = http.post("/v1/models/trend:forecast", json={"history": [1, 2, 3, 4.5], "horizon": 3})
    body = answer.json()
    assert body.pop("request_id") == answer.headers["x-request-id"]
    assert body == {
        "model": "trend",
        "version": 1,
        "forecasts": [{"mean": [5.5, 6.5, 7.5], "lower": [4.5, 5.5, 6.5], "upper": [6.5, 7.5, 8.5]}],
        "horizon": 3,
        "unit": "USD",
        "step": "day",
        "level": 0.9,
        "notes": ["It goes on as it went."],
    }


def test_forecasts_of_many_series(http: httpx.Client) -> None:
    histories = [[0, 0, 0, 10], [0, 0, 0, 20]]
    by_json = http.post("/v1/models/trend:forecast", json={"history": histories, "horizon": 2}).json()
    assert [one["mean"] for one in by_json["forecasts"]] == [[11, 12], [21, 22]]
    by_array = http.post(
        "/v1/models/trend:forecast",
        content=npy(np.array(histories)),
        headers={"content-type": "application/x-npy"},
        params={"horizon": 2},
    ).json()
    assert by_array["forecasts"] == by_json["forecasts"]


def test_a_longer_history_is_cropped_to_the_newest_values(http: httpx.Client) -> None:
    answer = http.post("/v1/models/trend:forecast", json={"history": list(range(1000)), "horizon": 1}).json()
    assert answer["forecasts"][0]["mean"] == [1000]


def test_the_next_value_of_a_series(http: httpx.Client) -> None:
    answer = http.post("/v1/models/trend:predict", json={"history": [1, 2, 3, 4]}).json()
    assert answer["predictions"] == [{"value": 5.0}]
    assert answer["unit"] == "USD"
    assert answer["step"] == "day"


@pytest.mark.parametrize(("sent", "kept"), [("abc-123", True), ("a b", False), ("x" * 129, False), ("<script>", False)])
def test_a_valid_request_id_is_kept(http: httpx.Client, sent: str, kept: bool) -> None:
    answer = http.post(PREDICT, content=DARK, headers={"x-request-id": sent})
    assert (answer.headers["x-request-id"] == sent) is kept
    assert answer.json()["request_id"] == answer.headers["x-request-id"]


def test_a_request_without_an_id_gets_one(http: httpx.Client) -> None:
    ids = {http.post(PREDICT, content=DARK).headers["x-request-id"] for _ in range(5)}
    assert len(ids) == 5
