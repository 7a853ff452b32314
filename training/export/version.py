"""Write a version directory and check it."""

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
from training.export import onnx_export, warmup
from training.export.check import check
from training.export.exported_model import ExportedModel

ONNX_FILE = "assets.extra/model.onnx"
_CHECKED_ROWS = 8
_DESCRIBE = {
    "describe": CardSignature(
        inputs={"query": Tensor(dtype="string", shape=(None,))},
        outputs={"card": Tensor(dtype="string", shape=(None,))},
    )
}


class _FirstLine(tf.lookup.TextFileInitializer):  # type: ignore[misc]
    """Initializer of a table from a file, without the local path in the table's name."""

    @property
    def _shared_name(self) -> str:
        return ""


def write(directory: Path, exported: ExportedModel, card: ModelCard) -> ModelCard:
    """Write SavedModel, ONNX export, card and warm-up requests, and check them.

    Args:
        directory: staging directory.
        exported: the signatures.
        card: the card without the results of the check.

    Returns:
        The card with the results of the check.

    Raises:
        CheckError: the written version differs from the trained model.
        OSError: the disk is full or fails.
    """
    asset = directory / "card.json"
    asset.write_text("{}", encoding="utf-8")
    with _disk_errors():
        _save(directory, exported, asset)
    asset.unlink()
    reason = onnx_export.write(exported.endpoints, directory / ONNX_FILE)
    _write_card(directory, card)
    answers: dict[str, Any] = {
        name: (
            {key: rows[:_CHECKED_ROWS] for key, rows in endpoint.samples.items()},
            endpoint.call(slice(_CHECKED_ROWS)),
        )
        for name, endpoint in exported.endpoints.items()
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
                "onnx": sum(file.stat().st_size for file in (directory / ONNX_FILE).parent.glob("*.onnx")),
            },
        }
    )
    _write_card(directory, finished)
    samples = {name: one.samples for name, one in exported.endpoints.items() if one.own_export is None}
    with _disk_errors():
        warmup.write(directory, card.model, {**samples, "describe": query})
    return finished


def signatures(exported: ExportedModel) -> dict[str, CardSignature]:
    """Return the signatures as the card lists them."""
    table = {
        name: CardSignature(
            inputs={
                key: Tensor(dtype=spec.dtype.name, shape=tuple(spec.shape.as_list()))
                for key, spec in endpoint.inputs.items()
            },
            outputs={key: Tensor(dtype=dtype, shape=shape) for key, (dtype, shape) in endpoint.outputs.items()},
        )
        for name, endpoint in exported.endpoints.items()
    }
    return table | _DESCRIBE


def versions() -> Mapping[str, str]:
    """Return the versions of Python and of the libraries, for the card."""
    names = ("tensorflow", "keras", "numpy", "tf2onnx", "onnx", "onnxruntime", "pillow")
    return {"python": platform.python_version(), **{name: importlib.metadata.version(name) for name in names}}


@contextlib.contextmanager
def _disk_errors() -> Iterator[None]:
    """Turn TensorFlow's errors of the file system into OSError."""
    try:
        yield
    except tf.errors.OpError as error:
        raise OSError(f"the version cannot be written: {error.message}") from None


def _save(directory: Path, exported: ExportedModel, asset: Path) -> None:
    """Write the SavedModel.

    ``describe`` answers the first line of the asset ``card.json``, which the server reads when it loads the version.
    The card can therefore be completed after the graph is written, with the results of its check.
    """
    archive = keras.export.ExportArchive()
    lines = tf.lookup.StaticHashTable(
        _FirstLine(
            str(asset), tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER, tf.string, tf.lookup.TextFileIndex.WHOLE_LINE
        ),
        default_value="",
    )
    archive.track(lines)
    for name, endpoint in exported.endpoints.items():
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
