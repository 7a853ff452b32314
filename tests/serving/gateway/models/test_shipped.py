"""The shipped models behind the gateway: responses equal the outputs of the ONNX exports."""

import base64
import contextlib
import io
import itertools
import json
import math
import struct
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest
from matplotlib import cbook
from PIL import Image, ImageDraw

from serving.artifacts import model_card, models_config
from serving.client import Client
from serving.onnx_runtime import onnxruntime
from serving.preprocessing import image
from tests.conftest import SHIPPED
from tests.programs import REPOSITORY, model_server
from tests.serving.gateway import programs
from tests.serving.gateway.conftest import picture
from tests.serving.gateway.models.test_canary import metric
from tests.serving.gateway.programs import Gateway
from tests.serving.gateway.protocols.test_bad_input import animated, bomb


@contextlib.contextmanager
def served(exports: Path, *models: str) -> Iterator[Gateway]:
    config = exports / "models.config"  # the working copy's may name other models, which a developer has trained
    named = {name: model for name, model in models_config.read(config).items() if name in (models or SHIPPED)}
    config.write_text(models_config.render(named))
    with model_server(exports) as address, programs.gateway(address, config) as gateway:
        programs.wait_until_ready(gateway, *named)
        yield gateway


def drawings() -> list[bytes]:
    """Return 48 different pictures of several sizes, colours and formats."""
    pictures = []
    for number, (side, form) in enumerate(itertools.product((28, 60, 200, 640), ("PNG", "JPEG", "WEBP"))):
        for turn in range(4):
            picture = Image.new(
                "RGB", (side, side + turn), (250 - 10 * number, 240, 250) if turn % 2 else (number, 9, 12)
            )
            colour = (30, 20 * turn, 90) if turn % 2 else (250, 200, 20 * number % 255)
            draw = ImageDraw.Draw(picture)
            draw.line((side * 0.2, side * 0.2, side * (0.5 + turn / 10), side * 0.8), colour, width=side // 8)
            draw.ellipse(
                (side * 0.4, side * 0.3, side * 0.8, side * (0.5 + turn / 10)), outline=colour, width=side // 10
            )
            stream = io.BytesIO()
            picture.convert("L" if form == "PNG" and turn > 1 else "RGB").save(stream, form)
            pictures.append(stream.getvalue())
    return pictures


def test_responses_equal_the_outputs_of_the_version(exports: Path) -> None:
    pictures = drawings()
    with served(exports) as gateway:
        assert gateway.http.get("/readyz").status_code == 200
        for model in ("fashion_cnn", "fashion_embedding", "xo_cnn"):
            directory = exports / model / "1"
            recipe = model_card.read(directory).image
            assert recipe is not None
            session = onnxruntime.InferenceSession(directory / "assets.extra" / "model.onnx")
            rows = np.stack([image.decode(data, recipe) for data in pictures])
            probabilities, vectors = session.run(["probabilities", "embedding"], {"image": rows})

            def ask(verb: str, number: int, model: str = model) -> dict[str, object]:
                answer = gateway.http.post(f"/v1/models/{model}:{verb}", content=pictures[number])
                assert answer.status_code == 200, answer.text
                return answer.json()

            with ThreadPoolExecutor(16) as callers:
                answers = list(callers.map(lambda number: ask("predict", number), range(len(pictures))))
                embedded = list(callers.map(lambda number: ask("embed", number), range(len(pictures))))
            for number, answer in enumerate(answers):
                given = list(answer["predictions"][0]["probabilities"].values())
                assert given == pytest.approx(probabilities[number].tolist(), abs=1e-5)
                assert embedded[number]["embeddings"][0] == pytest.approx(vectors[number].tolist(), abs=1e-4)


def test_each_picture_of_the_sprite_is_its_own_nearest_neighbour(exports: Path) -> None:
    directory = exports / "fashion_metric" / "1"
    card = model_card.read(directory)
    assert card.neighbours is not None and card.neighbours.sprite is not None
    grid, numbers = card.neighbours.sprite, (0, 39, 40, 500, 999)
    with programs.embedded_gateway(exports) as gateway:
        programs.wait_until_ready(gateway, "fashion_metric")
        sent = gateway.http.get(f"/v1/models/fashion_metric/versions/1/files/{grid.file}").content
        with Image.open(io.BytesIO(sent)) as sprite:
            pixels = np.asarray(sprite.convert("L"))
        rows = [
            pixels[number // grid.columns * grid.height :, number % grid.columns * grid.width :] for number in numbers
        ]
        pictures = io.BytesIO()
        np.save(pictures, np.stack([row[: grid.height, : grid.width, None] for row in rows]))
        answer = gateway.http.post(
            "/v1/models/fashion_metric:neighbours?k=2",
            content=pictures.getvalue(),
            headers={"Content-Type": "application/x-npy"},
        ).json()
    assert [nearest["index"] for nearest, _ in answer["neighbours"]] == list(numbers)
    assert all(nearest["distance"] < 0.1 for nearest, _ in answer["neighbours"])  # the sprite has 16 levels of grey


def test_forecasts_of_the_sine(exports: Path) -> None:
    history = [math.sin(step * math.pi / 10) for step in range(30)]
    expected = [math.sin(step * math.pi / 10) for step in range(30, 54)]
    with served(exports) as gateway:
        answer = gateway.http.post("/v1/models/sine_rnn:forecast", json={"history": history, "horizon": 24}).json()
        assert answer["forecasts"][0]["mean"] == pytest.approx(expected, abs=0.05)
        answer = gateway.http.post("/v1/models/stock_rnn:forecast", json={"history": [350.0] * 40, "horizon": 5}).json()
        (one,) = answer["forecasts"]
        assert all(low <= high for low, high in zip(one["lower"], one["upper"], strict=True))
        assert answer["notes"]
        assert set(answer["hurdles"]) == {"naive", "seasonal", "drift", "auto_ets", "auto_theta"}
        assert answer["error"] < 1.05 * min(answer["hurdles"].values())
        with Client(gateway.url) as client:
            read = client.forecast("stock_rnn", [350.0] * 40, horizon=5)
        assert (read.error, read.hurdles) == (answer["error"], answer["hurdles"])


def test_pictures_as_strings_have_the_same_limits(exports: Path) -> None:
    """``serving_bytes`` decodes pictures of any size in the graph, so the gateway must reject large ones."""
    pixels = np.random.default_rng(3).integers(0, 255, (28, 28), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    good = stream.getvalue()

    with served(exports, "fashion_cnn") as gateway:

        def predict(*encoded: bytes) -> httpx.Response:
            rows = [{"b64": base64.b64encode(one).decode()} for one in encoded]
            document = {"instances": rows, "signature_name": "serving_bytes"}
            return gateway.http.post("/v1/models/fashion_cnn:predict", json=document)

        def predict_binary(one: bytes) -> httpx.Response:
            tensor = {"name": "image_bytes", "datatype": "BYTES", "shape": [1]}
            tensor["parameters"] = {"binary_data_size": 4 + len(one)}
            head = json.dumps({"inputs": [tensor], "parameters": {"signature_name": "serving_bytes"}}).encode()
            return gateway.http.post(
                "/v2/models/fashion_cnn/infer",
                content=head + struct.pack("<I", len(one)) + one,
                headers={"inference-header-content-length": str(len(head))},
            )

        whole = gateway.http.post("/v1/models/fashion_cnn:predict", json={"instances": [pixels[..., None].tolist()]})
        expected = [pytest.approx(row, abs=1e-5) for row in whole.json()["predictions"]]
        gateway.program.wait_until(lambda: predict(good).status_code == 200)  # the model server loads TensorFlow for it
        assert predict(good, good).json()["predictions"] == expected * 2
        assert predict_binary(good).json()["outputs"][0]["data"] == expected[0]

        def calls() -> float:
            return metric(gateway, 'vitrine_upstream_seconds_count{model="fashion_cnn"}')

        before = calls()
        for refused, words in (
            (predict(good, bomb()), "input image_bytes, row 1: the picture has 60000×60000 pixels"),
            (predict_binary(bomb()), "60000×60000"),
            (predict(*[picture(0, side=4000)] * 2), "32000000 pixels together; at most 25000000"),
            (predict(animated("PNG")), "animated"),
            (predict(picture(form="BMP")), "this signature takes PNG or JPEG, not BMP"),
            (predict(b"hello"), "not a picture"),
            (predict(good[:20]), "cannot be read"),
        ):
            assert (refused.status_code, list(refused.json())) == (400, ["error"])
            assert words in refused.json()["error"], refused.text
        assert calls() == before


def test_forecasts_of_a_year_of_trading_days_begin_after_it(shipped: Gateway) -> None:
    """252 trading days are a year of about 261 business days, which only their times can say."""
    with cbook.get_sample_data("goog.npz") as file:
        goog = file["price_data"][-252:]
    days, history = [str(day) for day in goog["date"]], goog["close"].tolist()
    assert (days[0], days[-1]) == ("2007-10-16", "2008-10-14")
    document = {"history": history, "timestamps": days, "horizon": 3, "quantiles": [0.1, 0.5, 0.95], "naive": True}
    (made,) = shipped.http.post("/v1/models/stock_rnn:forecast", json=document).json()["forecasts"]
    assert made["timestamps"] == ["2008-10-15", "2008-10-16", "2008-10-17"]
    assert made["quantiles"]["0.5"] == made["mean"] and made["quantiles"]["0.95"] == made["upper"]
    assert all(low < value for low, value in zip(made["quantiles"]["0.1"], made["mean"], strict=True))
    assert made["naive"] == {"mean": [pytest.approx(history[-1])] * 3, "season": 1}  # better than a week's in the test
    series = {
        "type": "univariate_time_series",
        "name": "GOOG",
        "frequency": "day",
        "series": history,
        "timestamps": days,
    }
    by_kserve = {"model": "stock_rnn", "inputs": [series], "options": {"horizon": 3}}
    answer = shipped.http.post("/v1/timeseries/forecast", json=by_kserve).json()
    assert answer["outputs"][0]["content"][0]["start_timestamp"] == "2008-10-15T00:00:00"


def test_the_naive_forecast_of_the_sine_is_its_last_period(shipped: Gateway) -> None:
    sine = np.sin(np.arange(45) * np.pi / 10)
    document = {"history": sine[:40].tolist(), "horizon": 5, "naive": True}
    (made,) = shipped.http.post("/v1/models/sine_rnn:forecast", json=document).json()["forecasts"]
    assert made["naive"]["season"] == 20 and made["naive"]["mean"] == pytest.approx(sine[40:], abs=1e-6)


@pytest.mark.parametrize("model", ["fashion_cnn", "fashion_embedding", "fashion_metric", "xo_cnn"])
def test_the_heat_map_marks_the_object_and_noise_is_warned_of(shipped: Gateway, model: str) -> None:
    """Cells of a 28×28 boot, drawn as a cross for ``xo_cnn``, weigh more than the empty corner."""
    if model == "xo_cnn":
        drawn = Image.new("L", (96, 96), 255)
        for line in ((16, 16, 80, 80), (80, 16, 16, 80)):
            ImageDraw.Draw(drawn).line(line, fill=0, width=8)
        stream = io.BytesIO()
        drawn.save(stream, "PNG")
        content, label = stream.getvalue(), "X"
    else:
        content, label = (REPOSITORY / "examples" / "ankle_boot.png").read_bytes(), "Ankle boot"
    with Client(shipped.url) as client:
        found = client.explain(model, content)
        assert found.label == label and found.warning is None
        assert found.heatmap.max() > 0.2 and abs(float(found.heatmap[0, 0])) < found.heatmap.max() / 2
        if model == "fashion_cnn":
            noise = np.random.default_rng(0).integers(0, 256, (1, 28, 28, 1)).astype(np.uint8)
            assert "unlike the training data" in (client.predict(model, noise).predictions[0].warning or "")
