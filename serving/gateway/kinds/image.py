"""Pictures: encoded ones or arrays in; classes, embeddings, similar items or a heat map out."""

import base64
import io
from collections.abc import Awaitable, Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from serving.artifacts.model_card import ModelCard, NeighboursRecipe
from serving.gateway.backends.base import Arrays, Outputs
from serving.gateway.codecs.body import NPY, PICTURE_TYPES, Payload
from serving.gateway.codecs.finite import finite
from serving.gateway.errors import BadOption, BadTensor, BadUpstream
from serving.gateway.kinds import classes
from serving.gateway.kinds.assessment import PROPERTIES, ROWS_PROPERTIES, typicality_of_rows
from serving.gateway.kinds.base import (
    MEASURED_ROWS,
    Kind,
    Measurements,
    ModelInput,
    ModelOutput,
    Operation,
    OperationDocs,
    Options,
    Parser,
    ReadContext,
)
from serving.gateway.kinds.expected_signature import Expected, ExpectedTensor, tensor
from serving.gateway.kinds.image_input import check_encoded, image_recipe, parse_polarity, read_pictures
from serving.gateway.kinds.schemas import INTEGER, NUMBER, TEXT, array_of, object_of
from serving.gateway.models.signature import Signature

_MEASURED_SIDE = 64  # about as many pixels are measured along each side of a picture
_DEFAULT_NEIGHBOURS = 10
_MOST_INPUTS = 8  # pictures of a request whose prepared form can be returned
_BYTES_SIGNATURE = "serving_bytes"  # encoded pictures, decoded in the graph

_BASE64 = {"type": "string", "contentEncoding": "base64"}
_BINARY = {"type": "string", "format": "binary"}
_DOCUMENT = object_of({"b64": {"oneOf": [_BASE64, array_of(_BASE64)]}})
_REQUEST = ("PictureDocument", _DOCUMENT, {"b64": "iVBORw0KGgo…"})
_MEDIA_TYPES: dict[str, Any] = {
    **{media_type: {"schema": _BINARY} for media_type in (*PICTURE_TYPES, NPY)},
    "multipart/form-data": {"schema": {"type": "object", "properties": {"picture": array_of(_BINARY)}}},
}
_POLARITY_PARAMETER = {
    "name": "polarity",
    "in": "query",
    "description": "whether the subject is light on dark or dark on light; `auto` looks at the border",
    "schema": {"type": "string", "enum": ["auto", "light_on_dark", "dark_on_light"], "default": "auto"},
}
_INPUT_PARAMETER = {
    "name": "input",
    "in": "query",
    "description": f"`true`: also return `inputs`, the pictures as the model read them (of at most {_MOST_INPUTS})",
    "schema": {"type": "boolean", "default": False},
}


class ImageOperation(Operation):
    """Base of all verbs of pictures: reads pictures into ``image``."""

    options: ClassVar[Mapping[str, Parser]] = {"polarity": parse_polarity}

    def read(self, payload: Payload, options: Options, context: ReadContext) -> Awaitable[ModelInput]:
        return read_pictures(payload, options.get("polarity", "auto"), context)


class ImagePredict(ImageOperation):
    """``:predict``: classes of pictures."""

    options: ClassVar[Mapping[str, Parser]] = {
        "polarity": parse_polarity,
        "top": classes.parse_top,
        "input": lambda text: _flag(text),
    }
    assessed = True
    docs = OperationDocs(
        description=(
            "A picture may be a photo of any size: the gateway prepares it as the model card says. "
            "Animated pictures are refused, transparency is laid onto white, 16-bit, CMYK and palette pictures are "
            "converted, the camera's orientation is applied. An `application/x-npy` array is used as it is."
        ),
        request=_REQUEST,
        response=classes.PICTURE_RESPONSE,
        parameters=(_POLARITY_PARAMETER, classes.TOP_PARAMETER, _INPUT_PARAMETER),
        media_types=_MEDIA_TYPES,
    )

    def expected(self, card: ModelCard) -> Expected | str:
        return Expected("serving_default", _image(card), classes.probabilities(card))

    def write(self, output: ModelOutput, options: Options) -> dict[str, Any]:
        answer = classes.write_classes(output, options.get("top"), "picture")
        return answer | {"inputs": _encoded(output.arrays["image"])} if options.get("input") else answer


class ImageEmbed(ImageOperation):
    """``:embed``: a vector for each picture."""

    npy_output = "embedding"
    docs = OperationDocs(
        description="Pictures as for `:predict`. With `Accept: application/x-npy` the answer is a float32 array.",
        request=_REQUEST,
        response=(
            "Embeddings",
            object_of(
                {"embeddings": array_of(array_of(NUMBER)), "dimensions": INTEGER}, ROWS_PROPERTIES | classes.NOTES
            ),
            {"embeddings": [[0.12, -0.57]], "dimensions": 2},
        ),
        parameters=(_POLARITY_PARAMETER,),
        media_types=_MEDIA_TYPES,
    )

    def expected(self, card: ModelCard) -> Expected | str:
        return Expected("embed", _image(card), {"embedding": tensor(np.float32, None)})

    def write(self, output: ModelOutput, options: Options) -> dict[str, Any]:
        vectors = np.ascontiguousarray(finite(output.outputs, "embedding"))
        answer = {"embeddings": vectors, "dimensions": vectors.shape[1]} | classes.notes(output)
        return answer | typicality_of_rows(output.outputs, output.card, len(vectors), "picture")


class ImageNeighbours(ImageOperation):
    """``:neighbours``: the most similar items of the model's reference set."""

    options: ClassVar[Mapping[str, Parser]] = {"polarity": parse_polarity, "k": str}
    docs = OperationDocs(
        description=(
            "Pictures as for `:predict`. For each picture the items with the nearest embeddings, the nearest first; "
            "the model card's `neighbours` says what the items are and what `index` counts. `distance` is Euclidean."
        ),
        request=_REQUEST,
        response=(
            "Neighbours",
            object_of(
                {"neighbours": array_of(array_of(object_of({"index": INTEGER, "label": TEXT, "distance": NUMBER})))},
                ROWS_PROPERTIES | classes.NOTES,
            ),
            {"neighbours": [[{"index": 7, "label": "Sneaker", "distance": 0.041}]]},
        ),
        parameters=(
            _POLARITY_PARAMETER,
            {
                "name": "k",
                "in": "query",
                "description": "items for each picture",
                "schema": {"type": "integer", "minimum": 1, "default": _DEFAULT_NEIGHBOURS},
            },
        ),
        media_types=_MEDIA_TYPES,
    )

    def expected(self, card: ModelCard) -> Expected | str:
        if card.neighbours is None:
            return "it holds no items to compare with"
        whole, distance = tensor(np.int32, None), tensor(np.float32, None)
        inputs = {**_image(card), "k": tensor(np.int32)}
        return Expected("neighbours", inputs, {"indices": whole, "distance": distance, "labels": whole})

    async def read(self, payload: Payload, options: Options, context: ReadContext) -> ModelInput:
        count = _neighbour_count(options.get("k"), _neighbours(context.card).max_k)
        pictures = await super().read(payload, options, context)
        counts = np.full(len(pictures.arrays["image"]), count, np.int32)
        return ModelInput({**pictures.arrays, "k": counts}, pictures.notes)

    def write(self, output: ModelOutput, options: Options) -> dict[str, Any]:
        count = int(output.arrays["k"].max())
        indices, label_indices, distances = (finite(output.outputs, name) for name in ("indices", "labels", "distance"))
        for name, column in (("indices", indices), ("labels", label_indices), ("distance", distances)):
            if column.ndim != 2 or column.shape[1] != count:
                raise BadUpstream(f"output {name} has shape {list(column.shape)}; {count} neighbours are expected")
        labels = output.card.labels
        if labels and label_indices.size and not 0 <= label_indices.min() <= label_indices.max() < len(labels):
            raise BadUpstream(f"output labels holds a class that is none of the {len(labels)} on the model card")
        answers = [
            [
                {"index": index, "label": labels[label] if labels else str(label), "distance": distance}
                for index, label, distance in zip(*row, strict=True)
            ]
            for row in zip(indices.tolist(), label_indices.tolist(), distances, strict=True)
        ]
        answer = {"neighbours": answers} | classes.notes(output)
        return answer | typicality_of_rows(output.outputs, output.card, len(answers), "picture")

    def width(self, card: ModelCard) -> tuple[str, int]:
        return "k", _neighbours(card).max_k


class ImageExplain(ImageOperation):
    """``:explain``: a heat map of what the class of a picture depends on."""

    npy_output = "heatmap"
    needs_prediction = True
    docs = OperationDocs(
        description=(
            "One picture, as for `:predict`. `heatmap` has a number for each pixel of the picture as the model reads "
            "it: the larger, the more the class depends on that part; below 0 it speaks against the class. The model "
            "runs about 100 times, so this takes as long as 100 predictions. With `Accept: application/x-npy` the "
            "answer is a float32 array [1, height, width]."
        ),
        request=_REQUEST,
        response=(
            "Explanation",
            object_of(
                {"class": TEXT, "probability": NUMBER, "heatmap": array_of(array_of(NUMBER))},
                PROPERTIES | classes.NOTES,
            ),
            {"class": "Sneaker", "probability": 0.98, "heatmap": [[0.0, 0.1], [0.2, 1.4]]},
        ),
        parameters=(_POLARITY_PARAMETER,),
        media_types=_MEDIA_TYPES,
    )

    def expected(self, card: ModelCard) -> Expected | str:
        recipe = image_recipe(card)
        return Expected("explain", _image(card), {"heatmap": tensor(np.float32, recipe.height, recipe.width)})

    async def read(self, payload: Payload, options: Options, context: ReadContext) -> ModelInput:
        pictures = await super().read(payload, options, context)
        if len(pictures.arrays["image"]) != 1:
            raise BadTensor(f":explain takes one picture, not {len(pictures.arrays['image'])}")
        return pictures

    def write(self, output: ModelOutput, options: Options) -> dict[str, Any]:
        (prediction,) = classes.write_classes(output, 1, "picture")["predictions"]
        answer = {"class": prediction["label"], "probability": prediction["probability"]}
        answer |= {name: prediction[name] for name in PROPERTIES if name in prediction}
        return answer | {"heatmap": np.ascontiguousarray(finite(output.outputs, "heatmap")[0])} | classes.notes(output)


class ImageKind(Kind):
    """Models of pictures of a fixed size."""

    name = "image"
    operations: ClassVar[Mapping[str, Operation]] = {
        "predict": ImagePredict(),
        "embed": ImageEmbed(),
        "neighbours": ImageNeighbours(),
        "explain": ImageExplain(),
    }

    def recipe(self, card: ModelCard) -> object:
        return None if card.image is None else (card.image, card.neighbours)

    def measure(self, arrays: Arrays, outputs: Outputs, card: ModelCard) -> Measurements:
        measured = classes.measure_classes(outputs)
        if "image" in arrays:
            pictures = arrays["image"][:MEASURED_ROWS]
            rows, columns = (max(1, size // _MEASURED_SIDE) for size in pictures.shape[1:3])
            flat = pictures[:, ::rows, ::columns].reshape(len(pictures), -1).astype(np.float32)
            measured |= {"brightness": flat.mean(axis=1), "contrast": flat.std(axis=1)}
        return measured

    def check(self, signature: Signature, arrays: Arrays, card: ModelCard, max_pixels: int) -> None:
        """Refuse encoded pictures that the graph cannot decode, or that are too large."""
        if signature.name == _BYTES_SIGNATURE:
            check_encoded(arrays, max_pixels)


def _image(card: ModelCard) -> dict[str, ExpectedTensor]:
    recipe = image_recipe(card)
    return {"image": tensor(np.uint8, recipe.height, recipe.width, recipe.channels)}


def _neighbours(card: ModelCard) -> NeighboursRecipe:
    assert card.neighbours is not None  # versions without the section do not offer the verb
    return card.neighbours


def _neighbour_count(text: str | None, most: int) -> int:
    """Parse the option ``k``; its range is the model's."""
    if text is None:
        return min(_DEFAULT_NEIGHBOURS, most)
    if not (text.isascii() and text.isdigit() and len(text) < 10 and 1 <= int(text) <= most):
        raise BadOption(f"k must be a whole number of 1 to {most}, not {text!r}")
    return int(text)


def _flag(text: str) -> bool:
    """Parse the option ``input``."""
    if text not in ("true", "false"):
        raise BadOption(f"input must be true or false, not {text!r}")
    return text == "true"


def _encoded(pictures: NDArray[Any]) -> list[str]:
    """Return prepared pictures, uint8 [N, H, W, C], as PNG in base64."""
    if len(pictures) > _MOST_INPUTS:
        raise BadOption(f"input=true is for at most {_MOST_INPUTS} pictures, not {len(pictures)}")
    texts = []
    for pixels in pictures:
        stream = io.BytesIO()
        Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(stream, "PNG")
        texts.append(base64.b64encode(stream.getvalue()).decode("ascii"))
    return texts
