"""The results of calls, and how to read them from responses."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray

from serving.inputs import npy


@dataclass(frozen=True, slots=True)
class _Result:
    """Common fields: the model, the version that computed the result, and the request's id."""

    model: str
    version: int
    request_id: str


@dataclass(frozen=True, slots=True)
class Prediction:
    """The most probable class, and the probability of each class by label.

    ``typicality`` says how like the training data the input is, if the version gives it; ``warning`` is a sentence
    about an input that is unlike it.
    """

    label: str
    index: int
    probability: float
    probabilities: Mapping[str, float]
    typicality: float | None = None
    warning: str | None = None


@dataclass(frozen=True, slots=True)
class Classification(_Result):
    """A prediction for each picture or signal."""

    predictions: Sequence[Prediction]


@dataclass(frozen=True, slots=True)
class Values(_Result):
    """A number for each table row, or the next value of each history."""

    values: Sequence[float]
    unit: str | None


@dataclass(frozen=True, slots=True)
class FeedbackResult:
    """How many items of feedback were counted, and how many had been counted before."""

    model: str
    counted: int
    duplicates: int


@dataclass(frozen=True, slots=True)
class Embeddings(_Result):
    """An embedding for each picture."""

    vectors: NDArray[np.float32]  # [N, dimensions]


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A reference item and its distance from the picture."""

    index: int
    label: str
    distance: float


@dataclass(frozen=True, slots=True)
class Neighbours(_Result):
    """The most similar reference items of each picture, nearest first."""

    neighbours: Sequence[Sequence[Neighbour]]


@dataclass(frozen=True, slots=True)
class Explanation(_Result):
    """The class of a picture, and how much it depends on each pixel of the picture as the model reads it."""

    label: str
    probability: float
    heatmap: NDArray[np.float32]  # [height, width]; the larger, the more important
    typicality: float | None = None
    warning: str | None = None


@dataclass(frozen=True, slots=True)
class Forecast:
    """A value for each step ahead. ``lower`` and ``upper`` are None if the model has no interval.

    ``name``, ``timestamps`` (ISO 8601), ``quantiles`` by level and ``naive`` are there if the request asks for them.
    ``naive_season`` is the number of steps after which the naive forecast repeats the history; ``interpolated`` the
    number of missing values that the gateway filled.
    """

    mean: Sequence[float]
    lower: Sequence[float] | None
    upper: Sequence[float] | None
    name: str | None = None
    timestamps: Sequence[str] | None = None
    quantiles: Mapping[float, Sequence[float]] = field(default_factory=dict)
    naive: Sequence[float] | None = None
    naive_season: int | None = None
    interpolated: int = 0
    typicality: float | None = None
    warning: str | None = None


@dataclass(frozen=True, slots=True)
class Forecasts(_Result):
    """A forecast for each history.

    ``level`` is the nominal coverage of the interval. ``notes`` are the model's warnings to its users. ``error`` is the
    mean absolute error on the model's test data, and ``hurdles`` are those of simple forecasts, by name.
    """

    forecasts: Sequence[Forecast]
    step: str
    unit: str
    level: float | None
    notes: Sequence[str]
    error: float | None = None
    hurdles: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Version:
    """A model version, its state in the model server and its labels."""

    version: int
    state: str
    labels: Sequence[str]


@dataclass(frozen=True, slots=True)
class Model:
    """A configured model. ``problem`` says why the model server did not describe it, or is None."""

    name: str
    kind: str | None
    title: str | None
    default_version: int | None
    verbs: Sequence[str]
    versions: Sequence[Version]
    problem: str | None


def classification(response: httpx.Response) -> Classification:
    """Read the response of ``:predict`` for pictures and signals."""
    body = response.json()
    made = [
        Prediction(one["label"], one["index"], one["probability"], one["probabilities"], **_typicality(one))
        for one in body["predictions"]
    ]
    return Classification(*_source(body), made)


def values(response: httpx.Response) -> Values:
    """Read the response of ``:predict`` for tables and series."""
    body = response.json()
    return Values(*_source(body), [one["value"] for one in body["predictions"]], body["unit"])


def embeddings(response: httpx.Response) -> Embeddings:
    """Read the npy response of ``:embed``. The headers hold the version and the request id."""
    headers = response.headers
    vectors = np.array(npy.read(response.content))
    if vectors.dtype != np.float32 or vectors.ndim != 2:
        raise ValueError(f"embeddings are {vectors.dtype} {list(vectors.shape)}; float32 [N, dimensions] is expected")
    model = response.request.url.path.rpartition("/models/")[2].partition("/")[0].partition(":")[0]
    return Embeddings(model, int(headers["x-model-version"]), headers["x-request-id"], vectors)


def neighbours(response: httpx.Response) -> Neighbours:
    """Read the response of ``:neighbours``."""
    body = response.json()
    rows = [[Neighbour(one["index"], one["label"], one["distance"]) for one in row] for row in body["neighbours"]]
    return Neighbours(*_source(body), rows)


def explanation(response: httpx.Response) -> Explanation:
    """Read the response of ``:explain``."""
    body = response.json()
    heatmap = np.asarray(body["heatmap"], np.float32)
    return Explanation(*_source(body), body["class"], body["probability"], heatmap, **_typicality(body))


def _forecast(one: Mapping[str, Any]) -> Forecast:
    naive = one.get("naive") or {}
    return Forecast(
        one["mean"],
        one.get("lower"),
        one.get("upper"),
        name=one.get("name"),
        timestamps=one.get("timestamps"),
        quantiles={float(level): values for level, values in one.get("quantiles", {}).items()},
        naive=naive.get("mean"),
        naive_season=naive.get("season"),
        interpolated=one.get("interpolated", 0),
        **_typicality(one),
    )


def forecasts(response: httpx.Response) -> Forecasts:
    """Read the response of ``:forecast``."""
    body = response.json()
    made = [_forecast(one) for one in body["forecasts"]]
    known = (body["step"], body["unit"], body["level"], body["notes"])
    return Forecasts(*_source(body), made, *known, body.get("error"), body.get("hurdles", {}))


def models(response: httpx.Response) -> list[Model]:
    """Read the list of models."""
    return [
        Model(
            one["name"],
            one["kind"],
            one["title"],
            one["default_version"],
            one["verbs"],
            [Version(version["version"], version["state"], version["labels"]) for version in one["versions"]],
            one["problem"],
        )
        for one in response.json()["models"]
    ]


def feedback_result(response: httpx.Response) -> FeedbackResult:
    """Read the response of ``:feedback``."""
    body = response.json()
    return FeedbackResult(body["model"], body["counted"], body["duplicates"])


def _typicality(body: Mapping[str, Any]) -> dict[str, Any]:
    return {name: body.get(name) for name in ("typicality", "warning")}


def _source(body: dict[str, Any]) -> tuple[str, int, str]:
    return body["model"], body["version"], body["request_id"]
