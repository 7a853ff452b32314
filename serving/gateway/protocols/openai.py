"""OpenAI's form of embeddings, ``POST /v1/embeddings``, for pictures as data URLs.

Source: the create-embeddings part of OpenAI's API reference. Pictures have no tokens, so ``usage`` counts none.
"""

import binascii
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from serving.gateway.codecs import base64
from serving.gateway.codecs import large_json as large
from serving.gateway.codecs.body import EncodedPictures
from serving.gateway.errors import BadDocument, BadOption, BadTensor, listed
from serving.gateway.http.paths import Target
from serving.gateway.http.request import Request, Response
from serving.gateway.inference.predictor import PredictResult
from serving.gateway.kinds import answers as encode
from serving.gateway.models.model_version import ModelVersion
from serving.gateway.protocols.native import Native, answer

_KEYS = frozenset({"model", "input", "encoding_format", "dimensions", "user"})
_FORMATS = ("float", "base64")


class OpenAI:
    """Embeddings by the native ``:embed``."""

    def __init__(self, native: Native) -> None:
        self._native = native

    async def embeddings(
        self, request: Request, target: Target, servable: ModelVersion, keys: dict[str, Any]
    ) -> Response:
        """The answer to a request that was routed to the servable.

        Raises:
            GatewayError: the model has no embeddings, the input does not fit, or the model server failed.
        """
        keys = {name: value for name, value in keys.items() if value is not None}  # SDKs write null for what is not set
        if keys.keys() - _KEYS or "input" not in keys:
            raise BadDocument(
                "a request has model and input, and optionally encoding_format, dimensions and user; "
                f"the keys sent are: {listed(keys)}"
            )
        form = keys.get("encoding_format", "float")
        if not isinstance(form, str) or form not in _FORMATS:
            shown = repr(form) if isinstance(form, str) else base64.kind(form)
            raise BadOption(f"encoding_format must be {' or '.join(_FORMATS)}, not {shown}")
        pictures = EncodedPictures(await large.aside(request.memory, request.size, _pictures, keys["input"]))
        result = await self._native.pictures(request, target, servable, pictures, "embed", "auto")
        vectors = np.ascontiguousarray(encode.finite(result.outputs, "embedding"), "<f4")
        width = vectors.shape[1]
        dimensions = keys.get("dimensions", width)
        if type(dimensions) is not int or dimensions != width:
            raise BadOption(f"dimensions must be {width}, as wide as the model's embeddings are; or leave it out")
        return answer(result, _dump(result, vectors, form))


def _pictures(given: Any) -> list[bytes]:
    urls = given if isinstance(given, list) else [given]
    if not urls:
        raise BadTensor("input is empty; a data URL of a picture is expected, or a list of them")
    return [base64.data_url(url) for url in urls]


def _dump(result: PredictResult, vectors: NDArray[np.float32], form: str) -> bytes:
    content = {
        "object": "list",
        "data": [
            {
                "object": "embedding",
                "index": index,
                "embedding": vector if form == "float" else binascii.b2a_base64(vector, newline=False).decode("ascii"),
            }
            for index, vector in enumerate(vectors)
        ],
        "model": result.servable.model,
        "usage": {"prompt_tokens": 0, "total_tokens": 0},
    }
    return orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)
