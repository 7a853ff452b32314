"""Check whether a directory holds a loadable SavedModel, without loading it.

The manifest already proves that the files of a published version are complete. A version without one, copied by hand,
may be truncated anywhere.
"""

from pathlib import Path

from serving.artifacts.manifest import MANIFEST_FILE

_GRAPH, _TEXT_GRAPH = "saved_model.pb", "saved_model.pbtxt"
_TFLITE = "model.tflite"  # with --prefer_tflite_model
_INDEX = "variables/variables.index"
_TABLE_END = bytes.fromhex("57fb808b247547db")  # tensorflow/core/lib/io/format.h, kTableMagicNumber


def problem(directory: Path) -> str | None:
    """Say why no model server can load the version, or return None. The caller has excluded special files."""
    if not any(directory.iterdir()):
        return "its folder is empty"
    graph = directory / _GRAPH
    if not graph.is_file():
        others = any((directory / name).is_file() for name in (_TEXT_GRAPH, _TFLITE))
        return None if others else f"{_GRAPH} is missing"
    if (directory / MANIFEST_FILE).is_file():
        return None
    return _graph_problem(graph) or _variables_problem(directory)


def _graph_problem(path: Path) -> str | None:
    from google.protobuf.message import DecodeError

    from serving.tfs_api import messages

    message = messages.SavedModel()
    try:
        message.ParseFromString(path.read_bytes())
    except DecodeError:
        return f"{_GRAPH} is truncated or no SavedModel"
    return None if message.meta_graphs else f"{_GRAPH} holds no graph"


def _variables_problem(directory: Path) -> str | None:
    """Say which file of variables is truncated or missing. A model without variables has none."""
    index = directory / _INDEX
    if not index.parent.is_dir() or not any(index.parent.iterdir()):
        return None
    if not index.is_file():
        return f"{_INDEX} is missing"
    if index.read_bytes()[-len(_TABLE_END) :] != _TABLE_END:
        return f"{_INDEX} is truncated or no checkpoint"
    shards = {path.name for path in index.parent.glob("variables.data-*-of-*")}
    count = max((int(name.rpartition("-")[2]) for name in shards if name.rpartition("-")[2].isdigit()), default=1)
    expected = (f"variables.data-{number:05}-of-{count:05}" for number in range(count))
    missing = next((name for name in expected if name not in shards), None)
    return f"variables/{missing} is missing" if missing else None
