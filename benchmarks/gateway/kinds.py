"""Other requests, to the gateway alone: photos, many pictures in one body, and embeddings as npy."""

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from benchmarks.gateway.load import Question, Target
from benchmarks.gateway.pictures import TOLERANCE, Picture, offline, picture
from serving.artifacts import model_card
from serving.artifacts.registry import ModelRegistry
from serving.preprocessing import image

_PHOTOS = 24
_PICTURES = 128
_BOUNDARY = "----------------8f2c1d"


@dataclass(frozen=True)
class Kind:
    """A kind of request: its name in the table, its path, and some requests."""

    title: str
    path: str
    questions: Sequence[Question]


@dataclass(frozen=True)
class Photo:
    """A JPEG. ``picture`` holds its bytes and the correct response."""

    picture: Picture

    def request(self, target: Target) -> bytes:
        return target.request(self.picture.png, "image/jpeg")

    def check(self, body: bytes) -> str:
        return self.picture.check(body)


@dataclass(frozen=True)
class Many:
    """Pictures in one multipart body."""

    pictures: Sequence[Picture]

    def request(self, target: Target) -> bytes:
        parts = [
            f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{number}.png"\r\n'.encode()
            + b"Content-Type: image/png\r\n\r\n"
            + one.png
            + b"\r\n"
            for number, one in enumerate(self.pictures)
        ]
        body = b"".join(parts) + f"--{_BOUNDARY}--\r\n".encode()
        return target.request(body, f"multipart/form-data; boundary={_BOUNDARY}")

    def check(self, body: bytes) -> str:
        predictions = json.loads(body)["predictions"]
        if len(predictions) != len(self.pictures):
            return f"{len(predictions)} predictions for {len(self.pictures)} pictures"
        found = [one.compare(prediction) for one, prediction in zip(self.pictures, predictions, strict=True)]
        return next(filter(None, found), "")


@dataclass(frozen=True)
class Embedded:
    """A PNG and its embedding."""

    png: bytes
    vector: tuple[float, ...]

    def request(self, target: Target) -> bytes:
        return target.request(self.png, "image/png", "Accept: application/x-npy\r\n")

    def check(self, body: bytes) -> str:
        vectors = np.load(io.BytesIO(body))
        if vectors.shape != (1, len(self.vector)):
            return f"the embeddings have the shape {vectors.shape}"
        return "" if np.allclose(vectors[0], self.vector, atol=TOLERANCE) else "another picture's embedding"


def kinds(exports: Path, pictures: Sequence[Picture]) -> list[Kind]:
    """Make the kinds whose models are in the exports."""
    found = []
    photos = next((name for name in ("xo_mobilenet", "xo_cnn") if ModelRegistry(exports).live(name)), None)
    if photos is not None:
        found.append(Kind(f"640×480 JPEG, {photos}", f"/v1/models/{photos}:predict", _photos(_live(exports, photos))))
    few = len(pictures) - len(pictures) % _PICTURES
    many = [Many(pictures[first : first + _PICTURES]) for first in range(0, few, _PICTURES)]
    found.append(Kind(f"{_PICTURES} PNGs in one multipart, fashion_cnn", "/v1/models/fashion_cnn:predict", many))
    if ModelRegistry(exports).live("fashion_embedding"):
        vectors = _embedded(_live(exports, "fashion_embedding"), pictures)
        found.append(Kind("embedding as npy, fashion_embedding", "/v1/models/fashion_embedding:embed", vectors))
    return found


def _live(exports: Path, model: str) -> Path:
    return exports / model / str(ModelRegistry(exports).live(model))


def _photos(version_directory: Path) -> list[Photo]:
    """Draw crosses and noughts at random places on grey paper."""
    card, random = model_card.read(version_directory), np.random.default_rng(0)
    assert card.image is not None
    photos = []
    for number in range(_PHOTOS):
        drawing = Image.fromarray(random.normal(200, 6, (480, 640, 3)).clip(0, 255).astype(np.uint8))
        x, y = random.integers(60, 300), random.integers(60, 180)
        side = int(random.integers(120, 240))
        draw = ImageDraw.Draw(drawing)
        if number % 2:
            draw.ellipse((x, y, x + side, y + side), outline=(20, 30, 90), width=14)
        else:
            draw.line((x, y, x + side, y + side), fill=(20, 30, 90), width=14)
            draw.line((x + side, y, x, y + side), fill=(20, 30, 90), width=14)
        file = io.BytesIO()
        drawing.save(file, "JPEG", quality=90)
        pixels = image.decode(file.getvalue(), card.image)
        row = offline(version_directory, pixels[None], "probabilities")[0].tolist()
        photos.append(Photo(picture(file.getvalue(), card.labels, row)))
    return photos


def _embedded(version_directory: Path, pictures: Sequence[Picture]) -> list[Embedded]:
    card = model_card.read(version_directory)
    assert card.image is not None
    pixels = np.stack([image.decode(one.png, card.image) for one in pictures])
    vectors = offline(version_directory, pixels, "embedding")
    return [Embedded(one.png, tuple(vector.tolist())) for one, vector in zip(pictures, vectors, strict=True)]
