"""``/``, a page to try the models, and ``/docs``, Swagger UI. Neither loads anything from another host.

The page's files are served from memory, Swagger's from the package ``fastapi-offline``.
"""

import asyncio
import functools
import hashlib
import importlib.util
import zlib
from collections.abc import Awaitable, Callable
from pathlib import Path

import brotli
from fastapi import FastAPI, Request, Response
from fastapi.responses import FileResponse

from serving.gateway.api import first_view
from serving.gateway.http.compression import choose_encoding

_FOLDER = Path(__file__).parent.parent / "ui"
_INDEX = "index.html"
_PATHS = {_INDEX: "/", "docs.html": "/docs"}
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".png": "image/png",
}
_ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    "br": lambda content: brotli.compress(content, mode=brotli.MODE_TEXT),
    "gzip": lambda content: zlib.compress(content, 9, 31),
}
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
    files = {file.relative_to(_FOLDER).as_posix(): file.read_bytes() for file in sorted(_FOLDER.rglob("*.*"))}
    modules = {name: content.decode() for name, content in files.items() if name.endswith(".js")}
    index, joined, import_map = first_view.join(files[_INDEX].decode(), modules)
    files |= {_INDEX: index.encode(), first_view.JOINED: joined.encode()}
    for name, content in files.items():
        policy = f"script-src 'self' {import_map}; " if name == _INDEX else ""
        path = _PATHS.get(name, f"/page/{name}")
        sender = _sender(content, _TYPES[Path(name).suffix], policy)
        app.add_api_route(path, sender, include_in_schema=False, response_class=Response)
    for name in _SWAGGER:
        app.add_api_route(f"/page/{name}", _swagger_sender(name), include_in_schema=False, response_class=Response)


def _swagger_sender(name: str) -> Callable[[], Awaitable[Response]]:
    async def send() -> Response:
        spec = importlib.util.find_spec("fastapi_offline")  # without importing it
        assert spec is not None and spec.submodule_search_locations is not None
        return FileResponse(Path(spec.submodule_search_locations[0]) / "static" / name, headers=_HEADERS)

    return send


def _sender(content: bytes, media_type: str, policy: str) -> Callable[[Request], Awaitable[Response]]:
    tag = f'W/"{hashlib.sha256(content).hexdigest()[:16]}"'
    headers = {**_HEADERS, "etag": tag, "vary": "accept-encoding"}
    headers["content-security-policy"] = policy + headers["content-security-policy"]
    compressed = functools.cache(lambda encoding: _ENCODERS[encoding](content))

    async def send(request: Request) -> Response:
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        encoding = choose_encoding(request.headers.get("accept-encoding", ""), media_type)
        if encoding is None:
            return Response(content, media_type=media_type, headers=headers)
        body = await asyncio.to_thread(compressed, encoding)  # the first time takes tens of milliseconds
        return Response(body, media_type=media_type, headers={**headers, "content-encoding": encoding})

    return send
