"""English and Portuguese."""

import re
from pathlib import Path

from serving.gateway.api import ui
from tests.serving.gateway.browser import Browser

FOLDER = Path(ui.__file__).parent.parent / "ui"
_TEXT = r'"((?:[^"\\]|\\.)*)"'


def test_every_text_is_translated_and_no_other() -> None:
    files = [*FOLDER.rglob("*.js"), FOLDER / "index.html"]
    sources = [file.read_text() for file in files if file.name not in ("portuguese.js", "docs.js")]
    texts = {text for source in sources for text in re.findall(rf"\bt\(\s*{_TEXT}", source)}
    texts |= {text for source in sources for text in re.findall(r"data-text>([^<]+)<", source)}
    for source in sources:
        for table in re.findall(r"const (?:SENTENCES|STATES) = \{(.*?)\};", source, re.DOTALL):
            texts |= set(re.findall(rf": {_TEXT}", table))
    pairs = re.findall(rf"^  {_TEXT}:\s+{_TEXT},$", (FOLDER / "portuguese.js").read_text(), re.MULTILINE)
    assert {english for english, _ in pairs} == texts
    names = {english: (re.findall(r"\{\w+\}", english), re.findall(r"\{\w+\}", other)) for english, other in pairs}
    assert [text for text, (before, after) in names.items() if sorted(before) != sorted(after)] == []


def test_the_browsers_language_is_used_until_another_is_chosen(page: Browser) -> None:
    page.devtools("Emulation.setUserAgentOverride", userAgent="test", acceptLanguage="pt-PT,pt")
    try:
        page.run("location.reload()")
        page.wait_for("O que há numa imagem?", "h2")
        assert page.run("return document.documentElement.lang") == "pt"
        page.run("location.hash = '#signal'")
        page.wait_for("versão 1", "#signal-classes")
        assert "0,9877" in page.texts("#signal-section .card")[0]  # decimal comma
        page.click("#language")
        page.wait_for("What kind of signal is it?", "h2")
        page.run("location.reload()")
        page.wait_for("What kind of signal is it?", "h2")
    finally:
        page.devtools("Emulation.setUserAgentOverride", userAgent="")
        page.run("localStorage.clear(); location.hash = ''")
