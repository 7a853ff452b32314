"""Load a version directory as a servable that is ready to answer."""

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
from serving.model_server.core.signature import ServableSignatures
from serving.model_server.engines import tflite
from serving.model_server.engines.base import Engine
from serving.model_server.engines.onnx import ONNX_FILE, OnnxEngine
from serving.model_server.engines.tensorflow import TensorFlowEngine
from serving.model_server.errors import data_loss, permission_denied, unimplemented
from serving.model_server.metrics import ServerMetrics

if TYPE_CHECKING:
    from serving.artifacts.signing import Verifier

logger = logging.getLogger(__name__)

EngineChoice = Literal["auto", "onnx", "tensorflow"]


@dataclass(frozen=True)
class Loader:
    """Settings for loading versions. Loading blocks, so it runs in a thread.

    Attributes:
        engine: ``auto`` runs the ONNX export where a version has one, ``tensorflow`` always the SavedModel. ``onnx``
            never imports TensorFlow: it rejects versions without an ONNX export.
        tags: Tags of the graph in a SavedModel.
        prefer_tflite: Load ``model.tflite`` where a version has one.
        warmup_iterations: Runs of each warm-up request; 0 for no warm-up.
        intra_op_threads: Threads of one operation; 0 for TensorFlow's choice, and one for an ONNX export.
        inter_op_threads: Threads for operations of one run; 0 for TensorFlow's choice.
        batching: How calls are merged; None for no batching.
        batching_per_model: Read the parameters from the version's own file; no file means no batching.
        metrics: Where loads are counted.
        verifier: Checks each version's signature file; None for no check.
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
        """Load and warm up the version in this directory.

        Raises:
            ServingError: The directory holds no SavedModel, a file differs from the published one, an engine rejects
                the model, or a warm-up request fails.
        """
        started = time.perf_counter()
        servable, kind = self._load_counted(directory)
        replayed = self._warm_up(servable, directory) if self.warmup_iterations else 0
        memory.release()
        seconds = time.perf_counter() - started
        logger.info("loaded %s in %.2f s (%s, %d warm-up requests)", directory, seconds, kind, replayed)
        return servable

    def _load_counted(self, directory: Path) -> tuple[Servable, str]:
        started = time.perf_counter()
        status = "fail"
        try:
            loaded = self._check_and_open(directory)
            status = "success"
        finally:
            self.metrics.load_attempt_count.add((str(directory), status))
        self.metrics.load_latency.add((str(directory),), by=(time.perf_counter() - started) * 1e6)
        return loaded

    def _check_and_open(self, directory: Path) -> tuple[Servable, str]:
        """Check the files and load the version without warm-up; also name the kind of model."""
        problem = manifest.check(directory)
        if problem:
            raise data_loss(f"the version at {directory} is damaged or not complete: {problem}")
        problem = self.verifier.check(directory) if self.verifier else None
        if problem:
            raise permission_denied(f"the version at {directory} is not to be served: {problem}")
        servable = self._open_tflite(directory) if self.prefer_tflite else None
        return (servable, "TensorFlow Lite model") if servable else self._open(directory)

    def _open_tflite(self, directory: Path) -> Servable | None:
        path = directory / tflite.MODEL_FILE
        if not path.is_file():
            return None
        engine = tflite.TfliteEngine(path, threads=self.intra_op_threads)
        batching = self._batching(directory)
        servable = Servable(engine.signatures, None, lambda: engine, strict=False, batching=batching)
        servable.open()
        return servable

    def _open(self, directory: Path) -> tuple[Servable, str]:
        signatures = signature.read(directory, self.tags)
        has_export = (directory / ONNX_FILE).is_file()
        onnx_engine = None
        if has_export and self.engine != "tensorflow":
            onnx_engine = OnnxEngine(directory, threads=self.intra_op_threads or 1)
        servable = Servable(
            signatures,
            onnx_engine,
            lambda: self._saved_model(directory, signatures, has_export),
            strict=has_export,
            batching=self._batching(directory),
        )
        if onnx_engine is None:
            servable.open()
        return servable, "ONNX export" if onnx_engine else "SavedModel"

    def _saved_model(self, directory: Path, signatures: ServableSignatures, has_export: bool) -> Engine:
        if self.engine == "onnx":
            missing = "the ONNX export lacks this signature" if has_export else "the version has no ONNX export"
            raise unimplemented(f"{missing}, and this server runs ONNX exports only (--engine=onnx)")
        return TensorFlowEngine(
            directory,
            signatures.by_name,
            self.tags,
            intra_op_threads=self.intra_op_threads,
            inter_op_threads=self.inter_op_threads,
        )

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
            replayed = warmup.replay(servable, directory, self.warmup_iterations, onnx_only=servable.has_onnx_export)
            status = "success"
        finally:
            micros = (time.perf_counter() - started) * 1e6
            self.metrics.warmup_latency.of((str(directory), status)).observe(micros)
        self.metrics.warmup_records.add((str(directory),), by=replayed)
        return replayed
