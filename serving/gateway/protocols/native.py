"""The native façade: pictures, series, table rows and signals as people have them, answers by label and with units."""

from typing import TypeVar

import numpy as np

from serving.artifacts.model_card import ModelCard
from serving.gateway.codecs.body import NPY, Payload
from serving.gateway.errors import BadOption, BadUpstream
from serving.gateway.http.paths import Target
from serving.gateway.http.request import Request, Response
from serving.gateway.inference.call import InputLimits, ModelCall, fitting
from serving.gateway.inference.predictor import Predictor, PredictResult
from serving.gateway.kinds import answers as encode
from serving.gateway.kinds import image as pictures
from serving.gateway.kinds import series
from serving.gateway.kinds import signal as signals
from serving.gateway.kinds import table as tables
from serving.gateway.kinds.image import Rows
from serving.gateway.models.model_version import ModelVersion
from serving.gateway.models.signature import Signature
from serving.inputs import npy
from serving.preprocessing.image import Polarity

_CLASS_OPTIONS = frozenset({"polarity", "top"})
_PICTURE_OPTIONS = frozenset({"polarity"})
_NEIGHBOUR_OPTIONS = frozenset({"polarity", "k"})
_SIGNAL_OPTIONS = frozenset({"top"})
_FORECAST_OPTIONS = frozenset({"horizon"})
_NO_OPTIONS: frozenset[str] = frozenset()


Recipe = TypeVar("Recipe")


class Native:
    """``:predict``, ``:embed``, ``:neighbours`` and ``:forecast`` for models with a card."""

    def __init__(self, predictor: Predictor, limits: InputLimits) -> None:
        self._predictor = predictor
        self._limits = limits

    async def answer(self, request: Request, target: Target, servable: ModelVersion, content: Payload) -> Response:
        """The answer to a request that was routed to the servable.

        Raises:
            GatewayError: the model does not offer the verb, the input does not fit, or the model server failed.
        """
        servable.offer(target.verb)
        match target.verb, card_of(servable).kind:
            case "embed", _:
                return await self._embed(request, target, servable, content)
            case "neighbours", _:
                return await self._neighbours(request, target, servable, content)
            case "forecast", _:
                option = request.options(_FORECAST_OPTIONS).get("horizon")
                result = await self.forecast(request, target, servable, content, option)
                return answer(result, encode.forecasts(result, request.id))
            case _, "series":
                return await self._next_value(request, target, servable, content)
            case _, "table":
                return await self._table(request, target, servable, content)
            case _, "signal":
                return await self._signal(request, target, servable, content)
        options = request.options(_CLASS_OPTIONS)
        top = encode.top(options.get("top"))
        how = pictures.polarity(options.get("polarity"))
        result = await self.pictures(request, target, servable, content, "predict", how)
        return answer(result, encode.classes(result, request.id, top))

    async def pictures(
        self, request: Request, target: Target, servable: ModelVersion, content: Payload, verb: str, how: Polarity
    ) -> PredictResult:
        """What the model gives for pictures. Raises as :meth:`answer`."""

        async def prepare(servable: ModelVersion) -> ModelCall:
            signature = servable.offer(verb)
            rows = await self._rows(servable, signature, content, how, request)
            call = fitting(servable, signature, {"image": rows.array}, self._limits)
            call.notes = rows.notes
            return call

        return await self._predictor.run(servable, target.wanted, prepare, request)

    async def forecast(
        self, request: Request, target: Target, servable: ModelVersion, content: Payload, horizon: str | None
    ) -> PredictResult:
        """What the model gives for histories; ``horizon`` is for content that does not say it. Raises as
        :meth:`answer`."""

        async def prepare(servable: ModelVersion) -> ModelCall:
            signature = servable.offer("forecast")
            recipe = required(card_of(servable).series, servable)
            histories = series.read(content, recipe, horizon)
            steps = series.check_horizon(histories.horizon, recipe.max_horizon)
            horizons = np.full(len(histories.values), steps, np.int32)
            return fitting(servable, signature, {"history": histories.values, "horizon": horizons}, self._limits)

        return await self._predictor.run(servable, target.wanted, prepare, request)

    async def _embed(self, request: Request, target: Target, servable: ModelVersion, content: Payload) -> Response:
        how = pictures.polarity(request.options(_PICTURE_OPTIONS).get("polarity"))
        result = await self.pictures(request, target, servable, content, "embed", how)
        if NPY in request.header(b"accept"):
            return answer(result, npy.write(encode.finite(result.outputs, "embedding")), NPY.encode("ascii"))
        return answer(result, encode.embeddings(result, request.id))

    async def _neighbours(self, request: Request, target: Target, servable: ModelVersion, content: Payload) -> Response:
        options = request.options(_NEIGHBOUR_OPTIONS)
        how = pictures.polarity(options.get("polarity"))

        async def prepare(servable: ModelVersion) -> ModelCall:
            signature = servable.offer("neighbours")
            recipe = required(card_of(servable).neighbours, servable)
            count = pictures.neighbours(options.get("k"), recipe.max_k)
            rows = await self._rows(servable, signature, content, how, request)
            arrays = {"image": rows.array, "k": np.full(len(rows.array), count, np.int32)}
            call = fitting(servable, signature, arrays, self._limits)
            call.notes = rows.notes
            return call

        result = await self._predictor.run(servable, target.wanted, prepare, request)
        return answer(result, encode.neighbours(result, request.id))

    async def _rows(
        self, servable: ModelVersion, signature: Signature, content: Payload, how: Polarity, request: Request
    ) -> Rows:
        recipe = required(card_of(servable).image, servable)
        return await pictures.rows(
            content,
            signature.inputs["image"],
            recipe,
            how,
            max_pixels=self._limits.pixels,
            max_rows=self._limits.rows,
            size=request.size,
            memory=request.memory,
        )

    async def _next_value(self, request: Request, target: Target, servable: ModelVersion, content: Payload) -> Response:
        request.options(_NO_OPTIONS)

        async def prepare(servable: ModelVersion) -> ModelCall:
            recipe = required(card_of(servable).series, servable)
            histories = series.read(content, recipe, None)
            if histories.horizon not in (None, 1):
                raise BadOption(f":predict gives the next value alone; :forecast gives {histories.horizon}")
            return fitting(servable, servable.offer("predict"), {"history": histories.values}, self._limits)

        result = await self._predictor.run(servable, target.wanted, prepare, request)
        return answer(result, encode.values(result, request.id))

    async def _table(self, request: Request, target: Target, servable: ModelVersion, content: Payload) -> Response:
        request.options(_NO_OPTIONS)

        async def prepare(servable: ModelVersion) -> ModelCall:
            recipe = required(card_of(servable).table, servable)
            arrays = {"features": tables.read(content, recipe)}
            return fitting(servable, servable.offer("predict"), arrays, self._limits)

        result = await self._predictor.run(servable, target.wanted, prepare, request)
        return answer(result, encode.values(result, request.id))

    async def _signal(self, request: Request, target: Target, servable: ModelVersion, content: Payload) -> Response:
        top = encode.top(request.options(_SIGNAL_OPTIONS).get("top"))

        async def prepare(servable: ModelVersion) -> ModelCall:
            recipe = required(card_of(servable).signal, servable)
            arrays = {"signal": signals.read(content, recipe)}
            return fitting(servable, servable.offer("predict"), arrays, self._limits)

        result = await self._predictor.run(servable, target.wanted, prepare, request)
        return answer(result, encode.classes(result, request.id, top))


def answer(result: PredictResult, body: bytes, content_type: bytes = b"application/json") -> Response:
    """An answer that names the version it came from."""
    return by_version(result.servable, body, content_type)


def by_version(servable: ModelVersion, body: bytes, content_type: bytes = b"application/json") -> Response:
    """An answer of this servable."""
    version = str(servable.version)
    return Response(200, body, content_type, [(b"x-model-version", version.encode("ascii"))], version)


def card_of(servable: ModelVersion) -> ModelCard:
    """The card of a servable that offers a native verb.

    Raises:
        BadUpstream: it has none: the version in its place has lost it.
    """
    if servable.card is None:
        raise BadUpstream(f"model {servable.model} version {servable.version} has no model card")
    return servable.card


def required(recipe: Recipe | None, servable: ModelVersion) -> Recipe:
    """What a servable's card says of the kind that the request is for.

    Raises:
        BadUpstream: nothing: the version in place of the one that was asked is of another kind.
    """
    if recipe is None:
        kind = card_of(servable).kind
        raise BadUpstream(f"model {servable.model} version {servable.version} is of another kind, {kind}; ask it anew")
    return recipe
