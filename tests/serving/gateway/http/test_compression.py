"""Compressed bodies and responses on every API, and decompression bombs."""

import gzip
import zlib
from collections.abc import Callable

import brotli
import httpx
import numpy as np
import orjson
import pytest
import tritonclient.http

from serving.gateway.errors import BadDocument, TooLarge, UnsupportedMedia
from serving.gateway.http import compression
from tests.serving.gateway.codecs.test_large_json import reservation
from tests.serving.gateway.conftest import npy, picture
from tests.serving.gateway.programs import Gateway

WAYS: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "deflate": zlib.compress, "br": brotli.compress}
TEXT = b"a picture of a cross " * 50


@pytest.mark.parametrize("way", WAYS)
def test_decompression_within_the_limit(way: str) -> None:
    packed = WAYS[way](TEXT)
    assert compression.decompress(packed, way.upper(), len(TEXT), reservation()) == TEXT
    with pytest.raises(TooLarge, match=f"more than {len(TEXT) - 1} bytes after decompression"):
        compression.decompress(packed, way, len(TEXT) - 1, reservation())
    for broken in (packed[:-4], packed + b"more", b"", TEXT):
        with pytest.raises(BadDocument):
            compression.decompress(broken, way, 100_000, reservation())


def test_unknown_encodings_are_rejected() -> None:
    for encoding in ("zstd", "gzip, gzip"):
        with pytest.raises(UnsupportedMedia, match="gzip, deflate or br"):
            compression.decompress(b"", encoding, 10, reservation())


@pytest.mark.parametrize(
    ("accepted", "way"),
    [
        ("gzip, deflate, br", "br"),
        ("gzip", "gzip"),
        ("GZIP;q=1.0, br;q=0.5", "gzip"),
        ("br;q=0, *", "gzip"),
        ("*", "br"),
        ("gzip;q=0", None),
        ("identity", None),
        ("zstd;q=x, gzip;q=0.1", "gzip"),
        ("", None),
    ],
)
def test_preferred_encoding(accepted: str, way: str | None) -> None:
    assert compression.choose_encoding(accepted, "application/json") == way
    assert compression.choose_encoding(accepted, "application/octet-stream") is None


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("path", "kind", "body"),
    [
        ("/v1/models/shade:predict", "image/png", picture(90)),
        ("/v1/models/shade:embed", "application/x-npy", npy(np.zeros((1, 4, 4, 1), np.uint8))),
        ("/v1/models/line:predict", "application/json", b'{"instances": [[1.0, 2.0, 3.0]]}'),
        (
            "/v2/models/line/infer",
            "application/json",
            b'{"inputs": [{"name": "x", "shape": [1, 3], "datatype": "FP32", "data": [1, 2, 3]}]}',
        ),
        (
            "/v1/timeseries/forecast",
            "application/json",
            orjson.dumps(
                {
                    "model": "trend",
                    "inputs": [
                        {
                            "type": "univariate_time_series",
                            "name": "t",
                            "series": [1, 2, 3, 4],
                            "frequency": "day",
                            "start_timestamp": "2026-01-01T00:00:00",
                        }
                    ],
                    "options": {"horizon": 2},
                }
            ),
        ),
    ],
)
def test_every_api_accepts_compressed_bodies(http: httpx.Client, path: str, kind: str, body: bytes, way: str) -> None:
    plain = http.post(path, content=body, headers={"content-type": kind})
    packed = http.post(path, content=WAYS[way](body), headers={"content-type": kind, "content-encoding": way})
    assert plain.status_code == packed.status_code == 200, packed.text
    assert _without_ids(packed) == _without_ids(plain)


def _without_ids(answer: httpx.Response) -> dict[str, object]:
    return {
        key: value for key, value in answer.json().items() if key not in ("request_id", "id", "created_at", "outputs")
    }


@pytest.mark.parametrize("way", WAYS)
def test_decompression_bomb_is_rejected(http: httpx.Client, way: str) -> None:
    bomb = WAYS[way](bytes(60_000_000))
    assert len(bomb) < 100_000
    answer = http.post("/v1/models/line:predict", content=bomb, headers={"content-encoding": way})
    assert answer.status_code == 413
    assert "1000000 bytes after decompression" in answer.json()["error"]


def test_body_that_does_not_match_its_encoding(http: httpx.Client) -> None:
    answer = http.post("/v1/models/shade:predict", content=picture(), headers={"content-encoding": "gzip"})
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_document")
    answer = http.post("/v1/models/shade:predict", content=picture(), headers={"content-encoding": "zstd"})
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")


@pytest.mark.parametrize("way", ["gzip", "br"])
@pytest.mark.parametrize("path", ["/v1/models/line:predict", "/v1/models/shade:predict"])
def test_large_responses_are_compressed_if_accepted(http: httpx.Client, path: str, way: str) -> None:
    if "line" in path:
        sent = {"content": orjson.dumps({"instances": [[-n / 7e9] * 3 for n in range(128)]})}
    else:
        sent = {"content": npy(np.zeros((100, 4, 4, 1), np.uint8)), "headers": {"content-type": "application/x-npy"}}
    headers = sent.get("headers", {})
    packed = http.post(path, content=sent["content"], headers={**headers, "accept-encoding": way})
    plain = http.post(path, content=sent["content"], headers={**headers, "accept-encoding": "identity"})
    assert packed.headers["content-encoding"] == way
    assert "content-encoding" not in plain.headers
    assert packed.headers["vary"] == plain.headers["vary"] == "accept-encoding"
    assert int(packed.headers["content-length"]) < int(plain.headers["content-length"]) / 2
    assert packed.json()["predictions"] == plain.json()["predictions"]


def test_small_responses_are_not_compressed(http: httpx.Client) -> None:
    answer = http.post("/v1/models/shade:predict", content=picture(), headers={"accept-encoding": "gzip, br"})
    assert "content-encoding" not in answer.headers
    assert "vary" not in answer.headers


def test_fastapi_responses_are_compressed(http: httpx.Client) -> None:
    for path in ("/openapi.json", "/metrics", "/page/page.css"):
        answer = http.get(path, headers={"accept-encoding": "gzip"})
        assert answer.headers["content-encoding"] == "gzip", path
        assert "accept-encoding" in answer.headers["vary"].lower()


@pytest.mark.parametrize("way", ["gzip", "deflate"])
def test_tritonclient_compresses_its_tensors(served: Gateway, way: str) -> None:
    with tritonclient.http.InferenceServerClient(served.url.removeprefix("http://")) as client:
        tensor = tritonclient.http.InferInput("x", [100, 3], "FP32")
        tensor.set_data_from_numpy(np.arange(300, dtype=np.float32).reshape(100, 3))
        result = client.infer("line", [tensor], request_compression_algorithm=way, response_compression_algorithm=way)
        assert result.as_numpy("y").ravel().tolist() == list(range(300))
