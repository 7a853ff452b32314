"""Admission control: limits of concurrent requests, for each model and caller, and in an overload of the process.

A request counts from the end of its body to its response. ``memory_budget.py`` limits the memory of requests,
``inference/dynamic_batching.py`` the rows that wait for a signature.
"""

import functools
import re
from typing import Any

import orjson

from serving.gateway.errors import Overloaded
from serving.gateway.observability.metrics import GatewayMetrics
from serving.gateway.settings import Settings
from serving.http_server.load_shedding import LoadShedder

_OVERLOADED = "the gateway is overloaded; try again later"
_REFUSABLE = re.compile(
    rb"POST /(?:v1/(?:models/[^ :]++:(?:predict|classify|regress|embed|neighbours|forecast|explain)|embeddings|"
    rb"timeseries/forecast)|v2/models/[^ /]++(?:/versions/[^ /]++)?/infer|invocations)[? ]"
)


class Admission:
    """Counts concurrent requests. Pair every ``enter`` that returned with a ``leave``."""

    def __init__(self, max_in_flight: int, max_share: float, shedder: LoadShedder) -> None:
        """Set the limits.

        Args:
            max_in_flight: concurrent requests of a model.
            max_share: largest part of them that one caller may hold.
            shedder: says whether the event loop is overloaded.
        """
        self._shedder = shedder
        self._max_in_flight = max_in_flight
        self._max_of_caller = max(1, int(max_in_flight * max_share))
        self._in_flight: dict[str, int] = {}
        self._of_caller: dict[tuple[str, str], int] = {}

    def check_load(self) -> None:
        """Reject a request whose body names the model, before it is read.

        Raises:
            Overloaded: the event loop is overloaded.
        """
        if self._shedder.is_full:
            raise Overloaded(_OVERLOADED, "processor")

    def check(self, model: str, caller: str) -> None:
        """Reject a request before its body is read.

        Raises:
            Overloaded: see :meth:`enter`; or the event loop is overloaded.
        """
        self.check_load()
        count = self._in_flight.get(model, 0)
        if count >= self._max_in_flight:
            raise Overloaded(f"model {model} has {count} requests in flight, its limit; try again", "in_flight")
        own = self._of_caller.get((model, caller), 0)
        if own >= self._max_of_caller:
            raise Overloaded(
                f"{caller} has {own} requests in flight for model {model}, its limit; wait for their responses", "share"
            )

    def enter(self, model: str, caller: str) -> None:
        """Count a request.

        Raises:
            Overloaded: the model or the caller has reached its limit.
        """
        count, own = self._in_flight.get(model, 0), self._of_caller.get((model, caller), 0)
        if count >= self._max_in_flight or own >= self._max_of_caller:
            self.check(model, caller)
        self._in_flight[model] = count + 1
        self._of_caller[model, caller] = own + 1

    def leave(self, model: str, caller: str) -> None:
        """Stop counting a request."""
        _decrement(self._in_flight, model)
        _decrement(self._of_caller, (model, caller))


def _decrement(counts: dict[Any, int], key: Any) -> None:
    if counts[key] == 1:
        del counts[key]
    else:
        counts[key] -= 1


def create_shedder(settings: Settings, metrics: GatewayMetrics) -> LoadShedder:
    """Create the shedder of a gateway process. It refuses requests for models.

    Health checks, metrics, pages and the changes that operators make are always accepted.
    """
    body = orjson.dumps({"error": _OVERLOADED, "code": "overloaded"})
    head = (
        "HTTP/1.1 503 Service Unavailable\r\n"
        "content-type: application/json\r\n"
        f"content-length: {len(body)}\r\n"
        f"retry-after: {settings.retry_after_seconds}\r\n\r\n"
    )
    return LoadShedder(
        settings.overload_seconds,
        _REFUSABLE.match,
        head.encode("ascii") + body,
        functools.partial(metrics.refused, "", "overloaded_processor"),  # no model: the path was not parsed
    )
