"""From a version directory to a servable that is ready to answer."""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from serving.artifacts import manifest
from serving.model_server.batching import parameters as batching_parameters
from serving.model_server.batching.parameters import PER_MODEL_FILE, BatchingParameters
from serving.model_server.core import memory, signature, warmup
from serving.model_server.core.servable import Servable
from serving.model_server.engines import tflite as tflite_engine
from serving.model_server.engines.base import Engine
from serving.model_server.engines.onnx import TWIN_FILE, OnnxEngine
from serving.model_server.engines.tensorflow import TensorFlowEngine
from serving.model_server.errors import data_loss, permission_denied
from serving.model_server.metrics import ServerMetrics

if TYPE_CHECKING:
    from serving.artifacts.signing import Verifier

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
        batching: how calls are merged, None for not at all.
        batching_per_model: the version's own file says how instead, and that it is not there: not at all.
        metrics: where loads are counted.
        verifier: whose signature a version must bear; None for nobody's.
    """

    engine: EngineChoice = "auto"
    tags: Sequence[str] = ("serve",)
    prefer_tflite: bool = False
    warmup_iterations: int = 1
    intra_op_threads: int = 0
    inter_op_threads: int = 0
    batching: BatchingParameters | None = None
    batching_per_model: bool = False
    metrics: ServerMetrics = field(default_factory=ServerMetrics)
    verifier: "Verifier | None" = None

    def load(self, directory: Path) -> Servable:
        """A servable of the version, warmed up.

        Raises:
            ServingError: the directory holds no SavedModel, its files are not those that were published, an engine
                refuses them, or a warm-up request fails.
        """
        started = time.perf_counter()
        servable, kind = self._counted(directory)
        replayed = self._warm_up(servable, directory) if self.warmup_iterations else 0
        memory.give_back()
        took = time.perf_counter() - started
        logger.info("loaded %s in %.2f s (%s, %d warm-up requests)", directory, took, kind, replayed)
        return servable

    def _counted(self, directory: Path) -> tuple[Servable, str]:
        started = time.perf_counter()
        status = "fail"
        try:
            found = self._choose(directory)
            status = "success"
        finally:
            self.metrics.load_attempt_count.add(str(directory), status)
        self.metrics.load_latency.add(str(directory), by=(time.perf_counter() - started) * 1e6)
        return found

    def _choose(self, directory: Path) -> tuple[Servable, str]:
        """The version not yet warmed up, and what it is run from."""
        problem = manifest.check(directory)
        if problem:
            raise data_loss(f"the version at {directory} is damaged or not complete: {problem}")
        problem = self.verifier.check(directory) if self.verifier else None
        if problem:
            raise permission_denied(f"the version at {directory} is not to be served: {problem}")
        servable = self._open_tflite(directory) if self.prefer_tflite else None
        return (servable, "TensorFlow Lite model") if servable else self._open(directory)

    def _open_tflite(self, directory: Path) -> Servable | None:
        path = directory / tflite_engine.MODEL_FILE
        if not path.is_file():
            return None
        engine = tflite_engine.TfliteEngine(path, threads=self.intra_op_threads)
        batching = self._batching(directory)
        servable = Servable(engine.signatures, None, lambda: engine, strict=False, batching=batching)
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
        servable = Servable(signatures, twin, open_saved_model, strict=has_twin, batching=self._batching(directory))
        if twin is None:
            servable.open()
        return servable, "ONNX twin" if twin else "SavedModel"

    def _batching(self, directory: Path) -> BatchingParameters | None:
        parameters = self.batching
        if parameters is not None and self.batching_per_model:
            file = directory / PER_MODEL_FILE
            threads = parameters.num_batch_threads
            parameters = batching_parameters.read(file, threads=threads) if file.is_file() else None
        if parameters is not None:
            parameters.check()
        return parameters

    def _warm_up(self, servable: Servable, directory: Path) -> int:
        started = time.perf_counter()
        status = "fail"
        try:
            replayed = warmup.replay(servable, directory, self.warmup_iterations, skip_slow=servable.has_twin)
            status = "success"
        finally:
            took = (time.perf_counter() - started) * 1e6
            self.metrics.warmup_latency.observe(took, str(directory), status)
        self.metrics.warmup_records.add(str(directory), by=replayed)
        return replayed
