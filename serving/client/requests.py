"""A request to the gateway as a value: method, path, body, and how to parse the response."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from urllib.parse import quote

import httpx

from serving.client import errors
from serving.client.errors import VitrineError

T = TypeVar("T")

NPY = "application/x-npy"


@dataclass(frozen=True)
class ClientRequest(Generic[T]):
    """One request. ``read`` makes the result from a successful response."""

    method: str
    path: str
    read: Callable[[httpx.Response], T]
    content: Mapping[str, Any] = field(default_factory=dict)  # arguments of httpx: params, headers, content, files

    def parse(self, response: httpx.Response) -> T:
        """Return the result of a call.

        Raises:
            VitrineError: The response does not have the gateway's form.
        """
        try:
            return self.read(response)
        except Exception as error:  # a foreign server can answer anything
            raise errors.from_unreadable(response, error) from error


def model_path(model: str, verb: str, version: int | None, label: str | None) -> str:
    """Build the path of a model's verb.

    Raises:
        VitrineError: Both a version and a label are given, or a name is not a string.
    """
    if version is not None and label is not None:
        raise VitrineError("both version and label are given; give one of them", "bad_option")
    try:
        name, chosen = quote(model, ""), ""
        if version is not None:
            chosen = f"/versions/{quote(str(version), '')}"
        elif label:
            chosen = f"/labels/{quote(label, '')}"
    except (TypeError, UnicodeError) as error:
        raise VitrineError(f"model and label must be strings: {error}", "bad_option") from error
    return f"/v1/models/{name}{chosen}{verb}"
