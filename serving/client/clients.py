"""``Client`` and ``AsyncClient``: the same methods, each a question of ``asking.py`` that is sent within a time.

A refused (429, 503) or broken request is made again, with a pause and within the same time (``retries.py``). The
gateway is told by X-Request-Timeout how long an answer is of use, so that nothing is computed for nobody.
"""

import asyncio
import time
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from serving.card import Card
from serving.client import answers, asking, errors, retries
from serving.client.asking import Pictures, Question, Rows, Series

T = TypeVar("T")

_URL = "http://127.0.0.1:8000"


class Client:
    """Asks one gateway. Use it as a context manager, or close it; it may be shared by threads."""

    def __init__(self, url: str = _URL, key: str | None = None, timeout: float = 30.0, **options: Any) -> None:
        """``key`` is needed where the gateway asks for one; ``timeout`` is for a whole call in seconds, retries
        included, but an answer that has begun may go on for longer; ``options`` are httpx.Client's (``verify``,
        ``proxy``, …)."""
        self._url = url
        self._timeout = timeout
        self._http = httpx.Client(base_url=url, headers=_headers(key), **options)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def predict(
        self,
        model: str,
        pictures: Pictures,
        *,
        version: int | None = None,
        label: str | None = None,
        polarity: str | None = None,
        top: int | None = None,
    ) -> answers.Classification:
        """The classes of pictures; with ``top`` only so many probabilities of each.

        Raises:
            VitrineError: as every method. OSError, TypeError, ValueError: what is sent is no picture.
        """
        where = asking.path(model, ":predict", version, label)
        return self._ask(asking.predict(where, pictures, polarity, top))

    def predict_table(
        self, model: str, features: Rows, *, version: int | None = None, label: str | None = None
    ) -> answers.Values:
        """The value of each table row, which is a mapping by column or in the model card's order."""
        return self._ask(asking.predict_table(asking.path(model, ":predict", version, label), features))

    def predict_signal(
        self,
        model: str,
        signal: Series,
        *,
        version: int | None = None,
        label: str | None = None,
        top: int | None = None,
    ) -> answers.Classification:
        """The classes of signals."""
        return self._ask(asking.predict_signal(asking.path(model, ":predict", version, label), signal, top))

    def embed(
        self,
        model: str,
        pictures: Pictures,
        *,
        version: int | None = None,
        label: str | None = None,
        polarity: str | None = None,
    ) -> answers.Embeddings:
        """A vector for each picture."""
        return self._ask(asking.embed(asking.path(model, ":embed", version, label), pictures, polarity))

    def neighbours(
        self,
        model: str,
        pictures: Pictures,
        *,
        k: int | None = None,
        version: int | None = None,
        label: str | None = None,
        polarity: str | None = None,
    ) -> answers.Neighbours:
        """The ``k`` items most similar to each picture."""
        return self._ask(asking.neighbours(asking.path(model, ":neighbours", version, label), pictures, k, polarity))

    def forecast(
        self, model: str, history: Series, *, horizon: int, version: int | None = None, label: str | None = None
    ) -> answers.Forecasts:
        """How each history goes on for ``horizon`` steps."""
        return self._ask(asking.forecast(asking.path(model, ":forecast", version, label), history, horizon))

    def models(self) -> list[answers.Model]:
        """Which models there are."""
        return self._ask(asking.models())

    def card(self, model: str, *, version: int | None = None, label: str | None = None) -> Card:
        """Everything that is known of a version."""
        return self._ask(asking.card(asking.path(model, "/card", version, label)))

    def _ask(self, question: Question[T]) -> T:
        tries = _Tries(self._url, self._timeout)
        while True:
            request = self._http.build_request(question.method, question.path, **tries.arguments(question))
            try:
                response = self._http.send(request)
            except httpx.HTTPError as error:
                time.sleep(tries.after_failure(error))
                continue
            if response.is_success:
                return question.answer(response)
            time.sleep(tries.after_refusal(response))


class AsyncClient:
    """As :class:`Client`, to be awaited."""

    def __init__(self, url: str = _URL, key: str | None = None, timeout: float = 30.0, **options: Any) -> None:
        """As :class:`Client`; ``options`` are httpx.AsyncClient's."""
        self._url = url
        self._timeout = timeout
        self._http = httpx.AsyncClient(base_url=url, headers=_headers(key), **options)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._http.aclose()

    async def predict(
        self,
        model: str,
        pictures: Pictures,
        *,
        version: int | None = None,
        label: str | None = None,
        polarity: str | None = None,
        top: int | None = None,
    ) -> answers.Classification:
        """As :meth:`Client.predict`."""
        where = asking.path(model, ":predict", version, label)
        return await self._ask(asking.predict(where, pictures, polarity, top))

    async def predict_table(
        self, model: str, features: Rows, *, version: int | None = None, label: str | None = None
    ) -> answers.Values:
        """As :meth:`Client.predict_table`."""
        return await self._ask(asking.predict_table(asking.path(model, ":predict", version, label), features))

    async def predict_signal(
        self,
        model: str,
        signal: Series,
        *,
        version: int | None = None,
        label: str | None = None,
        top: int | None = None,
    ) -> answers.Classification:
        """As :meth:`Client.predict_signal`."""
        return await self._ask(asking.predict_signal(asking.path(model, ":predict", version, label), signal, top))

    async def embed(
        self,
        model: str,
        pictures: Pictures,
        *,
        version: int | None = None,
        label: str | None = None,
        polarity: str | None = None,
    ) -> answers.Embeddings:
        """As :meth:`Client.embed`."""
        return await self._ask(asking.embed(asking.path(model, ":embed", version, label), pictures, polarity))

    async def neighbours(
        self,
        model: str,
        pictures: Pictures,
        *,
        k: int | None = None,
        version: int | None = None,
        label: str | None = None,
        polarity: str | None = None,
    ) -> answers.Neighbours:
        """As :meth:`Client.neighbours`."""
        where = asking.path(model, ":neighbours", version, label)
        return await self._ask(asking.neighbours(where, pictures, k, polarity))

    async def forecast(
        self, model: str, history: Series, *, horizon: int, version: int | None = None, label: str | None = None
    ) -> answers.Forecasts:
        """As :meth:`Client.forecast`."""
        return await self._ask(asking.forecast(asking.path(model, ":forecast", version, label), history, horizon))

    async def models(self) -> list[answers.Model]:
        """As :meth:`Client.models`."""
        return await self._ask(asking.models())

    async def card(self, model: str, *, version: int | None = None, label: str | None = None) -> Card:
        """As :meth:`Client.card`."""
        return await self._ask(asking.card(asking.path(model, "/card", version, label)))

    async def _ask(self, question: Question[T]) -> T:
        tries = _Tries(self._url, self._timeout)
        while True:
            request = self._http.build_request(question.method, question.path, **tries.arguments(question))
            try:
                response = await self._http.send(request)
            except httpx.HTTPError as error:
                await asyncio.sleep(tries.after_failure(error))
                continue
            if response.is_success:
                return question.answer(response)
            await asyncio.sleep(tries.after_refusal(response))


class _Tries:
    """The tries of one call, until its time is over."""

    def __init__(self, url: str, timeout: float) -> None:
        self._url = url
        self._until = time.monotonic() + timeout
        self._made = 0

    @property
    def _left(self) -> float:
        return max(self._until - time.monotonic(), 0.001)

    def arguments(self, question: Question[Any]) -> dict[str, Any]:
        """httpx' arguments for the next try."""
        self._made += 1
        left = self._left
        headers = {**question.content.get("headers", {}), "X-Request-Timeout": f"{left:.3f}"}
        return {**question.content, "headers": headers, "timeout": left}

    def after_failure(self, error: httpx.HTTPError) -> float:
        """Seconds until the next try where there was no answer.

        Raises:
            VitrineError: there is to be none.
        """
        wait = retries.pause(self._made, None, self._left) if isinstance(error, retries.PASSING) else None
        if wait is None:
            raise errors.from_failure(error, self._url) from error
        return wait

    def after_refusal(self, response: httpx.Response) -> float:
        """Seconds until the next try after an answer that is no success. Raises as :meth:`after_failure`."""
        wait = None
        if response.status_code in retries.STATUSES:
            wait = retries.pause(self._made, response.headers.get("retry-after"), self._left)
        if wait is None:
            raise errors.from_response(response)
        return wait


def _headers(key: str | None) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"} if key else {}
