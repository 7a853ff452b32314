"""From a version directory to a servable that is ready to answer."""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from serving import manifest
from serving.model_server import memory, signature, tflite_engine, warmup
from serving.model_server.engine import Engine
from serving.model_server.errors import DataLoss
from serving.model_server.onnx_engine import TWIN_FILE, OnnxEngine
from serving.model_server.servable import Servable
from serving.model_server.tensorflow_engine import TensorFlowEngine

logger = logging.getLogger(__name__)

EngineChoice = Literal["auto", "tensorflow"]


@dataclass(frozen=True)
class Loader:
    """How versions are loaded; blocks while it does, so it is called in a thread.

    Attributes:
        engine: ``auto`` takes the ONNX twin where a version has one, ``tensorflow`` the SavedModel always.
        tags: which graph of a SavedModel.
        prefer_tflite: take ``model.tflite`` where a version has one.
        warmup_iterations: how often each warm-up request is run, 0 to leave them all out.
        intra_op_threads, inter_op_threads: threads of one run; 0 leaves TensorFlow its choice and gives a twin one.
    """

    engine: EngineChoice = "auto"
    tags: Sequence[str] = ("serve",)
    prefer_tflite: bool = False
    warmup_iterations: int = 1
    intra_op_threads: int = 0
    inter_op_threads: int = 0

    def load(self, directory: Path) -> Servable:
        """A servable of the version, warmed up.

        Raises:
            ServingError: the directory holds no SavedModel, its files are not those that were published, an engine
                refuses them, or a warm-up request fails.
        """
        started = time.perf_counter()
        problem = manifest.check(directory)
        if problem:
            raise DataLoss(f"the version at {directory} is damaged or not complete: {problem}")
        servable = self._open_tflite(directory) if self.prefer_tflite else None
        kind = "TensorFlow Lite model"
        if servable is None:
            servable, kind = self._open(directory)
        skip_slow = kind == "ONNX twin"
        replayed = 0
        if self.warmup_iterations:
            replayed = warmup.replay(servable, directory, self.warmup_iterations, skip_slow=skip_slow)
        memory.give_back()
        took = time.perf_counter() - started
        logger.info("loaded %s in %.2f s (%s, %d warm-up requests)", directory, took, kind, replayed)
        return servable

    def _open_tflite(self, directory: Path) -> Servable | None:
        path = directory / tflite_engine.MODEL_FILE
        if not path.is_file():
            return None
        engine = tflite_engine.TfliteEngine(path, threads=self.intra_op_threads)
        servable = Servable(engine.signatures, None, lambda: engine, strict=False)
        servable.open()
        return servable

    def _open(self, directory: Path) -> tuple[Servable, str]:
        """The version by its ONNX twin, or by its SavedModel; and which."""
        signatures = signature.read(directory, self.tags)

        def open_saved_model() -> Engine:
            return TensorFlowEngine(
                directory,
                signatures.by_name,
                self.tags,
                intra_op_threads=self.intra_op_threads,
                inter_op_threads=self.inter_op_threads,
            )

        has_twin = (directory / TWIN_FILE).is_file()
        twin = None
        if has_twin and self.engine == "auto":
            twin = OnnxEngine(directory, threads=self.intra_op_threads or 1)
        servable = Servable(signatures, twin, open_saved_model, strict=has_twin)
        if twin is None:
            servable.open()
        return servable, "ONNX twin" if twin else "SavedModel"
