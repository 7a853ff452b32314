"""All models and their versions on the page: live figures, cards, drift, promotion, canary and rollback."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from PIL import Image

from serving.artifacts import manifest
from serving.artifacts.registry import ModelRegistry
from serving.gateway.http import keys_file
from tests.serving.gateway import programs, served_models
from tests.serving.gateway.browser import Browser
from tests.serving.gateway.conftest import picture
from tests.serving.gateway.models.test_canary import until
from tests.serving.gateway.programs import Gateway
from tests.serving.gateway.ui.test_image import transfer


def test_all_models_are_listed_with_live_figures(page: Browser, http: httpx.Client) -> None:
    page.run("location.hash = '#models'")
    page.wait_for("requests a second", "#totals")
    assert len(page.texts("#models li")) == 6
    assert "no model card: tensors in, tensors out" in "".join(page.texts("#models li"))

    def busy() -> bool:
        for _ in range(20):
            http.post("/v1/models/shade:predict", content=picture()).raise_for_status()
        figures = "".join(page.texts("[href='#models/shade'] ~ .live"))
        return bool(re.fullmatch(r"[1-9][\d.,]*/s · [\d.,]+ ms", figures))

    until(busy)
    assert re.search(r"half within [\d.,]+ ms, 95% within [\d.,]+ ms", page.texts("#totals")[0])


def exports(root: Path) -> Path:
    """Write three versions of shade, of which the first is live; the first has a plot and a sprite."""
    for number in (1, 2, 3):
        served_models.shade(root, number)
    extra = root / "shade" / "1" / "assets.extra"
    Image.new("L", (8, 8), 200).save(extra / "history.png")
    Image.frombytes("L", (2, 2), bytes((200, 100, 0, 90))).resize((8, 8), 0).save(extra / "references.png")
    card = json.loads((extra / "card.json").read_text())
    card["neighbours"]["sprite"] = {"file": "references.png", "columns": 2, "width": 4, "height": 4}
    (extra / "card.json").write_text(json.dumps(card))
    manifest.write(root / "shade" / "1")
    ModelRegistry(root).promote("shade", 1)
    return root


@pytest.fixture
def administered(tmp_path: Path) -> Iterator[Gateway]:
    """A gateway without keys that allows changes."""
    with programs.embedded_gateway(exports(tmp_path), "--admin") as gateway:
        programs.wait_until_ready(gateway, "shade")
        yield gateway


def press(page: Browser, version: int, text: str) -> None:
    """Press a button of a version, of a dialog (0), or of the model (-1)."""
    scope = {0: "dialog", -1: "#models > .row"}.get(version, f"li:has(#version-{version})")
    found = "[...document.querySelectorAll(`${arguments[0]} button`)].find((one) => one.textContent === arguments[1])"
    until(lambda: page.run(f"return {found} !== undefined", scope, text))
    page.run(f"{found}.click()", scope, text)


def test_versions_are_promoted_tried_and_rolled_back(window: Browser, administered: Gateway) -> None:
    window.open(f"{administered.url}/#models/shade")
    window.wait_for("Version 3", "#models")
    assert window.texts("#models h3") == ["Version 3", "Version 2", "Version 1"]
    assert window.texts("#models .share") == ["0%", "0%", "100%"]
    press(window, 2, "Promote")
    window.wait_for("All requests to shade go to version 2.", "dialog")
    press(window, 0, "Cancel")
    assert window.texts("dialog") == []
    press(window, 2, "Promote")
    press(window, 0, "Promote")
    until(lambda: window.texts("#models .share") == ["0%", "100%", "0%"])
    press(window, 3, "Canary…")
    window.type("dialog input", "25")
    press(window, 0, "Start")
    until(lambda: window.texts("#models .share") == ["25%", "75%", "0%"])
    press(window, -1, "Roll back")
    press(window, 0, "Roll back")
    until(lambda: window.texts("#models .share") == ["0%", "100%", "0%"])
    press(window, -1, "Roll back")
    press(window, 0, "Roll back")
    until(lambda: window.texts("#models .share") == ["0%", "0%", "100%"])


def test_a_version_has_its_card_plots_drift_and_pictures_of_neighbours(window: Browser, administered: Gateway) -> None:
    given = [{"version": 1, "prediction": "dark", "label": label} for label in ("dark", "light", "dark", "dark")]
    assert administered.http.post("/v1/models/shade:feedback", json={"feedback": given}).json()["counted"] == 4
    window.open(f"{administered.url}/#models/shade")
    window.wait_for("right on 75% of 4 true labels", "#models")
    window.click("#version-1 summary")
    window.wait_for("CC0", "#version-1")
    assert window.texts("#version-1 tr")[0].split() == ["brightness", "–", "too", "few", "requests", "0", "rows"]
    until(lambda: window.run("return document.querySelector('#version-1 .plots img').naturalWidth") == 8)
    window.run("location.hash = '#image'")
    window.wait_for("shade", "#image-section .choices")
    transfer(window, "drop", picture(95), "grey.png", "image/png")
    window.wait_for("distance", "#answers .similar")
    place = "return getComputedStyle(document.querySelector('.thumb')).backgroundPosition"
    assert window.run(place) == "100% 0%"  # item 1, of brightness 100, in the second column


def test_a_key_without_the_verb_cannot_change_versions(window: Browser, tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    reader = keys_file.create(file, "reader")[1]
    admin = keys_file.create(file, "admin", verbs=frozenset({"admin"}))[1]
    with programs.embedded_gateway(exports(tmp_path / "exports"), f"--keys={file}") as gateway:
        programs.wait_until_ready(gateway, "shade")
        window.open(f"{gateway.url}/#models/shade")
        window.type("#key", reader)
        window.click("#key-form button")
        window.wait_for("Versions cannot be changed from here: key", "#models")
        assert window.texts("#models .head button") == []
        window.click("#models .link")
        window.type("#key", admin)
        window.click("#key-form button")
        press(window, 2, "Promote")
        press(window, 0, "Promote")
        until(lambda: window.texts("#models .share") == ["0%", "100%", "0%"])
        stored = "return [JSON.stringify(localStorage), document.cookie]"
        assert window.run(stored) == ["{}", ""]  # the key is in sessionStorage alone
        window.run("sessionStorage.clear()")


def test_a_quick_run_is_said_once(page: Browser) -> None:
    card = {
        "training": {"quick": True},
        "notes": ["A quick run with a shortened recipe: its figures mean little.", "Another note."],
        "data": {},
        "metrics": {},
        "inputs": {},
    }
    script = (
        "const card = arguments[0]; return import('/page/card.js').then(({ warnings }) =>"
        " warnings(card).map((note) => note.textContent))"
    )
    assert page.run(script, card) == ["A quick training run: its answers mean little.", "Another note."]
