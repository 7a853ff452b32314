"""Histories to the model's input: the newest values count, as many as the window on the card."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.artifacts.model_card import SeriesRecipe
from serving.gateway.codecs import numbers
from serving.gateway.codecs.base64 import kind
from serving.gateway.codecs.body import ArrayBody, JsonDocument, Payload
from serving.gateway.errors import BadDocument, BadOption, BadTensor, UnsupportedMedia, listed

_FLOAT = np.dtype(np.float32)


@dataclass(frozen=True, slots=True)
class Histories:
    """float32 [N, W], and how many steps ahead are asked for (None: not said)."""

    values: NDArray[Any]
    horizon: int | None


def read(payload: Payload, recipe: SeriesRecipe, horizon_option: str | None) -> Histories:
    """Histories from ``{"history": […] or [[…], …], "horizon": 12}`` or an array [T] or [N, T] with ``?horizon=``.

    Raises:
        BadDocument: other keys. BadOption: a horizon out of range, or said twice. UnsupportedMedia: a picture.
        BadTensor: not numbers, ragged, empty, not finite, or shorter than the window.
    """
    horizon: Any = None if horizon_option is None else _whole(horizon_option)
    match payload:
        case JsonDocument(keys):
            unknown = keys.keys() - {"history", "horizon"}
            if "history" not in keys or unknown:
                raise BadDocument(
                    f'a series in JSON is {{"history": [at least {recipe.window} numbers], "horizon": 12}}; '
                    f"the keys sent are: {listed(keys)}"
                )
            if "horizon" in keys and horizon_option is not None:
                raise BadOption("horizon stands in the query and in the body; one of them is enough")
            horizon = keys.get("horizon", horizon)
            newest = _crop(keys["history"], recipe.window)
            values = numbers.array(newest, _FLOAT, "history")
        case ArrayBody(array):
            values = numbers.as_float32(array[..., -recipe.window :] if array.ndim else array, "history")
        case _:
            raise UnsupportedMedia("a series is expected: application/json or application/x-npy")
    if values.ndim == 1:
        values = values[None]
    if values.ndim != 2:
        raise BadTensor(f"a history is a list of numbers, or a list of such lists, not of {values.ndim} axes")
    if values.shape[1] < recipe.window:
        raise BadTensor(
            f"a history must have at least {recipe.window} values (the model's window), but it has {values.shape[1]}"
        )
    return Histories(values, None if horizon is None else check_horizon(horizon, recipe.max_horizon))


def check_horizon(horizon: Any, most: int) -> int:
    """A horizon of 1 to ``most`` steps.

    Raises:
        BadOption: it is missing, no whole number, or out of range.
    """
    if type(horizon) is int and 1 <= horizon <= most:
        return horizon
    if horizon is None:
        raise BadOption(f"horizon is missing: a whole number of 1 to {most} steps")
    given = kind(horizon) if isinstance(horizon, (list, dict, bool)) else repr(horizon)[:40]
    raise BadOption(f"horizon must be a whole number of 1 to {most} steps, not {given}")


def _whole(text: str) -> int | str:
    return int(text) if text.isascii() and text.removeprefix("-").isdigit() and len(text) < 10 else text


def _crop(history: Any, window: int) -> Any:
    """The newest values of each list, so that a long history costs no more than the window."""
    if isinstance(history, np.ndarray):
        return history[..., -window:]
    if not isinstance(history, list):
        raise BadTensor(f"history must be a list of numbers, or a list of such lists, not {kind(history)}")
    if not history:
        raise BadTensor(f"the history is empty; at least {window} values are expected")
    if isinstance(history[0], (list, np.ndarray)):
        return [row[-window:] if isinstance(row, (list, np.ndarray)) else row for row in history]
    return history[-window:]
