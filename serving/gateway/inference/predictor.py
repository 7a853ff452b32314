"""Prediction: route the request to a model version, prepare the call, batch it, and return the outputs.

A version can be unloaded between routing and the call. The predictor then polls the model again. If routing leads to
another version, the request is prepared and sent once more for that one, so that a version change loses no request. If
it leads to the same version, one replica of the model server loads or unloads it later than another: the call goes to
the next replicas.

If the model has a shadow version, a copy of some requests goes there after the response (``shadow.py``).
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from time import perf_counter
from typing import Protocol, TypeVar

from serving.gateway.backends.base import MOST_ATTEMPTS, ModelServer, Outputs, size_of
from serving.gateway.errors import UnknownVersion, VersionGone
from serving.gateway.http.authentication import check_scope
from serving.gateway.http.keys_file import Key
from serving.gateway.http.memory_budget import Reservation
from serving.gateway.inference.call import ModelCall, cropped, parts
from serving.gateway.inference.dynamic_batching import BatchLimits, DynamicBatcher
from serving.gateway.inference.row_splitting import in_order, joined, whole
from serving.gateway.inference.shadow import ShadowRequest, Shadows
from serving.gateway.kinds.assessment import warned_rows
from serving.gateway.models.discovery import ModelDiscovery
from serving.gateway.models.model_version import ModelVersion
from serving.gateway.models.routing import ModelState, Share, VersionChoice, choose
from serving.gateway.models.signature import Signature
from serving.gateway.observability.drift import Drift
from serving.gateway.observability.metrics import GatewayMetrics
from serving.gateway.observability.tracing import Trace

_ANY = VersionChoice()
_SHADOW_SECONDS = 10.0
EXPLAIN = "explain"  # runs the model about 100 times for a row, so each row is a call of its own
_RESPONSE_TIMES = 5  # memory of outputs: the model server's message, the arrays, and text of up to three times the size
_REQUEST_TIMES = 3  # memory of inputs: the arrays, the message, and the HTTP/2 body

T = TypeVar("T")


class Caller(Protocol):
    """The parts of a request that prediction needs."""

    @property
    def key(self) -> Key | None:
        """The API key; None if keys are not required."""
        ...

    @property
    def deadline(self) -> float:
        """Time of the event loop at which the request ends."""
        ...

    @property
    def memory(self) -> Reservation:
        """The request's part of the memory budget."""
        ...

    @property
    def trace(self) -> Trace | None:
        """The request's trace, if it is sampled."""
        ...

    def draw(self, model: str, share: Share) -> float:
        """Position of the request for a canary's share, from 0 to below 100."""
        ...


@dataclass(slots=True)
class PredictResult:
    """A call, the version that answered it, and its outputs."""

    version: ModelVersion
    call: ModelCall
    outputs: Outputs


class Predictor:
    """Sends calls to the model server through one dynamic batcher for each signature in use."""

    def __init__(
        self,
        model_server: ModelServer,
        discovery: ModelDiscovery,
        metrics: GatewayMetrics,
        drift: Drift | None,
        limits: BatchLimits,
    ) -> None:
        """Create a predictor.

        Args:
            model_server: runs the calls.
            discovery: the known models.
            metrics: counts the calls.
            drift: compares inputs and outputs with the training data; None to compare nothing.
            limits: limits for one signature; a request with more rows is split.
        """
        self._model_server = model_server
        self._discovery = discovery
        self._metrics = metrics
        self._drift = drift
        self._limits = limits
        self._shadows = Shadows(metrics)
        self._batchers: dict[tuple[str, int, str], tuple[Signature, DynamicBatcher]] = {}

    @property
    def models(self) -> Mapping[str, ModelState]:
        """The current state of the models."""
        return self._discovery.models

    def route(self, caller: Caller, model: str, choice: VersionChoice, verb: str) -> ModelVersion:
        """Return the version that answers; see :func:`serving.gateway.models.routing.choose`.

        Raises:
            Forbidden: the caller's key does not allow this model and verb.
        """
        if caller.key is not None:
            check_scope(caller.key, model, verb)
        return choose(self._discovery.models, model, choice, caller.draw)

    async def run(
        self,
        version: ModelVersion,
        choice: VersionChoice,
        prepare: Callable[[ModelVersion], Awaitable[ModelCall]],
        caller: Caller,
    ) -> PredictResult:
        """Prepare a call for the version and send it; prepare it again if another version has replaced that one.

        Raises:
            GatewayError: of ``prepare``, or of the model server.
        """

        async def attempt(version: ModelVersion) -> PredictResult:
            started, before = perf_counter(), caller.memory.held
            call = await prepare(version)
            decoded = perf_counter()
            self._metrics.decoded(version.model, decoded - started)
            version.statistics.decode.add(decoded - started)
            if caller.trace is not None:
                caller.trace.stage("decode", started, decoded)
            caller.memory.hold(_REQUEST_TIMES * size_of(call.arrays))
            try:
                outputs = await self._send(version, call, caller.memory, caller.deadline, caller.trace)
            except VersionGone:
                caller.memory.release(caller.memory.held - before)
                raise
            caller.memory.hold(_RESPONSE_TIMES * outputs.size)
            if call.signature is version.assessment and version.card is not None:
                warned = warned_rows(outputs, version.card)
                if warned:
                    self._metrics.warned(version.model, version.version, warned)
            if self._drift is not None:
                self._drift.sample(version, call.signature, call.arrays, outputs, decoded)
            return PredictResult(version, call, cropped(version, call, outputs))

        result = await self.retry_on_version_change(version, choice, attempt)
        state = self._discovery.models.get(version.model)
        if state is not None and state.shadow is not None and choice == _ANY:
            self._offer_shadow(state, state.shadow, result, prepare, caller)
        return result

    async def _send(
        self, version: ModelVersion, call: ModelCall, memory: Reservation, deadline: float, trace: Trace | None = None
    ) -> Outputs:
        """Return the outputs of a call. Send it in parts if it has more rows than the limit."""
        batcher = self._batcher(version, call.signature)
        explains = call.signature.name == EXPLAIN and version.offers_signature(call.signature)
        most = 1 if explains else self._limits.rows
        if call.rows <= most:
            return await batcher.submit(call.arrays, call.rows, deadline, trace)

        async def send_part(part: ModelCall) -> Outputs:
            outputs = whole(await batcher.submit(part.arrays, part.rows, deadline, trace), part.rows)
            memory.hold((1 + _RESPONSE_TIMES) * outputs.size)  # over the budget: stop before joining
            return outputs

        outputs = joined(await in_order(parts(version, call, most), send_part, self._limits.calls))
        memory.release(_RESPONSE_TIMES * outputs.size)
        return outputs

    async def retry_on_version_change(
        self, version: ModelVersion, choice: VersionChoice, attempt: Callable[[ModelVersion], Awaitable[T]]
    ) -> T:
        """Return the attempt's result for the version, or for the one that replaces it.

        Raises:
            GatewayError: of the attempt; ``UnknownVersion`` if nothing replaces the version.
        """
        for attempts in range(1, MOST_ATTEMPTS + 1):
            statistics, started = version.statistics, perf_counter()
            try:
                answer = await attempt(version)
            except VersionGone as gone:
                reason = gone.message
            except BaseException:
                statistics.failed.add(perf_counter() - started)
                raise
            else:
                statistics.answered(perf_counter() - started)
                return answer
            if attempts == 1:
                await self._discovery.refresh(version.model)
                version = choose(self._discovery.models, version.model, choice)
        raise UnknownVersion(reason)

    def _offer_shadow(
        self,
        state: ModelState,
        shadow: Share,
        answered: PredictResult,
        prepare: Callable[[ModelVersion], Awaitable[ModelCall]],
        caller: Caller,
    ) -> None:
        """Offer the answered request to the shadow, if it is in the shadow's share.

        The shadow gets the same tensors if its inputs and its preprocessing are the same. Otherwise the request is
        prepared again.
        """
        version, call = answered.version, answered.call
        other = state.versions[shadow.version]
        if other is version or random.random() * 100 >= shadow.percent:  # nosec B311 # a share of traffic
            return

        async def send() -> tuple[Outputs, Sequence[str]]:
            signature = other.signatures.get(call.signature.name)
            if signature is not None and signature.inputs == call.signature.inputs and _same_recipe(version, other):
                copied = ModelCall(signature, call.arrays, call.rows)
            else:
                copied = await prepare(other)
            deadline = asyncio.get_running_loop().time() + _SHADOW_SECONDS
            outputs = await self._send(other, copied, caller.memory, deadline)
            return cropped(other, copied, outputs), _labels(other)

        self._shadows.offer(
            ShadowRequest(
                state.name, shadow.version, answered.outputs, _labels(version), send, caller.memory.held, caller.memory
            )
        )

    async def close(self) -> None:
        """Drop the requests to shadows."""
        await self._shadows.close()

    def forget_unloaded(self, models: Mapping[str, ModelState]) -> None:
        """Drop the idle batchers of versions that are not AVAILABLE."""
        for key, (_, batcher) in list(self._batchers.items()):
            model, version, _ = key
            if batcher.idle and (model not in models or version not in models[model].versions):
                del self._batchers[key]

    def _batcher(self, version: ModelVersion, signature: Signature) -> DynamicBatcher:
        key = (version.model, version.version, signature.name)
        known = self._batchers.get(key)
        if known is not None and known[0] is signature:
            return known[1]
        batcher = DynamicBatcher(
            f"version {version.version} of model {version.model}",
            signature,
            partial(self._model_server.predict, version.model, version.version, signature),
            self._limits if signature.name != EXPLAIN else replace(self._limits, rows=1),
            keeps_rows=version.offers_signature(signature),
            on_batch=self._metrics.batch_observer(version.statistics),
            on_wait=self._metrics.wait_observer(version.statistics),
        )
        self._batchers[key] = (signature, batcher)
        return batcher


def _labels(version: ModelVersion) -> Sequence[str]:
    return version.card.labels if version.card is not None else ()


def _same_recipe(one: ModelVersion, other: ModelVersion) -> bool:
    """Whether both versions make the same tensors from a request."""
    if one.card is None or other.card is None or one.kind is None:
        return one.card is other.card
    return one.kind is other.kind and one.kind.recipe(one.card) == one.kind.recipe(other.card)
