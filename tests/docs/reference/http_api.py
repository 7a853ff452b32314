"""Page of the HTTP API, from the OpenAPI document."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

from serving.gateway.app import create_app
from serving.gateway.settings import Settings
from tests.docs.reference.markdown import code, page, table

_INTRODUCTION = """
A running gateway has the same as a document, `/openapi.json`, and as a page to try it, `/docs`. Paths of a model
exist in three forms, of which this page shows the first: `/v1/models/M`, the version that answers by default (the one
with the label `stable`), `/v1/models/M/versions/3`, and `/v1/models/M/labels/canary`. Every answer names its version.

Two headers go with every request to a model. `X-Request-Id`, 1 to 128 letters, digits or `._:/+=@-`, comes back with
the answer. `X-Request-Timeout` (`1.5`, `1.5s` or `250ms`) says how long you wait; it only shortens the deadline.

[APIs and protocols](apis.md) is the overview, [errors](errors.md) lists all codes, and [differences from TensorFlow
Serving](tensorflow-serving.md) compares both.
"""


def render() -> str:
    """Return the page."""
    document = asyncio.run(_document())
    by_tag: dict[str, list[str]] = {}
    for path, item in document["paths"].items():
        if "/versions/" in path or "/labels/" in path:
            continue
        for method, operation in item.items():
            by_tag.setdefault(operation["tags"][-1], []).extend(_operation(method, path, operation))
    parts = [part for tag in sorted(by_tag, key=_order) for part in (f"## {tag[0].upper()}{tag[1:]}", *by_tag[tag])]
    return page("HTTP API", "the gateway's OpenAPI document", _INTRODUCTION, *parts)


async def _document() -> dict[str, Any]:
    return create_app(Settings.model_construct(**_defaults())).openapi()


def _defaults() -> dict[str, Any]:
    """Return the settings' defaults, whatever variables are set."""
    return {name: field.default for name, field in Settings.model_fields.items()}


def _order(tag: str) -> tuple[int, str]:
    first = ("inference", "models", "operations")
    return (first.index(tag), "") if tag in first else (len(first), tag)


def _operation(method: str, path: str, operation: dict[str, Any]) -> Iterator[str]:
    yield f"### {method.upper()} {path}"
    yield f"{operation['summary'].rstrip('.?')}. {operation.get('description', '').partition('Answered by ')[0]}"
    parameters = [one for one in operation.get("parameters", []) if one["in"] == "query"]
    if parameters:
        rows = [(code(one["name"]), one.get("description", "")) for one in parameters]
        yield table(("parameter", "description"), rows)
    body = operation.get("requestBody", {}).get("content", {})
    if body:
        yield f"Content types: {', '.join(code(kind) for kind in body)}."
        yield from _examples("Bodies", body)
    yield from _examples("Answers", operation["responses"]["200"].get("content", {}))


def _examples(what: str, contents: dict[str, Any]) -> Iterator[str]:
    """Yield the examples of JSON, one a line."""
    content = contents.get("application/json", {})
    examples = [content["example"]] if "example" in content else []
    examples += [one["value"] for one in content.get("examples", {}).values()]
    lines = "\n".join(json.dumps(example, ensure_ascii=False) for example in examples)
    if lines:
        yield f"{what}:"
        yield f"```json\n{lines}\n```"
