"""Settings of the request log; the gateway's settings contain them."""

import importlib.util
import os
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings

from serving import extras
from serving.gateway.observability.request_log.redaction import Pictures, Redaction

_Count = Annotated[int, Field(gt=0)]
#: Package that each kind of object store needs.
_STORES = {"s3": "s3fs", "gs": "gcsfs"}


class RequestLogSettings(BaseSettings):
    """Where requests and answers are logged, how many, and what is left out of them."""

    # Request log
    request_log: str = Field(
        "",
        description="where requests and their answers are logged: a folder, s3://… or gs://…, or an http(s):// address "
        "that takes CloudEvents; empty for no log",
    )
    request_log_sample: float = Field(1.0, ge=0, le=1, description="share of requests in the log, from 0 to 1")
    request_log_format: Literal["jsonl", "parquet"] = Field("jsonl", description="format of the log's files")
    request_log_pictures: Pictures = Field(
        "hash",
        description="pictures and other binary bodies in the log: their SHA-256 (hash), size (drop), or all of it",
    )
    request_log_redact: str = Field(
        "",
        description="JSON fields whose values are left out of the log, separated by commas: a name at any depth, or a "
        "path such as $.features.age",
    )
    request_log_max_bytes: _Count = Field(
        262_144, description="maximum size of a logged body or answer; of larger ones the log has only the size"
    )
    request_log_queue_bytes: _Count = Field(
        32_000_000, description="memory for entries that wait to be written, in bytes; above it they are dropped"
    )
    request_log_file_bytes: _Count = Field(
        16_000_000, description="size at which a file of the log is written, in bytes"
    )
    request_log_file_seconds: float = Field(
        60.0, gt=0, allow_inf_nan=False, description="age at which a file of the log is written, in seconds"
    )
    request_log_disk_bytes: _Count = Field(
        1_000_000_000, description="maximum size of the log's folder, in bytes; the oldest files are removed"
    )

    @property
    def request_log_scheme(self) -> str:
        """The scheme of ``request_log``; empty for a folder."""
        scheme, separator, _ = self.request_log.partition("://")
        return scheme.lower() if separator else ""

    @model_validator(mode="after")
    def _check_request_log(self) -> Self:
        Redaction(self.request_log_redact, self.request_log_pictures)
        if not self.request_log:
            # Workers always get their share of the queue's memory.
            needless = sorted(
                name for name in self.model_fields_set - {"request_log_queue_bytes"} if name.startswith("request_log_")
            )
            if needless:
                raise ValueError(f"{needless[0]} needs request_log: a folder, s3://…, gs://… or an http(s):// address")
            return self
        scheme = self.request_log_scheme
        if scheme in _STORES:
            package = next((name for name in ("fsspec", _STORES[scheme]) if not importlib.util.find_spec(name)), None)
            if package is not None:
                raise ValueError(extras.needs(f"request_log {self.request_log}", package))
        elif scheme in ("http", "https"):
            self._check_address()
        elif scheme:
            raise ValueError(
                f"request_log: {self.request_log!r} is neither a folder nor an address with s3://, gs://, http:// or "
                "https://"
            )
        else:
            self._check_folder(Path(self.request_log))
        if self.request_log_format == "parquet" and importlib.util.find_spec("pyarrow") is None:
            raise ValueError(extras.needs("request_log_format parquet", "pyarrow"))
        return self

    def _check_address(self) -> None:
        if not _host(self.request_log):
            raise ValueError(
                f"request_log: {self.request_log!r} names no host; write it like http://broker.example/path"
            )
        if "request_log_format" in self.model_fields_set:
            raise ValueError("request_log_format is for files, but request_log takes CloudEvents: remove one of them")

    def _check_folder(self, folder: Path) -> None:
        if folder.exists() and not folder.is_dir():
            raise ValueError(f"request_log: {folder} is not a folder")
        existing = next(one for one in (folder, *folder.absolute().parents) if one.is_dir())
        if not os.access(existing, os.W_OK | os.X_OK):
            raise ValueError(f"request_log: this process cannot write to {existing}; choose a folder that it can")
        if self.request_log_disk_bytes < self.request_log_file_bytes:
            raise ValueError(
                f"request_log_disk_bytes is {self.request_log_disk_bytes}, less than one file "
                f"(request_log_file_bytes {self.request_log_file_bytes}): raise it, or lower the other"
            )


def _host(address: str) -> str | None:
    try:
        parts = urlsplit(address)
        _ = parts.port
        return parts.hostname
    except ValueError:
        return None
