"""``/``: a small page on which a person can try the models. Its three files are read once and served from memory."""

from collections.abc import Awaitable, Callable
from pathlib import Path

from fastapi import FastAPI, Response

_FOLDER = Path(__file__).parent.parent / "page"
_TYPES = {"index.html": "text/html", "page.css": "text/css", "page.js": "text/javascript"}
_HEADERS = {
    "content-security-policy": (
        "default-src 'self'; img-src 'self' blob: data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",
}


def mount(app: FastAPI) -> None:
    """Adds the page's routes."""
    for name, media_type in _TYPES.items():
        path = "/" if name == "index.html" else f"/page/{name}"
        app.add_api_route(path, _sender(name, media_type), include_in_schema=False, response_class=Response)


def _sender(name: str, media_type: str) -> Callable[[], Awaitable[Response]]:
    content = (_FOLDER / name).read_bytes()

    async def send() -> Response:
        return Response(content, media_type=f"{media_type}; charset=utf-8", headers=_HEADERS)

    return send
