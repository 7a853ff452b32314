"""The middle of a request's way: route → (decode) → coalesce → predict. No transport in it.

A version may be unloaded between the choice and the call. Then the model is looked at again, and where that leads to
another version the request is made anew for that one, so that a swap loses no request. Where it leads to the same
version again, one replica of the model server has it sooner, or longer, than another, and the next ones are asked.

Where a model has a shadow, a copy of some of its answered requests goes there (``shadow.py``).
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Protocol, TypeVar

from serving.gateway.backends.base import MOST_ATTEMPTS, ModelServer, Outputs, size_of
from serving.gateway.errors import UnknownVersion, VersionGone
from serving.gateway.http.authentication import check_scope
from serving.gateway.http.keys_file import Key
from serving.gateway.http.memory_budget import Reservation
from serving.gateway.inference.call import ModelCall, cropped, parts
from serving.gateway.inference.dynamic_batching import DynamicBatcher
from serving.gateway.inference.row_splitting import in_order, joined, whole
from serving.gateway.inference.shadow import Copy, Shadows
from serving.gateway.models.discovery import ModelDiscovery
from serving.gateway.models.model_version import ModelVersion
from serving.gateway.models.routing import ModelState, Share, VersionChoice, choose
from serving.gateway.models.signature import Signature
from serving.gateway.observability.drift import Drift
from serving.gateway.observability.metrics import GatewayMetrics
from serving.gateway.observability.tracing import Trace

_ANY = VersionChoice()
_SHADOW_SECONDS = 10.0
_WRITTEN_TIMES = 5  # an answer: the model server's message, its arrays, and their text, of up to three times the size
_SENT_TIMES = 3  # a call's tensors stand in their arrays, in its message and in its HTTP/2 body


class Caller(Protocol):
    """What a prediction needs of its request.

    The key, if one is needed, the deadline, its part of the memory budget, the trace, if there is one, and its place
    among all requests.
    """

    @property
    def key(self) -> Key | None: ...

    @property
    def deadline(self) -> float: ...

    @property
    def memory(self) -> Reservation: ...

    @property
    def trace(self) -> Trace | None: ...

    def draw(self, model: str, share: Share) -> float: ...


Answered = TypeVar("Answered")


@dataclass(slots=True)
class PredictResult:
    servable: ModelVersion
    call: ModelCall
    outputs: Outputs


class Predictor:
    """Sends calls to the model server through one lane for each signature in use."""

    def __init__(
        self,
        model_server: ModelServer,
        registry: ModelDiscovery,
        metrics: GatewayMetrics,
        drift: Drift | None,
        *,
        max_rows: int,
        max_waiting: int,
        calls_per_signature: int,
    ) -> None:
        self._model_server = model_server
        self._registry = registry
        self._metrics = metrics
        self._drift = drift
        self._max_rows = max_rows
        self._max_waiting = max_waiting
        self._calls = calls_per_signature
        self._shadows = Shadows(metrics)
        self._lanes: dict[tuple[str, int, str], tuple[Signature, DynamicBatcher]] = {}

    def route(self, caller: Caller, model: str, wanted: VersionChoice, verb: str) -> ModelVersion:
        """The servable that answers; see :func:`serving.gateway.models.routing.choose`.

        Raises:
            Forbidden: the caller's key does not reach to that model and verb.
        """
        if caller.key is not None:
            check_scope(caller.key, model, verb)
        return choose(self._registry.models, model, wanted, caller.draw)

    async def run(
        self,
        servable: ModelVersion,
        wanted: VersionChoice,
        prepare: Callable[[ModelVersion], Awaitable[ModelCall]],
        caller: Caller,
    ) -> PredictResult:
        """Prepares the call for the servable and sends it; once more for another one where this one has gone.

        Raises:
            GatewayError: what ``prepare`` or the model server said.
        """

        async def attempt(servable: ModelVersion) -> PredictResult:
            started, before = perf_counter(), caller.memory.held
            call = await prepare(servable)
            decoded = perf_counter()
            self._metrics.decoded(servable.model, decoded - started)
            if caller.trace is not None:
                caller.trace.stage("decode", started, decoded)
            caller.memory.hold(_SENT_TIMES * size_of(call.arrays))
            try:
                outputs = await self._ask(servable, call, caller.memory, caller.deadline, caller.trace)
            except VersionGone:
                caller.memory.release(caller.memory.held - before)
                raise
            caller.memory.hold(_WRITTEN_TIMES * outputs.size)
            if self._drift is not None:
                self._drift.sample(servable, call.signature, call.arrays, outputs, decoded)
            return PredictResult(servable, call, cropped(servable, call, outputs))

        result = await self.through_swaps(servable, wanted, attempt)
        state = self._registry.models.get(servable.model)
        if state is not None and state.shadow is not None and wanted == _ANY:
            self._copy(state, state.shadow, result, prepare, caller)
        return result

    async def _ask(
        self, servable: ModelVersion, call: ModelCall, memory: Reservation, deadline: float, trace: Trace | None = None
    ) -> Outputs:
        """The outputs of a call; in parts where it has more rows than one call may have."""
        lane = self._lane(servable, call.signature)
        if call.rows <= self._max_rows:
            return await lane.submit(call.arrays, call.rows, deadline, trace)

        async def ask(part: ModelCall) -> Outputs:
            outputs = whole(await lane.submit(part.arrays, part.rows, deadline, trace), part.rows)
            memory.hold((1 + _WRITTEN_TIMES) * outputs.size)  # refused as soon as the whole could not be written
            return outputs

        whole_outputs = joined(await in_order(parts(servable, call, self._max_rows), ask, self._calls))
        memory.release(_WRITTEN_TIMES * whole_outputs.size)
        return whole_outputs

    async def through_swaps(
        self, servable: ModelVersion, wanted: VersionChoice, attempt: Callable[[ModelVersion], Awaitable[Answered]]
    ) -> Answered:
        """What the attempt gives for the servable, or where that is gone, for the one in its place.

        Raises:
            GatewayError: what the attempt raised; :class:`UnknownVersion` where nothing took the version's place.
        """
        for attempts in range(1, MOST_ATTEMPTS + 1):
            try:
                return await attempt(servable)
            except VersionGone as gone:
                reason = gone.message
            if attempts == 1:
                await self._registry.refresh(servable.model)
                servable = choose(self._registry.models, servable.model, wanted)
        raise UnknownVersion(reason)

    def _copy(
        self,
        state: ModelState,
        shadow: Share,
        answered: PredictResult,
        prepare: Callable[[ModelVersion], Awaitable[ModelCall]],
        caller: Caller,
    ) -> None:
        """Offers the shadow the request that was just answered, if it is drawn; by the input as it was sent where the
        shadow takes it in the same way, else decoded anew."""
        servable, call = answered.servable, answered.call
        other = state.versions[shadow.version]
        if other is servable or random.random() * 100 >= shadow.percent:
            return

        async def ask() -> tuple[Outputs, Sequence[str]]:
            signature = other.signatures.get(call.signature.name)
            if signature is not None and signature.inputs == call.signature.inputs and _same_recipe(servable, other):
                again = ModelCall(signature, call.arrays, call.rows)
            else:
                again = await prepare(other)
            deadline = asyncio.get_running_loop().time() + _SHADOW_SECONDS
            outputs = await self._ask(other, again, caller.memory, deadline)
            return cropped(other, again, outputs), _labels(other)

        copy = Copy(
            state.name, shadow.version, answered.outputs, _labels(servable), ask, caller.memory.held, caller.memory
        )
        self._shadows.offer(copy)

    async def close(self) -> None:
        """Ends what nobody waits for."""
        await self._shadows.close()

    def forget_gone(self, models: Mapping[str, ModelState]) -> None:
        """Drops the lanes of versions that are no longer there."""
        for key, (_, lane) in list(self._lanes.items()):
            model, version, _ = key
            if lane.idle and (model not in models or version not in models[model].versions):
                del self._lanes[key]

    def _lane(self, servable: ModelVersion, signature: Signature) -> DynamicBatcher:
        key = (servable.model, servable.version, signature.name)
        known = self._lanes.get(key)
        if known is not None and known[0] is signature:
            return known[1]
        lane = DynamicBatcher(
            f"version {servable.version} of model {servable.model}",
            signature,
            partial(self._model_server.predict, servable.model, servable.version, signature),
            max_rows=self._max_rows,
            max_waiting=self._max_waiting,
            calls=self._calls,
            keeps_rows=servable.offers_signature(signature),
            on_batch=self._metrics.batch_observer(servable.model),
            on_wait=self._metrics.wait_observer(servable.model),
        )
        self._lanes[key] = (signature, lane)
        return lane


def _labels(servable: ModelVersion) -> Sequence[str]:
    return servable.card.labels if servable.card is not None else ()


def _same_recipe(one: ModelVersion, other: ModelVersion) -> bool:
    """Whether both make the same tensors of the same request."""
    if one.card is None or other.card is None or one.kind is None:
        return one.card is other.card
    return one.kind is other.kind and one.kind.recipe(one.card) == one.kind.recipe(other.card)
