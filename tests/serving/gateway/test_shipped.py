"""The shipped models, the whole way: what the gateway answers is what the version gives offline."""

import contextlib
import io
import itertools
import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from serving import card, images, models_config
from serving.onnx import onnxruntime
from tests.conftest import SHIPPED
from tests.programs import model_server
from tests.serving.gateway import programs
from tests.serving.gateway.programs import Gateway


@contextlib.contextmanager
def both(exports: Path) -> Iterator[Gateway]:
    config = exports / "models.config"  # the working copy's may name models that are built, not shipped
    named = {name: model for name, model in models_config.read(config).items() if name in SHIPPED}
    config.write_text(models_config.render(named))
    with model_server(exports) as address, programs.gateway(address, config) as gateway:
        programs.wait_until_ready(gateway, *SHIPPED)
        yield gateway


def drawings() -> list[bytes]:
    """Forty-eight different pictures, of several sizes, colours and formats."""
    made = []
    for number, (side, form) in enumerate(itertools.product((28, 60, 200, 640), ("PNG", "JPEG", "WEBP"))):
        for turn in range(4):
            picture = Image.new(
                "RGB", (side, side + turn), (250 - 10 * number, 240, 250) if turn % 2 else (number, 9, 12)
            )
            ink = (30, 20 * turn, 90) if turn % 2 else (250, 200, 20 * number % 255)
            pen = ImageDraw.Draw(picture)
            pen.line((side * 0.2, side * 0.2, side * (0.5 + turn / 10), side * 0.8), ink, width=side // 8)
            pen.ellipse((side * 0.4, side * 0.3, side * 0.8, side * (0.5 + turn / 10)), outline=ink, width=side // 10)
            stream = io.BytesIO()
            picture.convert("L" if form == "PNG" and turn > 1 else "RGB").save(stream, form)
            made.append(stream.getvalue())
    return made


def test_every_answer_is_that_of_the_version_itself(exports: Path) -> None:
    pictures = drawings()
    with both(exports) as gateway:
        assert gateway.http.get("/readyz").status_code == 200
        for model in ("fashion_cnn", "fashion_embedding", "xo_cnn"):
            directory = exports / model / "1"
            recipe = card.read(directory).image
            assert recipe is not None
            session = onnxruntime.InferenceSession(directory / "assets.extra" / "model.onnx")
            rows = np.stack([images.decode(data, recipe) for data in pictures])
            probabilities, vectors = session.run(["probabilities", "embedding"], {"image": rows})

            def ask(verb: str, number: int, model: str = model) -> dict[str, object]:
                answer = gateway.http.post(f"/v1/models/{model}:{verb}", content=pictures[number])
                assert answer.status_code == 200, answer.text
                return answer.json()

            with ThreadPoolExecutor(16) as callers:
                answers = list(callers.map(lambda number: ask("predict", number), range(len(pictures))))
                embedded = list(callers.map(lambda number: ask("embed", number), range(len(pictures))))
            for number, answer in enumerate(answers):
                told = list(answer["predictions"][0]["probabilities"].values())
                assert told == pytest.approx(probabilities[number].tolist(), abs=1e-5)
                assert embedded[number]["embeddings"][0] == pytest.approx(vectors[number].tolist(), abs=1e-4)


def test_the_sine_goes_on(exports: Path) -> None:
    history = [math.sin(step * math.pi / 10) for step in range(30)]
    expected = [math.sin(step * math.pi / 10) for step in range(30, 54)]
    with both(exports) as gateway:
        answer = gateway.http.post("/v1/models/sine_rnn:forecast", json={"history": history, "horizon": 24}).json()
        assert answer["forecasts"][0]["mean"] == pytest.approx(expected, abs=0.05)
        answer = gateway.http.post("/v1/models/stock_rnn:forecast", json={"history": [350.0] * 40, "horizon": 5}).json()
        (one,) = answer["forecasts"]
        assert all(low <= high for low, high in zip(one["lower"], one["upper"], strict=True))
        assert answer["notes"]
