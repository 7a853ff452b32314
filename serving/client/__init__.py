"""The Python client of the gateway.

    from serving.client import Client

    with Client("http://127.0.0.1:8000", key="vt_…") as client:
        client.predict("fashion_cnn", "shoe.png").predictions[0].label
        client.forecast("sine_rnn", [0.31, 0.58], horizon=12).forecasts[0].mean

:class:`AsyncClient` has the same methods as coroutines. Every failed call raises :class:`VitrineError`.
"""

from serving.client.clients import AsyncClient, Client
from serving.client.encoding import Feedback
from serving.client.errors import VitrineError
from serving.client.responses import (
    Classification,
    Embeddings,
    Explanation,
    FeedbackResult,
    Forecast,
    Forecasts,
    Model,
    Neighbour,
    Neighbours,
    Prediction,
    Values,
    Version,
)

__all__ = [
    "AsyncClient",
    "Classification",
    "Client",
    "Embeddings",
    "Explanation",
    "Feedback",
    "FeedbackResult",
    "Forecast",
    "Forecasts",
    "Model",
    "Neighbour",
    "Neighbours",
    "Prediction",
    "Values",
    "Version",
    "VitrineError",
]
