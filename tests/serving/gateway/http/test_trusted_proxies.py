"""Client addresses from X-Forwarded-For and Forwarded: a table of header lines, their cost, and a real gateway."""

import json
from pathlib import Path
from time import perf_counter

import httpx
import pytest
from pydantic import ValidationError

from serving.gateway.http.trusted_proxies import MAX_HOPS, TrustedProxies, parse_networks
from serving.gateway.settings import Settings
from tests.serving.gateway import programs
from tests.serving.gateway.conftest import picture

NETWORKS = parse_networks("10.0.0.0/8, fd00::/8, 192.0.2.7")
PNG = ("content-type", "image/png")
XFF, FORWARDED = b"x-forwarded-for", b"forwarded"


async def nothing(*_: object) -> None:
    """Stand for the application behind the middleware."""


def client(*headers: tuple[bytes, bytes], peer: str = "10.0.0.1") -> str:
    return TrustedProxies(nothing, NETWORKS).client(peer, headers)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"203.0.113.9", "203.0.113.9"),
        (b"203.0.113.9:4711", "203.0.113.9"),
        (b"2001:db8::1", "2001:db8::1"),
        (b"[2001:DB8::1]", "2001:db8::1"),
        (b"[2001:db8::1]:4711", "2001:db8::1"),
        (b"::ffff:203.0.113.9", "203.0.113.9"),
        (b"198.51.100.1, 203.0.113.9", "203.0.113.9"),  # the left one is what the client wrote
        (b"203.0.113.9,10.2.0.1 ,\tfd00::5, 192.0.2.7", "203.0.113.9"),
        (b"203.0.113.9, ::ffff:10.0.0.3", "203.0.113.9"),
        (b"10.9.9.9, 10.2.0.1", "10.9.9.9"),  # every hop is a proxy: the first
        (b"203.0.113.9, unknown", "10.0.0.1"),
        (b"203.0.113.9, unknown, 10.2.0.1", "10.2.0.1"),
        (b"203.0.113.9,", "10.0.0.1"),
        (b"", "10.0.0.1"),
        (b"203.0.113.999", "10.0.0.1"),
        (b"203.0.113.9 203.0.113.8", "10.0.0.1"),
        (b"fe80::1%eth0", "10.0.0.1"),
        (b"203.0.113.9\xff", "10.0.0.1"),
        (b"1" * 20_000, "10.0.0.1"),
        (b"203.0.113.9" + b", 10.2.0.1" * (MAX_HOPS + 1), "10.2.0.1"),
    ],
)
def test_x_forwarded_for(value: bytes, expected: str) -> None:
    assert client((XFF, value)) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"for=203.0.113.9", "203.0.113.9"),
        (b'For="203.0.113.9:4711";proto=https', "203.0.113.9"),
        (b'for="[2001:db8::1]"; by=10.0.0.1', "2001:db8::1"),
        (b'by=_x;for="[2001:db8::1]:_hidden";host="a;b"', "2001:db8::1"),
        (b"for=198.51.100.1, for=203.0.113.9;proto=http , for=10.2.0.1", "203.0.113.9"),
        (b'for="198.51.100.1, for=203.0.113.9', "203.0.113.9"),  # the client left a quote open
        (b"for=203.0.113.9, for=unknown", "10.0.0.1"),
        (b"for=203.0.113.9, for=_hidden, for=10.2.0.1", "10.2.0.1"),
        (b"for=203.0.113.9, proto=https", "10.0.0.1"),
        (b"for=203.0.113.9;for=198.51.100.1", "10.0.0.1"),
        (b"for=2001:db8::1", "10.0.0.1"),  # must be quoted, in brackets
        (b"203.0.113.9", "10.0.0.1"),
        (b'for=203.0.113.9;host="x, for=198.51.100.1;a="', "10.0.0.1"),  # a host that the client chose
        (rb'for=203.0.113.9;host="x, for=198.51.100.1;a=\""', "10.0.0.1"),
        (b'for=203.0.113.9;host="x, for=198.51.100.1, y"', "10.0.0.1"),
        (b"for=203.0.113.9;x=" + b"y" * 600, "10.0.0.1"),
    ],
)
def test_forwarded(value: bytes, expected: str) -> None:
    assert client((FORWARDED, value)) == expected


def test_lines_and_both_headers() -> None:
    assert client((XFF, b"198.51.100.1, 203.0.113.9"), (b"accept", b"*/*"), (XFF, b"10.2.0.1")) == "203.0.113.9"
    assert client((FORWARDED, b"for=203.0.113.9"), (FORWARDED, b"for=10.2.0.1")) == "203.0.113.9"
    assert client((FORWARDED, b"for=203.0.113.9"), (XFF, b"203.0.113.9, 10.2.0.1")) == "203.0.113.9"
    # The proxy sets one of them, and the client made up the other.
    assert client((FORWARDED, b"for=198.51.100.1"), (XFF, b"203.0.113.9")) == "10.0.0.1"
    assert client() == "10.0.0.1"


@pytest.mark.parametrize("peer", ["203.0.113.1", "::1", "11.0.0.1"])
def test_an_untrusted_peer_is_the_client(peer: str) -> None:
    assert client((XFF, b"198.51.100.1"), (FORWARDED, b"for=198.51.100.1"), peer=peer) == peer


@pytest.mark.parametrize(
    "value",
    [
        b"10.0.0.1, " * 3_000,
        b"," * 32_000,
        b'for="\\' + b"\\a" * 16_000,
        b"for=10.0.0.1;" + b" " * 490 + b"x, " * 8_000,
        (b"for=10.0.0.1" + b"; " * 240 + b", ") * 60,
    ],
)
def test_the_largest_header_costs_little(value: bytes) -> None:
    proxies = TrustedProxies(nothing, NETWORKS)
    times = []
    for _ in range(5):
        started = perf_counter()
        proxies.client("10.0.0.1", [(XFF, value), (FORWARDED, value)])
        times.append(perf_counter() - started)
    assert min(times) < 0.001


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("10.0.0.0/8, ingress", "'ingress' is not a network like 10.0.0.0/8"),
        ("10.0.0.1/8", "'10.0.0.1/8' is not a network like 10.0.0.0/8 or fd00::/8 (10.0.0.1/8 has host bits set)"),
        ("*", "'*' is not a network"),
        ("0.0.0.0/0", "0.0.0.0/0 is every address, so each client could choose its own"),
        ("::/0", "::/0 is every address"),
    ],
)
def test_bad_networks(text: str, words: str) -> None:
    with pytest.raises(ValidationError) as error:
        Settings(trusted_proxies=text)
    assert words in str(error.value)


def test_rate_limit_and_access_log_see_the_client(models_root: Path) -> None:
    flags = ("--rate=2/hour", "--access-log=1", "--trusted-proxies=127.0.0.0/8,10.0.0.0/8")

    def send(http: httpx.Client, *lines: tuple[str, str]) -> int:
        return http.post("/v1/models/shade:predict", content=picture(), headers=[PNG, *lines]).status_code

    with programs.embedded_gateway(models_root, *flags) as gateway:
        programs.wait_until_ready(gateway, "shade")
        first = [send(gateway.http, ("x-forwarded-for", f"198.51.100.{n}, 203.0.113.9, 10.0.0.1")) for n in range(3)]
        assert first == [200, 200, 429]  # one client, whatever it writes to the left
        assert send(gateway.http, ("x-forwarded-for", "203.0.113.8"), ("x-forwarded-for", "10.0.0.1")) == 200
        assert send(gateway.http, ("forwarded", 'for="[2001:db8::1]:80"')) == 200
        gateway.program.wait_for('"client":"2001:db8::1"')
        lines = [json.loads(line) for line in gateway.program.output.splitlines() if '"client"' in line]
    assert [line["client"] for line in lines] == ["203.0.113.9"] * 3 + ["203.0.113.8", "2001:db8::1"]
