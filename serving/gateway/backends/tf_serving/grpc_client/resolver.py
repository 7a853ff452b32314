"""Host names to addresses, resolved again while the channel is open.

The resolver asks every 30 s, and more often after a name could not be resolved or a connection failed.
"""

import asyncio
import logging
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple

log = logging.getLogger("vitrine.upstream")

_MIN_INTERVAL, _MAX_INTERVAL = 1.0, 30.0  # seconds between look-ups; the interval doubles


class Address(NamedTuple):
    """Host and port of a model server, or (with port 0) the path of its Unix socket."""

    host: str
    port: int

    def __str__(self) -> str:
        if not self.port:
            return self.host
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class ResolvedAddress(NamedTuple):
    """One IP address of an address."""

    address: Address
    ip: str

    def __str__(self) -> str:
        return str(Address(self.ip, self.address.port))


class Resolver:
    """Keeps the resolved addresses up to date.

    Attributes:
        errors: why the last look-up of an address failed.
    """

    def __init__(self, addresses: Sequence[Address], on_update: Callable[[Sequence[ResolvedAddress]], None]) -> None:
        """Create a resolver.

        Args:
            addresses: what to resolve.
            on_update: called after each look-up with all resolved addresses.
        """
        self.errors: dict[Address, str] = {}
        self._addresses = addresses
        self._on_update = on_update
        self._resolved: dict[Address, list[ResolvedAddress]] = {}
        self._refresh = asyncio.Event()

    def refresh(self) -> None:
        """Resolve soon, because a connection failed."""
        self._refresh.set()

    async def run(self) -> None:
        """Resolve until cancelled."""
        interval = _MIN_INTERVAL
        while True:
            self._refresh.clear()
            await asyncio.gather(*map(self._resolve, self._addresses))
            self._on_update([each for address in self._addresses for each in self._resolved.get(address, [])])
            await asyncio.sleep(_MIN_INTERVAL)
            with suppress(TimeoutError):
                async with asyncio.timeout(interval - _MIN_INTERVAL):
                    await self._refresh.wait()
            interval = _MIN_INTERVAL if self.errors or self._refresh.is_set() else min(2 * interval, _MAX_INTERVAL)

    async def _resolve(self, address: Address) -> None:
        """Update one address. After a failure its last result stays."""
        host, port = address
        if not port:
            self._resolved[address] = [ResolvedAddress(address, host)]
            return
        try:
            infos = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            if address not in self.errors:
                log.warning("cannot resolve the model server's name %s: %s", host, error)
            self.errors[address] = f"{host}: {error}"
        else:
            self.errors.pop(address, None)
            self._resolved[address] = [ResolvedAddress(address, str(info[4][0])) for info in infos]
