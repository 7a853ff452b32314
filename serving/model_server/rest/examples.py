"""Requests and answers of ``:classify`` and ``:regress``."""

from collections.abc import Mapping, Sequence
from typing import Any

from serving.model_server.errors import invalid_argument
from serving.model_server.rest.tensors import format_error
from serving.tfs_api.rest_json import examples, responses
from serving.tfs_api.rest_json.errors import RestJsonError


def read(document: Mapping[str, Any]) -> list[bytes]:
    """Return the serialized tf.Examples of a request, each merged with the context.

    Raises:
        ServingError: INVALID_ARGUMENT without examples, or for a value that is no feature.
    """
    try:
        context = examples.example(document["context"]) if "context" in document else b""
        if "examples" not in document:
            raise format_error(document, "When method is classify, key 'examples' is expected and was not found")
        if not isinstance(document["examples"], list):
            raise format_error(document, "Expecting 'examples' value to be an list/array")
        if not document["examples"]:
            raise format_error(document, "'examples' value is an empty array")
        # Protobuf merges messages that follow each other; features of the example replace those of the context.
        return [context + examples.example(example) for example in document["examples"]]
    except RestJsonError as error:
        raise invalid_argument(str(error)) from None


def classifications(results: Sequence[Sequence[tuple[str, float]]]) -> bytes:
    """Return the answer of ``:classify``: label and score of each class, for each example.

    Raises:
        ServingError: INVALID_ARGUMENT without results.
    """
    if not results:
        raise invalid_argument("Cannot convert empty ClassificationResults to JSON")
    return responses.classifications(results)


def regressions(results: Sequence[float]) -> bytes:
    """Return the answer of ``:regress``: a number for each example.

    Raises:
        ServingError: INVALID_ARGUMENT without results.
    """
    if not results:
        raise invalid_argument("Cannot convert empty RegressionResults to JSON")
    return responses.regressions(results)
