"""Settings of the gateway: flags of ``python -m serving.gateway``, or ``VITRINE_…`` variables.

A flag overrides a variable.
"""

import importlib.util
import ipaddress
import re
import ssl
import sys
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, CliImplicitFlag, PydanticBaseSettingsSource, SettingsConfigDict

from serving import extras
from serving.gateway.backends.tf_serving.grpc_client import Address
from serving.gateway.http import keys_file
from serving.gateway.http.trusted_proxies import IPNetwork, parse_networks
from serving.gateway.observability.request_log.settings import RequestLogSettings
from serving.gateway.platforms import Platform, PlatformVariables

_STORAGE = re.compile(r"memory://|rediss?://.+|redis\+unix://.+")

_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^/A-Z\s]+|\*")

_OF_EXPORTS = ("model_server_host", "model_server_grpc_port", "model_server_rest_port", "verify_key_file")

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(gt=0)]


class KeysRequired(ValueError):
    """Other machines can reach the address, and there are no API keys."""


class Settings(RequestLogSettings):
    """HTTP gateway for TensorFlow Serving. Each flag is also a variable: --model-server is VITRINE_MODEL_SERVER."""

    model_config = SettingsConfigDict(
        env_prefix="VITRINE_",
        env_ignore_empty=True,
        extra="forbid",
        frozen=True,
        cli_kebab_case=True,
        cli_hide_none_type=True,
        cli_avoid_json=True,
    )

    # Listening
    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(8000, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    oip_grpc_port: int = Field(
        0, ge=0, le=65535, description="port of the Open Inference Protocol's gRPC service; 0 for none"
    )
    workers: Count | Literal["auto"] = Field(
        1, description="gateway processes on the port; auto: one per processor, as far as the memory limit allows"
    )
    tls_cert: Path | None = Field(None, description="certificate chain for HTTPS, PEM file")
    tls_key: Path | None = Field(None, description="private key of tls_cert, PEM file")
    platform: Platform | None = Field(
        None,
        description="hosting platform that authenticates callers and sets the port; Vertex AI and Cloud Run are "
        "detected",
    )

    # Model server and models
    exports: Path | None = Field(
        None, description="folder of all models: run their ONNX exports in this process, without a model server"
    )
    model_server: str = Field(
        "127.0.0.1:8500",
        description="gRPC address of the model server: host:port, several separated by commas, or unix:/path",
    )
    model_server_ca: Path | None = Field(
        None, description="CA certificates of the model server, PEM file; if set, gRPC uses TLS"
    )
    model_server_cert: Path | None = Field(None, description="client certificate for the model server, PEM file")
    model_server_key: Path | None = Field(None, description="private key of model_server_cert, PEM file")
    model_server_host: str = Field("127.0.0.1", description="with exports: address of the two ports below")
    model_server_grpc_port: int = Field(
        0, ge=0, le=65535, description="with exports: port of TensorFlow Serving's gRPC API, without keys; 0 for none"
    )
    model_server_rest_port: int = Field(
        0, ge=0, le=65535, description="with exports: port of TensorFlow Serving's REST API, without keys; 0 for none"
    )
    verify_key_file: Path | None = Field(
        None, description="with exports: public key, PEM file; versions without its signature are not loaded"
    )
    models_config: Path = Field(
        Path("exports/models.config"), description="file of the model names and labels, reloaded on change"
    )
    models: str = Field("", description="model names, separated by commas; replaces models_config")
    default_model: str = Field(
        "", description="model of paths that name none, such as /invocations; without it, the only model"
    )
    routing: Path = Field(
        Path("exports/routing.json"), description="file of canaries, shadows and fallbacks, reloaded on change"
    )
    poll_seconds: Positive = Field(1.0, description="interval at which model states and files are checked, in seconds")

    # Who may call
    keys: Path | None = Field(
        None, description="file of API keys, reloaded on change; required if other machines can reach the address"
    )
    insecure: CliImplicitFlag[bool] = Field(False, description="serve any address without API keys")
    admin: CliImplicitFlag[bool] = Field(
        False,
        description="without keys, on a loopback address: allow :promote, :canary and :rollback; otherwise a key with "
        "the verb admin does",
    )
    metrics_need_key: CliImplicitFlag[bool] = Field(False, description="require an API key for /metrics")
    rate: str = Field(
        "", description="rate limit per API key, or per address without keys, such as 10/second; above it 429"
    )
    rate_storage: str = Field(
        "memory://", description="storage of the rate limits: memory://, or redis://HOST:PORT for several gateways"
    )
    trusted_proxies: str = Field(
        "",
        description="networks of proxies whose X-Forwarded-For and Forwarded headers name the client, separated by "
        "commas, such as 10.0.0.0/8",
    )
    cors_origins: str = Field(
        "", description="origins whose web pages may call, separated by commas, such as https://shop.example"
    )

    # Limits of one request and its connection
    deadline_seconds: Positive = Field(
        10.0, description="time limit for a request, in seconds; the header X-Request-Timeout lowers it"
    )
    max_headers: Count = Field(100, description="maximum number of headers in a request")
    max_header_bytes: Count = Field(32_768, description="maximum size of a request's head, in bytes")
    head_seconds: Positive = Field(
        10.0, description="time limit for a request's head, or for the rest of a rejected body, in seconds"
    )
    keep_alive_seconds: Positive = Field(
        75.0, description="idle time before a connection is closed, in seconds; set it above the proxy's own"
    )
    send_seconds: Positive = Field(
        30.0, description="time limit for a client to read each 16 KiB of a response, in seconds"
    )
    max_body_bytes: Count = Field(32_000_000, description="maximum size of a request body, in bytes")
    max_pixels: Count = Field(25_000_000, description="maximum number of pixels in a decoded picture")
    max_rows: Count = Field(
        128, description="maximum number of rows in a request and in a call; larger tensor requests are split"
    )
    max_answer_bytes: Count = Field(32_000_000, description="maximum size of a model server response, in bytes")

    # Limits of all requests together; several workers divide them
    max_in_flight: Count = Field(1024, description="maximum requests in flight per model; above it 503")
    max_share: float = Field(
        0.5,
        gt=0,
        le=1,
        description="maximum share of max_in_flight and of max_bytes_in_flight for one API key, or one address "
        "without keys; 1 for no limit",
    )
    overload_seconds: float = Field(
        0.1,
        ge=0,
        allow_inf_nan=False,
        description="processor time that the requests in progress may need together, in seconds; above it 503 until a "
        "fifth of it is needed; 0 for no limit",
    )
    max_queue_rows: Count = Field(2048, description="maximum rows that wait for one signature; above it 503")
    max_bytes_in_flight: Count = Field(
        256_000_000, description="memory budget of all requests, as received and as decoded, in bytes; above it 503"
    )
    calls_per_signature: Count = Field(
        2, description="concurrent calls to the model server per signature, of each worker"
    )
    decode_threads: Count = Field(2, description="threads that decode large bodies and encode large responses")
    retry_after_seconds: Count = Field(1, description="Retry-After header of 503 responses, in seconds")

    # Operation
    drain_seconds: float = Field(
        0.0,
        ge=0,
        allow_inf_nan=False,
        description="time after SIGTERM during which /readyz is 503 and the port stays open, in seconds",
    )
    grace_seconds: Positive = Field(
        30.0, description="time limit for requests in flight after the port is closed, in seconds"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="minimum level of log records")
    log_format: Literal["json", "text"] = Field("json", description="format of log lines")
    access_log: float = Field(0.0, ge=0, le=1, description="share of requests that are logged, from 0 to 1")
    drift_per_second: float = Field(
        5.0, ge=0, description="maximum requests per second and version that drift statistics use; 0 for none"
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Put the platform's variables between flags and ``VITRINE_…`` variables."""
        return init_settings, PlatformVariables(settings_cls), env_settings

    @property
    def model_names(self) -> tuple[str, ...]:
        """The names in ``models``; empty if ``models_config`` names them."""
        return tuple(name.strip() for name in self.models.split(",") if name.strip())

    @property
    def origins(self) -> tuple[str, ...]:
        """The origins in ``cors_origins``."""
        return tuple(origin.strip() for origin in self.cors_origins.split(",") if origin.strip())

    @property
    def proxy_networks(self) -> tuple[IPNetwork, ...]:
        """The networks in ``trusted_proxies``."""
        return parse_networks(self.trusted_proxies)

    @model_validator(mode="before")
    @classmethod
    def _locate_files(cls, given: dict[str, Any]) -> dict[str, Any]:
        """Look for models.config and routing.json in the folder of the models."""
        if not given.get("exports"):
            return given
        exports = Path(given["exports"])
        return {"models_config": exports / "models.config", "routing": exports / "routing.json", **given}

    @model_validator(mode="after")
    def _check(self) -> Self:
        self._check_model_server()
        if self.workers not in (1, "auto") and sys.platform != "linux":
            raise ValueError(f"workers is {self.workers}, but several processes share a port on Linux only: set 1")
        self._check_oip_grpc_port()
        self._check_keys()
        self._check_rate()
        self._check_origins()
        parse_networks(self.trusted_proxies)
        self._check_certificates()
        return self

    def _check_model_server(self) -> None:
        addresses(self.model_server)
        if self.exports is None:
            for name in _OF_EXPORTS:
                if getattr(self, name) != type(self).model_fields[name].default:
                    raise ValueError(f"{name} needs exports: it is a setting of the models in this process")
            return
        if "model_server" in self.model_fields_set:
            raise ValueError(
                "exports and model_server exclude each other: exports runs the models in this process, model_server "
                "calls another one. Remove one of them."
            )
        if not self.exports.is_dir():
            raise ValueError(f"exports: {self.exports} is not a folder")
        if importlib.util.find_spec("onnxruntime") is None:
            raise ValueError(extras.needs("exports", "onnxruntime"))
        if self.workers != 1 and (self.model_server_grpc_port or self.model_server_rest_port):
            raise ValueError(
                f"workers is {self.workers}, but only one worker can open TensorFlow Serving's ports: run the model "
                "server as a process of its own (model_server, or vitrine up --model-server-process), or set workers=1"
            )
        if self.verify_key_file is not None:
            from serving.artifacts.signing import Verifier  # imports cryptography

            Verifier(self.verify_key_file)

    def _check_oip_grpc_port(self) -> None:
        if not self.oip_grpc_port:
            return
        for package in ("grpc_health", "grpc_reflection"):
            if importlib.util.find_spec(package) is None:
                raise ValueError(extras.needs("oip_grpc_port", package))
        if self.oip_grpc_port in (self.port, self.model_server_grpc_port, self.model_server_rest_port):
            raise ValueError(f"oip_grpc_port is {self.oip_grpc_port}, as another port of this gateway: set another one")

    def _check_keys(self) -> None:
        if self.admin and (self.keys is not None or not is_loopback(self.host)):
            raise ValueError(
                "admin is for a gateway without keys on a loopback address: remove it, and create a key that may "
                "change versions with vitrine keys create NAME --verb admin"
            )
        if self.keys is None:
            if not is_loopback(self.host) and not self.insecure and self.platform is None:
                raise KeysRequired(
                    f"other machines can reach {self.host}, so API keys are required: --keys=FILE (vitrine keys create "
                    "NAME --keys FILE writes it), or --insecure"
                )
        elif not self.keys.is_file():
            raise ValueError(f"keys: {self.keys} is not a file; vitrine keys create NAME --keys {self.keys} writes it")
        else:
            keys_file.read(self.keys)

    def _check_rate(self) -> None:
        if self.rate:
            keys_file.check_rate(self.rate)
        if not _STORAGE.fullmatch(self.rate_storage):
            raise ValueError(f"rate storage {self.rate_storage!r} is neither memory:// nor redis://HOST:PORT")
        if not self.rate_storage.startswith("memory") and importlib.util.find_spec("redis") is None:
            raise ValueError(extras.needs(f"rate storage {self.rate_storage}", "redis"))

    def _check_origins(self) -> None:
        for origin in self.origins:
            if not _ORIGIN.fullmatch(origin):
                raise ValueError(
                    f"cors_origins: {origin!r} is not an origin; write scheme, host and port only, as in "
                    "https://shop.example or https://shop.example:8443"
                )

    def _check_certificates(self) -> None:
        for cert, key in (("tls_cert", "tls_key"), ("model_server_cert", "model_server_key")):
            if (getattr(self, cert) is None) != (getattr(self, key) is None):
                raise ValueError(f"{cert} and {key} must be set together")
        if self.model_server_cert is not None and self.model_server_ca is None:
            raise ValueError("model_server_cert needs TLS: set model_server_ca too")
        for name in ("tls_cert", "tls_key", "model_server_ca", "model_server_cert", "model_server_key"):
            path = getattr(self, name)
            if path is not None and not path.is_file():
                raise ValueError(f"{name}: {path} is not a file")
        if self.tls_cert is not None and self.tls_key is not None:
            try:
                ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(self.tls_cert, self.tls_key, _no_password)
            except (OSError, ValueError) as error:
                raise ValueError(
                    f"tls_cert and tls_key must be a certificate and its private key in PEM format: {error}"
                ) from None


def _no_password() -> str:
    raise ValueError("the private key has a password; store it without one")


def addresses(text: str) -> tuple[Address, ...]:
    """Parse a setting: host:port separated by commas, or one unix:/path.

    Raises:
        ValueError: one of them is neither.
    """
    path = text.removeprefix("unix:")
    if path != text:
        if not path:
            raise ValueError("model server address 'unix:' has no path; write unix:/path/to/socket")
        return (Address(path, 0),)
    found = []
    for part in text.removeprefix("dns:///").split(","):
        host, colon, port = part.strip().rpartition(":")
        if not colon or not host or "/" in host or not port.isdecimal() or not 0 < int(port) < 65536:
            raise ValueError(f"model server address {part.strip()!r} is not host:port")
        found.append(Address(host.strip("[]"), int(port)))
    return tuple(found)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address to listen on."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
