"""The native façade: pictures and series as people have them, answers by label."""

from concurrent.futures import Executor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.card import NeighboursRecipe, SeriesRecipe
from serving.gateway import encode
from serving.gateway.decode import npy, pictures, series
from serving.gateway.decode.payload import NPY, Payload
from serving.gateway.edge import Target
from serving.gateway.http import Answer, Request
from serving.gateway.predict import Call, Predictor, Result
from serving.gateway.servable import Servable
from serving.gateway.signature import Signature
from serving.gateway.validate import check
from serving.images import ImageRecipe, Polarity

_CLASS_OPTIONS = frozenset({"polarity", "top"})
_PICTURE_OPTIONS = frozenset({"polarity"})
_NEIGHBOUR_OPTIONS = frozenset({"polarity", "k"})
_FORECAST_OPTIONS = frozenset({"horizon"})
_NO_OPTIONS: frozenset[str] = frozenset()


class Native:
    """``:predict``, ``:embed``, ``:neighbours`` and ``:forecast`` for models with a card."""

    def __init__(self, predictor: Predictor, *, max_pixels: int, max_rows: int, threads: Executor) -> None:
        self._predictor = predictor
        self._max_pixels = max_pixels
        self._max_rows = max_rows
        self._threads = threads

    async def answer(self, request: Request, target: Target, servable: Servable, content: Payload) -> Answer:
        """The answer to a request that was routed to the servable.

        Raises:
            GatewayError: the model does not offer the verb, the input does not fit, or the model server failed.
        """
        servable.offer(target.verb)
        if target.verb == "forecast":
            return await self._forecast(request, target, servable, content)
        if servable.card is not None and servable.card.kind == "series":
            return await self._next_value(request, target, servable, content)
        if target.verb == "neighbours":
            return await self._neighbours(request, target, servable, content)
        return await self._pictures(request, target, servable, content)

    async def _pictures(self, request: Request, target: Target, servable: Servable, content: Payload) -> Answer:
        embed = target.verb == "embed"
        options = request.options(_PICTURE_OPTIONS if embed else _CLASS_OPTIONS)
        how = pictures.polarity(options.get("polarity"))
        top = encode.top(options.get("top"))

        async def prepare(servable: Servable) -> Call:
            signature = servable.offer(target.verb)
            arrays = {"image": await self._rows(servable, signature, content, how)}
            return Call(signature, arrays, check(signature, arrays, self._max_rows))

        result = await self._predictor.run(servable, target.wanted, prepare, request.deadline)
        if not embed:
            return answer(result, encode.classes(result, request.id, top))
        if NPY in request.header(b"accept"):
            return answer(result, npy.write(encode.finite(result.outputs, "embedding")), NPY.encode("ascii"))
        return answer(result, encode.embeddings(result, request.id))

    async def _neighbours(self, request: Request, target: Target, servable: Servable, content: Payload) -> Answer:
        options = request.options(_NEIGHBOUR_OPTIONS)
        how = pictures.polarity(options.get("polarity"))

        async def prepare(servable: Servable) -> Call:
            signature = servable.offer(target.verb)
            count = pictures.neighbours(options.get("k"), _among(servable).max_k)
            rows = await self._rows(servable, signature, content, how)
            arrays = {"image": rows, "k": np.full(len(rows), count, np.int32)}
            return Call(signature, arrays, check(signature, arrays, self._max_rows))

        result = await self._predictor.run(servable, target.wanted, prepare, request.deadline)
        return answer(result, encode.neighbours(result, request.id, int(result.call.arrays["k"][0])))

    async def _rows(self, servable: Servable, signature: Signature, content: Payload, how: Polarity) -> NDArray[Any]:
        return await pictures.rows(
            content,
            signature.inputs["image"],
            _image(servable),
            how,
            max_pixels=self._max_pixels,
            max_rows=self._max_rows,
            threads=self._threads,
        )

    async def _next_value(self, request: Request, target: Target, servable: Servable, content: Payload) -> Answer:
        request.options(_NO_OPTIONS)

        async def prepare(servable: Servable) -> Call:
            signature = servable.offer(target.verb)
            arrays = {"history": series.read(content, _series(servable), None).values}
            return Call(signature, arrays, check(signature, arrays, self._max_rows))

        result = await self._predictor.run(servable, target.wanted, prepare, request.deadline)
        return answer(result, encode.values(result, request.id))

    async def _forecast(self, request: Request, target: Target, servable: Servable, content: Payload) -> Answer:
        option = request.options(_FORECAST_OPTIONS).get("horizon")

        async def prepare(servable: Servable) -> Call:
            signature = servable.offer(target.verb)
            recipe = _series(servable)
            histories = series.read(content, recipe, option)
            horizon = series.check_horizon(histories.horizon, recipe.max_horizon)
            rows = len(histories.values)
            arrays = {"history": histories.values, "horizon": np.full(rows, horizon, np.int32)}
            return Call(signature, arrays, check(signature, arrays, self._max_rows))

        result = await self._predictor.run(servable, target.wanted, prepare, request.deadline)
        horizon = int(result.call.arrays["horizon"][0])
        return answer(result, encode.forecasts(result, request.id, horizon))


def answer(result: Result, body: bytes, content_type: bytes = b"application/json") -> Answer:
    """An answer that names the version it came from."""
    version = str(result.servable.version)
    headers = [(b"x-model-version", version.encode("ascii"))]
    return Answer(200, body, content_type, headers, version)


def _image(servable: Servable) -> ImageRecipe:
    assert servable.card is not None and servable.card.image is not None  # the verb is offered
    return servable.card.image


def _among(servable: Servable) -> NeighboursRecipe:
    assert servable.card is not None and servable.card.neighbours is not None  # the verb is offered
    return servable.card.neighbours


def _series(servable: Servable) -> SeriesRecipe:
    assert servable.card is not None and servable.card.series is not None  # the verb is offered
    return servable.card.series
