"""The page: its files, and its use in a real browser."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from serving.gateway.http import keys_file
from serving.gateway.kinds import KINDS
from tests.programs import model_server
from tests.serving.gateway import programs, served_models
from tests.serving.gateway.browser import Browser, browser
from tests.serving.gateway.conftest import picture
from tests.serving.gateway.models.test_canary import until
from tests.serving.gateway.programs import Gateway
from tests.serving.inputs.test_histories import TEXTS


@pytest.fixture(scope="module")
def window() -> Iterator[Browser]:
    with browser() as one:
        yield one


@pytest.fixture
def page(window: Browser, served: Gateway) -> Browser:
    window.open(served.url)
    window.wait_for("shade", "#models")
    return window


def test_the_page_loads_nothing_from_other_hosts(http: httpx.Client) -> None:
    page = http.get("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'self'" in page.headers["content-security-policy"]
    assert "<title>Vitrine" in page.text
    queue, fetched = re.findall(r'(?:src|href)="(/page/[^"]+)"', page.text), {"/": page.text}
    queue += [f"/page/{kind.name}.js" for kind in KINDS]
    while queue:
        path = queue.pop()
        answer = http.get(path)
        assert answer.status_code == 200
        fetched[path] = answer.text
        imported = {f"/page/{name}" for name in re.findall(r'from "\./([^"]+)"', answer.text)}
        queue += imported - fetched.keys() - set(queue)
    assert {"/page/page.css", "/page/page.js", "/page/elements.js", "/page/chart.js"} <= fetched.keys()
    assert not any(re.search(r"https?://(?!www\.w3\.org)", text) for text in fetched.values())


def test_docs_work_under_the_content_security_policy(window: Browser, served: Gateway) -> None:
    policies = [served.http.get(path).headers["content-security-policy"] for path in ("/", "/docs")]
    assert policies[0] == policies[1] and "unsafe" not in policies[0]
    window.open(f"{served.url}/docs")
    window.wait_for("/v1/models/{model}:predict", ".opblock-summary-path")
    window.click(".opblock-summary-control")
    window.wait_for("Parameters", ".opblock-section-header")
    violations = (
        "const observer = new ReportingObserver(() => 0, {types: ['csp-violation'], buffered: true});"
        "observer.observe(); return observer.takeRecords().map((one) => JSON.stringify(one.body))"
    )
    assert window.run(violations) == []
    window.run("const bad = document.createElement('script'); bad.text = '1'; document.body.append(bad)")
    assert "inline" in str(window.run(violations))  # the browser reports what it blocks


@pytest.fixture
def guarded(window: Browser, models_root: Path, tmp_path: Path) -> Iterator[tuple[Gateway, str, str]]:
    """A gateway with two keys: one for all models, one for the table model."""
    file = tmp_path / "keys.json"
    shown, small = keys_file.create(file, "everything")[1], keys_file.create(file, "tables", frozenset({"price"}))[1]
    with (
        model_server(models_root, *programs.PROMPT) as address,
        programs.gateway(address, models_root / "models.config", f"--keys={file}") as gateway,
    ):
        programs.wait_until_ready(gateway, *served_models.NAMES)
        yield gateway, shown, small


def test_a_gateway_with_keys_shows_the_key_form(
    guarded: tuple[Gateway, str, str], window: Browser, tmp_path: Path
) -> None:
    gateway, shown, small = guarded

    def enter(key: str) -> None:
        window.type("#key", key)
        window.click("#key-form button")

    window.open(gateway.url)
    window.wait_for("a key is needed", "#problem")
    assert window.texts("#key-form button") == ["Use key"] and window.texts("#models td") == []
    assert window.texts("main section") == []
    enter("vt_00000000_wrong")
    window.wait_for("the key is unknown", "#problem")
    enter("ключ")  # cannot be sent in a header
    window.wait_for("ISO-8859-1", "#problem")
    assert window.texts("#key-form button") == ["Use key"]
    enter(f" {small} ")
    window.wait_for("rooms", "#columns")  # loaded last
    assert window.texts("#key-form") == [] and window.texts("#problem") == []
    assert window.texts("#models td:first-child") == ["price"]
    window.type("[name=rooms]", "3")
    window.type("[name=age]", "2.5")
    window.click("#row button")
    window.wait_for("price: 28 1000 USD", "#values .value")
    window.run("sessionStorage.setItem('key', arguments[0])", shown)
    window.open(gateway.url)
    window.wait_for("shade", "#models")  # the tab keeps its key
    file = tmp_path / "light.png"
    file.write_bytes(picture(250))
    window.type("#file", str(file))
    window.wait_for("shade, version 1", "#classes")
    window.run("sessionStorage.setItem('key', 'revoked')")
    window.drag("#canvas", ((-80, -80), (80, 80)))
    window.wait_for("the key is unknown", "#classes .error")
    assert window.texts("#key-form button") == ["Use key"]  # the form appears again when a key is revoked


def test_a_picture_has_classes_and_similar_items(page: Browser, tmp_path: Path) -> None:
    file = tmp_path / "light.png"
    file.write_bytes(picture(250))
    page.wait_for("Drop a picture here", "#image")
    page.run("document.querySelector('#polarity').value = 'light_on_dark'")
    page.type("#file", str(file))
    page.wait_for("light", "#classes .bar b")
    assert page.texts("#classes .bar b")[0] == "light"
    similar = page.texts("#classes .similar li")
    assert similar[0] == "light item 0, distance 50" and len(similar) == 4
    assert "shade, version 1; among 4 items: brightnesses 200, 100, 0, 90" in page.texts("#classes p")


def test_a_drawing_is_classified_when_the_pen_is_lifted(page: Browser) -> None:
    page.drag("#canvas", ((-80, -80), (80, 80)), ((80, -80), (-80, 80)))
    page.wait_for("shade, version 1", "#classes")
    page.click("#clear")
    assert page.texts("#classes") == []


def test_a_series_is_forecast_with_its_band(page: Browser) -> None:
    page.wait_for("nominal coverage of the band 90 %", "#forecasts")
    assert page.texts("#example-note") == ["The example is a random walk at the level of the training data."]
    page.type("#history", "1 2; 3,\n4")
    assert page.texts("#example-note") == []
    page.type("#horizon", "3")
    page.click("#forecast")
    script = "return document.querySelectorAll('#forecasts .mean')[0].getAttribute('points').split(' ').length"
    until(lambda: page.run(script) == 1 + 3)  # the forecast of the example is shown until this one arrives
    assert "trend, version 1; one step is day, unit USD" in "".join(page.texts("#forecasts"))
    assert page.run("return document.querySelectorAll('#forecasts .band').length") == 1
    page.type("#history", "1 two 3")
    page.click("#forecast")
    page.wait_for("Write numbers such as", "#forecasts .error")
    page.type("#history", "0,31 0,58 0,81 0,95")
    page.click("#forecast")
    page.wait_for("Write decimals with a point", "#forecasts .error")
    page.type("#history", "1 2")
    page.click("#forecast")
    page.wait_for("at least 4 values", "#forecasts .error")


def test_the_page_reads_numbers_as_the_command_does(page: Browser) -> None:
    script = (
        "const texts = arguments[0]; return import('/page/numbers.js').then(({ numbers }) => texts.map((text) => {"
        " try { return numbers(text); } catch { return null; } }))"
    )
    assert page.run(script, [text for text, _ in TEXTS]) == [values for _, values in TEXTS]


def test_a_table_has_a_field_for_each_column(page: Browser) -> None:
    page.wait_for("rooms", "#columns")
    assert page.texts("#columns span") == ["rooms", "age in years"]
    assert page.texts("#columns small") == ["rooms of a flat; 1 to 9", "since it was built"]
    page.type("[name=rooms]", "3")
    page.type("[name=age]", "2.5")
    page.click("#row button")
    page.wait_for("price: 28 1000 USD", "#values .value")
    page.type("[name=rooms]", "10")
    page.click("#row button")
    assert page.run("return document.querySelector('[name=rooms]').validity.rangeOverflow")


def test_an_example_or_a_pasted_signal_is_classified(page: Browser) -> None:
    page.wait_for("pulse, version 1", "#signal-classes")
    assert "test accuracy 0.9877, test loss 1.2e-7" in page.texts("#signal-card")[0]
    page.click("#square")
    page.wait_for("4 samples, 1 ms apart, in mV", "#signal-note")
    page.type("#samples", "1 2 3 4")
    page.click("#classify")
    page.wait_for("99.3 %", "#signal-classes .bar")
    assert page.texts("#signal-classes .bar b") == ["high", "low"]
    page.type("#samples", "1 2 3")
    page.click("#classify")
    page.wait_for("The model reads 4 numbers, but there are 3.", "#signal-classes .error")
