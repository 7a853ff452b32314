"""Page of the model card."""

from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from serving.artifacts.model_card import ModelCard
from tests.docs.reference.markdown import code, page, table

_INTRODUCTION = """
Each version has a model card, the JSON file `assets.extra/card.json`. Training writes it, the `describe` signature
returns it, and the gateway reads from it how requests look: labels, sizes, units and ranges. `GET /v1/models/M/card`
returns the card of the version that answers.

An unknown field is an error: a gateway that is older than a version's card serves that version as tensors only.
"""


def render() -> str:
    """Return the page."""
    parts: list[type[BaseModel]] = [ModelCard]
    for part in parts:  # grows
        for field in part.model_fields.values():
            parts += [inner for inner in _models(field.annotation) if inner not in parts]
    sections = []
    for part in parts:
        rows = [(code(name), _type(field.annotation), _text(field)) for name, field in part.model_fields.items()]
        sections += [f"## {part.__name__}", (part.__doc__ or "").partition("\n")[0]]
        sections.append(table(("field", "type", "description"), rows))
    return page("Model card", "serving/artifacts/model_card.py", _INTRODUCTION, *sections)


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in get_args(annotation) for model in _models(argument)]


def _text(field: FieldInfo) -> str:
    required = "" if field.is_required() or field.default in (None, (), {}) else f"default {code(field.default)}"
    optional = "" if field.is_required() else "optional"
    return "; ".join(part for part in (field.description, required or optional) if part)


def _type(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return " or ".join(code(value) for value in arguments)
    if origin in (UnionType, Union):
        return " or ".join("null" if one is NoneType else _type(one) for one in arguments)
    if origin is dict:
        return f"object of {_type(arguments[1])} by name"
    if origin is tuple:
        return f"list of {_type(arguments[0])}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return f"[{annotation.__name__}](#{annotation.__name__.lower()})"
    names = {"str": "string", "int": "integer", "float": "number", "bool": "boolean", "datetime": "date and time"}
    return names.get(annotation.__name__, annotation.__name__)
