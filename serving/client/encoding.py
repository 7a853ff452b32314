"""Encode pictures and numbers as request bodies."""

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from serving.client.errors import VitrineError
from serving.client.requests import NPY
from serving.preprocessing.picture_files import orientation

#: A path, an encoded picture, a Pillow image, or a uint8 array [H, W] or [H, W, C].
Picture = str | Path | bytes | Image.Image | NDArray[np.uint8]
#: One picture, several, or the model's own input: uint8 [N, H, W, C].
Pictures = Picture | Sequence[Picture]
#: A row by column name or in the card's order, several rows, or an array [F] or [N, F].
Rows = Mapping[str, float] | Sequence[float] | Sequence[Mapping[str, float]] | Sequence[Sequence[float]] | NDArray[Any]
#: One series or several of the same length: numbers, or an array [T] or [N, T].
Series = Sequence[float] | Sequence[Sequence[float]] | NDArray[Any]
#: A history or several of the same length, or histories by name. None is a missing value.
Histories = (
    Sequence[float | None] | Sequence[Sequence[float | None]] | Mapping[str, Sequence[float | None]] | NDArray[Any]
)
#: ISO 8601, a datetime or date, or a NumPy or pandas time.
Time = str | date | np.datetime64
#: The time of each value: for all histories, or by the name of the history.
Times = Sequence[Time] | Mapping[str, Sequence[Time]] | NDArray[np.datetime64]

#: Modes that PNG lacks, and the mode that keeps every value that the gateway reads.
_PNG_MODES = {
    "RGBX": "RGB", "CMYK": "RGB", "YCbCr": "RGB", "HSV": "RGB", "PA": "RGBA", "RGBa": "RGBA", "La": "LA",
    "I;16L": "I", "I;16N": "I", "I;16B": "I",
}  # fmt: skip


def pictures_body(pictures: Pictures, **params: Any) -> dict[str, Any]:
    """Encode pictures as httpx arguments: one as it is, several as multipart, an array [N, H, W, C] as npy.

    Raises:
        VitrineError: A picture cannot be read or sent, or none is given.
    """
    query = _without_none(params)
    if isinstance(pictures, np.ndarray) and pictures.ndim == 4:
        return {"params": query, **_npy_body(pictures)}
    if not isinstance(pictures, (list, tuple)):
        return {
            "params": query,
            "content": encode_picture(pictures),  # type: ignore[arg-type]
            "headers": {"Content-Type": "application/octet-stream"},
        }
    if not pictures:
        raise VitrineError("the list of pictures is empty; at least one is required", "bad_picture")
    return {"params": query, "files": [("image", (str(n), encode_picture(one))) for n, one in enumerate(pictures)]}


def numbers_body(key: str, numbers: Any, *, params: Mapping[str, Any] | None = None, **options: Any) -> dict[str, Any]:
    """Encode numbers as httpx arguments: an array as npy, everything else as JSON.

    Args:
        key: JSON key of the numbers.
        numbers: Finite numbers: rows, series, or named series.
        params: Query parameters; None values are left out.
        options: Further JSON keys. An npy body has no keys, so they become query parameters beside it.

    Raises:
        VitrineError: The numbers are not finite, or not numbers.
    """
    query = _without_none(params or {})
    if isinstance(numbers, np.ndarray):
        return {"params": query | _without_none(options), **_npy_body(numbers)}
    try:
        content = json.dumps({key: numbers, **_without_none(options)}, default=_to_json, allow_nan=False)
    except Exception as error:  # a sequence of any type can raise anything
        raise VitrineError(f"{key} cannot be sent: {error}; finite numbers are expected", "invalid_input") from error
    return {"params": query, "content": content, "headers": {"Content-Type": "application/json"}}


def forecast_body(
    history: Histories,
    *,
    horizon: int,
    timestamps: Times | None,
    start: Time | Mapping[str, Time] | None,
    frequency: str | None,
    quantiles: Sequence[float] | None,
    naive: bool,
) -> dict[str, Any]:
    """Encode a request for forecasts as httpx arguments. An array without options goes as npy.

    Raises:
        VitrineError: The numbers are not finite, or not numbers, or a time is missing for a name.
    """
    options = _without_none({"horizon": horizon, "quantiles": quantiles, "naive": naive or None})
    times: Mapping[str, Any] = _without_none({"timestamps": timestamps, "start": start, "frequency": frequency})
    if isinstance(history, Mapping):
        series = [
            {"name": name, "history": values} | {key: _time_text(_of(name, key, time)) for key, time in times.items()}
            for name, values in history.items()
        ]
        return numbers_body("series", series, **options)
    if isinstance(history, np.ndarray) and (times or len(options) > 1):
        history = history.tolist()
    return numbers_body("history", history, **options, **{key: _time_text(time) for key, time in times.items()})


@dataclass(frozen=True, slots=True)
class Feedback:
    """What was true about one prediction.

    Attributes:
        version: The version that predicted.
        prediction: The predicted class, by label or index; or a value, or the values of a forecast.
        label: The true label or value, in the form of the prediction.
        request_id: Of the result that predicted; the gateway counts repeated feedback on it once.
        row: Row of that result.
    """

    version: int
    prediction: str | float | Sequence[float]
    label: str | float | Sequence[float]
    request_id: str | None = None
    row: int = 0


def feedback_body(items: Sequence[Feedback]) -> dict[str, Any]:
    """Encode feedback as httpx arguments.

    Raises:
        VitrineError: A value cannot be sent.
    """
    return numbers_body("feedback", [_without_none(asdict(item)) for item in items])


def _of(name: str, key: str, time: Any) -> Any:
    """Return the times of one series: those under its name, or those of all."""
    if not isinstance(time, Mapping):
        return time
    if name not in time:
        raise VitrineError(f"{key} has no entry for the history {name!r}; give one for each", "invalid_input")
    return time[name]


def _time_text(time: Any) -> Any:
    """Return a time, or each of several, as text in ISO 8601."""
    if isinstance(time, str):
        return time
    if hasattr(time, "isoformat"):
        return time.isoformat()
    if isinstance(time, np.datetime64):
        return str(time)
    try:
        return [_time_text(one) for one in time]
    except TypeError:
        raise VitrineError(f"{time!r:.40} is not a time; ISO 8601 or a datetime is expected", "invalid_input") from None


def encode_picture(picture: Picture) -> bytes:
    """Encode a picture as file content. Decoded pictures become upright, lossless PNG.

    Raises:
        VitrineError: The file cannot be read, or the picture has a type, mode or rank that cannot be sent.
    """
    if isinstance(picture, bytes):
        return picture
    try:
        if isinstance(picture, (str, Path)):
            return _read_file(Path(picture))
        return _png(picture)
    except VitrineError:
        raise
    except Exception as error:  # Pillow opens files lazily, and its readers raise almost anything
        name = f"picture {picture}" if isinstance(picture, (str, Path)) else "the picture"
        raise VitrineError(f"{name} cannot be read: {error or type(error).__name__}", "bad_picture") from error


def _read_file(path: Path) -> bytes:
    if path.exists() and not path.is_file():
        raise VitrineError(f"picture {path} cannot be read: it is not a regular file", "bad_picture")
    return path.read_bytes()


def _png(picture: Image.Image | NDArray[np.uint8]) -> bytes:
    if isinstance(picture, np.ndarray):
        if picture.dtype != np.uint8 or picture.ndim not in (2, 3):
            found = f"the picture is {picture.dtype} {list(picture.shape)}"
            raise VitrineError(f"{found}; uint8 [H, W], [H, W, C] or [N, H, W, C] is expected", "bad_picture")
        picture = Image.fromarray(picture[..., 0] if picture.shape[2:] == (1,) else picture)
    if not isinstance(picture, Image.Image):
        found = f"the picture is of type {type(picture).__name__}"
        raise VitrineError(f"{found}; a path, bytes, a Pillow image or an array is expected", "bad_picture")
    picture.load()
    upright = orientation.upright(picture, _orientation(picture))
    converted = upright.convert(_PNG_MODES[upright.mode]) if upright.mode in _PNG_MODES else upright
    if converted.mode in ("F", "LAB"):
        raise VitrineError(f"pictures of mode {converted.mode} cannot be sent; convert to L or RGB", "bad_picture")
    if converted.mode == "I":
        values = np.asarray(converted)
        if values.min() < 0 or values.max() >= 2**16:
            found = f"the picture of mode I has values from {values.min()} to {values.max()}"
            raise VitrineError(f"{found}; 0 to 65535 is expected", "bad_picture")
        converted = converted.convert("I;16")
    stream = io.BytesIO()
    converted.save(stream, "PNG")
    return stream.getvalue()


def _orientation(picture: Image.Image) -> Any:
    """Read the EXIF orientation, which the PNG does not keep. Damaged EXIF data counts as none."""
    try:
        return picture.getexif().get(0x0112)
    except Exception:
        return None


def _to_json(value: Any) -> Any:
    """Convert NumPy numbers and arrays, ranges and other iterables that JSON lacks."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        raise TypeError("bytes are not numbers")
    return value.tolist() if hasattr(value, "tolist") else list(value)


def _npy_body(array: NDArray[Any]) -> dict[str, Any]:
    if array.dtype.kind in "fc" and not np.isfinite(array).all():
        raise VitrineError("the array holds NaN or infinity; finite numbers are expected", "invalid_input")
    stream = io.BytesIO()
    try:
        np.save(stream, array, allow_pickle=False)
    except ValueError as error:
        raise VitrineError(f"the array cannot be sent: {error}", "invalid_input") from error
    return {"content": stream.getvalue(), "headers": {"Content-Type": NPY}}


def _without_none(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}
