"""What the gateway knows of one version of one model, and what it therefore offers for it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from serving.artifacts.model_card import ModelCard
from serving.gateway.errors import UnknownSignature, UnknownVerb, listed
from serving.gateway.models.signature import Signature, TensorSpec, show
from serving.tfs_api import messages

#: What models with a card are asked for natively.
VERBS = ("predict", "embed", "neighbours", "forecast")
DESCRIBE = "describe"
SERVING_DEFAULT = "serving_default"
_NO_CARD = "there is no model card"


@dataclass(frozen=True)
class ModelVersion:
    """A version that answers.

    ``offers`` maps each native verb to the signature behind it, or to the reason why the verb is not there.
    ``card_problem`` says why the version's ``describe`` gave no card; None where it gave one, or has no ``describe``.
    """

    model: str
    version: int
    signatures: Mapping[str, Signature]
    card: ModelCard | None = None
    offers: Mapping[str, Signature | str] = field(default_factory=dict)
    card_problem: str | None = None

    def offer(self, verb: str) -> Signature:
        """The signature behind a verb.

        Raises:
            UnknownVerb: this version does not offer it; the message says why and what it does offer.
        """
        offered = self.offers.get(verb, _NO_CARD)
        if isinstance(offered, str):
            there = [f":{name}" for name, signature in self.offers.items() if isinstance(signature, Signature)]
            otherwise = 'tensors by {"instances": …} or {"inputs": …} at :predict'
            raise UnknownVerb(
                f"model {self.model} version {self.version} does not offer :{verb}: {offered}; it offers "
                f"{listed(there, otherwise)}"
            )
        return offered

    @property
    def default_signature(self) -> str:
        """The name of the signature that answers where none is named."""
        others = [name for name in self.signatures if name != DESCRIBE]
        return others[0] if len(others) == 1 else SERVING_DEFAULT

    def signature(self, name: str) -> Signature:
        """The signature of that name.

        Raises:
            UnknownSignature: there is none; the message lists those that are there.
        """
        signature = self.signatures.get(name)
        if signature is None:
            raise UnknownSignature(
                f"model {self.model} version {self.version} has no signature {name!r}; it has {listed(self.signatures)}"
            )
        return signature

    def for_examples(self, name: str, verb: str) -> Signature:
        """The signature of that name, to classify or regress.

        As in TensorFlow Serving the names of its input and outputs decide, not its method: TensorFlow 2 exports every
        signature with the method ``predict``.

        Raises:
            UnknownSignature: there is none, or it does not fit; the message lists those that do.
        """
        signature = self.signature(name)
        problem = _against_examples(signature, verb)
        if problem is not None:
            fitting = [one.name for one in self.signatures.values() if _against_examples(one, verb) is None]
            raise UnknownSignature(
                f"signature {name} of model {self.model} version {self.version} cannot {verb}: {problem}. "
                f"Signatures that can: {listed(fitting)}."
            )
        return signature


def _against_examples(signature: Signature, verb: str) -> str | None:
    """Why a signature does not take tf.Examples for the verb; None where it does.

    Source: tensorflow_serving/servables/tensorflow/{classifier,regressor}.cc.
    """
    spec = signature.inputs.get("inputs")
    if spec is None or len(signature.inputs) > 1:
        return f"its only input must be 'inputs', but it takes {listed(signature.inputs)}"
    if not spec.is_string or (spec.shape is not None and len(spec.shape) != 1):
        return f"its input must be string [N], but it is {spec}"
    if verb == "regress" and signature.outputs.keys() != {"outputs"}:
        return f"its only output must be 'outputs', but it has {listed(signature.outputs)}"
    if verb == "classify" and (len(signature.outputs) > 2 or not signature.outputs.keys() & {"classes", "scores"}):
        return f"its outputs must be 'classes', 'scores' or both, but it has {listed(signature.outputs)}"
    return None


def model_version(
    model: str,
    version: int,
    signatures: Mapping[str, Signature],
    card: ModelCard | None,
    card_problem: str | None = None,
) -> ModelVersion:
    """A servable with its offers worked out."""
    offered = offers(signatures, card) if card_problem is None else dict.fromkeys(VERBS, card_problem)
    return ModelVersion(model, version, signatures, card, offered, card_problem)


def offers(signatures: Mapping[str, Signature], card: ModelCard | None) -> dict[str, Signature | str]:
    """For each verb the signature that serves it, checked against the card, or why it cannot be served."""
    if card is None:
        return dict.fromkeys(VERBS, _NO_CARD)
    if card.kind == "image" and card.image is not None:
        recipe = card.image
        picture = {"image": _spec(np.uint8, None, recipe.height, recipe.width, recipe.channels)}
        probabilities = _spec(np.float32, None, len(card.labels) or None)
        return {
            "predict": _offer(signatures, "serving_default", picture, {"probabilities": probabilities}),
            "embed": _offer(signatures, "embed", picture, {"embedding": _spec(np.float32, None, None)}),
            "neighbours": _neighbours(signatures, picture, card),
            "forecast": "it takes pictures, not series",
        }
    if card.kind == "series" and card.series is not None:
        history = {"history": _spec(np.float32, None, card.series.window)}
        steps = _spec(np.float32, None, None)
        return {
            "predict": _offer(signatures, "serving_default", history, {"prediction": _spec(np.float32, None)}),
            "embed": "it takes series, not pictures",
            "neighbours": "it takes series, not pictures",
            "forecast": _offer(
                signatures,
                "forecast",
                {**history, "horizon": _spec(np.int32, None)},
                {"mean": steps, "lower": steps, "upper": steps},
            ),
        }
    if card.kind == "table" and card.table is not None:
        features = {"features": _spec(np.float32, None, len(card.table.columns))}
        return {
            "predict": _offer(signatures, "serving_default", features, {"prediction": _spec(np.float32, None)}),
            "embed": "it takes table rows, not pictures",
            "neighbours": "it takes table rows, not pictures",
            "forecast": "it takes table rows, not series",
        }
    if card.kind == "signal" and card.signal is not None:
        signal = {"signal": _spec(np.float32, None, card.signal.length, card.signal.channels)}
        probabilities = _spec(np.float32, None, len(card.labels) or None)
        return {
            "predict": _offer(signatures, "serving_default", signal, {"probabilities": probabilities}),
            "embed": "it takes signals, not pictures",
            "neighbours": "it takes signals, not pictures",
            "forecast": "it classifies signals",
        }
    return dict.fromkeys(VERBS, f"its model card says nothing of what a {card.kind} model takes")


def _neighbours(
    signatures: Mapping[str, Signature], picture: "Mapping[str, _Expected]", card: ModelCard
) -> Signature | str:
    if card.neighbours is None:
        return "it holds no items to compare with"
    whole, distance = _spec(np.int32, None, None), _spec(np.float32, None, None)
    return _offer(
        signatures,
        "neighbours",
        {**picture, "k": _spec(np.int32, None)},
        {"indices": whole, "distance": distance, "labels": whole},
    )


_Expected = tuple[type, tuple[int | None, ...]]


def _spec(dtype: type, *shape: int | None) -> _Expected:
    return dtype, shape


def _offer(
    signatures: Mapping[str, Signature],
    name: str,
    inputs: Mapping[str, _Expected],
    outputs: Mapping[str, _Expected],
) -> Signature | str:
    signature = signatures.get(name)
    if signature is None:
        return f"it has no signature {name}"
    if signature.inputs.keys() != inputs.keys():
        return f"its signature {name} takes {listed(signature.inputs)}, not {listed(inputs)}"
    for names, specs in ((inputs, signature.inputs), (outputs, signature.outputs)):
        for key, expected in names.items():
            if key not in specs:
                return f"its signature {name} has no output {key}"
            if not _fits(specs[key], expected):
                dtype, shape = expected
                return f"{key} of its signature {name} is {specs[key]}, not {np.dtype(dtype)} {show(shape)}"
    return signature


def _fits(spec: TensorSpec, expected: _Expected) -> bool:
    """Whether the spec is of that type and rank, its first size free, and no other size contradicts."""
    dtype, shape = expected
    if spec.dtype != np.dtype(dtype) or spec.shape is None or len(spec.shape) != len(shape) or not spec.batched:
        return False
    return all(None in (have, want) or have == want for have, want in zip(spec.shape, shape, strict=True))


def is_description(signature: Signature | None) -> bool:
    """Whether a signature is the one by which a model tells its card: ``query`` string [N] → ``card`` string [N]."""
    if signature is None or signature.inputs.keys() != {"query"} or "card" not in signature.outputs:
        return False
    specs = (signature.inputs["query"], signature.outputs["card"])
    return all(spec.data_type == messages.DT_STRING and spec.shape == (None,) for spec in specs)
