"""The warning of inputs unlike the training data, and the heat map, on the page."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sdks import environments
from tests.serving.gateway import programs, served_models
from tests.serving.gateway.browser import Browser
from tests.serving.gateway.conftest import picture
from tests.serving.gateway.programs import Gateway

WARNING = "unlike the training data"
AXE = "return axe.run().then((all) => all.violations.map(({id, nodes}) => [id, ...nodes.map((one) => one.html)]))"


@pytest.fixture(scope="module")
def assessed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    root = tmp_path_factory.mktemp("assessed")
    for write in (served_models.shade, served_models.trend, served_models.pulse):
        write(root, 1, assessed=True)
    served_models.configure(root, {name: {"stable": 1} for name in ("shade", "trend", "pulse")})
    with programs.embedded_gateway(root) as gateway:
        programs.wait_until_ready(gateway, "shade", "trend", "pulse")
        yield gateway


@pytest.fixture
def shown(window: Browser, assessed: Gateway) -> Browser:
    window.open(assessed.url)
    window.wait_for("shade", "#image-section .choices")
    return window


def send(page: Browser, folder: Path, value: int) -> None:
    file = folder / f"{value}.png"
    file.write_bytes(picture(value))
    page.run("document.querySelector('#polarity').value = 'light_on_dark'")
    page.type_path("#file", file)


def test_an_unlike_picture_has_a_warning(shown: Browser, tmp_path: Path) -> None:
    send(shown, tmp_path, 5)
    shown.wait_for(WARNING, "#answers .note")
    send(shown, tmp_path, 102)
    shown.wait_for("middle", "#answers .verdict")
    assert not any(WARNING in text for text in shown.texts("#answers .note"))


def test_series_and_signals_have_a_warning(shown: Browser) -> None:
    shown.run("location.hash = '#series'")
    shown.wait_for_element("#forecasts .legend")
    shown.type("#history", "1, 2, 3, 4")
    shown.click("#forecast")
    shown.wait_for(WARNING, "#forecasts .note")
    shown.run("location.hash = '#signal'")
    shown.wait_for(WARNING, "#signal-classes .note")


def test_the_heat_map_by_keyboard(shown: Browser, tmp_path: Path) -> None:
    send(shown, tmp_path, 102)
    shown.wait_for("Show what it depends on", "#answers")
    shown.run("document.querySelector('#answers .explained button').focus()")
    shown.press("Enter")
    shown.wait_for_element("#answers .heat canvas")
    # The toy's heat is the brightness, and the first row of the picture is the brightest.
    shown.wait_for("Colour: the parts that middle depends on, most of all at the top.", "#answers .heat")
    assert shown.run("return document.activeElement.className") == "heat"
    shown.run((environments.node_modules() / "axe-core" / "axe.min.js").read_text() + "; 0")
    assert shown.run(AXE) == []


def test_the_heat_map_in_portuguese(shown: Browser, tmp_path: Path) -> None:
    shown.run("localStorage.setItem('language', 'pt'); location.reload()")
    try:
        shown.wait_for("Escolher imagem")
        send(shown, tmp_path, 5)
        shown.wait_for("não se parece com os dados de treino", "#answers .note")
        shown.click("#answers .explained button")
        shown.wait_for("Cor: as partes de que dark depende, sobretudo em cima.", "#answers .heat")
    finally:
        shown.run("localStorage.clear()")
