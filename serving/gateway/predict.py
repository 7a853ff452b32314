"""The middle of a request's way: route → (decode) → coalesce → predict. No transport in it.

A version may be unloaded between the choice and the call. Then the model is looked at again, and where that leads to
another version the request is made anew for that one, so that a swap loses no request.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from serving.gateway.coalesce import Lane
from serving.gateway.errors import UnknownVersion, VersionGone
from serving.gateway.metrics import Metrics
from serving.gateway.registry import Registry
from serving.gateway.route import ModelState, Wanted, choose
from serving.gateway.servable import Servable
from serving.gateway.signature import Signature
from serving.gateway.upstream import Upstream
from serving.gateway.wire import Arrays, Outputs


@dataclass(slots=True)
class Call:
    """What is to be sent: validated inputs and the signature that they fit."""

    signature: Signature
    arrays: Arrays
    rows: int


@dataclass(slots=True)
class Result:
    servable: Servable
    call: Call
    outputs: Outputs


class Predictor:
    """Sends calls to the model server through one lane for each signature in use."""

    def __init__(
        self, upstream: Upstream, registry: Registry, metrics: Metrics, *, max_rows: int, calls_per_signature: int
    ) -> None:
        self._upstream = upstream
        self._registry = registry
        self._metrics = metrics
        self._max_rows = max_rows
        self._calls = calls_per_signature
        self._lanes: dict[tuple[str, int, str], tuple[Signature, Lane]] = {}

    def route(self, model: str, wanted: Wanted) -> Servable:
        """The servable that answers; see :func:`serving.gateway.route.choose`."""
        return choose(self._registry.models, model, wanted)

    async def run(
        self, servable: Servable, wanted: Wanted, prepare: Callable[[Servable], Awaitable[Call]], deadline: float
    ) -> Result:
        """Prepares the call for the servable and sends it; once more for another one where this one has gone.

        Raises:
            GatewayError: what ``prepare`` or the model server said.
        """
        call = await prepare(servable)
        try:
            outputs = await self._lane(servable, call.signature).submit(call.arrays, call.rows, deadline)
        except VersionGone as gone:
            await self._registry.refresh(servable.model)
            again = self.route(servable.model, wanted)
            if again.version == servable.version:
                raise UnknownVersion(gone.message) from None
            call = await prepare(again)
            servable = again
            outputs = await self._lane(servable, call.signature).submit(call.arrays, call.rows, deadline)
        return Result(servable, call, outputs)

    def forget_gone(self, models: Mapping[str, ModelState]) -> None:
        """Drops the lanes of versions that are no longer there."""
        for key, (_, lane) in list(self._lanes.items()):
            model, version, _ = key
            if lane.idle and (model not in models or version not in models[model].servables):
                del self._lanes[key]

    def _lane(self, servable: Servable, signature: Signature) -> Lane:
        key = (servable.model, servable.version, signature.name)
        known = self._lanes.get(key)
        if known is not None and known[0] is signature:
            return known[1]
        lane = Lane(
            servable.model,
            servable.version,
            signature,
            self._upstream.predict,
            max_rows=self._max_rows,
            calls=self._calls,
            on_batch=self._metrics.batch_observer(servable.model),
        )
        self._lanes[key] = (signature, lane)
        return lane
