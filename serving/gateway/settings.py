"""The gateway's settings: flags of ``python -m serving.gateway`` or ``VITRINE_…`` variables; a flag wins."""

import ipaddress
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(gt=0)]


class Settings(BaseSettings):
    """HTTP in front of TensorFlow Serving. Each flag is also a variable: --model-server is VITRINE_MODEL_SERVER."""

    model_config = SettingsConfigDict(
        env_prefix="VITRINE_",
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
        description="gRPC address of the model server: host:port, several IP addresses with commas, or unix:/path",
    )
    models_config: Path = Field(
        Path("exports/models.config"), description="the file that names the models and their labels, re-read on change"
    )
    models: str = Field("", description="model names with commas; where given, models_config is not read")
    poll_seconds: Positive = Field(1.0, description="how often model states and models_config are looked at")

    deadline_seconds: Positive = Field(10.0, description="longest time for one request")
    max_body_bytes: Count = Field(32_000_000, description="largest request body")
    max_pixels: Count = Field(50_000_000, description="most pixels in a picture, told from its header")
    max_rows: Count = Field(128, description="most pictures or series in a request, and most rows in a merged call")
    max_in_flight: Count = Field(1024, description="most requests under way for one model; beyond it 503 at once")
    max_bytes_in_flight: Count = Field(256_000_000, description="most bytes of request bodies held at once")
    calls_per_signature: Count = Field(2, description="calls to the model server at the same time, by signature")
    decode_threads: Count = Field(2, description="threads that decode large pictures")
    retry_after_seconds: Count = Field(1, description="what a 503 answer says in Retry-After")

    drain_seconds: float = Field(
        0.0, ge=0, description="on SIGTERM: how long /readyz says 503 before the port is closed"
    )
    grace_seconds: Positive = Field(30.0, description="on SIGTERM: longest time for requests under way to finish")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="lowest level that is logged")
    access_log: float = Field(0.0, ge=0, le=1, description="share of requests that are logged: 0 none, 1 all")

    @property
    def model_names(self) -> tuple[str, ...]:
        """The names in ``models``; empty where ``models_config`` says them."""
        return tuple(name.strip() for name in self.models.split(",") if name.strip())

    @property
    def target(self) -> str:
        """``model_server`` as gRPC wants it, see :func:`target`."""
        return target(self.model_server)

    @model_validator(mode="after")
    def _check(self) -> Self:
        target(self.model_server)
        return self


def target(address: str) -> str:
    """A gRPC target: ``unix:`` as it is, IP addresses as ``ipv4:``/``ipv6:`` (several allowed), a name by ``dns:///``.

    Raises:
        ValueError: a port is missing, or a list holds something that is no IP address of one family.
    """
    if address.startswith(("unix:", "dns:")):
        return address
    parts = [part.strip() for part in address.split(",")]
    families = set()
    for part in parts:
        host, colon, port = part.rpartition(":")
        if not colon or not host or not port.isdecimal() or not 0 < int(port) < 65536:
            raise ValueError(f"model server address {part!r} is not host:port")
        try:
            families.add(f"ipv{ipaddress.ip_address(host.strip('[]')).version}")
        except ValueError:
            families.add("dns")
    if families == {"dns"} and len(parts) == 1:
        return f"dns:///{parts[0]}"
    if len(families) != 1 or "dns" in families:
        raise ValueError(
            f"model server addresses {address!r} must be IP addresses of one family, or one name that stands for all"
        )
    return f"{families.pop()}:{','.join(parts)}"
