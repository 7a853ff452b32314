"""Unusual picture files as a raw body, multipart, base64 and a data URL."""

import base64

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.programs import REPOSITORY
from tests.serving.gateway.conftest import picture
from tests.serving.preprocessing.picture_files.files import chunk, encoded, exif, segment, with_chunks, with_segments

PREDICT = "/v1/models/shade:predict"
LIGHT = picture(240, side=64)
LEVELS = np.asarray(Image.open(REPOSITORY / "examples" / "ankle_boot.png").convert("L")).astype(np.uint16)

READ = {
    "broken EXIF": (with_chunks(LIGHT, chunk(b"eXIf", b"broken")), "image/png"),
    "exposure -1/0": (
        with_segments(picture(240, form="JPEG"), segment(0xE1, b"Exif\0\0" + exif((0x9204, 10, 1, b"\xff" * 4)))),
        "image/jpeg",
    ),
    "text with a wrong checksum": (with_chunks(LIGHT, chunk(b"tEXt", b"a\0b", 1)), "image/png"),
    "no end marker": (picture(240, side=64, form="JPEG")[:-2], "image/jpeg"),
    "12 bits in 16": (encoded(Image.fromarray(LEVELS << 4)), "image/png"),
}
REFUSED = {
    "blank": (picture(np.full((28, 28), 9, np.uint8)), "image/png", "blank"),
    "HEIC": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "image/heic", "Most Compatible"),
    "AVIF": (b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf", "image/avif", "AVIF"),
    "TIFF": (b"II*\0\x08\0\0\0", "image/tiff", "TIFF"),
}


def post_everywhere(http: httpx.Client, data: bytes, content_type: str) -> list[httpx.Response]:
    text = base64.b64encode(data).decode()
    return [
        http.post(PREDICT, content=data, headers={"content-type": content_type}),
        http.post(PREDICT, files={"image": ("picture", data, content_type)}),
        http.post(PREDICT, json={"b64": text}),
        http.post("/v1/embeddings", json={"model": "shade", "input": f"data:{content_type};base64,{text}"}),
    ]


@pytest.mark.parametrize("name", READ)
def test_unusual_files_are_read_by_every_api(http: httpx.Client, name: str) -> None:
    for answer in post_everywhere(http, *READ[name]):
        assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("name", REFUSED)
def test_unusable_files_are_refused_by_every_api(http: httpx.Client, name: str) -> None:
    data, content_type, words = REFUSED[name]
    for answer in post_everywhere(http, data, content_type):
        assert answer.status_code == 400 and words in answer.text, answer.text
