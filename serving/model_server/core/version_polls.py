"""Polls of the models' base paths, each in a thread.

A poll that hangs, on a dead mount for instance, delays no other model.
"""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from serving.artifacts.models_config import ModelConfig
from serving.model_server.core.config_checks import Models
from serving.model_server.core.source import Aspired, FileSystemSource

logger = logging.getLogger(__name__)


@dataclass
class _RunningPoll:
    """A search for versions under one base path."""

    model: ModelConfig
    found: asyncio.Future[dict[str, Aspired]]
    slow: bool = False


class VersionPolls:
    """Finds the aspired versions of the configured models. Use it from one event loop."""

    def __init__(
        self,
        source: FileSystemSource,
        threads: ThreadPoolExecutor,
        aspire: Callable[[str, Aspired], None],
        slow_seconds: float,
    ) -> None:
        """Create the polls.

        Args:
            source: Searches a base path; blocks.
            threads: Where it runs.
            aspire: Called with the versions of each model.
            slow_seconds: Time after which other models no longer wait for a poll.
        """
        self._source = source
        self._threads = threads
        self._aspire = aspire
        self._slow_seconds = slow_seconds
        self._models: Models = {}
        self._running: dict[str, _RunningPoll] = {}

    async def poll(self, models: Models) -> None:
        """Search the base path of each model, and aspire to the versions found."""
        self._models = models
        loop = asyncio.get_running_loop()
        for name, model in models.items():
            poll = self._running.get(name)
            if poll is None or poll.model != model:
                found = loop.run_in_executor(self._threads, self._source.poll, [model])
                self._running[name] = _RunningPoll(model, found)
        prompt = [poll for poll in self._running.values() if not poll.slow]
        if prompt:
            await asyncio.wait([poll.found for poll in prompt], timeout=self._slow_seconds)
        self._aspire_found()
        for poll in prompt:
            if not (poll.slow or poll.found.done()):
                self._mark_slow(poll)

    def _aspire_found(self) -> None:
        complete = {name: poll for name, poll in self._running.items() if poll.found.done()}
        errors = []
        for name, poll in complete.items():
            del self._running[name]
            if error := poll.found.exception():
                errors.append(error)
            elif self._models.get(name) == poll.model:  # the configuration may have changed during the poll
                for found, versions in poll.found.result().items():
                    self._aspire(found, versions)
        if errors:
            raise errors[0]

    def _mark_slow(self, poll: _RunningPoll) -> None:
        logger.warning(
            "Looking for versions of model %s under %s has taken %g s. Its versions stay as they are.",
            poll.model.name,
            poll.model.base_path,
            self._slow_seconds,
        )
        poll.slow = True
        poll.found.add_done_callback(self._slow_poll_ended)

    def _slow_poll_ended(self, found: asyncio.Future[dict[str, Aspired]]) -> None:
        """Use the result at once, because there may be no other poll."""
        if not found.cancelled():
            self._aspire_found()
