"""Authentication and rate limits: a valid key where keys are required, and no more requests than its rate."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from serving.gateway.errors import Forbidden, Unauthorized, listed
from serving.gateway.http import keys_file
from serving.gateway.http.keys_file import Key, Keys
from serving.gateway.http.paths import GRPC_SERVICE
from serving.gateway.http.request import Request

if TYPE_CHECKING:  # a gateway without rate limits does not import their library
    from serving.gateway.http.rate_limits import Rates

#: Paths that reveal nothing about models, or must answer a probe without a key. ``/readyz`` names no models then.
_OPEN = frozenset(
    {
        *("/", "/docs", "/openapi.json", "/livez", "/readyz", "/v2/health/live", "/v2/health/ready"),
        *("/ping", "/version"),
        *(f"{GRPC_SERVICE}ServerLive", f"{GRPC_SERVICE}ServerReady"),
    }
)
#: The model in a path; ``/v2/models/stats`` is about all models.
_MODEL = re.compile(r"/v1/models/([^/:]+)|/v2/models/(?!stats$)([^/]+)", re.IGNORECASE)


def check_scope(key: Key, model: str, verb: str) -> None:
    """Check that a key may use a verb of a model.

    Raises:
        Forbidden: it may not.
    """
    if not key.allows(model, verb):
        models = listed(sorted(key.models), "every model")
        verbs = listed(sorted(key.verbs), "every verb")
        raise Forbidden(f"key {key.id} is for {models} and {verbs}, not for {verb} of {model}")


def check_reach(key: Key | None, model: str) -> None:
    """Check that a key may see a model; None if keys are not required.

    Raises:
        Forbidden: it may not.
    """
    if key is not None and not key.reaches(model):
        raise Forbidden(f"key {key.id} is for {listed(sorted(key.models))}, not for {model}")


class Authentication:
    """Checks each request once, before its body is read."""

    def __init__(self, keys: Callable[[], Keys] | None, rates: "Rates | None", *, metrics_need_key: bool) -> None:
        """Configure the checks.

        Args:
            keys: returns the current keys; None if no key is required.
            rates: rate limits, if configured.
            metrics_need_key: whether ``/metrics`` requires a key.
        """
        self._keys = keys
        self._rates = rates
        self._open = _OPEN if metrics_need_key else _OPEN | {"/metrics"}

    async def authenticate(self, request: Request) -> None:
        """Set the request's key.

        Raises:
            Unauthorized: no valid key.
            Forbidden: the path names a model that the key does not allow.
            TooMany: the rate is exceeded, by the key or by failed attempts.
        """
        path = request.path
        if path in self._open or path.startswith("/page/"):
            if self._keys is not None and path == "/readyz":
                request.key = _find(request, self._keys())
            return
        if self._keys is not None:
            try:
                request.key = _required_key(request, self._keys())
            except Unauthorized:
                if self._rates is not None:
                    await self._rates.count_failure(request.caller)
                raise
        if self._rates is not None:
            await self._rates.count(request.key, request.caller)
        if request.key is not None:
            match = _MODEL.match(path)
            model = match and (match[1] or match[2])
            if model:
                check_reach(request.key, model)


def _required_key(request: Request, keys: Keys) -> Key:
    if not _presented(request):
        raise Unauthorized("a key is needed: send Authorization: Bearer KEY, or X-API-Key: KEY")
    key = _find(request, keys)
    if key is None:
        raise Unauthorized("the key is unknown or has expired; create one with vitrine keys create")
    return key


def _find(request: Request, keys: Keys) -> Key | None:
    return keys_file.find(keys, _presented(request), datetime.now(UTC))


def _presented(request: Request) -> str:
    """Return the key that a caller sent; empty if none."""
    key = request.header(b"x-api-key")
    if not key:
        scheme, _, key = request.header(b"authorization").partition(" ")
        if scheme.lower() != "bearer":
            return ""
    return key.strip()
