"""The gateway's operations, each described once for both clients.

An operation is a method that builds a :class:`ClientRequest`. ``Client`` sends the request and returns the result;
``AsyncClient`` returns a coroutine that does the same.
"""

import functools
import inspect
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypeVar, get_args, overload

from serving.artifacts import model_card
from serving.artifacts.model_card import ModelCard
from serving.client import responses
from serving.client.encoding import (
    Feedback,
    Histories,
    Picture,
    Pictures,
    Rows,
    Series,
    Time,
    Times,
    feedback_body,
    forecast_body,
    numbers_body,
    pictures_body,
)
from serving.client.requests import NPY, ClientRequest, model_path
from serving.client.responses import (
    Classification,
    Embeddings,
    Explanation,
    FeedbackResult,
    Forecasts,
    Model,
    Neighbours,
    Values,
)

if TYPE_CHECKING:
    from serving.client.clients import AsyncClient, Client

P = ParamSpec("P")
T = TypeVar("T")


class operation(Generic[P, T]):
    """Turn a method that builds a request into a blocking method of Client and a coroutine method of AsyncClient."""

    def __init__(self, build: Callable[Concatenate[Any, P], ClientRequest[T]]) -> None:
        @functools.wraps(build)
        def blocking(client: "Client", *args: P.args, **options: P.kwargs) -> T:
            return client._send(build(client, *args, **options))

        @functools.wraps(build)
        async def awaited(client: "AsyncClient", *args: P.args, **options: P.kwargs) -> T:
            return await client._send_async(build(client, *args, **options))

        signature = inspect.signature(build)
        (result,) = get_args(signature.return_annotation)
        methods: tuple[Any, Any] = (blocking, awaited)
        for method in methods:
            method.__signature__ = signature.replace(return_annotation=result)
        self._blocking, self._awaited = methods

    @overload
    def __get__(self, client: None, owner: type) -> Callable[..., Any]: ...
    @overload
    def __get__(self, client: "Client", owner: type) -> Callable[P, T]: ...
    @overload
    def __get__(self, client: "AsyncClient", owner: type) -> Callable[P, Coroutine[Any, Any, T]]: ...
    def __get__(self, client: Any, owner: type) -> Any:
        """Bind the blocking or the coroutine method."""
        method = self._awaited if hasattr(owner, "_send_async") else self._blocking
        return method.__get__(client, owner)


class Operations:
    """The methods of both clients. They raise :class:`VitrineError`, and nothing else, if a call fails."""

    @operation
    def predict(
        self,
        model: str,
        pictures: Pictures,
        *,
        version: int | None = None,
        label: str | None = None,
        polarity: str | None = None,
        top: int | None = None,
    ) -> ClientRequest[Classification]:
        """Classify pictures.

        Args:
            model: Name of an image model.
            pictures: One picture or several.
            version: Number of the model version. By default the gateway chooses one.
            label: Label of the model version, like ``stable``, instead of its number.
            polarity: ``light_on_dark`` or ``dark_on_light`` drawings. By default (``auto``) the gateway detects it.
            top: Number of probabilities to return for each picture. By default all.
        """
        path = model_path(model, ":predict", version, label)
        return ClientRequest(
            "POST", path, responses.classification, pictures_body(pictures, polarity=polarity, top=top)
        )

    @operation
    def predict_table(
        self, model: str, features: Rows, *, version: int | None = None, label: str | None = None
    ) -> ClientRequest[Values]:
        """Predict a value for each table row. A row maps column names to numbers, or follows the model card's order."""
        path = model_path(model, ":predict", version, label)
        return ClientRequest("POST", path, responses.values, numbers_body("features", features))

    @operation
    def predict_signal(
        self,
        model: str,
        signal: Series,
        *,
        version: int | None = None,
        label: str | None = None,
        top: int | None = None,
    ) -> ClientRequest[Classification]:
        """Classify signals. ``top`` limits the number of probabilities of each."""
        path = model_path(model, ":predict", version, label)
        return ClientRequest(
            "POST", path, responses.classification, numbers_body("signal", signal, params={"top": top})
        )

    @operation
    def embed(
        self,
        model: str,
        pictures: Pictures,
        *,
        version: int | None = None,
        label: str | None = None,
        polarity: str | None = None,
    ) -> ClientRequest[Embeddings]:
        """Compute the embedding of each picture."""
        path = model_path(model, ":embed", version, label)
        body = pictures_body(pictures, polarity=polarity)
        headers = {**body.get("headers", {}), "Accept": NPY}
        return ClientRequest("POST", path, responses.embeddings, {**body, "headers": headers})

    @operation
    def neighbours(
        self,
        model: str,
        pictures: Pictures,
        *,
        k: int | None = None,
        version: int | None = None,
        label: str | None = None,
        polarity: str | None = None,
    ) -> ClientRequest[Neighbours]:
        """Find the ``k`` reference items that are most similar to each picture."""
        path = model_path(model, ":neighbours", version, label)
        return ClientRequest("POST", path, responses.neighbours, pictures_body(pictures, k=k, polarity=polarity))

    @operation
    def explain(
        self,
        model: str,
        picture: Picture,
        *,
        version: int | None = None,
        label: str | None = None,
        polarity: str | None = None,
    ) -> ClientRequest[Explanation]:
        """Compute what the class of a picture depends on. It takes as long as about 100 predictions."""
        path = model_path(model, ":explain", version, label)
        return ClientRequest("POST", path, responses.explanation, pictures_body(picture, polarity=polarity))

    @operation
    def forecast(  # noqa: PLR0913 - the API's options, by keyword
        self,
        model: str,
        history: Histories,
        *,
        horizon: int,
        timestamps: Times | None = None,
        start: Time | Mapping[str, Time] | None = None,
        frequency: str | None = None,
        quantiles: Sequence[float] | None = None,
        naive: bool = False,
        version: int | None = None,
        label: str | None = None,
    ) -> ClientRequest[Forecasts]:
        """Forecast the steps after each history.

        Args:
            model: Name of a series model.
            history: A history, several of the same length, or histories by name. None is a missing value.
            horizon: Number of steps to forecast.
            timestamps: Time of each value, one step apart; by name if the histories differ.
            start: Time of the first value, in place of ``timestamps``.
            frequency: The step (``day``, ``business day``, ``15 minutes``). By default the model card says it.
            quantiles: Levels between 0 and 1, such as ``[0.1, 0.9]``.
            naive: Whether to return the naive forecast too.
            version: Number of the model version. By default the gateway chooses one.
            label: Label of the model version, like ``stable``, instead of its number.
        """
        body = forecast_body(
            history,
            horizon=horizon,
            timestamps=timestamps,
            start=start,
            frequency=frequency,
            quantiles=quantiles,
            naive=naive,
        )
        return ClientRequest("POST", model_path(model, ":forecast", version, label), responses.forecasts, body)

    @operation
    def feedback(self, model: str, *items: Feedback) -> ClientRequest[FeedbackResult]:
        """Report what was true about predictions; the gateway counts it by version. All items count, or none."""
        path = model_path(model, ":feedback", None, None)
        return ClientRequest("POST", path, responses.feedback_result, feedback_body(items))

    @operation
    def models(self) -> ClientRequest[list[Model]]:
        """List the models."""
        return ClientRequest("GET", "/v1/models", responses.models)

    @operation
    def card(self, model: str, *, version: int | None = None, label: str | None = None) -> ClientRequest[ModelCard]:
        """Read the model card of a version."""
        path = model_path(model, "/card", version, label)
        return ClientRequest("GET", path, lambda response: model_card.parse(response.content))
