"""A gateway and a model server that tests share, and encoded inputs."""

import asyncio
import io
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
import uvloop
from PIL import Image

from tests.conftest import SHIPPED
from tests.programs import REPOSITORY, model_server
from tests.serving.gateway import programs, served_models
from tests.serving.gateway.browser import Browser, browser
from tests.serving.gateway.programs import Gateway


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run tests on uvloop, as the gateway does."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture(scope="session")
def models_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The models of served_models.py. Tests must not change them."""
    return served_models.write(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="session")
def served(models_root: Path) -> Iterator[Gateway]:
    with (
        model_server(models_root, *programs.PROMPT) as address,
        programs.gateway(
            address, models_root / "models.config", "--max-body-bytes=1000000", "--max-pixels=1000000"
        ) as gateway,
    ):
        programs.wait_until_ready(gateway, *served_models.NAMES)
        yield gateway


@pytest.fixture(scope="session")
def window() -> Iterator[Browser]:
    """A browser window that tests share. They must leave no settings behind."""
    with browser() as one:
        yield one


@pytest.fixture
def page(window: Browser, served: Gateway) -> Browser:
    """The window on the page of ``served``."""
    window.open(served.url)
    window.wait_for("shade", "#image-section .choices")
    return window


@pytest.fixture(scope="session")
def shipped() -> Iterator[Gateway]:
    """The shipped models, of which the page has samples."""
    with programs.embedded_gateway(REPOSITORY / "exports") as gateway:
        programs.wait_until_ready(gateway, *SHIPPED)
        yield gateway


@pytest.fixture
def http(served: Gateway) -> httpx.Client:
    return served.http


def picture(
    value: int | np.ndarray = 200, side: int = 4, mode: str = "L", form: str = "PNG", **options: object
) -> bytes:
    """Encode these pixels, or pixels of this mean brightness with lighter top and darker bottom rows."""
    if isinstance(value, int):
        pixels = np.full((side, side), value, np.uint8)
        contrast, rows = min(value, 255 - value, 8), (side + 3) // 4
        pixels[:rows] += contrast
        pixels[-rows:] -= contrast
    else:
        pixels = value
    stream = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(stream, form, **options)
    return stream.getvalue()


def npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)
    return stream.getvalue()
