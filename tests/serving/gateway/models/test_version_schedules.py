"""Discovery and routing under random schedules of versions, labels, canaries, and requests in between.

Each request is answered by a version that is loaded. A version change during a request does not lose it, and callers of
a sticky canary keep their version.
"""

import asyncio
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis.stateful import initialize, invariant, rule
from hypothesis.strategies import booleans, dictionaries, integers, none, one_of, sampled_from

from serving.artifacts import models_config, routing_file
from serving.artifacts.atomic_write import write_atomically
from serving.artifacts.models_config import ModelConfig
from serving.artifacts.routing_file import Canary, RoutingEntry
from serving.gateway.backends.base import VersionStatus
from serving.gateway.errors import GatewayError, Unavailable, VersionGone
from serving.gateway.inference.dynamic_batching import BatchLimits
from serving.gateway.inference.predictor import Predictor
from serving.gateway.models.discovery import ConfiguredModels, ModelDiscovery
from serving.gateway.models.file_watcher import WatchedFile
from serving.gateway.models.model_version import ModelVersion
from serving.gateway.models.routing import Share, VersionChoice, choose, point
from serving.gateway.models.signature import Signature
from serving.gateway.observability.metrics import GatewayMetrics
from tests.virtual_time import Schedule

CALLERS = [f"caller {number}".encode() for number in range(20)]
ANY = VersionChoice()


class ChangingServer:
    """A model server with one model. Its answers take some turns of the loop."""

    def __init__(self) -> None:
        self.states: dict[int, str] = {}
        self.is_up = True
        self.turns = 0
        self.changes = 0

    def available(self) -> set[int]:
        return {number for number, state in self.states.items() if state == "AVAILABLE"} if self.is_up else set()

    async def _answer(self) -> None:
        for _ in range(self.turns):
            await asyncio.sleep(0)
        if not self.is_up:
            raise Unavailable("the model server is down")

    async def status(self, model: str, timeout: float) -> dict[int, VersionStatus]:
        await self._answer()
        found = {number: VersionStatus(state) for number, state in self.states.items()}
        for _ in range(self.turns):
            await asyncio.sleep(0)
        return found

    async def signatures(self, model: str, version: int, timeout: float) -> dict[str, Signature]:
        await self.predict(version)
        return {}

    async def predict(self, version: int) -> int:
        await self._answer()
        if version not in self.available():
            raise VersionGone(f"there is no version {version}")
        return version


@dataclass(eq=False)
class Asked:
    """A request, the changes of the model server that discovery knew when it began, and how it ended."""

    task: asyncio.Task[int]
    known_changes: int
    may_fail: bool = False


class VersionSchedule(Schedule):
    """One model with up to four versions."""

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        root = Path(self.folder.name)
        self.config, self.routing = root / "models.config", root / "routing.json"
        self.server: Any = ChangingServer()
        self.server.states[1] = "AVAILABLE"
        self.labels: dict[str, int] = {}
        self.entry = RoutingEntry()
        self.asked: list[Asked] = []
        self.known_changes = -1
        self.label({})
        routes = WatchedFile(self.routing, routing_file.parse, {}, optional=True)
        self.discovery = ModelDiscovery(self.server, ConfiguredModels(self.config), routes, 1.0)
        limits = BatchLimits(8, 64, 1)
        self.predictor = Predictor(self.server, self.discovery, GatewayMetrics(None), None, limits)
        self.poll_until_idle()

    @rule(version=integers(1, 4), state=sampled_from(("AVAILABLE", "AVAILABLE", "LOADING", "UNLOADING", "END", "")))
    def change_version(self, version: int, state: str) -> None:
        self.server.states[version] = state
        if not state:
            del self.server.states[version]
        self.server.changes += 1

    @rule()
    def replace_version(self) -> None:
        """Unload the version that answers, once there is another."""
        live = self.discovery.models["m"].default
        self.server.states = {1 if live == 2 else 2: "AVAILABLE"}
        self.server.changes += 1

    @rule(is_up=booleans())
    def change_server(self, is_up: bool) -> None:
        self.server.is_up = is_up
        self.server.changes += 1

    @rule(turns=integers(0, 3))
    def change_speed(self, turns: int) -> None:
        self.server.turns = turns

    @rule(labels=dictionaries(sampled_from(("stable", "canary", "next")), integers(1, 4)))
    def label(self, labels: dict[str, int]) -> None:
        self.labels = labels
        config = {"m": ModelConfig("m", "/models/m", latest=None, labels=labels)}
        write_atomically(self.config, models_config.render(config))

    @rule(
        live=sampled_from(("stable", "stable", "next", 2)),
        fallback=one_of(none(), integers(1, 4)),
        canary=one_of(none(), integers(1, 4), sampled_from(("canary", "next"))),
        percent=sampled_from((0, 10, 60, 100)),
    )
    def route(self, live: int | str, fallback: int | None, canary: int | str | None, percent: float) -> None:
        share = None if canary is None else Canary(version=canary, percent=percent, sticky="key")
        self.entry = RoutingEntry(live=live, canary=share, fallback=() if fallback is None else (fallback,))
        write_atomically(self.routing, routing_file.render({"m": self.entry}))

    @rule()
    def poll(self) -> None:
        self.start(self.discovery._poll_models())

    @rule(caller=sampled_from(CALLERS))
    def ask(self, caller: bytes) -> None:
        """Send a request that names no version."""
        if self.discovery.models["m"].default is None:
            return
        version = self.version_of(caller)
        task = self.start(
            self.predictor.retry_on_version_change(version, ANY, lambda now: self.server.predict(now.version))
        )
        asked = Asked(task, self.known_changes)
        task.add_done_callback(lambda _: self.end(asked))
        self.asked.append(asked)

    def end(self, asked: Asked) -> None:
        """A request may fail without a version, and if more than one thing changed."""
        asked.may_fail = not self.server.available() or self.server.changes > asked.known_changes + 1

    def version_of(self, caller: bytes) -> ModelVersion:
        def draw(model: str, share: Share) -> float:
            return point(model, share, caller)

        return choose(self.discovery.models, "m", ANY, draw)

    @rule()
    def poll_until_idle(self) -> None:
        before = self.discovery.models.get("m")
        self.loop.settle()
        self.check_requests()
        self.start(self.discovery._poll_models())
        self.loop.settle()
        self.known_changes = self.server.changes if self.server.is_up else -1
        state, available = self.discovery.models["m"], self.server.available()
        if not self.server.is_up:
            assert state.problem is not None
            return
        assert state.problem is None
        assert set(state.versions) == available
        for label, version in self.labels.items():
            if version in available:
                assert state.effective[label] == version
            elif label in state.effective:
                assert state.effective[label] in available
        assert (state.default is None) == (not available)
        if self.entry.live == "stable" and self.labels.get("stable") in available:
            assert state.default == self.labels["stable"]
        canary = self.entry.canary
        number = canary and (canary.version if isinstance(canary.version, int) else self.labels.get(canary.version))
        if canary is not None and canary.percent and number in available and number != state.default:
            assert state.canary == Share(number, canary.percent, "key")  # type: ignore[arg-type]
        if before is not None and before.canary and state.canary and before.canary.version == state.canary.version:
            for caller in CALLERS:
                at = point("m", state.canary, caller)
                assert (self.version_of(caller).version == state.canary.version) == (at < state.canary.percent)

    def check_requests(self) -> None:
        for asked in self.asked:
            assert asked.task.done(), "a request waits for ever"
            error = asked.task.exception()
            assert error is None or (asked.may_fail and isinstance(error, GatewayError)), repr(error)
        self.asked.clear()

    @invariant()
    def routes_hold(self) -> None:
        state = self.discovery.models["m"]
        assert set(state.effective.values()) <= set(state.versions)
        assert (state.default in state.versions) if state.versions else state.default is None
        for share in (state.canary, state.shadow):
            assert share is None or (share.version in state.versions and share.version != state.default)

    def finish(self) -> None:
        self.loop.settle()
        self.check_requests()
        self.folder.cleanup()


TestVersionSchedule = VersionSchedule.TestCase
