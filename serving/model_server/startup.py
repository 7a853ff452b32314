"""Build the core of a model server from flags and load its models, without opening a port."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from serving.artifacts.models_config import ModelConfig
from serving.model_server import flags
from serving.model_server.batching import parameters as batching_parameters
from serving.model_server.batching.parameters import BatchingParameters
from serving.model_server.batching.scheduler import Batcher
from serving.model_server.core.config_checks import Models
from serving.model_server.core.loader import Loader
from serving.model_server.core.manager import Manager, Retries
from serving.model_server.core.server_core import ServerCore, read_config
from serving.model_server.core.source import FileSystemSource
from serving.model_server.errors import invalid_argument
from serving.model_server.flags import Flags
from serving.model_server.inference.inference import Inference
from serving.model_server.metrics import ServerMetrics

if TYPE_CHECKING:
    from serving.artifacts.signing import Verifier

logger = logging.getLogger(__name__)


def build(settings: Flags) -> Inference:
    """Build the core without loading a model. Call it in a running event loop.

    Raises:
        ServingError: A file that a flag names is missing or invalid.
    """
    metrics = ServerMetrics()
    batching = _batching(settings)
    return Inference(
        _core(settings, batching, metrics),
        metrics,
        threads=max(flags.cpus(), 2),
        batcher=Batcher(batching.num_batch_threads, batching.thread_pool_name, metrics) if batching else None,
        check_method_names=settings.enable_signature_method_name_check,
    )


async def load(settings: Flags, inference: Inference) -> None:
    """Load the configured models, then follow their base paths and the configuration file.

    Raises:
        ServingError: The configuration is invalid, or a model has no version that can be loaded. The core follows the
            files all the same, until :meth:`Inference.close`.
    """
    try:
        await inference.core.start(_models(settings))
    finally:
        if settings.model_config_file:
            inference.core.watch_config(Path(settings.model_config_file), settings.model_config_file_poll_wait_seconds)


def _models(settings: Flags) -> Models:
    if settings.model_config_file:
        models = read_config(Path(settings.model_config_file))
        if models is None:
            logger.info("Taking no action for empty config.")
        return models or {}
    if not settings.model_base_path:
        raise invalid_argument("Both server_options.model_base_path and server_options.model_config_file are empty!")
    return {settings.model_name: ModelConfig(settings.model_name, settings.model_base_path)}


def _batching(settings: Flags) -> BatchingParameters | None:
    if not settings.enable_batching:
        return None
    if settings.batching_parameters_file:
        return batching_parameters.read(Path(settings.batching_parameters_file), threads=flags.cpus())
    return BatchingParameters(num_batch_threads=flags.cpus())


def _core(settings: Flags, batching: BatchingParameters | None, metrics: ServerMetrics) -> ServerCore:
    loader = Loader(
        engine=settings.engine,
        tags=settings.saved_model_tags.split(","),
        prefer_tflite=settings.prefer_tflite_model,
        warmup_iterations=max(settings.num_request_iterations_for_warmup, 1) if settings.enable_model_warmup else 0,
        intra_op_threads=settings.tensorflow_intra_op_parallelism or settings.tensorflow_session_parallelism,
        inter_op_threads=settings.tensorflow_inter_op_parallelism or settings.tensorflow_session_parallelism,
        batching=batching,
        batching_per_model=settings.enable_per_model_batching_parameters,
        metrics=metrics,
        verifier=_verifier(settings),
    )
    manager = Manager(
        loader.load,
        threads=max(settings.num_load_threads, 1),
        initial_threads=flags.cpus(),
        retries=Retries(settings.max_num_load_retries, settings.load_retry_interval_micros / 1e6),
        on_hang=lambda path: metrics.hanging_load_count.add((str(path),)),
    )
    return ServerCore(
        manager,
        FileSystemSource(settings.mounts),
        file_system_poll_seconds=settings.file_system_poll_wait_seconds,
        allow_labels_for_unavailable_models=settings.allow_version_labels_for_unavailable_models,
    )


def _verifier(settings: Flags) -> "Verifier | None":
    if not settings.verify_key_file:
        return None
    from serving.artifacts.signing import KeyFileError, Verifier  # imports cryptography

    try:
        return Verifier(Path(settings.verify_key_file))
    except KeyFileError as error:
        raise invalid_argument(str(error)) from None
