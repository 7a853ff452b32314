"""What the gateway answers, as values. Each names the model, the version that made it and the request's id."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray

from serving.inputs import npy


@dataclass(frozen=True, slots=True)
class _Answer:
    model: str
    version: int
    request_id: str


@dataclass(frozen=True, slots=True)
class Prediction:
    """The likeliest class, and the probability of each class by label."""

    label: str
    index: int
    probability: float
    probabilities: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Classification(_Answer):
    predictions: Sequence[Prediction]


@dataclass(frozen=True, slots=True)
class Values(_Answer):
    """A number for each row of a table, or the next one of each history."""

    values: Sequence[float]
    unit: str | None


@dataclass(frozen=True, slots=True)
class Embeddings(_Answer):
    vectors: NDArray[np.float32]  # [N, dimensions]


@dataclass(frozen=True, slots=True)
class Neighbour:
    index: int
    label: str
    distance: float


@dataclass(frozen=True, slots=True)
class Neighbours(_Answer):
    """For each picture the most similar items, the most similar first."""

    neighbours: Sequence[Sequence[Neighbour]]


@dataclass(frozen=True, slots=True)
class Forecast:
    """A value for each step ahead; ``lower`` and ``upper`` are None where the model gives no interval."""

    mean: Sequence[float]
    lower: Sequence[float] | None
    upper: Sequence[float] | None


@dataclass(frozen=True, slots=True)
class Forecasts(_Answer):
    """A forecast for each history. ``level`` is the nominal coverage of lower … upper; ``notes`` is what a user of the
    model must know."""

    forecasts: Sequence[Forecast]
    step: str
    unit: str
    level: float | None
    notes: Sequence[str]


@dataclass(frozen=True, slots=True)
class Version:
    version: int
    state: str
    labels: Sequence[str]


@dataclass(frozen=True, slots=True)
class Model:
    """A configured model. ``problem`` is why the model server could not be asked, if it could not."""

    name: str
    kind: str | None
    title: str | None
    default_version: int | None
    verbs: Sequence[str]
    versions: Sequence[Version]
    problem: str | None


def classification(response: httpx.Response) -> Classification:
    body = response.json()
    made = [
        Prediction(one["label"], one["index"], one["probability"], one["probabilities"]) for one in body["predictions"]
    ]
    return Classification(*_head(body), made)


def values(response: httpx.Response) -> Values:
    body = response.json()
    return Values(*_head(body), [one["value"] for one in body["predictions"]], body["unit"])


def embeddings(response: httpx.Response) -> Embeddings:
    """By npy, so that nothing is rounded; its head says where it came from."""
    headers = response.headers
    vectors = np.array(npy.read(response.content))
    if vectors.dtype != np.float32 or vectors.ndim != 2:
        raise ValueError(f"embeddings are float32 [N, dimensions], not {vectors.dtype} {list(vectors.shape)}")
    model = response.request.url.path.rpartition("/models/")[2].partition("/")[0].partition(":")[0]
    return Embeddings(model, int(headers["x-model-version"]), headers["x-request-id"], vectors)


def neighbours(response: httpx.Response) -> Neighbours:
    body = response.json()
    rows = [[Neighbour(one["index"], one["label"], one["distance"]) for one in row] for row in body["neighbours"]]
    return Neighbours(*_head(body), rows)


def forecasts(response: httpx.Response) -> Forecasts:
    body = response.json()
    made = [Forecast(one["mean"], one.get("lower"), one.get("upper")) for one in body["forecasts"]]
    return Forecasts(*_head(body), made, body["step"], body["unit"], body["level"], body["notes"])


def models(response: httpx.Response) -> list[Model]:
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


def _head(body: dict[str, Any]) -> tuple[str, int, str]:
    return body["model"], body["version"], body["request_id"]
