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
from PIL import Image

from serving.artifacts import model_card as cards
from serving.artifacts.model_card import ModelCard
from serving.client import errors
from serving.client import responses as answers
from serving.client.errors import VitrineError
from serving.preprocessing.picture_files import orientation

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
#: Modes that PNG does not have, and those that lose nothing of what the gateway would see.
_AS_PNG = {
    "RGBX": "RGB", "CMYK": "RGB", "YCbCr": "RGB", "HSV": "RGB", "PA": "RGBA", "RGBa": "RGBA", "La": "LA",
    "I;16L": "I", "I;16N": "I", "I;16B": "I",
}  # fmt: skip


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
        except Exception as error:  # a server's answer can be anything
            raise errors.from_unreadable(response, error) from error


def path(model: str, verb: str, version: int | None, label: str | None) -> str:
    """Where a model is asked.

    Raises:
        VitrineError: both a version and a label, or what is no name.
    """
    if version is not None and label is not None:
        raise VitrineError("a request names a version or a label, not both", "bad_option")
    try:
        name, chosen = quote(model, ""), ""
        if version is not None:
            chosen = f"/versions/{quote(str(version), '')}"
        elif label:
            chosen = f"/labels/{quote(label, '')}"
    except (TypeError, UnicodeError) as error:
        raise VitrineError(f"model and label must be names: {error}", "bad_option") from error
    return f"/v1/models/{name}{chosen}{verb}"


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


def card(where: str) -> Question[ModelCard]:
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
        raise VitrineError("at least one picture is needed", "bad_picture")
    return {"params": params, "files": [("image", (str(n), encoded(one))) for n, one in enumerate(pictures)]}


def encoded(picture: Picture) -> bytes:
    """A picture as a file's bytes; one that is none yet becomes PNG, upright, which loses nothing else.

    Raises:
        VitrineError: a file cannot be read, or this is no picture, or one of a mode, type or rank that is not sent.
    """
    if isinstance(picture, bytes):
        return picture
    try:
        if isinstance(picture, (str, Path)):
            return _content(Path(picture))
        return _png(picture)
    except VitrineError:
        raise
    except Exception as error:  # a lazy picture is read only now, and Pillow's readers raise almost anything
        name = f"the picture {picture}" if isinstance(picture, (str, Path)) else "the picture"
        raise VitrineError(f"{name} cannot be read: {error or type(error).__name__}", "bad_picture") from error


def _content(path: Path) -> bytes:
    if path.exists() and not path.is_file():
        raise VitrineError(f"the picture {path} cannot be read: it is no file", "bad_picture")
    return path.read_bytes()


def _png(picture: Image.Image | NDArray[np.uint8]) -> bytes:
    if isinstance(picture, np.ndarray):
        if picture.dtype != np.uint8 or picture.ndim not in (2, 3):
            text = "a picture is uint8 [H, W] or [H, W, C], several are [N, H, W, C]"
            raise VitrineError(f"{text}; not {picture.dtype} {list(picture.shape)}", "bad_picture")
        picture = Image.fromarray(picture[..., 0] if picture.shape[2:] == (1,) else picture)
    if not isinstance(picture, Image.Image):
        text = f"a picture is a path, bytes, Pillow's or an array, not {type(picture).__name__}"
        raise VitrineError(text, "bad_picture")
    picture.load()
    upright = orientation.upright(picture, _orientation(picture))
    sent = upright.convert(_AS_PNG[upright.mode]) if upright.mode in _AS_PNG else upright
    if sent.mode in ("F", "LAB"):
        text = f"a picture of mode {sent.mode} is not sent: convert it to L or RGB first"
        raise VitrineError(text, "bad_picture")
    if sent.mode == "I":
        values = np.asarray(sent)
        if values.min() < 0 or values.max() >= 2**16:
            text = f"a picture of mode I has values from 0 to 65535, not from {values.min()} to {values.max()}"
            raise VitrineError(text, "bad_picture")
        sent = sent.convert("I;16")
    stream = io.BytesIO()
    sent.save(stream, "PNG")
    return stream.getvalue()


def _orientation(picture: Image.Image) -> Any:
    """Of its EXIF data, which PNG is written without; damaged data says nothing."""
    try:
        return picture.getexif().get(0x0112)
    except Exception:
        return None


def _numbers(key: str, numbers: Rows | Series, **options: Any) -> dict[str, Any]:
    if isinstance(numbers, np.ndarray):
        return {"params": _said(options), **_array(numbers)}
    in_body = {name: value for name, value in _said(options).items() if name == "horizon"}
    params = {name: value for name, value in _said(options).items() if name != "horizon"}
    try:
        content = json.dumps({key: numbers, **in_body}, default=_plain, allow_nan=False)
    except Exception as error:  # of whatever the sequence is
        text = f"the {key} cannot be sent: {error}; finite numbers are expected"
        raise VitrineError(text, "invalid_input") from error
    return {"params": params, "content": content, "headers": {"Content-Type": "application/json"}}


def _plain(value: Any) -> Any:
    """What JSON does not know: NumPy's numbers and arrays, which may stand in lists, a range, and their like."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        raise TypeError("bytes are not numbers")
    return value.tolist() if hasattr(value, "tolist") else list(value)


def _array(array: NDArray[Any]) -> dict[str, Any]:
    if array.dtype.kind in "fc" and not np.isfinite(array).all():
        raise VitrineError("the array cannot be sent: it holds NaN or infinity", "invalid_input")
    stream = io.BytesIO()
    try:
        np.save(stream, array, allow_pickle=False)
    except ValueError as error:
        raise VitrineError(f"the array cannot be sent: {error}", "invalid_input") from error
    return {"content": stream.getvalue(), "headers": {"Content-Type": _NPY}}


def _said(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}
