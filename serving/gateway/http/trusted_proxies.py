"""Client addresses behind proxies: ``X-Forwarded-For`` and ``Forwarded`` (RFC 7239) from named networks.

A header is believed only as far as trusted addresses report it: from the connection's peer to the left, up to the first
address that is not a trusted proxy's. Values further left were written by the client.
"""

import functools
import ipaddress
import re
from collections.abc import Awaitable, Callable, Iterator, Sequence

from starlette.types import ASGIApp, Receive, Scope, Send

IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

#: Hops that are followed. The caller of a longer chain is its sixteenth proxy.
MAX_HOPS = 16
_MAX_ELEMENT_BYTES = 512  # one element of a header
# Possessive quantifiers: no element takes more than one pass.
_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]++"  # nosec B105 # a token of HTTP's grammar
_PAIR = rf'({_TOKEN})=(?:({_TOKEN})|"((?:[^"\\]|\\.)*+)")'
_PAIRS = re.compile(_PAIR)
_ELEMENT = re.compile(rf"(?:{_PAIR})?+(?:[ \t]*+;[ \t]*+(?:{_PAIR})?+)*+")
_PORT = r"(?::(?:[0-9]{1,5}|_[0-9A-Za-z._-]{1,40}))?"  # RFC 7239, 6: a port may be hidden
_BRACKETED = rf"\[([0-9A-Fa-f:.]{{2,45}})\]{_PORT}|([0-9.]{{7,15}}){_PORT}"
_NODE = re.compile(_BRACKETED)
_PLAIN = re.compile(rf"{_BRACKETED}|([0-9A-Fa-f:.]{{2,45}})")


def parse_networks(text: str) -> tuple[IPNetwork, ...]:
    """Parse a setting: networks or addresses, separated by commas.

    Raises:
        ValueError: one of them is neither, or is every address.
    """
    found = []
    for part in text.split(","):
        name = part.strip()
        if not name:
            continue
        try:
            network = ipaddress.ip_network(name)
        except ValueError as error:
            raise ValueError(
                f"trusted_proxies: {name!r} is not a network like 10.0.0.0/8 or fd00::/8 ({error})"
            ) from None
        if not network.prefixlen:
            raise ValueError(
                f"trusted_proxies: {name} is every address, so each client could choose its own; name the networks of "
                "the proxies"
            )
        found.append(network)
    return tuple(found)


class TrustedProxies:
    """ASGI middleware that replaces the address of a trusted proxy by the client's."""

    def __init__(self, app: ASGIApp, networks: Sequence[IPNetwork]) -> None:
        """Wrap an application; ``networks`` are those of the proxies."""
        self._app = app
        self._networks = tuple(networks)
        self._known: Callable[[str], tuple[str, bool]] = functools.lru_cache(maxsize=1024)(self._read)

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Set the client's address. Its port is not known."""
        peer = scope.get("client")
        if peer:
            scope["client"] = (self.client(peer[0], scope["headers"]), 0)
        return self._app(scope, receive, send)

    def client(self, peer: str, headers: Sequence[tuple[bytes, bytes]]) -> str:
        """Return the address of the client.

        The proxy's own address stands for it if the headers do not say, or if both name another client: a proxy sets
        one of them and may pass on what the client wrote into the other.

        Args:
            peer: address of the connection's other end.
            headers: names in lower case, and values.
        """
        plain = [value for name, value in headers if name == b"x-forwarded-for"]
        standard = [value for name, value in headers if name == b"forwarded"]
        clients = set()
        if plain:
            clients.add(self._follow(peer, map(_plain_address, _elements(plain))))
        if standard:
            clients.add(self._follow(peer, map(_standard_address, _elements(standard))))
        return clients.pop() if len(clients) == 1 else self._known(peer)[0]

    def _follow(self, peer: str, reported: Iterator[str | None]) -> str:
        """Return the first address that is not a proxy's, or the last that is known."""
        client, trusted = self._known(peer)
        while trusted:
            text = next(reported, None)
            if text is None:
                break
            address, trusted = self._known(text)
            if not address:
                break
            client = address
        return client

    def _read(self, text: str) -> tuple[str, bool]:
        """Return an address in its usual form, empty if it is none, and whether it is a trusted proxy's."""
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            return "", False
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return str(address), any(address in network for network in self._networks)


def _elements(lines: Sequence[bytes]) -> Iterator[bytes]:
    """Yield the last elements of a header's lines, from right to left.

    A comma in a quoted string separates, too: its parts are no valid elements, so the walk ends there.
    """
    left = MAX_HOPS
    for line in reversed(lines):
        for element in reversed(line.rsplit(b",", left)):
            if not left:
                return
            left -= 1
            yield element.strip(b" \t")


def _plain_address(element: bytes) -> str | None:
    """Return the address in an element of X-Forwarded-For: with or without port, IPv6 with or without brackets."""
    match = _PLAIN.fullmatch(element.decode("latin-1"))
    return match and (match[1] or match[2] or match[3])


def _standard_address(element: bytes) -> str | None:
    """Return the address of ``for`` in an element of Forwarded; None if it is hidden or the element is malformed."""
    text = element.decode("latin-1")
    if len(text) > _MAX_ELEMENT_BYTES or _ELEMENT.fullmatch(text) is None:
        return None
    values = [token or quoted for name, token, quoted in _PAIRS.findall(text) if name.lower() == "for"]
    match = _NODE.fullmatch(values[0]) if len(values) == 1 else None
    return match and (match[1] or match[2])
