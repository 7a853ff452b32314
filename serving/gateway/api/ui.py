"""``/``, a page to try the models, and ``/docs``, Swagger UI. Neither loads anything from another host.

The page's files are served from memory, Swagger's from the package ``fastapi-offline``.
"""

import importlib.util
from collections.abc import Awaitable, Callable
from pathlib import Path

from fastapi import FastAPI, Response
from fastapi.responses import FileResponse

_FOLDER = Path(__file__).parent.parent / "ui"
_PATHS = {"index.html": "/", "docs.html": "/docs"}
_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
_SWAGGER = ("swagger-ui-bundle.js", "swagger-ui.css")
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
    """Add the routes of the page and of ``/docs``."""
    for file in sorted(_FOLDER.iterdir()):
        path = _PATHS.get(file.name, f"/page/{file.name}")
        app.add_api_route(path, _sender(file), include_in_schema=False, response_class=Response)
    for name in _SWAGGER:
        app.add_api_route(f"/page/{name}", _swagger_sender(name), include_in_schema=False, response_class=Response)


def _swagger_sender(name: str) -> Callable[[], Awaitable[Response]]:
    async def send() -> Response:
        spec = importlib.util.find_spec("fastapi_offline")  # without importing it
        assert spec is not None and spec.submodule_search_locations is not None
        return FileResponse(Path(spec.submodule_search_locations[0]) / "static" / name, headers=_HEADERS)

    return send


def _sender(file: Path) -> Callable[[], Awaitable[Response]]:
    content, media_type = file.read_bytes(), f"{_TYPES[file.suffix]}; charset=utf-8"

    async def send() -> Response:
        return Response(content, media_type=media_type, headers=_HEADERS)

    return send
