"""What the gateway knows of the models: asked of the model server again and again, never configured twice.

TensorFlow Serving has no call that lists its models, so the names come from ``models.config`` (or a flag). For each one
GetModelStatus tells the versions; of every version that becomes AVAILABLE the signatures are asked for
(GetModelMetadata) and the card (the ``describe`` signature). A version, once learnt, never changes.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from serving import card as cards
from serving import models_config
from serving.card import Card
from serving.gateway.errors import BadTensor, BadUpstream, GatewayError
from serving.gateway.route import ModelState, VersionStatus, default_version, effective_labels
from serving.gateway.servable import DESCRIBE, Servable, is_description, servable
from serving.gateway.signature import Signature, from_proto
from serving.gateway.upstream import Upstream
from serving.gateway.wire import RequestEncoder, decode_response

_TIMEOUT = 2.0  # for each question to the model server
_LEARN_TIMEOUT = 10.0

log = logging.getLogger("vitrine.registry")


class Names:
    """The configured models and their labels, from a file that is read again when it changes."""

    def __init__(self, path: Path, fixed: tuple[str, ...] = ()) -> None:
        """``fixed`` names, where given, stand in place of the file."""
        self._path = path
        self._fixed = fixed
        self._seen: object = ()  # no file looks like this, not even a missing one
        self._labels: dict[str, Mapping[str, int]] = {name: {} for name in fixed}
        self.problem: str | None = None

    def read(self) -> Mapping[str, Mapping[str, int]]:
        """Labels by model. A file that is not valid changes nothing; the reason is logged once and kept."""
        stamp = None if self._fixed else self._stamp()
        if self._fixed or stamp == self._seen:
            return self._labels
        self._seen = stamp
        try:
            if stamp is None:
                raise models_config.ConfigError(f"there is no file {self._path}")
            self._labels = {name: config.labels for name, config in models_config.read(self._path).items()}
            self.problem = None
            log.info("read %s: %s", self._path, ", ".join(self._labels) or "no models")
        except models_config.ConfigError as error:
            self.problem = str(error)
            log.error("%s; what was read before stays", error)
        return self._labels

    def _stamp(self) -> object:
        try:
            stat = self._path.stat()
        except OSError:
            return None
        return stat.st_mtime_ns, stat.st_size, stat.st_ino


class Registry:
    """Keeps ``models`` up to date. Each value is replaced as a whole and never changed, so readers need no lock."""

    def __init__(self, upstream: Upstream, names: Names, poll_seconds: float) -> None:
        self.models: dict[str, ModelState] = {}
        self._upstream = upstream
        self._names = names
        self._poll_seconds = poll_seconds
        self._reported: dict[object, str] = {}
        self.first_round = asyncio.Event()

    async def run(self, after_round: Callable[[Mapping[str, ModelState]], None] = lambda models: None) -> None:
        """Polls until cancelled."""
        while True:
            try:
                labels = self._names.read()
                for name in [name for name in self.models if name not in labels]:
                    del self.models[name]
                for name in labels:
                    self.models.setdefault(name, ModelState(name, problem="the model server has not answered yet"))
                await asyncio.gather(*(self.refresh(name) for name in labels))
                after_round(self.models)
            except Exception:
                log.exception("the models could not be looked at; trying again")
            self.first_round.set()
            await asyncio.sleep(self._poll_seconds)

    async def refresh(self, name: str) -> None:
        """Asks for one model now."""
        before = self.models.get(name, ModelState(name))
        labels = self._names.read().get(name, {})
        try:
            statuses = await self._upstream.status(name, _TIMEOUT)
        except GatewayError as error:
            self._report((name, None), error.message)
            self._set(name, before, labels, before.servables, before.states, error.message)
            return
        self._report((name, None), None)
        # A model server that was away may have come back with other files under the same number: ask again.
        servables = await self._learn(name, before.servables, statuses, trusted=before.problem is None)
        self._set(name, before, labels, servables, dict(sorted(statuses.items())), None)

    def _set(
        self,
        name: str,
        before: ModelState,
        labels: Mapping[str, int],
        servables: Mapping[int, Servable],
        states: Mapping[int, VersionStatus],
        problem: str | None,
    ) -> None:
        effective = effective_labels(labels, servables, before.effective)
        default = default_version(effective, servables)
        if default != before.default:
            log.info("model %s: requests that name no version are answered by version %s", name, default)
        if name in self._names.read():
            self.models[name] = ModelState(name, servables, states, labels, effective, default, problem)

    async def _learn(
        self, name: str, known: Mapping[int, Servable], statuses: Mapping[int, VersionStatus], *, trusted: bool
    ) -> dict[int, Servable]:
        """The servables of the AVAILABLE versions; one that cannot be learnt stays as known, or is left out until the
        next round."""
        servables: dict[int, Servable] = {}
        for version, status in sorted(statuses.items()):
            if status.state != "AVAILABLE":
                if status.error_code != "OK":
                    self._report((name, version), f"{status.state}: {status.error_message}")
                continue
            if version in known:
                servables[version] = known[version]
                if trusted:
                    continue
            try:
                servables[version] = await learn(self._upstream, name, version)
                self._report((name, version), None)
            except GatewayError as error:
                self._report((name, version), error.message)
        return servables

    def _report(self, subject: tuple[str, int | None], problem: str | None) -> None:
        """Logs a trouble when it begins, changes and ends, not in each round."""
        if problem == self._reported.get(subject):
            return
        name = f"model {subject[0]}" + (f" version {subject[1]}" if subject[1] is not None else "")
        if problem is None:
            del self._reported[subject]
            log.info("%s: well again", name)
        else:
            self._reported[subject] = problem
            log.warning("%s: %s", name, problem)


async def learn(upstream: Upstream, model: str, version: int) -> Servable:
    """A version's signatures and card.

    Raises:
        GatewayError: the model server cannot be reached, or its answer cannot be read.
    """
    signatures = from_proto(await upstream.signature_defs(model, version, _LEARN_TIMEOUT))
    description = signatures.get(DESCRIBE)
    card = None
    if description is not None and is_description(description):
        card = await _card(upstream, model, version, description)
    return servable(model, version, signatures, card)


async def _card(upstream: Upstream, model: str, version: int, description: Signature) -> Card | None:
    query = np.empty(1, object)
    query[0] = b"card"
    request = RequestEncoder(model, version, description).encode([{"query": query}])
    deadline = asyncio.get_running_loop().time() + _LEARN_TIMEOUT
    try:
        response = await upstream.predict(request, deadline)
        return cards.parse(decode_response(response, description, 1)["card"][0])
    except (cards.CardError, BadUpstream, BadTensor) as error:
        log.warning("model %s version %s is served by its signatures alone: %s", model, version, error)
        return None
