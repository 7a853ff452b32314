"""``routing.json``: what share of a model's requests another version answers, or sees a copy of.

    {"fashion_cnn": {"live": "stable",
                     "canary": {"version": 3, "percent": 10, "sticky": "header:x-user"},
                     "shadow": {"version": 4, "percent": 5},
                     "fallback": ["previous", 1]}}

Every key may be left out, so may the file. A version is given by its number or by a label of ``models.config``, which
must have it loaded. Only requests that name neither version nor label are routed. See
:mod:`serving.artifacts.rollout` for the
commands that write it and :mod:`serving.gateway.models.routing` for what is made of it.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

Version = Annotated[int, Field(gt=0, lt=2**63)] | Annotated[str, Field(min_length=1, description="a label")]
Percent = Annotated[float, Field(ge=0, le=100)]
#: By what a caller is known again: its key, a header, or a cookie, which the gateway sets where there is none.
Sticky = Annotated[str, Field(pattern=r"^(key|header:[A-Za-z0-9-]+|cookie:[A-Za-z0-9_-]+)$")]


class RoutingError(ValueError):
    """The file is no valid routing.json; the message says where."""


class _RoutingPart(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Canary(_RoutingPart):
    """``percent`` of the requests are answered by this version. With ``sticky`` the same callers stay with it, and as
    the percentage grows more join but none leaves; without, each request is drawn on its own."""

    version: Version
    percent: Percent
    sticky: Sticky | None = None


class Shadow(_RoutingPart):
    """This version is asked what ``percent`` of the requests asked, after they were answered; answers are compared."""

    version: Version
    percent: Percent = 100


class RoutingEntry(_RoutingPart):
    """One model. ``fallback`` versions answer, in order, where the ``live`` one is not AVAILABLE."""

    live: Version = "stable"
    canary: Canary | None = None
    shadow: Shadow | None = None
    fallback: tuple[Version, ...] = ()


Routing = Mapping[str, RoutingEntry]
_FILE = TypeAdapter(dict[str, RoutingEntry])


def parse(text: str | bytes, origin: str = "routing.json") -> dict[str, RoutingEntry]:
    """Entries by model.

    Raises:
        RoutingError: not JSON; a key unknown, missing, of a wrong kind or out of its range.
    """
    try:
        return _FILE.validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the whole"
        raise RoutingError(f"{origin}: {where}: {first['msg']}") from None


def read(path: Path) -> dict[str, RoutingEntry]:
    """Entries by model; none where there is no file.

    Raises:
        RoutingError: see :func:`parse`.
    """
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise RoutingError(f"{path} cannot be read: {error}") from None
    return parse(text, str(path))


def render(routing: Routing) -> str:
    """The file's text, without what is as it would be anyway."""
    content = {name: entry.model_dump(mode="json", exclude_defaults=True) for name, entry in sorted(routing.items())}
    return json.dumps(content, indent=2) + "\n"
