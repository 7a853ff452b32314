"""Open the request log that the settings describe."""

import functools
import socket
from collections.abc import Callable, Mapping

from serving.gateway.models.routing import ModelState
from serving.gateway.observability.metrics import GatewayMetrics
from serving.gateway.observability.request_log.request_log import LogTarget, RequestLog
from serving.gateway.observability.request_log.settings import RequestLogSettings

Models = Callable[[], Mapping[str, ModelState]]


def open_request_log(
    settings: RequestLogSettings, port: int, models: Models, metrics: GatewayMetrics
) -> RequestLog | None:
    """Start the request log.

    Args:
        settings: where and what to log.
        port: of the gateway, for the source of events.
        models: returns the current state of the models.
        metrics: counts written and dropped entries.

    Returns:
        None if no log is configured.

    Raises:
        OSError: the log's folder cannot be created.
    """
    if not settings.request_log:
        return None
    takes_pictures = functools.partial(_takes_pictures, models)
    target = _target(settings, f"http://{socket.gethostname()}:{port}/")
    return RequestLog(settings, target, takes_pictures, metrics.log_written, metrics.log_dropped)


def _target(settings: RequestLogSettings, source: str) -> LogTarget:
    if settings.request_log_scheme in ("http", "https"):
        from serving.gateway.observability.request_log.cloud_events import CloudEvents  # imports httpx

        return CloudEvents(settings, source)
    from serving.gateway.observability.request_log.files import LogFiles

    return LogFiles(settings)


def _takes_pictures(models: Models, name: str, version: int | None) -> bool:
    state = models().get(name)
    if state is None:
        return True
    answered = state.versions.get(version) if version is not None else None
    versions = state.versions.values() if answered is None else [answered]
    return any(one.card is not None and one.card.kind == "image" for one in versions)
