"""``GET /v1/models…``: the list of models, model cards, status and metadata.

Status and metadata have exactly TensorFlow Serving's keys, because some of its clients refuse others. The list has the
models twice: in the gateway's own form and in OpenAI's.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, Field

from serving.artifacts.model_card import ModelCard, ModelCardError
from serving.gateway.backends.base import ModelServer
from serving.gateway.errors import NotFound, Unavailable, UnknownModel, UnknownVersion, listed
from serving.gateway.http.keys_file import Key
from serving.gateway.models.exports_folder import ExportsFolder
from serving.gateway.models.model_version import ModelVersion
from serving.gateway.models.routing import ModelState, VersionChoice, choose
from serving.gateway.models.signature import Signature

_TIMEOUT = 5.0

ModelName = Annotated[str, Path(description="the model's name", examples=["fashion_cnn"])]
VersionNumber = Annotated[int, Path(description="the version's number", ge=0, lt=2**63, examples=[1])]
LabelName = Annotated[str, Path(description="a label of models.config", examples=["stable"])]


class VersionEntry(BaseModel):
    """One version of a model in the list."""

    version: int
    state: Annotated[str, Field(description="the model server's state", examples=["AVAILABLE"])]
    labels: Annotated[list[str], Field(description="labels that route to it now", examples=[["stable"]])]


class ModelEntry(BaseModel):
    """One configured model."""

    name: Annotated[str, Field(examples=["fashion_cnn"])]
    kind: Annotated[
        str | None, Field(description="image, series, table or signal; null without a model card", examples=["image"])
    ]
    title: Annotated[str | None, Field(examples=["Fashion-MNIST, small convolutional net"])]
    default_version: Annotated[int | None, Field(description="answers requests that name no version", examples=[1])]
    classes: Annotated[
        list[str], Field(description="class names of the default version, [] without", examples=[["O", "X"]])
    ]
    verbs: Annotated[list[str], Field(description="native verbs", examples=[["predict", "embed"]])]
    versions: list[VersionEntry]
    problem: Annotated[str | None, Field(description="why the model server did not answer", examples=[None])]


class OpenAIModel(BaseModel):
    """One model as OpenAI's API lists it."""

    id: Annotated[str, Field(examples=["fashion_cnn"])]
    object: Literal["model"] = "model"
    created: Annotated[
        int, Field(description="Unix time of the default version's training; 0 without a card", examples=[1767225600])
    ]
    owned_by: str = "vitrine"


class ModelList(BaseModel):
    """All models that the key may use."""

    models: list[ModelEntry]
    object: Literal["list"] = "list"
    data: Annotated[list[OpenAIModel], Field(description="the same models in OpenAI's form")]


class StatusCode(BaseModel):
    """Why a version is in its state."""

    error_code: Annotated[str, Field(examples=["OK"])] = "OK"
    error_message: str = ""


class ModelVersionStatus(BaseModel):
    """The state of one version."""

    version: Annotated[str, Field(description="the number as text", examples=["1"])]
    state: Annotated[str, Field(examples=["AVAILABLE"])]
    status: StatusCode


class ModelStatus(BaseModel):
    """TensorFlow Serving's response to GET /v1/models/MODEL."""

    model_version_status: list[ModelVersionStatus]


def router(
    models: Callable[[], Mapping[str, ModelState]], model_server: ModelServer, folder: ExportsFolder
) -> APIRouter:
    """Return the routes.

    Args:
        models: returns the current state of the models.
        model_server: returns the signatures of a version.
        folder: has the cards of versions that are not loaded.
    """
    routes = APIRouter(prefix="/v1/models", tags=["models"])

    def version_of(model: str, choice: VersionChoice) -> ModelVersion:
        return choose(models(), model, choice)

    @routes.get("", summary="All models")
    async def list_models(request: Request) -> ModelList:
        key: Key | None = request.state.key
        states = [state for state in models().values() if key is None or key.reaches(state.name)]
        return ModelList(models=[entry(state) for state in states], data=[openai_entry(state) for state in states])

    @routes.get("/{model}/card", summary="The model card of the version that answers by default")
    async def get_card(model: ModelName) -> ModelCard:
        return card(version_of(model, VersionChoice()))

    @routes.get("/{model}/versions/{version}/card", summary="The model card of a version")
    async def get_version_card(model: ModelName, version: VersionNumber) -> ModelCard:
        stored = None if version in known(models(), model).versions else await stored_card(folder, model, version)
        return stored or card(version_of(model, VersionChoice(version=version)))

    @routes.get("/{model}/labels/{label}/card", summary="The model card of a label's version")
    async def get_label_card(model: ModelName, label: LabelName) -> ModelCard:
        return card(version_of(model, VersionChoice(label=label)))

    @routes.get("/{model}", summary="States of a model's versions", tags=["TensorFlow Serving"])
    async def get_status(model: ModelName) -> ModelStatus:
        return status(known(models(), model), None)

    @routes.get("/{model}/versions/{version}", summary="State of a version", tags=["TensorFlow Serving"])
    async def get_version_status(model: ModelName, version: VersionNumber) -> ModelStatus:
        return status(known(models(), model), version)

    @routes.get("/{model}/labels/{label}", summary="State of a label's version", tags=["TensorFlow Serving"])
    async def get_label_status(model: ModelName, label: LabelName) -> ModelStatus:
        return status(known(models(), model), version_of(model, VersionChoice(label=label)).version)

    @routes.get("/{model}/metadata", summary="Signatures of a model", tags=["TensorFlow Serving"])
    async def get_metadata(model: ModelName) -> dict[str, Any]:
        return await metadata(model_server, version_of(model, VersionChoice()))

    @routes.get("/{model}/versions/{version}/metadata", summary="Signatures of a version", tags=["TensorFlow Serving"])
    async def get_version_metadata(model: ModelName, version: VersionNumber) -> dict[str, Any]:
        return await metadata(model_server, version_of(model, VersionChoice(version=version)))

    @routes.get(
        "/{model}/labels/{label}/metadata", summary="Signatures of a label's version", tags=["TensorFlow Serving"]
    )
    async def get_label_metadata(model: ModelName, label: LabelName) -> dict[str, Any]:
        return await metadata(model_server, version_of(model, VersionChoice(label=label)))

    return routes


def entry(state: ModelState) -> ModelEntry:
    """Return a model as the list shows it."""
    default = _default(state)
    default_card = default.card if default is not None else None
    offers = default.offers if default is not None else {}
    return ModelEntry(
        name=state.name,
        kind=default_card.kind if default_card else None,
        title=default_card.title if default_card else None,
        default_version=state.default,
        classes=list(default_card.labels) if default_card else [],
        verbs=[verb for verb, offer in offers.items() if isinstance(offer, Signature)],
        versions=[
            VersionEntry(
                version=version,
                state=status.state,
                labels=sorted(label for label, target in state.effective.items() if target == version),
            )
            for version, status in state.states.items()
        ],
        problem=state.problem,
    )


def openai_entry(state: ModelState) -> OpenAIModel:
    """Return a model as OpenAI's API lists it."""
    default = _default(state)
    default_card = default.card if default is not None else None
    return OpenAIModel(id=state.name, created=int(default_card.created.timestamp()) if default_card else 0)


def _default(state: ModelState) -> ModelVersion | None:
    return state.versions.get(state.default) if state.default is not None else None


def card(version: ModelVersion) -> ModelCard:
    """Return a version's card.

    Raises:
        UnknownModel: it has none, or the card cannot be read.
    """
    if version.card is None:
        why = f": {version.card_problem}" if version.card_problem else ""
        raise UnknownModel(f"model {version.model} version {version.version} has no model card{why}")
    return version.card


async def stored_card(folder: ExportsFolder, model: str, version: int) -> ModelCard | None:
    """Return the card of a version on the disk; None if it cannot be read."""
    try:
        return await asyncio.to_thread(folder.card, model, version)
    except (NotFound, ModelCardError, OSError):
        return None


def known(models: Mapping[str, ModelState], name: str) -> ModelState:
    """Return the state of a model.

    Raises:
        UnknownModel: it is not configured.
    """
    state = models.get(name)
    if state is None:
        raise UnknownModel(f"there is no model {name!r}; there is {listed(models, 'none yet')}")
    return state


def status(state: ModelState, version: int | None) -> ModelStatus:
    """Return the states of one version, or of all, in TensorFlow Serving's form.

    Raises:
        UnknownVersion: the model server has no such version. Unavailable: the model server did not answer.
    """
    if state.problem is not None:
        raise Unavailable(f"the state of model {state.name} is not known: {state.problem}")
    states = {number: one for number, one in state.states.items() if version in (None, number)}
    if not states:
        which = f"version {version}" if version is not None else "any versions"
        raise UnknownVersion(f"Could not find {which} of model {state.name}")
    return ModelStatus(
        model_version_status=[
            ModelVersionStatus(
                version=str(number),
                state=one.state,
                status=StatusCode(error_code=one.error_code, error_message=one.error_message),
            )
            for number, one in sorted(states.items(), reverse=True)
        ]
    )


async def metadata(model_server: ModelServer, version: ModelVersion) -> dict[str, Any]:
    """Request a version's signatures from the model server; return them in TensorFlow Serving's form.

    Raises:
        GatewayError: the model server did not answer.
    """
    content = await model_server.metadata(version.model, version.version, _TIMEOUT)
    spec = {"name": version.model, "signature_name": "", "version": str(version.version)}
    return {"model_spec": spec, "metadata": {"signature_def": content}}
