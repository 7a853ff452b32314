"""The log of a run: ``history.json`` and TensorBoard's events, in a folder for each run.

``tensorboard --logdir .vitrine/runs/logs`` shows all runs. The events have the tags of Keras' callback, which itself
needs the package of TensorBoard.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

import tensorflow as tf
from tensorflow.core.framework.summary_pb2 import SummaryMetadata

_SCALAR = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name="scalars"), data_class="DATA_CLASS_SCALAR")
HISTORY_FILE = "history.json"


def write(runs: Path, name: str, created: datetime, history: Mapping[str, Sequence[float]]) -> Path:
    """Write the values after each epoch, and return the folder.

    Training and validation have a run of their own in TensorBoard, as Keras' callback writes them. A resumed fit has
    the epochs from before too.
    """
    folder = runs / "logs" / name / f"{created:%Y%m%d-%H%M%S}"
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps({key: list(values) for key, values in history.items()}, indent=1)
    (folder / HISTORY_FILE).write_text(text + "\n", encoding="utf-8")
    for part in ("train", "validation"):
        prefix = "val_" if part == "validation" else ""
        values = {key: rows for key, rows in history.items() if key.startswith("val_") is bool(prefix)}
        if values:
            with tf.summary.create_file_writer(str(folder / part)).as_default():
                for key, rows in values.items():
                    for epoch, value in enumerate(rows):
                        tf.summary.write(
                            f"epoch_{key.removeprefix(prefix)}", tf.constant(value, tf.float32), epoch, _SCALAR
                        )
    return folder
