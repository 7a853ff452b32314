"""The smallest parts of the OpenAPI document's schemas."""

from typing import Any

TEXT = {"type": "string"}


def object_of(required: dict[str, Any], optional: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """The schema of an object with these properties."""
    return {"type": "object", "required": list(required), "properties": required | (optional or {}), **more}


def ref(name: str) -> dict[str, str]:
    """The schema of that name."""
    return {"$ref": f"#/components/schemas/{name}"}
