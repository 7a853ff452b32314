"""Read and write ``routing.json``: canary, shadow and fallback versions of the models.

    {"fashion_cnn": {"live": "stable",
                     "canary": {"version": 3, "percent": 10, "sticky": "header:x-user"},
                     "shadow": {"version": 4, "percent": 5},
                     "fallback": ["previous", 1]}}

All keys and the file itself are optional. A version is a number or a label of ``models.config``, which must load it.
Only requests that name neither version nor label are routed. :mod:`serving.artifacts.rollout` writes the file;
:mod:`serving.gateway.models.routing` applies it.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

Version = Annotated[int, Field(gt=0, lt=2**63)] | Annotated[str, Field(min_length=1, description="a label")]
Percent = Annotated[float, Field(ge=0, le=100)]
#: What identifies a returning caller: its API key, a header, or a cookie, which the gateway sets if it is missing.
Sticky = Annotated[str, Field(pattern=r"^(key|header:[A-Za-z0-9-]+|cookie:[A-Za-z0-9_-]+)$")]


class RoutingError(ValueError):
    """The file is not a valid routing.json. The message says where."""


class _RoutingPart(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Canary(_RoutingPart):
    """This version answers ``percent`` of the requests.

    With ``sticky`` a caller keeps its version, and a growing percentage only adds callers. Without it, each request is
    drawn independently.
    """

    version: Version
    percent: Percent
    sticky: Sticky | None = None


class Shadow(_RoutingPart):
    """This version receives a copy of ``percent`` of the requests after their responses, for comparison."""

    version: Version
    percent: Percent = 100


class RoutingEntry(_RoutingPart):
    """The routing of one model. ``fallback`` versions answer, in order, if the ``live`` one is not AVAILABLE."""

    live: Version = "stable"
    canary: Canary | None = None
    shadow: Shadow | None = None
    fallback: tuple[Version, ...] = ()


Routing = Mapping[str, RoutingEntry]
_FILE = TypeAdapter(dict[str, RoutingEntry])


def parse(text: str | bytes, origin: str = "routing.json") -> dict[str, RoutingEntry]:
    """Parse the file's content. Returns the entries by model.

    Raises:
        RoutingError: The content is not JSON, or a key is unknown, missing, of a wrong type or out of range.
    """
    try:
        return _FILE.validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the document"
        raise RoutingError(f"{origin}: {where}: {first['msg']}") from None


def read(path: Path) -> dict[str, RoutingEntry]:
    """Read the file. Returns the entries by model; none if the file does not exist.

    Raises:
        RoutingError: See :func:`parse`.
    """
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise RoutingError(f"{path} cannot be read: {error}") from None
    return parse(text, str(path))


def render(routing: Routing) -> str:
    """Write the entries as JSON text. Omits default values."""
    content = {name: entry.model_dump(mode="json", exclude_defaults=True) for name, entry in sorted(routing.items())}
    return json.dumps(content, indent=2) + "\n"
