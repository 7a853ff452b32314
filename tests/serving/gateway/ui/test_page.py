"""The page as a whole: keys, a server that is gone, theme, Content-Security-Policy."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from serving.gateway.http import keys_file
from tests.programs import model_server
from tests.serving.gateway import programs, served_models
from tests.serving.gateway.browser import Browser
from tests.serving.gateway.programs import Gateway
from tests.serving.gateway.ui.test_image import CROSS, shows_no_broken_picture


@pytest.fixture
def guarded(models_root: Path, tmp_path: Path) -> Iterator[tuple[Gateway, str, str]]:
    """A gateway with two keys: one for all models, one for the table model."""
    file = tmp_path / "keys.json"
    everything = keys_file.create(file, "everything")[1]
    tables = keys_file.create(file, "tables", frozenset({"price"}))[1]
    with (
        model_server(models_root, *programs.PROMPT) as address,
        programs.gateway(address, models_root / "models.config", f"--keys={file}") as gateway,
    ):
        programs.wait_until_ready(gateway, *served_models.NAMES)
        yield gateway, everything, tables


def test_a_gateway_with_keys_shows_the_key_form(guarded: tuple[Gateway, str, str], window: Browser) -> None:
    gateway, everything, tables = guarded

    def enter(key: str) -> None:
        window.type("#key", key)
        window.click("#key-form button")

    window.open(gateway.url)
    window.wait_for("a key is needed", "#problem")
    assert window.texts("#key-form button") == ["Use key"] and window.texts("main section") == []
    enter("vt_00000000_wrong")
    window.wait_for("the key is unknown", "#problem")
    enter("ключ")  # cannot be sent in a header
    window.wait_for("The server needs a valid API key.", "#problem")
    assert window.texts("#key-form button") == ["Use key"]
    enter(f" {tables} ")
    window.wait_for("rooms", "#columns")
    assert window.texts("#key-form") == [] and window.texts("#problem") == []
    assert window.texts("#tabs a") == ["Tables", "Models"]
    window.run("sessionStorage.setItem('key', arguments[0])", everything)
    window.open(gateway.url)  # the tab keeps its key
    window.wait_for("shade", "#image-section .choices")
    window.drag("#canvas", *CROSS)
    window.wait_for("version 1", "#answers")
    window.run("sessionStorage.setItem('key', 'revoked')")
    window.drag("#canvas", *CROSS)
    window.wait_for("the key is unknown", "#answers .error")
    assert window.texts("#key-form button") == ["Use key"]  # the form appears again when a key is revoked
    window.run("sessionStorage.clear()")


def test_a_server_that_is_gone_is_said_in_a_sentence(models_root: Path, window: Browser) -> None:
    with programs.embedded_gateway(models_root, f"--models-config={models_root / 'models.config'}") as gateway:
        programs.wait_until_ready(gateway, "shade")
        window.open(gateway.url)
        window.wait_for("shade", "#image-section .choices")
    window.drag("#canvas", *CROSS)
    window.wait_for("The server does not answer. Your drawing is kept.", "#trouble .error")
    assert window.texts("#trouble .error button") == ["Try again"]
    assert shows_no_broken_picture(window)
    assert not window.run("return document.querySelector('#canvas').hidden")


def test_nothing_on_the_page_breaks_its_content_security_policy(page: Browser) -> None:
    for kind, shown in (
        ("series", "#forecasts .legend"),
        ("table", "#values .verdict"),
        ("signal", "#signal-classes .bars"),
    ):
        page.run("location.hash = arguments[0]", f"#{kind}")
        page.wait_for_element(shown)
    assert page.violations() == []


def test_the_theme_is_the_systems_until_one_is_chosen(page: Browser) -> None:
    ground = "return getComputedStyle(document.body).backgroundColor"
    page.devtools("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
    try:
        page.run("localStorage.clear(); location.reload()")
        page.wait_for("shade", "#image-section .choices")
        assert page.run(ground) == "rgb(20, 22, 24)"
        page.click("#theme")
        assert page.run(ground) == "rgb(250, 249, 246)"
        page.run("location.reload()")
        page.wait_for("shade", "#image-section .choices")
        assert page.run(ground) == "rgb(250, 249, 246)"
    finally:
        page.devtools("Emulation.setEmulatedMedia", features=[])
        page.run("localStorage.clear()")
