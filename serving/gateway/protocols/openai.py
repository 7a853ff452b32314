"""OpenAI's embeddings API, ``POST /v1/embeddings``, for pictures as data URLs.

Source: the create-embeddings part of OpenAI's API reference. Pictures have no tokens, so ``usage`` counts none.
"""

import binascii
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.gateway.codecs import base64
from serving.gateway.codecs.body import EncodedPictures
from serving.gateway.codecs.finite import finite
from serving.gateway.codecs.offload import offload
from serving.gateway.errors import BadDocument, BadOption, BadTensor, listed
from serving.gateway.http.paths import Target
from serving.gateway.http.request import Request, Response
from serving.gateway.models.model_version import ModelVersion
from serving.gateway.protocols.native import NativeProtocol, dump, respond
from serving.tfs_api.rest_json.errors import json_type

_KEYS = frozenset({"model", "input", "encoding_format", "dimensions", "user"})
_FORMATS = ("float", "base64")


class OpenAIProtocol:
    """Answers requests for embeddings by the native ``:embed``."""

    def __init__(self, native: NativeProtocol) -> None:
        self._native = native

    async def embeddings(
        self, request: Request, target: Target, version: ModelVersion, keys: dict[str, Any]
    ) -> Response:
        """Answer a request that was routed to the version.

        Raises:
            GatewayError: the model has no embeddings, the input does not fit, or the model server failed.
        """
        keys = {name: value for name, value in keys.items() if value is not None}  # SDKs send null for unset options
        if keys.keys() - _KEYS or "input" not in keys:
            raise BadDocument(
                "a request has model and input, and optionally encoding_format, dimensions and user; "
                f"the keys sent are: {listed(keys)}"
            )
        form = keys.get("encoding_format", "float")
        if not isinstance(form, str) or form not in _FORMATS:
            shown = repr(form) if isinstance(form, str) else json_type(form)
            raise BadOption(f"encoding_format must be {' or '.join(_FORMATS)}, not {shown}")
        pictures = EncodedPictures(await offload(request.memory, request.size, _pictures, keys["input"]))
        version, output = await self._native.run(request, target, version, "embed", pictures, {})
        vectors = np.ascontiguousarray(finite(output.outputs, "embedding"), "<f4")
        width = vectors.shape[1]
        dimensions = keys.get("dimensions", width)
        if type(dimensions) is not int or dimensions != width:
            raise BadOption(f"dimensions must be {width}, the width of the model's embeddings; or leave it out")
        return respond(version, dump(_response(version.model, vectors, form)))


def _pictures(given: Any) -> list[bytes]:
    urls = given if isinstance(given, list) else [given]
    if not urls:
        raise BadTensor("input is empty; a data URL of a picture is expected, or a list of them")
    return [base64.data_url(url) for url in urls]


def _response(model: str, vectors: NDArray[np.float32], form: str) -> dict[str, Any]:
    return {
        "object": "list",
        "data": [
            {
                "object": "embedding",
                "index": index,
                "embedding": vector if form == "float" else binascii.b2a_base64(vector, newline=False).decode("ascii"),
            }
            for index, vector in enumerate(vectors)
        ],
        "model": model,
        "usage": {"prompt_tokens": 0, "total_tokens": 0},
    }
