"""Larger requests: photos, and batches of pixels."""

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.gateway.pictures import Picture, offline, picture, predictions
from benchmarks.gateway.target import Question, Target
from serving.artifacts import model_card
from serving.preprocessing import image

_PHOTOS = 24
_ROWS = 128


@dataclass(frozen=True)
class Photo:
    """A JPEG. ``picture`` holds its bytes and the correct response."""

    picture: Picture

    def request(self, target: Target) -> bytes:
        return target.picture(self.picture.file, "image/jpeg")

    def check(self, body: bytes) -> str:
        return self.picture.check(body)


@dataclass(frozen=True)
class Rows:
    """Pixels of some pictures in one array."""

    pictures: Sequence[Picture]

    def request(self, target: Target) -> bytes:
        pixels = [np.asarray(Image.open(io.BytesIO(one.file))) for one in self.pictures]
        return target.array(np.stack(pixels)[..., None])

    def check(self, body: bytes) -> str:
        try:
            found = predictions(json.loads(body))
            pairs = zip(self.pictures, found, strict=True)
            return next(filter(None, (one.compare(prediction) for one, prediction in pairs)), "")
        except (ValueError, KeyError, TypeError, AttributeError):
            return f"the body is not {len(self.pictures)} predictions: {body[:200]!r}"


def kinds(version_directory: Path, pictures: Sequence[Picture]) -> Mapping[str, Sequence[Question]]:
    """Make the requests of each kind: ``picture``, ``rows`` and ``photo``."""
    few = len(pictures) - len(pictures) % _ROWS
    return {
        "picture": pictures,
        "rows": [Rows(pictures[first : first + _ROWS]) for first in range(0, few, _ROWS)],
        "photo": [_photo(version_directory, one, number) for number, one in enumerate(pictures[:_PHOTOS])],
    }


def _photo(version_directory: Path, small: Picture, number: int) -> Photo:
    """Lay a garment of the test set, enlarged, at a random place on grey paper."""
    card, random = model_card.read(version_directory), np.random.default_rng(number)
    assert card.image is not None
    side = int(random.integers(240, 400))
    garment = Image.open(io.BytesIO(small.file)).resize((side, side), Image.Resampling.BICUBIC)
    paper = Image.fromarray(random.normal(200, 6, (480, 640, 3)).clip(0, 255).astype(np.uint8))
    place = (int(random.integers(20, 620 - side)), int(random.integers(20, 460 - side)))
    paper.paste((40, 50, 110), place, garment)
    file = io.BytesIO()
    paper.save(file, "JPEG", quality=90)
    row = offline(version_directory, image.decode(file.getvalue(), card.image)[None], "probabilities")[0].tolist()
    return Photo(picture(file.getvalue(), card.labels, row))
