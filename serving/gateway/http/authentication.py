"""Who comes in: a known key where keys are needed, and no more requests than its rate allows."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from serving.gateway.errors import Forbidden, Unauthorized, listed
from serving.gateway.http import keys_file as keys
from serving.gateway.http.keys_file import Key, Keys
from serving.gateway.http.request import Request

if TYPE_CHECKING:  # else whoever sets no rates would pay for the library that counts them
    from serving.gateway.http.rate_limits import Rates

#: What says nothing about the models, or must answer a probe that has no key (to whom ``/readyz`` names none).
_OPEN = frozenset({"/", "/docs", "/openapi.json", "/livez", "/readyz", "/v2/health/live", "/v2/health/ready"})
_MODEL = re.compile(r"/v1/models/([^/:]+)|/v2/models/([^/]+)", re.IGNORECASE)


def check_scope(key: Key, model: str, verb: str) -> None:
    """Raises Forbidden where the key may not ask the model for that."""
    if not key.allows(model, verb):
        models = listed(sorted(key.models), "every model")
        verbs = listed(sorted(key.verbs), "every verb")
        raise Forbidden(f"key {key.id} is for {models} and {verbs}, not for {verb} of {model}")


class Authentication:
    """Asked once for each request, before its body is read. None of it where neither keys nor rates are set."""

    def __init__(self, known: Callable[[], Keys] | None, rates: "Rates | None", *, metrics_need_key: bool) -> None:
        """``known`` says the keys of now; None where none is needed."""
        self._known = known
        self._rates = rates
        self._open = _OPEN if metrics_need_key else _OPEN | {"/metrics"}

    async def enter(self, request: Request) -> None:
        """Lets a request in and writes down its key.

        Raises:
            Unauthorized: no key that is known. Forbidden: the path names a model that the key is not for.
            TooMany: more requests than the rate allows, or more without a valid key.
        """
        path = request.path
        if path in self._open or path.startswith("/page/"):
            if self._known is not None and path == "/readyz":
                request.key = _find(request, self._known())
            return
        if self._known is not None:
            try:
                request.key = _recognised(request, self._known())
            except Unauthorized:
                if self._rates is not None:
                    await self._rates.count_failure(request.caller)
                raise
        if self._rates is not None:
            await self._rates.count(request.key, request.caller)
        if request.key is not None:
            named = _MODEL.match(path)
            model = named and (named[1] or named[2])
            if model and not request.key.reaches(model):
                raise Forbidden(f"key {request.key.id} is for {listed(sorted(request.key.models))}, not for {model}")


def _recognised(request: Request, known: Keys) -> Key:
    if not _shown(request):
        raise Unauthorized("a key is needed: send Authorization: Bearer KEY, or X-API-Key: KEY")
    key = _find(request, known)
    if key is None:
        raise Unauthorized("the key is not known here, or has expired; vitrine keys create makes one")
    return key


def _find(request: Request, known: Keys) -> Key | None:
    return keys.find(known, _shown(request), datetime.now(UTC))


def _shown(request: Request) -> str:
    """The key that a caller shows; empty where there is none."""
    shown = request.header(b"x-api-key")
    if not shown:
        scheme, _, shown = request.header(b"authorization").partition(" ")
        if scheme.lower() != "bearer":
            return ""
    return shown.strip()
