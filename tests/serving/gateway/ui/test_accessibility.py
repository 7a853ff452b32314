"""axe on every section of the page, light and dark, wide and on a phone; the keyboard; no sideways scrolling."""

from collections.abc import Iterator

import pytest

from tests.sdks import environments
from tests.serving.gateway.browser import Browser
from tests.serving.gateway.programs import Gateway

SECTIONS = {
    "image": "#answers .verdict",
    "series": "#forecasts .legend",
    "table": "#values .verdict",
    "signal": "#signal-classes .bars",
    "models": "#models li",
    "models/shade": "#models .versions li",
}
PHONE = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}


@pytest.fixture(scope="module")
def axe() -> str:
    return (environments.node_modules() / "axe-core" / "axe.min.js").read_text()


@pytest.fixture(params=["light", "dark"])
def themed(page: Browser, request: pytest.FixtureRequest) -> Iterator[Browser]:
    page.run("localStorage.setItem('theme', arguments[0]); location.reload()", request.param)
    page.wait_for("shade", "#image-section .choices")
    page.run("document.querySelector('#canvas').scrollIntoView()")
    page.drag("#canvas", ((-80, -80), (80, 80)))
    yield page
    page.run("localStorage.clear(); sessionStorage.clear(); location.hash = ''")


def test_axe_finds_nothing(themed: Browser, axe: str) -> None:
    found = {}
    for section, shown in SECTIONS.items():
        themed.run("location.hash = arguments[0]", f"#{section}")
        themed.wait_for_element(shown)
        themed.run("for (const one of document.querySelectorAll('details')) one.open = true")
        themed.run(axe + "; 0")
        script = (
            "return axe.run().then((all) => all.violations.map(({id, nodes}) => [id, ...nodes.map((one) => one.html)]))"
        )
        found[section] = themed.run(script)
    assert found == {section: [] for section in SECTIONS}


def test_a_phone_needs_no_sideways_scrolling(page: Browser) -> None:
    page.devtools("Emulation.setDeviceMetricsOverride", **PHONE)
    page.devtools("Emulation.setTouchEmulationEnabled", enabled=True)
    try:
        page.run("location.reload()")
        page.wait_for("Camera", "#image-section")
        assert page.run("return document.querySelector('#camera').getAttribute('capture')") == "environment"
        for section, shown in SECTIONS.items():
            if section != "image":
                page.run("location.hash = arguments[0]", f"#{section}")
                page.wait_for_element(shown)
            page.run("for (const one of document.querySelectorAll('details')) one.open = true")
            assert page.run("return document.documentElement.scrollWidth") == PHONE["width"], section
    finally:
        page.devtools("Emulation.clearDeviceMetricsOverride")
        page.devtools("Emulation.setTouchEmulationEnabled", enabled=False)
        page.run("location.hash = ''")


def test_everything_can_be_reached_and_used_by_the_keyboard(window: Browser, shipped: Gateway) -> None:
    window.open(shipped.url)
    window.wait_for_element(".sample")
    reached = []
    for _ in range(30):
        window.press("Tab")
        reached.append(
            window.run("const one = document.activeElement; return one.id || one.textContent || one.ariaLabel")
        )
        if reached[-1] == "Sample: X":
            break
    assert {"language", "theme", "clear", "file", "Sample: X"} <= set(reached), reached
    window.press("Enter")
    window.wait_for("X", "#answers .verdict")
    window.press("Tab", "Space")
    window.wait_for("O", "#answers .verdict")
