"""Headless Chromium, driven through chromedriver by the W3C WebDriver protocol."""

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx

from tests.programs import Program, free_port
from tests.system_packages import require

_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the protocol's key of an element reference
_SECONDS = 30.0


class Browser:
    """One browser window."""

    def __init__(self, session: httpx.Client) -> None:
        self._session = session

    def _send(self, method: str, path: str, **document: Any) -> Any:
        answer = self._session.request(method, path, json=document if method == "POST" else None)
        assert answer.status_code == 200, answer.text
        return answer.json()["value"]

    def open(self, url: str) -> None:
        self._send("POST", "/url", url=url)

    def run(self, script: str, *arguments: Any) -> Any:
        """Run a function body in the page; return its result."""
        return self._send("POST", "/execute/sync", script=script, args=list(arguments))

    def devtools(self, command: str, **parameters: Any) -> Any:
        """Send a command of the Chrome DevTools Protocol."""
        return self._send("POST", "/goog/cdp/execute", cmd=command, params=parameters)

    def violations(self) -> list[str]:
        """Return what the page's Content-Security-Policy has blocked."""
        script = (
            "const observer = new ReportingObserver(() => 0, {types: ['csp-violation'], buffered: true});"
            "observer.observe(); return observer.takeRecords().map((one) => JSON.stringify(one.body))"
        )
        return list(self.run(script))

    def texts(self, selector: str) -> list[str]:
        """Return the text of each visible element."""
        script = (
            "return [...document.querySelectorAll(arguments[0])].filter((one) => one.checkVisibility())"
            ".map((one) => (one.innerText ?? one.textContent).trim()).filter(Boolean)"
        )
        return list(self.run(script, selector))

    def wait_for(self, text: str, selector: str = "body") -> None:
        """Wait until visible elements contain the text; fail with their text after a timeout."""
        self._wait(
            lambda: text in "\n".join(self.texts(selector)),
            lambda: f"{selector} does not show {text!r}, but {self.texts(selector)}",
        )

    @staticmethod
    def _wait(done: Callable[[], bool], complaint: Callable[[], str]) -> None:
        until = time.monotonic() + _SECONDS
        while not done():
            assert time.monotonic() < until, complaint()
            time.sleep(0.05)  # polling interval

    def wait_for_element(self, selector: str) -> None:
        """Wait until the first such element is visible."""
        self._find(selector)

    def _find(self, selector: str) -> str:
        """Return the first such element as soon as it is visible."""
        script = "return document.querySelector(arguments[0])?.checkVisibility()"
        self._wait(lambda: bool(self.run(script, selector)), lambda: f"there is no {selector} to be seen")
        reference = self._send("POST", "/element", using="css selector", value=selector)[_ELEMENT]
        return f"/element/{reference}"

    def click(self, selector: str) -> None:
        self._send("POST", f"{self._find(selector)}/click")

    def type(self, selector: str, text: str) -> None:
        """Replace the text of a field."""
        found = self._find(selector)
        self._send("POST", f"{found}/clear")
        self._send("POST", f"{found}/value", text=text)

    def press(self, *keys: str) -> None:
        """Press and release keys, where the focus is: ``Tab``, ``Enter``, ``Space``."""
        codes = {"Tab": "\ue004", "Enter": "\ue007", "Space": " "}
        actions = [{"type": kind, "value": codes[key]} for key in keys for kind in ("keyDown", "keyUp")]
        self._send("POST", "/actions", actions=[{"type": "key", "id": "keyboard", "actions": actions}])

    def type_path(self, selector: str, file: Path) -> None:
        """Choose a file in a file field, which may be hidden behind its label."""
        reference = self._send("POST", "/element", using="css selector", value=selector)[_ELEMENT]
        self._send("POST", f"/element/{reference}/value", text=str(file))

    def drag(self, selector: str, *strokes: tuple[tuple[int, int], tuple[int, int]]) -> None:
        """Drag the mouse along each path, in pixels from the element's centre."""
        origin = {_ELEMENT: self._find(selector).removeprefix("/element/")}
        actions: list[dict[str, Any]] = []
        for begin, end in strokes:
            for (x, y), then in ((begin, "pointerDown"), (end, "pointerUp")):
                actions.append({"type": "pointerMove", "duration": 0, "origin": origin, "x": x, "y": y})
                actions.append({"type": then, "button": 0})
        mouse = {"type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"}, "actions": actions}
        self._send("POST", "/actions", actions=[mouse])


@contextlib.contextmanager
def browser(width: int = 1200, height: int = 2200) -> Iterator[Browser]:
    """Open a window; skip the test without chromedriver."""
    driver = require("chromium-driver")
    port = free_port()
    program = Program([driver, f"--port={port}"])
    flags = ["--headless", "--no-sandbox", "--disable-dev-shm-usage", f"--window-size={width},{height}"]
    wanted = {"alwaysMatch": {"browserName": "chrome", "goog:chromeOptions": {"args": flags}}}
    address = f"http://127.0.0.1:{port}/session"
    try:
        program.wait_for("started successfully")
        answer = httpx.post(address, json={"capabilities": wanted}, timeout=120)
        assert answer.status_code == 200, answer.text
        window = f"{address}/{answer.json()['value']['sessionId']}"
        try:
            with httpx.Client(base_url=window, timeout=120) as session:
                yield Browser(session)
        finally:
            httpx.delete(window, timeout=120)
    finally:
        program.stop()
