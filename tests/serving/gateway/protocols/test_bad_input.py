"""Invalid requests get a 4xx with a message that says what is expected, and the gateway keeps running."""

import base64
import io
import socket
import struct
import zlib
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.serving.gateway.conftest import npy, picture
from tests.serving.gateway.programs import Gateway

PREDICT = "/v1/models/shade:predict"
EMBED = "/v1/models/shade:embed"
FORECAST = "/v1/models/trend:forecast"
HISTORY = [1, 2, 3, 4]
JSON = {"content-type": "application/json"}
NPY = {"content-type": "application/x-npy"}


def refused(answer: httpx.Response, status: int, code: str, *words: str) -> None:
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert body.keys() == {"error", "code", "request_id"}
    assert body["code"] == code
    assert body["request_id"] == answer.headers["x-request-id"]
    for word in words:
        assert word in body["error"]
    assert "Traceback" not in answer.text


def bomb() -> bytes:
    """A PNG of a few bytes whose header has 60,000 × 60,000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


def animated(form: str) -> bytes:
    frames = [Image.new("L", (8, 8), value) for value in (0, 255)]
    stream = io.BytesIO()
    frames[0].save(stream, form, save_all=True, append_images=frames[1:])
    return stream.getvalue()


def npy_head(shape: tuple[int, ...]) -> bytes:
    """The header of an npy body of uint8 with a shape that NumPy cannot write."""
    head = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}}}\n".encode()
    return b"\x93NUMPY\x02\x00" + struct.pack("<I", len(head)) + head


PICTURES: dict[str, tuple[bytes, str]] = {
    "no picture": (b"hello, world", "PNG, JPEG, WebP, BMP or GIF"),
    "zero bytes": (b"", "empty"),
    "truncated PNG": (picture(np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8))[:900], "truncated"),
    "truncated JPEG": (picture(np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8), form="JPEG")[:900], ""),
    "head of a PNG alone": (picture()[:20], "cannot be read"),
    "pixel bomb": (bomb(), "60000×60000"),
    "one pixel": (picture(9, side=1), "blank"),
    "one colour": (picture(np.full((4, 4), 9, np.uint8)), "blank"),
    "too many pixels": (picture(0, side=1100), "1100×1100"),
    "animated GIF": (animated("GIF"), "animated"),
    "animated PNG": (animated("PNG"), "animated"),
    "animated WebP": (animated("WEBP"), "animated"),
}


@pytest.mark.parametrize("name", PICTURES)
def test_bad_pictures(http: httpx.Client, name: str) -> None:
    body, word = PICTURES[name]
    refused(http.post(PREDICT, content=body, headers={"content-type": "image/png"}), 400, "bad_picture", word)
    b64 = base64.b64encode(body).decode()
    refused(http.post(EMBED, json={"b64": b64}), 400, "bad_picture", word)
    files = [("a", ("a.png", picture())), ("b", ("b.png", body))]
    refused(http.post(PREDICT, files=files), 400, "bad_picture", word, "picture 2 of 2")


@pytest.mark.parametrize("mode", ["1", "P", "LA", "RGBA", "I;16", "CMYK", "RGB"])
def test_unusual_pictures_are_read(http: httpx.Client, mode: str) -> None:
    if mode == "I;16":
        stream = io.BytesIO()
        Image.fromarray(np.arange(0, 64_000, 4_000, np.uint16).reshape(4, 4)).save(stream, "PNG")
        body = stream.getvalue()
    else:
        body = picture(
            np.linspace(90, 250, 256).astype(np.uint8).reshape(16, 16),
            mode=mode,
            form="JPEG" if mode == "CMYK" else "PNG",
        )
    answer = http.post(PREDICT, content=body)
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("side", [2, 3, 900])
def test_pictures_of_any_size_are_read(http: httpx.Client, side: int) -> None:
    assert http.post(PREDICT, content=picture(9, side=side)).status_code == 200


@pytest.mark.parametrize("content_type", ["text/html", "application/pdf", "image", "%%%"])
def test_other_content_types(http: httpx.Client, content_type: str) -> None:
    answer = http.post(PREDICT, content=picture(), headers={"content-type": content_type})
    refused(answer, 415, "unsupported_media_type", "image/png", "multipart/form-data", "application/json")


ARRAYS: dict[str, tuple[bytes, str, tuple[str, ...]]] = {
    "rank 2": (npy(np.zeros((4, 4), np.uint8)), "bad_tensor", ("[4, 4]",)),
    "rank 5": (npy(np.zeros((1, 1, 4, 4, 1), np.uint8)), "bad_tensor", ("[1, 1, 4, 4, 1]",)),
    "size": (npy(np.zeros((1, 5, 4, 1), np.uint8)), "bad_tensor", ("[N, 4, 4, 1]", "[1, 5, 4, 1]")),
    "type": (npy(np.zeros((1, 4, 4, 1), np.float32)), "bad_tensor", ("uint8", "float32")),
    "no rows": (npy(np.zeros((0, 4, 4, 1), np.uint8)), "bad_tensor", ("empty",)),
    "too many rows": (npy(np.zeros((129, 4, 4, 1), np.uint8)), "bad_tensor", ("128", "129")),
    "objects": (npy(np.array([{}], object)), "bad_document", ("object",)),
    "text": (npy(np.array(["a"])), "bad_document", ("numbers",)),
    "no array": (b"hello", "bad_document", ("npy array",)),
    "half an array": (npy(np.zeros((1, 4, 4, 1), np.uint8))[:-1], "bad_document", ("the 15 bytes that follow",)),
    "a head that lies": (
        npy(np.zeros((9, 4, 4, 1), np.uint8)).replace(b"(9,", b"(9000000000,")[:300],
        "bad_document",
        ("npy header",),
    ),
    "a size of 3000 digits": (npy_head((10**3000, 10**3000)), "bad_document", ("0 bytes that follow",)),
    "100 axes": (npy_head((1,) * 100) + bytes(1), "bad_document", ("no array can have",)),
    "an axis beyond 64 bits": (npy_head((0, 10**30)), "bad_document", ("no array can have",)),
    "half a head": (npy(np.zeros(4, np.uint8))[:30], "bad_document", ("npy array",)),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_bad_arrays(http: httpx.Client, name: str) -> None:
    body, code, words = ARRAYS[name]
    refused(http.post(PREDICT, content=body, headers=NPY), 400, code, *words)


DOCUMENTS: dict[str, tuple[bytes, str, tuple[str, ...]]] = {
    "malformed": (b'{"b64": ', "bad_document", ("not valid JSON",)),
    "NaN": ('{"ä": [1, NaN]}'.encode(), "bad_document", ("not valid JSON", "not finite")),
    "empty": (b"", "bad_document", ("empty",)),
    "a list": (b"[1]", "bad_document", ("object",)),
    "no key": (b"{}", "bad_document", ("b64", "instances")),
    "another key": (b'{"image": ""}', "bad_document", ("image",)),
    "one key too many": (b'{"b64": "", "top": 1}', "bad_document", ("b64",)),
    "base64 of another alphabet": (b'{"b64": "_-_-"}', "bad_document", ("base64",)),
    "base64 of no length that there is": (b'{"b64": "abcde"}', "bad_document", ("base64",)),
    "base64 with half of its padding": (b'{"b64": "YQ="}', "bad_document", ("base64",)),
    "base64 of other letters": ('{"b64": "Zür="}'.encode(), "bad_document", ("base64",)),
    "a number": (b'{"b64": 7}', "bad_document", ("a number",)),
    "an empty list": (b'{"b64": []}', "bad_tensor", ("1 to 128",)),
    "not UTF-8": (b'{"b64": "\xff"}', "bad_document", ("not UTF-8",)),
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_bad_documents(http: httpx.Client, name: str) -> None:
    body, code, words = DOCUMENTS[name]
    refused(http.post(PREDICT, content=body, headers=JSON), 400, code, *words)


def form(*parts: str, boundary: str = "frontier", end: bool = True) -> bytes:
    text = "".join(f"--{boundary}\r\n{part}\r\n" for part in parts)
    return (text + (f"--{boundary}--\r\n" if end else "")).encode()


FILE = 'Content-Disposition: form-data; name="a"; filename="a.png"\r\n\r\n'
FORMS: dict[str, tuple[bytes, str, str]] = {
    "no boundary": (form(FILE), "", "boundary"),
    "another boundary": (form(FILE), "; boundary=other", "malformed"),
    "no part": (b"", "; boundary=frontier", "unfinished"),
    "no file": (
        form('Content-Disposition: form-data; name="size"\r\n\r\n9'),
        "; boundary=frontier",
        "'size' is not a file",
    ),
    "unfinished": (form(FILE, end=False), "; boundary=frontier", "unfinished"),
    "endless head": (form("a: b\r\n" * 3000 + FILE), "; boundary=frontier", "malformed"),
    "too many": (form(*[FILE] * 129), "; boundary=frontier", "128"),
}


@pytest.mark.parametrize("name", FORMS)
def test_bad_forms(http: httpx.Client, name: str) -> None:
    body, parameters, word = FORMS[name]
    answer = http.post(PREDICT, content=body, headers={"content-type": f"multipart/form-data{parameters}"})
    refused(answer, 400, "bad_document", word)


SERIES: dict[str, tuple[Any, str, tuple[str, ...]]] = {
    "short": ({"history": [1, 2, 3], "horizon": 1}, "bad_tensor", ("at least 4", "has 3")),
    "empty": ({"history": [], "horizon": 1}, "bad_tensor", ("empty",)),
    "no list": ({"history": 7, "horizon": 1}, "bad_tensor", ("a number",)),
    "text": ({"history": ["1", 2, 3, 4], "horizon": 1}, "bad_tensor", ("a string",)),
    "truth": ({"history": [True, 2, 3, 4], "horizon": 1}, "bad_tensor", ("true or false",)),
    "null": ({"history": [None, 2, 3, 4], "horizon": 1}, "bad_tensor", ("null",)),
    "too large": ({"history": [1e39, 2, 3, 4], "horizon": 1}, "bad_tensor", ("too large",)),
    "ragged": ({"history": [HISTORY, [1, 2]], "horizon": 1}, "bad_tensor", ("ragged",)),
    "mixed": ({"history": [HISTORY, 1], "horizon": 1}, "bad_tensor", ("ragged",)),
    "too deep": ({"history": [[HISTORY]], "horizon": 1}, "bad_tensor", ()),
    "too many": ({"history": [HISTORY] * 129, "horizon": 1}, "bad_tensor", ("1 to 128", "129")),
    "no history": ({"horizon": 1}, "bad_document", ("history",)),
    "a misspelt key": ({"history": HISTORY, "horizont": 1}, "bad_document", ("horizont",)),
    "horizon 0": ({"history": HISTORY, "horizon": 0}, "bad_option", ("1 to 50", "not 0")),
    "horizon -1": ({"history": HISTORY, "horizon": -1}, "bad_option", ("1 to 50",)),
    "horizon 10000": ({"history": HISTORY, "horizon": 10_000}, "bad_option", ("1 to 50", "10000")),
    "horizon 2.5": ({"history": HISTORY, "horizon": 2.5}, "bad_option", ("whole", "2.5")),
    "horizon as text": ({"history": HISTORY, "horizon": "2"}, "bad_option", ("whole", "'2'")),
    "horizon true": ({"history": HISTORY, "horizon": True}, "bad_option", ("whole",)),
    "no horizon": ({"history": HISTORY}, "bad_option", ("missing",)),
}


@pytest.mark.parametrize("name", SERIES)
def test_bad_series(http: httpx.Client, name: str) -> None:
    document, code, words = SERIES[name]
    refused(http.post(FORECAST, json=document), 400, code, *words)


def test_a_horizon_given_twice_or_to_predict(http: httpx.Client) -> None:
    document = {"history": HISTORY, "horizon": 3}
    refused(http.post(FORECAST, json=document, params={"horizon": 2}), 400, "bad_option", "query and in the body")
    refused(
        http.post(FORECAST.replace("forecast", "predict"), json=document),
        400,
        "bad_option",
        ":forecast",
        "horizon of 3",
    )


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_series_with_nan_or_infinity(http: httpx.Client, value: float) -> None:
    answer = http.post(FORECAST, content=npy(np.array([value, 1, 2, 3])), headers=NPY, params={"horizon": 1})
    refused(answer, 400, "bad_tensor", "NaN or infinity")


@pytest.mark.parametrize(
    ("array", "word"),
    [
        (np.array(3.0), "has 0 axes"),
        (np.zeros((1, 1, 4)), "has 3 axes"),
        (np.zeros((2, 0)), "at least 4"),
        (np.zeros(4, bool), "bool"),
    ],
)
def test_series_of_wrong_rank_and_type(http: httpx.Client, array: np.ndarray, word: str) -> None:
    refused(http.post(FORECAST, content=npy(array), headers=NPY, params={"horizon": 1}), 400, "bad_tensor", word)


def test_a_picture_for_a_series_model_and_the_reverse(http: httpx.Client) -> None:
    answer = http.post(FORECAST, content=picture(), headers={"content-type": "image/png"})
    refused(answer, 415, "unsupported_media_type", "numbers", "history")
    refused(http.post(PREDICT, json={"history": HISTORY}), 400, "bad_document", "b64", "history")


@pytest.mark.parametrize(
    ("path", "params", "words"),
    [
        (PREDICT, {"polarity": "upside_down"}, ("light_on_dark", "upside_down")),
        (PREDICT, {"top": "0"}, ("above 0",)),
        (PREDICT, {"top": "x"}, ("above 0", "'x'")),
        (PREDICT, {"tpo": "1"}, ("polarity, top", "tpo")),
        (PREDICT, [("top", "1"), ("top", "2")], ("at most once",)),
        (PREDICT, {"top": "1" * 3000}, ("3004 bytes", "at most 2048")),
        (EMBED, {"top": "1"}, ("polarity",)),
        ("/v1/models/shade:neighbours", {"k": "0"}, ("1 to 4", "'0'")),
        ("/v1/models/shade:neighbours", {"k": "5"}, ("1 to 4", "'5'")),
        ("/v1/models/shade:neighbours", {"k": "many"}, ("whole number", "'many'")),
        ("/v1/models/trend:predict", {"horizon": "3"}, ("horizon",)),
    ],
)
def test_bad_parameters(http: httpx.Client, path: str, params: Any, words: tuple[str, ...]) -> None:
    content = picture() if "shade" in path else b'{"history": [1, 2, 3, 4]}'
    refused(http.post(path, content=content, params=params), 400, "bad_option", *words)


@pytest.mark.parametrize(
    ("path", "code", "words"),
    [
        ("/v1/models/nobody:predict", "unknown_model", ("nobody", "shade", "trend")),
        ("/v1/models/shade/versions/9:predict", "unknown_version", ("9", "available: 1")),
        ("/v1/models/shade/versions/x:predict", "unknown_version", ("whole number", "x")),
        ("/v1/models/shade/versions/99999999999999999999:predict", "unknown_version", ("whole number",)),
        (f"/v1/models/shade/versions/{'9' * 5000}:predict", "unknown_version", ("whole number",)),
        ("/v1/models/shade:interpret", "unknown_verb", (":interpret", ":predict", ":classify")),
        ("/v1/models/shade:forecast", "unknown_verb", ("kind image", ":predict, :embed")),
        ("/v1/models/trend:embed", "unknown_verb", ("kind series", ":predict, :forecast")),
        ("/v1/models/trend:neighbours", "unknown_verb", ("kind series", ":predict, :forecast")),
        ("/v1/models/line:embed", "unknown_verb", ("model card cannot be read", "instances")),
        ("/v1/models/shade/versions:predict", "unknown_path", ("/v1/models/MODEL:predict",)),
        ("/v1/models/:predict", "unknown_path", ("/v1/models/MODEL:predict",)),
        ("/v1/models/a/b/c:predict", "unknown_path", ("/v1/models/MODEL:predict",)),
        ("/v3/models", "unknown_path", ("/docs",)),
    ],
)
def test_unknown_models_versions_and_paths(http: httpx.Client, path: str, code: str, words: tuple[str, ...]) -> None:
    refused(http.post(path, content=picture()), 404, code, *words)


@pytest.mark.parametrize("verb", ["predict", "embed", "classify"])
def test_an_unknown_label(http: httpx.Client, verb: str) -> None:
    """TensorFlow Serving's status and words, for every verb."""
    answer = http.post(f"/v1/models/shade/labels/canary:{verb}", content=picture())
    assert answer.status_code == 400
    assert answer.json()["error"] == "Unrecognized servable version label: canary; model shade has stable"
    for path in ("", "/metadata", "/card"):
        assert http.get(f"/v1/models/shade/labels/canary{path}").json()["error"] == answer.json()["error"]


@pytest.mark.parametrize("path", ["/v1/models/", "/v1/models/shade/", "/livez/"])
def test_an_extra_slash_is_not_redirected(http: httpx.Client, path: str) -> None:
    refused(http.get(path), 404, "unknown_path", "/docs")


@pytest.mark.parametrize("path", [PREDICT, EMBED, FORECAST])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS"])
def test_wrong_methods(http: httpx.Client, path: str, method: str) -> None:
    answer = http.request(method, path)
    refused(answer, 405, "method_not_allowed", "POST", method)
    assert answer.headers["allow"] == "POST"


def test_wrong_methods_of_other_routes(http: httpx.Client) -> None:
    answer = http.post("/v1/models")
    refused(answer, 405, "method_not_allowed", "GET")
    assert http.head(PREDICT).status_code == 405
    assert (http.head(PREDICT).content, http.head("/nowhere").content) == (b"", b"")


def test_a_declared_size_over_the_limit_is_refused_at_once(served: Gateway) -> None:
    head = b"POST /v1/models/shade:predict HTTP/1.1\r\nhost: x\r\ncontent-length: 50000000\r\n\r\n"
    assert b"413" in first_line(served, [head])


def test_reading_stops_when_a_body_grows_over_the_limit(served: Gateway) -> None:
    head = b"POST /v1/models/shade:predict HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
    chunk = b"10000\r\n" + bytes(0x10000) + b"\r\n"
    assert b"413" in first_line(served, [head, *[chunk] * 40])


def first_line(served: Gateway, pieces: list[bytes]) -> bytes:
    """The response to these bytes, read until the server closes the connection."""
    url = httpx.URL(served.url)
    with socket.create_connection((url.host, url.port or 80), timeout=10) as connection:
        for piece in pieces:
            connection.sendall(piece)
        answered = b""
        while received := connection.recv(65536):
            answered += received
    assert b"connection: close" in answered
    assert b'"code":"too_large"' in answered
    return answered.split(b"\r\n")[0]


def test_large_bodies_are_refused_with_a_message(http: httpx.Client) -> None:
    refused(http.post(PREDICT, content=bytes(1_000_001)), 413, "too_large", "1000001", "1000000")


def test_the_gateway_still_answers(http: httpx.Client) -> None:
    assert http.get("/readyz").json()["ready"]
    assert http.post(PREDICT, content=picture()).status_code == 200
