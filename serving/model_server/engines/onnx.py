"""The ONNX export of a version, run by onnxruntime without TensorFlow in the process.

One graph holds the tensor signatures. Its tensors have the signatures' aliases as names, and the metadata entry
``signatures`` lists the aliases of each signature. A costly signature has a file of its own, named after it, because
onnxruntime computes all outputs of a graph; it is loaded before its first use. ``describe`` is answered from the model
card's file.
"""

import functools
import json
import logging
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from serving.artifacts.manifest import CARD_FILE
from serving.model_server.errors import ServingError, data_loss, internal, invalid_argument
from serving.onnx_runtime import onnxruntime
from serving.tfs_api.tensors import Array

logger = logging.getLogger(__name__)

ONNX_FILE = "assets.extra/model.onnx"
DESCRIBE = "describe"
_AS_REQUESTED = 1  # kSameAsRequested: the arena grows by what is needed, not to the next power of two
# Limits of a run's input: 3.2 kB, or 4 rows up to 16 kB. A larger run displaces the gateway's own data from the cache:
# with 20 pictures of 28×28 in a run, a request of 16 or 64 callers takes 8 to 15 % more processor time than with 4.
_CHUNK_BYTES, _FEW_ROWS, _FEW_ROWS_BYTES = 3200, 4, 2**14
_MAX_DESCRIBE_BYTES = 2**28
_registering = threading.Lock()  # versions load in several threads
_NUMPY_TYPES = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
    "tensor(uint8)": np.uint8,
    "tensor(bool)": np.bool_,
    "tensor(string)": np.object_,
}


class _Filler(NamedTuple):
    """A graph input that a signature lacks; it is fed zeros of this shape for each row."""

    name: str
    shape: tuple[int, ...]
    dtype: Any

    @classmethod
    def of(cls, node: Any) -> "_Filler":
        sizes = tuple(size if isinstance(size, int) else 1 for size in node.shape[1:])
        return cls(node.name, sizes, _NUMPY_TYPES[node.type])


class OnnxEngine:
    """Runs the signatures of an ONNX export (:class:`serving.model_server.engines.base.Engine`)."""

    def __init__(self, version_directory: Path, threads: int = 1) -> None:
        """Load the export.

        Raises:
            ServingError: DATA_LOSS if the file is damaged, or its metadata lists no signatures.
        """
        path = version_directory / ONNX_FILE
        self._graph = _Graph(path, threads)
        self._own_files = {file.stem: file for file in path.parent.glob("*.onnx") if file != path}
        self._own_graphs: dict[str, _Graph] = {}
        self._loading = threading.Lock()
        self._threads = threads
        card = version_directory / CARD_FILE
        self._card = card.read_bytes() if card.is_file() else None
        described = {DESCRIBE} if self._card is not None else set()
        #: Names of the signatures that this engine runs.
        self.signatures = self._graph.signatures | self._own_files.keys() | described

    def run(self, signature: str, inputs: Mapping[str, Array], outputs: Sequence[str]) -> list[Array]:
        """Run a signature, a large batch in chunks."""
        if signature in self._own_files:
            return self._own_graph(signature).run(signature, inputs, outputs)
        if signature == DESCRIBE and signature not in self._graph.signatures:
            return self._describe(inputs["query"])
        return self._graph.run(signature, inputs, outputs)

    def _own_graph(self, signature: str) -> "_Graph":
        with self._loading:
            if signature not in self._own_graphs:
                self._own_graphs[signature] = _Graph(self._own_files[signature], self._threads)
            return self._own_graphs[signature]

    def _describe(self, query: Array) -> list[Array]:
        assert self._card is not None
        if query.size * len(self._card) > _MAX_DESCRIBE_BYTES:
            raise invalid_argument(f"{query.size} copies of the model card are too large; request fewer")
        return [np.full(query.shape, self._card, np.object_)]


class _Graph:
    """One file of an export."""

    def __init__(self, path: Path, threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        with _registering:
            _register_shared_arena()
        options.add_session_config_entry("session.use_env_allocators", "1")
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's own classes, which have no common base
            raise data_loss(f"The ONNX export {path} cannot be loaded: {error}") from None
        try:
            listed = json.loads(self._session.get_modelmeta().custom_metadata_map["signatures"])
            self._inputs: dict[str, list[str]] = {name: list(entry["inputs"]) for name, entry in listed.items()}
            self._fillers = {
                name: [_Filler.of(node) for node in self._session.get_inputs() if node.name not in inputs]
                for name, inputs in self._inputs.items()
            }
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise data_loss(f"The metadata of the ONNX export {path} lists no signatures: {error!r}") from None
        self._fixed = {node.name for node in self._session.get_outputs() if _is_fixed(node.shape[1:])}
        self.signatures = frozenset(self._inputs)

    def run(self, signature: str, inputs: Mapping[str, Array], outputs: Sequence[str]) -> list[Array]:
        rows = _rows(inputs)
        feed = {name: _as_text(name, array) if array.dtype.hasobject else array for name, array in inputs.items()}
        for filler in self._fillers[signature]:
            feed[filler.name] = np.zeros((rows, *filler.shape), filler.dtype)
        if rows <= 1:
            return self._run(outputs, feed)
        row_bytes = max(1, sum(array.nbytes for array in feed.values()) // rows)
        chunk = max(1, _CHUNK_BYTES // row_bytes, min(_FEW_ROWS, _FEW_ROWS_BYTES // row_bytes))
        if rows <= chunk or not self._fixed.issuperset(outputs):
            return self._run(outputs, feed)
        chunks = [
            self._run(outputs, {name: array[start : start + chunk] for name, array in feed.items()})
            for start in range(0, rows, chunk)
        ]
        return [np.concatenate(arrays) for arrays in zip(*chunks, strict=True)]

    def _run(self, outputs: Sequence[str], feed: Mapping[str, Array]) -> list[Array]:
        try:
            return list(self._session.run(outputs, feed))
        except Exception as error:
            raise _translated(error) from None


@functools.cache
def _register_shared_arena() -> None:
    """Register one memory arena for all sessions of the process.

    An arena for each session would keep the peak of each model. Without an arena a run allocates its tensors from the C
    library, which returns large blocks to the system in the gateway's process: a batch of 16 pictures takes twice as
    long then.
    """
    memory = onnxruntime.OrtMemoryInfo(
        "Cpu", onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, onnxruntime.OrtMemType.DEFAULT
    )
    arena = onnxruntime.OrtArenaCfg({"arena_extend_strategy": _AS_REQUESTED, "initial_chunk_size_bytes": 2**18})
    onnxruntime.create_and_register_allocator(memory, arena)


def _is_fixed(sizes: Sequence[Any]) -> bool:
    return all(isinstance(size, int) for size in sizes)


def _rows(inputs: Mapping[str, Array]) -> int:
    rows = {len(array) for array in inputs.values()}
    if len(rows) > 1:
        found = {name: len(array) for name, array in inputs.items()}
        raise invalid_argument(f"All inputs must have the same number of rows; they have {found}.")
    return rows.pop()


def _as_text(name: str, array: Array) -> Array:
    """Return strings of bytes as text: onnxruntime would take the text ``b'…'`` of each."""
    text = np.empty(array.size, np.object_)
    try:
        text[:] = [value.decode() if isinstance(value, bytes) else value for value in array.flat]
    except UnicodeDecodeError as error:
        value = error.object[:40]
        raise invalid_argument(f"An ONNX export takes UTF-8 strings only, but input {name} has {value!r}") from None
    return text.reshape(array.shape)


def _translated(error: Exception) -> ServingError:
    return (invalid_argument if type(error).__name__ == "InvalidArgument" else internal)(str(error))
