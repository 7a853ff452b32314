"""The Open Inference Protocol's gRPC port: grpcio's server in the gateway's process, with health and reflection."""

import asyncio
import contextlib
import logging
from collections.abc import Callable

import grpc
import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from starlette.types import ASGIApp

from serving.gateway.oip_grpc import messages
from serving.gateway.oip_grpc.calls import CallHandlers
from serving.gateway.settings import Settings
from serving.http_server.load_shedding import LoadShedder

_SERVICE = messages.ModelInferRequest.DESCRIPTOR.file.services_by_name["GRPCInferenceService"]
_STATUS = health_pb2.HealthCheckResponse
_LAST_RESPONSES_SECONDS = 1.0

log = logging.getLogger("vitrine.grpc")


class OipGrpcServer:
    """Serves from :meth:`start` to :meth:`stop`."""

    def __init__(
        self,
        app: ASGIApp,
        settings: Settings,
        is_ready: Callable[[], bool],
        tasks: set[asyncio.Task[None]],
        shedder: LoadShedder,
        *,
        shared: bool,
    ) -> None:
        """Create a server, and bind its port.

        Args:
            app: the gateway.
            settings: address, limits and certificate.
            is_ready: returns whether the gateway can answer; the health service follows it.
            tasks: has the running requests, for a graceful stop.
            shedder: counts the requests of this process.
            shared: whether other workers have the same port.

        Raises:
            OSError: the port cannot be bound.
        """
        self._is_ready = is_ready
        self._poll_seconds = settings.poll_seconds
        self._grace_seconds = settings.grace_seconds
        self._server = grpc.aio.server(options=_options(settings, shared))
        scheme = "http" if settings.tls_cert is None else "https"
        names = [method.name for method in _SERVICE.methods]
        self._server.add_generic_rpc_handlers([CallHandlers(app, names, scheme, tasks, shedder)])
        self._health = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        services = _SERVICE.full_name, health.SERVICE_NAME, reflection.SERVICE_NAME
        reflection.enable_server_reflection(services, self._server, _SERVICE.file.pool)
        self._follower: asyncio.Task[None] | None = None
        self._bind(settings)

    async def start(self) -> None:
        """Accept calls."""
        await self._update_health()
        await self._server.start()
        self._follower = asyncio.create_task(self._follow_readiness())

    async def stop(self) -> None:
        """Accept no more calls; let those in flight finish for the grace period."""
        await self._server.stop(self._grace_seconds)

    async def close(self) -> None:
        """Let the last responses leave, and end health watches."""
        if self._follower is not None:
            self._follower.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._follower
        await self._server.stop(_LAST_RESPONSES_SECONDS)

    def _bind(self, settings: Settings) -> None:
        host = settings.host.strip("[]")
        address = f"[{host}]:{settings.oip_grpc_port}" if ":" in host else f"{host or '[::]'}:{settings.oip_grpc_port}"
        try:
            if settings.tls_cert is None or settings.tls_key is None:
                self._server.add_insecure_port(address)
            else:
                pair = settings.tls_key.read_bytes(), settings.tls_cert.read_bytes()
                self._server.add_secure_port(address, grpc.ssl_server_credentials([pair]))
        except RuntimeError as error:
            raise OSError(f"cannot listen on {address}: {error}") from None
        log.info("gRPC on %s", address)

    async def _follow_readiness(self) -> None:
        while True:
            await asyncio.sleep(self._poll_seconds)
            await self._update_health()

    async def _update_health(self) -> None:
        status = _STATUS.SERVING if self._is_ready() else _STATUS.NOT_SERVING
        for service in ("", _SERVICE.full_name):
            await self._health.set(service, status)


def _options(settings: Settings, shared: bool) -> list[tuple[str, int]]:
    return [
        ("grpc.so_reuseport", int(shared)),
        ("grpc.max_receive_message_length", settings.max_body_bytes),
        ("grpc.max_send_message_length", -1),
        ("grpc.max_metadata_size", settings.max_header_bytes),
        ("grpc.max_concurrent_streams", settings.max_in_flight),
        ("grpc.max_connection_idle_ms", 300_000),
        ("grpc.max_connection_age_ms", 300_000),  # new connections spread over workers and replicas
    ]
