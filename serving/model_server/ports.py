"""The gRPC and REST ports of a model server."""

import asyncio
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from serving.model_server import metrics, text_protos
from serving.model_server.flags import Flags
from serving.model_server.grpc_api.health import CHECK, WATCH, HealthService
from serving.model_server.grpc_api.server import GrpcServer, StreamMethod, parse_arguments
from serving.model_server.grpc_api.service import GrpcService
from serving.model_server.inference.inference import Inference
from serving.tfs_api import messages

if TYPE_CHECKING:
    import grpc

    from serving.model_server.rest.http import HttpServer

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Ports:
    """The open ports."""

    grpc: GrpcServer | None
    health: HealthService | None
    rest: "HttpServer | None"

    async def close(self, grace_seconds: float) -> None:
        """Accept no more calls, and let those in flight finish within the grace period."""
        if self.health:
            self.health.close()
        await asyncio.gather(*(server.stop(grace_seconds) for server in (self.grpc, self.rest) if server))


async def open(settings: Flags, inference: Inference) -> Ports:
    """Open the ports that the flags name.

    A REST port in use is logged and stops nothing else, as in TensorFlow Serving.

    Raises:
        ServingError: The gRPC port or socket is not available, or a file that a flag names is missing or invalid.
    """
    health = HealthService() if settings.enable_grpc_healthcheck_service else None
    return Ports(await _open_grpc(settings, inference, health), health, _open_rest(settings, inference))


def check(settings: Flags) -> None:
    """Check ``--ssl_config_file`` and ``--grpc_channel_arguments`` before the models load, which may take minutes.

    Raises:
        ServingError: The file is missing or invalid, or an argument is invalid.
    """
    _credentials(settings)
    parse_arguments(settings.grpc_channel_arguments)


def _credentials(settings: Flags) -> "grpc.ServerCredentials | None":
    if not settings.ssl_config_file:
        return None
    from serving.model_server.grpc_api import credentials

    return credentials.read(Path(settings.ssl_config_file))


async def _open_grpc(settings: Flags, inference: Inference, health: HealthService | None) -> GrpcServer | None:
    if not (settings.port or settings.grpc_socket_path):
        return None
    service = GrpcService(inference, as_content=settings.enable_serialization_as_tensor_content)
    unary = dict(service.methods(settings.grpc_max_threads))
    streaming: dict[str, StreamMethod] = {}
    if health:
        unary[CHECK], streaming[WATCH] = health.check, health.watch
    server = GrpcServer(unary, streaming, parse_arguments(settings.grpc_channel_arguments), _credentials(settings))
    addresses = []
    if settings.port:
        server.listen(settings.host, settings.port)
        addresses.append(f"{settings.host}:{settings.port}")
    if settings.grpc_socket_path:
        server.listen_at(Path(settings.grpc_socket_path))
        addresses.append(f"unix:{settings.grpc_socket_path}")
    await server.start()
    for address in addresses:
        logger.info("Running gRPC ModelServer at %s ...", address)
    return server


def _open_rest(settings: Flags, inference: Inference) -> "HttpServer | None":
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
    from serving.model_server.rest.api import RestApi  # takes 0.1 s and memory
    from serving.model_server.rest.http import HttpLimits, HttpServer

    api = RestApi(
        inference,
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


def _metrics_path(settings: Flags) -> str | None:
    if not settings.monitoring_config_file:
        return None
    return metrics.path(text_protos.read(Path(settings.monitoring_config_file), messages.MonitoringConfig))
