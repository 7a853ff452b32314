"""The gateway's settings: flags of ``python -m serving.gateway`` or ``VITRINE_…`` variables; a flag wins."""

import importlib.util
import ipaddress
import re
import ssl
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, CliImplicitFlag, SettingsConfigDict

from serving.gateway.backends.tf_serving.grpc_client import Address
from serving.gateway.http import keys_file as keys

_STORAGE = re.compile(r"memory://|rediss?://.+|redis\+unix://.+")

_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^/A-Z\s]+|\*")

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(gt=0)]


class Settings(BaseSettings):
    """HTTP in front of TensorFlow Serving. Each flag is also a variable: --model-server is VITRINE_MODEL_SERVER."""

    model_config = SettingsConfigDict(
        env_prefix="VITRINE_",
        env_ignore_empty=True,
        extra="forbid",
        frozen=True,
        cli_prog_name="python -m serving.gateway",
        cli_kebab_case=True,
        cli_hide_none_type=True,
        cli_avoid_json=True,
    )

    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(8000, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    model_server: str = Field(
        "127.0.0.1:8500",
        description="gRPC address of the model server: host:port, several with commas, or unix:/path",
    )
    models_config: Path = Field(
        Path("exports/models.config"), description="the file that names the models and their labels, re-read on change"
    )
    models: str = Field("", description="model names with commas; where given, models_config is not read")
    routing: Path = Field(
        Path("exports/routing.json"), description="the file of canaries, shadows and fallbacks, re-read on change"
    )
    poll_seconds: Positive = Field(1.0, description="how often model states and the files are looked at")

    keys: Path | None = Field(
        None, description="the file of keys, re-read on change; needed where the address is not this machine's own"
    )
    insecure: CliImplicitFlag[bool] = Field(False, description="serve every address without keys")
    metrics_need_key: CliImplicitFlag[bool] = Field(False, description="whether /metrics needs a key too")
    rate: str = Field(
        "", description="most requests of a key (without keys: of an address), as in 10/second; beyond it 429"
    )
    rate_storage: str = Field(
        "memory://", description="where requests are counted: memory://, or redis://HOST:PORT for several gateways"
    )
    cors_origins: str = Field("", description="origins with commas whose pages may ask, as in https://shop.example")
    tls_cert: Path | None = Field(None, description="certificate chain (PEM) for HTTPS")
    tls_key: Path | None = Field(None, description="its private key (PEM)")
    model_server_ca: Path | None = Field(
        None, description="certificates (PEM) that the model server's is checked against; with it, gRPC is by TLS"
    )
    model_server_cert: Path | None = Field(None, description="certificate (PEM) that the model server is shown")
    model_server_key: Path | None = Field(None, description="its private key (PEM)")

    deadline_seconds: Positive = Field(10.0, description="longest time for one request; X-Request-Timeout shortens it")
    max_headers: Count = Field(100, description="most headers in a request")
    max_header_bytes: Count = Field(32_768, description="most bytes in a request's head")
    head_seconds: Positive = Field(
        10.0, description="longest time for a request's head to come, or for what follows a request that was answered"
    )
    keep_alive_seconds: Positive = Field(
        75.0, description="longest time for a connection without a request; above what a proxy in front keeps them"
    )
    send_seconds: Positive = Field(30.0, description="longest time for a client to read another 16 KiB of its answer")
    max_body_bytes: Count = Field(32_000_000, description="largest request body")
    max_pixels: Count = Field(25_000_000, description="most pixels in a decoded picture; JPEGs are reduced first")
    max_rows: Count = Field(
        128, description="most pictures or series in a request, and rows in a call; requests of more tensors are split"
    )
    max_in_flight: Count = Field(1024, description="most requests under way for one model; beyond it 503 at once")
    max_share: float = Field(
        0.5,
        gt=0,
        le=1,
        description="largest share of a model's requests under way, and of the bytes held, for one key "
        "(without keys: one address); 1 for all",
    )
    max_queue_rows: Count = Field(2048, description="most rows that wait for one signature; beyond it 503 at once")
    max_bytes_in_flight: Count = Field(
        256_000_000, description="memory budget: most bytes that all requests hold, as sent and decoded"
    )
    max_answer_bytes: Count = Field(32_000_000, description="largest answer of the model server to one call")
    calls_per_signature: Count = Field(2, description="calls to the model server at the same time, by signature")
    decode_threads: Count = Field(2, description="threads for large bodies: JSON, pictures, decompression, answers")
    retry_after_seconds: Count = Field(1, description="what a 503 answer says in Retry-After")

    drain_seconds: float = Field(
        0.0, ge=0, allow_inf_nan=False, description="on SIGTERM: how long /readyz says 503 before the port is closed"
    )
    grace_seconds: Positive = Field(30.0, description="on SIGTERM: longest time for requests under way to finish")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="lowest level that is logged")
    log_format: Literal["json", "text"] = Field("json", description="json, one object a line, or text")
    access_log: float = Field(0.0, ge=0, le=1, description="share of requests that are logged: 0 none, 1 all")
    drift_per_second: float = Field(
        5.0, ge=0, description="requests of a version that are compared with its training, at most; 0 for none"
    )

    @property
    def model_names(self) -> tuple[str, ...]:
        """The names in ``models``; empty where ``models_config`` says them."""
        return tuple(name.strip() for name in self.models.split(",") if name.strip())

    @property
    def origins(self) -> tuple[str, ...]:
        """The origins in ``cors_origins``."""
        return tuple(origin.strip() for origin in self.cors_origins.split(",") if origin.strip())

    @model_validator(mode="after")
    def _check(self) -> Self:
        addresses(self.model_server)
        self._check_door()
        self._check_files()
        return self

    def _check_door(self) -> None:
        if self.keys is None:
            if not is_loopback(self.host) and not self.insecure:
                raise ValueError(
                    f"{self.host} can be reached from other machines, so keys are needed: --keys=FILE, which "
                    "vitrine keys create NAME --keys FILE makes; or --insecure"
                )
        elif not self.keys.is_file():
            raise ValueError(f"there is no file {self.keys}; vitrine keys create NAME --keys {self.keys} makes it")
        else:
            keys.read(self.keys)
        if self.rate:
            keys.check_rate(self.rate)
        for origin in self.origins:
            if not _ORIGIN.fullmatch(origin):
                raise ValueError(
                    f"{origin!r} is no origin as browsers send it: https://shop.example, or https://shop.example:8443, "
                    "with nothing behind"
                )
        if not _STORAGE.fullmatch(self.rate_storage):
            raise ValueError(f"rate storage {self.rate_storage!r} is neither memory:// nor redis://HOST:PORT")
        if not self.rate_storage.startswith("memory") and importlib.util.find_spec("redis") is None:
            raise ValueError(f"rate storage {self.rate_storage} needs the redis library: pip install vitrine[redis]")

    def _check_files(self) -> None:
        for cert, key in (("tls_cert", "tls_key"), ("model_server_cert", "model_server_key")):
            if (getattr(self, cert) is None) != (getattr(self, key) is None):
                raise ValueError(f"{cert} and {key} go together")
        if self.model_server_cert is not None and self.model_server_ca is None:
            raise ValueError("model_server_cert is shown by TLS alone, which model_server_ca asks for")
        for name in ("tls_cert", "tls_key", "model_server_ca", "model_server_cert", "model_server_key"):
            path = getattr(self, name)
            if path is not None and not path.is_file():
                raise ValueError(f"{name}: there is no file {path}")
        if self.tls_cert is not None and self.tls_key is not None:
            try:
                ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(self.tls_cert, self.tls_key, _no_password)
            except (OSError, ValueError) as error:
                raise ValueError(f"tls_cert and tls_key are no certificate and its key in PEM: {error}") from None


def _no_password() -> str:
    raise ValueError("the key has a password, which nobody is there to type")


def addresses(text: str) -> tuple[Address, ...]:
    """The addresses in a setting: host:port with commas between, or one unix:/path.

    Raises:
        ValueError: one of them is something else.
    """
    path = text.removeprefix("unix:")
    if path != text:
        if not path:
            raise ValueError("model server address 'unix:' lacks the path of its socket")
        return (Address(path, 0),)
    found = []
    for part in text.removeprefix("dns:///").split(","):
        host, colon, port = part.strip().rpartition(":")
        if not colon or not host or "/" in host or not port.isdecimal() or not 0 < int(port) < 65536:
            raise ValueError(f"model server address {part.strip()!r} is not host:port")
        found.append(Address(host.strip("[]"), int(port)))
    return tuple(found)


def is_loopback(host: str) -> bool:
    """Whether an address to listen on can be reached from this machine alone."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
