"""``Client`` and ``AsyncClient``, with the same methods.

Each method is a question of ``asking.py`` that ``sending.py`` sends.
"""

from types import TracebackType
from typing import Any, Self, TypeVar

from serving.artifacts.model_card import ModelCard
from serving.client import requests as asking
from serving.client import responses as answers
from serving.client.background import Background
from serving.client.requests import Pictures, Question, Rows, Series
from serving.client.transport import Sender

T = TypeVar("T")

_URL = "http://127.0.0.1:8000"
_MAX_ANSWER_BYTES = 32_000_000


class Client:
    """Asks one gateway. Use it as a context manager, or close it; it may be shared by threads."""

    def __init__(
        self,
        url: str = _URL,
        key: str | None = None,
        timeout: float = 30.0,
        *,
        max_answer_bytes: int = _MAX_ANSWER_BYTES,
        retry: bool = True,
        **options: Any,
    ) -> None:
        """
        Args:
            url: of the gateway.
            key: needed where the gateway asks for one.
            timeout: seconds for a whole call, from connecting to the last byte of the answer, retries included.
            max_answer_bytes: largest answer, after decompression.
            retry: whether a refused (429, 503) or broken request is made again.
            options: httpx.AsyncClient's (``verify``, ``proxy``, …).

        Raises:
            VitrineError: one of them cannot be used.
        """
        self._sender = Sender(url, key, timeout, max_answer_bytes, retry, options)
        self._background = Background()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the connections; a call in another thread fails."""
        self._background.close(self._sender.close())

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
            VitrineError: as every method.
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

    def card(self, model: str, *, version: int | None = None, label: str | None = None) -> ModelCard:
        """Everything that is known of a version."""
        return self._ask(asking.card(asking.path(model, "/card", version, label)))

    def _ask(self, question: Question[T]) -> T:
        return question.answer(self._background.run(self._sender.answer(question)))


class AsyncClient:
    """As :class:`Client`, to be awaited."""

    def __init__(
        self,
        url: str = _URL,
        key: str | None = None,
        timeout: float = 30.0,
        *,
        max_answer_bytes: int = _MAX_ANSWER_BYTES,
        retry: bool = True,
        **options: Any,
    ) -> None:
        """As :class:`Client`."""
        self._sender = Sender(url, key, timeout, max_answer_bytes, retry, options)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._sender.close()

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

    async def card(self, model: str, *, version: int | None = None, label: str | None = None) -> ModelCard:
        """As :meth:`Client.card`."""
        return await self._ask(asking.card(asking.path(model, "/card", version, label)))

    async def _ask(self, question: Question[T]) -> T:
        return question.answer(await self._sender.answer(question))
