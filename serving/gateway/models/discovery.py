"""Discovery of models and versions by polling the model server.

TensorFlow Serving has no call that lists its models, so their names come from ``models.config`` or a setting. For each
model GetModelStatus lists the versions. For each AVAILABLE version the gateway fetches the signatures
(GetModelMetadata) and the model card (the signature ``describe``) once: a version never changes. Only a card that
cannot be read is fetched again with every poll.
"""

import asyncio
import itertools
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import numpy as np

from serving.artifacts import model_card, models_config
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
from serving.gateway.models.readiness import is_loading
from serving.gateway.models.routing import (
    ModelState,
    default_version,
    effective_labels,
    routing_problems,
    share,
)
from serving.gateway.models.signature import Signature

_STATUS_TIMEOUT = 5.0  # seconds; longer than it takes to notice a lost replica
_VERSION_TIMEOUT = 10.0
_LOADING_POLL = 0.05  # seconds between polls while a model without an AVAILABLE version loads one

log = logging.getLogger("vitrine.models")

Labels = Mapping[str, Mapping[str, int]]
T = TypeVar("T")


class ConfiguredModels(WatchedFile[Labels]):
    """Names and labels of the models in models.config."""

    def __init__(self, path: Path, names: tuple[str, ...] = ()) -> None:
        """Read the file, or take ``names`` without labels if they are given."""
        super().__init__(path, _labels, {name: {} for name in names})
        self._fixed = bool(names)

    def read(self) -> Labels:
        """Return the current names and labels."""
        return self.value if self._fixed else super().read()


def _labels(text: bytes, origin: str) -> Labels:
    return {name: config.labels for name, config in models_config.parse_bytes(text, origin).items()}


class ModelDiscovery:
    """Keeps ``models`` up to date. Each value is replaced, never changed, so readers need no lock."""

    def __init__(
        self,
        model_server: ModelServer,
        configured: ConfiguredModels,
        routing: WatchedFile[Routing],
        poll_seconds: float,
        kinds: Sequence[Kind] = KINDS,
    ) -> None:
        self.models: dict[str, ModelState] = {}
        self._model_server = model_server
        self._configured = configured
        self._routing = routing
        self._poll_seconds = poll_seconds
        self._kinds = kinds
        self._applied: tuple[object, object] = (None, None)
        self._reported: dict[object, str] = {}
        self._refreshing: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._order = itertools.count(1)  # of calls and polls; a clock could give two the same time
        self._refreshed: dict[str, int] = defaultdict(int)  # when the last poll of each model started
        self.loaded = asyncio.Event()
        """Set after the first poll that finds no model loading its first version."""

    async def run(self, after_change: Callable[[Mapping[str, ModelState]], None] = lambda models: None) -> None:
        """Poll until cancelled. The files have a poll of their own: an edit must not wait for the model server."""
        await asyncio.gather(
            self._repeat(self._poll_models, after_change), self._repeat(self._poll_files, after_change)
        )

    async def _repeat(
        self, poll: Callable[[], Awaitable[bool]], after_change: Callable[[Mapping[str, ModelState]], None]
    ) -> None:
        while True:
            try:
                if await poll():
                    after_change(self.models)
            except Exception:
                log.exception("the poll of the models failed and is repeated")
            interval = min(self._poll_seconds, _LOADING_POLL) if is_loading(self.models) else self._poll_seconds
            await asyncio.sleep(interval)

    async def _poll_models(self) -> bool:
        self._apply_files()
        await asyncio.gather(*(self.refresh(name) for name in self._configured.value))
        if not is_loading(self.models):
            self.loaded.set()
        return True

    async def _poll_files(self) -> bool:
        return self._apply_files()

    def _apply_files(self) -> bool:
        """Apply models.config and routing.json; return whether one of them changed."""
        labels, routing = self._configured.read(), self._routing.read()
        if self._applied[0] is labels and self._applied[1] is routing:
            return False
        self._applied = labels, routing
        for name in [name for name in self.models if name not in labels]:
            del self.models[name]
        for name in labels:
            state = self.models.setdefault(name, ModelState(name, problem="the model server has not answered yet"))
            self._set(name, state.versions, state.states, state.problem)
        for name in routing.keys() - labels.keys():
            log.warning("%s names model %s, which is not configured", self._routing.path, name)
        return True

    async def refresh(self, name: str) -> None:
        """Poll one model now.

        Calls at the same moment share one poll, for example the hundreds of requests to a version that was unloaded.
        Every caller gets a state that is newer than its call.
        """
        called = next(self._order)
        async with self._refreshing[name]:
            if self._refreshed[name] < called:
                started = next(self._order)
                await self._poll(name)
                self._refreshed[name] = started

    async def _poll(self, name: str) -> None:
        before = self.models.get(name, ModelState(name))
        try:
            statuses = await self._model_server.status(name, _STATUS_TIMEOUT)
        except GatewayError as error:
            self._report((name, ""), error.message)
            self._set(name, before.versions, before.states, error.message)
            return
        self._report((name, ""), None)
        # After an interruption the model server may have other files under the same number: fetch again.
        versions = await self._fetch_versions(name, before.versions, statuses, trusted=before.problem is None)
        self._set(name, versions, dict(sorted(statuses.items())), None)

    def _set(
        self,
        name: str,
        versions: Mapping[int, ModelVersion],
        states: Mapping[int, VersionStatus],
        problem: str | None,
    ) -> None:
        labels = self._configured.read().get(name)
        if labels is None:
            return
        before = self.models.get(name, ModelState(name))
        entry = self._routing.value.get(name, RoutingEntry())
        unreadable = {number for number, version in versions.items() if version.card_problem is not None}
        effective = effective_labels(labels, versions, before.effective, unreadable)
        default = default_version(entry, effective, versions, unreadable)
        if default != before.default:
            log.info("model %s: requests that name no version are answered by version %s", name, default)
        canary = share(entry.canary, effective, versions, default)
        shadow = share(entry.shadow, effective, versions, default)
        for role, now, then in (("canary", canary, before.canary), ("shadow", shadow, before.shadow)):
            if now != then:
                log.info("model %s: %s %s", name, role, f"{now.percent:g} % of version {now.version}" if now else "off")
        if problem is None:
            for role, why in routing_problems(entry, effective, versions).items():
                self._report((name, role), why)
        self.models[name] = ModelState(name, versions, states, labels, effective, default, canary, shadow, problem)

    async def _fetch_versions(
        self, name: str, known: Mapping[int, ModelVersion], statuses: Mapping[int, VersionStatus], *, trusted: bool
    ) -> dict[int, ModelVersion]:
        """The AVAILABLE versions. If a fetch fails, a known version stays as it is and a new one waits."""
        versions: dict[int, ModelVersion] = {}
        for number, status in sorted(statuses.items()):
            if status.state != "AVAILABLE":
                if status.failed:
                    self._report((name, f"version {number}"), f"{status.state}: {status.error_message}")
                continue
            if number in known:
                versions[number] = known[number]
                if trusted and known[number].card_problem is None:
                    continue
            try:
                fetched = await fetch_version(self._model_server, name, number, self._kinds)
            except GatewayError as error:
                self._report((name, f"version {number}"), error.message)
                continue
            if fetched != known.get(number):
                versions[number] = fetched
            self._report((name, f"version {number}"), None)
            self._report((name, f"card of version {number}"), fetched.card_problem, logging.ERROR)
        return versions

    def _report(self, subject: tuple[str, str], problem: str | None, level: int = logging.WARNING) -> None:
        """Log a problem when it starts, changes and ends, not with every poll."""
        if problem == self._reported.get(subject):
            return
        name = " ".join(("model", *subject)).rstrip()
        if problem is None:
            del self._reported[subject]
            log.info("%s: recovered", name)
        else:
            self._reported[subject] = problem
            log.log(level, "%s: %s", name, problem)


async def fetch_version(
    model_server: ModelServer, model: str, version: int, kinds: Sequence[Kind] = KINDS
) -> ModelVersion:
    """Fetch a version's signatures and card. Without a readable card only the native verbs are missing.

    Raises:
        GatewayError: the model server cannot be reached, or its response cannot be read.
    """
    signatures = await _on_any_replica(lambda: model_server.signatures(model, version, _VERSION_TIMEOUT))
    description = signatures.get(DESCRIBE)
    if description is None or not is_description(description):
        return model_version(model, version, signatures, None)
    try:
        card = await _fetch_card(model_server, model, version, description)
    except model_card.ModelCardError as error:
        return model_version(model, version, signatures, None, str(error))
    except (BadTensor, BadUpstream, DeadlineExceeded, Unimplemented) as error:
        return model_version(model, version, signatures, None, f"the model card cannot be read: {error.message}")
    return model_version(model, version, signatures, card, kinds=kinds)


async def _fetch_card(model_server: ModelServer, model: str, version: int, description: Signature) -> ModelCard:
    query = np.empty(1, object)
    query[0] = b"card"
    deadline = asyncio.get_running_loop().time() + _VERSION_TIMEOUT
    parts = [{"query": query}]
    outputs = await _on_any_replica(lambda: model_server.predict(model, version, description, parts, deadline))
    if outputs["card"].shape != (1,):
        raise BadUpstream(f"output card has shape {list(outputs['card'].shape)}; one row was sent")
    return model_card.parse(outputs["card"][0])


async def _on_any_replica(call: Callable[[], Awaitable[T]]) -> T:
    """Call again if the replica lacks the version: each call goes to the next one."""
    for _ in range(MOST_ATTEMPTS - 1):
        with suppress(VersionGone):
            return await call()
    return await call()
