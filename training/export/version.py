"""Write a whole version directory into a staging directory and have it checked."""

import contextlib
import importlib.metadata
import platform
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from serving.artifacts.manifest import CARD_FILE
from serving.artifacts.model_card import CardSignature, ModelCard, Parity, Tensor
from training.export import onnx_export as onnx_twin
from training.export import warmup
from training.export.check import check
from training.export.servable import ExportedModel, call

TWIN_FILE = "assets.extra/model.onnx"
_CHECKED_ROWS = 8
_DESCRIBE = {
    "describe": CardSignature(
        inputs={"query": Tensor(dtype="string", shape=(None,))},
        outputs={"card": Tensor(dtype="string", shape=(None,))},
    )
}


class _FirstLine(tf.lookup.TextFileInitializer):  # type: ignore[misc]
    """Reads a file into a table whose name is not, as TensorFlow's would be, the path on the training machine."""

    @property
    def _shared_name(self) -> str:
        return ""


def write(directory: Path, servable: ExportedModel, card: ModelCard) -> ModelCard:
    """SavedModel, ONNX twin, warm-up requests and the card, checked in a clean process; returns the finished card.

    Raises:
        CheckError: what was written is not the model that was trained.
        OSError: the disk is full or fails.
    """
    anchor = directory / "card.json"
    anchor.write_text("{}", encoding="utf-8")
    with _on_disk():
        _save(directory, servable, anchor)
    anchor.unlink()
    reason = onnx_twin.write(servable.endpoints, directory / TWIN_FILE)
    _write_card(directory, card)
    answers: dict[str, Any] = {
        name: (
            {key: rows[:_CHECKED_ROWS] for key, rows in endpoint.samples.items()},
            call(endpoint, slice(_CHECKED_ROWS)),
        )
        for name, endpoint in servable.endpoints.items()
    }
    text = np.array([(directory / CARD_FILE).read_bytes()] * 2, object)
    query = {"query": np.array([b"card", b"card"], object)}
    report = check(directory, {**answers, "describe": (query, {"card": text})})
    finished = card.model_copy(
        update={
            "parity": Parity(
                saved_model_to_keras=report.saved_model, onnx_to_saved_model=report.onnx, onnx_reason=reason
            ),
            "bytes": {
                "saved_model": (directory / "saved_model.pb").stat().st_size,
                "variables": sum(file.stat().st_size for file in (directory / "variables").iterdir()),
                "onnx": (directory / TWIN_FILE).stat().st_size if reason is None else 0,
            },
        }
    )
    _write_card(directory, finished)
    samples = {name: endpoint.samples for name, endpoint in servable.endpoints.items()}
    with _on_disk():
        warmup.write(directory, card.model, {**samples, "describe": query})
    return finished


def signatures(servable: ExportedModel) -> dict[str, CardSignature]:
    """The signatures as the card lists them."""
    table = {
        name: CardSignature(
            inputs={
                key: Tensor(dtype=spec.dtype.name, shape=tuple(spec.shape.as_list()))
                for key, spec in endpoint.inputs.items()
            },
            outputs={key: Tensor(dtype=dtype, shape=shape) for key, (dtype, shape) in endpoint.outputs.items()},
        )
        for name, endpoint in servable.endpoints.items()
    }
    return table | _DESCRIBE


def versions() -> Mapping[str, str]:
    """Of the libraries that made the version."""
    names = ("tensorflow", "keras", "numpy", "tf2onnx", "onnx", "onnxruntime", "pillow")
    return {"python": platform.python_version(), **{name: importlib.metadata.version(name) for name in names}}


@contextlib.contextmanager
def _on_disk() -> Iterator[None]:
    """TensorFlow has errors of its own for a full disk and the like: raise the OSError that they are."""
    try:
        yield
    except tf.errors.OpError as error:
        raise OSError(f"the version cannot be written: {error.message}") from None


def _save(directory: Path, servable: ExportedModel, anchor: Path) -> None:
    """The SavedModel.

    ``describe`` answers the first line of the asset ``card.json``, which is read when the version is loaded: the card
    can be finished after the graph is written, with what the check of that very graph found.
    """
    archive = keras.export.ExportArchive()
    lines = tf.lookup.StaticHashTable(
        _FirstLine(
            str(anchor), tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER, tf.string, tf.lookup.TextFileIndex.WHOLE_LINE
        ),
        default_value="",
    )
    archive.track(lines)
    for name, endpoint in servable.endpoints.items():
        archive.add_endpoint(name, endpoint.function, input_signature=list(endpoint.inputs.values()))

    def describe(query: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"card": lines.lookup(tf.zeros_like(query, tf.int64))}

    archive.add_endpoint("describe", describe, input_signature=[tf.TensorSpec((None,), tf.string, "query")])
    archive.write_out(str(directory), verbose=False)


def _write_card(directory: Path, card: ModelCard) -> None:
    text = card.model_dump_json(exclude_none=True)  # one line
    for path in (directory / CARD_FILE, directory / "assets" / "card.json"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
