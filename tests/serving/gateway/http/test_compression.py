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

ENCODERS: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "deflate": zlib.compress, "br": brotli.compress}
TEXT = b"a picture of a cross " * 50


@pytest.mark.parametrize("encoding", ENCODERS)
def test_decompression_within_the_limit(encoding: str) -> None:
    packed = ENCODERS[encoding](TEXT)
    assert compression.decompress(packed, encoding.upper(), len(TEXT), reservation()) == TEXT
    with pytest.raises(TooLarge, match=f"more than {len(TEXT) - 1} bytes after decompression"):
        compression.decompress(packed, encoding, len(TEXT) - 1, reservation())
    for broken in (packed[:-4], packed + b"more", b"", TEXT):
        with pytest.raises(BadDocument):
            compression.decompress(broken, encoding, 100_000, reservation())


def test_unknown_encodings_are_rejected() -> None:
    for unknown in ("zstd", "gzip, gzip"):
        with pytest.raises(UnsupportedMedia, match="gzip, deflate or br"):
            compression.decompress(b"", unknown, 10, reservation())


@pytest.mark.parametrize(
    ("accepted", "encoding"),
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
def test_preferred_encoding(accepted: str, encoding: str | None) -> None:
    assert compression.choose_encoding(accepted, "application/json") == encoding
    assert compression.choose_encoding(accepted, "application/octet-stream") is None


@pytest.mark.parametrize("encoding", ENCODERS)
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
def test_every_api_accepts_compressed_bodies(
    http: httpx.Client, path: str, kind: str, body: bytes, encoding: str
) -> None:
    plain = http.post(path, content=body, headers={"content-type": kind})
    packed = http.post(
        path, content=ENCODERS[encoding](body), headers={"content-type": kind, "content-encoding": encoding}
    )
    assert plain.status_code == packed.status_code == 200, packed.text
    assert _without_ids(packed) == _without_ids(plain)


def _without_ids(response: httpx.Response) -> dict[str, object]:
    return {
        key: value for key, value in response.json().items() if key not in ("request_id", "id", "created_at", "outputs")
    }


@pytest.mark.parametrize("encoding", ENCODERS)
def test_decompression_bomb_is_rejected(http: httpx.Client, encoding: str) -> None:
    bomb = ENCODERS[encoding](bytes(60_000_000))
    assert len(bomb) < 100_000
    response = http.post("/v1/models/line:predict", content=bomb, headers={"content-encoding": encoding})
    assert response.status_code == 413
    assert "1000000 bytes after decompression" in response.json()["error"]


def test_body_that_does_not_match_its_encoding(http: httpx.Client) -> None:
    response = http.post("/v1/models/shade:predict", content=picture(), headers={"content-encoding": "gzip"})
    assert (response.status_code, response.json()["code"]) == (400, "bad_document")
    response = http.post("/v1/models/shade:predict", content=picture(), headers={"content-encoding": "zstd"})
    assert (response.status_code, response.json()["code"]) == (415, "unsupported_media_type")


@pytest.mark.parametrize("encoding", ["gzip", "br"])
@pytest.mark.parametrize("path", ["/v1/models/line:predict", "/v1/models/shade:predict"])
def test_large_responses_are_compressed_if_accepted(http: httpx.Client, path: str, encoding: str) -> None:
    if "line" in path:
        sent = {"content": orjson.dumps({"instances": [[-n / 7e9] * 3 for n in range(128)]})}
    else:
        sent = {"content": npy(np.zeros((100, 4, 4, 1), np.uint8)), "headers": {"content-type": "application/x-npy"}}
    headers = sent.get("headers", {})
    packed = http.post(path, content=sent["content"], headers={**headers, "accept-encoding": encoding})
    plain = http.post(path, content=sent["content"], headers={**headers, "accept-encoding": "identity"})
    assert packed.headers["content-encoding"] == encoding
    assert "content-encoding" not in plain.headers
    assert packed.headers["vary"] == plain.headers["vary"] == "accept-encoding"
    assert int(packed.headers["content-length"]) < int(plain.headers["content-length"]) / 2
    assert packed.json()["predictions"] == plain.json()["predictions"]


def test_small_responses_are_not_compressed(http: httpx.Client) -> None:
    response = http.post("/v1/models/shade:predict", content=picture(), headers={"accept-encoding": "gzip, br"})
    assert "content-encoding" not in response.headers
    assert "vary" not in response.headers


def test_fastapi_responses_are_compressed(http: httpx.Client) -> None:
    for path in ("/openapi.json", "/metrics", "/page/page.css"):
        response = http.get(path, headers={"accept-encoding": "gzip"})
        assert response.headers["content-encoding"] == "gzip", path
        assert "accept-encoding" in response.headers["vary"].lower()


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_tritonclient_compresses_its_tensors(served: Gateway, encoding: str) -> None:
    with tritonclient.http.InferenceServerClient(served.url.removeprefix("http://")) as client:
        tensor = tritonclient.http.InferInput("x", [100, 3], "FP32")
        tensor.set_data_from_numpy(np.arange(300, dtype=np.float32).reshape(100, 3))
        result = client.infer(
            "line", [tensor], request_compression_algorithm=encoding, response_compression_algorithm=encoding
        )
        assert result.as_numpy("y").ravel().tolist() == list(range(300))
