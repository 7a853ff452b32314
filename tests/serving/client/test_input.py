"""Invalid arguments raise VitrineError before anything is sent."""

import io
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from serving.client import AsyncClient, Client, VitrineError
from serving.client.encoding import encode_picture
from tests.serving.gateway.conftest import picture

UNREACHABLE = "http://127.0.0.1:1"


@pytest.fixture(params=[Client, AsyncClient])
def client_class(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.mark.parametrize(
    "url",
    [
        "", "127.0.0.1:8000", "http://", "http:///x", "ftp://host", "http://[::1",
        "http://host:port", "http://a\nb", "http://\ud800", 3, None,
    ],
)  # fmt: skip
def test_invalid_addresses(client_class: Any, url: Any) -> None:
    with pytest.raises(VitrineError) as caught:
        client_class(url)
    assert caught.value.code == "bad_option"


@pytest.mark.parametrize(
    "url",
    [
        f"http://{'a' * 70}.example",
        "http://no-such-host.invalid",
        "http://127.0.0.1:99999",
        "http://a b",
        "http://127.0.0.1:1",
    ],
)
async def test_unknown_hosts(url: str) -> None:
    async with AsyncClient(url, timeout=0.5) as client:
        with pytest.raises(VitrineError) as caught:
            await client.models()
    assert caught.value.code in ("unreachable", "timeout")


@pytest.mark.parametrize("timeout", [0, -1, math.nan, math.inf, None, "3"])
def test_invalid_timeouts(client_class: Any, timeout: Any) -> None:
    with pytest.raises(VitrineError, match="timeout is") as caught:
        client_class(UNREACHABLE, timeout=timeout)
    assert caught.value.code == "bad_option"


@pytest.mark.parametrize("key", ["vt_1\n", "vt_1\r\nX-Other: 1", "vt 1", "vt_ü", "vt_\0", "\ud800", b"vt_1"])
def test_invalid_keys(client_class: Any, key: Any) -> None:
    with pytest.raises(VitrineError, match="printable") as caught:
        client_class(UNREACHABLE, key)
    assert "vt_1" not in caught.value.message


def test_options_unknown_to_httpx(client_class: Any) -> None:
    with pytest.raises(TypeError, match="colour"):
        client_class(UNREACHABLE, colour="red")
    with pytest.raises(VitrineError):
        client_class(UNREACHABLE, verify="/no/such/file.pem")


def refused(work: Callable[[Client], Any]) -> VitrineError:
    with Client(UNREACHABLE, timeout=0.5) as client, pytest.raises(VitrineError) as caught:
        work(client)
    return caught.value


def test_unreadable_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "none.png", tmp_path, tmp_path / "fifo", "", "a\0b", "/dev/zero"):
        error = refused(lambda client, path=path: client.predict("m", path))  # type: ignore[misc]
        assert error.code == "bad_picture" and str(path) in error.message
    locked = tmp_path / "locked.png"
    locked.write_bytes(picture())
    locked.chmod(0)
    if not os.access(locked, os.R_OK):
        assert refused(lambda client: client.predict("m", [locked])).code == "bad_picture"


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((4, 4), np.float32), np.zeros(4, np.uint8), np.zeros((4, 4), bool), np.zeros((4, 4, 5), np.uint8),
        np.zeros((0, 4), np.uint8), np.full((1, 2, 2, 1), np.nan), np.full((1, 2, 2, 1), None), [], [None], None, 3,
        {"a": b""}, Image.new("F", (4, 4)), Image.new("LAB", (4, 4)), Image.new("I", (4, 4), -1),
        Image.new("I", (4, 4), 70_000), Image.new("L", (0, 4)),
    ],
)  # fmt: skip
def test_invalid_pictures(wrong: Any) -> None:
    error = refused(lambda client: client.predict("m", wrong))
    assert error.code in ("bad_picture", "invalid_input") and error.status is None


def test_a_truncated_lazy_picture() -> None:
    noise = np.random.default_rng(1).integers(0, 255, (50, 50, 3)).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, "PNG")
    cut = Image.open(io.BytesIO(file.getvalue()[:2000]))
    assert refused(lambda client: client.predict("m", cut)).code == "bad_picture"


@pytest.mark.parametrize(
    "mode",
    ["1", "L", "P", "LA", "PA", "La", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV", "I", "I;16", "I;16B"],
)
def test_modes(mode: str) -> None:
    light = Image.new("L", (4, 4), 200)
    if mode in ("La", "RGBa"):
        drawn = light.convert({"La": "LA", "RGBa": "RGBA"}[mode]).convert(mode)
    elif mode == "HSV":
        drawn = light.convert("RGB").convert(mode)
    elif mode == "PA":
        drawn = light.convert("P").convert(mode)
    elif mode in ("I;16", "I;16B"):
        drawn = light.convert("I").point(lambda value: value * 257).convert(mode)  # type: ignore[operator]
    elif mode == "I":
        drawn = light.convert("I").point(lambda value: value * 257)  # type: ignore[operator]
    else:
        drawn = light.convert(mode)
    assert drawn.mode == mode
    sent = Image.open(io.BytesIO(encode_picture(drawn)))
    assert sent.format == "PNG"
    if mode.startswith("I"):
        assert (np.asarray(sent) == 200 * 257).all()
    elif mode == "1":
        assert set(np.asarray(sent).ravel()) <= {True, False}
    else:
        assert abs(int(np.asarray(sent.convert("L"))[0, 0]) - 200) <= 2


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")  # Pillow's own
def test_damaged_exif_is_ignored() -> None:
    file = io.BytesIO()
    Image.new("L", (4, 8), 200).save(file, "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff broken")
    assert Image.open(io.BytesIO(encode_picture(Image.open(file)))).size == (4, 8)


@pytest.mark.parametrize(
    "numbers",
    [
        [1, math.nan], [1, math.inf], np.array([1, np.nan]), np.array([1, None]), np.array([1 + 1j, np.nan]), object(),
        [object()], [[1, 2], {3: object()}], 3 + 1j, [b"1"],
    ],
)  # fmt: skip
def test_invalid_numbers(numbers: Any) -> None:
    for work in (
        lambda client: client.forecast("m", numbers, horizon=1),
        lambda client: client.predict_signal("m", numbers),
        lambda client: client.predict_table("m", numbers),
    ):
        error = refused(work)
        assert error.code == "invalid_input" and error.status is None


@pytest.mark.parametrize(
    "work",
    [
        lambda client: client.predict("m", b"", version=1, label="stable"),
        lambda client: client.predict(3, b""),
        lambda client: client.predict("\ud800", b""),
        lambda client: client.card("m", label="\ud800"),
        lambda client: client.predict("m", b"", polarity="\ud800"),
    ],
)
def test_invalid_options(work: Callable[[Client], Any]) -> None:
    assert refused(work).code == "bad_option"
