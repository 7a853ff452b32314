"""A browser window on the page of a gateway with a model of each kind."""

from collections.abc import Iterator

import pytest

from tests.serving.gateway.browser import Browser, browser
from tests.serving.gateway.programs import Gateway


@pytest.fixture(scope="module")
def window() -> Iterator[Browser]:
    with browser() as one:
        yield one


@pytest.fixture
def page(window: Browser, served: Gateway) -> Browser:
    window.open(served.url)
    window.wait_for("shade", "#image-section .choices")
    return window
