"""The client against a real gateway, and a small server that rejects requests and drops connections."""

import asyncio
import contextlib
import inspect
import io
import socket
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from serving import client as package
from serving.artifacts.model_card import ModelCard
from serving.client import AsyncClient, Client, VitrineError, retries
from serving.client.encoding import encode_picture
from serving.preprocessing import image
from tests.programs import free_port
from tests.serving.gateway.conftest import picture
from tests.serving.gateway.programs import Gateway

PIXELS = np.array([[205] * 4, [200] * 4, [200] * 4, [195] * 4], np.uint8)


@pytest.fixture
def client(served: Gateway) -> Iterator[Client]:
    with Client(served.url) as one:
        yield one


@pytest.mark.parametrize(
    "form", ["path", "name", "bytes", "pillow", "[H, W]", "[H, W, 1]", "[N, H, W, C]", "a list of all"]
)
def test_pictures_in_every_form(client: Client, tmp_path: Path, form: str) -> None:
    file = tmp_path / "light.png"
    file.write_bytes(picture(200))
    forms: dict[str, object] = {
        "path": file,
        "name": str(file),
        "bytes": picture(200),
        "pillow": Image.fromarray(PIXELS),
        "[H, W]": PIXELS,
        "[H, W, 1]": PIXELS[..., None],
    }
    sent = {**forms, "[N, H, W, C]": PIXELS[None, ..., None], "a list of all": list(forms.values())}[form]
    result = client.predict("shade", sent, polarity=None if form == "[N, H, W, C]" else "light_on_dark")  # type: ignore[arg-type]
    assert (result.model, result.version, bool(result.request_id)) == ("shade", 1, True)
    assert len(result.predictions) == (len(forms) if form == "a list of all" else 1)
    for prediction in result.predictions:
        assert (prediction.label, prediction.index) == ("light", 2)
        assert prediction.probability == prediction.probabilities["light"] > 0.7


def test_all_other_operations(client: Client) -> None:
    assert client.predict_table("price", {"rooms": np.int64(3), "age": np.float32(10)}).values == [103]
    table = client.predict_table("price", np.array([[3, 10], [4, 10]], np.float32))
    assert (table.values, table.unit) == ([103, 104], "1000 USD")
    assert client.predict_signal("pulse", [9, 9, 9, 9], top=1).predictions[0].probabilities.keys() == {"high"}
    vectors = client.embed("shade", [PIXELS, PIXELS], polarity="light_on_dark", label="stable").vectors
    assert vectors.dtype == np.float32 and vectors.tolist() == [[200, 1], [200, 1]]
    near = client.neighbours("shade", PIXELS, k=2, polarity="light_on_dark").neighbours[0]
    assert [(one.index, one.label, one.distance) for one in near] == [(0, "light", 0), (1, "middle", 100)]
    values = np.array([1, 2, 3, 4], np.float32)
    for history in ([1, 2, 3, 4], values, list(values), range(1, 5), [values]):
        result = client.forecast("trend", history, horizon=2, version=1)
        assert (result.forecasts[0].mean, result.forecasts[0].lower) == ([5, 6], [4, 5])
        assert (result.level, result.notes) == (0.9, ["It goes on as it went."])
    assert {one.name: one.default_version for one in client.models()}["shade"] == 1
    assert client.card("shade", version=1).labels == ("dark", "middle", "light")


def test_forecasts_with_times_quantiles_and_several_series(client: Client) -> None:
    days = np.arange("2026-01-01", "2026-01-05", dtype="datetime64[D]")
    moments = [datetime(2026, 1, day, 6, tzinfo=UTC) for day in range(1, 5)]
    expected = {
        "strings": ([str(day) for day in days], "2026-01-05"),
        "numpy": (days, "2026-01-05"),
        "nanoseconds": (days.astype("datetime64[ns]"), "2026-01-05T00:00:00"),
        "datetimes": (moments, "2026-01-05T06:00:00+00:00"),
    }
    for times, first in expected.values():
        for history in ([1, 2, 3, 4], np.array([1, 2, 3, 4], np.float32)):
            (made,) = client.forecast(
                "trend", history, horizon=1, timestamps=times, quantiles=[0.05], naive=True
            ).forecasts
            assert (made.timestamps, made.naive, made.naive_season) == ([first], [4], 1)
            assert made.quantiles == {0.05: [4]}
    named = client.forecast(
        "trend", {"a": [1, 2, 3, 4], "b": range(9)}, horizon=1, start={"a": days[0], "b": "2026-03"}
    )
    assert [(one.name, one.timestamps) for one in named.forecasts] == [("a", ["2026-01-05"]), ("b", ["2026-03-10"])]
    with pytest.raises(VitrineError, match="series b: a history must have at least 4"):
        client.forecast("trend", {"a": [1, 2, 3, 4], "b": [1]}, horizon=1)
    with pytest.raises(VitrineError, match="start has no entry for the history 'b'"):
        client.forecast("trend", {"b": [1]}, horizon=1, start={"a": "2026-01-01"})
    with pytest.raises(VitrineError, match="5 is not a time"):
        client.forecast("trend", [1, 2, 3, 4], horizon=1, timestamps=5)  # type: ignore[arg-type]


async def test_the_asynchronous_client_has_the_same_methods(served: Gateway) -> None:
    async with AsyncClient(served.url) as client:
        answers = await asyncio.gather(*(client.predict("shade", picture(value)) for value in (5, 100, 250)))
        assert all(answer.version == 1 for answer in answers)
        assert (await client.predict_table("price", [3, 10])).values == [103]
        assert len((await client.predict_signal("pulse", [[1, 1, 1, 1]] * 3)).predictions) == 3
        assert (await client.embed("shade", picture())).vectors.shape == (1, 2)
        assert len((await client.neighbours("shade", picture(), k=3)).neighbours[0]) == 3
        assert (await client.forecast("trend", [1, 2, 3, 4], horizon=1)).forecasts[0].mean == [5]
        assert (await client.card("trend")).model == "trend"
        assert len(await client.models()) >= 6
        with pytest.raises(VitrineError, match="nobody"):
            await client.predict("nobody", picture())


def test_both_clients_have_the_same_signatures(client: Client) -> None:
    def methods(one: type) -> dict[str, Any]:
        return {name: getattr(one, name) for name in dir(one) if not name.startswith("_")}

    blocking, awaited = methods(Client), methods(AsyncClient)
    assert {*blocking} == {*awaited} >= {"predict", "predict_table", "embed", "forecast", "models", "close"}
    for name, method in blocking.items():
        assert inspect.signature(method) == inspect.signature(awaited[name])
        assert inspect.getdoc(method)
        assert inspect.iscoroutinefunction(awaited[name]) and not inspect.iscoroutinefunction(method)
    assert inspect.signature(client.card).return_annotation is ModelCard
    assert package.__all__ == sorted(package.__all__)
    assert all(hasattr(package, name) for name in package.__all__)


def test_errors_of_the_gateway(client: Client) -> None:
    with pytest.raises(VitrineError) as caught:
        client.predict("shade", b"no picture")
    error = caught.value
    assert (error.status, error.code, bool(error.request_id)) == (400, "bad_picture", True)
    assert "PNG, JPEG" in str(error)
    with pytest.raises(VitrineError) as caught:
        client.card("shade", version=77)
    assert (caught.value.status, caught.value.code) == (404, "unknown_version")


def test_an_unreachable_gateway() -> None:
    with Client(f"http://127.0.0.1:{free_port()}", timeout=0.3) as client, pytest.raises(VitrineError) as caught:
        client.models()
    assert (caught.value.code, caught.value.status) == ("unreachable", None)


@contextlib.contextmanager
def http_server(*handlers: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[tuple[str, list[str]]]:
    """Run a server with one handler for each request. Yields its address and the X-Request-Timeout of each request."""
    timeouts: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            timeouts.append(self.headers["X-Request-Timeout"])
            handlers[len(timeouts) - 1](self)

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", timeouts
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def reject(status: int, **headers: str) -> Callable[[BaseHTTPRequestHandler], None]:
    def send(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        body = b'{"error": "not now", "code": "overloaded"}'
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    return send


def send_no_models(request: BaseHTTPRequestHandler) -> None:
    body = b'{"models": []}'
    request.send_response(200)
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    request.wfile.write(body)


def disconnect(request: BaseHTTPRequestHandler) -> None:
    request.connection.shutdown(socket.SHUT_RDWR)


def test_retries_until_success() -> None:
    with (
        http_server(reject(503), disconnect, reject(429, Retry_After="0"), send_no_models) as (url, timeouts),
        Client(url) as client,
    ):
        assert client.models() == []
    assert len(timeouts) == 4
    assert 0 < float(timeouts[3]) < float(timeouts[0]) <= 30


async def test_the_asynchronous_client_retries() -> None:
    with http_server(disconnect, reject(503), send_no_models) as (url, timeouts):
        async with AsyncClient(url) as client:
            assert await client.models() == []
    assert len(timeouts) == 3


def test_the_last_error_is_raised_if_no_retry_fits() -> None:
    with (
        http_server(reject(503, Retry_After="3600", X_Request_Id="r-1")) as (url, timeouts),
        Client(url) as client,
        pytest.raises(VitrineError, match="not now") as caught,
    ):
        client.models()
    assert (len(timeouts), caught.value.status, caught.value.code) == (1, 503, "overloaded")
    assert caught.value.request_id == "r-1"


@pytest.mark.parametrize("status", [400, 401, 404, 413, 500, 502, 504])
def test_other_statuses_are_not_retried(status: int) -> None:
    with http_server(reject(status)) as (url, timeouts), Client(url) as client, pytest.raises(VitrineError):
        client.models()
    assert len(timeouts) == 1


def test_responses_of_other_servers() -> None:
    def send_html(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", "5")
        request.end_headers()
        request.wfile.write(b"<html")

    def send_empty_object(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", "2")
        request.end_headers()
        request.wfile.write(b"{}")

    moved = reject(308, Location="https://shop.example/v1/models")
    for handler, status, word in (
        (send_html, 200, "like the gateway"),
        (send_empty_object, 200, "models"),
        (moved, 308, "https://"),
    ):
        with (
            http_server(handler) as (url, timeouts),
            Client(url) as client,
            pytest.raises(VitrineError, match=word) as caught,
        ):
            client.models()
        assert (len(timeouts), caught.value.status, caught.value.code) == (1, status, "error")


def test_back_off_grows_respects_retry_after_and_the_deadline() -> None:
    for tries, longest in ((1, 0.1), (2, 0.2), (3, 0.4), (20, 5.0)):
        wait = retries.pause(tries, None, 60)
        assert wait is not None and longest / 2 <= wait <= longest
    wait = retries.pause(1, "2", 60)
    assert wait is not None and 2.05 <= wait <= 2.1
    assert retries.pause(1, "2", 2) is None
    assert retries.pause(1, "Wed, 21 Oct 2015 07:28:00 GMT", 60) is not None


def test_the_key_is_sent(served: Gateway) -> None:
    keys: list[str | None] = []

    def record_key(request: BaseHTTPRequestHandler) -> None:
        keys.append(request.headers["Authorization"])
        send_no_models(request)

    with http_server(record_key) as (url, _), Client(url, "vt_secret") as client:
        client.models()
    assert keys == ["Bearer vt_secret"]


def test_png_is_lossless() -> None:
    pixels = np.random.default_rng(1).integers(0, 255, (5, 7, 3)).astype(np.uint8)
    assert (np.asarray(Image.open(io.BytesIO(encode_picture(pixels)))) == pixels).all()


@pytest.mark.parametrize("mode", ["RGB", "CMYK"])
def test_pillow_images_are_read_like_their_files(mode: str) -> None:
    """Also a rotated photo with an EXIF orientation."""
    exif = Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    Image.linear_gradient("L").resize((8, 16)).convert(mode).save(file, "JPEG", exif=exif.tobytes())
    sent, expected = (np.asarray(image.read(data)) for data in (encode_picture(Image.open(file)), file.getvalue()))
    assert (sent == expected).all()
    assert expected.shape == (8, 16, 3)
    assert expected[:, 0].mean() > 200 > 50 > expected[:, -1].mean()
