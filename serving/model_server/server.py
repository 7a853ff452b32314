"""The program: from flags to a server that runs until it is told to stop."""

import asyncio
import contextlib
import gc
import logging
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from serving.artifacts.models_config import ModelConfig
from serving.model_server import flags, metrics, text_protos
from serving.model_server.batching import parameters as batching_parameters
from serving.model_server.batching.parameters import BatchingParameters
from serving.model_server.batching.scheduler import Batcher
from serving.model_server.core import server_core as core
from serving.model_server.core.loader import Loader
from serving.model_server.core.manager import Manager, Retries
from serving.model_server.core.server_core import ServerCore
from serving.model_server.core.source import FileSystemSource
from serving.model_server.errors import ServingError, invalid_argument
from serving.model_server.flags import Flags
from serving.model_server.grpc_api import health
from serving.model_server.grpc_api.calls import Streaming
from serving.model_server.grpc_api.server import Arguments, GrpcServer
from serving.model_server.grpc_api.service import Service
from serving.model_server.metrics import ServerMetrics
from serving.tfs_api import messages

if TYPE_CHECKING:
    import ssl

    from serving.artifacts.signing import Verifier
    from serving.model_server.rest.http import HttpServer

logger = logging.getLogger("serving.model_server")

_GRACE = 30.0  # seconds that calls in flight have to end
_FAILED = 255  # the exit code of main's "return -1"


def main() -> int:
    """Serve; returns the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname).1s %(name)s] %(message)s")
    try:
        parsed = flags.parse(sys.argv[1:])
        if parsed.flags.version:
            print("TensorFlow ModelServer: 2.21.0 (Vitrine's embedded model server, which does as it does)")
            return 0
        for argument in parsed.unknown:
            logger.warning("unknown argument: %s; it is ignored", argument)
        if parsed.unknown:
            print(*(f"unknown argument: {argument}" for argument in parsed.unknown), flags.usage(), sep="\n")
        for name in parsed.without_effect:
            logger.warning("--%s is taken but has no effect in the embedded model server", name)
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(serve(parsed.flags))
    except flags.FlagError as error:
        return _failed(str(error), flags.usage())
    except ServingError as error:
        return _failed(f"Failed to start server. Error: {error.describe()}")
    return 0


def _failed(*lines: str) -> int:
    """Say why on standard output, where TensorFlow Serving does, and in the log."""
    logger.error(lines[0])
    print(*lines, sep="\n")
    return _FAILED


async def serve(settings: Flags) -> None:
    """Load all models, then open the port; until SIGTERM or SIGINT.

    Raises:
        ServingError: the server cannot start.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)

    counted = ServerMetrics()
    batching = _batching(settings)
    server_core = _core(settings, batching, counted)
    service = Service(
        server_core,
        counted,
        batcher=Batcher(batching.num_batch_threads, batching.thread_pool_name, counted) if batching else None,
        threads=max(flags.cpus(), 2),
        as_content=settings.enable_serialization_as_tensor_content,
        check_method_names=settings.enable_signature_method_name_check,
    )
    ssl_context = _ssl_context(settings)
    starting = asyncio.create_task(server_core.start(_models(settings)))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait((starting, stopping), return_when=asyncio.FIRST_COMPLETED)
    try:
        if not stop.is_set():
            await starting
            gc.collect()
            gc.freeze()  # what lives as long as the server need not be looked through again and again
            server = await _open(settings, service, ssl_context)
            if settings.model_config_file:
                server_core.watch_config(Path(settings.model_config_file), settings.model_config_file_poll_wait_seconds)
            rest = _open_rest(settings, service)
            await stopping
            logger.info("stopping; calls in flight may end")
            await asyncio.gather(server.stop(_GRACE), *([rest.stop(_GRACE)] if rest else []))
    finally:
        starting.cancel()
        stopping.cancel()
        await server_core.close()
        service.close()


def _models(settings: Flags) -> core.Models:
    if settings.model_config_file:
        models = core.read_config(Path(settings.model_config_file))
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


def _core(settings: Flags, batching: BatchingParameters | None, counted: ServerMetrics) -> ServerCore:
    loader = Loader(
        engine=settings.engine,
        tags=settings.saved_model_tags.split(","),
        prefer_tflite=settings.prefer_tflite_model,
        warmup_iterations=max(settings.num_request_iterations_for_warmup, 1) if settings.enable_model_warmup else 0,
        intra_op_threads=settings.tensorflow_intra_op_parallelism or settings.tensorflow_session_parallelism,
        inter_op_threads=settings.tensorflow_inter_op_parallelism or settings.tensorflow_session_parallelism,
        batching=batching,
        batching_per_model=settings.enable_per_model_batching_parameters,
        metrics=counted,
        verifier=_verifier(settings),
    )
    manager = Manager(
        loader.load,
        threads=max(settings.num_load_threads, 1),
        initial_threads=flags.cpus(),
        retries=Retries(settings.max_num_load_retries, settings.load_retry_interval_micros / 1e6),
        on_hang=lambda path: counted.hanging_load_count.add(str(path)),
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
    from serving.artifacts.signing import KeyFileError, Verifier

    try:
        return Verifier(Path(settings.verify_key_file))
    except KeyFileError as error:
        raise invalid_argument(str(error)) from None


def _ssl_context(settings: Flags) -> "ssl.SSLContext | None":
    if not settings.ssl_config_file:
        return None
    from serving.model_server.grpc_api import credentials

    return credentials.read(Path(settings.ssl_config_file))


async def _open(settings: Flags, service: Service, ssl_context: "ssl.SSLContext | None") -> GrpcServer:
    unary = service.methods(settings.grpc_max_threads)
    streaming: dict[str, Streaming] = {}
    if settings.enable_grpc_healthcheck_service:
        unary[health.CHECK], streaming[health.WATCH] = health.check, health.watch
    server = GrpcServer(unary, streaming, Arguments.parse(settings.grpc_channel_arguments), ssl_context)
    addresses = []
    if settings.port:
        await server.listen(settings.host, settings.port)
        addresses.append(f"{settings.host}:{settings.port}")
    if settings.grpc_socket_path:
        await server.listen_at(Path(settings.grpc_socket_path))
        addresses.append(f"unix:{settings.grpc_socket_path}")
    for address in addresses:
        logger.info("Running gRPC ModelServer at %s ...", address)
    return server


def _metrics_path(settings: Flags) -> str | None:
    if not settings.monitoring_config_file:
        return None
    return metrics.path(text_protos.read(Path(settings.monitoring_config_file), messages.MonitoringConfig))


def _open_rest(settings: Flags, service: Service) -> "HttpServer | None":
    """The REST interface, if its port is set.

    A port that is taken stops nothing else, as in TensorFlow Serving.

    Raises:
        ServingError: the monitoring file, which is read only here, is missing or cannot be parsed.
    """
    port = settings.rest_api_port
    if port == 0:
        return None
    if port == settings.port:
        logger.error(
            "server_options.http_port cannot be same as grpc_port. Please use a different port for HTTP/REST API. "
            "Skipped exporting HTTP/REST API."
        )
        return None
    metrics_path = _metrics_path(settings)
    from serving.model_server.rest.api import RestApi  # not at start: it takes .1 s and memory
    from serving.model_server.rest.http import HttpLimits, HttpServer

    api = RestApi(
        service,
        threads=settings.rest_api_num_threads,
        timeout_ms=settings.rest_api_timeout_in_ms,
        cors=settings.rest_api_enable_cors_support,
        max_body_bytes=settings.rest_api_max_body_bytes,
        metrics_path=metrics_path,
    )
    try:
        server = HttpServer(api, settings.host, port, HttpLimits(max_body_bytes=settings.rest_api_max_body_bytes))
    except (OSError, OverflowError) as error:
        logger.error("Failed to start HTTP Server at localhost:%d: %s", port, error)
        return None
    server.start()
    logger.info("Exporting HTTP/REST API at:localhost:%d ...", port)
    return server


def _loop_factory() -> type[asyncio.AbstractEventLoop] | None:
    with contextlib.suppress(ImportError):  # not on Windows
        import uvloop

        return uvloop.Loop
    return None
