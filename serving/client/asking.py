"""What the client asks, as values: where, with what, and how the answer is read. Nothing is sent here."""

import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar
from urllib.parse import quote

import httpx
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from serving import card as cards
from serving.card import Card
from serving.client import answers, errors

T = TypeVar("T")

#: A file, an encoded picture, Pillow's, or uint8 [H, W] or [H, W, C].
Picture = str | Path | bytes | Image.Image | NDArray[np.uint8]
#: One, several, or the model's own input: uint8 [N, H, W, C].
Pictures = Picture | Sequence[Picture]
#: A row by column or in the card's order, several, or an array [F] or [N, F].
Rows = Mapping[str, float] | Sequence[float] | Sequence[Mapping[str, float]] | Sequence[Sequence[float]] | NDArray[Any]
#: One series or several of the same length: numbers, or an array [T] or [N, T].
Series = Sequence[float] | Sequence[Sequence[float]] | NDArray[Any]

_NPY = "application/x-npy"
_NOT_IN_PNG = ("CMYK", "YCbCr", "LAB", "HSV")


@dataclass(frozen=True)
class Question(Generic[T]):
    """One request; ``read`` makes of a good answer what the caller gets."""

    method: str
    path: str
    read: Callable[[httpx.Response], T]
    content: Mapping[str, Any] = field(default_factory=dict)  # httpx' own arguments: content, json, files, …

    def answer(self, response: httpx.Response) -> T:
        """What the caller gets.

        Raises:
            VitrineError: it is no answer of the gateway's.
        """
        try:
            return self.read(response)
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise errors.from_unreadable(response, error) from error


def path(model: str, verb: str, version: int | None, label: str | None) -> str:
    """Where a model is asked.

    Raises:
        ValueError: both a version and a label.
    """
    if version is not None and label is not None:
        raise ValueError("a request names a version or a label, not both")
    chosen = f"/versions/{version}" if version is not None else f"/labels/{quote(label, '')}" if label else ""
    return f"/v1/models/{quote(model, '')}{chosen}{verb}"


def predict(where: str, pictures: Pictures, polarity: str | None, top: int | None) -> Question[answers.Classification]:
    return Question("POST", where, answers.classification, _pictures(pictures, polarity=polarity, top=top))


def predict_table(where: str, features: Rows) -> Question[answers.Values]:
    return Question("POST", where, answers.values, _numbers("features", features))


def predict_signal(where: str, signal: Series, top: int | None) -> Question[answers.Classification]:
    return Question("POST", where, answers.classification, _numbers("signal", signal, top=top))


def embed(where: str, pictures: Pictures, polarity: str | None) -> Question[answers.Embeddings]:
    content = _pictures(pictures, polarity=polarity)
    headers = {**content.get("headers", {}), "Accept": _NPY}
    return Question("POST", where, answers.embeddings, {**content, "headers": headers})


def neighbours(where: str, pictures: Pictures, k: int | None, polarity: str | None) -> Question[answers.Neighbours]:
    return Question("POST", where, answers.neighbours, _pictures(pictures, k=k, polarity=polarity))


def forecast(where: str, history: Series, horizon: int) -> Question[answers.Forecasts]:
    return Question("POST", where, answers.forecasts, _numbers("history", history, horizon=horizon))


def models() -> Question[list[answers.Model]]:
    return Question("GET", "/v1/models", answers.models)


def card(where: str) -> Question[Card]:
    return Question("GET", where, lambda response: cards.parse(response.content))


def _pictures(pictures: Pictures, **options: Any) -> dict[str, Any]:
    params = _said(options)
    if isinstance(pictures, np.ndarray) and pictures.ndim == 4:
        return {"params": params, **_array(pictures)}
    if not isinstance(pictures, (list, tuple)):
        return {
            "params": params,
            "content": encoded(pictures),  # type: ignore[arg-type]
            "headers": {"Content-Type": "application/octet-stream"},
        }
    if not pictures:
        raise ValueError("at least one picture is needed")
    return {"params": params, "files": [("image", (str(n), encoded(one))) for n, one in enumerate(pictures)]}


def encoded(picture: Picture) -> bytes:
    """A picture as a file's bytes; one that is none yet becomes PNG, upright, which loses nothing else.

    Raises:
        OSError: a file cannot be read. TypeError, ValueError: not a picture, or an array of another type or rank.
    """
    if isinstance(picture, bytes):
        return picture
    if isinstance(picture, (str, Path)):
        return Path(picture).read_bytes()
    if isinstance(picture, np.ndarray):
        if picture.dtype != np.uint8 or picture.ndim not in (2, 3):
            raise ValueError(
                f"a picture is uint8 [H, W] or [H, W, C], several are [N, H, W, C]; "
                f"not {picture.dtype} {list(picture.shape)}"
            )
        picture = Image.fromarray(picture[..., 0] if picture.shape[2:] == (1,) else picture)
    if not isinstance(picture, Image.Image):
        raise TypeError(f"a picture is a path, bytes, Pillow's or an array, not {type(picture).__name__}")
    picture = ImageOps.exif_transpose(picture)  # PNG would be written without what says that a photo lies on its side
    if picture.mode in _NOT_IN_PNG:
        picture = picture.convert("RGB")
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    return stream.getvalue()


def _numbers(key: str, numbers: Rows | Series, **options: Any) -> dict[str, Any]:
    if isinstance(numbers, np.ndarray):
        return {"params": _said(options), **_array(numbers)}
    in_body = {name: value for name, value in _said(options).items() if name == "horizon"}
    params = {name: value for name, value in _said(options).items() if name != "horizon"}
    content = json.dumps({key: numbers, **in_body}, default=_plain, allow_nan=False)
    return {"params": params, "content": content, "headers": {"Content-Type": "application/json"}}


def _plain(value: Any) -> Any:
    """What JSON does not know: NumPy's numbers and arrays, which may stand in lists, a range, and their like."""
    return value.tolist() if hasattr(value, "tolist") else list(value)


def _array(array: NDArray[Any]) -> dict[str, Any]:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=False)
    return {"content": stream.getvalue(), "headers": {"Content-Type": _NPY}}


def _said(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}
