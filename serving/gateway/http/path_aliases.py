"""Other paths for the gateway's own, for platforms that choose them."""

from collections.abc import Mapping

from starlette.types import ASGIApp, Receive, Scope, Send


class PathAliases:
    """ASGI middleware: a request for an alias becomes one for the gateway's path."""

    def __init__(self, app: ASGIApp, aliases: Mapping[str, str]) -> None:
        self._app = app
        self._aliases = aliases

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request. The scope stays the same object: the server reports a disconnected client to it."""
        if scope["type"] == "http":
            scope["path"] = self._aliases.get(scope["path"], scope["path"])
        await self._app(scope, receive, send)
