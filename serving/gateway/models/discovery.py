"""What the gateway knows of the models: asked of the model server again and again, never configured twice.

TensorFlow Serving has no call that lists its models, so the names come from ``models.config`` (or a flag). For each one
GetModelStatus tells the versions; of every version that becomes AVAILABLE the signatures are asked for
(GetModelMetadata) and the card (the ``describe`` signature). A version, once learnt, never changes; only a card that
could not be read is asked for again in each round.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import numpy as np

from serving.artifacts import model_card as cards
from serving.artifacts import models_config
from serving.artifacts.model_card import ModelCard
from serving.artifacts.routing_file import Routing, RoutingEntry
from serving.gateway.backends.base import MOST_ATTEMPTS, ModelServer, VersionStatus
from serving.gateway.errors import (
    BadTensor,
    BadUpstream,
    DeadlineExceeded,
    GatewayError,
    Unimplemented,
    VersionGone,
)
from serving.gateway.kinds import KINDS
from serving.gateway.kinds.base import Kind
from serving.gateway.models.file_watcher import WatchedFile
from serving.gateway.models.model_version import DESCRIBE, ModelVersion, is_description, model_version
from serving.gateway.models.routing import (
    ModelState,
    default_version,
    effective_labels,
    not_there,
    share,
)
from serving.gateway.models.signature import Signature

_TIMEOUT = 5.0  # for each question to the model server: longer than it takes to see that a replica has vanished
_LEARN_TIMEOUT = 10.0

log = logging.getLogger("vitrine.registry")


Labels = Mapping[str, Mapping[str, int]]
Answered = TypeVar("Answered")


class Names(WatchedFile[Labels]):
    """The configured models and their labels, from models.config."""

    def __init__(self, path: Path, fixed: tuple[str, ...] = ()) -> None:
        """``fixed`` names, where given, stand in place of the file."""
        super().__init__(path, _labels, {name: {} for name in fixed})
        self._fixed = bool(fixed)

    def read(self) -> Labels:
        return self.value if self._fixed else super().read()


def _labels(text: bytes, origin: str) -> Labels:
    return {name: config.labels for name, config in models_config.parse_bytes(text, origin).items()}


class ModelDiscovery:
    """Keeps ``models`` up to date. Each value is replaced as a whole and never changed, so readers need no lock."""

    def __init__(
        self,
        model_server: ModelServer,
        names: Names,
        routing: WatchedFile[Routing],
        poll_seconds: float,
        kinds: Sequence[Kind] = KINDS,
    ) -> None:
        self.models: dict[str, ModelState] = {}
        self._model_server = model_server
        self._names = names
        self._routing = routing
        self._poll_seconds = poll_seconds
        self._kinds = kinds
        self._applied: tuple[object, object] = (None, None)
        self._reported: dict[object, str] = {}
        self._asking: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._answered: dict[str, float] = defaultdict(float)  # when the question began that was answered last
        self.first_round = asyncio.Event()

    async def run(self, after_change: Callable[[Mapping[str, ModelState]], None] = lambda models: None) -> None:
        """Polls until cancelled: the files apart from the model server, so that an edit never waits for that."""
        await asyncio.gather(
            self._again_and_again(self._ask_all, after_change), self._again_and_again(self._read_files, after_change)
        )

    async def _again_and_again(
        self, look: Callable[[], Awaitable[bool]], after_change: Callable[[Mapping[str, ModelState]], None]
    ) -> None:
        while True:
            try:
                if await look():
                    after_change(self.models)
            except Exception:
                log.exception("the models could not be looked at; trying again")
            await asyncio.sleep(self._poll_seconds)

    async def _ask_all(self) -> bool:
        self._apply_files()
        await asyncio.gather(*(self.refresh(name) for name in self._names.value))
        self.first_round.set()
        return True

    async def _read_files(self) -> bool:
        return self._apply_files()

    def _apply_files(self) -> bool:
        """Brings the models in line with models.config and routing.json; returns whether one of them changed."""
        labels, routing = self._names.read(), self._routing.read()
        if self._applied[0] is labels and self._applied[1] is routing:
            return False
        self._applied = labels, routing
        for name in [name for name in self.models if name not in labels]:
            del self.models[name]
        for name in labels:
            known = self.models.setdefault(name, ModelState(name, problem="the model server has not answered yet"))
            self._set(name, known.servables, known.states, known.problem)
        for name in routing.keys() - labels.keys():
            log.warning("%s speaks of model %s, which is not configured", self._routing.path, name)
        return True

    async def refresh(self, name: str) -> None:
        """Asks for one model now. Of those who want that at the same moment, as where a version goes with hundreds of
        requests under way, one asks for all; each gets an answer that is newer than its wish."""
        loop = asyncio.get_running_loop()
        wished = loop.time()
        async with self._asking[name]:
            began = loop.time()
            if self._answered[name] < wished:
                await self._ask(name)
                self._answered[name] = began

    async def _ask(self, name: str) -> None:
        before = self.models.get(name, ModelState(name))
        try:
            statuses = await self._model_server.status(name, _TIMEOUT)
        except GatewayError as error:
            self._report((name, ""), error.message)
            self._set(name, before.servables, before.states, error.message)
            return
        self._report((name, ""), None)
        # A model server that was away may have come back with other files under the same number: ask again.
        servables = await self._learn(name, before.servables, statuses, trusted=before.problem is None)
        self._set(name, servables, dict(sorted(statuses.items())), None)

    def _set(
        self,
        name: str,
        servables: Mapping[int, ModelVersion],
        states: Mapping[int, VersionStatus],
        problem: str | None,
    ) -> None:
        labels = self._names.read().get(name)
        if labels is None:
            return
        before = self.models.get(name, ModelState(name))
        entry = self._routing.value.get(name, RoutingEntry())
        effective = effective_labels(labels, servables, before.effective)
        default = default_version(entry, effective, servables)
        if default != before.default:
            log.info("model %s: requests that name no version are answered by version %s", name, default)
        canary = share(entry.canary, effective, servables, default)
        shadow = share(entry.shadow, effective, servables, default)
        for what, now, then in (("canary", canary, before.canary), ("shadow", shadow, before.shadow)):
            if now != then:
                log.info("model %s: %s %s", name, what, f"{now.percent:g} % of version {now.version}" if now else "off")
        if problem is None:
            for what, wrong in not_there(entry, effective, servables).items():
                self._report((name, what), wrong)
        self.models[name] = ModelState(name, servables, states, labels, effective, default, canary, shadow, problem)

    async def _learn(
        self, name: str, known: Mapping[int, ModelVersion], statuses: Mapping[int, VersionStatus], *, trusted: bool
    ) -> dict[int, ModelVersion]:
        """The servables of the AVAILABLE versions; one that cannot be learnt stays as known, or is left out until the
        next round."""
        servables: dict[int, ModelVersion] = {}
        for version, status in sorted(statuses.items()):
            if status.state != "AVAILABLE":
                if status.error_code != "OK":
                    self._report((name, f"version {version}"), f"{status.state}: {status.error_message}")
                continue
            if version in known:
                servables[version] = known[version]
                if trusted and known[version].card_problem is None:
                    continue
            try:
                learnt = await learn(self._model_server, name, version, self._kinds)
            except GatewayError as error:
                self._report((name, f"version {version}"), error.message)
                continue
            if learnt != known.get(version):
                servables[version] = learnt
            self._report((name, f"version {version}"), None)
            self._report((name, f"card of version {version}"), learnt.card_problem, logging.ERROR)
        return servables

    def _report(self, subject: tuple[str, str], problem: str | None, level: int = logging.WARNING) -> None:
        """Logs a trouble when it begins, changes and ends, not in each round."""
        if problem == self._reported.get(subject):
            return
        name = " ".join(("model", *subject)).rstrip()
        if problem is None:
            del self._reported[subject]
            log.info("%s: well again", name)
        else:
            self._reported[subject] = problem
            log.log(level, "%s: %s", name, problem)


async def learn(model_server: ModelServer, model: str, version: int, kinds: Sequence[Kind]) -> ModelVersion:
    """A version's signatures and card.

    A card that cannot be read takes nothing but the native verbs away.

    Raises:
        GatewayError: the model server cannot be reached, or its answer cannot be read.
    """
    signatures = await _by_any(lambda: model_server.signatures(model, version, _LEARN_TIMEOUT))
    description = signatures.get(DESCRIBE)
    if description is None or not is_description(description):
        return model_version(model, version, signatures, None)
    try:
        card = await _card(model_server, model, version, description)
    except cards.ModelCardError as error:
        return model_version(model, version, signatures, None, str(error))
    except (BadTensor, BadUpstream, DeadlineExceeded, Unimplemented) as error:
        return model_version(model, version, signatures, None, f"the model card cannot be read: {error.message}")
    return model_version(model, version, signatures, card, kinds=kinds)


async def _card(model_server: ModelServer, model: str, version: int, description: Signature) -> ModelCard:
    query = np.empty(1, object)
    query[0] = b"card"
    deadline = asyncio.get_running_loop().time() + _LEARN_TIMEOUT
    inputs = [{"query": query}]
    outputs = await _by_any(lambda: model_server.predict(model, version, description, inputs, deadline))
    if outputs["card"].shape != (1,):
        raise BadUpstream(f"output card has shape {list(outputs['card'].shape)}; one row was sent")
    return cards.parse(outputs["card"][0])


async def _by_any(call: Callable[[], Awaitable[Answered]]) -> Answered:
    """What the call gives, made again where it was made to a replica that does not have the version (yet)."""
    for _ in range(MOST_ATTEMPTS - 1):
        with suppress(VersionGone):
            return await call()
    return await call()
