"""One version of one model, as the gateway knows it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from serving.artifacts.model_card import ModelCard
from serving.gateway.errors import UnknownSignature, UnknownVerb, listed
from serving.gateway.kinds import KINDS
from serving.gateway.kinds.assessment import ASSESSED
from serving.gateway.kinds.base import Kind
from serving.gateway.models.signature import Signature
from serving.gateway.observability.statistics import VersionStatistics
from serving.tfs_api import messages

DESCRIBE = "describe"
SERVING_DEFAULT = "serving_default"
_NO_CARD = "there is no model card"


@dataclass(frozen=True)
class ModelVersion:
    """A version that answers requests.

    Attributes:
        model: the model's name.
        version: the version's number.
        signatures: by name.
        card: the model card; None if the model has none, or if it cannot be read.
        kind: reads and writes native requests; None without a card, or if this gateway lacks the card's kind.
        offers: for each native verb of the kind the signature behind it, or why it cannot be served.
        widths: by signature, the input that sets how wide the outputs are, and its largest value.
        card_problem: why the card cannot be read; None if it can, or if the model has no ``describe``.
        reason: why no native verb is offered at all.
        statistics: of its requests to this process.
    """

    model: str
    version: int
    signatures: Mapping[str, Signature]
    card: ModelCard | None = None
    kind: Kind | None = None
    offers: Mapping[str, Signature | str] = field(default_factory=dict)
    widths: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    card_problem: str | None = None
    reason: str = _NO_CARD
    statistics: VersionStatistics = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "statistics", VersionStatistics(self.model, self.version))

    def offer(self, verb: str) -> Signature:
        """Return the signature behind a native verb.

        Raises:
            UnknownVerb: this version does not offer the verb; the message says why, and which verbs it offers.
        """
        offered = self.offers.get(verb)
        if not isinstance(offered, Signature):
            why = offered or self.card_problem
            if why is None:
                why = self.reason if self.kind is None else f"a model of kind {self.kind.name} has no such verb"
            verbs = [f":{name}" for name, signature in self.offers.items() if isinstance(signature, Signature)]
            otherwise = 'tensors by {"instances": …} or {"inputs": …} at :predict'
            raise UnknownVerb(
                f"model {self.model} version {self.version} does not offer :{verb}: {why}; "
                f"it offers {listed(verbs, otherwise)}"
            )
        return offered

    def offers_signature(self, signature: Signature) -> bool:
        """Whether a native verb uses this signature, so that the card describes its tensors."""
        if signature.name == SERVING_DEFAULT and self.assessment is not None:
            return True  # the same tensors without the typicality
        return any(signature is offered for offered in self.offers.values())

    @property
    def assessment(self) -> Signature | None:
        """The signature ``assessed``, if ``:predict`` uses it."""
        offered = self.offers.get("predict")
        return offered if isinstance(offered, Signature) and offered.name == ASSESSED else None

    @property
    def default_signature(self) -> str:
        """The name of the signature that answers requests that name none."""
        others = [name for name in self.signatures if name != DESCRIBE]
        return others[0] if len(others) == 1 else SERVING_DEFAULT

    def signature(self, name: str) -> Signature:
        """Return the signature of that name.

        Raises:
            UnknownSignature: the version has none; the message lists its signatures.
        """
        signature = self.signatures.get(name)
        if signature is None:
            raise UnknownSignature(
                f"model {self.model} version {self.version} has no signature {name!r}; it has {listed(self.signatures)}"
            )
        return signature

    def for_examples(self, name: str, verb: str) -> Signature:
        """Return the signature of that name, to classify or regress tf.Examples.

        As in TensorFlow Serving, the names of its input and outputs decide, not its method: TensorFlow 2 exports every
        signature with the method ``predict``.

        Raises:
            UnknownSignature: the version has none, or it does not fit; the message lists those that do.
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
    """Return why a signature does not take tf.Examples for the verb; None if it does.

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
    kinds: Sequence[Kind] = KINDS,
) -> ModelVersion:
    """Return a model version with the verbs that its kind offers for it."""
    if card is None:
        return ModelVersion(model, version, signatures, card_problem=card_problem)
    kind = next((one for one in kinds if one.name == card.kind), None)
    if kind is None:
        known = listed([one.name for one in kinds])
        problem = f"this gateway has no kind {card.kind!r} of models, only {known}"
        return ModelVersion(model, version, signatures, card, reason=problem)
    offers = kind.offers(signatures, card)
    return ModelVersion(model, version, signatures, card, kind, offers, kind.widths(offers, card))


def is_description(signature: Signature | None) -> bool:
    """Whether a signature returns the model card: ``query`` string [N] → ``card`` string [N]."""
    if signature is None or signature.inputs.keys() != {"query"} or "card" not in signature.outputs:
        return False
    specs = (signature.inputs["query"], signature.outputs["card"])
    return all(spec.data_type == messages.DT_STRING and spec.shape == (None,) for spec in specs)
