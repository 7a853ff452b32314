"""``make docs`` builds the site without a warning; its links and anchors lead somewhere, and it needs no other host."""

import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from tests.programs import REPOSITORY
from tests.sdks import environments
from tests.serving.gateway.browser import browser

DOCS = REPOSITORY / "docs"
SITE = REPOSITORY / ".vitrine" / "site"


class Page(HTMLParser):
    """What a page links to, what it loads, and the anchors that it has."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.anchors: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value for name, value in attrs if value is not None}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        elif tag != "a":
            self.loads += [given[name] for name in ("src", "href", "data") if name in given]


@cache
def page(path: Path) -> Page:
    return Page(path)


@pytest.fixture(scope="module")
def site() -> Path:
    # Without the variables of a make that runs the tests.
    env = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    done = subprocess.run(
        ["make", "docs", f"PYTHON={sys.executable}"], cwd=REPOSITORY, env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return SITE


def pages(entry: Any) -> Iterator[str]:
    if isinstance(entry, str):
        yield entry
    else:
        for part in entry.values() if isinstance(entry, dict) else entry:
            yield from pages(part)


def test_nav_has_every_page_once() -> None:
    nav = tomllib.loads((REPOSITORY / "zensical.toml").read_text(encoding="utf-8"))["project"]["nav"]
    assert set(pages(nav)) == {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    assert len(set(pages(nav))) == len(list(pages(nav)))


def test_links_and_anchors_lead_somewhere(site: Path) -> None:
    broken = []
    for path in sorted(site.rglob("*.html")):
        for link in page(path).links + page(path).loads:
            to = urlsplit(link)
            if to.scheme or to.netloc:
                continue
            target = (path.parent / unquote(to.path)).resolve() if to.path else path
            if path.name == "404.html":  # is shown for any path, so that its links begin with /
                target = site / to.path.lstrip("/")
            target = target / "index.html" if target.is_dir() else target
            known = target.is_file() and (
                target.suffix != ".html" or not to.fragment or to.fragment in page(target).anchors
            )
            if not known:
                broken.append(f"{path.relative_to(site)}: {link}")
    assert broken == []


def test_pages_load_nothing_from_other_hosts(site: Path) -> None:
    loads = {load for path in site.rglob("*.html") for load in page(path).loads if urlsplit(load).netloc}
    assert loads == set()


def test_copying_takes_commands_without_prompt_and_output(site: Path) -> None:
    with browser() as window:
        window.open((site / "quick-start.html").as_uri())
        copied = window.run(
            "return [...document.querySelectorAll('[data-clipboard-text]')].map((one) => one.dataset.clipboardText)"
        )
    command = next(text for text in copied if text.startswith("vitrine predict"))
    assert command.splitlines()[:2] == [
        "vitrine predict examples/ankle_boot.png",
        "vitrine embed examples/ankle_boot.png",
    ]


@pytest.mark.parametrize("name", ["index.html", "pt.html"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_reproduction_page_is_accessible_and_fits_a_phone(site: Path, name: str, scheme: str) -> None:
    axe = (environments.node_modules() / "axe-core" / "axe.min.js").read_text()
    with browser() as window:
        window.devtools("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        window.devtools("Emulation.setDeviceMetricsOverride", width=390, height=844, deviceScaleFactor=2, mobile=True)
        window.open((site / "reproduction" / name).as_uri())
        assert window.run("return document.documentElement.scrollWidth") == 390
        window.run(axe + "; 0")
        found = window.run("return axe.run().then((all) => all.violations.map((one) => one.id))")
    assert found == []
