"""The protocol that each kind of model implements.

A :class:`Kind` has one :class:`Operation` for each native verb. How to add a kind: ``docs/how-to/adding-a-kind.md``.
"""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

from numpy.typing import NDArray

from serving.artifacts.model_card import ModelCard
from serving.gateway.backends.base import Arrays, Outputs
from serving.gateway.codecs.body import Payload
from serving.gateway.http.memory_budget import Reservation
from serving.gateway.kinds.assessment import assessed
from serving.gateway.kinds.expected_signature import Expected
from serving.gateway.models.signature import Signature

#: Rows of one request that drift measures.
MEASURED_ROWS = 8
#: The query's parameters by name, parsed.
Options = Mapping[str, Any]
#: Parses one parameter of the query; raises BadOption.
Parser = Callable[[str], Any]
#: One value for each row of a request, by quantity.
Measurements = dict[str, NDArray[Any]]


@dataclass(slots=True)
class ReadContext:
    """Context for reading a request.

    Attributes:
        card: the model card of the version that answers.
        signature: the version's signature for the verb.
        max_rows: rows of a request, at most.
        max_pixels: pixels of one encoded picture, at most.
        body_bytes: size of the request's body.
        memory: the request's part of the memory budget, and its threads.
    """

    card: ModelCard
    signature: Signature
    max_rows: int
    max_pixels: int
    body_bytes: int
    memory: Reservation


@dataclass(slots=True)
class ModelInput:
    """Input tensors by name, notes for the caller, and more of the request that writing the answer needs."""

    arrays: Arrays
    notes: tuple[str, ...] = ()
    request: Any = None


@dataclass(slots=True)
class ModelOutput:
    """Output tensors of a call, with the card, and the input tensors, notes and request of its :class:`ModelInput`."""

    card: ModelCard
    arrays: Arrays
    outputs: Outputs
    notes: tuple[str, ...] = ()
    request: Any = None


@dataclass(frozen=True)
class OperationDocs:
    """What the OpenAPI document shows of an operation.

    Attributes:
        description: sentences on what is sent and returned.
        request: name, JSON schema and example of the JSON body.
        response: name, JSON schema and example of the JSON response without ``model``, ``version`` and ``request_id``.
        parameters: OpenAPI parameter objects, one for each option.
        media_types: bodies other than JSON, by content type.
    """

    description: str
    request: tuple[str, dict[str, Any], Any]
    response: tuple[str, dict[str, Any], dict[str, Any]]
    parameters: tuple[dict[str, Any], ...] = ()
    media_types: Mapping[str, Any] = field(default_factory=dict)


class Operation(ABC):
    """One native verb for one kind of model.

    Attributes:
        options: parsers of the query's parameters by name.
        npy_output: the output that a caller may have as ``application/x-npy``.
        assessed: whether a version's signature ``assessed`` takes the place of the expected one.
        needs_prediction: whether the response also needs the outputs of ``:predict``.
        docs: what the OpenAPI document shows.
    """

    options: ClassVar[Mapping[str, Parser]] = {}
    npy_output: ClassVar[str | None] = None
    assessed: ClassVar[bool] = False
    needs_prediction: ClassVar[bool] = False
    docs: OperationDocs

    @cached_property
    def option_names(self) -> frozenset[str]:
        """Names of the query's parameters."""
        return frozenset(self.options)

    @abstractmethod
    def expected(self, card: ModelCard) -> Expected | str:
        """Return the signature that the model must have, or why its card rules the verb out."""

    @abstractmethod
    def read(self, payload: Payload, options: Options, context: ReadContext) -> Awaitable[ModelInput]:
        """Read a request's body into input tensors.

        Raises:
            InvalidInput, UnsupportedMedia: the body does not fit; the message says what is expected.
        """

    @abstractmethod
    def write(self, output: ModelOutput, options: Options) -> dict[str, Any]:
        """Return the JSON response without ``model``, ``version`` and ``request_id``.

        NumPy arrays and numbers are allowed as values.

        Raises:
            BadUpstream: the outputs are not what the signature and the card promise.
        """

    def width(self, card: ModelCard) -> tuple[str, int] | None:
        """Return the input that sets the outputs' second size, and its largest value; None if no input does.

        The outputs of a merged call are as wide as its widest row; the gateway crops them for each caller.
        """
        return None


class Kind(ABC):
    """One kind of model: its signatures, requests, responses and drift quantities.

    Attributes:
        name: the ``kind`` of the model cards, and the name of the UI module ``ui/<name>.js``.
        operations: by native verb.
    """

    name: ClassVar[str]
    operations: ClassVar[Mapping[str, Operation]]

    @abstractmethod
    def recipe(self, card: ModelCard) -> object:
        """Return the card's section for reading requests, or None if it is missing.

        Two versions with equal recipes read the same request into the same tensors.
        """

    def measure(self, arrays: Arrays, outputs: Outputs, card: ModelCard) -> Measurements:
        """Return the quantities that drift compares with the card, from a few rows of a request."""
        return {}

    def check(self, signature: Signature, arrays: Arrays, card: ModelCard, max_pixels: int) -> None:
        """Refuse tensors that fit the signature but not the card, on every API.

        Raises:
            InvalidInput: a value is out of its range.
        """
        return

    def offers(self, signatures: Mapping[str, Signature], card: ModelCard) -> dict[str, Signature | str]:
        """Return for each verb the signature that serves it, or why it cannot be served."""
        if self.recipe(card) is None:
            return dict.fromkeys(self.operations, f"its model card has no section {self.name!r}")
        offered: dict[str, Signature | str] = {}
        for verb, operation in self.operations.items():
            expected = operation.expected(card)
            if isinstance(expected, str):
                offered[verb] = expected
                continue
            found = assessed(expected).find(signatures) if operation.assessed and card.typicality else None
            offered[verb] = found if isinstance(found, Signature) else expected.find(signatures)
        return offered

    def widths(self, offers: Mapping[str, Signature | str], card: ModelCard) -> dict[str, tuple[str, int]]:
        """Return :meth:`Operation.width` by the name of the signature."""
        widths = {}
        for verb, signature in offers.items():
            if isinstance(signature, Signature):
                width = self.operations[verb].width(card)
                if width is not None:
                    widths[signature.name] = width
        return widths
