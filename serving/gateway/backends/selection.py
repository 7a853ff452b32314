"""Selection of the back end by the settings."""

from serving.gateway.backends.base import ModelServer
from serving.gateway.backends.tf_serving.backend import TFServingBackend
from serving.gateway.backends.tf_serving.grpc_client import Channel, client_ssl_context
from serving.gateway.settings import Settings, addresses


def open_model_server(settings: Settings) -> ModelServer:
    """Open the embedded back end if ``exports`` is set, otherwise TensorFlow Serving's. Needs a running event loop."""
    if settings.exports is not None:
        from serving.gateway.backends.embedded import EmbeddedBackend, EmbeddedSettings  # imports onnxruntime

        return EmbeddedBackend(
            EmbeddedSettings(
                settings.exports,
                settings.models_config,
                settings.poll_seconds,
                settings.verify_key_file,
                settings.model_server_host,
                settings.model_server_grpc_port,
                settings.model_server_rest_port,
            )
        )
    ca = settings.model_server_ca
    ssl_context = None
    if ca is not None:
        ssl_context = client_ssl_context(ca, settings.model_server_cert, settings.model_server_key)
    channel = Channel(addresses(settings.model_server), ssl_context, max_message_bytes=settings.max_answer_bytes)
    return TFServingBackend(channel, settings.model_server)
